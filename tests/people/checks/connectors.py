"""The connectors API as its vendor's published scripts use it: a session that Basic on `status/info` begins, kept by
httpie or in curl's jar, and ids read by the pattern `"id":"(.*?)"`. moto is STS and ECR."""

import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from parts import HASH, PASSWORD, Daemon, write_private
from sites import TOKEN, Signin

HTTPIE = os.environ.get("ROLECALL_HTTPIE", "")
MOTO = Path(__file__).resolve().parents[2] / "upstreams" / "moto.sh"
REST = "/rest/identity-federation-for-aws/2.2"
SERVLET = "/plugins/servlet/identity-federation-for-aws/aws-console-login"
NO_CHECK = "X-Atlassian-Token: no-check"

CONFIGURATION = """
[[listener]]
name = "api"
bind = "127.0.0.1:0"
apis = "connectors"

[people]
users-file = "{directory}/users"
groups-file = "{directory}/groups"
administrators = ["boss"]

[account.prod]
id = "123456789012"
region = "us-east-1"
endpoint = "{moto}"
ecr-endpoint = "{moto}"
signin-endpoint = "{signin}"
credentials = {{ from = "key", access-key-id = "AKIAIOSFODNN7EXAMPLE", secret-access-key = "file:{directory}/secret" }}

[account.prod.role.web]

[[grant]]
role = "prod/web"
when = {{ group = "users-of-web" }}
"""


def check_an_httpie_session_makes_what_the_script_makes(directory):
    with world(directory) as daemon:
        session = Httpie(directory, daemon, "boss")
        assert session("GET", "/status/info")["status"] == "OK"
        account = session.made(
            "/accounts", name="Jira", awsAccessKeyId="AKIAIOSFODNN7EXAMPLE", awsSecretKey="example",
            cloudProviderKey="aws",
        )
        connector = session.made(
            "/connectors", name="Jira access", type="ASSUME_ROLE", scope="SYSTEM", partition="aws", accountId=account,
            roleArn="arn:aws:iam::123456789012:role/jira", externalId="", iamPolicy="", groups=["users-of-jira"],
        )
        identity = session("GET", f"/connectors/{connector}/caller-identity")
        assert set(identity) == {"account", "arn", "userId"}, identity
        assert identity["arn"].endswith(":assumed-role/jira/boss"), identity
        credentials = session("GET", f"/connectors/{connector}/credentials")
        assert set(credentials) == {"expiration", "sessionToken", "accessKeyId", "secretAccessKey"}
        # Milliseconds, of an hour from now.
        assert 3_000_000 < credentials["expiration"] - time.time() * 1000 < 3_700_000, credentials["expiration"]
        # An administrator has those of files too.
        names = [value["name"] for value in session("GET", "/connectors")["values"]]
        assert names == ["Jira access", "admin", "ops", "web", "web"], names
        session("DELETE", f"/connectors/{connector}")
        session("DELETE", f"/accounts/{account}")


def check_a_cookie_alone_goes_on_where_basic_began(directory):
    with world(directory) as daemon:
        jar = directory / "jar"
        begun = curl(daemon, f"{REST}/status/info", "-u", f"ann:{PASSWORD}", "-c", jar)
        assert begun.status == 200 and "JSESSIONID" in jar.read_text(), begun
        listed = curl(daemon, f"{REST}/connectors", "-b", jar)
        found = re.search(r'"id":"(.*?)"', listed.body)
        assert listed.status == 200 and found, listed
        path = f"{REST}/connectors/{found[1]}"
        for below in ("/caller-identity", "/credentials", "/console/url", "/ecr/credentials"):
            assert curl(daemon, path + below, "-b", jar).status == 200, below
        assert curl(daemon, path).status == 401
        assert curl(daemon, path, "-b", jar, "-u", "ann:wrong").status == 401


def check_a_cookie_writes_only_where_the_check_is_waived(directory):
    with world(directory) as daemon:
        jar = directory / "jar"
        curl(daemon, f"{REST}/status/info", "-u", f"boss:{PASSWORD}", "-c", jar)
        account = {"name": "Ours", "awsAccessKeyId": "AKIAIOSFODNN7EXAMPLE", "awsSecretKey": "example"}
        post = ("-b", jar, "-H", "Content-Type: application/json", "-d", json.dumps(account))
        refused = curl(daemon, f"{REST}/accounts", *post)
        assert refused.status == 403 and "XSRF" in refused.body, refused
        made = curl(daemon, f"{REST}/accounts", *post, "-H", NO_CHECK)
        assert made.status == 201, made


