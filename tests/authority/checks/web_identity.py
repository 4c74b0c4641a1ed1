"""Web identities of an issuer at the STS face: verified by the daemon for roles of its own, and shown on to a Ceph object
gateway that verifies them itself."""

import contextlib
import subprocess
import sys

import boto3
from assume_roles import HERE as UPSTREAMS
from assume_roles import ONCE, Upstream
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from gateway import signed_by
from parts import Daemon, plain_environment
from sdks import CACHE, ROLE, asked, of_session, proves

# What the issuer puts into its tokens.
CLIENT, SUBJECT = "rolecall", "build"
SESSION = "web"

BELIEVED = """
[[issuer]]
url = "{issuer}"
audiences = ["{client}"]
"""
OWN = """
[[grant]]
role = "shop/web"
when = {{ token.issuer = "{issuer}", token.subject = "{subject}" }}
"""
PASSED = """
[account.ceph]
id = "000000000003"
dialect = "ceph"
endpoint = "{endpoint}"
region = "us-east-1"
credentials = {{ from = "caller-token" }}
[account.ceph.role.web]
arn = "{role}"

[[grant]]
role = "ceph/web"
when = {{ token.issuer = "{issuer}", token.subject = "{subject}" }}
"""


def check_boto3_shows_a_token(directory):
    with moto(directory) as upstream, issuer(upstream) as told, believing(directory, told, OWN) as daemon:
        answer = shown(daemon, ROLE, told["TOKEN"])
        assert answer["SubjectFromWebIdentityToken"] == SUBJECT, answer
        assert (answer["Audience"], answer["Provider"]) == (CLIENT, told["ISSUER"]), answer
        assert of_session(daemon, answer["Credentials"]["AccessKeyId"], SESSION), answer
        session = signed_by(*(answer["Credentials"][name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
        identity = boto3.client("sts", endpoint_url=daemon.url, config=ONCE, **session).get_caller_identity()
        assert identity["Arn"].endswith(f":assumed-role/web/{SESSION}"), identity
        head, body, signature = told["TOKEN"].split(".")
        for token, code in (
            (told["FOREIGN_TOKEN"], "InvalidIdentityToken"),
            (f"{head}.{body}.", "InvalidIdentityToken"),
            (f"{head}.{body}.{signature[::-1]}", "InvalidIdentityToken"),
        ):
            refused_with(code, daemon, ROLE, token)
        for role in ("till", "nowhere"):
            refused_with("AccessDenied", daemon, ROLE.replace("web", role), told["TOKEN"])


def check_the_sdks_own_chains(directory):
    """Each finds the token's file and the role in its environment."""
    chains = {
        "boto3": [CACHE / "boto3/bin/python", CACHE / "programs/boto3_chain.py"],
        "javascript": ["node", "--no-deprecation", CACHE / "node/aws_sdk_v3.mjs"],
        "go": [CACHE / "go/assuming"],
    }
    with moto(directory) as upstream, issuer(upstream) as told, believing(directory, told, OWN) as daemon:
        for name, command in chains.items():
            proves(daemon, asked(daemon, command, chain(directory, told["TOKEN"], name)), name)
        said = asked(daemon, [CACHE / "rust/debug/client-aws-config"], chain(directory, told["TOKEN"], "rust"))
        assert said.startswith("signed ") and said.endswith(":rust"), said


def check_the_gateway_verifies_what_is_shown_on(directory):
    upstream = Upstream("radosgw.sh", directory / "ceph")
    with contextlib.ExitStack() as ending:
        ending.callback(upstream.down)
        told = ending.enter_context(issuer(upstream))
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"arn:aws:s3:::*"}]}'
        iam = boto3.client("iam", endpoint_url=upstream.values["AWS_ENDPOINT_URL"], config=ONCE, **keys_of(upstream))
        iam.put_role_policy(RoleName="web", PolicyName="p", PolicyDocument=policy)
        further = PASSED.format(
            endpoint=upstream.values["AWS_ENDPOINT_URL"], role=told["ROLE_ARN"], issuer=told["ISSUER"], subject=SUBJECT,
        )
        daemon = ending.enter_context(Daemon(directory, believed(told) + further))
        given = shown(daemon, told["ROLE_ARN"], told["TOKEN"])["Credentials"]
        assert of_session(daemon, given["AccessKeyId"], SESSION), given["AccessKeyId"]
        session = signed_by(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        s3 = boto3.client("s3", endpoint_url=upstream.values["AWS_ENDPOINT_URL"], config=ONCE, **session)
        s3.create_bucket(Bucket="web")
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["web"]
        refused_with("InvalidIdentityToken", daemon, told["ROLE_ARN"], told["FOREIGN_TOKEN"])


def shown(daemon, role, token):
    sts = boto3.client(
        "sts", endpoint_url=daemon.url, region_name="us-east-1",
        config=ONCE.merge(Config(signature_version=UNSIGNED)),
    )
    return sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName=SESSION, WebIdentityToken=token)


def refused_with(code, daemon, role, token):
    try:
        shown(daemon, role, token)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{role} was given")


def chain(directory, token, name):
    """What a program finds in its environment, as the cloud's clusters put it there."""
    file = directory / "token"
    file.write_text(token)
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(file), "AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": name,
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


def believed(told):
    return BELIEVED.format(issuer=told["ISSUER"], client=CLIENT)


def believing(directory, told, further):
    """The daemon that believes this issuer."""
    return Daemon(directory, believed(told) + further.format(issuer=told["ISSUER"], subject=SUBJECT))


def keys_of(upstream):
    return signed_by(upstream.values["AWS_ACCESS_KEY_ID"], upstream.values["AWS_SECRET_ACCESS_KEY"])


@contextlib.contextmanager
def moto(directory):
    """What the issuer is made known to; the daemon does not ask it."""
    upstream = Upstream("moto.sh", directory / "moto")
    try:
        yield upstream
    finally:
        upstream.down()


@contextlib.contextmanager
def issuer(upstream):
    """An issuer that this upstream knows: what it exported."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", sys.executable, "-B", UPSTREAMS / "oidc_issuer.py"],
        env=plain_environment(**upstream.values), stdout=subprocess.PIPE, text=True,
    )
    try:
        lines = iter(process.stdout.readline, "\n")
        yield dict(line.strip().removeprefix("export ").split("=", 1) for line in lines)
    finally:
        process.kill()
        process.wait()
