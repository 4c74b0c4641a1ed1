#!/usr/bin/env python3
"""A scripted STS: answers as AWS does until it is told to be slow, wrong, rude or gone.

    scripted_sts.py [--listen ADDRESS:PORT] [--control ADDRESS:PORT]

prints `export SCRIPTED_STS=URL SCRIPTED_STS_CONTROL=URL` and serves until it is ended. At the control URL
    GET  /            the behaviour, the calls seen, the access keys issued
    PUT  /behaviour   a JSON object with some of the fields of `Behaviour`; the others stay
    POST /forget      drops calls and issued keys
Base credentials are BASE_KEY and BASE_SECRET below; every signature is checked. Standard library only."""

import argparse
import contextlib
import dataclasses
import email.utils
import itertools
import json
import secrets
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import signature

BASE_KEY = "AKIAIOSFODNN7EXAMPLE"
BASE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCOUNT = "123456789012"
SESSION_ACTIONS = {
    "AssumeRole", "AssumeRoleWithWebIdentity", "GetFederationToken", "GetSessionToken",
}
STATUS = {
    "InternalFailure": 500, "ServiceUnavailable": 503, "Throttling": 400, "AccessDenied": 403,
    "InvalidClientTokenId": 403, "SignatureDoesNotMatch": 403, "MissingAuthenticationToken": 403,
    "InvalidToken": 403, "XAmzContentSHA256Mismatch": 403,
}


@dataclasses.dataclass
class Behaviour:
    """What the next calls meet; `times` calls long, or until told otherwise."""

    answer: str = "session"  # session, error, garbage, half, reset, silence
    error: str = "AccessDenied"  # the code of answer = "error"
    message: str = "as scripted"
    delay: float = 0.0  # seconds before anything is answered
    lifetime: int | None = None  # seconds; None: DurationSeconds as asked
    expiration: str | None = None  # written as it is, instead of one computed from lifetime
    skew: float = 0.0  # seconds that this server's clock (Date, Expiration) is ahead
    listening: bool = True  # False: connections are refused
    times: int | None = None  # after so many calls the default behaviour returns


@dataclasses.dataclass
class Issued:
    secret_access_key: str
    session_token: str
    expires_at: float
    role: str  # the last part of the role's ARN, empty if there is none
    session_name: str


class ScriptedSts:
    """The server; usable in a test's own process or through its control URL."""

    def __init__(self, listen=("127.0.0.1", 0)):
        self._address = listen
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        self._server = None
        self.ended = threading.Event()  # set when it stops listening: nobody is kept waiting any more
        self.behaviour = Behaviour()
        self.calls = []
        self.issued = {}
        self._listen()
        self._address = self._server.server_address
        self.url = "http://%s:%d" % self._address

    def behave(self, **changes):
        """Changes some fields; everything else stays as it is."""
        with self._lock:
            self.behaviour = dataclasses.replace(self.behaviour, **changes)
            listening = self.behaviour.listening
        if listening:
            self._listen()
        else:
            self.close()

    def forget(self):
        with self._lock:
            self.calls.clear()
            self.issued.clear()

    def close(self):
        """Stops listening; whoever connects is refused."""
        server, self._server = self._server, None
        self.ended.set()
        if server is not None:
            server.shutdown()
            server.server_close()
            server.end_connections()

    def known_secrets(self):
        """What a signature may be made with: id to (secret, session token)."""
        known = {BASE_KEY: (BASE_SECRET, "")}
        with self._lock:
            for key, issued in self.issued.items():
                known[key] = (issued.secret_access_key, issued.session_token)
        return known

    def next_behaviour(self, call):
        """Notes the call and says how it is met."""
        with self._lock:
            self.calls.append(call)
            met = self.behaviour
            if met.times is not None:
                left = met.times - 1
                self.behaviour = dataclasses.replace(met, times=left) if left else Behaviour()
            return met

    def issue(self, lifetime, skew, role, session_name):
        """A new access key: id, record, and its expiration as STS would write it."""
        number = next(self._serial)
        key = "ASIA%s%04d" % ("".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(12)), number)
        expires_at = int(time.time() + skew) + lifetime
        issued = Issued(secrets.token_urlsafe(30), secrets.token_urlsafe(240), expires_at, role, session_name)
        with self._lock:
            self.issued[key] = issued
        return key, issued, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at))

    def _listen(self):
        if self._server is None:
            self.ended.clear()
            self._server = Server(self._address, _Handler)
            self._server.sts = self
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()


