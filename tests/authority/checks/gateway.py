"""A Ceph object gateway on both sides: it asks the daemon as its Keystone who signed, and gives it sessions as its STS."""

import base64
import contextlib
import json
import os
import urllib.request

import boto3
import story
from assume_roles import ONCE, Upstream
from botocore.exceptions import ClientError
from command_line import asked, version_3
from parts import SERVICE_TOKEN, Daemon

REST = "/rest/identity-federation-for-aws/2.1"
SESSION = "loop"
METADATA = "/latest/meta-data/iam/security-credentials/"

# How the gateway is told that the daemon is its Keystone: an administrator's token, or a name and password.
WITH_A_TOKEN = f"""
rgw_s3_auth_use_keystone = true
rgw_keystone_api_version = 2
rgw_keystone_admin_token = {SERVICE_TOKEN}
rgw_keystone_accepted_roles = member
rgw_keystone_verify_ssl = false
rgw_keystone_url = """
WITH_A_PASSWORD = f"""
rgw_s3_auth_use_keystone = true
rgw_keystone_api_version = 3
rgw_keystone_admin_user = {story.ADMIN}
rgw_keystone_admin_password = {story.PASSWORD}
rgw_keystone_admin_project = {story.PROJECT}
rgw_keystone_admin_domain = Default
rgw_keystone_accepted_roles = member
rgw_keystone_verify_ssl = false
rgw_keystone_url = """

GROUPS = """
[account.ceph]
dialect = "ceph"
endpoint = "{endpoint}"
region = "us-east-1"
credentials = {{ from = "key", access-key-id = "{key}", secret-access-key = "file:{secret}" }}

[[grant]]
role = "ceph/{role}"
when = {{ uid = {uid} }}
session-name = "{session}"
"""


def check_the_gateway_knows_keys_by_a_service_token(directory):
    with Daemon(directory) as daemon, gateway(directory, WITH_A_TOKEN + daemon.url) as upstream:
        opens(daemon, upstream)


def check_the_gateway_knows_keys_by_a_password(directory):
    with Daemon(directory) as daemon, gateway(directory, WITH_A_PASSWORD + daemon.url) as upstream:
        opens(daemon, upstream)


def check_the_whole_loop(directory):
    """A key by the command line, a role by boto3, a session from Ceph through a connector, and the same from metadata."""
    (directory / "groups").write_text("builders: ann\n")
    with Daemon(directory, groups=True) as daemon, gateway(directory, WITH_A_TOKEN + daemon.url) as upstream:
        secret = directory / "ceph-secret"
        secret.write_text(upstream.values["AWS_SECRET_ACCESS_KEY"])
        secret.chmod(0o600)
        ceph = GROUPS.format(
            endpoint=upstream.values["AWS_ENDPOINT_URL"], key=upstream.values["AWS_ACCESS_KEY_ID"], secret=secret,
            role="object-store", uid=os.getuid(), session=SESSION,
        )
        daemon.reload(ceph)
        connector(daemon, upstream.values["ROLE_ARN"])
        made = asked(directory, version_3(daemon, project="ceph"), "ec2", "credentials", "create")
        sts = boto3.client("sts", endpoint_url=daemon.url, config=ONCE, **signed_by(made["access"], made["secret"]))
        given = sts.assume_role(RoleArn=upstream.values["ROLE_ARN"], RoleSessionName=SESSION)["Credentials"]
        keys = signed_by(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        s3 = boto3.client("s3", endpoint_url=upstream.values["AWS_ENDPOINT_URL"], config=ONCE, **keys)
        s3.create_bucket(Bucket="loop")
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["loop"]
        assert s3.list_objects_v2(Bucket="loop")["KeyCount"] == 0
        assert metadata(daemon)["AccessKeyId"] == given["AccessKeyId"]
        handed = daemon.await_audit("hand-out", lambda event: event["access_key_id"] == given["AccessKeyId"])
        assert handed, "the audit trail tells of it"


def opens(daemon, upstream):
    """The gateway lets in who signs with a key of the daemon's, and nobody else."""
    access, secret = daemon.key("ann", "shop")
    endpoint = upstream.values["AWS_ENDPOINT_URL"]
    s3 = boto3.client("s3", endpoint_url=endpoint, config=ONCE, **signed_by(access, secret))
    s3.create_bucket(Bucket="shop")
    s3.put_object(Bucket="shop", Key="a", Body=b"b")
    assert s3.get_object(Bucket="shop", Key="a")["Body"].read() == b"b"
    for keys in (signed_by(access, secret[::-1]), signed_by("0" * 32, secret)):
        with refused():
            boto3.client("s3", endpoint_url=endpoint, config=ONCE, **keys).list_buckets()


@contextlib.contextmanager
def refused():
    try:
        yield
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
    else:
        raise AssertionError("it was let in")


@contextlib.contextmanager
def gateway(directory, further):
    upstream = Upstream("radosgw.sh", directory / "ceph", RADOSGW_FURTHER=further)
    try:
        yield upstream
    finally:
        upstream.down()


def signed_by(access, secret, token=None):
    return {"aws_access_key_id": access, "aws_secret_access_key": secret, "aws_session_token": token,
            "region_name": "us-east-1"}


def connector(daemon, role_arn):
    """A connector of the account at the gateway, for the builders and for programs."""
    accounts = rest(daemon, "/accounts")["values"]
    [account] = [one["id"] for one in accounts if one["name"] == "ceph"]
    rest(daemon, "/connectors", {
        "name": "Object store", "type": "ASSUME_ROLE", "scope": "SYSTEM", "accountId": account, "roleArn": role_arn,
        "groups": ["builders"],
    })


def rest(daemon, path, body=None):
    proof = base64.b64encode(f"{story.ADMIN}:{story.PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {proof}", "Content-Type": "application/json"}
    sent = body if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(daemon.url + REST + path, sent, headers), timeout=20) as answer:
        return json.load(answer)


def metadata(daemon):
    """What a program of this host gets."""
    base = f"http://{daemon.address('metadata')}"
    put = urllib.request.Request(
        f"{base}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(put, timeout=20) as answer:
        shown = {"X-aws-ec2-metadata-token": answer.read().decode()}

    def read(path):
        with urllib.request.urlopen(urllib.request.Request(base + path, headers=shown), timeout=20) as answer:
            return answer.read().decode()

    return json.loads(read(METADATA + read(METADATA)))
