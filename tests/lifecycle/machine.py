"""A machine of this suite: it is switched off and on, and clients in it ask without a pause."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "callers"), str(TESTS / "upstreams")]

import suite.machine  # noqa: E402
from suite import Failed, until  # noqa: E402

TOOL = TESTS / "boot" / "machine"
CLIENTS = 8
FIRST_UID = 3001
# What one step must have been under, and how long it may take.
LEAST_REQUESTS = 500
STEP_SECONDS = 120
REPORT = "/var/lib/load.json"
LOAD = "/opt/load.py"
# Clients that ask from the moment of booting on, when there are sockets, and before there is a daemon.
AT_BOOT = f"""[Unit]
After=rolecall-metadata.socket rolecall-metadata-ipv6.socket
[Service]
Type=notify
NotifyAccess=all
Environment=AT_BOOT=1
ExecStart=/usr/bin/python3 {LOAD} {REPORT} {FIRST_UID} {CLIENTS}
KillMode=mixed
[Install]
WantedBy=multi-user.target
"""


class Machine(suite.machine.Machine):
    """One that outlives its own power cuts."""

    def __init__(self, folder, options, debian):
        self.exposure = None  # what its systemd says of the units, once it was asked
        self.folder = folder
        os.environ["MACHINE"] = str(folder)
        self._tool("up", *options, debian)
        self._found()

    def _tool(self, *words):
        subprocess.run([TOOL, *map(str, words)], check=True, env=os.environ | {"MACHINE": str(self.folder)})

    def _found(self):
        super().__init__()
        self.network = f"/run/netns/{(self.folder / 'tag').read_text().strip()}"

    def reboot(self, *how):
        self._tool("off", *how)
        self._tool("on")
        self._found()

    def off(self):
        self._tool("down")

    def copy(self, file, path):
        self.put(path, Path(file).read_bytes(), 0o755)


@contextlib.contextmanager
def load(machine, address=None, at_boot=False, clients=CLIENTS, attempts=1):
    """Clients that ask while the block runs, the SDK with so many attempts; what came of it is in the list that this gives,
    when it has ended."""
    told = []
    machine.run("rm", "-f", REPORT)
    options = ["--property=Type=notify", "--property=NotifyAccess=all", "--property=KillMode=mixed",
               f"--setenv=ATTEMPTS={attempts}"]
    if at_boot:
        options.append("--setenv=AT_BOOT=1")
    words = ["/usr/bin/python3", LOAD, REPORT, FIRST_UID, clients, *([address] if address else [])]
    machine.run("systemd-run", "--quiet", "--collect", "--unit=load", *options, *words, seconds=STEP_SECONDS)
    yield told
    told += ended(machine)


def ended(machine):
    """Has the clients end, and gives what they tell."""
    machine.run("systemctl", "stop", "load.service", seconds=STEP_SECONDS)
    report = machine.root / REPORT.lstrip("/")
    if not until(STEP_SECONDS, report.exists):
        raise Failed("the clients told nothing")
    return json.loads(report.read_text())
