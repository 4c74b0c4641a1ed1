"""Starts each real upstream, has a daemon assume roles there, fetches sessions as a client does, and uses
them at that upstream. Run by `run`, in moto's environment. Ends with `N passed, N failed`."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from daemon_process import DaemonProcess

HERE = Path(__file__).resolve().parent
ANSWER_SECONDS = 15
ONCE = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})


class Upstream:
    """One that a script starts and ends; `values` is what its `up` exported."""

    def __init__(self, script, directory, **environment):
        self._script = HERE / script
        self._directory = directory
        printed = subprocess.run(
            [self._script, "up", directory], env={**os.environ, **environment},
            check=True, stdout=subprocess.PIPE, text=True, timeout=600,
        ).stdout
        words = [word for line in printed.splitlines() for word in shlex.split(line)[1:]]
        self.values = dict(word.split("=", 1) for word in words)

    def down(self):
        subprocess.run([self._script, "down", self._directory], check=True, timeout=120)


class Served:
    """A daemon with one account at the upstream and roles named by their ARNs; used as a context."""

    def __init__(self, upstream, dialect, roles, secret=None, account_id="123456789012"):
        self._directory = tempfile.TemporaryDirectory(prefix="rolecall-upstream-")
        place = Path(self._directory.name)
        values = upstream.values
        file = place / "secret"
        file.write_text(secret or values["AWS_SECRET_ACCESS_KEY"])
        file.chmod(0o600)
        named = "".join(f'[account.up.role.{name}]\narn = "{arn}"\n' for name, arn in roles.items())
        grants = "".join(
            f'[[grant]]\nrole = "up/{name}"\nwhen = {{ uid = {os.getuid()} }}\nreason = "test"\n'
            for name in roles
        )
        registry = f'ecr-endpoint = "{values["AWS_ENDPOINT_URL"]}"' if dialect == "aws" else ""
        self._process = DaemonProcess(place)
        self._configuration = f"""
[[listener]]
name = "metadata"
bind = ["127.0.0.1:0"]
apis = ["imds"]

[account.up]
id = "{account_id}"
region = "us-east-1"
dialect = "{dialect}"
endpoint = "{values['AWS_ENDPOINT_URL']}"
credentials = {{ from = "key", access-key-id = "{values['AWS_ACCESS_KEY_ID']}", secret-access-key = "file:{file}" }}
{registry}
{named}
{grants}
[state]
directory = "{place}/state"
"""

    def __enter__(self):
        self._process.start(self._configuration)
        listening = self._process.await_record(lambda record: record.get("message") == "listening")
        if listening is None:
            raise AssertionError("the daemon did not tell where it listens")
        self._base = f"http://{listening['address']}/latest"
        put = urllib.request.Request(
            f"{self._base}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "300"}
        )
        self._token = urllib.request.urlopen(put, timeout=5).read().decode()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self._process.stop()
        else:
            self._process.kill()
        self._directory.cleanup()

    def status(self, role, retry=True):
        """The status of the role's document; with `retry` once it is no longer `not ready` (503)."""
        return self._document(role, retry)[0]

    def awaits_failure(self, kind):
        """Whether the log tells of a fetch that failed like this."""
        return self._process.await_record(lambda record: record.get("kind") == kind) is not None

    def session(self, role):
        """A boto3 session with what the daemon hands out for the role."""
        status, body = self._document(role)
        if status != 200:
            raise AssertionError(f"the role document of {role} is {status}: {body}; {self.log()}")
        found = json.loads(body)
        audited = self._process.await_audit("hand-out", lambda event: event["access_key_id"] == found["AccessKeyId"])
        if audited is None:
            raise AssertionError(f"no audit event tells of {found['AccessKeyId']}")
        return boto3.Session(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], region_name="us-east-1")

    def registry_login(self, server):
        """What docker-credential-rolecall says of this registry: whether there is a login, and its answer."""
        asked = subprocess.run(
            ["docker-credential-rolecall", "get"], executable=os.environ["ROLECALL_BIN"], input=server,
            env={"ROLECALL_SOCKET": str(self._process.socket)}, capture_output=True, text=True, timeout=30, check=False,
        )
        return asked.returncode == 0, asked.stdout

    def log(self):
        return [record for record in self._process.records() if record.get("level") in ("WARN", "ERROR")][-3:]

    def _document(self, role, retry=True):
        url = f"{self._base}/meta-data/iam/security-credentials/{role}"
        asked = urllib.request.Request(url, headers={"X-aws-ec2-metadata-token": self._token})
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answer = urllib.request.urlopen(asked, timeout=5)
                return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                if error.code != 503 or not retry or time.monotonic() > deadline:
                    return error.code, error.read().decode(errors="replace")


