"""Asks for metadata from a source port of the caller's choice, and leaves the port to whoever wants it next.

    reuse.py PORT [TOKEN]

Without TOKEN it gets one. Prints one line of JSON: {"token": TOKEN, "status": STATUS, "text": TEXT} of the role list."""

import json
import socket
import struct
import sys

METADATA = ("169.254.169.254", 80)


def ask(port, method, path, header):
    """One request on a connection from this port, which is reset at the end: no TIME_WAIT keeps the port."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.settimeout(10)
        connection.bind(("", port))
        connection.connect(METADATA)
        connection.sendall(
            f"{method} /latest/{path} HTTP/1.1\r\nHost: {METADATA[0]}\r\n{header}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


port = int(sys.argv[1])
token = sys.argv[2] if len(sys.argv) > 2 else ask(port, "PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60")[1]
status, text = ask(port, "GET", "meta-data/iam/security-credentials/", f"X-aws-ec2-metadata-token: {token}")
print(json.dumps({"token": token, "status": status, "text": text}))
