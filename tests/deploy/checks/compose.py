"""The compose files, run: each application gets its role, nobody else gets anything."""

import json
import os
import re
import signal
from contextlib import contextmanager

from engine import APP, DEPLOY, Project, address, await_, engine
from scripted_sts import ScriptedSts

SLEEP = ["sleep", "infinity"]
# What an SDK does that is given these variables.
ASK = 'curl -s -m 20 -H "Authorization: $(cat $AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)" $AWS_CONTAINER_CREDENTIALS_FULL_URI'


@contextmanager
def project(folder, directory, account, besides, **variables):
    """A project whose accounts are at a scripted STS; both."""
    sts = ScriptedSts(("0.0.0.0", 0))
    try:
        endpoint = f'[account.{account}]\nendpoint = "http://{address()}:{sts._address[1]}"\n'
        rolecall = {"volumes": ["./endpoint.toml:/etc/rolecall/rolecall.d/endpoint.toml:ro"]}
        with Project(folder, directory, variables, {**besides, "rolecall": rolecall}, endpoint) as running:
            yield running, sts
    finally:
        sts.close()


def role(sts, answer):
    """The role that upstream issued these credentials for; None where they are none."""
    try:
        return sts.issued[json.loads(answer)["AccessKeyId"]].role
    except (ValueError, KeyError):
        return None


def check_every_compose_file_is_valid(_directory):
    for folder in ("sidecar", "network", "exec"):
        told = engine().compose("--file", DEPLOY / folder / "compose.yaml", "config", "--quiet")
        assert told == "", told


def check_an_application_gets_its_role_of_its_sidecar(directory):
    with project("sidecar", directory, "prod", {"app": {"image": APP, "command": SLEEP}}) as (running, sts):
        docker = engine()
        app, daemon = running.container("app"), running.container("rolecall")
        assert role(sts, docker.inside(app, ASK)) == "app"
        without = docker.inside(app, "curl -s $AWS_CONTAINER_CREDENTIALS_FULL_URI")
        assert json.loads(without)["code"] == "AuthorizationMissing", without
        assert "Read-only" in docker("exec", app, "touch", "/var/run/secrets/rolecall/new", check=False).stderr
        # Another container of the project's network, of the same user and with the token.
        joined = docker("run", "--detach", "--user", "1000", "--network", "shop_default", "--volume",
                        "shop_token:/var/run/secrets/rolecall:ro", APP, *SLEEP).strip()
        pod = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
                     running.container("pod")).strip()
        told = docker.inside(joined, f"curl -s -m 5 http://{pod}:9169/healthz; "
                             f"curl -s -m 5 -H \"Authorization: $(cat /var/run/secrets/rolecall/token)\" http://{pod}:8170/creds")
        assert told == "ok\n" or told == "ok", told
        docker("rm", "--force", joined)
        # The one restarts without the other, and both keep their network.
        started = docker.state(daemon)["StartedAt"]
        os.kill(docker.state(daemon)["Pid"], signal.SIGKILL)
        await_("a new start", lambda: docker.state(daemon)["StartedAt"] != started)
        docker.await_health(daemon)
        assert role(sts, docker.inside(app, ASK)) == "app"


def check_compose_ends_the_application_before_its_sidecar(directory):
    last = f"trap '{ASK}; exit 0' TERM; echo begun; while :; do sleep 0.1; done"
    besides = {"app": {"image": APP, "command": ["bash", "-c", last.replace("$", "$$")]}}
    with project("sidecar", directory, "prod", besides) as (running, sts):
        docker = engine()
        app, daemon = running.container("app"), running.container("rolecall")
        await_("the application", lambda: "begun" in docker.logs(app))
        running("stop")
        said = docker.logs(app).partition("begun\n")[2]
        assert role(sts, said) == "app", said
        assert docker.state(daemon)["ExitCode"] == 0
        assert docker.state(app)["FinishedAt"] < docker.state(daemon)["FinishedAt"]


def check_on_a_network_each_service_gets_its_own_role(directory):
    besides = {name: {"image": APP, "command": SLEEP} for name in ("web", "worker")}
    besides["thief"] = {
        "image": APP, "command": SLEEP, "user": "1000:1000", "networks": ["credentials"],
        "volumes": ["token-web:/run/rolecall:ro"], "environment": {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/creds",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/run/rolecall/token"}}
    with project("network", directory, "dev", besides, DOCKER_SOCKET=engine().socket) as (running, sts):
        docker = engine()
        web, worker, thief = (running.container(name) for name in ("web", "worker", "thief"))
        assert role(sts, docker.inside(web, ASK)) == "web"
        assert role(sts, docker.inside(worker, ASK)) == "worker"
        anothers = docker.inside(web, ASK.replace("$AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.2/role/dev/worker"))
        assert json.loads(anothers)["code"] == "NoSuchRole", anothers
        without = docker.inside(web, "curl -s $AWS_CONTAINER_CREDENTIALS_FULL_URI")
        assert json.loads(without)["code"] == "AuthorizationMissing", without
        stolen = docker.inside(thief, ASK)
        assert role(sts, stolen) is None and "AccessKeyId" not in stolen, stolen
        assert json.loads(stolen)["code"] in ("AccessDenied", "NoSuchRole"), stolen
        # The host, and a container that only the project's other network has.
        host = docker("run", "--rm", "--network", "host", "--volume", "shop_token-web:/run/rolecall:ro", "--user", "1000",
                      "--env", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.2/creds",
                      "--env", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/rolecall/token",
                      APP, "bash", "-c", ASK, check=False)
        assert host.stdout == "", host.stdout
        # Whoever has the container's address and token after it has not its role.
        [had] = re.findall(r'"IPAddress": "(169\.254\.170\.\d+)"', docker("inspect", web))
        docker("rm", "--force", web)
        heir = docker("run", "--detach", "--network", "shop_credentials", "--ip", had, "--user", "1000",
                      "--volume", "shop_token-web:/run/rolecall:ro",
                      "--env", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.2/creds",
                      "--env", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/rolecall/token", APP, *SLEEP).strip()
        told = docker.inside(heir, ASK)
        docker("rm", "--force", heir)
        assert json.loads(told)["code"] in ("AccessDenied", "NoSuchRole"), told
