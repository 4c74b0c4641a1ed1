"""The world of one cell: a scripted STS, a service that checks signatures, one daemon, one client. Nothing
here decides what a row wants; it starts things, asks, and proves where an answer came from."""

import secrets
import subprocess
import threading
import time
from pathlib import Path

import asking
import scripted_sts
import witness

from matrix import daemon as daemons
from matrix.program import UID, Program

BEHIND_SECONDS = 3  # in which a client that renews behind an answer must have the new session

SOON_SECONDS = 15


class Failed(Exception):
    """Why a cell does not pass, in words for whoever reads the run."""


class Cell:
    def __init__(self, client, directory):
        self.client = client
        self.directory = directory
        self.sts = scripted_sts.ScriptedSts()
        self.witness = witness.Witness(self.sts.known_secrets)
        self.uid = 0 if client.root else UID
        self.instance_id = "i-" + secrets.token_hex(8) + "0"
        self.daemon = daemons.Daemon(
            directory, self.sts.url, scripted_sts.BASE_KEY, scripted_sts.BASE_SECRET,
            self.uid, self.instance_id,
        )
        self._programs = []

    def close(self):
        for program in self._programs:
            program.stop()
        self._unmount_all()
        self.daemon.kill()
        self.sts.close()
        self.witness.close()

    def start_daemon(self, **configuration):
        configuration.setdefault("imdsv1", self.client.imds == "v1")
        self.daemon.serve(listener=self.client.listener, **configuration)

    def program(self, environment=None, clock=False):
        """A fresh process of the client."""
        places = {
            "s3": self.witness.url,
            "s3host": self.witness.url.removeprefix("http://"),
            "mount": str(self.directory / f"mount-{len(self._programs)}"),
        }
        if environment is None:
            environment = self.own_way()
        environment = {"AWS_ENDPOINT_URL_STS": self.witness.url, **environment}
        program = Program(self.client, self.directory, places, environment, clock)
        self._programs.append(program)
        return program

    def own_way(self):
        """The environment in which the client finds the daemon as it usually does."""
        if self.client.imds is None:
            return self.container_variables(self.relative_path())
        if self.client.endpoint == "variable":
            return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": daemons.METADATA_URL}
        return {}

    def own_api(self):
        return "container" if self.client.imds is None else "imds"

    def token(self):
        return self.daemon.token_file.read_text()

    def relative_path(self):
        return self.daemon.uri_file.read_text()

    def container_variables(self, path, token=None):
        """What an orchestrator sets for a container client."""
        if self.client.container == "relative":
            return {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": path}
        variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": daemons.CONTAINER_URL + path}
        if token is None:
            return variables
        if self.client.token_by == "file":
            file = self.directory / f"token-{secrets.token_hex(4)}"
            file.write_text(token)
            return variables | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)}
        return variables | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": token}

    def ask(self, program):
        """One ask, and how it was met at the witness."""
        before = len(self.witness.signed)
        answer = program.ask(self.client.patience)
        return answer, self.witness.signed[before:]

    def served(self, program, api=None, other_than=None):
        """Asks and insists on the daemon's credentials, unchanged and in its audit. Gives the key id.
        With `other_than` it asks on for a while: many clients renew behind an answer from memory."""
        api = api or self.own_api()
        deadline = time.monotonic() + BEHIND_SECONDS
        while True:
            answer, signed = self.ask(program)
            if self.client.proof == "identity":
                return self._right_identity(answer)
            if answer.word not in ("key", "signed", "done"):
                raise Failed(
                    f"wanted credentials, got {answer.word} after {answer.seconds:.1f} s: {answer.text}"
                )
            key = answer.key or self._recorded(signed)
            if key != other_than:
                break
            if time.monotonic() > deadline:
                raise Failed(f"the client still has {key}")
        issued = self.sts.issued.get(key)
        if issued is None:
            raise Failed(f"the client has {key!r}, which the upstream never issued")
        if answer.word == "key" and answer.digest != asking.digest(issued.secret_access_key, issued.session_token):
            raise Failed(f"secret or session token of {key} changed on the way")
        caller = f"uid {self.uid}"
        if not self.daemon.await_audit(
            "hand-out",
            lambda event: event.get("access_key_id") == key and event.get("api") == api
            and event.get("caller") == caller and event.get("role") == daemons.ROLE,
        ):
            raise Failed(
                f"no audit event tells of {key} handed to {caller} by {api}: {self.daemon.audit('hand-out')}"
            )
        return key

    def served_soon(self, program):
        """Asks on until the client is served, as its user would."""
        deadline = time.monotonic() + SOON_SECONDS
        while True:
            try:
                return self.served(program)
            except Failed:
                if time.monotonic() > deadline:
                    raise

    def refused(self, program, denial=False):
        """Asks and insists on a plain failure in time, with nothing handed out. Gives the words."""
        answer, signed = self.ask(program)
        if answer.word == "late":
            raise Failed(f"no answer within {self.client.patience:.0f} s")
        if answer.word != "error" or signed:
            raise Failed(f"wanted a plain failure, got {answer.word} {answer.key or answer.text} {signed}")
        if self.daemon.audit("hand-out"):
            raise Failed(f"credentials were handed out: {self.daemon.audit('hand-out')}")
        caller = f"uid {self.uid}"
        if denial and not self.daemon.await_audit("denial", lambda event: event.get("caller") == caller):
            raise Failed(f"no audit event tells of the denial to {caller}")
        return answer.text

    def not_served_anew(self, program, before):
        """Asks and insists that the client fails or goes on with what it had, with nothing handed out."""
        answer, _ = self.ask(program)
        if answer.word != "error" and answer.key != before:
            raise Failed(f"wanted a failure or {before}, got {answer.word} {answer.key}")
        if self.daemon.audit("hand-out"):
            raise Failed(f"credentials were handed out: {self.daemon.audit('hand-out')}")

    def wait(self, seconds):
        """Lets real time pass, for clients whose clock cannot be moved."""
        threading.Event().wait(seconds)

    def _unmount_all(self):
        """What a client that had to be killed left mounted."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in mounts:
            if mount.startswith(f"{self.directory}/"):
                subprocess.run(["umount", "-l", mount], check=False)

    def _recorded(self, signed):
        if not signed:
            raise Failed(f"the witness saw no signed request (refused: {self.witness.refused})")
        if self.witness.refused:
            raise Failed(f"the witness refused requests: {self.witness.refused}")
        return signed[-1]

    def _right_identity(self, answer):
        if answer.word != "identity" or answer.text != self.instance_id:
            raise Failed(f"wanted {self.instance_id}, got {answer.word} {answer.text!r}")
        return answer.text