class Server(ThreadingHTTPServer):
    """An HTTP server for tests: impatient clients are no error, and it can end what is open."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._open = set()

    def get_request(self):
        connection, peer = super().get_request()
        self._open.add(connection)
        return connection, peer

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def end_connections(self):
        """Ends kept connections too: a server that is gone answers on none."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        skew = self.server.sts.behaviour.skew
        return email.utils.formatdate((timestamp or time.time()) + skew, usegmt=True)

    def do_POST(self):
        sts = self.server.sts
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parameters = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        action = parameters.get("Action", "")
        anonymous = action == "AssumeRoleWithWebIdentity"
        try:
            key = None if anonymous else signature.signer(
                "POST", self.path, self.headers, body, sts.known_secrets()
            )
            refusal = None
        except signature.Refused as refused:
            key, refusal = None, str(refused)
        met = sts.next_behaviour({"parameters": parameters, "access_key_id": key, "refusal": refusal})
        if met.delay:
            sts.ended.wait(met.delay)
        if met.answer == "reset":
            self._reset()
        elif met.answer == "silence":
            sts.ended.wait()
        elif met.answer == "garbage":
            self._send(200, b"<html><body>It works!</body>\x00\xff", "text/html")
        elif met.answer == "error":
            self._error(met.error, met.message)
        elif refusal is not None:
            self._error(refusal, "the request was refused")
        elif action == "GetCallerIdentity":
            self._result(action, f"<Arn>arn:aws:iam::{ACCOUNT}:user/base</Arn><UserId>{key}</UserId>"
                         f"<Account>{ACCOUNT}</Account>")
        elif action in SESSION_ACTIONS:
            self._session(action, parameters, met)
        else:
            self._error("InvalidAction", f"no such action: {action}")

    def _session(self, action, parameters, met):
        lifetime = met.lifetime
        if lifetime is None:
            lifetime = int(parameters.get("DurationSeconds", 3600))
        role = parameters.get("RoleArn", "").rpartition("/")[2]
        name = parameters.get("RoleSessionName", "")
        key, issued, expiration = self.server.sts.issue(lifetime, met.skew, role, name)
        result = (
            f"<Credentials><AccessKeyId>{key}</AccessKeyId>"
            f"<SecretAccessKey>{issued.secret_access_key}</SecretAccessKey>"
            f"<SessionToken>{issued.session_token}</SessionToken>"
            f"<Expiration>{escape(met.expiration or expiration)}</Expiration></Credentials>"
        )
        if action.startswith("AssumeRole"):
            result += (
                f"<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{escape(name)}</AssumedRoleId>"
                f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/{escape(role)}/{escape(name)}</Arn>"
                "</AssumedRoleUser>"
            )
        if action == "GetFederationToken":
            name = escape(parameters.get("Name", ""))
            result += (
                f"<FederatedUser><FederatedUserId>{ACCOUNT}:{name}</FederatedUserId>"
                f"<Arn>arn:aws:sts::{ACCOUNT}:federated-user/{name}</Arn></FederatedUser>"
            )
        self._result(action, result, half=met.answer == "half")

    def _result(self, action, inner, half=False):
        text = (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<{action}Result>{inner}</{action}Result><ResponseMetadata>"
            f"<RequestId>{secrets.token_hex(8)}</RequestId></ResponseMetadata></{action}Response>"
        )
        self._send(200, text.encode(), "text/xml", half)

    def _error(self, code, message):
        kind = "Receiver" if STATUS.get(code, 400) >= 500 else "Sender"
        text = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
            f"<Type>{kind}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            f"</Error><RequestId>{secrets.token_hex(8)}</RequestId></ErrorResponse>"
        )
        self._send(STATUS.get(code, 400), text.encode(), "text/xml")

    def _send(self, status, body, content_type, half=False):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self.close_connection = True

    def _reset(self):
        """Ends the connection with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True


class Control(BaseHTTPRequestHandler):
    """The control URL: see the module's own words."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        sts = self.server.sts
        self._reply({
            "behaviour": dataclasses.asdict(sts.behaviour),
            "calls": list(sts.calls),
            "issued": {key: dataclasses.asdict(issued) for key, issued in sts.issued.items()},
        })

    def do_PUT(self):
        changes = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        try:
            self.server.sts.behave(**changes)
        except TypeError as error:
            self._reply({"error": str(error)}, 400)
        else:
            self._reply(dataclasses.asdict(self.server.sts.behaviour))

    def do_POST(self):
        self.server.sts.forget()
        self._reply({})

    def _reply(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--listen", type=address, default=("127.0.0.1", 0))
    options.add_argument("--control", type=address, default=("127.0.0.1", 0))
    chosen = options.parse_args()
    sts = ScriptedSts(chosen.listen)
    control = Server(chosen.control, Control)
    control.sts = sts
    print("export SCRIPTED_STS=%s SCRIPTED_STS_CONTROL=http://%s:%d" % (sts.url, *control.server_address), flush=True)
    control.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
