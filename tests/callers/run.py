#!/usr/bin/env python3
"""Has every kind of caller ask the daemon in the booted machine, and writes docs/callers.md.

    run.py --install              installs the SDKs on this machine
    run.py [--kind TITLE]...      in the machine's network namespace; with --kind only those, and no table
    run.py --prove [...]          has the daemon give everyone what is not theirs: then every check must fail

$MACHINE holds the machine's state, $ROLECALL_BIN is the daemon. Ends with `N passed, N failed`."""

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from suite import Failed, places, table  # noqa: E402

import install  # noqa: E402

from suite.checks import COLUMNS, cannot_get_anothers  # noqa: E402
from suite.circumstances import CIRCUMSTANCES  # noqa: E402
from suite.host import Host  # noqa: E402
from suite.kinds import KINDS  # noqa: E402
from suite.pretenders import PRETENDERS  # noqa: E402

SDK_PARTS = {"python-boto3", "python-awscli", "node", "go"}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--install", action="store_true")
    options.add_argument("--prove", action="store_true")
    options.add_argument("--kind", action="append", choices=[kind.title for kind in KINDS])
    chosen = options.parse_args()
    os.umask(0o022)
    if chosen.install:
        return 1 if install.some(SDK_PARTS) else 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kinds = [kind for kind in KINDS if not chosen.kind or kind.title in chosen.kind]
    began = time.monotonic()
    host = Host(kinds)
    print(f"set up in {time.monotonic() - began:.1f} s", flush=True)
    run = Run(host)
    if chosen.prove:
        prove(run, host)
    else:
        check(run, host)
        if not chosen.kind:
            places.TABLE.write_text(table.text(KINDS, COLUMNS, PRETENDERS, CIRCUMSTANCES, run.words))
    print(f"{run.passed} passed, {run.failed} failed", flush=True)
    return 1 if run.failed else 0


def check(run, host):
    """All kinds and columns, then who pretends to be one of them, then what else may happen."""
    for kind in host.kinds:
        for title, column in COLUMNS.items():
            run.judge(f"{kind.title}: {title}", (kind.title, title), column, host, kind)
    if len(host.kinds) == len(KINDS):
        for row in (*PRETENDERS, *CIRCUMSTANCES):
            run.judge(row.title, row.title, row.run, host)


def prove(run, host):
    """Grants are handed round, and every check of a kind must notice; then there is one for anyone, and everybody who is
    to get nothing gets something."""
    host.reconfigure(handed_round=True)
    for kind in host.kinds:
        for title, column in COLUMNS.items():
            run.judge(f"{kind.title}: {title}", None, noticed, column, host, kind)
    host.reconfigure(anyone=True)
    for kind in host.kinds:
        run.judge(f"{kind.title}: its neighbour", None, noticed, cannot_get_anothers, host, kind)
    for row in PRETENDERS if len(host.kinds) == len(KINDS) else ():
        if row.let_in:
            run.judge(row.title, None, noticed, row.run, host)


def noticed(column, *arguments):
    try:
        words = column(*arguments)
    except Failed as failure:
        return f"noticed: {failure}"
    raise Failed(f"not noticed: {words}")


class Run:
    def __init__(self, host):
        self._host = host
        self.passed = 0
        self.failed = 0
        self.words = {}

    def judge(self, name, cell, column, *arguments):
        """Runs one check and notes how it ended."""
        began, told = time.monotonic(), self._host.daemon.said()
        try:
            words = column(*arguments)
        except Failed as failure:
            words, why = None, str(failure)
        except Exception:
            words, why = None, traceback.format_exc()
        seconds = time.monotonic() - began
        if words is None:
            self.failed += 1
            print(f"FAIL  {name} ({seconds:.1f} s): {why}", flush=True)
            print(*(f"      {line}" for line in self._host.daemon.said_after(told)), sep="\n", flush=True)
        else:
            self.passed += 1
            self.words[cell] = words
            print(f"ok    {name}: {words} ({seconds:.1f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
