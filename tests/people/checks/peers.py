"""Who may connect from elsewhere: other network namespaces, over TLS."""

import http.client
import os
import ssl
import subprocess

from checks.afp import inside, ip, namespace
from parts import HASH, PASSWORD, Daemon, basic, certificates, write_private

CONFIGURATION = """
[[listener]]
name = "api"
bind = "192.0.2.1:8443"
apis = ["accounts"]
peers = ["192.0.2.2/32"]
{tls}

[people]
users-file = "{directory}/users"
"""
TLS = 'tls = {{ certificate = "{directory}/localhost.pem", key = "file:{directory}/localhost.key" }}'


def asked_from(own, trusted):
    """The status of an answer to this address; None where the connection is closed."""
    raw = http.client.HTTPConnection("192.0.2.1", 8443, timeout=20, source_address=(own, 0))
    try:
        raw.connect()
        raw.sock = trusted.wrap_socket(raw.sock, server_hostname="localhost")
        raw.request("GET", "/account", headers={"Host": "192.0.2.1:8443", "Authorization": basic("oper", PASSWORD)})
        return raw.getresponse().status
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException):
        return None
    finally:
        raw.close()


def check_peers_that_are_named_are_served_and_others_are_closed(directory):
    certificates(directory, "localhost")
    write_private(directory, users=f"oper:{HASH}\n")
    trusted = ssl.create_default_context(cafile=directory / "ca.pem")
    with namespace("rolecall-peers-here") as here, namespace("rolecall-peers-there") as there:
        ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", there, inside=here)
        for name, addresses in ((here, ["192.0.2.1"]), (there, ["192.0.2.2", "192.0.2.3"])):
            for address in addresses:
                ip("address", "add", f"{address}/24", "dev", "veth0", inside=name)
            ip("link", "set", "veth0", "up", inside=name)
        configuration = CONFIGURATION.format(directory=directory, tls=TLS.format(directory=directory))
        with inside(here):
            daemon = Daemon(directory, configuration)
            daemon.__enter__()
        try:
            with inside(there):
                first = asked_from("192.0.2.2", trusted)
                assert first == 200, first
                assert asked_from("192.0.2.3", trusted) is None
                assert asked_from("192.0.2.2", trusted) == 200
        finally:
            daemon.__exit__(None)


def check_passwords_from_elsewhere_without_tls_are_refused(directory):
    write_private(directory, users=f"oper:{HASH}\n")
    file = directory / "plain.toml"
    file.write_text(CONFIGURATION.format(directory=directory, tls=""))
    file.chmod(0o600)
    program = os.environ["ROLECALL_BIN"]
    told = subprocess.run([program, "check", "--config", file], capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 78, told
    assert "listener#1" in told.stderr and "tls" in told.stderr, told.stderr
