"""python3 benches/bench --rolecall BINARY --hyper-bare BINARY [--quick] [PHASE ...]    (benches/run calls it)"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peoples
import phases
import report
import world
from servers import StandIn

BENCHES = Path(__file__).resolve().parent.parent
PHASES = phases.PHASES | peoples.PHASES


class Bench:
    """What every phase is given: the binaries, a scratch folder, the stand-in for STS, and how long to measure."""

    def __init__(self, options, scratch):
        self.rolecall, self.hyper_bare = os.path.abspath(options.rolecall), os.path.abspath(options.hyper_bare)
        self.in_process = {name: os.path.abspath(path) for name, _, path in (it.partition("=") for it in options.in_process)}
        self.rounds, self.seconds, self.starts = (1, 1, 3) if options.quick else (25, 1, 21)
        self.scratch = Path(scratch)
        self.script = self.scratch / "wrk.lua"      # readable by the caller, wherever the checkout lies
        shutil.copy(Path(__file__).with_name("wrk.lua"), self.script)
        self.sts = StandIn(self)

    def directory(self, label):
        made = self.scratch / label
        made.mkdir(mode=0o755, exist_ok=True)
        return made

    def cpu_so_far(self):
        """CPU time of all that the suite has run."""
        return world.ours_so_far() + world.cpu_seconds(self.sts.pid)

    @staticmethod
    def say(*words):
        print("  ", *words, file=sys.stderr, flush=True)


def versions(bench, commit):
    lock = (BENCHES / "hyper-bare/Cargo.lock").read_text()
    found = {"rolecall": world.version_of(bench.rolecall, "--version").split(" ")[-1],
             "commit": commit,
             "rustc": re.sub(r"^rustc (\S+).*", r"\1", world.version_of("rustc", "--version")),
             "wrk": re.sub(r"^wrk (?:debian/)?(\S+).*", r"\1", world.version_of("wrk", "-v")),
             "nginx": world.version_of("nginx", "-v").split("/")[-1],
             "python": sys.version.split(" ")[0]}
    for crate in ("hyper", "tokio"):
        ours = (BENCHES.parent / "Cargo.lock").read_text()
        both = [re.search(rf'name = "{crate}"\nversion = "(.*)"', text)[1] for text in (lock, ours)]
        if both[0] != both[1]:
            sys.exit(f"hyper-bare is built with {crate} {both[0]}, rolecall with {both[1]}: "
                     "run `cargo update` in benches/hyper-bare")
        found[crate] = both[0]
    return found


def main():
    parser = argparse.ArgumentParser(prog="benches/run", description="Measures rolecall; see benches/README.md.")
    parser.add_argument("phases", nargs="*", metavar="PHASE", help=f"of {', '.join(PHASES)}; default: all")
    parser.add_argument("--rolecall", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--commit", default="an unknown commit", help=argparse.SUPPRESS)
    parser.add_argument("--hyper-bare", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--in-process", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="see that it runs: short, and nothing is written")
    options = parser.parse_args()
    if unknown := set(options.phases) - PHASES.keys():
        parser.error(f"no phase is called {', '.join(sorted(unknown))}")
    world.enter_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results_file = BENCHES / "results.json"
    results = json.loads(results_file.read_text()) if results_file.exists() else {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="rolecall-bench-") as scratch:
        os.chmod(scratch, 0o755)
        bench = Bench(options, scratch)
        about = {"machine": world.machine(), "versions": versions(bench, options.commit)}
        for name in options.phases or PHASES:
            print(f"{name}: {PHASES[name].__doc__.strip().splitlines()[0]}", file=sys.stderr, flush=True)
            others, ours, clock = world.OtherWork(), bench.cpu_so_far(), time.perf_counter()
            try:
                figures = PHASES[name](bench)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                print(f"{name} FAILED: {error}", file=sys.stderr, flush=True)
                failed = True
                continue
            results[name] = {**about, "date": time.strftime("%Y-%m-%d", time.gmtime()),
                             "seconds": round(time.perf_counter() - clock), "figures": figures,
                             "others": round(others.share(bench.cpu_so_far() - ours), 3)}
            if not options.quick:
                results_file.write_text(json.dumps(results, indent=1) + "\n")
        bench.sts.stop()
    results = {name: results[name] for name in PHASES if name in results}
    print(report.tables(results))
    if not options.quick:
        report.write(results, BENCHES / "README.md")
    sys.exit(failed)


if __name__ == "__main__":
    main()