def check_the_console_is_entered_by_basic_and_by_a_cookie(directory):
    with world(directory) as daemon:
        jar = directory / "jar"
        ann = ("-u", f"ann:{PASSWORD}")
        listed = curl(daemon, f"{REST}/connectors", *ann, "-c", jar)
        connector = re.search(r'"id":"(.*?)"', listed.body)[1]
        url = json.loads(curl(daemon, f"{REST}/connectors/{connector}/console/url", *ann).body)["url"]
        assert urlsplit(url).path == f"{SERVLET}/{connector}", url
        for proof in (ann, ("-b", jar)):
            entered = curl(daemon, urlsplit(url).path, *proof)
            assert entered.status == 302, entered
            query = parse_qs(urlsplit(entered.location).query)
            assert query["Action"] == ["login"] and query["SigninToken"] == [TOKEN], entered
        assert curl(daemon, urlsplit(url).path).status == 401


def check_a_registry_is_logged_in_to_by_basic_and_by_a_cookie(directory):
    with world(directory) as daemon:
        jar = directory / "jar"
        ann = ("-u", f"ann:{PASSWORD}")
        listed = curl(daemon, f"{REST}/connectors", *ann, "-c", jar)
        connector = re.search(r'"id":"(.*?)"', listed.body)[1]
        for proof in (ann, ("-b", jar)):
            for query in ("", "?region=us-east-1", "?registryIds=123456789012"):
                answer = curl(daemon, f"{REST}/connectors/{connector}/ecr/credentials{query}", *proof)
                assert answer.status == 200, answer
                [login] = json.loads(answer.body)["values"]
                assert login["username"] == "AWS" and login["password"], login
                assert login["proxyEndpointDomain"] == "123456789012.dkr.ecr.us-east-1.amazonaws.com", login
                assert re.fullmatch(r"\d{8}T\d{6}Z", login["expirationDate"]), login


class Httpie:
    """A session of httpie's own, which keeps the password and the cookie in a file."""

    def __init__(self, directory, daemon, user):
        self._directory, self._daemon, self._user = directory, daemon, user

    def text(self, method, path, **fields):
        items = [f"{name}={text}" for name, text in fields.items() if isinstance(text, str)]
        items += [f"{name}:={json.dumps(other)}" for name, other in fields.items() if not isinstance(other, str)]
        done = subprocess.run(
            [
                HTTPIE, "--ignore-stdin", "--check-status", "--pretty=none", "--body",
                f"--session={self._directory}/session.json", f"--auth={self._user}:{PASSWORD}",
                method, f"http://127.0.0.1:{self._daemon.port}{REST}{path}", *items,
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(self._directory)}, capture_output=True, text=True, timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{method} {path}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def __call__(self, method, path):
        text = self.text(method, path)
        return json.loads(text) if text.strip() else None

    def made(self, path, **fields):
        """Makes an object; its id, as the vendor's script reads it."""
        return re.search(r'"id":"(.*?)"', self.text("POST", path, **fields))[1]


class Curled:
    """What curl got."""

    def __init__(self, done):
        head, _, self.body = done.stdout.partition("\n\n")
        self.status = int(head.split()[1])
        found = re.search(r"(?im)^location: *(\S+)", head)
        self.location = found[1] if found else None

    def __repr__(self):
        return f"{self.status} {self.location} {self.body[:400]}"


def curl(daemon, path, *arguments):
    url = f"http://127.0.0.1:{daemon.port}{path}"
    command = ["curl", "-sS", "-i", "--noproxy", "*", *map(str, arguments), url]
    return Curled(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True))


@contextlib.contextmanager
def world(directory):
    """The daemon with an account at moto and at a sign-in endpoint, and accounts that are made at moto too."""
    write_private(
        directory, users=f"ann:{HASH}\nboss:{HASH}\n", groups="users-of-web: ann\n", secret="example",
    )
    with moto(directory / "moto") as url, Signin() as signin:
        configuration = CONFIGURATION.format(directory=directory, moto=url, signin=signin.url)
        with Daemon(directory, configuration, {"AWS_ENDPOINT_URL_STS": url}) as daemon:
            yield daemon


@contextlib.contextmanager
def moto(directory):
    up = subprocess.run([MOTO, "up", directory], check=True, capture_output=True, text=True, timeout=300)
    try:
        yield re.search(r"AWS_ENDPOINT_URL=(\S+)", up.stdout)[1]
    finally:
        subprocess.run([MOTO, "down", directory], check=True, capture_output=True, timeout=60)
