"""The daemon as every cell configures it: one role for the client under test, one for nobody."""

import contextlib
import json
import shutil
import socket
import time
from pathlib import Path

from daemon_process import DaemonProcess

ACCOUNT = "prod"
ROLE = "prod/web"
OTHER_ROLE = "prod/other"
NOBODYS_UID = 4344
METADATA_URL = "http://127.0.0.1:1338/"
CONTAINER_URL = "http://127.0.0.1:8170"

# Of linux/netlink.h and linux/sock_diag.h: the kernel tells of each TCP socket that ends, by its group.
NETLINK_SOCK_DIAG = 4
ENDS_OF_TCP = 1 << 0
ENOUGH_FOR_ONE = 4096

# Of /proc/net/tcp: the other side has closed, this one has not.
CLOSE_WAIT = "08"
# Some clients look at a kept connection only when they use it again.
NOTICED_WITHIN = 0.3


class Daemon(DaemonProcess):
    def __init__(self, directory, sts_url, base_key, base_secret, uid, instance_id):
        super().__init__(directory)
        self.uid = uid
        self.instance_id = instance_id
        self._sts_url = sts_url
        self._base_key = base_key
        self.token_file = self.directory / "container.token"
        self.uri_file = self.directory / "container.uri"
        secret = self.directory / "base.secret"
        secret.write_text(base_secret)
        secret.chmod(0o600)

    def serve(self, *, imds=True, imdsv1=False, prefetch=False, grant_to=None, listener=None):
        """Starts it for this client; see the rows for what the words mean there."""
        self.start(self._configuration(imds, imdsv1, prefetch, grant_to, listener or {}))

    def stop(self):
        """Ends it, and lets clients notice: one that is about to send over a connection that the daemon has
        just closed sees that fail, whatever is served afterwards."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as ends:
            ends.bind((0, ENDS_OF_TCP))
            super().stop()
            deadline = time.monotonic() + NOTICED_WITHIN
            while _half_closed() and (left := deadline - time.monotonic()) > 0:
                ends.settimeout(left)
                with contextlib.suppress(TimeoutError):
                    ends.recv(ENOUGH_FOR_ONE)

    def forget_state(self):
        """What an operator does who deletes the state directory of a stopped daemon."""
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    def refresh(self):
        """Has it renew the role's session now, as an operator would."""
        self.command("refresh", ROLE)

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
file = "{self.token_file}"
uri-file = "{self.uri_file}"
owner = {granted}

[account.{ACCOUNT}]
id = "123456789012"
region = "us-east-1"
endpoint = "{self._sts_url}"
credentials.from = "key"
credentials.access-key-id = "{self._base_key}"
credentials.secret-access-key = "file:{self.directory}/base.secret"

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

[[grant]]
role = "{OTHER_ROLE}"
when = {{ uid = {NOBODYS_UID} }}
reason = "nobody's"

[state]
directory = "{self.directory}/state"
sessions = "memory"
"""


def _half_closed():
    """Whether a connection in this network namespace waits for its client to close it."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[3] == CLOSE_WAIT for line in lines)
