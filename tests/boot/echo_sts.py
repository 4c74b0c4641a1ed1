"""An STS that answers GetCallerIdentity with the access key id the request was signed with, so that the AWS CLI prints
whose key it found. Writes its port to the file named on the command line, then tells systemd that it is ready."""

import http.server
import os
import re
import socket
import sys

ANSWER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::000000000000:assumed-role/demo/test</Arn><UserId>{}</UserId><Account>000000000000</Account>
</GetCallerIdentityResult><ResponseMetadata><RequestId>test</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""


class EchoSts(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signed = re.search(r"Credential=(\w+)/", self.headers.get("Authorization", ""))
        temporary = self.headers.get("X-Amz-Security-Token")
        body = ANSWER.format(signed[1] if signed and temporary else "unsigned").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EchoSts)
with open(sys.argv[1], "w") as port:
    port.write(str(server.server_address[1]))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
