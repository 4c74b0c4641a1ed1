"""The booted machine as this side sees it: commands in it, files of it, users of it."""

import os
import subprocess
from pathlib import Path

from suite import Failed, until

COMMAND_SECONDS = 60
START_SECONDS = 20
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a command leaves running, such as podman's monitors, goes on.
SERVICE = ("--quiet", "--pipe", "--wait", "--collect", "--property=KillMode=process")


class Machine:
    """The machine whose state lies in $MACHINE; see tests/boot/machine."""

    def __init__(self):
        self.pid1 = int(Path(os.environ["MACHINE"], "pid1").read_text())
        self.root = Path(f"/proc/{self.pid1}/root")

    def run(self, *command, given=None, check=True, seconds=COMMAND_SECONDS):
        """Runs a command in it as root; gives its standard output, or all of it if it may fail."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid1), "-a", "env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", *map(str, command)],
            input=given, stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True, text=not isinstance(given, bytes), timeout=seconds, check=False,
        )
        if not check:
            return done
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode} of `{' '.join(map(str, command))}`: {done.stderr[-800:]}")
        return done.stdout

    def service(self, *command, **options):
        """Runs a command in it as a transient service, in a control group of the machine."""
        return self.run("systemd-run", *SERVICE, *command, **options)

    def user_service(self, user, *command, **options):
        """Runs a command in it as a transient service of the user's own manager."""
        return self.run("systemd-run", "--user", f"--machine={user}@", *SERVICE, *command, **options)

    def put(self, path, content, mode=0o644):
        """Writes a file in it, with the folders above."""
        self.run("install", "-D", f"--mode={mode:o}", "/dev/stdin", path,
                 given=content if isinstance(content, bytes) else content.encode())

    def add_user(self, user):
        """A user with a manager of their own; gives the uid."""
        self.run("useradd", "--create-home", "--shell", "/bin/bash", user)
        self.run("loginctl", "enable-linger", user)
        uid = int(self.run("id", "-u", user))
        self.run("systemctl", "start", f"user@{uid}.service")
        # Its bus may come up a moment later.
        asked = ("systemctl", "--user", f"--machine={user}@", "is-active", "default.target")
        if not until(START_SECONDS, lambda: self.run(*asked, check=False).returncode == 0):
            raise Failed(f"the manager of {user} did not start")
        return uid
