"""A real Keystone's answers: it still gives those that were recorded, and the daemon's are of the same shape but where
they are meant to differ."""

import json
import subprocess

import story
from parts import HERE, OPENSTACK, Daemon, told

RECORDED = HERE / "keystone.json"

# A project is an account, and has its alias for an id.
ALIASES = dict.fromkeys(
    (".token.project.id", ".projects[].id", ".project.id", ".credential.tenant_id", ".credentials[].tenant_id"), "<text>"
)


def message(text):
    return {"body": {".error.message": text}}


# Of a token that cannot be read nobody is told why.
NO_TOKEN = message("Could not find token.")
# Keystone names the digest that it keeps a key by.
NO_KEY = message("Could not find credential: <id>.")
# What Keystone tells only when it is told to tell more, and other services look for.
NOT_SIGNED = message("EC2 signature not supplied.")
WRONG_SIGNATURE = message("Invalid EC2 signature.")
OLD = message("Credential is expired")
# The document has no 404 here, and other services know this status and text from before Keystone had.
UNKNOWN = {
    "status": 401, "headers": ["www-authenticate"],
    "body": {".error.code": 401, ".error.title": "Unauthorized"},
}
# The document has this status for what is no JSON.
NO_JSON = {"status": 415, "body": {".error.code": 415, ".error.title": "Unsupported Media Type"}}
# Keystone names the action everywhere but here.
BARRED = message("You are not authorized to perform the requested action: identity:ec2_list_credentials.")
# Where the daemon is meant to answer otherwise: status, headers and what is in the body.
MEANT = {
    "sign in by no token": NO_TOKEN,
    "validate another": NO_TOKEN,
    "validate what was revoked": NO_TOKEN,
    "make a key with a form": NO_JSON,
    "no key": NO_KEY,
    "delete it again": NO_KEY,
    "verify one with the wrong key": WRONG_SIGNATURE,
    "verify S3's with the wrong key": WRONG_SIGNATURE,
    "verify one of no key": UNKNOWN,
    "verify an old one": OLD,
    "verify without a signature": NOT_SIGNED,
    "keys by a key": BARRED,
}


def check_keystone_still_answers_so(directory):
    file = directory / "now.json"
    ended = subprocess.run(
        [OPENSTACK / "python", "-B", HERE / "real_keystone.py", file], capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, told(ended)
    now, before = json.loads(file.read_text()), json.loads(RECORDED.read_text())
    changed = [name for name in before | now if before.get(name) != now.get(name)]
    assert not changed, f"{changed}: record it again with real_keystone.py"


def check_the_daemon_answers_as_keystone_does(directory):
    with Daemon(directory) as daemon:
        ours = story.tell(story.Identity(daemon.url))
    recorded = json.loads(RECORDED.read_text())
    assert ours.keys() == recorded.keys()
    wrong = {}
    for name, theirs in recorded.items():
        differs = differences(theirs, ours[name], MEANT.get(name, {}))
        if differs:
            wrong[name] = differs
    assert not wrong, "\n".join(f"{name}: {differs}" for name, differs in wrong.items())


def check_what_is_meant_to_differ_does(_directory):
    recorded = json.loads(RECORDED.read_text())
    same = [name for name, meant in MEANT.items()
            if differences(recorded[name], recorded[name], meant) == differences(recorded[name], recorded[name], {})]
    assert not same, same


def differences(theirs, ours, meant):
    """In what one answer differs that is not meant to."""
    found = []
    for part in ("status", "headers", "vary"):
        wanted = meant.get(part, theirs[part])
        if ours[part] != wanted:
            found.append(f"{part} is {ours[part]}, not {wanted}")
    found.extend(missing(theirs["body"], ours["body"], ALIASES | meant.get("body", {}), ""))
    return found


def missing(theirs, ours, meant, place):
    """What of their document is not in ours; ours may have more."""
    if place in meant:
        return [] if ours == meant[place] else [f"{place} is {ours!r}, not {meant[place]!r}"]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        inner = (missing(value, ours.get(name), meant, f"{place}.{name}") for name, value in theirs.items())
        return [one for found in inner for one in found]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        inner = (missing(mine, yours, meant, f"{place}[]") for mine, yours in zip(theirs, ours, strict=True))
        return [one for found in inner for one in found]
    return [] if theirs == ours else [f"{place} is {ours!r}, not {theirs!r}"]
