#!/usr/bin/env python3
"""Installs every client into the cache, in parallel, each part once for each state of its lock file.

    install.py            prints one line a part; exits 1 if a part failed"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from matrix.places import CACHE, CLIENTS, PROGRAMS, UPSTREAMS  # noqa: E402

PART_SECONDS = 1500
PACKAGES = [
    "amazon-ec2-utils", "awscli", "ca-certificates", "cloud-guest-utils", "curl", "fuse", "gcc",
    "golang-github-aws-aws-sdk-go-v2-dev", "iproute2", "libc6-dev", "libfaketime", "php-async-aws-core",
    "php-cli", "python3", "python3-boto", "python3-venv", "rclone", "restic", "ruby-aws-sdk-core", "s3cmd",
    "s3fs", "util-linux",
]
# What is only needed where the machine has no such command of its own.
COMMANDS = {"go": "golang-go", "java": "default-jdk-headless", "javac": "default-jdk-headless",
            "mvn": "maven", "node": "nodejs", "npm": "npm", "ruby": "ruby"}


@dataclass(frozen=True)
class Part:
    name: str
    locks: list  # files that say what is installed
    script: str  # for bash -euo pipefail, in tests/clients


def environment(name):
    return Part(f"python-{name}", [CLIENTS / f"python/{name}.txt"],
                f". '{UPSTREAMS}/python_environment.sh'; python_environment '{name}' 'python/{name}.txt'")


RUST = Part(
    "rust", [CLIENTS / "rust/Cargo.lock", *sorted((CLIENTS / "rust").glob("*/**/*.rs"))],
    f"cargo build --locked --manifest-path rust/Cargo.toml --target-dir '{CACHE}/rust'",
)
LATER = [
    *(environment(file.stem) for file in sorted((CLIENTS / "python").glob("*.txt"))),
    Part("node", [CLIENTS / "node/package-lock.json"],
         f"mkdir -p '{CACHE}/node'; cp node/package*.json '{CACHE}/node/'; cd '{CACHE}/node';"
         " npm ci --ignore-scripts --no-audit --no-fund"),
    Part("go", [CLIENTS / "go/go.sum", *sorted(CLIENTS.glob("go*/**/*.go"))],
         f"""mkdir -p '{CACHE}/go'
         (cd go && go build -buildvcs=false -mod=readonly -o '{CACHE}/go/' ./assuming ./aws-sdk-go ./minio-go)
         mkdir -p '{CACHE}/gopath/src'
         ln -sfn "$PWD/go" '{CACHE}/gopath/src/clients'
         ln -sfn "$PWD/go-debian" '{CACHE}/gopath/src/aws-sdk-go-v2'
         GO111MODULE=off GOPATH='{CACHE}/gopath:/usr/share/gocode' \
             go build -buildvcs=false -o '{CACHE}/go/aws-sdk-go-v2' aws-sdk-go-v2"""),
    Part("java", [CLIENTS / "java/pom.xml", CLIENTS / "java/Asking.java"],
         f"""rm -rf '{CACHE}/java'
         mvn -q -B -f java/pom.xml -Dmaven.repo.local='{CACHE}/maven' \
             dependency:copy-dependencies -DoutputDirectory='{CACHE}/java/lib'
         javac -cp '{CACHE}/java/lib/*' -d '{CACHE}/java' java/Asking.java"""),
]


def everything():
    """Installs all parts; gives the names of those that failed."""
    (CACHE / "logs").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=3) as pool:
        rust = pool.submit(install, RUST)  # the longest needs nothing of Debian's
        failed = {install_packages()}
        failed |= {part.result() for part in [pool.submit(install, part) for part in LATER]}
        failed |= {rust.result()}
    copy_programs()
    return failed - {None}


def some(names):
    """Installs only Debian's packages and these parts; gives the names of those that failed."""
    (CACHE / "logs").mkdir(parents=True, exist_ok=True)
    failed = {install_packages(), *(install(part) for part in LATER if part.name in names)}
    copy_programs()
    return failed - {None}


def copy_programs():
    """Puts the programs where every uid may read them; a checkout may be private."""
    shutil.rmtree(PROGRAMS, ignore_errors=True)
    shutil.copytree(CLIENTS / "programs", PROGRAMS)
    (CACHE / "node").mkdir(exist_ok=True)
    for program in (CLIENTS / "node").glob("*.mjs"):
        shutil.copy(program, CACHE / "node")


def install(part):
    """Runs one part unless the cache already holds it; gives its name if it failed."""
    stamp = CACHE / f".{part.name}.installed"
    wanted = hashlib.sha256(b"".join([part.script.encode(), *(lock.read_bytes() for lock in part.locks)])).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return report(part.name, "cached")
    return run(part.name, ["bash", "-euo", "pipefail", "-c", part.script], stamp, wanted)


def install_packages():
    """Debian's packages; one that is held back or gone fails the part."""
    missing = [name for name in PACKAGES if not has_package(name)]
    missing += sorted({name for command, name in COMMANDS.items() if shutil.which(command) is None})
    if not missing:
        return report("debian", "cached")
    script = (
        "export DEBIAN_FRONTEND=noninteractive; apt-get -o DPkg::Lock::Timeout=600 update -qq;"
        " apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends " + " ".join(missing)
    )
    return run("debian", ["bash", "-euo", "pipefail", "-c", script])


def has_package(name):
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", name], capture_output=True, text=True, check=False)
    return asked.stdout == "install ok installed"


def run(name, command, stamp=None, wanted=None):
    started = time.monotonic()
    log = CACHE / "logs" / f"{name}.log"
    with open(log, "wb") as output:
        try:
            code = subprocess.run(
                command, cwd=CLIENTS, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                timeout=PART_SECONDS, check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    if code != 0:
        print(f"failed {name}: exit {code}, see {log}", flush=True)
        print("\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-15:]), flush=True)
        return name
    if stamp is not None:
        stamp.write_text(wanted)
    return report(name, f"installed in {time.monotonic() - started:.0f} s")


def report(name, what):
    print(f"{name}: {what}", flush=True)
    return None


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(1 if everything() else 0)
