"""AFP with its own clients: the command line in both its forms, and what polls the metadata of a machine mount as it
was before tokens: boto 2, and alppaca's way, line by line, from another network namespace."""

import contextlib
import ctypes
import http.client
import json
import os
import subprocess
from datetime import datetime
from pathlib import Path

from parts import ANSWER_SECONDS, HASH, PASSWORD, Daemon, write_private

CLIENTS = Path(os.environ.get("ROLECALL_AFP_CLIENTS", ""))
# afp's password provider `testing` sends this one.
LIST = "/latest/meta-data/iam/security-credentials/"

PEOPLE = """
[[listener]]
name = "api"
bind = "127.0.0.1:0"
apis = "accounts"

[people]
users-file = "{directory}/users"
groups-file = "{directory}/groups"
"""

MACHINES = """
[[listener]]
name = "api"
bind = "{bind}"
apis = "accounts"
{peers}

[[listener.mount]]
prefix = "/"
machine = true

[[grant]]
role = "local/web"
when = {{ {when} }}
"""

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def check_the_command_line_lists_and_gets_credentials(directory):
    with people(directory) as daemon:
        for path in ("", "/afp-api/latest"):
            url = f"http://127.0.0.1:{daemon.port}{path}"
            v1 = ["afp", f"--api-url={url}", "--user=ann", "--password-provider=testing"]
            v2 = ["afpv2", f"--api-url={url}", "--user=ann", "--password-provider=testing"]
            listed = client(directory, *v1)
            assert listed.returncode == 0 and listed.stdout.split() == ["local", "admin,web"], told(listed)
            listed = client(directory, *v2, "list", "--output=json")
            assert {"local": ["admin", "web"]} == sorted_roles(listed.stdout), told(listed)
            direct = daemon.get("/account/local/admin", "ann", PASSWORD).json()
            for command in ([*v1, "--export", "local"], [*v2, "export", "local"], [*v2, "export", "local", "admin"]):
                exported = client(directory, *command)
                assert exported.returncode == 0, told(exported)
                keys = dict(line.removeprefix("export ").split("=", 1) for line in exported.stdout.split("\n") if line)
                # Without a role it takes the first in alphabetical order.
                assert keys["AWS_ACCESS_KEY_ID"].strip("'\"") == direct["AccessKeyId"], told(exported)
                assert keys["AWS_SECRET_ACCESS_KEY"].strip("'\"") == direct["SecretAccessKey"], told(exported)
                assert 3000 < int(keys["AWS_VALID_SECONDS"].strip("'\"")) <= 3600, told(exported)


def check_the_command_line_says_why_there_is_nothing(directory):
    with people(directory) as daemon:
        url = f"--api-url=http://127.0.0.1:{daemon.port}"
        for user, arguments, said in (
            ("ann", ("--show", "local", "ops"), "Permission Denied"),
            ("ann", ("--show", "nowhere", "web"), "Permission Denied"),
            ("ann", ("--show", "local", "##role##"), "Permission Denied"),
            ("ann", ("--show", "local", "ro/le"), "Not found: '/account/local/ro/le'"),
            ("eve", ("--show", "local", "web"), "401"),
            ("eve", (), "401"),
        ):
            refused = client(directory, "afp", url, f"--user={user}", "--password-provider=testing", *arguments)
            assert refused.returncode != 0 and said in refused.stdout + refused.stderr, f"{arguments}: {told(refused)}"


def check_boto_2_finds_a_machine_mount_at_the_metadata_address(directory):
    with namespace("rolecall-afp-boto") as name, inside(name):
        for address in ("169.254.169.254",):
            ip("address", "add", f"{address}/32", "dev", "lo", inside=name)
        configuration = MACHINES.format(bind="169.254.169.254:80", peers="", when="uid = 0")
        with Daemon(directory, configuration):
            found = client(directory, "python", "-c", BOTO)
            assert found.returncode == 0, told(found)
            keys = json.loads(found.stdout)
            assert all(keys) and len(keys) == 3, told(found)
            assert keys[0] == document("169.254.169.254", 80, "web")["AccessKeyId"]


