"""A client in its own process without privilege, asked line by line, every answer with a deadline."""

import os
import platform
import select
import signal
import subprocess
import time
from dataclasses import dataclass

from matrix.clients import CLOCK
from matrix.places import PROGRAMS

UID = 4242
FAKETIME = f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1"


@dataclass(frozen=True)
class Answer:
    """One line of a client program: see programs/asking.py."""

    word: str  # key, signed, identity, done, error; late or died if there was none
    key: str = ""
    digest: str = ""
    text: str = ""
    seconds: float = 0.0


class Program:
    """One process of a client, or one for each ask; see `Client.steady`."""

    def __init__(self, client, cell_directory, places, environment, clock=False):
        self._client = client
        self._directory = cell_directory
        self._places = places
        self._asks = 0
        self._ahead = 0
        self._moved_clock = []
        self._clock = cell_directory / "clock"
        self._errors = open(cell_directory / "client.err", "ab")
        self._process = None
        self._environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ["PATH"],
            "HOME": str(cell_directory / "home"),
            "TMPDIR": str(cell_directory / "home"),
            "LANG": "C.UTF-8",
            "AWS_CONFIG_FILE": str(cell_directory / "absent"),
            "AWS_SHARED_CREDENTIALS_FILE": str(cell_directory / "absent"),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": str(PROGRAMS),
            "PYTHONDONTWRITEBYTECODE": "1",
            **client.environment,
            **environment,
        }
        home = cell_directory / "home"
        home.mkdir(exist_ok=True)
        os.chown(home, self.uid, self.uid)
        if clock:
            self._clock.write_text("+0\n")
            self._clock.chmod(0o644)
            # By `env`, after setpriv: libfaketime must meet the client's own uid first.
            self._moved_clock = [
                "env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={self._clock}",
                "FAKETIME_NO_CACHE=1", *(["FAKETIME_DONT_FAKE_MONOTONIC=1"] if client.clock == "wall" else []),
            ]

    @property
    def uid(self):
        return 0 if self._client.root else UID

    def move_clock(self, seconds, further=False):
        """From now on the client's clock is this far ahead of the machine's, or this much further."""
        self._ahead = self._ahead + seconds if further else seconds
        replacement = self._clock.with_suffix(".new")
        replacement.write_text(f"+{self._ahead}\n")
        replacement.chmod(0o644)
        replacement.rename(self._clock)

    def ask(self, patience):
        """One ask; an answer that takes longer than `patience` seconds is `late`."""
        started = time.monotonic()
        answer = self._ask_steady(patience) if self._client.steady else self._ask_once(patience)
        seconds = time.monotonic() - started
        return Answer(answer.word, answer.key, answer.digest, answer.text, seconds)

    def stop(self):
        process, self._process = self._process, None
        if process is not None:
            try:
                process.stdin.close()
                process.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                pass
            self._end(process)
        self._errors.close()

    def _ask_steady(self, patience):
        if self._process is None:
            self._process = self._start(subprocess.PIPE, self._errors)
        try:
            self._process.stdin.write(b"ask\n")
            self._process.stdin.flush()
        except OSError:
            return Answer("died", text="before it was asked")
        line = self._read_line(patience)
        if line is None:
            return Answer("late")
        return _parse(line)

    def _ask_once(self, patience):
        process = self._start(subprocess.DEVNULL, subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            return Answer("late")
        finally:
            self._end(process)
        text = output.decode(errors="replace").strip()
        if process.returncode < 0:
            return Answer("died", text=f"with exit code {process.returncode}: {text}")
        if process.returncode != 0:
            return Answer("error", text=" ".join(text.split()))
        if self._client.proof == "identity":
            return Answer("identity", text=text.rpartition(" ")[2])
        return Answer("done", text=text)

    def _start(self, stdin, stderr):
        privilege = [] if self._client.root else [
            f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
            "--no-new-privs",
        ]
        return subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *privilege, *self._command()],
            env=self._environment, cwd=self._directory / "home",
            stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
        )

    def _command(self):
        """The client's command, its places filled in and its clock before what is to have it."""
        self._asks += 1
        command = self._client.command if CLOCK in self._client.command else [CLOCK, *self._client.command]
        at = command.index(CLOCK)
        filled = [part.format(ask=self._asks, **self._places) for part in command if part != CLOCK]
        return [*filled[:at], *self._moved_clock, *filled[at:]]

    def _read_line(self, patience):
        deadline = time.monotonic() + patience
        line = b""
        descriptor = self._process.stdout.fileno()
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            read = os.read(descriptor, 65536)
            if not read:
                self._process.wait(5)
                return b"died with exit code %d" % self._process.returncode
            line += read
        return line

    @staticmethod
    def _end(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(10)
        process.stdout.close()


def _parse(line):
    word, _, rest = line.decode(errors="replace").strip().splitlines()[-1].partition(" ")
    if word == "key":
        key, _, digest = rest.partition(" ")
        return Answer("key", key, digest)
    if word == "signed":
        return Answer("signed", rest)
    return Answer(word, text=rest)
