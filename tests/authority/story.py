"""One story of an Identity v3 client, told to whatever answers as Keystone does: an administrator signs in, looks around,
keeps EC2 keys, has signatures verified, and does each of it wrongly too. `tell` gives the answers, without what
differs from one telling to the next."""

import base64
import hashlib
import hmac
import http.client
import json
import re
import time
from urllib.parse import quote, urlsplit

ADMIN, PASSWORD, PROJECT = "admin", "PASSWORD", "admin"
DOMAIN = {"id": "default"}
FORM = "application/x-www-form-urlencoded"
SECONDS = 30

# Texts that are told as they are; of all others only the kind is.
SPOKEN = {"message", "title", "methods", "trust_id"}
KINDS = [
    ("time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")),
    ("id", re.compile(r"[0-9a-f]{32}")),
    ("url", re.compile(r"https?://.*")),
]


class Identity:
    """Something that answers as Keystone does, at this URL, which ends in no slash."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port, self.base = parts.hostname, parts.port, parts.path

    def ask(self, method, path, body=None, token=None, subject=None, kind="application/json"):
        """Status, headers by their names in lower case, and body."""
        headers = {"X-Auth-Token": token, "X-Subject-Token": subject}
        headers = {name: value for name, value in headers.items() if value is not None}
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if sent is not None and kind is not None:
            headers["Content-Type"] = kind
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)
        try:
            connection.request(method, self.base + path, sent, headers)
            answered = connection.getresponse()
            told = {name.lower(): value for name, value in answered.headers.items()}
            return answered.status, told, answered.read()
        finally:
            connection.close()


class Story:
    """The story as far as it was told, and what was answered."""

    def __init__(self, identity):
        self._identity = identity
        self.answers = {}

    def step(self, name, method, path, *arguments, **options):
        """Asks, and keeps the answer under this name."""
        status, headers, body = self._identity.ask(method, path, *arguments, **options)
        document = json.loads(body) if body else None
        self.answers[name] = {
            "status": status,
            "headers": sorted(headers.keys() & {"x-subject-token", "www-authenticate", "allow", "location"}),
            "vary": headers.get("vary"),
            "body": shape(document),
        }
        return headers, document


def shape(value, key=""):
    """A document with its texts told by their kind."""
    if isinstance(value, dict):
        return {name: shape(inner, name) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        shapes = [shape(inner, key) for inner in value]
        return sorted(shapes) if key in SPOKEN else shapes[:1]
    if isinstance(value, str) and key not in SPOKEN:
        return next((f"<{kind}>" for kind, form in KINDS if form.fullmatch(value)), "<text>")
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{32}", "<id>", re.sub(r"[0-9a-f]{64}", "<digest>", value))
    return value


def tell(identity):
    story = Story(identity)
    token, user, project = sign_in(story)
    look_around(story, token, user, project)
    access, secret = keep_keys(story, token, user, project)
    verify_signatures(story, token, user, access, secret)
    end(story, token)
    return story.answers


def by_password(password=PASSWORD, scope=True, name=ADMIN):
    who = {"name": name, "domain": DOMAIN, "password": password}
    auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
    if scope:
        auth["scope"] = {"project": {"name": PROJECT, "domain": DOMAIN}}
    return {"auth": auth}


def by_token(token):
    return {"auth": {"identity": {"methods": ["token"], "token": {"id": token}},
                     "scope": {"project": {"name": PROJECT, "domain": DOMAIN}}}}


def sign_in(story):
    headers, told = story.step("sign in", "POST", "/v3/auth/tokens", by_password())
    token, who = headers["x-subject-token"], told["token"]
    story.step("sign in without a scope", "POST", "/v3/auth/tokens", by_password(scope=False))
    story.step("sign in with a wrong password", "POST", "/v3/auth/tokens", by_password("wrong"))
    story.step("sign in as nobody", "POST", "/v3/auth/tokens", by_password(name="nobody"))
    elsewhere = by_password()
    elsewhere["auth"]["scope"]["project"]["name"] = "nowhere"
    story.step("sign in to no project", "POST", "/v3/auth/tokens", elsewhere)
    story.step("sign in with half a document", "POST", "/v3/auth/tokens", b'{"auth": {')
    story.step("sign in with no document", "POST", "/v3/auth/tokens", b"")
    story.step("sign in with an empty document", "POST", "/v3/auth/tokens", {})
    story.step("sign in with a form", "POST", "/v3/auth/tokens", b"a=b", kind=FORM)
    story.step("sign in by a token", "POST", "/v3/auth/tokens", by_token(token))
    story.step("sign in by no token", "POST", "/v3/auth/tokens", by_token("none"))
    return token, who["user"]["id"], who["project"]["id"]


def look_around(story, token, user, project):
    story.step("versions", "GET", "/")
    story.step("version 3", "GET", "/v3")
    story.step("validate", "GET", "/v3/auth/tokens", token=token, subject=token)
    story.step("validate by name only", "HEAD", "/v3/auth/tokens", token=token, subject=token)
    story.step("validate another", "GET", "/v3/auth/tokens", token=token, subject="none")
    story.step("validate nothing", "GET", "/v3/auth/tokens", token=token)
    story.step("validate as nobody", "GET", "/v3/auth/tokens", subject=token)
    story.step("catalogue", "GET", "/v3/auth/catalog", token=token)
    story.step("own projects", "GET", "/v3/auth/projects", token=token)
    story.step("oneself", "GET", f"/v3/users/{user}", token=token)
    story.step("oneself by name", "GET", f"/v3/users?name={ADMIN}", token=token)
    story.step("nobody by name", "GET", "/v3/users?name=nobody", token=token)
    story.step("nobody", "GET", f"/v3/users/{'0' * 32}", token=token)
    story.step("a project", "GET", f"/v3/projects/{project}", token=token)
    story.step("a project by name", "GET", f"/v3/projects?name={PROJECT}", token=token)
    story.step("no project", "GET", "/v3/projects/nowhere", token=token)
    story.step("projects of oneself", "GET", f"/v3/users/{user}/projects", token=token)
    story.step("a domain", "GET", "/v3/domains/default", token=token)
    story.step("as nobody", "GET", f"/v3/users/{user}")
    story.step("with a wrong token", "GET", f"/v3/users/{user}", token="none")


def keep_keys(story, token, user, project):
    keys = f"/v3/users/{user}/credentials/OS-EC2"
    _, told = story.step("make a key", "POST", keys, {"tenant_id": project}, token=token)
    access, secret = told["credential"]["access"], told["credential"]["secret"]
    story.step("make a key of no project", "POST", keys, {"tenant_id": "nowhere"}, token=token)
    story.step("make a key as nobody", "POST", keys, {"tenant_id": project})
    story.step("make a key with a form", "POST", keys, b"a=b", token=token, kind=FORM)
    story.step("keys", "GET", keys, token=token)
    story.step("a key", "GET", f"{keys}/{access}", token=token)
    story.step("no key", "GET", f"{keys}/{'0' * 32}", token=token)
    _, told = story.step("make a second key", "POST", keys, {"tenant_id": project}, token=token)
    second = f"{keys}/{told['credential']['access']}"
    story.step("delete a key", "DELETE", second, token=token)
    story.step("delete it again", "DELETE", second, token=token)
    return access, secret


def verify_signatures(story, token, user, access, secret):
    def verified(name, credentials, path="/v3/ec2tokens", token=token):
        return story.step(name, "POST", path, {"credentials": credentials}, token=token)

    headers, _ = verified("verify a signature", signed(access, secret))
    of_key = headers["x-subject-token"]
    verified("verify one with the wrong key", signed(access, "0" * 32))
    verified("verify one of no key", signed("0" * 32, secret))
    verified("verify an old one", signed(access, secret, time.time() - 3600))
    verified("verify as nobody", signed(access, secret), token=None)
    without = signed(access, secret)
    del without["signature"]
    verified("verify without a signature", without)
    story.step("verify nothing", "POST", "/v3/ec2tokens", {}, token=token)
    story.step("verify by GET", "GET", "/v3/ec2tokens", token=token)
    story.step("keys by a key", "GET", f"/v3/users/{user}/credentials/OS-EC2", token=of_key)
    story.step("validate the token of a key", "GET", "/v3/auth/tokens", token=token, subject=of_key)
    verified("verify S3's", signed_for_s3(access, secret), "/v3/s3tokens")
    verified("verify S3's with the wrong key", signed_for_s3(access, "0" * 32), "/v3/s3tokens")
    verified("verify S3's of no key", signed_for_s3("0" * 32, secret), "/v3/s3tokens")
    verified("verify S3's as nobody", signed_for_s3(access, secret), "/v3/s3tokens", token=None)


def signed(access, secret, moment=None):
    """Signature version 2, of a GET of localhost."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    params = {"Action": "Test", "SignatureMethod": "HmacSHA256", "SignatureVersion": "2", "Timestamp": at}
    query = "&".join(f"{quote(name, '-_~')}={quote(params[name], '-_~')}" for name in sorted(params))
    mac = hmac.new(secret.encode(), f"GET\nlocalhost\n/\n{query}".encode(), hashlib.sha256).digest()
    return {"access": access, "signature": base64.b64encode(mac).decode(), "host": "localhost", "verb": "GET",
            "path": "/", "params": params, "headers": {}, "body_hash": ""}


def signed_for_s3(access, secret):
    """As an object store shows it: the text that was signed, and S3's first signature."""
    said = b"GET\n\n\nThu, 01 Jan 2026 00:00:00 GMT\n/bucket"
    mac = hmac.new(secret.encode(), said, hashlib.sha1).digest()
    return {"access": access, "token": base64.b64encode(said).decode(), "signature": base64.b64encode(mac).decode()}


def end(story, token):
    headers, _ = story.step("sign in once more", "POST", "/v3/auth/tokens", by_password())
    second = headers["x-subject-token"]
    story.step("revoke a token", "DELETE", "/v3/auth/tokens", token=token, subject=second)
    story.step("validate what was revoked", "GET", "/v3/auth/tokens", token=token, subject=second)
    story.step("ask with what was revoked", "GET", "/v3/auth/projects", token=second)
