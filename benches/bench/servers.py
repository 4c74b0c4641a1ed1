"""The programs that are started: rolecall, the two limits it is compared with, and the stand-in for STS."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from world import CALLER_UID, CLIENT_CPU, SERVER_CPU, spawn, weigh_session

HERE = Path(__file__).resolve().parent
STS = ("127.0.0.1", 7000)
ROLECALL, HYPER, NGINX, METRICS = ("127.0.0.1", 8001), ("127.0.0.1", 8002), ("127.0.0.1", 8003), ("127.0.0.1", 9001)
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"
ACCOUNT = "123456789012"
THE_CALLER = f"{{ uid = {CALLER_UID} }}"


class Server:
    def __init__(self, name, address, argv, directory, env=None, cpu=SERVER_CPU, **options):
        self.name, self.address, self.directory = name, address, directory
        self.errors = directory / f"{name}.stderr"
        with open(self.errors, "wb") as errors:
            self.process, self.begun = spawn(cpu, argv, cwd=directory, stdout=errors, stderr=errors,
                                             env={"PATH": os.environ["PATH"], **(env or {})}, **options)
        self.pid = self.process.pid

    def listening(self, limit=20):
        while True:
            try:
                socket.create_connection(self.address, 1).close()
                return self
            except OSError:
                self.still_alive(limit)
                time.sleep(0.0001)

    def still_alive(self, limit):
        if self.process.poll() is not None or time.perf_counter() - self.begun > limit:
            raise RuntimeError(f"{self.name} does not serve:\n{self.errors.read_text()[-2000:]}")

    def stop(self):
        """Stops it and waits; the CPU time it took is then in the children's."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# A shell may name descriptors of one digit only.
PASSED = 9
# As systemd starts a service that has a socket: descriptor 3, and whom it is for.
ACTIVATED = ["sh", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=metadata; exec "$@" 3<&{PASSED} {PASSED}<&-', "sh"]


@contextmanager
def passed_socket(address=ROLECALL):
    """A listening socket that outlives those who are started with `passed`."""
    with socket.create_server(address, backlog=4096) as listening:
        os.dup2(listening.fileno(), PASSED)
        try:
            yield
        finally:
            os.close(PASSED)


class Rolecall(Server):
    """One daemon with its configuration: audit into a file, metrics served, one grant of each role to whom `when` says."""

    def __init__(self, bench, label, roles=("app",), address=ROLECALL, metrics=METRICS, limits="", when=THE_CALLER,
                 nice=None, passed=False):
        directory = bench.directory(label)
        text = configuration(directory, roles, when, address, metrics, limits)
        if passed:
            text = text.replace("{}:{}".format(*address), "passed:metadata", 1)
        (directory / "rolecall.toml").write_text(text)
        argv = [bench.rolecall, "serve", "--config", str(directory / "rolecall.toml")]
        options = {}
        if passed:
            argv, options = [*ACTIVATED, *argv], {"pass_fds": (PASSED,)}
        if nice is not None:
            # Alone in its session, whose weight is its own however low its priority.
            argv, options = ["nice", "-n", str(nice - os.getpriority(os.PRIO_PROCESS, 0)), *argv], {"start_new_session": True}
        super().__init__("rolecall", address, argv, directory, {"BENCH_SECRET": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"}, **options)
        if nice is not None:
            weigh_session(self.pid)
        self.metrics = metrics

    def audited(self):
        """The audit events so far."""
        lines = (self.directory / "log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event.get("target") == "rolecall::audit"]


def configuration(directory, roles, when, address, metrics, limits):
    listener = '[[listener]]\nname = "{}"\nbind = ["{}:{}"]\napis = ["{}"]\n'
    return "".join([
        listener.format("metadata", *address, "imds"), listener.format("metrics", *metrics, "metrics"),
        f'[account.bench]\nid = "{ACCOUNT}"\nregion = "us-east-1"\nendpoint = "http://{STS[0]}:{STS[1]}"\n'
        'credentials = { from = "key", access-key-id = "AKIAIOSFODNN7EXAMPLE", secret-access-key = "env:BENCH_SECRET" }\n'
        "rate-limit = { per-second = 100000, burst = 100000 }\n",
        *(f"[account.bench.role.{role}]\n" for role in roles),
        *(f'[[grant]]\nrole = "bench/{role}"\nwhen = {when}\nreason = "benchmark"\n' for role in roles),
        f'[state]\ndirectory = "{directory}/state"\n[admin]\nsocket = "{directory}/admin.sock"\n'
        f'[log]\nto = ["file:{directory}/log"]\n', limits])


def hyper_bare(bench, body):
    directory = bench.directory("hyper-bare")
    (directory / "body").write_bytes(body)
    return Server("hyper-bare", HYPER, [bench.hyper_bare, "{}:{}".format(*HYPER), str(directory / "body")], directory)


def nginx(bench, body):
    directory = bench.directory("nginx")
    (directory / "nginx.conf").write_text(
        "daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;\n"
        "events { worker_connections 4096; }\n"
        "http { access_log off; keepalive_requests 1000000000; tcp_nodelay on; default_type application/json;\n"
        "client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;\n"
        "server { listen %s:%d backlog=4096; location / { return 200 '%s'; } } }\n" % (*NGINX, body.decode()))
    return Server("nginx", NGINX, ["nginx", "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"], directory)


class StandIn(Server):
    def __init__(self, bench):
        super().__init__("sts", STS, [sys.executable, str(HERE / "sts.py"), "{}:{}".format(*STS)],
                         bench.directory("sts"), cpu=CLIENT_CPU)
        self.listening()

    def control(self, **settings):
        query = "&".join(f"{name}={value}" for name, value in settings.items())
        with urllib.request.urlopen("http://{}:{}/_control?{}".format(*STS, query), timeout=30) as answer:
            return json.load(answer)

    def reset(self):
        return self.control(delay=0, lifetime=0, token=400, reset=1)
