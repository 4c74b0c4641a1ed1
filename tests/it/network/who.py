"""Who answers at SDKs' addresses in this network namespace. `who.py serve NAME ADDRESS PORT ...` starts servers that
answer with a name each; `who.py keep ADDRESS` leaves a program behind that keeps a connection; `who.py ask UID ADDRESS` prints who answers that user, or why nobody does."""

# Loaded before the user changes, who may not read the interpreter's files.
import encodings.idna  # noqa: F401
import os
import signal
import socket
import sys


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(servers):
    for name, address, port in zip(*[iter(servers)] * 3):
        server = socket.create_server((address, int(port)), family=family(address))
        if os.fork():
            continue
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        kept = []
        while True:
            connection, _ = server.accept()
            connection.sendall(f"HTTP/1.0 200 OK\r\nServer: {name}\r\n\r\n".encode())
            # It ends when this program does.
            kept.append(connection)


def ask(uid, address):
    os.setuid(int(uid))
    try:
        with socket.create_connection((address, 80), timeout=10) as connection:
            answer = b""
            while not answer.endswith(b"\r\n\r\n") and (part := connection.recv(4096)):
                answer += part
        print(uid, address, answer.decode().split("Server: ")[1].strip())
    except OSError as error:
        print(uid, address, type(error).__name__)


def keep(address):
    connection = socket.create_connection((address, 80), timeout=10)
    connection.recv(4096)
    if os.fork():
        return
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    signal.pause()


if sys.argv[1] == "serve":
    serve(sys.argv[2:])
elif sys.argv[1] == "keep":
    keep(sys.argv[2])
else:
    ask(*sys.argv[2:])
