"""What is there before the package: users, an STS, and the configuration of an operator."""

import contextlib
import subprocess
import sys

import scripted_sts
from machine import CLIENTS, FIRST_UID, LOAD, TESTS
from server import Server

STS = ("127.0.0.1", 8123)
# Each client's user has a role of its own, and nobody else has it.
CONFIGURATION = f"""
[account.cloud]
id = "{scripted_sts.ACCOUNT}"
region = "us-east-1"
endpoint = "http://{STS[0]}:{STS[1]}"
credentials.from = "key"
credentials.access-key-id = "{scripted_sts.BASE_KEY}"
credentials.secret-access-key = "{{secret}}"
""" + "".join(
    f"""
[account.cloud.role.r{number}]
[[grant]]
role = "cloud/r{number}"
when = {{ uid = {FIRST_UID + number}{{container}} }}
""" for number in range(CLIENTS)
)


@contextlib.contextmanager
def prepared(machine, secret, container=""):
    """Has all of it; `secret` is where the daemon finds that of its base credentials."""
    machine.copy(TESTS / "lifecycle" / "load.py", LOAD)
    for number in range(CLIENTS):
        machine.run("useradd", "--uid", FIRST_UID + number, f"client{number}")
    configuration = CONFIGURATION.replace("{secret}", secret).replace("{container}", container)
    machine.put("/etc/rolecall/rolecall.d/10-clients.toml", configuration)
    machine.put("/etc/base.secret", scripted_sts.BASE_SECRET, 0o600)
    # There is no time server to ask; as systemd-timesyncd leaves it when one has answered.
    machine.put("/etc/tmpfiles.d/time.conf", "d /run/systemd/timesync\nf /run/systemd/timesync/synchronized\n")
    machine.run("systemd-tmpfiles", "--create", "time.conf")
    sts = [sys.executable, "-B", TESTS / "upstreams" / "scripted_sts.py", "--listen", f"{STS[0]}:{STS[1]}"]
    inside = ["nsenter", f"--net={machine.network}"]
    listens = [*inside, sys.executable, "-c", f"import socket; socket.create_connection({STS!r}).close()"]

    def is_up():
        return subprocess.run(listens, stderr=subprocess.DEVNULL, check=False).returncode == 0

    with Server([*inside, *sts], is_up, machine.folder / "sts.log"):
        yield
