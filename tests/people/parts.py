"""What the checks have in common: the daemon with people, servers beside it, certificates, and requests."""

import base64
import contextlib
import http.client
import json
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from daemon_process import DaemonProcess

ANSWER_SECONDS = 20

PASSWORD = "PASSWORD"
HASH = "$2b$05$abcdefghijklmnopqrstuuaVslPbz6udAQBKm5cfxXVM.psWYmgby"

# Whoever is in a group of this name gets the role after it.
GRANTS = """
[account.local]
id = "000000000000"
credentials = { from = "local" }

[account.local.role.web]
[account.local.role.admin]
[account.local.role.ops]

[[grant]]
role = "local/{role}"
when = { group = { regex = "aws-(?<role>[a-z]+)" } }
reason = "member of {group}"
"""


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class Daemon:
    """The daemon with this configuration; used as a context. `port` is that of its first address over TCP."""

    def __init__(self, directory, configuration, environment=()):
        self._directory = Path(directory)
        self._process = DaemonProcess(self._directory, environment)
        self._configuration = configuration

    def __enter__(self):
        state = self._directory / "state"
        self._process.start(f'{self._configuration}\n{GRANTS}\n[state]\ndirectory = "{state}"\n')
        listening = self._process.await_record(
            lambda record: record.get("message") == "listening" and ":" in record["address"].removeprefix("unix:")
        )
        self.port = int(listening["address"].rpartition(":")[2]) if listening else None
        return self

    def __exit__(self, kind, *_):
        self._process.kill() if kind else self._process.stop()

    def warned(self, words):
        """Whether the log says this, or comes to say it."""
        return self._process.await_record(lambda record: words in json.dumps(record)) is not None

    def audit(self, event):
        """The events of this kind in the audit trail."""
        return self._process.audit(event)

    def await_audit(self, event, wanted):
        """The first event of this kind that fulfils `wanted`; None if none comes."""
        return self._process.await_audit(event, wanted)

    def libraries(self):
        """What the kernel says is mapped into it."""
        return self._process.libraries()

    def get(self, path, user=None, password=None, headers=()):
        return get(("127.0.0.1", self.port), path, user, password, headers)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(str(self._path))


def get(address, path, user=None, password=None, headers=()):
    """Asks (host, port), or a socket's path."""
    if isinstance(address, tuple):
        connection = http.client.HTTPConnection(*address, timeout=ANSWER_SECONDS)
    else:
        connection = UnixConnection(address)
    with contextlib.closing(connection):
        connection.putrequest("GET", path)
        if user is not None:
            connection.putheader("Authorization", basic(user, password))
        for name, value in dict(headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        answered = connection.getresponse()
        headers_of = {name.lower(): value for name, value in answered.headers.items()}
        return Answer(answered.status, headers_of, answered.read())


def basic(user, password):
    """The header that shows a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def write_private(directory, **texts):
    """Files of these names that their owner alone may read."""
    for name, text in texts.items():
        file = Path(directory, name)
        file.write_text(text)
        file.chmod(0o600)


def hashed(password):
    """The password as the shadow file and htpasswd's have it."""
    command = ["openssl", "passwd", "-5", "-stdin"]
    made = subprocess.run(command, input=password, check=True, capture_output=True, text=True, timeout=30)
    return made.stdout.strip()


def certificates(directory, *names):
    """An authority's ca.pem, and NAME.pem with NAME.key for each name: `localhost` as a server, others as a client."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    for name in names:
        extensions = f"subjectAltName=DNS:{name},IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
        Path(directory, f"{name}.ext").write_text(extensions)
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext",
        )
        Path(directory, f"{name}.key").chmod(0o600)


def expect(answer, status, user=None, roles=None):
    """Holds an answer of AFP's list against what it must be."""
    told = f"{answer.status} {answer.headers} {answer.body[:400]!r}"
    assert answer.status == status, told
    if user is not None:
        assert answer.headers.get("x-username") == user, told
    if roles is not None:
        found = {account: sorted(of) for account, of in answer.json().items()}
        assert found == ({"local": sorted(roles)} if roles else {}), told
