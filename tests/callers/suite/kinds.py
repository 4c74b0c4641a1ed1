"""The kinds of callers: how each is started, which grant is its own, and what must be known of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from suite import sdks, subjects
from suite.places import POD_IDENTITY_ADDRESS

# In the machine; each has a manager of their own.
USERS = ["alice", "bob", "carol", "dave", "erin", "mallory", "www"]
CONTAINER_USERS = ["alice", "erin", "mallory"]
GROUPS = {"ops": "dave"}

REDIRECTED = ("--network", "redirected")
HOST_NETWORK = ("--network", "host")
# Where EKS mounts them.
TOKENS = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
METADATA_SOCKET = "/run/rolecall/metadata.sock"


@dataclass(frozen=True)
class Kind:
    title: str
    role: str
    when: str  # the `when` of its grant
    start: Callable  # host -> the caller whom the grant is for
    sibling: Callable  # host -> one of the same kind whom it is not for
    caller: str  # how the audit trail names it; {id} is what its runtime calls it, {alice} a user's uid
    evidence: str  # how the daemon knows
    key: str  # the key of the grant that its neighbour fails
    fact: str | None  # what `explain` tells of the caller's process for this key; None: only a token tells it
    sdks: list = field(default_factory=lambda: sdks.ALL)
    environment: dict = field(default_factory=dict)


def _user(name):
    return lambda host: subjects.session(host.machine, name, name)


def _unit(name, *settings):
    return lambda host: subjects.unit(host.machine, name, "User=www", *settings)


def _user_unit(name):
    return lambda host: subjects.user_unit(host.machine, name, "carol")


def _docker(name, *options, **more):
    return lambda host: subjects.docker(host.machine, name, *options, **more)


def _podman(name, *options, **more):
    return lambda host: subjects.podman(host.machine, name, *options, **more)


def _rootless(name, *options, **more):
    return lambda host: subjects.relayed(host.machine, name, "erin", METADATA_SOCKET, *options, **more)


def _nspawn(name, *options):
    return lambda host: subjects.nspawn(host.machine, name, *options)


def _pod(namespace, name):
    return lambda host: subjects.pod(host.machine, host.cri, namespace, name)


def _pod_with_token(name, account):
    def start(host):
        volume = host.project(name, host.issuer.token("shop", account, name))
        return subjects.pod(host.machine, host.cri, "shop", name, (volume.folder, TOKENS, True))
    return start


KINDS = [
    Kind(
        "user", "user", '{ user = "alice" }', _user("alice"), _user("bob"),
        "uid {alice}", "sock-diag", "uid", "{alice}",
    ),
    Kind(
        "member of a group", "group", '{ group = "ops" }', _user("dave"), _user("mallory"),
        "uid {dave}", "sock-diag", "group", "dave, ops",
    ),
    Kind(
        "system unit", "unit", '{ unit = "web.service" }', _unit("web.service"), _unit("idle.service"),
        "unit web.service uid {www}", "sock-diag", "unit", "web.service",
    ),
    Kind(
        "slice", "slice", '{ slice = "batch.slice" }',
        _unit("job.service", "Slice=batch.slice"), _unit("other-job.service", "Slice=other.slice"),
        "unit job.service uid {www}", "sock-diag", "slice", "batch.slice",
    ),
    Kind(
        "user unit", "user-unit", '{ user-unit = "sync.service", user = "carol" }',
        _user_unit("sync.service"), _user_unit("other.service"),
        "uid {carol}", "sock-diag", "user-unit", "sync.service",
    ),
    Kind(
        "docker, the host's network", "docker", '{ container = { name = "shop", runtime = "docker" } }',
        _docker("shop", *HOST_NETWORK), _docker("shop-2", *HOST_NETWORK),
        "container {id} uid 0", "sock-diag", "container.name", "shop",
    ),
    Kind(
        "docker on a bridge", "docker-bridge", '{ container.label."team" = "build" }',
        _docker("builder", "--label", "team=build"), _docker("tester", "--label", "team=test"),
        "container {id}", "container-address", 'container.label."team"', "build",
    ),
    Kind(
        "docker on a bridge, redirected", "docker-redirected", '{ container.image = "granted:*" }',
        _docker("mart", *REDIRECTED, image="granted:1"), _docker("mart-2", *REDIRECTED),
        "container {id}", "container-address", "container.image", "granted:1",
    ),
    Kind(
        "podman of root, the host's network", "podman", '{ container = { name = "depot", runtime = "podman" } }',
        _podman("depot", *HOST_NETWORK), _podman("depot-2", *HOST_NETWORK),
        "container {id} uid 0", "sock-diag", "container.name", "depot",
    ),
    Kind(
        "podman of root, on a bridge", "podman-bridge", '{ container.image = "localhost/granted:*" }',
        _podman("yard", image="localhost/granted:1"), _podman("yard-2"),
        "container {id}", "container-address", "container.image", "localhost/granted:1",
    ),
    Kind(
        "rootless podman, a mounted socket", "podman-rootless", '{ container.name = "studio", user = "erin" }',
        _rootless("studio"), _rootless("studio-2"),
        "container {id} of uid {erin} uid {erin}", "peer-credentials", "container.name", "studio",
    ),
    Kind(
        "nspawn", "nspawn", '{ container = { name = "vault", runtime = "nspawn" } }',
        _nspawn("vault"), _nspawn("vault-2"),
        "container /machine.slice/machine-vault.scope uid 0", "sock-diag", "container.name", "vault",
    ),
    Kind(
        "pod of containerd", "pod", '{ pod = { namespace = "shop", name = "cart-0" } }',
        _pod("shop", "cart-0"), _pod("shop", "cart-1"),
        "container {sandbox}", "container-address", "pod.name", "cart-0",
    ),
    Kind(
        "pod with a projected token", "pod-token", '{ pod = { namespace = "shop", service-account = "till" } }',
        _pod_with_token("till-0", "till"), _pod_with_token("porter-0", "porter"),
        "shop/till (container {sandbox})", "container-address; token", "pod.service-account", None,
        sdks.WITH_TOKEN, {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{POD_IDENTITY_ADDRESS}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{TOKENS}/token",
        },
    ),
]
