"""Asks for credentials with no SDK's care: for the caller's own role, and for roles by name.

    metadata.py ROLE…

Asks for metadata, or the container API where AWS_CONTAINER_CREDENTIALS_FULL_URI is set. Prints one line of JSON:
{"own": STATUS, "roles": {ROLE: STATUS}}; 0 is a connection that was not let in. Every request is a connection of its own."""

import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urljoin

ACCOUNT = "prod"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url, headers, method="GET"):
    try:
        with DIRECT.open(urllib.request.Request(url, method=method, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, ""
    except (OSError, http.client.HTTPException):
        return 0, ""


def metadata(roles):
    latest = "http://169.254.169.254/latest/"
    _, token = ask(latest + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
    listed = latest + "meta-data/iam/security-credentials/"
    headers = {"X-aws-ec2-metadata-token": token}
    status, own = ask(listed, headers)
    if status == 200:
        status, _ = ask(listed + own, headers)
    return status, {role: ask(listed + role, headers)[0] for role in roles}


def container(own, roles):
    headers = {}
    file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if file:
        with open(file) as token:
            headers["Authorization"] = token.read()
    return ask(own, headers)[0], {role: ask(urljoin(own, f"/role/{ACCOUNT}/{role}"), headers)[0] for role in roles}


full = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
own, roles = container(full, sys.argv[1:]) if full else metadata(sys.argv[1:])
print(json.dumps({"own": own, "roles": roles}))
