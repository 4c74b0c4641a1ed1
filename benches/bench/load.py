"""wrk, run as the caller on the load generator's core."""
import json
import re
import subprocess

from callers import AGENT
from world import CALLER_UID


def wrk(script, address, path, fields=(), connections=32, seconds=3, close=False, method="GET"):
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script),
            "-H", f"User-Agent: {AGENT}"]
    for name, value in [*fields, *([("Connection", "close")] if close else [])]:
        argv += ["-H", f"{name}: {value}"]
    done = subprocess.run([*argv, "http://{}:{}{}".format(*address, path), "--", method], capture_output=True, text=True,
                          timeout=seconds + 60, user=CALLER_UID, group=CALLER_UID, extra_groups=[])
    found = re.search(r"^JSON (.*)$", done.stdout, re.M)
    if done.returncode or not found:
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
    figures = json.loads(found[1])
    if figures["refused"] or figures["broken"]:
        raise RuntimeError(f"{path}: {figures['refused']} answers of 400 or more, {figures['broken']} broken connections")
    return figures
