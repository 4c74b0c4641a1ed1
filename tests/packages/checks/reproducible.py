"""The same sources give the same packages, whoever packages them, where and when. (packaging/reproduce compiles them
twice, which takes half an hour.)"""

import os
import shutil
import subprocess

import made


def check_another_place_mask_zone_language_and_user_give_the_same_bytes(folder):
    other = folder / "an other place"
    for name in sources():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made.ROOT / name, other / name)
    home = folder / "home"
    home.mkdir()
    environment = dict(
        os.environ, TZ="Asia/Kathmandu", LC_ALL="C.UTF-8", LANG="de_DE.UTF-8", USER="somebody", HOSTNAME="elsewhere",
        HOME=str(home), CARGO_HOME=made.CARGO_HOME, RUSTUP_HOME=made.RUSTUP_HOME, TMPDIR=str(folder),
        ROLECALL_CACHE=made.output(made.ROOT / ".ci/cache").decode().strip(), CARGO_TARGET_DIR=str(made.TARGET),
        SOURCE_DATE_EPOCH=committed("%ct"), SOURCE_COMMIT=committed("%H"),
    )
    with open(folder / "told", "wb") as told:
        again = made.build("--out", folder / "again", "deb", "rpm", "image", source=other, env=environment, umask=0o077,
                           stderr=told)
    # Another folder with the same sources has nothing to compile: what was built for the first one is taken.
    told = (folder / "told").read_text()
    assert "Finished" in told and "Compiling" not in told, told
    for first in (*made.packages(), made.image()):
        second = again[first.suffix.removeprefix(".")]
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), difference(first, second)


def check_binaries_tell_no_folder_of_who_built_them(_):
    for binary in (made.BINARY, made.STATIC):
        content = binary.read_bytes()
        # What is told instead is in it: panics have a place.
        assert b"/usr/src/cargo/registry/" in content, binary
        for told in (made.ROOT, made.TARGET, made.CARGO_HOME, made.RUSTUP_HOME):
            assert f"{told}/".encode() not in content, (binary, told)


def sources():
    """What git knows, and what it would take; not what was built."""
    listed = made.output("git", "-C", made.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode()
    return [name for name in listed.split("\0") if name and (made.ROOT / name).exists()]


def committed(what):
    """Of the last commit, as git names it."""
    return made.output("git", "-C", made.ROOT, "log", "-1", f"--format={what}").decode().strip()


def difference(first, second):
    """Where two packages begin to differ, for whoever must mend it."""
    compared = subprocess.run(["cmp", first, second], stdout=subprocess.PIPE, check=False)
    return compared.stdout.decode()
