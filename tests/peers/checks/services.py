"""The services, each as its own documentation says that it is started."""

import json
import os
import subprocess

import page
from server import Server, answers, free_port

ROLE = "arn:aws:iam::123456789012:role/app"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}


def moto(folder, port):
    command = [os.environ["ROLECALL_MOTO"], "-H", "127.0.0.1", "-p", port]
    return Server(command, lambda: answers(("127.0.0.1", port)), folder / "moto.log")


def assert_as_said(service, port):
    command = [os.environ["ROLECALL_BIN"], "conformance", f"http://127.0.0.1:{port}", "--json"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    assert output.returncode == 1, f"exit code {output.returncode}: {output.stdout}"
    now = page.text(service, json.loads(output.stdout)["checks"])
    if page.is_written():
        page.write(service, now)
    said = page.said(service)
    assert said == now, f"the page says\n{said}\nand this was found\n{now}\nwrite it anew: PEERS=write tests/peers/run"


def check_moto(folder):
    port = free_port()
    with moto(folder, port):
        assert_as_said("moto 5.2.5, `moto_server`", port)


def check_ectou_metadata(folder):
    upstream, port = free_port(), free_port()
    environment = {**os.environ, **KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{upstream}", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [os.environ["ROLECALL_ECTOU"], "--host", "127.0.0.1", "--port", port, "--role-arn", ROLE]
    with moto(folder, upstream), Server(command, lambda: answers(("127.0.0.1", port)), folder / "ectou.log", env=environment):
        assert_as_said("ectou-metadata 1.0.2", port)
