"""Where the measurements run: a network namespace of their own, one core for the measured server and one for what asks it,
and the clocks and counters of both."""
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

SERVER_CPU, CLIENT_CPU = 0, 1
# Who asks: an ordinary user, so that nothing here rests on being root (as which a vanished caller would also read).
CALLER_UID = 4242
INSIDE = "ROLECALL_BENCH_NAMESPACE"
# Each of ten thousand callers is a descriptor of the daemon's, which keeps a quarter of them for those who wait.
FILES = 16_384


def enter_namespace():
    """A network with nothing but loopback: no request can leave the machine, and every port is free. Its congestion control
    is one that every kernel has and that paces nothing. What is mounted is mounted here only."""
    if os.environ.get(INSIDE) != "1":
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.orig_argv[1:]])
    for command in (["ip", "link", "set", "lo", "up"],
                    ["sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 64999", "net.core.somaxconn=16384",
                     "net.ipv4.tcp_max_syn_backlog=16384", "net.ipv4.tcp_congestion_control=reno"]):
        subprocess.run(command, check=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < FILES:
        raise SystemExit(f"benches/run needs a limit of {FILES} open files (ulimit -Hn), not {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {CLIENT_CPU})
    # Whatever else the machine does waits; servers and load generators inherit this alike. Where the kernel weighs sessions
    # before processes, it is our session's weight that counts.
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    if os.getsid(0) == os.getpid():
        weigh_session(os.getpid())


def weigh_session(leader):
    """Gives a session more weight than others have."""
    weight = Path(f"/proc/{leader}/autogroup")
    if weight.exists():
        weight.write_text("-15")


@contextmanager
def realtime():
    """What is started meanwhile runs before all other work, as long as it leaves its core idle at times: for figures of single
    requests, which a busy machine would drown."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def spawn(cpu, argv, **options):
    """Popen on that core. A thread's affinity is inherited, so no code of ours runs between fork and exec."""
    made = []

    def start():
        os.sched_setaffinity(0, {cpu})
        begun = time.perf_counter()
        made.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options))
        made.append(begun)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    process, begun = made
    return process, begun


def as_caller(function, *arguments, uid=CALLER_UID):
    """Runs a function in a child that has become the caller, and hands back what it returns (anything JSON holds)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with os.fdopen(write, "w") as pipe:
                json.dump(function(*arguments), pipe)
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError(f"{function.__name__} failed as the caller")
    return json.loads(answer)


@contextmanager
def beside(function, *arguments):
    """Runs a function in a child with a descriptor that ends when it is to stop; `result()` then is what it returned (anything
    JSON holds)."""
    (stop, stopping), (read, write) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(stopping)
            with os.fdopen(write, "w") as pipe:
                json.dump(function(stop, *arguments), pipe)
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    os.close(stop)
    os.close(write)
    told = []

    def result():
        os.close(stopping)
        with os.fdopen(read) as pipe:
            told.append(pipe.read())
        if os.waitpid(child, 0)[1] != 0:
            raise RuntimeError(f"{function.__name__} failed")
        return json.loads(told[0])

    try:
        yield result
    finally:
        if not told:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(stopping)
            os.close(read)


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid):
    """User and system time of a process and its children, to the nanosecond: the kernel's clock of another process has the
    id made of its complemented pid and CPUCLOCK_SCHED."""
    return sum(time.clock_gettime(~each << 3 | 2) for each in family(pid))


def memory_kib(pid):
    """(all that is resident, the anonymous part of it)"""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1]) for field in ("Rss", "Anonymous"))


def settled_memory_kib(pid, limit=20):
    """The same once it has stood still for a second."""
    end, last, since = time.monotonic() + limit, memory_kib(pid), time.monotonic()
    while time.monotonic() - since < 1 and time.monotonic() < end:
        time.sleep(0.1)
        now = memory_kib(pid)
        if now != last:
            last, since = now, time.monotonic()
    return last


class OtherWork:
    """How much of the two cores went to neither the measurement nor idling: the share of the machine that others had."""

    def __init__(self):
        self.begun = self.look()

    @staticmethod
    def look():
        fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, idle, iowait, irq, softirq, steal = fields
        return user + nice + system + irq + softirq, sum(fields), steal

    def share(self, ours_seconds):
        """Also of time that the hypervisor took; `ours_seconds` is the CPU time of all that we ran."""
        busy, total, steal = (now - then for now, then in zip(self.look(), self.begun))
        ours = ours_seconds * os.sysconf("SC_CLK_TCK")
        return max(0.0, (busy + steal - ours) / max(total, 1))


def ours_so_far():
    """CPU time of this process and of the children that have ended."""
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + children.ru_utime + children.ru_stime


def version_of(*command):
    """The first line that a command prints of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return (done.stdout + done.stderr).strip().split("\n")[0]


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu[1].strip() if cpu else platform.machine(), "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "kernel": platform.release(), "libc": " ".join(platform.libc_ver())}
