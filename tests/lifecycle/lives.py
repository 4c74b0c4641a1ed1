"""What is done to a package in its life."""

import dataclasses
from collections.abc import Callable

import exposure
import images
from machine import AT_BOOT, ended, load
from scene import prepared
from step import Step
from suite import Failed, until

SOCKETS = ("rolecall-metadata.socket", "rolecall-metadata-ipv6.socket", "rolecall-container.socket", "rolecall-admin.socket")
SERVICE = "rolecall.service"
START_SECONDS = 30
CREDENTIAL = "[Service]\nLoadCredential=base:/etc/base.secret\n"


@dataclasses.dataclass(frozen=True)
class Life:
    """A package's, on a machine of its own."""

    name: str
    title: str
    debian: str
    options: tuple
    live: Callable


@dataclasses.dataclass(frozen=True)
class Format:
    """How packages of one kind come and go."""

    name: str
    install: Callable
    remove: tuple
    purge: tuple | None


def deb(folder, revision):
    return folder / f"rolecall_0.1.0-{revision}_amd64.deb"


def rpm(folder, revision):
    return folder / f"rolecall-0.1.0-{revision}.x86_64.rpm"


def by_rpm(*words):
    """Debian's older rpm installs nothing unless it is told to; the newer one does not know that word."""
    return ("sh", "-c", 'exec rpm $(rpm --help | grep --only-matching -- --force-debian) "$@"', "sh", "--nodeps", *words)


# An rpm is not purged: what somebody changed stays, under another name.
DEB = Format("deb", lambda file: ("dpkg", "--force-confold", "-i", file), ("dpkg", "-r", "rolecall"), ("dpkg", "-P", "rolecall"))
RPM = Format("rpm", lambda file: by_rpm("-U", "--oldpackage", file), by_rpm("-e", "rolecall"), None)


def package(form):
    """The life of a deb or an rpm."""

    def live(machine, folder):
        for revision in (1, 2):
            machine.copy((deb if form is DEB else rpm)(folder, revision), f"/var/tmp/{revision}.{form.name}")
        install = {revision: form.install(f"/var/tmp/{revision}.{form.name}") for revision in (1, 2)}
        with prepared(machine, secret="credential:base"):
            machine.put(f"/etc/systemd/system/{SERVICE}.d/base.conf", CREDENTIAL)
            yield from _live(machine, form, install)

    return live


def _live(machine, form, install):
    def step(name, action, **circumstances):
        attempts = 2 if circumstances.get("is_killed") else 1
        with load(machine, at_boot=circumstances.get("is_absent", False), attempts=attempts) as reports:
            action()
            if circumstances.pop("comes", False):
                serves(machine)
        return Step(name, reports, held, **circumstances)

    held = {}
    one = step("install", lambda: machine.run(*install[1]), is_absent=True, starts_anew=True, comes=True)
    machine.exposure = exposure.measured(machine)
    one.findings += exposure.unexplained(machine.exposure)
    yield one
    held = one.after()
    for name, action in {
        "reload, 5 times": lambda: [machine.run("systemctl", "reload", SERVICE) for _ in range(5)],
        "restart, 5 times": lambda: [machine.run("systemctl", "restart", SERVICE) for _ in range(5)],
        "upgrade": lambda: upgraded(machine, install[2], form, 2),
        "downgrade": lambda: upgraded(machine, install[1], form, 1),
    }.items():
        yield (one := step(name, action))
        held = one.after()
    yield (one := step("kill -9, 5 times", lambda: [killed(machine) for _ in range(5)], is_killed=True))
    held = one.after()
    for name, how in {"boot": (), "power cut, boot": ("cut",)}.items():
        yield (one := booted(machine, name, how, held))
        held = one.after()
    one = step("remove", lambda: machine.run(*form.remove), is_absent=True)
    one.findings += left_running(machine)
    yield one
    yield (one := step("install again", lambda: machine.run(*install[1]), is_absent=True, comes=True))
    held = one.after()
    one = step("remove and purge" if form.purge else "remove again", lambda: gone(machine, form), is_absent=True)
    one.findings += left_running(machine)
    if form.purge:
        one.findings += left_behind(machine)
    yield one


def serves(machine):
    if not until(START_SECONDS, lambda: machine.run("systemctl", "is-active", SERVICE, check=False).returncode == 0):
        raise Failed("the service did not start")


def killed(machine):
    def daemon():
        return machine.run("systemctl", "show", "-P", "MainPID", SERVICE).strip()

    before = daemon()
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SERVICE)
    if not until(START_SECONDS, lambda: daemon() not in ("0", before)):
        raise Failed("it was not started again")
    serves(machine)


def upgraded(machine, install, form, revision):
    entered = ("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", *SOCKETS)
    before, daemon = machine.run(*entered), machine.run("systemctl", "show", "-P", "MainPID", SERVICE)
    machine.run(*install)
    if machine.run(*entered) != before:
        raise Failed("the sockets were closed")
    if machine.run("systemctl", "show", "-P", "MainPID", SERVICE) == daemon:
        raise Failed("the old daemon still runs")
    shown = {DEB: ("dpkg-query", "-W", "-f", "${Version}", "rolecall"),
             RPM: ("rpm", "-q", "--queryformat", "%{VERSION}-%{RELEASE}", "rolecall")}[form]
    if machine.run(*shown) != f"0.1.0-{revision}":
        raise Failed(f"it is {machine.run(*shown)}")


def booted(machine, name, how, held):
    """Clients that ask as soon as there are sockets, on a machine that was switched off or cut off."""
    machine.put("/etc/systemd/system/load.service", AT_BOOT)
    machine.run("systemctl", "enable", "--quiet", "load.service")
    machine.run("sync")
    machine.reboot(*how)
    serves(machine)
    reports = ended(machine)
    machine.run("systemctl", "disable", "--quiet", "load.service")
    machine.run("rm", "/etc/systemd/system/load.service")
    machine.run("systemctl", "daemon-reload")
    return Step(name, reports, held)


def gone(machine, form):
    machine.run(*form.remove)
    if form.purge:
        machine.run(*form.purge)


def left_running(machine):
    """What should not be there when the package is not."""
    found = machine.run("systemctl", "list-units", "--no-legend", "--plain", "--state=active,failed", "rolecall*")
    listening = machine.run("ss", "--no-header", "--listening", "--tcp", "--numeric", "sport = :80")
    return [f"still there: {line}" for line in (found + listening).splitlines()]


def left_behind(machine):
    found = machine.run("find", "/", "-xdev", "-name", "*rolecall*", "-not", "-path", "/proc/*", "-not", "-path", "/sys/*",
                        "-not", "-path", "/etc/systemd/system/*")
    return [f"left behind: {line}" for line in found.splitlines()]


SYSTEMDS = {"bookworm": "Debian 12 (systemd 252)", "trixie": "Debian 13 (systemd 257)"}
LIVES = [
    Life(f"{form.name} on {debian}", f"{form.name}, {title}", debian,
         ("--disk", *(("--with", "rpm") if form is RPM else ())), package(form))
    for debian, title in SYSTEMDS.items() for form in (DEB, RPM)
] + [
    Life("image on bookworm", f"image, podman on {SYSTEMDS['bookworm']}", "bookworm",
         ("--containers", "--with", images.PACKAGES), images.live),
]
