#!/usr/bin/env python3
"""Clients that ask for credentials without a pause, each as a user of its own, and count how they fare.

    load.py REPORT FIRST_UID CLIENTS [ADDRESS]

Says READY to systemd when each client was served (or, with AT_BOOT=1 in the environment, at once: nobody has waited for
the daemon then), and ends at SIGTERM, when each has asked further LEAST requests. What came of it is written to REPORT.

Clients are of four kinds in turn: one connection for each request by IPv4 or IPv6, one connection kept as long as the
server keeps it, and the unmodified fetcher of AWS's SDK for Python. A kept connection that the server has closed meanwhile
is opened again. A request that was sent and got no byte back is counted as cut off, and sent once more; the SDK makes
ATTEMPTS attempts, 1 unless the environment says otherwise."""

import http.client
import json
import multiprocessing
import os
import select
import signal
import socket
import sys
import time

# Debian's command line of AWS has the SDK inside.
from awscli.botocore.utils import InstanceMetadataFetcher

ATTEMPTS = int(os.environ.get("ATTEMPTS", "1"))
LEAST = 70
PATIENCE = 20  # seconds: longer than any restart, and a hang is a failure
KINDS = ("connection each, IPv4", "connection each, IPv6", "connection kept", "botocore")
ROLES = "/latest/meta-data/iam/security-credentials/"
IPV4, IPV6 = "169.254.169.254", "fd00:ec2::254"


CUT = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class Refused(Exception):
    """Nobody listens: the connection was refused, or cut off twice."""


class Client:
    def __init__(self, kind, address):
        self._kind = kind
        self._host = address if address else IPV6 if kind == KINDS[1] else IPV4
        self._kept = None
        self._token = None
        self._is_served = False
        self.sent = 0
        self.cut = 0

    def round(self):
        """The access key that it is given."""
        if self._kind == KINDS[3]:
            return self._by_sdk()
        if self._token is None:
            lasts = {"x-aws-ec2-metadata-token-ttl-seconds": "21600"}
            self._token = self._ask("PUT", "/latest/api/token", lasts)
        shown = {"x-aws-ec2-metadata-token": self._token}
        role = self._ask("GET", ROLES, shown)
        return json.loads(self._ask("GET", ROLES + role, shown))["AccessKeyId"]

    def _ask(self, method, path, headers):
        try:
            return self._answer(self._connection(), method, path, headers)
        except CUT:
            # Whoever waits in the queue of a socket that is closed is cut off as well as whom a killed daemon was serving.
            self.cut += 1
        try:
            return self._answer(self._connection(), method, path, headers)
        except CUT as error:
            raise Refused from error

    def _connection(self):
        """The kept one, unless it was closed meanwhile, or another one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            if not select.select([kept.sock], [], [], 0)[0]:
                return kept
            kept.close()
        host, _, port = self._host.rpartition(":") if self._host.count(":") == 1 else (self._host, "", "80")
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            connection.connect()
        except ConnectionRefusedError as error:
            self.sent += 1
            raise Refused from error
        return connection

    def _answer(self, connection, method, path, headers):
        self.sent += 1
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {body[:200]}")
        is_kept = self._kind == KINDS[2] and not answer.will_close
        if is_kept:
            self._kept = connection
        else:
            connection.close()
        return body

    def _by_sdk(self):
        address = self._host if self._host.count(":") == 1 else IPV4
        fetcher = InstanceMetadataFetcher(timeout=PATIENCE, num_attempts=ATTEMPTS, base_url=f"http://{address}/")
        self.sent += 3
        found = fetcher.retrieve_iam_role_credentials()
        if not found:
            with socket.socket() as probe:
                host, _, port = address.partition(":")
                # It does not say why. Before it was ever served, the sockets may have come a moment ago.
                if not self._is_served or probe.connect_ex((host, int(port or 80))) != 0:
                    raise Refused
            raise RuntimeError("botocore found nothing")
        self._is_served = True
        return found["access_key"]


def work(kind, uid, address, ready, ending, found):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    client = Client(kind, address)
    failed, refused, keys, longest, waits = [], 0, [], 0.0, True
    after = None
    while after is None or client.sent < after:
        began = time.monotonic()
        try:
            key = client.round()
        except Refused:
            refused += 1
            # Nothing is there to wait for.
            ending.wait(0.02)
        except Exception as error:  # whatever it is, it is told
            failed.append(f"{kind}: {type(error).__name__}: {error}")
        else:
            if not keys or keys[-1] != key:
                keys.append(key)
        longest = max(longest, time.monotonic() - began)
        if waits and client.sent >= LEAST:
            waits = False
            ready.release()
        if after is None and ending.is_set():
            after = client.sent + LEAST
    found.put({"uid": uid, "kind": kind, "sent": client.sent, "failed": failed[:5], "failures": len(failed),
               "refused": refused, "cut": client.cut, "keys": keys, "longest": round(longest, 3)})


def notify(said):
    where = os.environ.get("NOTIFY_SOCKET")
    if where:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect("\0" + where[1:] if where.startswith("@") else where)
            manager.send(said)


def main(report, first, clients, address=None):
    ready, ending, found = multiprocessing.Semaphore(0), multiprocessing.Event(), multiprocessing.Queue()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    kinds = [kind for kind in KINDS if kind != KINDS[1] or (address is None and os.path.exists("/proc/net/if_inet6"))]
    workers = [
        multiprocessing.Process(
            target=work, args=(kinds[number % len(kinds)], int(first) + number, address, ready, ending, found))
        for number in range(int(clients))
    ]
    for worker in workers:
        worker.start()
    if not os.environ.get("AT_BOOT"):
        for _ in workers:
            ready.acquire()
    notify(b"READY=1")
    told = [found.get() for _ in workers]
    for worker in workers:
        worker.join()
    with open(report + ".new", "w") as file:
        json.dump(told, file)
    os.rename(report + ".new", report)


if __name__ == "__main__":
    main(*sys.argv[1:])
