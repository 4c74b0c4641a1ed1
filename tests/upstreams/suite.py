"""Runs the checks of a suite: every function `check_…` of the modules in its `checks/`, each with a folder of its own.

    suite.py FOLDER [WORD…]    those whose names have one of these words in them

Run by `run` of the suite's folder. Ends with `N passed, N failed`."""

import importlib
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def checks(folder, words):
    """All checks by their names; with words only those that have one of them in their names."""
    for file in sorted((folder / "checks").glob("*.py")):
        module = importlib.import_module(file.stem)
        for name, check in vars(module).items():
            called = f"{file.stem}: {name.removeprefix('check_').replace('_', ' ')}"
            wanted = not words or any(word in called for word in words)
            if name.startswith("check_") and callable(check) and wanted:
                yield called, check


def main(folder, words):
    sys.path[:0] = [str(folder), str(folder / "checks"), str(HERE)]
    passed = failed = 0
    for called, check in checks(folder, words):
        with tempfile.TemporaryDirectory(prefix=f"rolecall-{folder.name}-") as directory:
            # Servers that gave up root read what is in it.
            Path(directory).chmod(0o755)
            try:
                check(Path(directory))
            except Exception:
                failed += 1
                print(f"FAILED {called}\n{traceback.format_exc()}", flush=True)
            else:
                passed += 1
                print(f"ok     {called}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
