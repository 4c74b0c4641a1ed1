"""Callers: an agent in each, started as that kind of caller really is, which then runs what it is told."""

import json
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from suite import Failed, until
from suite.machine import PATH
from suite.places import AGENT, CACHE, SOCKETS, TOOLS

START_SECONDS = 20
IMAGE = "subject"


@dataclass(frozen=True)
class Ran:
    status: int | None
    output: str
    errors: str


class Subject:
    """One caller. `id` is what its runtime calls it, `sandbox` its pod's, where it has them."""

    def __init__(self, machine, name, stop, id="", sandbox=""):
        self._machine = machine
        self._path = f"{machine.root}{SOCKETS}/{name}.sock"
        self._stop = stop
        self.name = name
        self.id = id
        self.sandbox = sandbox
        self._await()

    def run(self, command, environment=None, given="", seconds=30):
        """Runs a command in it."""
        order = {
            "command": list(map(str, command)), "environment": environment or {}, "input": given, "seconds": seconds,
        }
        with self._connect() as agent, agent.makefile("rb") as answers:
            agent.settimeout(seconds + 10)
            agent.sendall(json.dumps(order).encode() + b"\n")
            answer = answers.readline()
        if not answer:
            raise Failed(f"{self.name} died")
        return Ran(**json.loads(answer))

    def pid(self):
        """The agent's process id as the machine numbers it."""
        return self._pids()[0]

    def pid_inside(self):
        """The agent's process id as it knows it itself."""
        return self._pids()[-1]

    def _pids(self):
        with self._connect() as agent:
            ours, _, _ = struct.unpack("3i", agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        # This process's name space, then the machine's, then those of the containers in it.
        return [int(number) for number in _status(ours, "NSpid").split()[1:]]

    def stop(self):
        self._stop()
        Path(self._path).unlink()

    def _connect(self):
        agent = socket.socket(socket.AF_UNIX)
        agent.connect(self._path)
        return agent

    def _await(self):
        if not until(START_SECONDS, self._is_up):
            raise Failed(f"{self.name} did not come up within {START_SECONDS} s")

    def _is_up(self):
        try:
            self._connect().close()
        except OSError:
            return False
        return True


def _status(pid, field):
    with open(f"/proc/{pid}/status") as lines:
        return next(line.partition(":")[2] for line in lines if line.startswith(field + ":"))


def _agent(name):
    return ["/usr/bin/python3", AGENT, f"{SOCKETS}/{name}.sock"]


def _mounts(*more):
    """What a container is given: the machine's tools, the SDKs, the agent and its socket."""
    folders = [f"{folder}:{folder}:ro" for folder in ("/usr", CACHE, TOOLS)]
    return [word for mount in (*folders, f"{SOCKETS}:{SOCKETS}", *more) for word in ("--volume", mount)]


def moved(subject, group):
    """The same caller, its agent moved into another control group."""
    script = 'mkdir -p "$1"; echo "$2" >"$1/cgroup.procs"'
    ran = subject.run(["sh", "-ec", script, "sh", group, subject.pid_inside()], {"PATH": PATH})
    if ran.status != 0:
        raise Failed(f"{subject.name} cannot be moved: {ran.errors}")
    return subject


def session(machine, name, user):
    """A user who has logged in: the agent runs in the session's scope."""
    unit = f"session-of-{name}"
    machine.run("systemd-run", "--quiet", f"--unit={unit}", "--collect",
                "runuser", "--login", user, "--command", " ".join(_agent(name)))
    return Subject(machine, name, lambda: machine.run("systemctl", "stop", unit))


def unit(machine, name, *settings):
    """A system unit, by a unit file."""
    _write_unit(machine, f"/run/systemd/system/{name}", name, settings)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", name)
    return Subject(machine, name, lambda: machine.run("systemctl", "stop", name))


def user_unit(machine, name, user, file=None):
    """A unit of a user's own manager, by a unit file of theirs; `file` is its name if the caller's is another."""
    file = file or name
    _write_unit(machine, f"/home/{user}/.config/systemd/user/{file}", name, ())
    machine.run("chown", "-R", f"{user}:", f"/home/{user}/.config")
    control = ("systemctl", "--user", f"--machine={user}@")
    machine.run(*control, "daemon-reload")
    machine.run(*control, "start", file)
    return Subject(machine, name, lambda: machine.run(*control, "stop", file))


def user_scope(machine, name, user, scope):
    """A scope of a user's own manager."""
    start = ("systemd-run", "--user", "--scope", "--quiet", "--collect", f"--unit={scope}", *_agent(name))
    unit = f"scope-of-{name}"
    machine.run("systemd-run", "--user", f"--machine={user}@", "--quiet", f"--unit={unit}", "--collect", *start)
    return Subject(machine, name, lambda: machine.run("systemctl", "--user", f"--machine={user}@", "stop", scope))


def docker(machine, name, *options, image=IMAGE, container=None):
    """A container of docker's; `container` is its name there if the caller's is another."""
    id = machine.run(
        "docker", "run", "--detach", "--name", container or name, "--device", "/dev/fuse", "--cap-add", "SYS_ADMIN",
        *_mounts(), *options, image, *_agent(name),
    ).strip()
    return Subject(machine, name, lambda: machine.run("docker", "rm", "--force", id), id)


def docker_once(machine, *options, command):
    """What a Python program prints in a container of docker's that lives for it only."""
    words = map(str, command)
    return machine.run("docker", "run", "--rm", *_mounts(), *options, IMAGE, "/usr/bin/python3", *words)


def podman(machine, name, *options, image=IMAGE, settings=()):
    """A container of root's podman."""
    run = ("podman", *settings, "run", "--detach", "--quiet", "--name", name, "--device", "/dev/fuse",
           "--cap-add", "SYS_ADMIN")
    id = machine.service(*run, *_mounts(), *options, image, *_agent(name)).strip()
    return Subject(machine, name, lambda: machine.run("podman", "rm", "--force", "--time=0", id), id)


def rootless(machine, name, user, *options, image=IMAGE, container=None):
    """A container of a user's own podman."""
    run = ("podman", "run", "--detach", "--quiet", "--name", container or name, "--device", "/dev/fuse",
           "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN")
    id = machine.user_service(user, *run, *_mounts(), *options, image, *_agent(name)).strip()
    remove = ("podman", "rm", "--force", "--time=0", id)
    return Subject(machine, name, lambda: machine.user_service(user, *remove), id)


def relayed(machine, name, user, metadata, *options, **more):
    """A container of a user's own podman, in whose network a relay leads the metadata address to a mounted socket."""
    folder = metadata.rpartition("/")[0]
    subject = rootless(machine, name, user, f"--volume={folder}:{folder}", *options, **more)
    relay = f"exec python3 {TOOLS}/relay.py 169.254.169.254:80 {metadata}"
    commands = ["ip address add 169.254.169.254/32 dev lo", relay]
    ran = subject.run(["sh", "-ec", "; ".join(commands)], {"PATH": PATH})
    if ran.status != 0:
        raise Failed(f"no relay in {name}: {ran.errors}")
    return subject


def nspawn(machine, name, *options):
    """A container of systemd-nspawn's, known to machined; it shares the network of its host."""
    folder = f"/var/lib/machines/{name}"
    machine.run("mkdir", folder)
    machine.run("tar", "-C", folder, "-xf", "/var/tmp/image.tar")
    binds = [f"--bind-ro={bind}" for bind in ("/usr", CACHE, TOOLS)]
    unit = f"nspawn-{name}"
    machine.run(
        "systemd-run", "--quiet", f"--unit={unit}", "--collect", "systemd-nspawn", "--quiet", f"--machine={name}",
        f"--directory={folder}", *binds, f"--bind={SOCKETS}", "--bind=/dev/fuse", "--as-pid2", *options,
        *_agent(name),
    )
    return Subject(machine, name, lambda: machine.run("systemctl", "kill", "--signal=KILL", unit))


def pod(machine, cri, namespace, name, *mounts):
    """A pod of one container, made by containerd's CRI socket; a mount is (source, target, read-only)."""
    folders = [(folder, folder, True) for folder in ("/usr", CACHE, TOOLS)]
    sandbox, container = cri.run_pod(namespace, name, _agent(name), [*folders, (SOCKETS, SOCKETS, False), *mounts])
    return Subject(machine, name, lambda: cri.remove_pod(sandbox), container, sandbox)


def _write_unit(machine, file, name, settings):
    lines = ["[Service]", f"ExecStart={' '.join(_agent(name))}", *settings]
    machine.put(file, "\n".join(lines) + "\n")
