"""Tokens of an OpenID Connect issuer, as its code flow gives them to a person's client."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from parts import Daemon, expect
from server import Server, answers, free_port

CLIENT = ("rolecall-cli", "the client's")
BACK = "http://127.0.0.1:1/back"


class Stay(urllib.request.HTTPRedirectHandler):
    """Where the issuer sends a browser back to nobody is."""

    def redirect_request(self, *_):
        return None


def token(issuer, subject, client=CLIENT):
    """Signs in as this user, as a browser does, and gives the ID token."""
    asked = urllib.parse.urlencode({
        "client_id": client[0], "redirect_uri": BACK, "response_type": "code", "scope": "openid profile email",
    })
    browser = urllib.request.build_opener(Stay)
    try:
        browser.open(f"{issuer}/oauth2/authorize?{asked}", data=f"sub={subject}".encode(), timeout=20)
        raise AssertionError("the issuer did not send the browser back")
    except urllib.error.HTTPError as sent:
        back = sent.headers["Location"]
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
    form = urllib.parse.urlencode({
        "grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
        "client_id": client[0], "client_secret": client[1],
    })
    with urllib.request.urlopen(f"{issuer}/oauth2/token", data=form.encode(), timeout=20) as told:
        return json.load(told)["id_token"]


def configuration(issuer, name_claim="sub"):
    return f"""
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["accounts"]
[[listener.mount]]
prefix = "/"
authenticate = ["oidc"]

[[issuer]]
url = "{issuer}"
audiences = ["{CLIENT[0]}"]

[people]
oidc = {{ issuer = "{issuer}", name-claim = "{name_claim}", groups-claim = "groups" }}
"""


def issuer(place, port):
    users = (
        {"sub": "jane", "groups": ["aws-web", "aws-ops", "others"], "email": "jane@example.org", "email_verified": True},
        {"sub": "john", "email": "jane@example.org", "email_verified": False},
    )
    program = Path(sys.executable).with_name("oidc-provider-mock")
    command = [program, "--port", port, *(word for user in users for word in ("--user-claims", json.dumps(user)))]
    return Server(command, lambda: answers(("127.0.0.1", port)), place / "issuer.log")


def bearer(daemon, shown):
    return daemon.get("/account", headers={"Authorization": f"Bearer {shown}"})


def check_a_token_names_the_person_and_the_groups(place):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with issuer(place, port), Daemon(place, configuration(url)) as daemon:
        shown = token(url, "jane")
        expect(bearer(daemon, shown), 200, "jane", ["web", "ops"])
        expect(bearer(daemon, token(url, "john")), 200, "john", [])
        head, body, signature = shown.split(".")
        changed = signature[:9] + ("A" if signature[9] != "A" else "B") + signature[10:]
        for wrong in (f"{head}.{body}.{changed}", f"{head}.{body}.", "a.b.c", token(url, "jane", ("other", "x"))):
            expect(bearer(daemon, wrong), 401)


def check_an_address_that_nobody_verified_is_no_name(place):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with issuer(place, port), Daemon(place, configuration(url, "email")) as daemon:
        expect(bearer(daemon, token(url, "jane")), 200, "jane@example.org", ["web", "ops"])
        expect(bearer(daemon, token(url, "john")), 401)
