"""The daemon in a test: started with a configuration, ready when it says so, ended as systemd would, and
asked for its audit. The binary is $ROLECALL_BIN."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_SECONDS = 20
STOP_SECONDS = 10


class Broken(Exception):
    """The daemon did not do what every test needs of it."""


class DaemonProcess:
    """Started once or more in one directory; each start has a configuration and a log of its own."""

    def __init__(self, directory, environment=()):
        self.directory = Path(directory)
        self._environment = dict(environment)
        self.socket = self.directory / "admin.sock"
        self.log = None
        self._starts = 0
        self._process = None

    def start(self, configuration):
        """Starts it with this configuration, log and admin socket added, and waits until it is ready."""
        self._starts += 1
        self.log = self.directory / f"daemon-{self._starts}.jsonl"
        file = self.rewrite(configuration)
        self._process = launch(
            [_binary(), "serve", "--config", file],
            {"PATH": os.environ["PATH"], **self._environment},
            self._output, START_SECONDS,
        )

    def rewrite(self, configuration):
        """Writes its configuration, which counts from the next start or reload; gives the file."""
        file = self.directory / f"rolecall-{self._starts}.toml"
        file.write_text(f'{configuration}\n[admin]\nsocket = "{self.socket}"\n\n[log]\nto = ["file:{self.log}"]\n')
        return file

    def libraries(self):
        """What the kernel says is mapped into it."""
        return Path(f"/proc/{self._process.pid}/maps").read_text()

    def stop(self):
        """Ends it as systemd would, and insists that it ends well."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(STOP_SECONDS)
                raise Broken(f"the daemon did not end within {STOP_SECONDS} s of SIGTERM") from None
        if process.returncode != 0:
            raise Broken(f"the daemon ended with {process.returncode}: {_tail(self._output)}")

    def kill(self):
        """Ends it whatever it does; for the way out of a failed test."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)

    def command(self, *arguments):
        """Runs a command of the binary against this daemon; gives its standard output."""
        asked = subprocess.run(
            [_binary(), *arguments, "--socket", self.socket],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )
        if asked.returncode != 0:
            raise Broken(f"rolecall {' '.join(arguments)} ended with {asked.returncode}: {asked.stderr.strip()}")
        return asked.stdout

    def records(self):
        """The log of this start."""
        if not self.log.exists():
            return []
        whole = self.log.read_text().rpartition("\n")[0]  # a last line may still be being written
        return [json.loads(line) for line in whole.splitlines()]

    def audit(self, event):
        """The audit events of this kind since this start."""
        return [record for record in self.records() if _is_audit(record, event)]

    def await_audit(self, event, wanted, seconds=5):
        """The first audit event of this kind that fulfils `wanted`; None if none comes."""
        return self.await_record(lambda record: _is_audit(record, event) and wanted(record), seconds)

    def await_record(self, wanted, seconds=5):
        """The first record of the log that fulfils `wanted`; None if none comes."""
        deadline = time.monotonic() + seconds
        while True:
            for record in self.records():
                if wanted(record):
                    return record
            if time.monotonic() > deadline:
                return None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)

    @property
    def _output(self):
        return self.directory / f"daemon-{self._starts}.out"


def launch(command, environment, output, seconds):
    """Starts a service, and waits until it says that it is ready: sd_notify(3). What it prints goes to the file `output`."""
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
        open(output, "wb") as printed,
    ):
        notify = f"{directory}/notify"
        ready.bind(notify)
        # Should this process be killed, the service goes with it.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *command], env={**environment, "NOTIFY_SOCKET": notify},
            stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, start_new_session=True,
        )
        fault = _fault_before_ready(process, ready, seconds)
        if fault is None:
            return process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)
        raise Broken(f"{command[0]} {fault}: {_tail(output)}")


def _fault_before_ready(process, ready, seconds):
    deadline = time.monotonic() + seconds
    ended = os.pidfd_open(process.pid)
    try:
        while (left := deadline - time.monotonic()) > 0:
            happened = select.select([ready, ended], [], [], left)[0]
            if ready in happened:
                if b"READY=1" in ready.recv(4096).split(b"\n"):
                    return None
            elif ended in happened:
                return f"did not start ({process.wait()})"
        return f"was not ready within {seconds} s"
    finally:
        os.close(ended)


def _tail(output):
    return " ".join(output.read_text(errors="replace").split())[-600:]


def _is_audit(record, event):
    return record.get("target") == "rolecall::audit" and record.get("event") == event


def _binary():
    return Path(os.environ["ROLECALL_BIN"]).resolve()
