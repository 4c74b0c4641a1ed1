"""rolecall on a node, from the manifests that kustomize builds: this process's network is the node's, docker's bridge
that of its pods."""

import json
from contextlib import contextmanager

from cluster_issuer import Issuer
from compose import SLEEP, role
from engine import APP, address, await_, engine, run
from kustomize import objects
from pods import Pod, find, with_drop_in
from scripted_sts import ScriptedSts

WORKLOAD = ("DaemonSet", "rolecall")
CLUSTER = "https://kubernetes.default.svc.cluster.local"
TOKEN = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
AT = "http://169.254.170.23/v1/credentials"
DOCKER = '[runtime]\nuser = 65532\n[[runtime.engine]]\nkind = "docker"\nsocket = "/run/containerd/containerd.sock"\n'


@contextmanager
def node(overlay, directory, issuer, change=lambda drop_ins: None):
    """rolecall on this node, whose runtime is docker, whose cluster has this issuer's keys, whose account is at a
    scripted STS; pod and STS."""
    sts = ScriptedSts(("0.0.0.0", 0))
    try:
        built = objects(overlay)
        drop_ins = find(built, "ConfigMap", "rolecall-drop-ins")["data"]
        drop_ins["engine.toml"] = DOCKER
        change(drop_ins)
        keys = {"kind": "ConfigMap", "metadata": {"name": "rolecall-cluster-keys"}, "data": {"keys.json": issuer.keys}}
        endpoint = f'[account.prod]\nendpoint = "http://{address()}:{sts._address[1]}"\n'
        built = with_drop_in([*built, keys], WORKLOAD, "rolecall-drop-ins", "endpoint.toml", endpoint)
        with Pod(built, WORKLOAD, directory, sockets={"/run/containerd/containerd.sock": engine().socket}) as running:
            yield running, sts
    finally:
        sts.close()
        removed = find(objects("nodes-removal"), "DaemonSet", "rolecall-removal")["spec"]["template"]["spec"]
        [removal] = removed["initContainers"]
        run(*removal["command"])


class Cluster(Issuer):
    """The cluster's issuer; what it signs names the cluster as its API server does."""

    def __init__(self, directory):
        super().__init__(directory / "issuer")
        self.keys = json.dumps(self.documents["/keys"])

    def token(self, namespace, account, pod, **changes):
        return super().token(namespace, account, pod, iss=CLUSTER, **changes)


@contextmanager
def pod(directory, cluster, account):
    """A pod of the node with the token of this service account in the namespace `shop`, or without one."""
    place = directory / f"token-of-{account}"
    place.mkdir(exist_ok=True)
    if account:
        (place / "token").write_text(cluster.token("shop", account, f"{account}-0"))
    docker = engine()
    name = docker("run", "--detach", "--volume", f"{place}:{TOKEN}:ro", APP, *SLEEP).strip()
    try:
        yield name
    finally:
        docker("rm", "--force", name)


TOKEN_OF_METADATA = ("token=$(curl -s -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "
                     "http://169.254.169.254/latest/api/token)")
ROLES = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
ASK = f'curl -s -m 20 -H "Authorization: $(cat {TOKEN}/token)" {AT}'


def await_role(sts, name):
    """Waits until a pod has its role, as an SDK does: until the container `runtime` answers, nobody is known."""
    await_("the role", lambda: role(sts, engine().inside(name, ASK)) == "shop")


def check_a_pod_gets_the_role_of_its_service_account(directory):
    cluster, docker = Cluster(directory), engine()
    with node("nodes", directory, cluster) as (running, sts), pod(directory, cluster, "till") as till:
        await_role(sts, till)
        [call] = sts.calls
        assert call["parameters"]["RoleSessionName"] == "shop.till", call
        assert call["parameters"]["WebIdentityToken"] == (directory / "token-of-till/token").read_text()
        without = docker.inside(till, f"curl -s {AT}")
        assert json.loads(without)["code"] == "AuthorizationMissing", without
        with pod(directory, cluster, "porter") as porter:
            assert json.loads(docker.inside(porter, ASK))["code"] == "AccessDenied"
        # The metadata address is nobody's here.
        assert docker.inside(till, "curl -s -m 2 http://169.254.169.254/ || echo none") == "none\n"


def check_away_it_refuses_and_comes_back_where_it_was(directory):
    cluster, docker = Cluster(directory), engine()
    with pod(directory, cluster, "till") as till:
        with node("nodes", directory / "first", cluster) as (running, sts):
            await_role(sts, till)
            assert running.terminate() == {"network": 0, "rolecall": 0, "runtime": 0}
            # Refused: 7. The table stays, and leads to nobody.
            assert docker.inside(till, f"curl -s -m 5 {AT}; echo $?") == "7\n"
            with Pod(running.objects, WORKLOAD, directory / "second", sockets=running.sockets):
                await_role(sts, till)
                assert run("nft", "list", "ruleset").count("table inet rolecall") == 1
        assert "rolecall" not in run("nft", "list", "ruleset")
        assert "169.254.170.23" not in run("ip", "address")


def check_an_address_of_another_agent_stays_its_own(directory):
    said = "it took the address"
    run("ip", "link", "add", "agent", "type", "veth", "peer", "name", "far")
    try:
        run("ip", "address", "add", "169.254.170.23/32", "dev", "agent")
        with node("nodes", directory, Cluster(directory)):
            pass
    except AssertionError as error:
        said = str(error)
    finally:
        run("ip", "link", "del", "agent")
    assert "network ended with 1" in said and "another agent's, on agent" in said, said


def check_where_it_is_wanted_pods_find_instance_metadata(directory):
    cluster, docker = Cluster(directory), engine()

    def for_docker(drop_ins):
        # What no pod of a CRI runtime is has no namespace.
        for ours, here in (('{ from = "profile", profile = "node" }', '{ from = "local" }'),
                           ('pod.namespace = "legacy"', 'container.image = "app:*"')):
            assert ours in drop_ins["metadata.toml"]
            drop_ins["metadata.toml"] = drop_ins["metadata.toml"].replace(ours, here)

    with node("nodes-metadata", directory, cluster, for_docker), pod(directory, cluster, None) as legacy:
        asked = f"{TOKEN_OF_METADATA}; curl -s -m 5 -H \"X-aws-ec2-metadata-token: $token\" {ROLES}"
        await_("the role", lambda: docker.inside(legacy, asked) == "legacy")
        # The node's own programs are led nowhere else.
        own = run("curl", "-s", "-m", "2", "http://169.254.169.254/", check=False)
        assert own.returncode in (7, 28), own
