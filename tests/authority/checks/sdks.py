"""SDKs and command lines as they are installed, at the STS face: each assumes a role with a key of the daemon's own."""

import base64
import hashlib
import hmac
import json
import os
import struct
import subprocess
import time
from pathlib import Path

import boto3
from assume_roles import ONCE
from botocore.exceptions import ClientError
from gateway import signed_by
from parts import Daemon, plain_environment, told

CACHE = Path(
    os.environ.get("ROLECALL_TEST_CACHE")
    or os.path.join(os.environ.get("ROLECALL_CACHE", "/var/cache/rolecall"), "tests")
)
ROLE = "arn:aws:iam::000000000002:role/web"
TILL = "arn:aws:iam::000000000002:role/till"
WITH_FACTOR = """
[[grant]]
role = "shop/till"
when = { principal = "ann", mfa = true }
"""
SECONDS = 120

PROFILES = """
[default]
aws_access_key_id = {access}
aws_secret_access_key = {secret}
region = us-east-1

[profile web]
role_arn = {role}
source_profile = default
role_session_name = {name}
region = us-east-1
"""


def check_boto3(directory):
    with Daemon(directory) as daemon:
        by_profile(daemon, [CACHE / "boto3/bin/python", CACHE / "programs/boto3_chain.py"], "boto3")


def check_javascript(directory):
    with Daemon(directory) as daemon:
        by_profile(daemon, ["node", "--no-deprecation", CACHE / "node/aws_sdk_v3.mjs"], "javascript")


def check_go(directory):
    with Daemon(directory) as daemon:
        by_key(daemon, [CACHE / "go/assuming"], "go")


def check_minio(directory):
    with Daemon(directory) as daemon:
        by_key(daemon, [CACHE / "minio/bin/python", CACHE / "programs/minio_assume.py"], "minio-py")


def check_rust(directory):
    """It signs GetCallerIdentity with the role that it assumed; the answer names it."""
    with Daemon(directory) as daemon:
        said = asked(daemon, [CACHE / "rust/debug/client-aws-config"], profile(daemon, "rust"))
        assert said.startswith("signed ") and said.endswith(":rust"), said


