"""A service that lets nobody in without a valid signature and remembers which access key made each one:
a small S3, its objects in memory (enough for `ls`, `init` and a mount of the usual tools), and the STS
call GetCallerIdentity, whose UserId is the access key id."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import signature
from scripted_sts import Server

DATE = "Fri, 01 Jan 2021 00:00:00 GMT"


class Witness:
    """The server; `secrets` is asked for the keys that may sign."""

    def __init__(self, secrets, listen=("127.0.0.1", 0)):
        self._server = Server(listen, _Handler)
        self._server.witness = self
        self.secrets = secrets
        self.objects = {}
        self.signed = []  # access key ids, in the order of their requests
        self.signers = {}  # bucket to the access key ids that signed for it
        self.refused = []  # error codes of requests that were turned away
        self.url = "http://%s:%d" % self._server.server_address
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._serve()

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET

    def _serve(self):
        witness = self.server.witness
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            key = signature.signer(self.command, self.path, self.headers, body, witness.secrets())
        except signature.Refused as refused:
            witness.refused.append(str(refused))
            return self._error(403, "AccessDenied")
        witness.signed.append(key)
        if b"Action=GetCallerIdentity" in body:
            return self._identity(key)
        path = unquote(urlsplit(self.path).path).lstrip("/")
        bucket, _, name = path.partition("/")
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        witness.signers.setdefault(bucket, set()).add(key)
        if not bucket:
            return self._xml("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>")
        if not name:
            return self._bucket(bucket, query)
        return self._object(f"{bucket}/{name}", body)

    def _identity(self, key):
        self._xml(
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<GetCallerIdentityResult><UserId>{key}</UserId><Account>123456789012</Account>"
            "<Arn>arn:aws:sts::123456789012:assumed-role/role/session</Arn></GetCallerIdentityResult>"
            "</GetCallerIdentityResponse>"
        )

    def _bucket(self, bucket, query):
        if self.command != "GET" or "location" in query:
            return self._xml("<LocationConstraint/>")
        prefix = query.get("prefix", [""])[0]
        names = [path.partition("/")[2] for path in self.server.witness.objects]
        contents = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.server.witness.objects[f'{bucket}/{name}'])}"
            "</Size><LastModified>2021-01-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for name in sorted(names) if name.startswith(prefix)
        )
        return self._xml(
            f"<ListBucketResult><Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        )

    def _object(self, path, body):
        objects = self.server.witness.objects
        if self.command == "PUT":
            objects[path] = body
            return self._send(200, b"", etag=body)
        if self.command == "DELETE":
            objects.pop(path, None)
            return self._send(204, b"")
        if path not in objects:
            return self._error(404, "NoSuchKey")
        return self._send(200, objects[path], "application/octet-stream", etag=objects[path])

    def _xml(self, text):
        self._send(200, b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode(), "application/xml")

    def _error(self, status, code):
        text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self._send(status, text.encode(), "application/xml")

    def _send(self, status, body, content_type="text/plain", etag=None):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", DATE)
        if etag is not None:
            self.send_header("ETag", f'"{hashlib.md5(etag).hexdigest()}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
