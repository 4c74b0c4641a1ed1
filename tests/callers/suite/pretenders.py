"""Callers who pretend to be another, and circumstances that could make one pass for another: none may cross."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from suite import Failed, sdks, subjects
from suite.checks import gets_nothing
from suite.kinds import HOST_NETWORK, METADATA_SOCKET, REDIRECTED
from suite.places import TOOLS

ADDRESSES = 5
PORTS = range(20000, 20010)


@dataclass(frozen=True)
class Pretender:
    title: str
    run: Callable  # host -> the words for the table; fails if it gets anything
    let_in: bool = True  # a grant for anyone would be for it


def pretender(title, start):
    """A caller that is started so, and must get nothing."""
    def run(host):
        subject = start(host)
        try:
            return gets_nothing(host, subject)
        finally:
            subject.stop()
    return Pretender(title, run)


def mallorys(host, name, *options, **more):
    """A container of mallory's own podman, who is granted nothing."""
    return subjects.rootless(host.machine, name, "mallory", *options, **more)


def granted_uid(host):
    return "--user", str(host.users["alice"])


def forged_scope(name):
    """A scope of a user's own manager, named as the group of a container of root's."""
    def start(host):
        id = host.subjects["docker, the host's network"].id
        return subjects.user_scope(host.machine, "forged", "mallory", name.format(id=id))
    return start


def nested(host):
    """A container of root's that makes a group below its own, named as another's, and moves there."""
    groups = "/sys/fs/cgroup"
    subject = subjects.docker(
        host.machine, "matryoshka", *HOST_NETWORK, "--cgroupns=host", f"--volume={groups}:{groups}"
    )
    other = host.subjects["docker, the host's network"].id
    group = f"{groups}/system.slice/docker-{subject.id}.scope/docker-{other}.scope"
    return subjects.moved(subject, group)


def address_reused(host):
    """A granted container dies, and one that is granted nothing gets its address at once and asks from its first
    moment; also with the token that the first one got."""
    fixed = (*REDIRECTED, "--ip", "172.30.0.77")
    roles = [kind.role for kind in host.kinds]
    for number in range(ADDRESSES):
        first = subjects.docker(host.machine, f"late-{number}", *fixed, "--label", "team=build")
        host.upstream.ask(first, sdks.BOTO3)
        token = reuse(first, 0)["token"]
        first.stop()
        answer = json.loads(subjects.docker_once(host.machine, *fixed, command=(f"{TOOLS}/metadata.py", *roles)))
        if 200 in (answer["own"], *answer["roles"].values()):
            raise Failed(f"the second container was served: {answer}")
        answer = json.loads(subjects.docker_once(host.machine, *fixed, command=(f"{TOOLS}/reuse.py", 0, token)))
        if answer["status"] == 200:
            raise Failed(f"the second container was served by the first one's token: {answer}")
    return f"nothing, {ADDRESSES} times"


def port_reused(host):
    """A granted user's connection ends, and another uid connects from its port at once; also with its token."""
    alice, bob = host.subjects["user"], host.siblings["user"]
    for port in PORTS:
        granted = reuse(alice, port)
        if granted["status"] != 200:
            raise Failed(f"alice was not served: {granted}")
        for token in ((), (granted["token"],)):
            answer = reuse(bob, port, *token)
            if answer["status"] == 200:
                raise Failed(f"bob got {answer['text']} from port {port}")
    return f"nothing, {len(PORTS)} times"


def reuse(subject, port, *token):
    ran = subject.run(["/usr/bin/python3", f"{TOOLS}/reuse.py", port, *token], sdks.BASE)
    if ran.status != 0:
        raise Failed(f"{subject.name} could not ask: {ran.errors[-400:]}")
    return json.loads(ran.output)


def network_shared(host):
    """While a container shares a granted one's network, the address tells neither; once it is gone, it tells again."""
    granted = subjects.docker(host.machine, "shared", "--label", "team=build")
    try:
        host.upstream.ask(granted, sdks.BOTO3)
        joined = subjects.docker(host.machine, "joined", "--network", f"container:{granted.id}")
        try:
            gets_nothing(host, joined)
            gets_nothing(host, granted)
        finally:
            joined.stop()
        host.upstream.ask(granted, sdks.BOTO3)
    finally:
        granted.stop()
    return "nothing, nor does the granted one meanwhile"


