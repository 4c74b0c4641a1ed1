"""Clients that never stop asking: load.py FOLDER, as the user who has the role, until FOLDER/stop is there.

Some open a connection for each request, as the AWS CLI does, some keep theirs, as services do. A kept connection that was
closed between two requests is opened again, as every HTTP client does; what was cut off after it was sent is counted, and
tried again.
Writes what came of it to FOLDER/result.json, and when each credential came, in seconds of the monotonic clock, to FOLDER/times.
"""

import array
import collections
import http.client
import json
import os
import select
import sys
import threading
import time

HOST = "169.254.169.254"
ROLES = "/latest/meta-data/iam/security-credentials/"
FRESH, KEPT = 6, 4
PATIENCE = 20
TRIES = 3

lock = threading.Lock()
counts = collections.Counter()
keys = collections.Counter()
samples = {}
times = array.array("d")
slowest = 0.0
CUT = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


def fails(kind, told):
    with lock:
        counts[kind] += 1
        samples.setdefault(kind, told)


class Client:
    """Asks over connections of its own; `keeps` says whether one serves many requests."""

    def __init__(self, keeps):
        self.keeps, self.connection, self.token = keeps, None, None

    def exchange(self, method, path, headers):
        """Status and body."""
        if self.connection and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection.close()
            self.connection = None
        if not self.connection:
            self.connection = http.client.HTTPConnection(HOST, timeout=PATIENCE)
        self.connection.request(method, path, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if not self.keeps or answer.will_close:
            self.connection.close()
            self.connection = None
        return answer.status, body

    def tried(self, method, path, headers):
        """As SDKs do: what was cut off is tried again, three times in all."""
        for _ in range(TRIES - 1):
            try:
                return self.exchange(method, path, headers)
            except CUT as cut:
                fails("cut", repr(cut))
                self.connection = None
        return self.exchange(method, path, headers)

    def ask(self, method, path, headers):
        global slowest
        begun = time.monotonic()
        with lock:
            counts["sent"] += 1
        try:
            status, body = self.tried(method, path, headers)
        except ConnectionRefusedError as error:
            return fails("refused", repr(error))
        except OSError as error:
            self.connection = None
            return fails("failed", repr(error))
        took = time.monotonic() - begun
        with lock:
            slowest = max(slowest, took)
        if status != 200:
            return fails("failed", f"{method} {path}: {status} {body[:200]!r}")
        return body

    def round(self):
        if not (self.keeps and self.token):
            token = self.ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"})
            if not token:
                return
            self.token = token.decode()
        with_token = {"X-aws-ec2-metadata-token": self.token}
        role = self.ask("GET", ROLES, with_token)
        document = role and self.ask("GET", ROLES + role.decode(), with_token)
        if document:
            key = json.loads(document)["AccessKeyId"]
            with lock:
                keys[key] += 1
                times.append(time.monotonic())


def work(client, stop):
    while not os.path.exists(stop):
        client.round()


folder = sys.argv[1]
clients = [Client(False) for _ in range(FRESH)] + [Client(True) for _ in range(KEPT)]
threads = [threading.Thread(target=work, args=(client, os.path.join(folder, "stop"))) for client in clients]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open(os.path.join(folder, "times"), "wb") as file:
    times.tofile(file)
result = {"counts": counts, "keys": keys, "samples": samples, "slowest": slowest}
with open(os.path.join(folder, "result.json.new"), "w") as file:
    json.dump(result, file)
os.rename(file.name, os.path.join(folder, "result.json"))
