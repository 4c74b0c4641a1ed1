"""`rolecall exec` as the entry point of an image: what the program is, gets, and leaves behind."""

from contextlib import contextmanager

from compose import project, role
from engine import APP, await_, engine

# What an SDK does that is given these variables.
ASK = 'curl -s -m 20 -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" $AWS_CONTAINER_CREDENTIALS_FULL_URI'
WRAPPED = "shop_app"


@contextmanager
def wrapped(directory):
    """The project whose application has the entry point; the one that compose starts only sleeps."""
    besides = {"app": {"command": ["sleep", "infinity"], "stop_grace_period": "1s"}}
    with project("exec", directory, "prod", besides, APP_IMAGE=APP) as (running, sts):
        docker = engine()
        pod = running.container("pod")

        def container(*command, **options):
            """One more container of the application's image in the pod; its name, once it has begun."""
            shared = [f"--{kind}=container:{pod}" for kind in ("network", "pid")]
            begun = docker("run", *options.pop("how", ["--detach"]), *shared, "--user", options.pop("user", "1001"),
                           "--volume", "shop_admin:/run/rolecall:ro", WRAPPED, *command, **options)
            return begun if options else begun.strip()

        yield container, sts


def check_the_program_finds_its_credentials_and_no_others(directory):
    with wrapped(directory) as (container, sts):
        foreground = ["--rm", "--env", "AWS_ACCESS_KEY_ID=AKIASTALE", "--env", "AWS_PROFILE=stale"]
        told = container("bash", "-c", f"echo $AWS_ACCESS_KEY_ID$AWS_PROFILE; {ASK}", how=foreground, check=False).stdout
        first, _, answer = told.partition("\n")
        assert first == "" and role(sts, answer) == "app", told
        # Another process has no use for the token, not even one of the same user.
        asking = container("bash", "-c", 'echo "$AWS_CONTAINER_AUTHORIZATION_TOKEN"; exec sleep infinity')
        docker = engine()
        token = await_("the token", lambda: docker.logs(asking).strip())
        other = f'curl -s -H "Authorization: {token}" http://127.0.0.1:8170/creds'
        docker("kill", asking)
        docker("wait", asking)
        told = container("bash", "-c", other, how=["--rm"], check=False).stdout
        assert "AuthorizationInvalid" in told, told
        # Who has no grant is not even begun.
        refused = container("bash", "-c", "echo begun", how=["--rm"], user="1002", check=False)
        assert refused.returncode == 77 and refused.stdout == "", refused


def check_the_containers_exit_status_is_the_programs(directory):
    with wrapped(directory) as (container, _sts):
        for command, status in ((["bash", "-c", "exit 5"], 5), (["bash", "-c", "kill -9 $$"], 137), (["bash", "-c", "exit 0"], 0),
                                (["/no/such/program"], 127), (["/tmp"], 126)):
            ended = container(*command, how=["--rm"], check=False)
            assert ended.returncode == status, (command, ended)


def check_signals_reach_the_program_itself(directory):
    with wrapped(directory) as (container, sts):
        docker = engine()
        last = f"trap '{ASK}; exit 7' TERM; trap 'echo hung up' HUP; echo begun; while :; do sleep 0.1; done"
        name = container("bash", "-c", last)
        await_("the program", lambda: "begun" in docker.logs(name))
        docker("kill", "--signal", "HUP", name)
        await_("its answer", lambda: "hung up" in docker.logs(name))
        docker("stop", "--time", "20", name)
        assert docker.state(name)["ExitCode"] == 7
        assert role(sts, docker.logs(name).rpartition("\n")[2]) == "app", docker.logs(name)


def check_what_the_program_leaves_behind_is_reaped(directory):
    with wrapped(directory) as (container, _sts):
        docker = engine()
        # The inner shell ends first, so that its child has no parent but the first process.
        orphan = "bash -c 'sleep 0.2 & echo $!; exit'; exec sleep infinity"
        name = container("bash", "-c", orphan)
        left = await_("the orphan", lambda: docker.logs(name).strip())
        gone = f"[ ! -e /proc/{left} ] && echo gone"
        await_("its end", lambda: docker.inside(name, gone) == "gone\n")


def check_without_a_daemon_the_program_is_not_begun(directory):
    docker = engine()
    with wrapped(directory):
        pass
    ended = docker("run", "--rm", WRAPPED, "bash", "-c", "echo begun", check=False)
    assert ended.returncode == 69 and ended.stdout == "", ended
