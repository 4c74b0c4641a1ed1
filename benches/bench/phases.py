"""The measurements. Each takes the `Bench` and returns its figures; what is wrong rather than slow is an exception."""
import json
import os
import socket
import statistics
import subprocess
import time
from collections import Counter

from callers import Crowd, ask, imds_token, read_answer, request
from load import wrk
from servers import ACCOUNT, METRICS, ROLE_PATH, ROLECALL, THE_CALLER, Rolecall, Server, hyper_bare, nginx, passed_socket
from world import CALLER_UID, SERVER_CPU, as_caller, cpu_seconds, realtime, settled_memory_kib, spawn

TOKEN_FIELD = "X-aws-ec2-metadata-token"
CROWDED = ('[limits]\nconnections = 12000\nconnections-per-caller = 12000\nrequests-per-caller = 12000\n'
           'flights-per-caller = 12000\npatience = "20s"\n')
DEFAULT = ("127.0.0.1", 1338)               # where the embedded default serves


def held(address, roles):
    """Fetches each role's credentials once, as the caller; the last document."""
    token = imds_token(address)
    for role in roles:
        for _ in range(200):
            status, body = ask(address, "GET", ROLE_PATH + role, [(TOKEN_FIELD, token)])
            if status != 503:
                break
        if status != 200:
            raise RuntimeError(f"{role}: {status} {body!r}")
    return token, body.decode()


def requests(bench):
    """CPU time of one credentials GET beside a bare hyper responder's and nginx's, who answer the same bytes."""
    bench.sts.reset()
    with Rolecall(bench, "requests").listening() as rolecall:
        token, document = as_caller(held, ROLECALL, ["app"])
        fields, body = [(TOKEN_FIELD, token)], document.encode()
        figures = {"body_bytes": len(body), "resident_kib_before": settled_memory_kib(rolecall.pid)[0]}
        with hyper_bare(bench, body).listening() as bare, nginx(bench, body).listening() as other:
            for mode in ("kept-alive", "per-request"):
                def cost(server):
                    return cost_of_requests(bench, server, fields, mode == "per-request")

                for server in (rolecall, other):
                    cost(server)                    # warm
                figures[mode], before = [], cost(bare)
                while len(steady(figures[mode])) < bench.rounds:
                    if len(figures[mode]) == 3 * bench.rounds:
                        raise RuntimeError("bare hyper's own cost never stood still: too much else happens here")
                    turn = [rolecall, other] if len(figures[mode]) % 2 == 0 else [other, rolecall]
                    seen = {server.name: cost(server) for server in turn}
                    after = cost(bare)
                    seen |= {"bare-before": before, "bare-after": after}
                    figures[mode].append(seen)
                    before = after
                    bench.say(mode, {name: run["cpu_ms_per_1000"] for name, run in seen.items()})
        figures["resident_kib_after"] = settled_memory_kib(rolecall.pid)[0]
        status, metrics = ask(METRICS, "GET", "/metrics")
        events = rolecall.audited()
    callers = {event["caller"] for event in events if event["event"] == "hand-out"}
    if status != 200 or b"rolecall_" not in metrics or callers != {f"uid {CALLER_UID}"}:
        raise RuntimeError(f"not measured as it should be: metrics {status}, hand-outs to {callers}")
    return figures


def steady(rounds):
    """The rounds around which bare hyper's cost stood still: the others say more of the machine than of the servers."""
    return [its for its in rounds
            if 0.9 < its["bare-before"]["cpu_ms_per_1000"] / its["bare-after"]["cpu_ms_per_1000"] < 1 / 0.9]


def cost_of_requests(bench, server, fields, close):
    cpu, clock = cpu_seconds(server.pid), time.perf_counter()
    seen = wrk(bench.script, server.address, ROLE_PATH + "app", fields, seconds=bench.seconds, close=close)
    cpu, clock = cpu_seconds(server.pid) - cpu, time.perf_counter() - clock
    return {**seen, "cpu_ms_per_1000": round(cpu / seen["requests"] * 1e6, 3), "cpu_use": round(cpu / clock, 3)}


