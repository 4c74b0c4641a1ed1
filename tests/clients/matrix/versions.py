"""Which version of a client is installed: asked of what is there, never of what was wanted."""

import json
import re
import subprocess
import tomllib

from matrix.places import CACHE, CLIENTS


def version(how):
    kind, *where = how
    return {"debian": _debian, "module": _module, "npm": _npm, "crate": _crate, "go": _go, "jar": _jar}[
        kind
    ](*where)


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def _debian(package):
    status, full = _run("dpkg-query", "-W", "-f", "${Status}\t${Version}", package).split("\t")
    if status != "install ok installed":
        raise LookupError(f"{package} is not installed")
    upstream = re.sub(r"-[^-]*$", "", full.partition(":")[2] or full)
    return upstream.partition("+dfsg")[0] + " (Debian)"


def _module(environment, module):
    python = CACHE / environment / "bin" / "python"
    return _run(str(python), "-c", f"from importlib.metadata import version; print(version({module!r}))").strip()


def _npm(package):
    return json.loads((CACHE / "node/node_modules" / package / "package.json").read_text())["version"]


def _crate(crate):
    lock = tomllib.loads((CLIENTS / "rust/Cargo.lock").read_text())
    return next(entry["version"] for entry in lock["package"] if entry["name"] == crate)


def _go(program, module):
    for line in _run("go", "version", "-m", str(CACHE / "go" / program)).splitlines():
        words = line.split()
        if words[:2] == ["dep", module]:
            return words[2].removeprefix("v")
    raise LookupError(f"{program} was built without {module}")


def _jar(artifact):
    (jar,) = (CACHE / "java/lib").glob(f"{artifact}-*.jar")
    return jar.stem.removeprefix(f"{artifact}-")
