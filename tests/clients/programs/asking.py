"""The line protocol between the matrix and a client program: each `ask` on standard input gets one
line, `key ID DIGEST`, `identity VALUE`, `done` (the upstream saw a signed call) or `error TEXT`."""

import hashlib
import sys


def digest(secret_access_key, session_token):
    """Sixteen hex digits that prove secret and token arrived unchanged, without showing them."""
    whole = "%s\n%s" % (secret_access_key, session_token)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def key(access_key_id, secret_access_key, session_token):
    return "key %s %s" % (access_key_id, digest(secret_access_key, session_token))


def answer(ask):
    """Answers every `ask` until standard input ends; whatever the client raises is its error."""
    for _ in iter(sys.stdin.readline, ""):
        try:
            reply = ask()
        except Exception as error:
            reply = "error %s: %s" % (type(error).__name__, " ".join(str(error).split()))
        sys.stdout.write(reply + "\n")
        sys.stdout.flush()