def stall(bench):
    """GETs of a held session while each of its renewals hangs for 20 s at the STS, beside those of a daemon with nothing
    to renew."""
    bench.sts.reset()
    with realtime(), Rolecall(bench, "calm").listening():
        calm_token, _ = as_caller(held, ROLECALL, ["app"])
        renewing_at = ("127.0.0.1", 8004)
        # Renewed with 60 to 70 % of its life left, and served until 60 s before its end: ten pairs of windows lie between.
        bench.sts.control(lifetime=200)
        with Rolecall(bench, "renewing", address=renewing_at, metrics=("127.0.0.1", 9004)).listening():
            token, _ = as_caller(held, renewing_at, ["app"])
            expires = time.monotonic() + 200
            bench.sts.control(lifetime=0, delay=20, reset=1)
            while not bench.sts.control()["waiting"]:
                if time.monotonic() > expires:
                    raise RuntimeError("the session was never renewed")
                time.sleep(0.2)
            bench.say("first renewal hangs,", round(expires - time.monotonic()), "s before the end")
            windows = []
            for i in range(10):
                pair = {}
                turn = [("calm", ROLECALL, calm_token), ("renewing", renewing_at, token)]
                for name, address, its in turn if i % 2 == 0 else reversed(turn):
                    pair[name] = wrk(bench.script, address, ROLE_PATH + "app", [(TOKEN_FIELD, its)], connections=1,
                                     seconds=2)
                if expires - time.monotonic() < 60:
                    raise RuntimeError("the windows outlasted the session")
                windows.append(pair)
                bench.say({name: (run["p999_us"], run["max_us"]) for name, run in pair.items()})
            counters = bench.sts.control()
    return {"windows": windows, "renewals_begun": counters["calls"], "most_waiting": counters["most_waiting"]}


def fan_in_crowd(address, roles, callers, leaves):
    token = imds_token(address)
    questions = [request("GET", ROLE_PATH + role, [(TOKEN_FIELD, token)]) for role in roles]
    # Caller i asks for role i modulo their number; the first of each role may leave before its answer.
    queues = [[questions[i % len(roles)]] for i in range(len(roles) * callers)]
    leave = frozenset(range(len(roles))) if leaves else frozenset()
    return Crowd(address, len(queues)).run(queues, 60, leave)


def fan_in(bench):
    """Ten thousand callers of a hundred roles that nobody holds yet."""
    figures = {}
    names = [f"role-{n:0>3}" for n in range(100)]
    for case, leaves in (("all-stay", False), ("first-leaves", True)):
        bench.sts.reset()
        bench.sts.control(delay=2)
        # The token PUT begins a fetch for the caller's first role, which therefore is none of the hundred.
        with Rolecall(bench, case, ["first", *names], limits=CROWDED).listening() as daemon:
            answers = as_caller(fan_in_crowd, ROLECALL, names, 100, leaves)
            calls = bench.sts.control()["by_role"]
            figures[case] = {"answers": len(answers), "calls": sum(calls.get(arn(name), 0) for name in names),
                             "roles_called_once": sum(calls.get(arn(name), 0) == 1 for name in names),
                             "with_credentials": sum(status == 200 and found for _, status, _, found in answers),
                             "median_s": round(statistics.median(seconds for _, _, seconds, _ in answers), 3),
                             "slowest_s": round(max(seconds for _, _, seconds, _ in answers), 3),
                             "statuses": {str(code): sum(status == code for _, status, _, _ in answers)
                                          for code in sorted({status for _, status, _, _ in answers})},
                             "resident_kib_after": settled_memory_kib(daemon.pid)[0]}
        bench.say(case, figures[case])
    return figures


def arn(role):
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


