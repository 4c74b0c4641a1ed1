"""Inside the machine: restarts, reloads, upgrades and kills the service while clients ask, and says what they felt.

restarts.py COUNT USER [PACKAGE]: COUNT endings of the service in all. USER has the only role. With PACKAGE the orderly ones
include upgrades. Prints a table and `ok` or `FAIL` lines, as tests/boot/run does.
"""

import array
import bisect
import json
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SERVICE = "rolecall.service"
HERE = os.path.dirname(os.path.abspath(__file__))
DEADLINE = 60
# A restart is felt as a wait, no longer than this.
FELT_MS = 500


def systemctl(*arguments):
    return subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def shown(name):
    return systemctl("show", "-P", name, SERVICE)


def await_(what, holds):
    """Asks again until it holds: nothing tells this side."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAIL  {what}: not in time")
        os.sched_yield()


class Load:
    """The clients, as a unit of the user's."""

    def __init__(self, user):
        self.folder = tempfile.mkdtemp()
        account = pwd.getpwnam(user)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.unit = "load-" + os.path.basename(self.folder)
        subprocess.run(["systemd-run", "--quiet", f"--unit={self.unit}", f"--uid={user}", "python3",
                        os.path.join(HERE, "load.py"), self.folder], check=True)

    def end(self):
        with open(os.path.join(self.folder, "stop"), "w"):
            pass
        path = os.path.join(self.folder, "result.json")
        await_("the clients end", lambda: os.path.exists(path))
        with open(path) as file:
            result = json.load(file)
        times = array.array("d")
        with open(os.path.join(self.folder, "times"), "rb") as file:
            times.frombytes(file.read())
        shutil.rmtree(self.folder)
        return result, sorted(times)


def pid():
    return int(shown("MainPID"))


def restart():
    systemctl("restart", SERVICE)


def reload():
    systemctl("reload", SERVICE)


def upgrade(package):
    subprocess.run(["dpkg", "-i", package], check=True, capture_output=True)


def kill():
    before = pid()
    systemctl("kill", "--kill-whom=main", "--signal=KILL", SERVICE)
    await_("the service is back", lambda: pid() not in (0, before) and shown("ActiveState") == "active")


def phase(title, user, actions):
    """Runs the actions under load. The clients' result, and the milliseconds from each action to the first credential of its
    new process."""
    load = Load(user)
    starts = []
    for action in actions:
        before, begun = pid(), time.monotonic()
        action()
        if pid() != before:
            starts.append((begun, int(shown("ExecMainStartTimestampMonotonic")) / 1e6))
    result, times = load.end()
    waits, whole = [], []
    for begun, start in starts:
        at = bisect.bisect(times, start)
        if at < len(times):
            waits.append((times[at] - start) * 1000)
            whole.append((times[at] - begun) * 1000)
    counts, keys = result["counts"], result["keys"]
    row = [title, len(actions), counts["sent"], counts.get("refused", 0), counts.get("failed", 0), counts.get("cut", 0),
           len(keys), *both(waits), *both(whole), f"{result['slowest'] * 1000:.0f}"]
    return row, result, whole


def both(waits):
    """The median and the longest."""
    return [f"{each(waits):.0f}" if waits else "-" for each in (statistics.median, max)]


def main():
    count, user = int(sys.argv[1]), sys.argv[2]
    package = sys.argv[3] if len(sys.argv) > 3 else None
    failures = 0

    def check(name, holds, told=""):
        nonlocal failures
        failures += not holds
        print(f"ok    {name}" if holds else f"FAIL  {name}: {told}")

    kills = max(count // 5, 1)
    upgrades = max(count // 25, 1) if package else 0
    orderly = [restart] * (count - kills - upgrades) + [lambda: upgrade(package)] * upgrades
    rows, all_keys = [], set()
    for title, actions in [("restart, upgrade", orderly), ("reload", [reload] * max(count // 2, 1)), ("kill -9", [kill] * kills)]:
        row, result, whole = phase(title, user, actions)
        rows.append(row)
        counts, samples = result["counts"], result["samples"]
        all_keys.update(result["keys"])
        check(f"{title}: no connection was refused", not counts.get("refused"), samples.get("refused"))
        check(f"{title}: no request failed", not counts.get("failed"), samples.get("failed"))
        if title != "kill -9":
            check(f"{title}: none was cut off", not counts.get("cut"), f"{counts.get('cut')}: {samples.get('cut')}")
        if actions[0] is restart:
            felt = statistics.median(whole)
            check("a restart is felt for less than half a second", felt < FELT_MS, f"{felt:.0f} ms")
    check("one session was served before, between and after", len(all_keys) == 1, sorted(all_keys))
    failed = systemctl("list-units", "--failed", "--no-legend", "--plain")
    check("no unit failed", not failed, failed)
    head = ["", "times", "requests", "refused", "failed", "cut off", "sessions", "start to first, ms", "at most",
            "restart to first, ms", "at most", "slowest, ms"]
    widths = [max(len(str(row[column])) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(str(cell).rjust(width) for cell, width in zip(row, widths)))
    sys.exit(failures > 0)


main()
