"""The SDKs that callers ask with, each by its own default chain, and the proof of what they got."""

import secrets
from dataclasses import dataclass

import asking

from suite import Failed
from suite.places import CACHE, PROGRAMS

ASK_SECONDS = 40
BASE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "PYTHONPATH": PROGRAMS,
    "PYTHONDONTWRITEBYTECODE": "1",
}
WHOAMI = ["sts", "get-caller-identity", "--query", "UserId", "--output", "text", "--endpoint-url", "{witness}"]


@dataclass(frozen=True)
class Sdk:
    name: str
    command: list  # {witness}, {bucket} and {mount} stand for what this ask has for itself
    speaks: bool = True  # it answers as programs/asking.py tells; otherwise it prints the key id that it signed with
    container: bool = True  # it knows container credentials by AWS_CONTAINER_CREDENTIALS_FULL_URI and a token file


def python(environment, program):
    return [f"{CACHE}/{environment}/bin/python", f"{PROGRAMS}/{program}"]


BOTO3 = Sdk("boto3", python("boto3", "boto3_chain.py"))
CLI = Sdk("AWS CLI 2", ["/usr/bin/aws", *WHOAMI], speaks=False, container=False)
CLI1 = Sdk("AWS CLI 1", [f"{CACHE}/awscli/bin/aws", *WHOAMI], speaks=False)
JS = Sdk("JavaScript 3", ["node", "--no-deprecation", f"{CACHE}/node/aws_sdk_v3.mjs"])
GO = Sdk("Go 1", [f"{CACHE}/go/aws-sdk-go"])
S3FS = Sdk(
    "s3fs",
    ["/usr/bin/python3", f"{PROGRAMS}/s3fs_mount.py", "{mount}", "s3fs", "{bucket}", "{mount}", "-f",
     "-o", "url={witness}", "-o", "use_path_request_style", "-o", "retries=1", "-o", "iam_role=auto", "-o", "imdsv1only"],
    container=False,
)
ALL = [BOTO3, CLI, JS, GO, S3FS]
WITH_TOKEN = [BOTO3, CLI1, JS, GO]


class Upstream:
    """The STS that issues and the witness that checks; both live in this process."""

    def __init__(self, sts, witness, address):
        self.sts = sts
        self.witness = witness
        self.url = "http://%s:%s" % (address, witness.url.rpartition(":")[2])

    def ask(self, subject, sdk, environment=None):
        """Has the subject ask with this SDK; gives the access key id that it got, or fails with its words."""
        bucket = "bucket-" + secrets.token_hex(6)
        places = {"witness": self.url, "bucket": bucket, "mount": f"/tmp/{bucket}"}
        command = [part.format(**places) for part in sdk.command]
        variables = BASE | {"AWS_ENDPOINT_URL_STS": self.url} | (environment or {})
        ran = subject.run(command, variables, "ask\n" if sdk.speaks else "", ASK_SECONDS)
        said = f"{sdk.name} in {subject.name} said {_last(ran.output)!r} and {_last(ran.errors)!r}"
        if ran.status is None:
            raise Failed(f"{sdk.name} in {subject.name} took more than {ASK_SECONDS} s")
        if not sdk.speaks:
            if ran.status != 0:
                raise Refused(said)
            return self._issued(ran.output.strip(), said)
        word, _, rest = (ran.output.strip().splitlines() or [""])[-1].partition(" ")
        if word == "done":
            signers = self.witness.signers.get(bucket, set())
            if len(signers) != 1:
                raise Failed(f"{said}; {len(signers)} keys signed for {bucket}")
            return self._issued(*signers, said)
        if word == "error":
            raise Refused(said)
        if word != "key":
            raise Failed(said)
        key, _, digest = rest.partition(" ")
        issued = self.sts.issued.get(self._issued(key, said))
        if digest != asking.digest(issued.secret_access_key, issued.session_token):
            raise Failed(f"secret or session token of {key} changed on the way: {said}")
        return key

    def _issued(self, key, said):
        if key not in self.sts.issued:
            raise Failed(f"the upstream never issued {key}: {said}")
        return key


class Refused(Failed):
    """The SDK found no credentials, and told so."""


def _last(text):
    return " ".join(text.split())[-400:]
