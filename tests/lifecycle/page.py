"""docs/lifecycle.md, without what changes between runs."""

from machine import LEAST_REQUESTS

HEAD = f"""# A package's life, under load

Clients ask for credentials without a pause while packages are installed, upgraded and removed, and while the daemon is
reloaded and restarted, and the host booted. This page is written by `tests/lifecycle/run`: do not edit it. The same command prints how
many requests there were, and the longest that one waited.

Eight clients, each with a user and a role of its own, ask the metadata address: with one connection for each request by
IPv4 and by IPv6, with connections that are kept, and with the fetcher of AWS's SDK for Python, unmodified. Upstream is
a scripted STS. Each step is done under {LEAST_REQUESTS} requests or more, and the clients ask before, during and after it.

* *failed*: requests without an answer, or with a wrong one; and connections that were refused, or closed after a request was
  sent and before a byte came back. Nothing is tried again, by the SDK neither. A kept connection that was closed between two
  requests is opened again.
* Where nothing is installed for a while, connections are refused, and that is no failure.
* Where the daemon is killed (`kill -9`), nobody can answer those whom it was serving. They are counted apart, try again once, as
  SDKs do, and must be served then; the SDK for Python is told to make two attempts (`AWS_METADATA_SERVICE_NUM_ATTEMPTS=2`).
* *lost*: sessions that another one took the place of, long before they ended.
"""


def text(lives, steps):
    lines = [HEAD]
    for life in lives:
        lines += [f"## {life.title}", "", "| step | failed | lost |", "|---|---|---|"]
        lines += [f"| {step.name} | {step.failed} | {step.lost} |" for step in steps[life.name].values()]
        lines.append("")
    return "\n".join(lines)
