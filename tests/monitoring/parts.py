"""The daemon with its metrics page, Prometheus' programs, and the files that are checked."""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from daemon_process import DaemonProcess
from server import Server, free_port

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "monitoring" / "rules.yml"
RULES_TESTS = Path(__file__).with_name("rules.test.yml")
DASHBOARD = ROOT / "monitoring" / "dashboard.json"

CONFIGURATION = """
[[listener]]
name = "metadata"
bind = "127.0.0.1:0"
apis = ["imds", "container", "metrics"]
tokenless = true

[account.demo]
id = "123456789012"
region = "eu-central-1"
credentials = { from = "local" }
[account.demo.role.app]

[[grant]]
role = "demo/app"
when = "anyone"
"""


@contextlib.contextmanager
def daemon(directory):
    """The daemon, after some requests; gives its address."""
    process = DaemonProcess(directory)
    try:
        process.start(CONFIGURATION)
        listening = process.await_record(lambda record: record.get("listener") == "metadata")
        address = listening["address"]
        visit(address)
        yield address
        process.stop()
    finally:
        process.kill()


def visit(address):
    """Asks as SDKs do, and as nobody should."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = {"X-aws-ec2-metadata-token": get(address, "/latest/api/token", ttl, "PUT")[1]}
    for path in ("app", "", "no-such-role"):
        get(address, f"/latest/meta-data/iam/security-credentials/{path}", token)
    get(address, "/latest/meta-data/", {})
    get(address, "/creds", {})


def get(address, path, headers=(), method="GET"):
    """Status and text of an answer."""
    request = urllib.request.Request(f"http://{address}{path}", headers=dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def promtool(*arguments, **options):
    """Runs it; gives its exit status and all that it says."""
    command = [f"{os.environ['ROLECALL_PROMETHEUS']}/promtool", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
    return ran.returncode, ran.stdout + ran.stderr


class Prometheus(Server):
    """A Prometheus that scrapes one daemon and has the rules loaded; used as a context."""

    def __init__(self, directory, scraped):
        self.address = f"127.0.0.1:{free_port()}"
        file = directory / "prometheus.yml"
        file.write_text(json.dumps({  # which is YAML
            "global": {"scrape_interval": "100ms", "scrape_timeout": "100ms", "evaluation_interval": "100ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "rolecall", "static_configs": [{"targets": [scraped]}]}],
        }))
        program = f"{os.environ['ROLECALL_PROMETHEUS']}/prometheus"
        super().__init__(
            [program, f"--config.file={file}", f"--storage.tsdb.path={directory}/tsdb",
             f"--web.listen-address={self.address}"],
            self._is_ready, directory / "prometheus.log", env={"PATH": os.environ["PATH"]},
        )

    def _is_ready(self):
        with contextlib.suppress(OSError):
            return get(self.address, "/-/ready")[0] == 200
        return False

    def ask(self, path, **parameters):
        """An answer of its API; the error that it tells is raised."""
        status, text = get(self.address, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        assert status == 200 and answer["status"] == "success", f"{path} {parameters}: {answer}"
        return answer["data"]

    def await_(self, what, wanted, seconds=20):
        """Asks until the answer is `wanted`; gives it."""
        deadline = time.monotonic() + seconds
        while not wanted(answer := what()):
            assert time.monotonic() < deadline, f"Prometheus still says {answer}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        return answer


def alerts():
    """The alerts' names and what they ask, as the file has them."""
    blocks = RULES.read_text().split("- alert: ")[1:]
    return {block.split("\n", 1)[0]: block for block in blocks}


def panels():
    """The panels that ask something."""
    shown = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in shown if panel.get("targets")]


def plain(expression):
    """A panel's question without Grafana's variables."""
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")


def documented_metrics():
    """What docs/telemetry.md tells, which a unit test holds to what is served: names with their labels."""
    rows = re.findall(r"^\| `(rolecall_\w+)(?:\{([\w,]+)\})?`", (ROOT / "docs/telemetry.md").read_text(), re.M)
    return {name: set(filter(None, labels.split(","))) for name, labels in rows}
