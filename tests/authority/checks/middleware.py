"""A service as EC2's that has keystonemiddleware ask the daemon who signed, by both of the bodies that it knows."""

import json

import boto3
import story
from botocore.config import Config
from botocore.exceptions import ClientError
from gateway import signed_by
from parts import HERE, OPENSTACK, SERVICE_TOKEN, Daemon
from server import Server, answers, free_port

# This middleware shows no token of its own.
AUTHORITY = "ec2tokens-without-token = true"


def check_ec2_token_of_version_2(directory):
    lets_in(directory, "/v2.0/ec2tokens")


def check_ec2_token_of_version_2_as_a_login(directory):
    lets_in(directory, "/v2.0/tokens")


def check_ec2_token_of_version_3(directory):
    lets_in(directory, "/v3/ec2tokens")


def lets_in(directory, path):
    port = free_port()
    with Daemon(directory, authority=AUTHORITY) as daemon:
        command = [OPENSTACK / "python", "-B", HERE / "ec2_service.py", port, daemon.url + path]
        with Server(command, lambda: answers(("127.0.0.1", port)), directory / "service.log"):
            access, secret = daemon.key("ann", "shop")
            for version in ("v4", "v2"):
                told = regions(port, version, signed_by(access, secret))
                assert whose(daemon, told) == ("ann", "shop"), told
                for keys in (signed_by(access, secret[::-1]), signed_by("0" * 32, secret)):
                    try:
                        regions(port, version, keys)
                    except ClientError as error:
                        assert error.response["Error"]["Code"] == "AuthFailure", error
                    else:
                        raise AssertionError("it was let in")


def regions(port, version, keys):
    """The token by which the service knows us."""
    config = Config(signature_version=version, retries={"max_attempts": 0})
    client = boto3.client("ec2", endpoint_url=f"http://127.0.0.1:{port}", config=config, **keys)
    [region] = client.describe_regions()["Regions"]
    return region["RegionName"]


def whose(daemon, token):
    """Whose token it is, and of which project, as a service is told."""
    status, _, body = story.Identity(daemon.url).ask(
        "GET", "/v3/auth/tokens", token=SERVICE_TOKEN, subject=token
    )
    assert status == 200, body
    said = json.loads(body)["token"]
    return said["user"]["name"], said["project"]["name"]
