"""Container engines pull from a registry that asks for a password, by docker-credential-rolecall alone.

One scripted server is STS, ECR's API and the registry. Run by `run`, in a network namespace. Ends with
`N passed, N failed`.
"""

import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "upstreams"))
from daemon_process import DaemonProcess, launch

KEY = "ASIAREGISTRY00000001"
PASSWORD = "password-of-" + KEY
STS = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def layer():
    """One file, as a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("hello")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    return out.getvalue()


def digest(blob):
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def image():
    """The blobs of an image by digest, and its manifest."""
    content = layer()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(content)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": digest(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                    "size": len(content),
                    "digest": digest(content),
                }
            ],
        }
    ).encode()
    return {digest(blob): blob for blob in (content, config)}, manifest


BLOBS, MANIFEST = image()


class Cloud(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "GetAuthorizationToken" not in self.headers.get("X-Amz-Target", ""):
            return self.answer(200, STS.encode(), "text/xml")
        if KEY not in self.headers.get("Authorization", ""):
            return self.answer(400, b'{"__type":"UnrecognizedClientException"}')
        token = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
        login = {
            "authorizationToken": token,
            "expiresAt": 4070908800.5,
            "proxyEndpoint": f"http://localhost:{self.server.server_port}",
        }
        return self.answer(200, json.dumps({"authorizationData": [login]}).encode())

    def do_GET(self):
        login = base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {login}":
            return self.answer(401, b"{}", Www_Authenticate='Basic realm="registry"')
        name = self.path.rsplit("/", 1)[-1]
        if "/manifests/" in self.path:
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            return self.answer(200, MANIFEST, kind, Docker_Content_Digest=digest(MANIFEST))
        if name in BLOBS:
            return self.answer(200, BLOBS[name], "application/octet-stream", Docker_Content_Digest=name)
        return self.answer(200 if self.path == "/v2/" else 404, b"{}")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def configuration(port):
    return f"""
[[listener]]
name = "container"
bind = "127.0.0.1:0"
apis = "container"

[account.prod]
id = "123456789012"
region = "eu-central-1"
endpoint = "http://127.0.0.1:{port}"
ecr-endpoint = "http://127.0.0.1:{port}"
credentials = {{ from = "key", access-key-id = "AKIABASE", secret-access-key = "env:BASE_SECRET" }}
[account.prod.role.puller]

[[grant]]
role = "prod/puller"
when = {{ uid = 0 }}
"""


def engines(scratch, environment):
    """Each engine: its name, its command, and the options of its pull."""
    socket = scratch / "docker.sock"
    daemon = launch(
        ["dockerd", "-H", f"unix://{socket}", "--data-root", scratch / "docker", "--exec-root", scratch / "exec",
         "--pidfile", scratch / "docker.pid", "--bridge", "none", "--iptables=false", "--ip6tables=false"],
        environment, scratch / "dockerd.log", seconds=60,
    )
    try:
        yield "docker", ["docker", "-H", f"unix://{socket}"], []
    finally:
        daemon.terminate()
        daemon.wait()
    podman = ["podman", "--root", scratch / "podman", "--runroot", scratch / "run", "--storage-driver", "vfs"]
    yield "podman", podman, ["--tls-verify=false", "--quiet"]


def main():
    scratch = pathlib.Path(tempfile.mkdtemp())
    (scratch / "bin").mkdir()
    (scratch / "bin" / "docker-credential-rolecall").symlink_to(pathlib.Path(os.environ["ROLECALL_BIN"]).resolve())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    state = scratch / "state"
    state.mkdir(mode=0o700)
    daemon = DaemonProcess(scratch, {"BASE_SECRET": "secret", "STATE_DIRECTORY": str(state)})
    environment = {
        "PATH": f"{scratch / 'bin'}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(scratch / "home"),
        "ROLECALL_SOCKET": str(daemon.socket),
        "XDG_RUNTIME_DIR": str(scratch),
    }
    passed = failed = 0

    def check(name, good, told):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"ok    {name}" if good else f"FAIL  {name}: {told}", flush=True)

    home = scratch / "home" / ".docker"
    home.mkdir(parents=True)
    try:
        daemon.start(configuration(port))
        for name, engine, options in engines(scratch, environment):
            pull = [*engine, "pull", *options, f"localhost:{port}/app:1"]
            (home / "config.json").write_text("{}")
            alone = subprocess.run(pull, capture_output=True, text=True, env=environment)
            check(f"{name} gets nothing without a login", alone.returncode != 0, alone.stdout)
            (home / "config.json").write_text(json.dumps({"credHelpers": {f"localhost:{port}": "rolecall"}}))
            helped = subprocess.run(pull, capture_output=True, text=True, env=environment)
            check(f"{name} pulls by its configuration alone", helped.returncode == 0, helped.stderr)
            show = [*engine, "image", "inspect", "--format", "{{.Id}}", f"localhost:{port}/app:1"]
            shown = subprocess.run(show, capture_output=True, text=True, env=environment)
            config = json.loads(MANIFEST)["config"]["digest"].removeprefix("sha256:")
            check(f"{name} has the image", config in shown.stdout, shown.stdout + shown.stderr)
        daemon.stop()
    finally:
        daemon.kill()
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
