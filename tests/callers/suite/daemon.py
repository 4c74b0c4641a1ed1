"""The daemon in the machine, as it is packaged: its units with their sandbox, its user, its folders."""

import json
import os
from pathlib import Path

import scripted_sts

from suite import CHECKOUT, Failed, until

UNITS = ["rolecall-metadata.socket", "rolecall-metadata-ipv6.socket", "rolecall-container.socket",
         "rolecall-pod-identity.socket", "rolecall-admin.socket", "rolecall-runtime.service", "rolecall.service"]
TOKEN_FILES = "/etc/systemd/system/rolecall.service.d"
LOG = "/var/log/rolecall/log.jsonl"
AUDIT_SECONDS = 5
WORDS = 40


class Daemon:
    def __init__(self, machine):
        self._machine = machine

    def install(self):
        """Puts everything where the package puts it."""
        machine, systemd = self._machine, CHECKOUT / "systemd"
        machine.put("/usr/bin/rolecall", Path(os.environ["ROLECALL_BIN"]).read_bytes(), 0o755)
        for file in systemd.glob("rolecall*"):
            if file.suffix in (".service", ".socket"):
                machine.put(f"/usr/lib/systemd/system/{file.name}", file.read_bytes())
        machine.put("/usr/lib/sysusers.d/rolecall.conf", (systemd / "rolecall.sysusers").read_bytes())
        machine.put("/usr/lib/tmpfiles.d/rolecall.conf", (systemd / "rolecall.tmpfiles").read_bytes())
        machine.run("systemd-sysusers")
        machine.run("systemd-tmpfiles", "--create", "rolecall.conf")
        machine.put("/etc/rolecall/base.secret", scripted_sts.BASE_SECRET)
        machine.run("chown", "root:rolecall", "/etc/rolecall/base.secret")
        machine.run("chmod", "0640", "/etc/rolecall/base.secret")
        example = systemd / "examples" / "rootless-runtimes.conf"
        machine.put(f"/etc/systemd/system/rolecall-runtime.service.d/{example.name}", example.read_bytes())
        machine.run("systemctl", "daemon-reload")

    def start(self, configuration):
        """Starts it; systemd waits for its word that it is ready."""
        self.configure(configuration)
        started = self._machine.run("systemctl", "start", *UNITS, check=False)
        if started.returncode != 0:
            raise Failed(f"the daemon did not start: {self.words()}")

    def configure(self, configuration):
        self._machine.put("/etc/rolecall/rolecall.toml", configuration)

    def reload(self, configuration):
        """Replaces its configuration as an operator would."""
        self.configure(configuration)
        self._machine.run("systemctl", "reload", "rolecall.service")

    def with_token_files(self, configuration):
        """Lets it give files to other users, by the package's drop-in, and starts it anew with this configuration."""
        example = CHECKOUT / "systemd" / "examples" / "token-files.conf"
        self._machine.put(f"{TOKEN_FILES}/{example.name}", example.read_bytes())
        self._start_anew(configuration)

    def without_token_files(self, configuration):
        self._machine.run("rm", "--recursive", TOKEN_FILES)
        self._start_anew(configuration)

    def _start_anew(self, configuration):
        self.configure(configuration)
        self._machine.run("systemctl", "daemon-reload")
        self._machine.run("systemctl", "restart", "rolecall.service")

    def explain(self, *whom):
        """What it would tell them, and why; whether or not that is a role."""
        asked = self._machine.service("rolecall", "explain", "--json", *whom, check=False)
        if asked.returncode not in (0, 1) or not asked.stdout:
            raise Failed(f"explain ended with {asked.returncode}: {asked.stderr}")
        return json.loads(asked.stdout)

    def words(self):
        """What it last said to the journal."""
        return self._machine.run("journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit=rolecall*")

    def said(self):
        """How much it has told so far."""
        return len(self._records())

    def said_after(self, before):
        """The last it told after that, a line each: what a failed check is judged by."""
        told = [record for record in self._records()[before:] if record.get("target") != "rolecall::audit"]
        return [json.dumps(record) for record in told[-WORDS:]]

    def audit(self, event, **wanted):
        """The audit events of this kind that have these fields, oldest first; waits for the first."""
        def found():
            return [record for record in self._records()
                    if record.get("target") == "rolecall::audit" and record.get("event") == event
                    and all(record.get(field) == value for field, value in wanted.items())]
        return until(AUDIT_SECONDS, found) or []

    def errors(self):
        """What it told of as an error."""
        return [record for record in self._records() if record["level"] == "ERROR"]

    def _records(self):
        log = Path(f"{self._machine.root}{LOG}")
        if not log.exists():
            return []
        whole = log.read_text().rpartition("\n")[0]  # a last line may still be being written
        return [json.loads(line) for line in whole.splitlines()]
