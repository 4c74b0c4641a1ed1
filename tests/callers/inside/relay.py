"""Leads the metadata address of a container's own network to a socket that was mounted into it, for SDKs that know no
unix sockets.

    relay.py ADDRESS:PORT SOCKET

Goes to the background once it listens."""

import os
import socket
import sys
import threading


def carry(source, target):
    """Until the source ends; then the target is told so."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


address, path = sys.argv[1:]
host, _, port = address.rpartition(":")
listening = socket.create_server((host, int(port)))
if os.fork():
    sys.exit()
os.setsid()
for descriptor in range(3):
    os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
while True:
    client, _ = listening.accept()
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    for pair in ((client, server), (server, client)):
        threading.Thread(target=carry, args=pair, daemon=True).start()
