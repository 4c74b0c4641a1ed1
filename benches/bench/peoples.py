"""The measurements of what people's APIs cost, and of what the proving of names costs everybody else."""
import http.client
import itertools
import json
import os
import socket
import ssl
import subprocess
import time
from collections import Counter
from contextlib import contextmanager

from callers import ask, basic, keep_proving
from load import wrk
from phases import TOKEN_FIELD, held, in_process
from servers import ACCOUNT, ROLE_PATH, ROLECALL, THE_CALLER, Rolecall, Server
from world import as_caller, beside, cpu_seconds, realtime, settled_memory_kib

PEOPLE = ("127.0.0.1", 8010)
CONNECTORS = "/rest/identity-federation-for-aws/2.1/connectors"
ACCOUNTS = "/rest/identity-federation-for-aws/2.1/accounts"
# More questions than are taken in: of each uid sixteen are, of all together five hundred and twelve.
PROVERS, EACH = range(30_000, 30_040), 16
# How long, in the middle, these wait before they ask again.
PAUSE = 0.5
NAMES = [f"user-{number}" for number in range(20_000)]
# As the shipped unit runs them: there the threads that prove names may not give way to the one that serves.
ALIKE = 15
SERVICE = "rolecall-bench"
# A role for programs beside the connectors.
PROGRAMS = (f'[[listener]]\nname = "metadata"\nbind = "{ROLECALL[0]}:{ROLECALL[1]}"\napis = "imds"\n'
            '[account.local]\nid = "000000000000"\ncredentials = { from = "local" }\n[account.local.role.demo]\n'
            f'[[grant]]\nrole = "local/demo"\nwhen = {THE_CALLER}\n')


def accounts(bench):
    """What people's requests of AFP's API cost: a list of a thousand roles, and credentials."""
    return {"runs": [in_process(bench, "accounts") for _ in range(min(bench.rounds, 5))]}


def signatures(bench):
    """What the verification of a signed request of 1 KiB costs."""
    return {"runs": [in_process(bench, "signatures") for _ in range(min(bench.rounds, 5))]}


def authority(bench):
    """What requests to STS and to Keystone cost that are signed, or about a signature."""
    return {"runs": [in_process(bench, "authority") for _ in range(min(bench.rounds, 5))]}


def connectors(bench):
    """What a hundred thousand stored connectors cost: their lists, the start, and memory."""
    bench.sts.reset()
    directory = bench.directory("connectors")
    figures = in_process(bench, "connectors", directory)
    configuration = directory / "rolecall.toml"
    configuration.write_text(configuration.read_text().replace("127.0.0.1:0", "{}:{}".format(*PEOPLE)) + PROGRAMS)
    figures |= {"listening_ms": [], "open_ms": [], "open_cpu_ms": []}
    for _ in range(min(bench.starts, 7)):
        with serving(bench, directory) as daemon:
            daemon.listening()
            figures["listening_ms"].append(since(daemon))
            listed(daemon)
            figures["open_ms"].append(since(daemon))
            figures["open_cpu_ms"].append(round(cpu_seconds(daemon.pid) * 1e3, 1))
    with serving(bench, directory).listening() as daemon:
        listed(daemon)
        figures["resident_kib"] = settled_memory_kib(daemon.pid)[0]
        token, _ = as_caller(held, ROLECALL, ["demo"])
        with beside(keep_proving, PEOPLE, CONNECTORS, [0], 2, itertools.cycle(["carol"]), 0) as result:
            figures["windows"] = [window(bench, token, "demo") for _ in range(min(bench.rounds, 5))]
            answers = result()
        if {status for _, status in answers} != {200}:
            raise RuntimeError(f"not every list was answered: {Counter(status for _, status in answers)}")
        figures["lists_meanwhile"] = len(answers)
        figures["resident_after_lists_kib"] = settled_memory_kib(daemon.pid)[0]
    figures["idle_kib"] = idle_with_store_and_tls(bench)
    bench.say(figures)
    return figures


def serving(bench, directory):
    return Server("rolecall", PEOPLE, [bench.rolecall, "serve", "--config", str(directory / "rolecall.toml")], directory)


def since(daemon):
    return round((time.perf_counter() - daemon.begun) * 1e3, 2)


def listed(daemon, query="?limit=1"):
    """The administrator's list, once the store is open."""
    while True:
        daemon.still_alive(60)
        status, body = ask(PEOPLE, "GET", CONNECTORS + query, [("Authorization", basic("carol"))])
        if status == 200:
            return json.loads(body)["values"]
        time.sleep(0.001)


