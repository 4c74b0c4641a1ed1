"""Stands in one caller and runs there what the suite tells it.

    agent.py SOCKET

Each connection to the socket brings one line of JSON, {"command", "environment", "input", "seconds"}, and gets
one back, {"status", "output", "errors"}; a command that took longer than `seconds` has no status."""

import json
import os
import signal
import socketserver
import subprocess
import sys


class Order(socketserver.StreamRequestHandler):
    def handle(self):
        order = json.loads(self.rfile.readline())
        process = subprocess.Popen(
            order["command"], env=order["environment"], cwd="/tmp", text=True, errors="replace",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        status = None
        try:
            output, errors = process.communicate(order["input"], timeout=order["seconds"])
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
        answer = {"status": status, "output": output, "errors": errors}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Agent(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


if __name__ == "__main__":
    # Its parent may be the init of a container, which must not be kept waiting at the end.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Agent(sys.argv[1], Order).serve_forever()
