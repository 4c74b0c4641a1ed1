"""Packages for arm64, compiled on this machine and run by qemu. They are compiled in a hurry, which shows that they can
be, and what they hold; nothing of how fast or small they are."""

import contextlib
import functools
import json
import os
import re
import socket
import subprocess
from pathlib import Path

import made

CONFIGURATION = """
[[listener]]
name = "default"
bind = ["passed:metadata"]
apis = ["imds"]
availability-zone = "eu-central-1a"

[state]
directory = "{folder}"

[admin]
socket = "{folder}/admin.sock"

[account.local]
id = "000000000000"
credentials = {{ from = "local" }}

[account.local.role.demo]

[[grant]]
role = "local/demo"
when = {{ uid = {uid} }}
"""
# Of linux/netlink.h; Python has no name for it.
NETLINK_SOCK_DIAG = 4
SOON = 60


@functools.cache
def packages():
    return made.build("--arch", "arm64", "--bin", binary(), "--out", made.scratch(), "deb", "rpm")


@functools.cache
def binary():
    return Path(made.output(made.ROOT / "packaging/binary", "--arch", "arm64", "--profile", "quick").decode().strip())


def check_both_say_so_and_hold_what_those_for_amd64_do(_):
    assert made.output("dpkg-deb", "--field", packages()["deb"], "Architecture") == b"arm64\n"
    assert made.output("rpm", "-qp", "--queryformat", "%{ARCH}", packages()["rpm"]) == b"aarch64"
    assert packages()["deb"].name.endswith("_arm64.deb") and packages()["rpm"].name.endswith(".aarch64.rpm")
    differs = {"/usr/bin/rolecall", "/usr/share/doc/rolecall/sbom.cdx.json"}
    for read, here, there in zip((made.in_deb, made.in_rpm), made.packages(), packages().values(), strict=True):
        here, there = read(here), read(there)
        assert set(here) == set(there), set(here) ^ set(there)
        # Manual pages too, which qemu printed.
        assert {path for path in here if here[path] != there[path]} == differs


def check_what_it_is_linked_with_is_what_the_packages_ask_for(folder):
    read = made.output("readelf", "--file-header", "--dynamic", "--version-info", program(folder)).decode()
    assert "AArch64" in read
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)]", read))
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-aarch64.so.1"}, needed
    newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", read))
    depends = made.output("dpkg-deb", "--field", packages()["deb"], "Depends").decode()
    assert newest <= tuple(map(int, re.search(r"libc6 \(>= ([0-9.]+)\)", depends)[1].split("."))), (newest, depends)


def check_it_runs_and_hands_out_credentials(folder):
    said = made.output(*emulated(folder), "--version").decode()
    assert said == made.output(made.BINARY, "--version").decode(), said
    (folder / "rolecall.toml").write_text(CONFIGURATION.format(folder=folder, uid=os.getuid()))
    with serving(folder) as curl:
        path = "/latest/meta-data/iam/security-credentials/"
        token = curl("/latest/api/token", "--request", "PUT", "--header", "X-aws-ec2-metadata-token-ttl-seconds: 60")
        with_token = "--header", f"X-aws-ec2-metadata-token: {token}"
        role = curl(path, *with_token)
        answer = json.loads(curl(path + role, *with_token))
        host = json.loads(curl("/latest/dynamic/instance-identity/document", *with_token))
    assert role == "demo" and answer["Code"] == "Success" and answer["AccessKeyId"].startswith("ASIA"), answer
    assert host["architecture"] == "arm64", host


def program(folder):
    made.output("dpkg-deb", "--extract", packages()["deb"], folder / "deb")
    return folder / "deb/usr/bin/rolecall"


def emulated(folder, *options):
    libraries = made.output(made.ROOT / "packaging/cross", "--libraries").decode().strip()
    return ["qemu-aarch64-static", "-L", libraries, *options, program(folder)]


@contextlib.contextmanager
def serving(folder):
    """A daemon that has said that it is ready; gives what asks its socket, with a path and curl's options."""
    look_up = folder / "lent.so"
    made.output("aarch64-linux-gnu-gcc", "-shared", "-fPIC", "-o", look_up, made.ROOT / "tests/packages/lent.c")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as lent,
    ):
        ready.bind(str(folder / "ready"))
        ready.settimeout(SOON)
        # As systemd passes sockets: the third descriptor, for the process that it started.
        passing = f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_FDNAMES=metadata LISTEN_PID=$$ exec "$@"'
        preloaded = emulated(folder, "-E", f"LD_PRELOAD={look_up}", "-E", f"LENT_SOCKET={lent.fileno()}")
        command = ["bash", "-c", passing, "bash", *preloaded, "serve", "--config", folder / "rolecall.toml"]
        with subprocess.Popen(
            command, env=dict(os.environ, NOTIFY_SOCKET=str(folder / "ready")), pass_fds=[listener.fileno(), lent.fileno()],
        ) as daemon:
            try:
                while b"READY=1" not in ready.recv(4096):
                    pass
                address = "http://127.0.0.1:{}".format(listener.getsockname()[1])
                yield lambda path, *options: made.output(
                    "curl", "--silent", "--show-error", "--fail", "--max-time", SOON, *options, address + path).decode()
            finally:
                daemon.terminate()
