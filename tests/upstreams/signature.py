"""Checks AWS Signature Version 4 in the Authorization header, so that an upstream can tell whether a
caller really held the secret and the session token that belong to an access key id."""

import hashlib
import hmac
import re
from urllib.parse import quote, unquote_plus

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]*)/(?P<service>[^/]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<signed>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})$"
)


class Refused(Exception):
    """Why a signature does not count; the text is the AWS error code."""


def signer(method, target, headers, body, secrets):
    """The access key id that signed the request. `secrets` maps ids to (secret, session token)."""
    parts = AUTHORIZATION.match(headers.get("Authorization", ""))
    if parts is None:
        raise Refused("MissingAuthenticationToken")
    if parts["key"] not in secrets:
        raise Refused("InvalidClientTokenId")
    secret, session_token = secrets[parts["key"]]
    if session_token and headers.get("X-Amz-Security-Token") != session_token:
        raise Refused("InvalidToken")
    digest = hashlib.sha256(body).hexdigest()
    claimed = headers.get("X-Amz-Content-Sha256", digest)
    if re.fullmatch("[0-9a-f]{64}", claimed) and claimed != digest:
        raise Refused("XAmzContentSHA256Mismatch")
    scope = f"{parts['date']}/{parts['region']}/{parts['service']}/aws4_request"
    canonical = _canonical_request(method, target, headers, parts["signed"].split(";"), claimed)
    stamp = headers.get("X-Amz-Date", "")
    text = "\n".join(
        ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = ("AWS4" + secret).encode()
    for step in (parts["date"], parts["region"], parts["service"], "aws4_request", text):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(key.hex(), parts["signature"]):
        raise Refused("SignatureDoesNotMatch")
    return parts["key"]


def _canonical_request(method, target, headers, signed, payload):
    path, _, query = target.partition("?")
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = sorted((_encode(name), _encode(value)) for name, _, value in pairs)
    lines = [method, path, "&".join(f"{name}={value}" for name, value in encoded)]
    lines += [f"{name}:{' '.join((headers.get(name) or '').split())}" for name in signed]
    return "\n".join([*lines, "", ";".join(signed), payload])


def _encode(text):
    return quote(unquote_plus(text), safe="-_.~")
