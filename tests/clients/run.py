#!/usr/bin/env python3
"""Runs the matrix and writes docs/clients.md.

    run.py [--client NAME]... [--row NAME]... [--jobs N] [--keep]

Needs root (network namespaces) and $ROLECALL_BIN. With --client or --row only those cells run and the
table is not written. --keep leaves the cells' directories. Ends with `N passed, N failed`."""

import argparse
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import install  # noqa: E402
from matrix import places, table, versions  # noqa: E402
from matrix.clients import CLIENTS  # noqa: E402
from matrix.rows import ROWS  # noqa: E402
from matrix.work import work  # noqa: E402

NETNS = places.UPSTREAMS / "netns.sh"
CELL_SECONDS = 600
QUIET_JOBS = 2
STOP = threading.Event()
WORKERS = set()
# These wait for real time to pass or run into a client's own retries: they begin first.
SLOW = ("minio-go", "object_store", "AWS SDK for Go", "minio-py", "CRT")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--client", action="append", choices=[client.name for client in CLIENTS])
    options.add_argument("--row", action="append", choices=[row.name for row in ROWS])
    options.add_argument("--jobs", type=int, default=6)
    options.add_argument("--keep", action="store_true")
    options.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    os.umask(0o022)
    if chosen.worker:
        return work(Path(chosen.worker))
    clients = [client for client in CLIENTS if not chosen.client or client.name in chosen.client]
    rows = [row for row in ROWS if not chosen.row or row.name in chosen.row]
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, stop)
    failed_parts = install.everything()
    found, missing = installed(clients, failed_parts)
    outcomes, failures = {}, {}
    for client, why in missing.items():
        failures.update({(client, row.name): why for row in rows})
        print(f"FAIL  {client}: not installed: {why}", flush=True)
    there = [client.name for client in clients if client.name in found]
    for timed, jobs in ((False, chosen.jobs), (True, QUIET_JOBS)):
        cells = [(client, row.name) for client in there for row in rows if row.timed == timed]
        cells.sort(key=lambda cell: not cell[0].startswith(SLOW))
        run_cells(cells, min(jobs, len(cells)), chosen.keep, outcomes, failures)
    if STOP.is_set():
        print(f"stopped: {len(outcomes)} cells had passed, {len(failures)} had failed", flush=True)
        return 1
    if not chosen.client and not chosen.row:
        places.TABLE.parent.mkdir(exist_ok=True)
        places.TABLE.write_text(table.text(CLIENTS, ROWS, found, outcomes))
    print(f"{len(outcomes)} passed, {len(failures)} failed", flush=True)
    return 1 if failures or failed_parts else 0


def installed(clients, failed_parts):
    """The version of each client that is there, and why the others are not."""
    found, missing = {}, {}
    for client in clients:
        try:
            if client.parts & failed_parts:
                raise LookupError(f"part {', '.join(sorted(client.parts & failed_parts))} failed")
            found[client.name] = versions.version(client.version)
        except (LookupError, OSError, ValueError, StopIteration, subprocess.SubprocessError) as error:
            missing[client.name] = f"{type(error).__name__}: {error}"
    return found, missing


def run_cells(cells, jobs, keep, outcomes, failures):
    """Hands the cells to workers, each in a network namespace of its own."""
    if not cells:
        return
    waiting = queue.SimpleQueue()
    for cell in cells:
        waiting.put(cell)
    directory = Path(tempfile.mkdtemp(prefix="rolecall-clients-"))
    directory.chmod(0o755)
    workers = [
        threading.Thread(target=run_worker, args=(number, directory, waiting, outcomes, failures))
        for number in range(jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for cell in cells:
        if cell not in outcomes and cell not in failures:
            failures[cell] = "it was not run"
    if keep:
        print(f"kept: {directory}", flush=True)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def run_worker(number, directory, waiting, outcomes, failures):
    """Feeds one worker process until no cell is left; a worker that dies is replaced."""
    name = f"rolecall-clients-{os.getpid()}-{number}"
    subprocess.run([NETNS, "up", name], check=True)
    worker = None
    try:
        while not waiting.empty() and not STOP.is_set():
            try:
                cell = waiting.get_nowait()
            except queue.Empty:
                break
            if worker is None or worker.poll() is not None:
                worker = start_worker(name, directory)
            judge(worker, cell, outcomes, failures)
    finally:
        if worker is not None:
            with contextlib.suppress(OSError):
                worker.stdin.close()
            worker.wait(60)
        # In a session of its own: whoever ends this run's process group must not end the tidying up.
        subprocess.run([NETNS, "down", name], check=False, start_new_session=True)


def start_worker(name, directory):
    worker = subprocess.Popen(
        [NETNS, "exec", name, sys.executable, "-B", __file__, "--worker", directory],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )
    WORKERS.add(worker)
    return worker


def stop(number, _frame):
    """On SIGTERM and SIGINT: the cells that run are ended, and no other is begun."""
    STOP.set()
    for worker in WORKERS:
        worker.kill()


def judge(worker, cell, outcomes, failures):
    """Has one cell run and notes how it ended."""
    client, row = cell
    started = time.monotonic()
    overdue = threading.Timer(CELL_SECONDS, worker.kill)
    overdue.start()
    try:
        worker.stdin.write(json.dumps(cell) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        result = json.loads(line) if line else {"failure": "the worker died or was overdue"}
    except (OSError, ValueError) as error:
        result = {"failure": f"the worker died: {error}"}
    finally:
        overdue.cancel()
    seconds = time.monotonic() - started
    if "words" in result:
        outcomes[cell] = result["words"]
        print(f"ok    {client} / {row}: {result['words']} ({seconds:.1f} s)", flush=True)
    else:
        failures[cell] = result["failure"]
        print(f"FAIL  {client} / {row} ({seconds:.1f} s): {result['failure']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