def check_the_command_lines(directory):
    for name, command in (("cli-1", CACHE / "awscli/bin/aws"), ("cli-2", "/usr/bin/aws")):
        place = directory / name
        place.mkdir()
        with Daemon(place) as daemon:
            access, secret = daemon.key("ann", "shop")
            environment = plain_environment(
                AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret, AWS_DEFAULT_REGION="us-east-1", HOME=str(place)
            )

            def aws(*arguments, environment=environment):
                ended = subprocess.run(
                    [command, "sts", *arguments, "--endpoint-url", daemon.url, "--output", "json"], env=environment,
                    capture_output=True, text=True, timeout=SECONDS,
                )
                assert ended.returncode == 0, told(ended)
                return json.loads(ended.stdout)

            given = aws("assume-role", "--role-arn", ROLE, "--role-session-name", name)["Credentials"]
            assert of_session(daemon, given["AccessKeyId"], name), given["AccessKeyId"]
            session = {"AWS_ACCESS_KEY_ID": given["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
                       "AWS_SESSION_TOKEN": given["SessionToken"]}
            identity = aws("get-caller-identity", environment=environment | session)
            assert identity["Arn"] == f"arn:aws:sts::000000000002:assumed-role/web/{name}", identity


def check_a_second_factor_of_a_profile(directory):
    with Daemon(directory, further=WITH_FACTOR) as daemon:
        device = json.loads(daemon.command("key", "mfa", "enrol", "--user", "ann", "--account", "shop", "--json"))
        environment = profile(daemon, "mfa", TILL, mfa_serial=device["serial"])
        environment = plain_environment(AWS_ENDPOINT_URL_STS=daemon.url, HOME=str(daemon.place), **environment)

        def aws(typed):
            # Without a terminal it reads what is typed from its standard input.
            return subprocess.run(
                [CACHE / "awscli/bin/aws", "sts", "get-caller-identity", "--output", "json"], input=f"{typed}\n",
                env=environment, capture_output=True, text=True, timeout=SECONDS, start_new_session=True,
            )

        right = code(device["secret"])
        wrong = aws(f"{(int(right) + 500_000) % 1_000_000:06}")
        assert wrong.returncode != 0 and "AccessDenied" in wrong.stderr, told(wrong)
        let_in = aws(right)
        assert let_in.returncode == 0, told(let_in)
        arn = json.loads(let_in.stdout)["Arn"]
        assert arn == "arn:aws:sts::000000000002:assumed-role/till/mfa", arn
        cached = daemon.place / ".aws/cli/cache"
        for file in cached.iterdir():
            file.unlink()
        again = aws(right)
        assert again.returncode != 0 and "AccessDenied" in again.stderr, told(again)


def check_a_session_keeps_its_second_factor(directory):
    with Daemon(directory, further=WITH_FACTOR) as daemon:
        device = json.loads(daemon.command("key", "mfa", "enrol", "--user", "ann", "--account", "shop", "--json"))
        access, secret = daemon.key("ann", "shop")

        def sts(*keys):
            return boto3.client("sts", endpoint_url=daemon.url, config=ONCE, **signed_by(*keys))

        try:
            sts(access, secret).assume_role(RoleArn=TILL, RoleSessionName="me")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied", error
        else:
            raise AssertionError("no second factor was asked for")
        session = sts(access, secret).get_session_token(SerialNumber=device["serial"], TokenCode=code(device["secret"]))
        given = session["Credentials"]
        with_factor = sts(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        assumed = with_factor.assume_role(RoleArn=TILL, RoleSessionName="me")
        assert assumed["AssumedRoleUser"]["Arn"].endswith(":assumed-role/till/me"), assumed


def code(secret):
    """The one-time code of now, as RFC 6238 has it."""
    step = struct.pack(">Q", int(time.time()) // 30)
    mac = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), step, hashlib.sha1).digest()
    (number,) = struct.unpack_from(">I", mac, mac[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


def check_who_may_not_is_told_so(directory):
    with Daemon(directory) as daemon:
        bob, ann = daemon.key("bob", "shop"), daemon.key("ann", "shop")
        for (access, secret), role, code in (
            (bob, ROLE, "AccessDenied"),
            (ann, ROLE.replace("web", "till"), "AccessDenied"),
            (ann, ROLE.replace("web", "nowhere"), "AccessDenied"),
            ((ann[0], bob[1]), ROLE, "SignatureDoesNotMatch"),
            (("0" * 32, bob[1]), ROLE, "InvalidClientTokenId"),
        ):
            sts = boto3.client("sts", endpoint_url=daemon.url, config=ONCE, **signed_by(access, secret))
            try:
                sts.assume_role(RoleArn=role, RoleSessionName="me")
            except ClientError as error:
                assert error.response["Error"]["Code"] == code, (error, role)
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
            else:
                raise AssertionError(f"{role} was given")


def by_profile(daemon, command, name):
    proves(daemon, asked(daemon, command, profile(daemon, name)), name)


def by_key(daemon, command, name):
    access, secret = daemon.key("ann", "shop")
    keys = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1",
            "AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": name}
    proves(daemon, asked(daemon, command, keys), name)


def profile(daemon, name, role=ROLE, **more):
    """The role in a profile, as the SDKs' shared configuration has it."""
    access, secret = daemon.key("ann", "shop")
    file = daemon.place / "config"
    more = "".join(f"{key} = {value}\n" for key, value in more.items())
    file.write_text(PROFILES.format(access=access, secret=secret, role=role, name=name) + more)
    return {"AWS_CONFIG_FILE": str(file), "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_PROFILE": "web"}


def asked(daemon, command, environment):
    """What a client program says to one `ask`."""
    environment = plain_environment(AWS_ENDPOINT_URL_STS=daemon.url, AWS_EC2_METADATA_DISABLED="true", **environment)
    ended = subprocess.run(command, input="ask\n", env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, told(ended)
    return ended.stdout.strip()


def proves(daemon, said, name):
    """What it says is a session that the daemon gave under this name, and it has all of it."""
    assert said.startswith("key ASIA"), said
    assert of_session(daemon, said.split()[1], name), said
    assert len(said.split()[2]) == len(hashlib.sha256().hexdigest()[:16]), said


def of_session(daemon, access_key_id, name):
    return daemon.await_audit(
        "hand-out", lambda event: event["access_key_id"] == access_key_id and event["session_name"] == name
    )
