"""A real Keystone (Identity v3, SQLite, fernet) that is told the story, on loopback.

    real_keystone.py          prints what it answered
    real_keystone.py FILE     writes it there: `keystone.json` is recorded so

Runs in the environment of `openstack.txt`.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import story

CONFIGURATION = """
[DEFAULT]
log_file = {place}/keystone.log
[database]
connection = sqlite:///{place}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {place}/fernet
[fernet_receipts]
key_repository = {place}/fernet
[credential]
key_repository = {place}/credential
"""


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def made(place):
    """A fresh Keystone's files, with its administrator."""
    configuration = place / "keystone.conf"
    configuration.write_text(CONFIGURATION.format(place=place))
    for keys in ("fernet", "credential"):
        (place / keys).mkdir(mode=0o700)
        for number in "01":
            key = place / keys / number
            key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
            key.chmod(0o600)
    manage = [Path(sys.executable).with_name("keystone-manage"), "--config-file", configuration]
    subprocess.run([*manage, "db_sync"], check=True)
    url = "http://127.0.0.1/v3"
    subprocess.run(
        [*manage, "bootstrap", "--bootstrap-username", story.ADMIN, "--bootstrap-password", story.PASSWORD,
         "--bootstrap-project-name", story.PROJECT, "--bootstrap-region-id", "RegionOne", "--bootstrap-public-url", url,
         "--bootstrap-internal-url", url, "--bootstrap-admin-url", url],
        check=True,
    )
    return configuration


def answers():
    with tempfile.TemporaryDirectory(prefix="rolecall-keystone-") as directory:
        configuration = made(Path(directory))
        os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(configuration)
        os.environ["OS_KEYSTONE_CONFIG_DIR"] = directory
        sys.argv = ["keystone"]
        from keystone.server.wsgi import initialize_public_application

        with make_server("127.0.0.1", 0, initialize_public_application(), Server, Quiet) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            told = story.tell(story.Identity(f"http://127.0.0.1:{server.server_port}"))
            server.shutdown()
            return told


def main(files):
    told = json.dumps(answers(), indent=1) + "\n"
    for file in files:
        Path(file).write_text(told)
    if not files:
        print(told, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
