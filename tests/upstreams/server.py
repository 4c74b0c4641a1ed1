"""Servers beside the daemon, on loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 20


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
