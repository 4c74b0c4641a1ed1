"""OpenStack's object storage, whole and on loopback, with the daemon as its Keystone: by S3 as `s3token` asks about
signatures, and by tokens as `auth_token` has them validated."""

import contextlib
import http.client
import json
import subprocess

import boto3
import story
from assume_roles import ONCE
from gateway import refused, signed_by
from parts import HERE, OPENSTACK, Daemon, told
from server import Server, answers, free_port

KINDS = ("account", "container", "object")
SECONDS = 60

COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {place}
devices = {place}/devices
mount_check = false
user = root
workers = 0
"""
STORAGE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
# How each of the two signs in, to ask with a token of its own.
SERVICE = f"""
auth_type = password
username = {story.ADMIN}
password = {story.PASSWORD}
project_name = {story.PROJECT}
user_domain_id = default
project_domain_id = default
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors healthcheck authtoken s3api s3token keystoneauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
[filter:s3token]
use = egg:swift#s3token
auth_uri = {url}/v3
auth_url = {url}/v3
delay_auth_decision = true
{service}
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {url}
auth_url = {url}
delay_auth_decision = true
{service}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = member
"""


def check_s3_knows_keys(directory):
    with Daemon(directory) as daemon, swift(directory / "swift", daemon.url) as address:
        access, secret = daemon.key("ann", "shop")
        endpoint = f"http://{address}"
        s3 = boto3.client("s3", endpoint_url=endpoint, config=ONCE, **signed_by(access, secret))
        s3.create_bucket(Bucket="shop")
        s3.put_object(Bucket="shop", Key="a", Body=b"b")
        assert s3.get_object(Bucket="shop", Key="a")["Body"].read() == b"b"
        for keys in (signed_by(access, secret[::-1]), signed_by("0" * 32, secret)):
            with refused():
                boto3.client("s3", endpoint_url=endpoint, config=ONCE, **keys).list_buckets()


def check_tokens_are_validated(directory):
    with Daemon(directory) as daemon, swift(directory / "swift", daemon.url) as address:
        headers, token = signed_in(daemon, "ann", "shop")
        assert asked(address, "PUT", "/v1/AUTH_shop/shelf", token) == 201, headers
        assert asked(address, "GET", "/v1/AUTH_shop/shelf", token) == 204
        assert asked(address, "GET", "/v1/AUTH_admin", token) == 403
        assert asked(address, "GET", "/v1/AUTH_shop/shelf", token[:-4]) == 401


@contextlib.contextmanager
def swift(place, url):
    """The storage, each of its servers a process; gives where its proxy is."""
    (place / "devices/d").mkdir(parents=True)
    (place / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
    ports = {kind: free_port() for kind in KINDS}
    words = [f"{kind}={port}" for kind, port in ports.items()]
    made = subprocess.run(
        [OPENSTACK / "python", "-B", HERE / "swift_rings.py", place, *words], capture_output=True, text=True,
        timeout=SECONDS,
    )
    assert made.returncode == 0, told(made)
    ports["proxy"] = free_port()
    with contextlib.ExitStack() as servers:
        for kind, port in ports.items():
            own = PROXY.format(url=url, service=SERVICE) if kind == "proxy" else STORAGE.format(kind=kind)
            file = place / f"{kind}.conf"
            file.write_text(COMMON.format(place=place, port=port) + own)
            command = [OPENSTACK / f"swift-{kind}-server", file, "-v"]
            servers.enter_context(
                Server(command, lambda port=port: answers(("127.0.0.1", port)), place / f"{kind}.log")
            )
        yield f"127.0.0.1:{ports['proxy']}"


def signed_in(daemon, user, project):
    body = story.by_password(name=user)
    body["auth"]["scope"]["project"]["name"] = project
    status, headers, answered = story.Identity(daemon.url).ask("POST", "/v3/auth/tokens", body)
    assert status == 201, answered
    return json.loads(answered), headers["x-subject-token"]


def asked(address, method, path, token):
    """The status of an answer to who shows this token."""
    with contextlib.closing(http.client.HTTPConnection(address, timeout=SECONDS)) as connection:
        connection.request(method, path, headers={"X-Auth-Token": token, "Content-Length": "0"})
        return connection.getresponse().status
