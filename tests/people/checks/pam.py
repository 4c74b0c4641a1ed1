"""A real PAM stack: the shadow file's passwords and what it says of accounts, in this mount namespace only."""

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from parts import Daemon, expect, hashed

SERVICE = "rolecall-check"
STACK = "auth required pam_unix.so\naccount required pam_unix.so\n"
DAYS = int(time.time() / 86400)

CONFIGURATION = """
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["accounts"]
[[listener.mount]]
prefix = "/"
authenticate = ["pam"]

[people]
pam = { service = "rolecall-check" }
"""


@contextmanager
def users(place, stack=STACK):
    """Users of the system, a group, and a service, until the end of the check."""
    names = {"pamela": "", "lapsed": str(DAYS - 10)}
    shadow = "".join(
        f"{name}:{hashed('hers')}:{DAYS}:0:99999:7::{expired}:\n" for name, expired in names.items()
    )
    shadow += "empty::19000:0:99999:7:::\n"
    passwd = "".join(f"{name}:x:{4000 + number}:4000::/:/bin/false\n" for number, name in enumerate((*names, "empty")))
    services = place / "pam.d"
    services.mkdir()
    for file in Path("/etc/pam.d").iterdir():
        (services / file.name).write_bytes(file.read_bytes())
    (services / SERVICE).write_text(stack)
    mounted = []
    try:
        for over, text, mode in (
            ("/etc/passwd", passwd, 0o644),
            ("/etc/shadow", shadow, 0o600),
            ("/etc/group", "aws-web:x:4001:pamela\nx:x:4000:\n", 0o644),
        ):
            own = place / Path(over).name
            own.write_text(Path(over).read_text() + text)
            own.chmod(mode)
            subprocess.run(["mount", "--bind", own, over], check=True, timeout=10)
            mounted.append(over)
        subprocess.run(["mount", "--bind", services, "/etc/pam.d"], check=True, timeout=10)
        mounted.append("/etc/pam.d")
        yield
    finally:
        for over in reversed(mounted):
            subprocess.run(["umount", "--lazy", over], check=True, timeout=10)


def stack_takes(name, password):
    """What pamtester says of the same stack."""
    tried = subprocess.run(
        ["pamtester", SERVICE, name, "authenticate", "acct_mgmt"],
        input=f"{password}\n", text=True, capture_output=True, timeout=30, check=False,
    )
    return tried.returncode == 0


def check_passwords_are_those_of_the_stack_and_groups_those_of_the_system(place):
    with users(place), Daemon(place, CONFIGURATION) as daemon:
        for name, password, takes in (
            ("pamela", "hers", True), ("pamela", "his", False), ("pamela", "", False), ("lapsed", "hers", False),
            ("no-such-user", "hers", False),
        ):
            assert stack_takes(name, password) == takes, f"pamtester: {name}"
            answer = daemon.get("/account", name, password)
            expect(answer, 200 if takes else 401, *((name, ["web"]) if takes else ()))
        # A module may have left a destructor for the data of a thread, which ends later.
        assert "/pam_unix.so" in daemon.libraries(), "the module was unloaded"
        # pam_unix itself would take it.
        expect(daemon.get("/account", "empty", ""), 401)


def check_a_cookie_ends_with_the_account(place):
    with users(place), Daemon(place, CONFIGURATION) as daemon:
        signed_in = daemon.get("/account", "pamela", "hers")
        expect(signed_in, 200, "pamela", ["web"])
        cookie = {"Cookie": signed_in.headers["set-cookie"].split(";")[0]}
        shadow = Path("/etc/shadow")
        lines = shadow.read_text().splitlines()
        # In place: the file is mounted.
        shadow.write_text("".join(
            (line.removesuffix(":") + f"{DAYS - 10}:" if line.startswith("pamela:") else line) + "\n" for line in lines
        ))
        expect(daemon.get("/account", headers=cookie), 401)


def check_a_wrong_password_is_refused_at_once(place):
    with users(place, STACK.replace("auth required", "auth optional pam_faildelay.so delay=9000000\nauth required")):
        with Daemon(place, CONFIGURATION) as daemon:
            began = time.monotonic()
            expect(daemon.get("/account", "pamela", "his"), 401)
            assert time.monotonic() - began < 5, "the stack's delay was slept"


def check_a_stack_that_is_broken_is_no_refusal_of_the_person(place):
    with users(place, "auth required pam_no_such_module.so\n"), Daemon(place, CONFIGURATION) as daemon:
        answer = daemon.get("/account", "pamela", "hers")
        assert answer.status not in (200, 401), answer
        assert daemon.warned("PAM gives no answer")