def client(session, service, upstream):
    return session.client(service, endpoint_url=upstream.values["AWS_ENDPOINT_URL"], config=ONCE)


def writes_and_reads(session, upstream):
    s3 = client(session, "s3", upstream)
    s3.create_bucket(Bucket="rolecall")
    s3.put_object(Bucket="rolecall", Key="object", Body=b"written with a session")
    assert s3.get_object(Bucket="rolecall", Key="object")["Body"].read() == b"written with a session"


def moto_session_is_the_role(upstream):
    with Served(upstream, "aws", {"s3app": upstream.values["ROLE_ARN"]}) as daemon:
        arn = client(daemon.session("s3app"), "sts", upstream).get_caller_identity()["Arn"]
        assert ":assumed-role/s3app/" in arn, arn


def moto_session_logs_in_to_a_registry(upstream):
    with Served(upstream, "aws", {"s3app": upstream.values["ROLE_ARN"]}) as daemon:
        good, answer = daemon.registry_login("123456789012.dkr.ecr.us-east-1.amazonaws.com")
        assert good and json.loads(answer)["Username"] == "AWS", answer


def checking_moto_registry_is_denied(upstream):
    """A role without the permission is told so only where its signature is right."""
    with Served(upstream, "aws", {"s3app": upstream.values["ROLE_ARN"]}) as daemon:
        good, answer = daemon.registry_login("123456789012.dkr.ecr.us-east-1.amazonaws.com")
        assert not good and "upstream denies this role" in answer, answer


def moto_session_opens_s3(upstream):
    with Served(upstream, "aws", {"s3app": upstream.values["ROLE_ARN"]}) as daemon:
        writes_and_reads(daemon.session("s3app"), upstream)


def checking_moto_refuses_anonymous(upstream):
    """Shows that the test above would fail without the daemon's session."""
    try:
        stranger = boto3.Session("AKIASTRANGER", "secret", region_name="us-east-1")
        client(stranger, "s3", upstream).list_buckets()
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
    else:
        raise AssertionError("an unknown key was let in")


def checking_moto_denial_is_404(upstream):
    other = upstream.values["ROLE_ARN"].replace("s3app", "forbidden")
    with Served(upstream, "aws", {"forbidden": other}) as daemon:
        status = daemon.status("forbidden")
        assert status == 404, f"{status}; {daemon.log()}"


def checking_moto_wrong_secret_is_the_base_credentials_fault(upstream):
    """Callers are to try again (503), as somebody will mend it."""
    with Served(upstream, "aws", {"s3app": upstream.values["ROLE_ARN"]}, secret="not-the-secret") as daemon:
        assert daemon.status("s3app", retry=False) == 503
        assert daemon.awaits_failure("base-credentials"), daemon.log()


def gateway_session_opens_s3(upstream):
    with Served(upstream, "ceph", {"s3app": upstream.values["ROLE_ARN"]}) as daemon:
        writes_and_reads(daemon.session("s3app"), upstream)


def gateway_unknown_role_is_404(upstream):
    with Served(upstream, "ceph", {"nobody": upstream.values["ROLE_ARN"].replace("s3app", "nobody")}) as daemon:
        status = daemon.status("nobody")
        assert status == 404, f"{status}; {daemon.log()}"


def gateway_wrong_secret_is_404(upstream):
    with Served(upstream, "ceph", {"s3app": upstream.values["ROLE_ARN"]}, secret="not-the-secret") as daemon:
        status = daemon.status("s3app")
        assert status == 404, f"{status}; {daemon.log()}"


UPSTREAMS = [
    ("moto", "moto.sh", {}, [moto_session_is_the_role, moto_session_opens_s3, moto_session_logs_in_to_a_registry]),
    ("moto, checking", "moto.sh", {"MOTO_CHECK": "1"}, [
        moto_session_is_the_role, moto_session_opens_s3, checking_moto_refuses_anonymous,
        checking_moto_registry_is_denied, checking_moto_denial_is_404, checking_moto_wrong_secret_is_the_base_credentials_fault,
    ]),
    ("radosgw", "radosgw.sh", {}, [
        gateway_session_opens_s3, gateway_unknown_role_is_404, gateway_wrong_secret_is_404,
    ]),
]


def main():
    passed = failed = 0
    for name, script, environment, tests in UPSTREAMS:
        with tempfile.TemporaryDirectory(prefix="rolecall-upstream-") as directory:
            upstream = Upstream(script, directory, **environment)
            try:
                for test in tests:
                    try:
                        test(upstream)
                    except Exception:
                        failed += 1
                        print(f"FAIL  {name}: {test.__name__}\n{traceback.format_exc()}", flush=True)
                    else:
                        passed += 1
                        print(f"ok    {name}: {test.__name__}", flush=True)
            finally:
                upstream.down()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