def check_a_poller_in_another_namespace_gets_the_role_of_its_address(directory):
    poll_from_elsewhere(directory, 'address = "192.0.2.2/32"')


def check_a_poller_in_another_namespace_gets_the_role_of_its_name(directory):
    hosts = directory / "hosts"
    hosts.write_text("127.0.0.1 localhost\n192.0.2.2 tuvfoo42.valid\n192.0.2.3 other.valid\n192.0.2.9 other.valid\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    try:
        poll_from_elsewhere(directory, 'host = "tuvfoo42.valid"')
    finally:
        subprocess.run(["umount", "/etc/hosts"], check=True)


def poll_from_elsewhere(directory, when):
    with namespace("rolecall-afp-here") as here, namespace("rolecall-afp-there") as there:
        ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", there, inside=here)
        for name, addresses in ((here, ["192.0.2.1"]), (there, ["192.0.2.2", "192.0.2.3"])):
            for address in addresses:
                ip("address", "add", f"{address}/24", "dev", "veth0", inside=name)
            ip("link", "set", "veth0", "up", inside=name)
        configuration = MACHINES.format(bind="192.0.2.1:80", peers='peers = ["192.0.2.0/24"]', when=when)
        with inside(here):
            daemon = Daemon(directory, configuration)
            daemon.__enter__()
        try:
            with inside(there):
                roles = poll("192.0.2.2")
                assert list(roles) == ["web"], roles
                expires = datetime.strptime(roles["web"]["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
                assert expires.year > 2000 and roles["web"]["Code"] == "Success"
                # Another machine has none; nor has who shows a password where none is asked for.
                status, body = get("192.0.2.3", LIST)
                assert (status, json.loads(body)["message"]) == (404, "ConfigurationError"), body
                assert get("192.0.2.3", f"{LIST}web")[0] == 404
                assert get("192.0.2.2", f"{LIST}admin")[0] == 403
                assert get("192.0.2.2", LIST, {"Authorization": "Basic b3BlcjpzZXNhbWU="})[0] == 401
                for version in ("", "/2012-01-12"):
                    path = f"{version}/meta-data/iam/security-credentials/"
                    assert get("192.0.2.2", path) == (200, "web"), version
        finally:
            daemon.__exit__(None)


def poll(own):
    """As alppaca does: the list's lines are roles, and each has a document."""
    status, listed = get(own, LIST)
    assert status == 200, listed
    roles = {}
    for role in (line.strip() for line in listed.splitlines()):
        status, body = get(own, LIST + role)
        assert status == 200, body
        roles[role] = json.loads(body)
    return roles


def get(own, path, headers=()):
    """Asks from this address."""
    connection = http.client.HTTPConnection("192.0.2.1", 80, timeout=ANSWER_SECONDS, source_address=(own, 0))
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers))
        answered = connection.getresponse()
        return answered.status, answered.read().decode()


def document(host, port, role):
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", LIST + role)
        return json.loads(connection.getresponse().read())


BOTO = """
import json, boto.provider
found = boto.provider.Provider("aws")
print(json.dumps([found.access_key, found.secret_key, found.security_token]))
"""


def people(directory):
    write_private(directory, users=f"ann:{HASH}\n", groups="aws-admin: ann\naws-web: ann\n")
    return Daemon(directory, PEOPLE.format(directory=directory))


def client(directory, program, *arguments):
    home = directory / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [CLIENTS / program, *arguments], env={"PATH": os.environ["PATH"], "HOME": str(home)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )


def sorted_roles(text):
    return {account: sorted(roles) for account, roles in json.loads(text).items()}


def told(done):
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


def ip(*arguments, inside):
    subprocess.run(["ip", "-n", inside, *arguments], check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def namespace(name):
    """A network namespace of its own, with loopback up."""
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=60)
    try:
        ip("link", "set", "lo", "up", inside=name)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True, timeout=60)


@contextlib.contextmanager
def inside(name):
    """This process, and what it starts meanwhile, in that namespace."""
    with open("/proc/self/ns/net") as before, open(f"/run/netns/{name}") as there:
        enter(there)
        try:
            yield
        finally:
            enter(before)


def enter(namespace):
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
