"""Tries to listen at addresses, in each way that a socket may be had there; prints how that ends."""

import errno
import socket
import sys

WAYS = [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)]


def outcome(host: str, port: int, options: tuple[int, ...]) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as own:
        for option in options:
            own.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            own.bind((host, port))
            own.listen()
        except OSError as error:
            return errno.errorcode[error.errno]
        return "taken"


places = [address.rpartition(":") for address in sys.argv[1:]]
print(*sorted({outcome(host.strip("[]"), int(port), way) for host, _, port in places for way in WAYS}))
