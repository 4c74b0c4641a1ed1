"""A stand-in for STS: answers AssumeRole as AWS does, in XML, and believes every signature.

    sts.py ADDRESS:PORT

`GET /_control?delay=S&lifetime=S&token=BYTES&reset=1` sets how long each AssumeRole takes, how long its sessions live
(0: as long as asked for) and how large a session token is; `reset` clears the counters. The answer is the counters as they
were, as JSON: calls, calls by role ARN, calls that are waiting now, and the most that ever waited at once.

Written on asyncio's bare protocol, so that ten thousand calls cost a second and not a minute.
"""
import asyncio
import json
import sys
import time
from collections import Counter
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+"


class Sts:
    def __init__(self):
        self.delay, self.lifetime, self.token = 0.0, 0, 400
        self.by_role, self.waiting, self.most_waiting = Counter(), 0, 0
        self.serial = 0

    def control(self, query):
        seen = {"calls": self.by_role.total(), "by_role": dict(self.by_role),
                "waiting": self.waiting, "most_waiting": self.most_waiting}
        self.delay = float(query.get("delay", [self.delay])[0])
        self.lifetime = int(query.get("lifetime", [self.lifetime])[0])
        self.token = int(query.get("token", [self.token])[0])
        if "reset" in query:
            self.by_role.clear()
            self.most_waiting = self.waiting
        return seen

    def assume_role(self, form):
        self.serial += 1
        arn, session = form["RoleArn"][0], form["RoleSessionName"][0]
        account, role = arn.split(":")[4], arn.rsplit("/", 1)[1]
        lifetime = self.lifetime or int(form.get("DurationSeconds", ["3600"])[0])
        # no two sessions share a byte of their secrets' tails, as no two of AWS's do
        secret = f"{self.serial:0>40}"
        token = (ALPHABET * (self.token // len(ALPHABET) + 1))[:self.token - 10] + f"{self.serial:0>10}"
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + lifetime))
        return (f'<AssumeRoleResponse xmlns="{NAMESPACE}"><AssumeRoleResult><AssumedRoleUser>'
                f"<AssumedRoleId>AROAEXAMPLEEXAMPLEEXA:{session}</AssumedRoleId>"
                f"<Arn>arn:aws:sts::{account}:assumed-role/{role}/{session}</Arn></AssumedRoleUser>"
                f"<Credentials><AccessKeyId>ASIA{self.serial:0>16}</AccessKeyId>"
                f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>"
                f"<Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult>"
                "<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>"
                "</AssumeRoleResponse>")


class Connection(asyncio.Protocol):
    def __init__(self, sts):
        self.sts, self.buffer, self.transport, self.timer = sts, b"", None, None

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, _):
        if self.timer:                              # the caller lost patience
            self.timer.cancel()
            self.sts.waiting -= 1

    def data_received(self, data):
        self.buffer += data
        while self.timer is None:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            length = int(fields.get("content-length", "0"))
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.request(lines[0].split(" ")[1], rest[:length].decode())

    def request(self, target, body):
        url = urlsplit(target)
        if url.path == "/_control":
            self.answer(200, "application/json", json.dumps(self.sts.control(parse_qs(url.query))))
            return
        form = parse_qs(body)
        if form.get("Action") != ["AssumeRole"]:
            self.answer(400, "text/xml", f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type>'
                        "<Code>InvalidAction</Code><Message>only AssumeRole is known here</Message></Error></ErrorResponse>")
            return
        self.sts.by_role[form["RoleArn"][0]] += 1
        self.sts.waiting += 1
        self.sts.most_waiting = max(self.sts.most_waiting, self.sts.waiting)
        self.timer = asyncio.get_running_loop().call_later(self.sts.delay, self.assumed, form)

    def assumed(self, form):
        self.timer = None
        self.sts.waiting -= 1
        self.answer(200, "text/xml", self.sts.assume_role(form))
        self.data_received(b"")                     # what came in meanwhile

    def answer(self, status, kind, body):
        self.transport.write(f"HTTP/1.1 {status} .\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: {kind}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n{body}".encode())


async def main(address):
    host, _, port = address.rpartition(":")
    sts = Sts()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sts), host, int(port), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