def shows(token):
    """A pod that shows this token and gets nothing, though a right one of its own would serve."""
    def run(host):
        kind = host.kind("pod with a projected token")
        subject = host.siblings[kind.title]
        volume = host.volumes[subject.name]
        try:
            volume.write(right(host))
            host.upstream.ask(subject, sdks.BOTO3, kind.environment)
            volume.write(token(host))
            return gets_nothing(host, subject, kind.environment)
        finally:
            volume.write(host.issuer.token("shop", "porter", subject.name))
    return run


def right(host, **changes):
    """A token of the granted service account for the pod that shows it."""
    return host.issuer.token("shop", "till", "porter-0", **changes)


def altered(host):
    """A granted token but for its last character but one: the very last carries bits that count nothing."""
    token = right(host)
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


PRETENDERS = [
    pretender("docker container named as a granted unit",
              lambda host: subjects.docker(host.machine, "imitator", *HOST_NETWORK, container="web.service")),
    pretender("docker container on a bridge named as a granted one of another runtime",
              lambda host: subjects.docker(host.machine, "imitator", container="depot")),
    pretender("docker container with a granted slice as its cgroup parent",
              lambda host: subjects.docker(host.machine, "intruder", *HOST_NETWORK, "--cgroup-parent", "batch.slice")),
    pretender("podman container with a granted unit as its cgroup parent",
              lambda host: subjects.podman(
                  host.machine, "intruder", *HOST_NETWORK, "--cgroup-parent=/system.slice/web.service",
                  settings=("--cgroup-manager=cgroupfs",))),
    pretender("docker container of a granted uid on the host's network",
              lambda host: subjects.docker(host.machine, "alike", *HOST_NETWORK, *granted_uid(host))),
    pretender("rootless container with a granted image and label on the host's network",
              lambda host: mallorys(host, "copy", *HOST_NETWORK, "--label", "team=build", image="localhost/granted:1")),
    pretender("rootless container with a granted name on the host's network",
              lambda host: mallorys(host, "copy", *HOST_NETWORK, container="depot")),
    pretender("rootless container with a granted name of another user, by a mounted socket",
              lambda host: subjects.relayed(host.machine, "copy", "mallory", METADATA_SOCKET, container="studio")),
    pretender("rootless container of a granted user on the host's network",
              lambda host: subjects.rootless(host.machine, "mine", "alice", *HOST_NETWORK)),
    pretender("rootless container of a granted user through slirp4netns",
              lambda host: subjects.rootless(host.machine, "slirp", "alice")),
    pretender("user unit named as a granted system unit",
              lambda host: subjects.user_unit(host.machine, "imitation", "mallory", "web.service")),
    pretender("user unit named as a granted one of another user",
              lambda host: subjects.user_unit(host.machine, "imitation", "mallory", "sync.service")),
    pretender("scope of a user named as a granted docker container's", forged_scope("docker-{id}.scope")),
    pretender("scope of a user named as a granted nspawn container's", forged_scope("machine-vault.scope")),
    pretender("container with a group named as a granted one's below its own", nested),
    Pretender("container with the address of a granted one that died", address_reused),
    Pretender("another uid on the port of a granted one", port_reused),
    Pretender("container that shares a granted one's network", network_shared, let_in=False),
    Pretender("pod with a token that has expired",
              shows(lambda host: right(host, exp=host.issuer.now() - 600)), let_in=False),
    Pretender("pod with a token for another audience",
              shows(lambda host: right(host, aud=["sts.amazonaws.com"])), let_in=False),
    Pretender("pod with a token whose signature is not right", shows(altered), let_in=False),
    Pretender("pod with the token of a granted pod",
              shows(lambda host: host.issuer.token("shop", "till", "till-0")), let_in=False),
]
