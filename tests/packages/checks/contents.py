"""What the packages hold."""

import gzip
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import made

# Written by cargo-deb from packaging/copyright.
COPYRIGHT = "/usr/share/doc/rolecall/copyright"


def check_both_packages_hold_the_same_but_what_the_list_says(_):
    deb, rpm = made.packages()
    deb, rpm = made.in_deb(deb), made.in_rpm(rpm)
    del deb[COPYRIGHT]
    only = {kind: {"/" + to for kinds, _, _, to in made.listed() if kinds == kind} for kind in ("deb", "rpm")}
    assert set(deb) - set(rpm) == only["deb"], set(deb) - set(rpm)
    assert set(rpm) - set(deb) == only["rpm"], set(rpm) - set(deb)
    for path in set(deb) & set(rpm):
        assert deb[path] == rpm[path], (path, deb[path], rpm[path])


def check_every_line_of_the_list_is_in_a_package(_):
    deb, rpm = made.packages()
    paths = set(made.in_deb(deb)) | set(made.in_rpm(rpm))
    for kind, _, _, to in made.listed():
        if kind == "image":
            continue
        found = [path for path in paths if path == f"/{to}" or to.endswith("/") and path.startswith(f"/{to}")]
        assert found, to


def check_configuration_is_what_is_in_etc_and_nothing_else(_):
    for found in (made.in_deb(made.packages()[0]), made.in_rpm(made.packages()[1])):
        assert {path for path, entry in found.items() if entry.configuration} == {
            path for path in found if path.startswith("/etc/")
        }


def check_every_command_has_a_page_and_a_completion(folder):
    unpacked = unpack(folder)
    shown = made.output(unpacked / "usr/bin/rolecall", "--help").decode()
    commands = re.findall(r"^  ([a-z]+) {2}", shown.partition("Commands:")[2].partition("Options:")[0], re.MULTILINE)
    commands.remove("help")
    assert len(commands) > 20, commands
    completions = {
        shell: (unpacked / path).read_text() for shell, path in {
            "bash": "usr/share/bash-completion/completions/rolecall",
            "zsh": "usr/share/zsh/vendor-completions/_rolecall",
            "fish": "usr/share/fish/vendor_completions.d/rolecall.fish",
        }.items()
    }
    for command in commands:
        page = gzip.decompress((unpacked / f"usr/share/man/man1/rolecall-{command}.1.gz").read_bytes())
        assert b".SH NAME" in page, command
        for shell, text in completions.items():
            assert re.search(rf"\b{command}\b", text), (command, shell)
    for shell, text in completions.items():
        # Each shell itself finds no mistake in its own.
        subprocess.run([shell, "--no-exec" if shell == "fish" else "-n"], input=text.encode(), check=True)


def check_pages_and_documents_tell_nothing_of_who_built_them(folder):
    unpacked = unpack(folder)
    cargo = os.environ.get("CARGO_HOME", Path.home() / ".cargo")
    for file in unpacked.rglob("*"):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if file.suffix == ".gz":
                content = gzip.decompress(content)
            for told in (str(made.ROOT), str(cargo)):
                assert told.encode() not in content, (file, told)


def check_what_the_binary_is_linked_with_is_what_the_packages_ask_for(_):
    linked = made.output("readelf", "--dynamic", "--version-info", made.BINARY).decode()
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)]", linked))
    assert needed <= {"libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2"}, needed
    newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", linked))
    if "GLIBC_ABI_DT_RELR" in linked:
        newest = max(newest, (2, 36))
    depends = made.output("dpkg-deb", "--field", made.packages()[0], "Depends").decode()
    asked = tuple(map(int, re.search(r"libc6 \(>= ([0-9.]+)\)", depends)[1].split(".")))
    assert newest == asked, (newest, depends)


def check_presets_enable_what_the_debian_package_enables(folder):
    with open(made.ROOT / "Cargo.toml", "rb") as manifest:
        units = tomllib.load(manifest)["package"]["metadata"]["deb"]["systemd-units"]
    in_systemd = {file.name for file in (made.ROOT / "systemd").iterdir() if file.suffix in (".service", ".socket")}
    enabled = {}
    for unit in units:
        files = [name for name in in_systemd if name.rpartition(".")[0] == unit["unit-name"]]
        enabled.update({name: unit.get("enable", True) for name in files})
    preset = dict(reversed(line.split()) for line in (made.ROOT / "systemd/rolecall.preset").read_text().splitlines()
                  if not line.startswith("#"))
    assert {name: verb == "enable" for name, verb in preset.items()} == enabled
    assert set(preset) == in_systemd
    spec = (made.ROOT / "packaging/rpm/rolecall.spec").read_text()
    for name, verb in preset.items():
        assert name in spec, name


def check_it_can_be_removed_where_systemd_does_not_answer(folder):
    """As in a container that has the host's /run/systemd."""
    made.output("dpkg-deb", "--control", made.packages()[0], folder / "scripts")
    alone = (
        "mount -t tmpfs none /run; mkdir -p /run/systemd/system;"
        "if [ -e /usr/sbin/policy-rc.d ]; then mount --bind /dev/null /usr/sbin/policy-rc.d; fi; exec sh \"$@\""
    )
    made.output("unshare", "--mount", "sh", "-ec", alone, "sh", folder / "scripts/prerm", "remove")


def check_what_it_was_built_from_is_told(folder):
    told = json.loads((unpack(folder) / "usr/share/doc/rolecall/sbom.cdx.json").read_text())
    assert told["bomFormat"] == "CycloneDX"
    named = {(part["name"], part["version"]) for part in told["components"]}
    tree = made.output(
        "cargo", "tree", "--locked", "--edges", "normal,build", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none",
        "--format", "{p}", cwd=made.ROOT,
    ).decode()
    used = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    used = {(name, version.removeprefix("v")) for name, version in used if name != "rolecall"}
    assert used <= named, used - named
    assert all(part.get("licenses") for part in told["components"]), "a licence is missing"


def check_lintian_finds_nothing(_):
    found = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", made.packages()[0]], stdout=subprocess.PIPE, check=False)
    assert found.returncode == 0, found.stdout.decode()


def check_rpmlint_finds_nothing(_):
    found = subprocess.run(
        ["rpmlint", "--config", made.ROOT / "packaging/rpm/rpmlint.toml", made.packages()[1]],
        stdout=subprocess.PIPE, check=False)
    assert found.returncode == 0 and b"0 errors, 0 warnings" in found.stdout, found.stdout.decode()


def unpack(folder):
    made.output("dpkg-deb", "--extract", made.packages()[0], folder / "deb")
    return folder / "deb"
