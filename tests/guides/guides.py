"""Follows the guides: what they say to write is written, what they say to type is typed, and what they show is told.

A block of a guide whose first line is the comment `# /a/path` is that file; a configuration among them must pass
`rolecall check`. A block in `sh` is typed as root; the block without a language behind it is what is then told, a line
each, `…` for what differs and for spaces. Blocks in other languages are for reading. And whatever command of rolecall any
document names, there is. Ends with `N passed, N failed`."""

import functools
import os
import re
import subprocess
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "callers"))

from suite import CHECKOUT  # noqa: E402
from suite.daemon import Daemon  # noqa: E402
from suite.machine import Machine  # noqa: E402

GUIDES = ("units", "ceph", "migrating")
DOCUMENTS = (CHECKOUT / "README.md", CHECKOUT / "SECURITY.md", *(CHECKOUT / "docs").glob("*.md"),
             *(CHECKOUT / "systemd").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PATH = re.compile(r"# (/\S+)\n")
FORGET = """
systemctl stop rolecall.service
rm -rf /etc/rolecall/rolecall.d /etc/systemd/system/rolecall.service.d /var/lib/rolecall/*
systemctl daemon-reload
"""


class Guide:
    """One guide on the machine, from a fresh installation on."""

    def __init__(self, machine, name):
        self._machine = machine
        self._text = (CHECKOUT / "docs" / f"{name}.md").read_text()
        self._told = None
        self.followed = 0

    def follow(self):
        for language, text in BLOCK.findall(self._text):
            path = PATH.match(text)
            if path:
                self._write(path[1], text)
            elif language == "sh":
                self._told = self._type(text)
            elif not language:
                self._is_told(text)
            else:
                continue
            self.followed += 1

    def _write(self, path, text):
        self._machine.put(path, text)
        if path.startswith("/etc/rolecall/"):
            said = self._machine.run("rolecall", "check", check=False)
            assert said.returncode == 0, f"{path}: {said.stdout}{said.stderr}"

    def _type(self, text):
        typed = self._machine.service("bash", "-euc", text, check=False)
        assert typed.returncode == 0, f"{text}exits with {typed.returncode}: {typed.stdout}{typed.stderr}"
        return typed.stdout

    def _is_told(self, text):
        assert self._told, f"nothing was typed that tells:\n{text}"
        for line in text.splitlines():
            parts = [re.escape(part.strip()).replace(r"\ ", r"\s+") for part in line.split("…")]
            assert re.search(r".*".join(parts), self._told), f"{line!r} is not told in:\n{self._told}"


def commands():
    """The commands of rolecall that documents name, in text and in blocks, word by word up to what a shell reads."""
    for document in DOCUMENTS:
        text = document.read_text()
        typed = [line for _, block in BLOCK.findall(text) for line in block.splitlines()]
        for said in re.findall(r"`(rolecall [^`]+)`", BLOCK.sub("", text)) + typed:
            found = re.match(r"(?:[$#] )?rolecall((?: [^\s|>#\"$(]+)+)", said)
            if found:
                yield document.name, found[1].split()


def is_one(words):
    """Whether there is such a command with such options; from `--` on it is another program's."""
    command = ()
    for word in words:
        shown = usage(command)
        if word == "--":
            break
        if word.startswith("-"):
            if not re.search(rf"^ +(-\w, )?{re.escape(word)}\b", shown, re.M):
                return False
        elif re.search(rf"^  {re.escape(word)} ", shown, re.M):
            command = (*command, word)
        elif not command:
            return False
    return bool(command)


@functools.cache
def usage(command):
    asked = [os.environ["ROLECALL_BIN"], *command, "--help"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout


def fresh(machine, daemon):
    """The machine as the package leaves it, with what the guides take for granted."""
    machine.run("bash", "-euc", FORGET)
    machine.put("/etc/rolecall/ceph-secret", "secret", 0o600)
    machine.put("/etc/rolecall/users", "")
    daemon.configure((CHECKOUT / "packaging" / "rolecall.toml").read_text())
    machine.run("systemctl", "start", "rolecall.service")


def main(names):
    machine = Machine()
    # The guide gives the host the address itself.
    machine.run("ip", "address", "del", "169.254.169.254/32", "dev", "lo")
    daemon = Daemon(machine)
    daemon.install()
    named = list(commands())
    assert len(named) > 50, named
    wrong = [one for one in named if not is_one(one[1])]
    print(f"FAILED there is no such command: {wrong}" if wrong else f"ok     {len(named)} commands in documents", flush=True)
    passed, failed = (0, 1) if wrong else (1, 0)
    for name in names or GUIDES:
        guide = Guide(machine, name)
        try:
            fresh(machine, daemon)
            guide.follow()
            assert guide.followed > 5, "hardly anything of it was followed"
        except Exception:
            failed += 1
            print(f"FAILED docs/{name}.md\n{traceback.format_exc()}", flush=True)
        else:
            passed += guide.followed
            print(f"ok     docs/{name}.md: {guide.followed} blocks", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
