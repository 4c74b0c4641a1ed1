#!/usr/bin/env python3
"""An OIDC issuer on loopback, made known to the STS at $AWS_ENDPOINT_URL with a role of its own.

Prints `export NAME=value` lines (ISSUER, ROLE_ARN, TOKEN, and FOREIGN_TOKEN signed by another key), then an
empty one, and serves discovery and keys until it is killed. Runs in moto's environment, which has
boto3 and cryptography. Ceph's gateway wants `x5c` in each key, and the certificate's SHA-1 as
thumbprint.
"""

import base64
import datetime
import hashlib
import http.server
import json
import time

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT = "rolecall"


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + datetime.timedelta(days=1),
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def token(key, issuer):
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": "1"}
    claims = {"iss": issuer, "sub": "build", "aud": CLIENT, "iat": now, "exp": now + 3600}
    signed = ".".join(text(json.dumps(part).encode()) for part in (header, claims))
    return signed + "." + text(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))


key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
der = certificate(key)
numbers = key.public_key().public_numbers()
jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": number(numbers.n), "e": number(numbers.e)}
jwk["x5c"] = [base64.b64encode(der).decode()]


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        discovery = {"issuer": issuer, "jwks_uri": issuer + "/jwks"}
        documents = {"/.well-known/openid-configuration": discovery, "/jwks": {"keys": [jwk]}}
        body = json.dumps(documents.get(self.path, {})).encode()
        self.send_response(200 if self.path in documents else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
place = "127.0.0.1:%d" % server.server_address[1]
issuer = "http://" + place

iam = boto3.client("iam")
iam.create_open_id_connect_provider(
    Url=issuer, ClientIDList=[CLIENT], ThumbprintList=[hashlib.sha1(der).hexdigest().upper()]
)
trust = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": ["arn:aws:iam:::oidc-provider/" + place]},
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {"StringEquals": {place + ":app_id": CLIENT}},
        }
    ],
}
# Compact: Ceph 16 does not read `+` as a space.
role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(trust, separators=(",", ":")))
other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
print("export ISSUER=" + issuer)
print("export ROLE_ARN=" + role["Role"]["Arn"])
print("export TOKEN=" + token(key, issuer))
print("export FOREIGN_TOKEN=" + token(other, issuer))
print(flush=True)
server.serve_forever()
