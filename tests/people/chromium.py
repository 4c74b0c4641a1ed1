"""A headless Chromium that a check drives by its debugging protocol, over a pipe."""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import select
import subprocess
import time

from parts import ANSWER_SECONDS
from server import START_SECONDS, Server

# No name outside this machine is looked up, and nothing is fetched that no check asked for.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-pipe",
)


class Browser:
    """The browser with one window; used as a context. `trusted` is the hash of a key that it takes as verified."""

    def __init__(self, directory, trusted=None):
        self._home = directory / "browser"
        self._home.mkdir(parents=True)
        self._flags = [*FLAGS, f"--user-data-dir={self._home}/profile"]
        if trusted:
            self._flags.append(f"--ignore-certificate-errors-spki-list={trusted}")
        self._serial = itertools.count(1)
        self._unread = b""
        self._ended = contextlib.ExitStack()
        self._events = []

    def __enter__(self):
        with contextlib.ExitStack() as theirs:
            asked, self._asks = os.pipe()
            self._told, tells = os.pipe()
            for own in (self._asks, self._told):
                self._ended.callback(os.close, own)
            for end in (asked, tells):
                theirs.callback(os.close, end)
            # Its ends of the pipe are descriptors 3 and 4.
            command = ["bash", "-c", f'exec "$@" 3<&{asked} 4>&{tells}', "bash", "chromium", *self._flags]
            server = Server(
                command, lambda: True, self._home / "log", pass_fds=(asked, tells),
                env={"PATH": os.environ["PATH"], "HOME": str(self._home)},
            )
            self._ended.enter_context(server)
        try:
            window = self._call(None, "Target.createTarget", url="about:blank")["targetId"]
            attached = self._call(None, "Target.attachToTarget", targetId=window, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Network", "Page", "Runtime"):
                self._call(self._session, f"{domain}.enable")
        except BaseException:
            self._ended.close()
            raise
        return self

    def __exit__(self, *_):
        self._ended.close()

    def call(self, method, **parameters):
        """A command to the window."""
        return self._call(self._session, method, **parameters)

    def open(self, url):
        """Leads the window there, and waits until all of it is loaded."""
        seen = len(self._events)
        went = self.call("Page.navigate", url=url)
        assert not went.get("errorText"), f"{url}: {went}"
        self._await_event("Page.loadEventFired", seen)

    def lead(self, script):
        """Has a script of the window's page lead the window elsewhere, and waits until all of it is loaded."""
        seen = len(self._events)
        self.run(f"{{{script}; undefined}}")
        self._await_event("Page.loadEventFired", seen)

    def run(self, script):
        """What an expression in the window's page comes to; a promise is waited for."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True,
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def cookies(self, url):
        """The cookies that would be sent there, by their names."""
        return {cookie["name"]: cookie for cookie in self.call("Network.getCookies", urls=[url])["cookies"]}

    def told(self, method):
        """What events of this kind told so far."""
        return [event["params"] for event in self._events if event["method"] == method]

    def _await_event(self, method, seen):
        """The first event of this kind after so many events."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            for event in self._events[seen:]:
                if event["method"] == method:
                    return event["params"]
            seen = len(self._events)
            while len(self._events) == seen:
                self._read(deadline)

    def _call(self, session, method, **parameters):
        number = next(self._serial)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._asks, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + START_SECONDS + ANSWER_SECONDS
        while True:
            answer = self._read(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]

    def _read(self, deadline):
        """The next message; events are kept."""
        while b"\0" not in self._unread:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._told], [], [], left)[0], "the browser does not answer"
            more = os.read(self._told, 1 << 16)
            assert more, f"the browser ended: {(self._home / 'log').read_text(errors='replace')[-800:]}"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        message = json.loads(message)
        if "method" in message:
            self._events.append(message)
        return message


def key_hash(certificate):
    """What Chromium calls a certificate's key: the hash of its public part, in base64."""
    def openssl(*arguments, of):
        return subprocess.run(["openssl", *arguments], input=of, check=True, capture_output=True, timeout=30).stdout

    key = openssl("x509", "-noout", "-pubkey", of=certificate.read_bytes())
    key = openssl("pkey", "-pubin", "-outform", "der", of=key)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
