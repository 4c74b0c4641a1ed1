"""The configuration that the daemon has: one role and one grant for each kind of caller."""

import json

import scripted_sts

from suite.daemon import LOG

ISSUER_CERTIFICATE = "/etc/rolecall/issuer.pem"
HEAD = f"""
[[listener]]
name = "metadata"
bind = ["passed:metadata"]
apis = ["imds"]

# What the firewall redirects to it.
[[listener]]
name = "redirected"
bind = ["127.0.0.1:8181"]
apis = ["imds"]

# Mounted into containers whose network cannot tell who they are.
[[listener]]
name = "mounted"
bind = ["unix:/run/rolecall/metadata.sock"]
apis = ["imds"]

[[listener]]
name = "container"
bind = ["passed:container"]
apis = ["container"]

[account.prod]
id = "{scripted_sts.ACCOUNT}"
region = "us-east-1"
endpoint = "{{sts}}"
credentials.from = "key"
credentials.access-key-id = "{scripted_sts.BASE_KEY}"
credentials.secret-access-key = "file:/etc/rolecall/base.secret"

[[issuer]]
url = "{{issuer}}"
keys = "discovery"
ca-file = "{ISSUER_CERTIFICATE}"

[runtime]

[[runtime.engine]]
kind = "docker"

[[runtime.engine]]
kind = "podman"

[[runtime.engine]]
kind = "podman"
socket = "/run/user/1004/podman/podman.sock"

[[runtime.engine]]
kind = "cri"

[log]
level = "debug"
to = ["file:{LOG}", "journald"]
"""

TOKEN = """
[[listener.token]]
file = "{file}"
owner = "alice"
bearer = true
"""


def of(kinds, sts, issuer, handed_round=False, anyone=False, token=None):
    """One role for each kind, which its grant gives and no other; or, to prove that the checks notice, grants that give
    the next kind's role, or a last one for anyone. `token` is where alice's is written."""
    roles = [kind.role for kind in kinds]
    given = roles[1:] + roles[:1] if handed_round else roles
    grants = [(role, kind.when, kind.title) for role, kind in zip(given, kinds, strict=True)]
    if anyone:
        grants.append(("anyone", '"anyone"', "anyone"))
    parts = [HEAD.format(sts=sts, issuer=issuer)]
    parts += [f"[account.prod.role.{role}]\n" for role in (*roles, "anyone")]
    parts += [
        f'[[grant]]\nrole = "prod/{role}"\nwhen = {when}\nreason = {json.dumps(reason)}\nimdsv1 = true\n'
        for role, when, reason in grants
    ]
    if token:
        parts.append(TOKEN.format(file=token))
    return "\n".join(parts)
