"""The sidecar of a pod, from the manifests that kustomize builds."""

import json
from contextlib import contextmanager

from compose import role
from engine import address, await_
from kustomize import objects
from pods import Pod, find, with_drop_in
from scripted_sts import ScriptedSts

WORKLOAD = ("Deployment", "till")
DROP_INS = "rolecall-sidecar-drop-ins"
# What an SDK does that is given these variables.
ASK = 'curl -s -m 20 -H "Authorization: $(cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)" $AWS_CONTAINER_CREDENTIALS_FULL_URI'
# An application that takes its time to end, and needs credentials for that.
LAST = ["bash", "-c", f"trap 'sleep 1; {ASK}; exit 0' TERM; echo begun; while :; do sleep 0.1; done"]


@contextmanager
def pod(overlay, directory, change=lambda objects: objects):
    """A pod of an overlay, whose account is at a scripted STS; both."""
    sts = ScriptedSts(("0.0.0.0", 0))
    try:
        endpoint = f'[account.prod]\nendpoint = "http://{address()}:{sts._address[1]}"\n'
        built = with_drop_in(change(objects(overlay)), WORKLOAD, DROP_INS, "endpoint.toml", endpoint)
        with Pod(built, WORKLOAD, directory, tokens=lambda audience: f"of-the-pod-for-{audience}", commands={"app": LAST}) as running:
            yield running, sts
    finally:
        sts.close()


def check_a_pod_gets_the_role_that_its_own_token_assumes(directory):
    with pod("shop", directory) as (running, sts):
        assert role(sts, running.inside("app", ASK)) == "app"
        assert {call["parameters"]["WebIdentityToken"] for call in sts.calls} == {"of-the-pod-for-sts.amazonaws.com"}
        without = running.inside("app", "curl -s $AWS_CONTAINER_CREDENTIALS_FULL_URI")
        assert json.loads(without)["code"] == "AuthorizationMissing", without
        assert running.inside("app", "touch /var/run/secrets/rolecall/new || echo refused") == "refused\n"


def check_the_application_begins_when_its_role_is_held_and_ends_before_its_sidecar(directory):
    with pod("shop", directory) as (running, sts):
        # It was asked for before the application began.
        assert len(sts.calls) == 1
        await_("the application", lambda: "begun" in running.logs("app"))
        ended = running.terminate()
        said = running.logs("app").partition("begun\n")[2]
        assert role(sts, said) == "app", said
        assert ended == {"rolecall": 0, "app": 0}, ended


def check_before_native_sidecars_the_application_is_served_to_its_end(directory):
    with pod("shop-plain", directory) as (running, sts):
        await_("the application", lambda: "begun" in running.logs("app"))
        assert role(sts, running.inside("app", ASK)) == "app"
        running.terminate()
        said = running.logs("app").partition("begun\n")[2]
        assert role(sts, said) == "app", said


def check_without_linger_it_is_not(directory):
    def hurried(built):
        data = find(built, "ConfigMap", DROP_INS)["data"]
        assert "25s" in data["linger.toml"]
        data["linger.toml"] = data["linger.toml"].replace("25s", "0s")
        return built

    with pod("shop-plain", directory, hurried) as (running, _sts):
        await_("the application", lambda: "begun" in running.logs("app"))
        running.terminate()
        assert running.logs("app").partition("begun\n")[2] == ""
