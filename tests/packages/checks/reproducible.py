"""The same binary gives the same packages, whoever packages it, where and when."""

import os
import shutil
import subprocess

import made

COPIED = ["Cargo.toml", "Cargo.lock", ".cargo", ".ci", "CHANGELOG.md", "README.md", "SECURITY.md", "LICENSE", "build.rs",
          "config", "deploy", "docs", "monitoring", "packaging", "src", "systemd", "benches", "examples"]


def check_another_place_mask_zone_language_and_user_give_the_same_bytes(folder):
    other = folder / "an other place"
    other.mkdir()
    for name in COPIED:
        source = made.ROOT / name
        if source.is_dir():
            shutil.copytree(source, other / name, symlinks=True, ignore=shutil.ignore_patterns("target"))
        else:
            shutil.copy(source, other / name)
    committed = made.output("git", "-C", made.ROOT, "log", "-1", "--format=%ct").decode().strip()
    cache = made.output(made.ROOT / ".ci/cache").decode().strip()
    home = folder / "home"
    home.mkdir()
    environment = dict(
        os.environ, TZ="Asia/Kathmandu", LC_ALL="C.UTF-8", LANG="de_DE.UTF-8", USER="somebody", HOSTNAME="elsewhere",
        HOME=str(home), CARGO_HOME=os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo")),
        RUSTUP_HOME=os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup")),
        ROLECALL_CACHE=cache, SOURCE_DATE_EPOCH=committed, TMPDIR=str(folder),
    )
    again = made.build(other, folder / "again", env=environment, umask=0o077)
    for first, second in zip(made.packages(), again, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), difference(first, second)


def difference(first, second):
    """Where two packages begin to differ, for whoever must mend it."""
    compared = subprocess.run(["cmp", first, second], stdout=subprocess.PIPE, check=False)
    return compared.stdout.decode()
