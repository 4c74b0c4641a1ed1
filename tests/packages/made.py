"""Packages as `packaging/build` makes them, and what is in them."""

import atexit
import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ["ROLECALL_PACKAGED"])
STATIC = Path(os.environ["ROLECALL_STATIC"])
# Where both were built: what is built there is not built again.
TARGET = BINARY.parents[3]
CARGO_HOME = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
RUSTUP_HOME = os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup"))

def output(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, **options).stdout

@dataclasses.dataclass(frozen=True)
class Entry:
    """A file of a package: its mode, and what is in it or where it leads."""

    mode: int
    content: str
    configuration: bool

def build(*options, source=ROOT, **run):
    """The packages of the project in `source` by the ends of their names: deb, rpm, tar."""
    made = output(source / "packaging/build", *options, **run)
    return {name.rpartition(".")[2]: Path(name) for name in made.decode().split()}

@functools.cache
def packages():
    """The deb and the rpm, built once for all checks."""
    built = build("--bin", BINARY, "--out", scratch(), "deb", "rpm")
    return built["deb"], built["rpm"]

@functools.cache
def image():
    """The image, built once for all checks."""
    return build("--bin", STATIC, "--out", scratch(), "image")["tar"]

def scratch():
    """A folder for as long as the checks last."""
    folder = tempfile.mkdtemp(prefix="rolecall-packages-")
    atexit.register(shutil.rmtree, folder)
    return Path(folder)

def in_deb(deb):
    """The files by their paths."""
    configuration = set(output("dpkg-deb", "--info", deb, "conffiles").decode().split())
    found = {}
    with tarfile.open(fileobj=io.BytesIO(output("dpkg-deb", "--fsys-tarfile", deb))) as archive:
        for member in archive:
            if not member.isdir():
                path = member.name.removeprefix(".")
                content = member.linkname if member.issym() else digest(archive.extractfile(member).read())
                mode = 0o777 if member.issym() else member.mode
                assert (member.uid, member.gid) == (0, 0), path
                found[path] = Entry(mode, content, path in configuration)
    return found

def in_rpm(rpm):
    """The files by their paths."""
    shown = "[%{FILENAMES}\t%{FILEMODES:octal}\t%{FILEDIGESTS}\t%{FILELINKTOS}\t%{FILEFLAGS:fflags}\t%{FILEUSERNAME}\n]"
    found = {}
    for line in output("rpm", "-qp", "--queryformat", shown, rpm).decode().splitlines():
        path, mode, digested, link, flags, owner = line.split("\t")
        assert owner == "root", path
        if not stat.S_ISDIR(int(mode, 8)):
            # Configuration that an upgrade leaves alone: %config(noreplace).
            found[path] = Entry(int(mode, 8) & 0o7777, link or digested, "c" in flags and "n" in flags)
    return found

def in_image(image):
    """The configuration of the image, and its files with their contents by their paths."""
    with tarfile.open(image) as archive:
        def blob(descriptor):
            content = archive.extractfile("blobs/" + descriptor["digest"].replace(":", "/")).read()
            assert f"sha256:{digest(content)}" == descriptor["digest"]
            return content
        [index] = json.load(archive.extractfile("index.json"))["manifests"]
        manifest = json.loads(blob(index))
        configuration = json.loads(blob(manifest["config"]))
        [layer] = manifest["layers"]
        with tarfile.open(fileobj=io.BytesIO(blob(layer))) as files:
            found = {f"/{member.name}": files.extractfile(member).read() for member in files if member.isfile()}
        assert index["platform"]["architecture"] == configuration["architecture"]
        return configuration, found

def digest(content):
    return hashlib.sha256(content).hexdigest()

def listed():
    """The lines of the list of what the packages hold."""
    for line in (ROOT / "packaging/contents").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split()