def memory(bench):
    """What a held role, a served caller, an idle daemon, and a million issued tokens occupy."""
    bench.sts.reset()
    figures = {}
    with Rolecall(bench, "idle").listening() as daemon:
        as_caller(held, ROLECALL, ["app"])
        figures["idle_kib"] = settled_memory_kib(daemon.pid)[0]
        put = [("X-aws-ec2-metadata-token-ttl-seconds", "21600")]
        issue_tokens(bench, put, 1_000_000)         # until all is there that so many connections and requests need
        before = settled_memory_kib(daemon.pid)[1]
        issued = issue_tokens(bench, put, 1_000_000)
        after = settled_memory_kib(daemon.pid)[1]
        figures["tokens"] = {"issued": issued, "anonymous_before_kib": before, "anonymous_after_kib": after}
        bench.say(figures)
    names, other = [f"role-{n:0>5}" for n in range(10_000)], CALLER_UID + 1
    both = f"{{ uid = [{CALLER_UID}, {other}] }}"
    with Rolecall(bench, "roles", names, when=both, limits=CROWDED + "sessions = 30000\n").listening() as daemon:
        as_caller(fetch_roles, names)
        before = settled_memory_kib(daemon.pid)[0]
        # What reading the configuration left free is taken by now, so a second caller's sessions are weighed alone.
        as_caller(fetch_roles, names, uid=other)
        after = settled_memory_kib(daemon.pid)[0]
        figures["roles"] = {"kib_each": round((after - before) / len(names), 2),
                            "with_configuration_kib_each": round((before - figures["idle_kib"]) / len(names), 2)}
        bench.say(figures["roles"])
    # One role, of which each caller has a session of its own, as its role session name is the caller's.
    with Rolecall(bench, "callers", when='"anyone"', limits=CROWDED).listening() as daemon:
        as_caller(held, ROLECALL, ["app"])
        before = settled_memory_kib(daemon.pid)[0]
        fetch_as_many(range(20_000, 30_000))
        after = settled_memory_kib(daemon.pid)[0]
        figures["callers"] = {"kib_each": round((after - before) / 10_000, 2)}
        bench.say(figures["callers"])
    return figures


def issue_tokens(bench, fields, least):
    issued = 0
    while issued < least:
        issued += wrk(bench.script, ROLECALL, "/latest/api/token", fields, seconds=3, method="PUT")["requests"]
    return issued


def fetch_as_many(users):
    """Each of these users fetches the one role over a connection of its own, a few hundred at a time."""
    for some in batches(list(users), 250):
        crowd = Crowd(ROLECALL, len(some), some)
        for connection in crowd.connections:
            connection.setblocking(True)
            connection.sendall(request("PUT", "/latest/api/token", [("X-aws-ec2-metadata-token-ttl-seconds", "60")]))
        tokens = [read_answer(connection)[1].decode() for connection in crowd.connections]
        for connection in crowd.connections:
            connection.setblocking(False)
        answers = crowd.run([[request("GET", ROLE_PATH + "app", [(TOKEN_FIELD, token)])] for token in tokens], 60)
        all_served(answers, len(some))


def fetch_roles(names):
    """One caller fetches all of these roles, over a few kept connections."""
    token = imds_token(ROLECALL)
    queues = [[request("GET", ROLE_PATH + name, [(TOKEN_FIELD, token)]) for name in names[i::16]] for i in range(16)]
    all_served(Crowd(ROLECALL, 16).run(queues, 300), len(names))


def batches(items, size):
    return [items[i:i + size] for i in range(0, len(items), size)]


def all_served(answers, expected):
    served = sum(status == 200 and found for _, status, _, found in answers)
    if served < expected:
        raise RuntimeError(f"only {served} of {expected} got credentials: {Counter(answer[1] for answer in answers)}")


def embedded_default(bench, directory):
    return Server("rolecall", DEFAULT, [bench.rolecall, "serve"], directory,
                  {"HOME": str(directory), "XDG_STATE_HOME": str(directory), "XDG_RUNTIME_DIR": str(directory),
                   "ROLECALL_SOCKET": str(directory / "admin.sock")})


def first_credential(server):
    """Milliseconds from exec to the first credentials of the role `demo`, each step asked for as soon as it can be."""
    server.listening()
    token = imds_token(server.address)
    status, body = ask(server.address, "GET", ROLE_PATH + "demo", [(TOKEN_FIELD, token)])
    took = time.perf_counter() - server.begun
    if status != 200 or b"AccessKeyId" not in body:
        raise RuntimeError(f"no local credential: {status} {body!r}")
    return took * 1e3, body


def start(bench):
    """From exec to the first credential of the embedded default; beside it bare hyper's first answer."""
    figures = {"first_ms": [], "again_ms": [], "hyper_bare_ms": [], "cpu_ms": [], "idle_kib": []}
    with realtime():
        for i in range(bench.starts):
            directory = bench.directory(f"start-{i}")
            for key in ("first_ms", "again_ms"):    # without and with the state that the first start makes
                with embedded_default(bench, directory) as server:
                    took, body = first_credential(server)
                    figures[key].append(round(took, 2))
                    figures["cpu_ms"].append(round(cpu_seconds(server.pid) * 1e3, 2))
                    if i == 0:
                        figures["idle_kib"].append(settled_memory_kib(server.pid)[0])
            with hyper_bare(bench, body) as server:
                server.listening()
                ask(server.address, "GET", "/")
                figures["hyper_bare_ms"].append(round((time.perf_counter() - server.begun) * 1e3, 2))
    bench.say({key: statistics.median(times) for key, times in figures.items()})
    return figures


