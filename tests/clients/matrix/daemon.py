"""One daemon for one cell: its configuration, its start and end, and what its audit says."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from matrix import places

START_SECONDS = 20
ACCOUNT = "prod"
ROLE = "prod/web"
OTHER_ROLE = "prod/other"
METADATA_URL = "http://127.0.0.1:1338/"
CONTAINER_URL = "http://127.0.0.1:8170"


class Broken(Exception):
    """The daemon did not do what every cell needs of it."""


class Daemon:
    """Started once or more in one directory; each start has a log of its own."""

    def __init__(self, directory, sts_url, base_key, base_secret, uid, instance_id):
        self.directory = Path(directory)
        self.uid = uid
        self.instance_id = instance_id
        self._sts_url = sts_url
        self._base_key = base_key
        self._starts = 0
        self._process = None
        self.log = None
        self.token_file = self.directory / "container.token"
        self.uri_file = self.directory / "container.uri"
        secret = self.directory / "base.secret"
        secret.write_text(base_secret)
        secret.chmod(0o600)

    def start(self, *, imds=True, imdsv1=False, prefetch=False, grant_to=None, listener=None):
        """Starts it with this configuration and waits until it says that it is ready."""
        self._starts += 1
        self.log = self.directory / f"daemon-{self._starts}.jsonl"
        config = self.directory / f"rolecall-{self._starts}.toml"
        config.write_text(self._configuration(imds, imdsv1, prefetch, grant_to, listener or {}))
        notify = self.directory / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            output = open(self.directory / f"daemon-{self._starts}.out", "wb")
            self._process = subprocess.Popen(
                [places.daemon(), "serve", "--config", config],
                env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(notify)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )
            output.close()
            self._await_ready(ready)

    def stop(self):
        """Ends it as systemd would, and insists that it ends."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
                raise Broken("the daemon did not end within 10 s of SIGTERM") from None
        if process.returncode != 0:
            raise Broken(f"the daemon ended with {process.returncode}: {self._output()}")

    def kill(self):
        """Ends it whatever it does; for the way out of a failed cell."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def forget_state(self):
        """What an operator does who deletes the state directory of a stopped daemon."""
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    def refresh(self):
        """Asks it to renew the role's session now, as an operator would."""
        asked = subprocess.run(
            [places.daemon(), "refresh", ROLE, "--socket", self.directory / "admin.sock"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
        )
        if asked.returncode != 0:
            raise Broken(f"rolecall refresh ended with {asked.returncode}: {asked.stderr.strip()}")

    def audit(self, event):
        """The audit events of this kind since this start."""
        records = []
        if self.log.exists():
            for line in self.log.read_text().splitlines():
                record = json.loads(line)
                if record.get("target") == "rolecall::audit" and record.get("event") == event:
                    records.append(record)
        return records

    def await_audit(self, event, wanted, seconds=5):
        """The first audit event of this kind that fulfils `wanted`; None if none comes."""
        deadline = time.monotonic() + seconds
        while True:
            for record in self.audit(event):
                if wanted(record):
                    return record
            if time.monotonic() > deadline:
                return None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)

    def _await_ready(self, ready):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if select.select([ready], [], [], 0.1)[0]:
                if b"READY=1" in ready.recv(4096).split(b"\n"):
                    return
            elif self._process.poll() is not None:
                raise Broken(f"the daemon did not start ({self._process.returncode}): {self._output()}")
        raise Broken(f"the daemon was not ready within {START_SECONDS} s: {self._output()}")

    def _output(self):
        text = (self.directory / f"daemon-{self._starts}.out").read_text(errors="replace")
        return " ".join(text.split())[-600:]

    def _configuration(self, imds, imdsv1, prefetch, grant_to, listener):
        granted = self.uid if grant_to is None else grant_to
        further = "".join(f"{key} = {json.dumps(value)}\n" for key, value in listener.items())
        metadata = f"""
[[listener]]
name = "metadata"
bind = ["169.254.169.254:80", "127.0.0.1:1338"]
apis = ["imds"]
imdsv1 = {json.dumps(imdsv1)}
instance-id = "{self.instance_id}"
availability-zone = "us-east-1a"
{further}"""
        return f"""{metadata if imds else ""}
[[listener]]
name = "container"
bind = ["169.254.170.2:80", "127.0.0.1:8170"]
apis = ["container"]
{further}
[[listener.token]]
role = "{ROLE}"
file = "{self.token_file}"
uri-file = "{self.uri_file}"
owner = "{granted}"

[account.{ACCOUNT}]
id = "123456789012"
region = "us-east-1"
endpoint = "{self._sts_url}"
credentials = {{ from = "key", access-key-id = "{self._base_key}", secret-access-key = "file:{self.directory}/base.secret" }}

[account.{ACCOUNT}.role.web]
duration = "12h"
session-name = "matrix"
prefetch = {json.dumps(prefetch)}

[account.{ACCOUNT}.role.other]
session-name = "other"

[[grant]]
role = "{ROLE}"
when = {{ uid = {granted} }}
reason = "the client under test"

[state]
directory = "{self.directory}/state"
sessions = "memory"

[admin]
socket = "{self.directory}/admin.sock"

[log]
to = ["file:{self.log}"]
"""
