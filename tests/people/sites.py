"""Scripted sites on loopback, and the cloud's that signs people in to its console."""

import contextlib
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "the-sign-in-token"


class Handler(BaseHTTPRequestHandler):
    """Says nothing on standard error, not even of a browser that hung up."""

    protocol_version = "HTTP/1.1"

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Loopback:
    """A server on a free port of loopback; used as a context."""

    handler = Handler

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (self.handler,), {"of": self}))
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Asked:
    """A request to the sign-in endpoint; names of headers are in small letters."""

    action: str
    query: dict
    headers: dict


class Signin(Loopback):
    """Where sessions are exchanged for sign-in tokens and browsers with such a token are signed in."""

    class handler(Handler):
        def do_GET(self):
            url = urlsplit(self.path)
            query = parse_qs(url.query)
            action = query.get("Action", [""])[0]
            if url.path != "/federation" or action not in ("getSigninToken", "login"):
                self.answer(404)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.of.requests.append(Asked(action, query, headers))
            if action == "getSigninToken" and "sessionToken" not in query["Session"][0]:
                self.answer(400)
            elif action == "getSigninToken":
                self.answer(200, json.dumps({"SigninToken": TOKEN}).encode())
            else:
                self.answer(200, b"signed in", [("Content-Type", "text/plain")])

    def __init__(self):
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"
