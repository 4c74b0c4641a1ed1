"""The lives that packages have, each on a machine of its own, and the page of what the clients saw."""

import contextlib
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import exposure
import page
from lives import LIVES, SYSTEMDS
from machine import Machine

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "lifecycle.md"


def main(scratch, words):
    chosen = [life for life in LIVES if not words or any(word in life.name for word in words)]
    steps, exposures, passed, failed = {}, {}, 0, 0
    for life in chosen:
        steps[life.name] = {}
        with tempfile.TemporaryDirectory(prefix="rolecall-lifecycle-") as folder:
            machine = None
            try:
                machine = Machine(Path(folder) / "machine", life.options, life.debian)
                for step in life.live(machine, scratch / "packages"):
                    steps[life.name][step.name] = step
                    wrong = step.wrong()
                    passed, failed = passed + (not wrong), failed + bool(wrong)
                    print(f"{'FAILED' if wrong else 'ok    '} {life.name}: {step.told()}{wrong}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED {life.name}\n{traceback.format_exc()}", flush=True)
                if machine:
                    show_journal(machine)
            finally:
                if machine and machine.exposure:
                    exposures[SYSTEMDS[life.debian]] = machine.exposure
                if machine:
                    with contextlib.suppress(subprocess.CalledProcessError):
                        machine.off()
    if not words:
        PAGE.write_text(page.text(LIVES, steps))
        exposure.write(exposures)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def show_journal(machine):
    with contextlib.suppress(Exception):
        print(machine.run("journalctl", "--no-pager", "-o", "cat", "-n", "60", "-u", "rolecall*", "-u", "load*", check=False).stdout)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
