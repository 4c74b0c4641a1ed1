"""A docker of one container: its id and its process are given.

small_docker.py SOCKET ID PID
"""

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer

PATH, ID, PID = sys.argv[1], sys.argv[2], int(sys.argv[3])
NETWORKS = {"Networks": {"bridge": {"NetworkID": "n1", "IPAddress": "172.17.0.2"}}}
ANSWERS = {
    "/containers/json": [{"Id": ID, "State": "running", "NetworkSettings": NETWORKS}],
    "/networks": [{"Name": "bridge", "Id": "n1", "Driver": "bridge"}],
    f"/containers/{ID}/json": {
        "Id": ID,
        "Name": "/small",
        "State": {"Running": True, "Pid": PID, "StartedAt": "2026-01-01T00:00:00Z"},
        "Config": {"Image": "small:1", "Labels": {}},
        "NetworkSettings": NETWORKS,
    },
}


class Docker(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        events = path == "/events"
        self.send_response(200 if events or path in ANSWERS else 404)
        self.end_headers()
        self.wfile.write(b"" if events else json.dumps(ANSWERS.get(path, {})).encode())
        self.wfile.flush()
        if events:
            # None happen for as long as anybody listens.
            self.rfile.read()

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("", 0)


with Server(PATH, Docker) as server:
    os.chmod(PATH, 0o660)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    server.serve_forever()
