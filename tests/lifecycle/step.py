"""One step of a life: what was done, and what the clients saw of it."""

import dataclasses

from machine import LEAST_REQUESTS


@dataclasses.dataclass
class Step:
    """`reports` is what each client tells, `before` the key of each when it began. Where nothing may listen for a while,
    because nothing is installed then, clients are refused or cut off; `is_absent` says so. Who is served by a daemon that
    `is_killed` is cut off."""

    name: str
    reports: list
    before: dict
    is_absent: bool = False
    is_killed: bool = False
    starts_anew: bool = False  # there is nothing from before
    findings: list = dataclasses.field(default_factory=list)

    @property
    def sent(self):
        return sum(report["sent"] for report in self.reports)

    @property
    def failed(self):
        """Requests that got no answer, or a wrong one; and those that were refused or cut off, where nothing is to be."""
        refused = 0 if self.is_absent else sum(report["refused"] for report in self.reports)
        cut = 0 if self.is_absent or self.is_killed else self.cut
        return sum(report["failures"] for report in self.reports) + refused + cut

    @property
    def cut(self):
        """Requests that were sent and got no byte back."""
        return sum(report["cut"] for report in self.reports)

    @property
    def lost(self):
        """Sessions that another one took the place of, long before they ended."""
        if self.starts_anew:
            return 0
        held = [[self.before[report["uid"]], *report["keys"]] for report in self.reports if report["uid"] in self.before]
        return sum(len(set(keys)) - 1 for keys in held)

    def after(self):
        """The key that each was given last."""
        return {report["uid"]: report["keys"][-1] for report in self.reports if report["keys"]}

    def told(self):
        longest = max(report["longest"] for report in self.reports)
        cut = f", {self.cut} cut off and sent again" if self.is_killed else ""
        return f"{self.name}: {self.sent} requests, {self.failed} failed{cut}, {self.lost} sessions lost; longest {longest:.2f} s"

    def wrong(self):
        """Why this step does not pass."""
        why = [line for report in self.reports for line in report["failed"]] + self.findings
        if self.failed:
            why.append(f"{self.failed} requests failed")
        if self.lost:
            why.append(f"{self.lost} sessions were lost")
        if self.sent < LEAST_REQUESTS and not self.is_absent:
            why.append(f"only {self.sent} requests were sent")
        return "".join(f"\n       {line}" for line in why)
