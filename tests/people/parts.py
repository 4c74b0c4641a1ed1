"""What the checks have in common: the daemon with people, servers beside it, certificates, and requests."""

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from daemon_process import DaemonProcess

START_SECONDS = 20
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


class Server:
    """A process beside the daemon, ready when `ready` says so; used as a context."""

    def __init__(self, command, ready, log, **options):
        self._command, self._ready, self._log, self._options = command, ready, Path(log), options
        self._process = None

    def __enter__(self):
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *map(str, self._command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._options,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.__exit__()
                said = self._log.read_text(errors="replace")[-800:]
                raise AssertionError(f"{self._command[0]} did not start: {said}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(START_SECONDS)

    def signal(self, number):
        """Signals all of it."""
        os.killpg(self._process.pid, number)


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address):
    """Whether somebody accepts connections there."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1)
        with contextlib.suppress(OSError):
            probe.connect(address if isinstance(address, tuple) else str(address))
            return True
    return False


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
