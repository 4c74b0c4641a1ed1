"""The section of docs/conformance.md on services of others: what is found at each, and what the page says of it."""

import os
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
BEGIN = "\n## Other people's services\n"
HEAD = BEGIN + """
Written by `tests/peers/run`, which runs the suite against releases of other projects, unchanged and as they come from their
registry. They stand in for EC2 in tests and guard no role: that something is found says what a program would meet that takes one
for the real service, no more. Findings were compared with the projects' own source; not with that of the web frameworks below
them, which decide some of it. *latency* and *fan-in* are left out, because the machine has a part in them.

By hand in the same way, because its build needs a newer Go than Debian 12 has: amazon-ec2-metadata-mock 1.13.0 with `--imdsv2`
passes 27 of 38. Faults: *forwarded-for*, *foreign host*, *browsers*, *methods*, *odd targets* (another host's absolute target is
answered), *slash forms* (a redirection), *dated versions*, *session life* (its set of 2020 has expired), *hop limit*; remarks:
*token life told*, *proxies*. Without `--imdsv2` besides: *token checked*, *token needed*, *token ends*.
"""
OF_THE_MACHINE = ("latency", "fan-in")


def text(service, checks):
    """What the page says of a service with these findings."""
    told = [check for check in checks if check["check"] not in OF_THE_MACHINE]
    passed = sum(check["verdict"] == "passed" for check in told)
    rows = [f"| {check['check']} | {check['verdict']} | {check['what']} |" for check in told if check["verdict"] != "passed"]
    table = "\n".join(["| check | verdict | what is told |", "|---|---|---|", *rows])
    return f"\n### {service}\n\n{passed} of {len(told)} checks pass.\n\n{table}\n"


def said(service):
    """What the page says of it now."""
    _, _, section = PAGE.read_text().partition(BEGIN)
    _, begin, rest = section.partition(f"\n### {service}\n")
    return begin + rest.partition("\n### ")[0].rstrip("\n") + "\n" if begin else ""


def is_written():
    return os.environ.get("PEERS") == "write"


def write(service, now):
    """Puts what is found in the place of what the page says, or at its end."""
    page = PAGE.read_text()
    if BEGIN not in page:
        page += HEAD
    before = said(service)
    page = page.replace(before, now) if before else page + now
    PAGE.write_text(page)
