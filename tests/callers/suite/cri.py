"""Pods by containerd's CRI socket, as a kubelet makes them: gRPC by curl, messages written by hand.

Field numbers are those of runtime/v1/api.proto of Kubernetes' cri-api."""

import struct
import uuid

SOCKET = "/run/containerd/containerd.sock"
CONFIGURATION = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
      BinaryName = "/opt/callers/runc.py"
"""
NETWORK = """{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true,
"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.85.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
"""


def message(fields):
    """A protobuf message of (number, value): text, numbers, messages (dicts or bytes), lists of them."""
    wire = b""
    for number, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int):
                wire += _varint(number << 3) + _varint(one)
                continue
            data = message(one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
            wire += _varint(number << 3 | 2) + _varint(len(data)) + data
    return wire


def texts(wire):
    """The fields of a message that hold bytes, the first of each number."""
    found, at = {}, 0
    while at < len(wire):
        key, at = _read_varint(wire, at)
        value, at = _read_varint(wire, at)
        if key & 7 == 2:
            found.setdefault(key >> 3, wire[at:at + value].decode(errors="replace"))
            at += value
    return found


class Cri:
    def __init__(self, machine):
        self._machine = machine

    def run_pod(self, namespace, name, command, mounts, image="docker.io/library/subject:latest"):
        """A pod of one container, running; gives the ids of its sandbox and of the container."""
        uid = str(uuid.uuid4())
        sandbox_configuration = {
            1: {1: name, 2: uid, 3: namespace},
            2: name,
            6: [{1: "io.kubernetes.pod.name", 2: name}, {1: "io.kubernetes.pod.namespace", 2: namespace},
                {1: "io.kubernetes.pod.uid", 2: uid}],
            8: {1: f"kubepods-besteffort-pod{uid.replace('-', '_')}.slice", 2: {1: {1: 0}}},
        }
        sandbox = self._call("RunPodSandbox", {1: sandbox_configuration})[1]
        labels = [{1: "io.kubernetes.pod.name", 2: name}, {1: "io.kubernetes.pod.namespace", 2: namespace},
                  {1: "io.kubernetes.pod.uid", 2: uid}, {1: "io.kubernetes.container.name", 2: "main"}]
        container = self._call("CreateContainer", {1: sandbox, 2: {
            1: {1: "main"}, 2: {1: image}, 3: command,
            7: [{1: target, 2: source, 3: int(read_only)} for source, target, read_only in mounts],
            8: {1: "/dev/fuse", 2: "/dev/fuse", 3: "rwm"},
            9: labels, 15: {2: {1: {1: "SYS_ADMIN"}}},
        }, 3: sandbox_configuration})[1]
        self._call("StartContainer", {1: container})
        return sandbox, container

    def remove_pod(self, sandbox):
        self._call("StopPodSandbox", {1: sandbox})
        self._call("RemovePodSandbox", {1: sandbox})

    def _call(self, method, request):
        """One unary call; gives the answer's text fields."""
        data = message(request)
        answer = self._machine.run(
            "curl", "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", SOCKET, "--max-time", "30",
            "--header", "content-type: application/grpc", "--header", "te: trailers", "--data-binary", "@-",
            "--dump-header", "/dev/stderr", f"http://localhost/runtime.v1.RuntimeService/{method}",
            given=b"\0" + struct.pack(">I", len(data)) + data, check=False,
        )
        headers = answer.stderr.decode(errors="replace")
        if "grpc-status: 0" not in headers.lower():
            raise RuntimeError(f"{method}: {' '.join(headers.split())[-600:]}")
        return texts(answer.stdout[5:])


def _varint(value):
    wire = b""
    while value > 127:
        wire += bytes([value & 127 | 128])
        value >>= 7
    return wire + bytes([value])


def _read_varint(wire, at):
    value = shift = 0
    while True:
        byte = wire[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
