"""An issuer of service-account tokens, as a cluster's API server is one: keys, discovery, and tokens of pods."""

import base64
import http.server
import json
import re
import ssl
import subprocess
import threading
import time

AUDIENCE = "pods.eks.amazonaws.com"


class Issuer:
    """The server; it lives in this process, in the machine's network."""

    def __init__(self, folder):
        folder.mkdir()
        self._key = folder / "key.pem"
        self.certificate = folder / "certificate.pem"
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self._key, "-out", self.certificate,
                 "-days", "2", "-subj", "/CN=issuer", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-addext", "basicConstraints=critical,CA:FALSE")
        modulus = _openssl("rsa", "-in", self._key, "-noout", "-modulus").decode().strip().partition("=")[2]
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{server.server_address[1]}"
        self.documents = server.documents = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": self.url + "/keys"},
            "/keys": {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1",
                                "n": _text(bytes.fromhex(modulus)), "e": "AQAB"}]},
        }
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def now(self):
        return int(time.time())

    def token(self, namespace, account, pod, **changes):
        """A projected service-account token; `changes` replaces claims."""
        now = self.now()
        claims = {
            "iss": self.url, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 3600,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "kubernetes.io": {"namespace": namespace, "pod": {"name": pod, "uid": "0"},
                              "serviceaccount": {"name": account, "uid": "0"}},
            **changes,
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": "1"}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (header, claims))
        return signed + "." + _text(_openssl("dgst", "-sha256", "-sign", self._key, given=signed.encode()))


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        document = self.server.documents.get(self.path)
        body = json.dumps(document).encode()
        self.send_response(404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _openssl(*arguments, given=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(re.sub(r"\s+", " ", done.stderr.decode()))
    return done.stdout


def _text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
