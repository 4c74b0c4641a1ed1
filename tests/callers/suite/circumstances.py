"""What happens to callers and to the daemon while they run: everybody keeps what is theirs."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from suite import Failed, sdks, subjects, until
from suite.checks import gets_nothing

SERVED_SECONDS = 10
TOKEN = "/run/token"  # in the container, and on the host for whoever should not have it


@dataclass(frozen=True)
class Circumstance:
    title: str
    run: Callable  # host -> the words for the table


def token_rotated(host):
    """The kubelet replaces a token; the pod's SDKs find the new one, and their role."""
    kind = host.kind("pod with a projected token")
    subject = host.subjects[kind.title]
    for life in (600, 1200):
        now = host.issuer.now()
        host.volumes[subject.name].write(host.issuer.token("shop", "till", subject.name, exp=now + life))
        gets(host, kind, subject)
    return "its role"


def container_replaced(host):
    """A granted container is removed and made anew, with another id and at another's former address."""
    kind = host.kind("docker on a bridge")
    for _ in range(3):
        subject = subjects.docker(host.machine, "replaced", "--label", "team=build")
        try:
            gets(host, kind, subject)
        finally:
            subject.stop()
    return "its role, three times"


def restarted(*units):
    """These units are restarted; containers on bridges and on the host's network are soon served again."""
    def run(host):
        host.machine.run("systemctl", "restart", *units)
        for title in ("docker on a bridge", "podman of root, the host's network", "pod of containerd", "user"):
            if not until(SERVED_SECONDS, lambda kind=host.kind(title): served(host, kind)):
                raise Failed(f"{title} was not served within {SERVED_SECONDS} s")
        return "their roles"
    return run


def served(host, kind):
    try:
        return gets(host, kind, host.subjects[kind.title])
    except sdks.Refused:
        return False


def gets(host, kind, subject):
    key = host.upstream.ask(subject, sdks.BOTO3, kind.environment)
    role = host.upstream.sts.issued[key].role
    if role != kind.role:
        raise Failed(f"{subject.name} got {role} instead of {kind.role}")
    return True


def bearer(host):
    """A rootless container behind slirp4netns shows a token of its user's; another user on the host shows it too."""
    kind, file = host.kind("user"), "/run/rolecall/tokens/alice"
    shown = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": TOKEN,
    }
    host.daemon.with_token_files(host.configuration(token=file))
    try:
        host.machine.put(TOKEN, host.machine.run("cat", file))
        subject = subjects.rootless(host.machine, "behind", "alice", f"--volume={file}:{TOKEN}:ro")
        try:
            gets(host, dataclasses.replace(kind, environment=shown), subject)
        finally:
            subject.stop()
        gets_nothing(host, host.siblings["member of a group"], shown)
    finally:
        host.daemon.without_token_files(host.configuration())
    return "their user's role; another user with the same token has nothing"


def doctored(host):
    """`rolecall doctor` finds nothing wrong with this host."""
    said = host.machine.service("rolecall", "doctor", check=False)
    if said.returncode != 0:
        raise Failed(said.stdout + said.stderr)
    return "no fault"


def least_privilege(host):
    """Neither process has a capability, both are under their filters; the one that asks runtimes has no network."""
    for unit in ("rolecall.service", "rolecall-runtime.service"):
        pid = host.machine.run("systemctl", "show", "--property=MainPID", "--value", unit).strip()
        status = dict(line.split(":", 1) for line in host.machine.run("cat", f"/proc/{pid}/status").splitlines())
        for field, wanted in {"CapEff": 0, "CapPrm": 0, "CapBnd": 0, "NoNewPrivs": 1, "Seccomp": 2}.items():
            if int(status[field], 16) != wanted:
                raise Failed(f"{unit}: {field} is {status[field].strip()}")
        if unit == "rolecall-runtime.service":
            links = host.machine.run("nsenter", "--target", pid, "--net", "ip", "-oneline", "link").splitlines()
            if [line.split()[1] for line in links] != ["lo:"]:
                raise Failed(f"{unit} has a network: {links}")
    return "no capability, no new privileges, a system call filter; no network for `rolecall-runtime`"


def no_fault(host):
    """The daemon has told of no error and was never started again but by this suite."""
    errors = host.daemon.errors()
    if errors:
        raise Failed(f"{len(errors)} errors, the first: {errors[0]}")
    for unit in ("rolecall.service", "rolecall-runtime.service"):
        restarts = host.machine.run("systemctl", "show", "--property=NRestarts", "--value", unit).strip()
        if restarts != "0":
            raise Failed(f"{unit} was restarted {restarts} times by systemd")
    return "no error told"


CIRCUMSTANCES = [
    Circumstance("the host by `rolecall doctor`", doctored),
    Circumstance("a pod whose token is rotated", token_rotated),
    Circumstance("a container that is replaced", container_replaced),
    Circumstance("callers after a restart of `rolecall-runtime`", restarted("rolecall-runtime.service")),
    Circumstance("callers after a restart of the daemon", restarted("rolecall.service")),
    Circumstance("rootless containers behind slirp4netns with a token that has `bearer = true`", bearer),
    Circumstance("the privilege of both units", least_privilege),
    Circumstance("the daemon after all this", no_fault),
]