def idle_with_store_and_tls(bench):
    """Resident memory of a daemon that serves a role of STS, people over TLS, and a stored connector, once each was used."""
    directory = bench.directory("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", "tls.key", "-out", "tls.pem", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], cwd=directory, check=True, capture_output=True)
    os.chmod(directory / "tls.key", 0o600)
    users(bench, directory, ["carol"])
    served = people('["accounts", "connectors"]', "basic", f'users-file = "{directory}/users"\nadministrators = "carol"')
    tls = f'[listener.tls]\ncertificate = "{directory}/tls.pem"\nkey = "file:{directory}/tls.key"\n'
    with Rolecall(bench, "tls", limits=served + tls).listening() as daemon:
        as_caller(held, ROLECALL, ["app"])
        known = over_tls(directory, "GET", ACCOUNTS)["values"]
        made = over_tls(directory, "POST", CONNECTORS, {
            "name": "one", "type": "ASSUME_ROLE", "accountId": next(it["id"] for it in known if it["name"] == "bench"),
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/app", "groups": ["everyone"]})
        over_tls(directory, "GET", f"{CONNECTORS}/{made['id']}")
        return settled_memory_kib(daemon.pid)[0]


def over_tls(directory, method, path, body=None):
    """What the administrator is answered."""
    context = ssl.create_default_context(cafile=directory / "tls.pem")
    connection = http.client.HTTPSConnection(*PEOPLE, timeout=20, context=context)
    connection.request(method, path, body and json.dumps(body),
                       {"Authorization": basic("carol"), "Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status not in (200, 201):
        raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
    return json.loads(text)


def users(bench, directory, names):
    """A users file in which all of these have the password `password`, by one hash as rolecall makes it."""
    made = subprocess.run([bench.rolecall, "password", "x"], input="password\n", capture_output=True, text=True, check=True)
    of_all = made.stdout.strip().partition(":")[2]
    (directory / "users").write_text("".join(f"{name}:{of_all}\n" for name in names))
    os.chmod(directory / "users", 0o600)


def people(apis, way, keys):
    """The part of a configuration that has people's APIs, proved in this way."""
    return (f'[people]\n{keys}\n[[listener]]\nname = "people"\nbind = "{PEOPLE[0]}:{PEOPLE[1]}"\napis = {apis}\n'
            f'[[listener.mount]]\nprefix = "/"\nauthenticate = "{way}"\n')


@contextmanager
def by_file(bench):
    """Passwords of the users file, all of them right."""
    directory = bench.directory("proofs-basic")
    users(bench, directory, NAMES)
    yield people('"accounts"', "basic", f'users-file = "{directory}/users"')


@contextmanager
def by_silent_directory(_bench):
    """An LDAP directory that takes connections in, and says nothing."""
    with socket.create_server(("127.0.0.1", 3890), backlog=1024):
        yield people('"accounts"', "ldap", 'ldap = { url = "ldap://127.0.0.1:3890", base-users = "dc=example,dc=org" }')


@contextmanager
def by_slow_stack(bench):
    """A PAM stack that runs a program, which takes a second."""
    services = bench.directory("pam.d")
    (services / SERVICE).write_text("auth required pam_exec.so quiet /bin/sleep 1\naccount required pam_permit.so\n")
    subprocess.run(["mount", "--bind", str(services), "/etc/pam.d"], check=True)
    try:
        yield people('"accounts"', "pam", f'pam = {{ service = "{SERVICE}" }}')
    finally:
        subprocess.run(["umount", "--lazy", "/etc/pam.d"], check=True)


WAYS = {"basic": by_file, "ldap": by_silent_directory, "pam": by_slow_stack}


def proofs(bench):
    """GETs of a held session while more people prove their names than are taken in."""
    bench.sts.reset()
    figures = {}
    for way, prepared in WAYS.items():
        with prepared(bench) as configured, Rolecall(bench, f"proofs-{way}", limits=configured, nice=ALIKE).listening() as daemon:
            token, _ = as_caller(held, ROLECALL, ["app"])
            calm = [window(bench, token) for _ in range(min(bench.rounds, 3))]
            with beside(keep_proving, PEOPLE, "/account", PROVERS, EACH, itertools.cycle(NAMES), PAUSE) as result:
                time.sleep(2)                       # until all have asked
                windows = [window(bench, token) for _ in range(min(bench.rounds, 8))]
                answers = result()
        for its in windows:
            told = [status for moment, status in answers if its["begun"] <= moment <= its["ended"]]
            its["refused"], its["proved"] = told.count(503), told.count(200)
            if not its["refused"] or not set(told) <= {200, 429, 503}:
                raise RuntimeError(f"{way}: the queue was not full: {Counter(told)}")
        figures[way] = {"calm": calm, "windows": windows}
        bench.say(way, {key: (max(it["max_us"] for it in its), max(it["p999_us"] for it in its))
                        for key, its in figures[way].items()}, [(it["refused"], it["proved"]) for it in windows])
    return figures


def window(bench, token, role="app"):
    """Two seconds of GETs over one kept connection. Who asks runs before those who prove names."""
    begun = time.monotonic()
    with realtime():
        seen = wrk(bench.script, ROLECALL, ROLE_PATH + role, [(TOKEN_FIELD, token)], connections=1, seconds=2)
    return {**seen, "begun": begun, "ended": time.monotonic()}


PHASES = {"proofs": proofs, "accounts": accounts, "connectors": connectors, "signatures": signatures, "authority": authority}
