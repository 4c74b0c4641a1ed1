"""A docker of the suite's own: its images, its containers, and projects of docker-compose."""

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from daemon_process import launch

HERE = Path(__file__).resolve().parent
DEPLOY = HERE.parents[1] / "deploy"
ROLECALL = "rolecall:0.1.0"
APP = "app:1"
PAUSE = "pause:1"
# What applications here are made of, and the container that sets the network of a node up.
PROGRAMS = ["bash", "cat", "curl", "ip", "ls", "nft", "sh", "sleep", "touch"]
SECONDS = 60


class Ended(AssertionError):
    """A command ended badly."""


def run(*command, environment=None, check=True, **options):
    """Runs a command to its end; gives what it printed, and its exit status where that is not to be 0."""
    ended = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
        check=False, env={**os.environ, **(environment or {})}, **options,
    )
    if not check:
        return ended
    if ended.returncode != 0:
        raise Ended(f"{' '.join(ended.args)} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def await_(what, wanted, seconds=SECONDS):
    """Asks again until there is something; gives it."""
    deadline = time.monotonic() + seconds
    while not (got := wanted()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {seconds} s")
        # Nothing tells of it but asking; whoever is asked takes its own time.
        os.sched_yield()
    return got


class Engine:
    """dockerd in this process's network namespace, with the images that the checks need."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="rolecall-docker-"))
        self.socket = self._folder / "docker.sock"
        self._environment = {"DOCKER_HOST": f"unix://{self.socket}", "HOME": str(self._folder)}
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self._folder)}
        self._daemon = launch(
            ["dockerd", "-H", f"unix://{self.socket}", "--data-root", self._folder / "data",
             "--exec-root", self._folder / "exec", "--pidfile", self._folder / "docker.pid"],
            environment, self._folder / "dockerd.log", seconds=SECONDS,
        )
        atexit.register(self._end)
        binary = Path(os.environ["ROLECALL_BIN"]).resolve()
        image = self._folder / "rolecall"
        root = image / "usr/bin"
        root.mkdir(parents=True)
        run("strip", "-o", root / "rolecall", binary)
        self._import(image, ROLECALL, [root / "rolecall"], "USER 65532:65532", 'ENTRYPOINT ["rolecall"]',
                     'VOLUME ["/run/rolecall", "/var/lib/rolecall"]')
        # With what rolecall is linked with, for images that are made of it and have rolecall copied into them.
        programs = [Path(shutil.which(name)) for name in PROGRAMS]
        self._import(self._folder / "app", APP, programs, linked_with=[root / "rolecall"])
        pause = self._folder / "pause"
        pause.mkdir()
        run("cc", "-static", "-Os", "-o", pause / "pause", HERE / "pause.c")
        self._import(pause, PAUSE, [], 'ENTRYPOINT ["/pause"]')

    def __call__(self, *words, **options):
        """Has docker do this."""
        return run("docker", *words, environment=self._environment, **options)

    def compose(self, *words, **options):
        """Has docker-compose do this."""
        return run("docker-compose", *words, environment=self._environment, **options)

    def inside(self, container, script):
        """What a line of bash prints in a container, whatever its status."""
        return self("exec", container, "bash", "-c", script, check=False).stdout

    def state(self, container):
        """What docker says of a container's state."""
        return json.loads(self("inspect", "--format", "{{json .State}}", container))

    def await_health(self, container):
        """Waits until docker calls it healthy."""
        await_(f"the health of {container}", lambda: self.state(container)["Health"]["Status"] == "healthy")

    def logs(self, container):
        """All that it printed."""
        ended = self("logs", container, check=False)
        return ended.stdout + ended.stderr

    def _import(self, root, name, programs, *changes, linked_with=()):
        """An image of a folder, of these programs and of what they and others are linked with."""
        linked = "".join(run("ldd", program, check=False).stdout for program in (*programs, *linked_with))
        libraries = {Path(path) for path in re.findall(r"(/\S+) \(0x", linked)}
        for file in (*programs, *sorted(libraries)):
            if not file.is_relative_to(root):
                place = root / file.relative_to("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
        (root / "tmp").mkdir(exist_ok=True)
        (root / "tmp").chmod(0o1777)
        options = [word for change in (*changes, "ENV PATH=/usr/bin:/usr/sbin:/bin:/sbin") for word in ("--change", change)]
        archive = root.with_suffix(".tar")
        run("tar", "-C", root, "--owner=0", "--group=0", "-cf", archive, ".")
        self("import", *options, archive, name)
        archive.unlink()

    def _end(self):
        containers = self("ps", "--all", "--quiet").split()
        if containers:
            self("rm", "--force", "--volumes", *containers)
        self._daemon.terminate()
        self._daemon.wait(SECONDS)
        # It leaves the namespace of --network host mounted.
        run("umount", "--lazy", self._folder / "exec/netns/default", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.cache
def engine():
    """The one engine of this run."""
    return Engine()


def address():
    """Where containers find a server that listens on all addresses of this process's namespace."""
    told = engine()("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge").strip()
    # Docker 20 leaves it out where it is the usual one.
    return told or "172.17.0.1"


class Project:
    """A folder of deploy/ as a project of docker-compose, with settings and services of the check's beside."""

    def __init__(self, folder, directory, variables, besides, endpoint):
        self._folder = Path(directory) / folder
        shutil.copytree(DEPLOY / folder, self._folder)
        (self._folder / "endpoint.toml").write_text(endpoint)
        # A list of services is YAML too, as JSON.
        (self._folder / "besides.yaml").write_text(json.dumps({"version": "3.9", "services": besides}))
        aws = self._folder / "aws"
        aws.mkdir()
        (aws / "credentials").write_text(BASE_PROFILE)
        for file in (aws, aws / "credentials"):
            os.chown(file, 1000, 1000)
        variables = {"ROLECALL_IMAGE": ROLECALL, "PAUSE_IMAGE": PAUSE, "AWS_FOLDER": "./aws", **variables}
        (self._folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))

    def __enter__(self):
        try:
            self("up", "--detach")
        except Ended:
            print("\n".join(engine().logs(id) for id in engine()("ps", "--all", "--quiet").split()))
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self("down", "--volumes", "--timeout", "2", check=False)

    def __call__(self, *words, **options):
        files = ["--file", self._folder / "compose.yaml", "--file", self._folder / "besides.yaml"]
        return engine().compose("--project-directory", self._folder, "--project-name", PROJECT, *files, *words, **options)

    def container(self, service):
        """The container of a service."""
        return self("ps", "--quiet", service).strip()


# Compose tells it to docker, and docker to rolecall: deploy/network has grants for its services.
PROJECT = "shop"
BASE_PROFILE = """[default]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
"""
