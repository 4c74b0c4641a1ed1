"""The worker's side of the run: cells come in as JSON lines, results go out as JSON lines. It already
stands in its own network namespace, so everything that a cell starts is in there with it."""

import json
import os
import re
import sys
import traceback

from daemon_process import Broken

from matrix.cell import Cell, Failed
from matrix.clients import CLIENTS
from matrix.rows import ROWS

TAIL_BYTES = 1500


def work(directory):
    """Runs cells until standard input ends."""
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the cells print is no result
    clients = {client.name: client for client in CLIENTS}
    rows = {row.name: row for row in ROWS}
    for line in iter(sys.stdin.readline, ""):
        client, row = json.loads(line)
        result = run_cell(clients[client], rows[row], directory)
        results.write(json.dumps(result) + "\n")
    return 0


def run_cell(client, row, directory):
    place = directory / re.sub(r"[^a-z0-9]+", "-", f"{client.name} {row.name}".lower())
    place.mkdir()
    cell = None
    try:
        cell = Cell(client, place)
        words = row.run(cell)
        cell.daemon.stop()
        return {"words": words}
    except (Failed, Broken) as failure:
        return {"failure": f"{failure}{tail(place)}"}
    except Exception:
        return {"failure": traceback.format_exc() + tail(place)}
    finally:
        if cell is not None:
            cell.close()


def tail(place):
    """The last words of the client and of the daemon, for a failed cell."""
    said = ""
    for file in [place / "client.err", *sorted(place.glob("daemon-*"))]:
        if file.exists() and file.stat().st_size:
            text = file.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
            said += f"\n  {file.name}:\n" + "\n".join("    " + line for line in text.splitlines())
    return said