def restart(bench):
    """From SIGTERM, and from exec, to the answer of who waits at a passed socket for a session that was held before."""
    figures = {}
    for count in (1_000, 10_000):
        for kind, held_by in (("callers", HeldByCallers), ("roles", HeldByRoles)):
            bench.sts.reset()
            with passed_socket():
                figures[f"{kind}_{count}"] = restarts(bench, f"restart-{kind}-{count}", held_by(count))
            bench.say(kind, count, {key: statistics.median(each) for key, each in figures[f"{kind}_{count}"].items()})
    return figures


class HeldByCallers:
    """One role, of which each of so many callers holds a session of its own."""

    def __init__(self, count):
        self.roles, self.when, self.users = ["app"], '"anyone"', range(20_000, 20_000 + count)

    def fetch(self):
        fetch_as_many(self.users)

    def one(self, number):
        return self.users[number * 37 % len(self.users)], "app"


class HeldByRoles:
    """So many roles in the configuration, of which one caller holds a session each."""

    def __init__(self, count):
        self.roles, self.when = [f"role-{n:0>5}" for n in range(count)], THE_CALLER

    def fetch(self):
        as_caller(fetch_roles, self.roles)

    def one(self, number):
        return CALLER_UID, self.roles[number * 37 % len(self.roles)]


def restarts(bench, label, held_by):
    """Ends the daemon and starts it again with all that is held, and has one caller wait for it each time."""
    figures = {"first_ms": [], "whole_ms": [], "cpu_ms": []}

    def started():
        return Rolecall(bench, label, held_by.roles, when=held_by.when, limits=CROWDED + "sessions = 30000\n", passed=True)

    daemon = started()
    try:
        daemon.listening()
        held_by.fetch()
        calls = bench.sts.control()["calls"]
        for number in range(bench.starts):
            uid, role = held_by.one(number)
            question = [ROLE_PATH + role, [(TOKEN_FIELD, as_user(uid, imds_token, ROLECALL))]]
            before = as_user(uid, ask, ROLECALL, "GET", *question)
            begun = time.perf_counter()
            daemon.stop()
            with as_user(uid, socket.create_connection, ROLECALL, 20) as waiting:
                waiting.sendall(request("GET", *question))
                daemon = started()
                after = read_answer(waiting)
            now = time.perf_counter()
            if before != after or b"AccessKeyId" not in after[1]:
                raise RuntimeError(f"another session than before: {before!r} {after!r}")
            figures["first_ms"].append(round((now - daemon.begun) * 1e3, 2))
            figures["whole_ms"].append(round((now - begun) * 1e3, 2))
            figures["cpu_ms"].append(round(cpu_seconds(daemon.pid) * 1e3, 2))
        if bench.sts.control()["calls"] != calls:
            raise RuntimeError("sessions were lost: some were obtained again")
    finally:
        daemon.stop()
    return figures


def as_user(uid, function, *arguments):
    """Does this with sockets that belong to a user."""
    os.seteuid(uid)
    try:
        return function(*arguments)
    finally:
        os.seteuid(0)


def size(bench):
    """The binary, as built and stripped."""
    stripped = bench.directory("size") / "rolecall"
    subprocess.run(["strip", "-o", str(stripped), bench.rolecall], check=True)
    return {"bytes": os.path.getsize(bench.rolecall), "stripped_bytes": os.path.getsize(stripped)}


def grants(bench):
    """What a decision costs with a thousand grants."""
    return {"runs": [in_process(bench, "grants") for _ in range(min(bench.rounds, 9))]}


def in_process(bench, name, *arguments):
    """What one run of that benchmark of cargo's prints."""
    with open(bench.directory(name) / "figures", "w+") as figures:
        process, _ = spawn(SERVER_CPU, [bench.in_process[name], *map(str, arguments)], stdout=figures)
        if process.wait():
            raise RuntimeError(f"the bench {name} ended with {process.returncode}")
        figures.seek(0)
        found = json.load(figures)
    bench.say(found)
    return found


PHASES = {"requests": requests, "stall": stall, "fan-in": fan_in, "memory": memory, "start": start, "restart": restart,
          "size": size, "grants": grants}
