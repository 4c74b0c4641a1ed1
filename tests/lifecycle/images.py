"""The life of the image: a unit of the host's runs it by podman, and the sockets are systemd's as they are a package's. And
under docker."""

import scripted_sts
from machine import TESTS, load
from scene import prepared
from step import Step
from suite import Failed, until

PACKAGES = "catatonit,containernetworking-plugins,docker.io,iptables,netavark,aardvark-dns,podman,runc,procps"
UNIT = "rolecall.service"
LISTENER = "127.0.0.1:1338"
PACKAGING = TESTS.parent / "packaging" / "image"
START_SECONDS = 60
# Nobody here may raise limits, and this kernel offers no controllers to nested systemds.
PODMAN = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
pids_limit = 0
[engine]
runtime = "runc"
"""
CONFIGURATION = """
[[listener]]
name = "metadata"
bind = ["passed:metadata"]
apis = ["imds"]
"""


SECRET = "[Service]\nEnvironment=OPTIONS=--secret=base,type=env,target=BASE\n"


def live(machine, folder):
    machine.put("/etc/containers/containers.conf", PODMAN)
    with prepared(machine, secret="env:BASE", container=', container = "any"'):
        for revision in (1, 2):
            machine.copy(folder / f"rolecall-0.1.0-{revision}.amd64.image.tar", f"/var/tmp/{revision}.tar")
        take(machine, 1)
        install(machine)
        held = {}
        for name, action, circumstances in [
            ("start", lambda: machine.run("systemctl", "start", *sockets(), UNIT), {"starts_anew": True, "is_absent": True}),
            ("restart, 3 times", lambda: [machine.run("systemctl", "restart", UNIT) for _ in range(3)], {}),
            ("kill -9, 3 times", lambda: [killed(machine) for _ in range(3)], {"is_killed": True}),
            ("upgrade", lambda: upgraded(machine, 2), {}),
            ("downgrade", lambda: upgraded(machine, 1), {}),
            ("remove", lambda: machine.run("systemctl", "stop", *sockets(), UNIT), {"is_absent": True}),
        ]:
            attempts = 2 if circumstances.get("is_killed") else 1
            with load(machine, at_boot=circumstances.get("is_absent", False), attempts=attempts) as reports:
                action()
            step = Step(name, reports, held, **circumstances)
            if name == "start":
                step.findings += healthy(machine)
            yield step
            held = step.after()
        yield under_docker(machine)


def sockets():
    return "rolecall-metadata.socket", "rolecall-metadata-ipv6.socket"


def take(machine, revision):
    """What the unit's tag names is the image of this revision from now on."""
    machine.run("podman", "pull", "--quiet", f"docker-archive:/var/tmp/{revision}.tar")


def install(machine):
    for name in sockets():
        machine.put(f"/etc/systemd/system/{name}", (TESTS.parent / "systemd" / name).read_bytes())
    machine.put(f"/etc/systemd/system/{UNIT}", (PACKAGING / "rolecall.service").read_bytes())
    machine.put("/etc/rolecall/rolecall.toml", CONFIGURATION)
    machine.put(f"/etc/systemd/system/{UNIT}.d/secret.conf", SECRET)
    machine.run("podman", "secret", "create", "base", "/etc/base.secret")
    machine.run("systemctl", "daemon-reload")


def killed(machine):
    shown = ("podman", "inspect", "--format", "{{.Id}}", "rolecall")
    before = machine.run(*shown)
    machine.run("podman", "kill", "--signal=KILL", "rolecall")

    def is_back():
        now = machine.run(*shown, check=False)
        return now.returncode == 0 and now.stdout.strip() != before.strip()

    if not until(START_SECONDS, is_back):
        raise Failed("it was not started again")


def upgraded(machine, revision):
    take(machine, revision)
    machine.run("systemctl", "restart", UNIT)


def healthy(machine):
    """What its health check says, by the image's own binary."""
    asked = ("podman", "healthcheck", "run", "rolecall")
    if until(START_SECONDS, lambda: machine.run(*asked, check=False).returncode == 0):
        return []
    return [f"it is not healthy: {machine.run(*asked, check=False).stderr}"]


def under_docker(machine):
    """The same archive under docker, with the image's own configuration and its own listener."""
    machine.run("docker", "load", "--input", "/var/tmp/1.tar")
    clients = "/etc/rolecall/rolecall.d/10-clients.toml"
    machine.run("docker", "run", "--detach", "--name=docked", "--network=host", "--read-only", "--cap-drop=all",
                "--security-opt=no-new-privileges", f"--env=BASE={scripted_sts.BASE_SECRET}",
                f"--volume={clients}:{clients}:ro", "rolecall:0.1.0")
    asked = ("docker", "inspect", "--format", "{{.State.Health.Status}}", "docked")
    findings = []
    if not until(START_SECONDS, lambda: machine.run(*asked).strip() == "healthy"):
        findings.append(f"docker says that it is {machine.run(*asked)}")
    with load(machine, address=LISTENER) as reports:
        pass
    return Step("docker, with a listener of its own", reports, {}, starts_anew=True, findings=findings)
