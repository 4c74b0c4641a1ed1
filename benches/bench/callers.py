"""Many callers in one process: connections that each have a queue of requests, on one epoll. A request counts from its first
byte to the last byte of its answer."""
import base64
import os
import select
import socket
import time
from collections import deque
from heapq import heappop, heappush

AGENT = "Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux lang/python"


def request(method, path, fields=(), host="127.0.0.1"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"User-Agent: {AGENT}", *(f"{n}: {v}" for n, v in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(address, *question):
    """One request on a connection of its own: (status, body)."""
    with socket.create_connection(address, 10) as connection:
        connection.sendall(request(*question))
        return read_answer(connection)


def read_answer(connection):
    data = b""
    while (answer := parse(data)) is None:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError(f"closed after {data[:100]!r}")
        data += more
    return answer[:2]


def parse(data):
    """(status, body, what follows) or None while the answer is not whole."""
    end = whole(data)
    if end is None or len(data) < end:
        return None
    head, _, rest = data[:end].partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), rest, data[end:]


def whole(data):
    """How long the answer is that begins so, or None while its head is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = 0
    for line in data[:end].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return end + 4 + length


def imds_token(address):
    status, body = ask(address, "PUT", "/latest/api/token", [("X-aws-ec2-metadata-token-ttl-seconds", "21600")])
    if status != 200:
        raise RuntimeError(f"no token: {status} {body!r}")
    return body.decode()


def basic(name):
    """What somebody shows whose password is `password`."""
    return "Basic " + base64.b64encode(f"{name}:password".encode()).decode()


def keep_proving(stop, address, path, users, each, names, pause):
    """Many people ask again and again, `each` at once over connections of each of these users; every request shows the next
    name, about `pause` seconds after the answer before. Until `stop` ends. When each answer came, and its status."""
    poll, asking, out = select.epoll(), {}, []
    poll.register(stop, select.EPOLLHUP)
    for uid in users:
        os.seteuid(uid)                             # a socket belongs to who opens it
        for _ in range(each):
            connection = socket.create_connection(address, 20)
            asking[connection.fileno()] = [connection, bytearray(), None]
        os.seteuid(0)
    due = [(0, number) for number in asking]        # when each asks next
    while True:
        while due and due[0][0] <= time.monotonic():
            number = heappop(due)[1]
            asking[number][0].sendall(request("GET", path, [("Authorization", basic(next(names)))]))
            poll.register(number, select.EPOLLIN)
        for number, _ in poll.poll(max(0, due[0][0] - time.monotonic()) if due else 1):
            if number == stop:
                return out
            connection, data, end = asking[number]
            more = connection.recv(2**20)
            if not more:
                raise ConnectionError(f"closed after {data[:100]!r}")
            data += more
            end = asking[number][2] = end or whole(data)
            if end is not None and len(data) >= end:
                now = time.monotonic()
                out.append((now, int(data[9:12])))
                asking[number][1:] = bytearray(), None
                poll.unregister(number)
                # Not all at the same moment again.
                heappush(due, (now + pause * (0.5 + number % 97 / 97), number))


class Crowd:
    """Connects everyone first; `run` then lets all of them ask. `users`: the uids as which they connect, by a process that
    may be any of them."""

    def __init__(self, address, count, users=None):
        self.connections = []
        for i in range(count):
            if users:
                os.seteuid(users[i])                # a socket belongs to who opens it
            connection = socket.create_connection(address, 20)
            if users:
                os.seteuid(0)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(connection)

    def run(self, queues, limit, leave=frozenset()):
        """`queues[i]`: the requests of connection i, one after another. Those in `leave` ask before all others, and close once
        the others have asked. Returns for every answer (connection, status, seconds, whether it holds an access key)."""
        poll, waiting, out = select.epoll(), {}, []
        for i in leave:
            self.connections[i].send(queues[i][0])
        if leave:
            time.sleep(0.1)                         # until the server has taken them in
        for i, connection in enumerate(self.connections):
            if i in leave:
                continue
            queue = deque(queues[i])
            connection.send(queue.popleft())
            waiting[connection.fileno()] = [i, connection, queue, b"", time.perf_counter()]
            poll.register(connection, select.EPOLLIN)
        for i in leave:
            self.connections[i].close()
        end = time.perf_counter() + limit
        while waiting and time.perf_counter() < end:
            for number, _ in poll.poll(1):
                state = waiting[number]
                i, connection, queue, data, begun = state
                try:
                    more = connection.recv(65536)
                except ConnectionError:
                    more = b""
                answer = parse(data + more)
                if answer is None and more:
                    state[3] = data + more
                    continue
                now = time.perf_counter()
                status, body = answer[:2] if answer else (0, b"")
                out.append((i, status, now - begun, b'"AccessKeyId"' in body))
                if answer and queue:
                    connection.send(queue.popleft())
                    state[3], state[4] = answer[2], now
                else:
                    poll.unregister(connection)
                    del waiting[number]
        out += [(state[0], 0, limit, False) for state in waiting.values()]
        for connection in self.connections:
            connection.close()
        return out
