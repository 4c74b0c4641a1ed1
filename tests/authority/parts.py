"""What the checks have in common: a daemon that is Keystone and STS, with people, keys and roles."""

import json
import os
import sys
from pathlib import Path

import story
from daemon_process import DaemonProcess

HERE = Path(__file__).resolve().parent
OPENSTACK = Path(os.environ.get("ROLECALL_OPENSTACK", ""))

# Two people who have the same password.
HASH = "$2b$05$abcdefghijklmnopqrstuuaVslPbz6udAQBKm5cfxXVM.psWYmgby"
PEOPLE = (story.ADMIN, "ann", "bob")
SERVICE_TOKEN = "a-service-token-of-the-tests"

CONFIGURATION = """
[[listener]]
name = "api"
bind = "127.0.0.1:0"
apis = ["accounts", "connectors", "keystone", "sts"]

[[listener]]
name = "metadata"
bind = "127.0.0.1:0"
apis = ["imds"]

[people]
users-file = "{place}/users"
administrators = ["admin"]
{groups}

[authority]
service-token = "file:{place}/service-token"
{authority}

[account.admin]
id = "000000000001"
credentials = {{ from = "local" }}
[account.admin.role.ops]

[account.shop]
id = "000000000002"
credentials = {{ from = "local" }}
[account.shop.role.web]
max-duration = "2h"
[account.shop.role.till]

[[grant]]
role = "admin/ops"
when = {{ principal = "admin" }}

[[grant]]
role = "shop/web"
when = {{ principal = ["ann", "admin"] }}
{further}
[state]
directory = "{place}/state"
"""


class Daemon:
    """The daemon as Keystone and STS; used as a context. `url` is where both are."""

    def __init__(self, place, further="", authority="", groups=False, environment=()):
        self.place = Path(place)
        write_private(self.place / "users", "".join(f"{name}:{HASH}\n" for name in PEOPLE))
        write_private(self.place / "service-token", SERVICE_TOKEN)
        groups = f'groups-file = "{self.place}/groups"' if groups else ""
        self._text = CONFIGURATION.format(
            place=self.place, groups=groups, authority=authority, further=further
        )
        self._process = DaemonProcess(self.place, environment)

    def __enter__(self):
        self._process.start(self._text)
        self.url = f"http://{self.address('api')}"
        return self

    def __exit__(self, kind, *_):
        self._process.kill() if kind else self._process.stop()

    def address(self, listener):
        """Where this listener is."""
        told = self._process.await_record(
            lambda record: record.get("message") == "listening" and record.get("listener") == listener
        )
        assert told, f"no listener {listener}: {self._process.records()[-5:]}"
        return told["address"]

    def reload(self, further):
        """The same with more in its configuration."""
        self._process.rewrite(f"{self._text}\n{further}")
        self.command("reload")

    def key(self, user, account):
        """A new access key of this user: id and secret."""
        made = json.loads(self.command("key", "create", "--user", user, "--account", account, "--json"))
        return made["access"], made["secret"]

    def command(self, *arguments):
        return self._process.command(*arguments)

    def await_audit(self, event, wanted):
        return self._process.await_audit(event, wanted)

    def records(self):
        return self._process.records()


def write_private(file, text):
    file.write_text(text)
    file.chmod(0o600)


def plain_environment(**more):
    """Nothing of the tests' own credentials."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **more}


def told(ended):
    """What a program said, for the failure of a check."""
    return f"{ended.args} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"


sys.path.insert(0, str(HERE))
