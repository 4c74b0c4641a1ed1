"""What `systemd-analyze security` says of each unit, and what each point that it finds is needed for: the tables of
docs/sandbox.md. A point without a reason fails, and a reason without a point."""

import json
import re

from machine import TESTS
from suite import Failed

PAGE = TESTS.parent / "docs" / "sandbox.md"
BEGIN, END = "<!-- written by tests/lifecycle/run -->\n", "<!-- until here -->\n"
# No service may be more exposed.
MOST = 1.5

HOST_USERS = "whose a socket, process or file is, is told in the host's user ids; in a user namespace everybody is 65534"
FILES = "the configuration may name files and programs anywhere"
CLOCK = "`ProtectClock=` grants reading the hardware clock, and systemd counts that"
NETLINK = {
    "AmbientCapabilities=": "the one right reaches `{tool}` through it, without root",
    "CapabilityBoundingSet=~CAP_NET_ADMIN": "who changes {what} needs it",
    "PrivateNetwork=": "it changes the host's network",
    "PrivateUsers=": "rights over the host's network count in its own user namespace only",
    "RestrictAddressFamilies=~AF_NETLINK": "`{tool}` asks the kernel by it",
    "RootDirectory=/RootImage=": "`{tool}` and its libraries are the host's",
    "DeviceAllow=": CLOCK,
}


def netlink(tool, what, **more):
    return {point: why.format(tool=tool, what=what) for point, why in NETLINK.items()} | more.pop("points")


REASONS = {
    "rolecall.service": {
        "PrivateNetwork=": "it serves callers, and calls upstreams",
        "RestrictAddressFamilies=~AF_(INET|INET6)": "the same",
        "RestrictAddressFamilies=~AF_UNIX": "the journal, name services, administration",
        "RestrictAddressFamilies=~AF_NETLINK": "sock_diag tells who is at the other end of a TCP connection",
        "IPAddressDeny=": "upstreams' addresses are not known beforehand; for yours add `IPAddressDeny=any` and `IPAddressAllow=`",
        "PrivateUsers=": HOST_USERS,
        "ProtectProc=": "a caller's control group is read from `/proc/PID/cgroup`, whoever's it is",
        "ProcSubset=": "mounts, the boot's id and the host's interfaces are read from `/proc` as well",
        "RootDirectory=/RootImage=": FILES,
        "DeviceAllow=": CLOCK,
    },
    "rolecall-runtime.service": {
        "User=/DynamicUser=": "runtimes' sockets are root's. Root without a capability opens what root owns; "
                              "a user in group docker would be as good as root",
        "RestrictAddressFamilies=~AF_UNIX": "the runtimes' sockets, and its own; it has no network",
        "PrivateUsers=": HOST_USERS,
        "ProtectProc=": "the control group of a container's process is read from `/proc/PID/cgroup`",
        "ProcSubset=": "mounts are read from `/proc` as well",
        "RootDirectory=/RootImage=": "runtimes' sockets may be anywhere",
        "DeviceAllow=": CLOCK,
    },
    "rolecall-addresses.service": netlink("ip", "addresses", points={
        "RestrictAddressFamilies=~AF_(INET|INET6)": "it asks at the addresses whether another service is there",
        "IPAddressDeny=": "the same; nothing else is sent or received",
        "ProcSubset=": "`/proc/sys` tells whether there is IPv6",
    }),
    "rolecall-redirect.service": netlink("nft", "rules", points={
        "RestrictAddressFamilies=~AF_UNIX": "name services tell the numbers of the users that `--except-uid` names",
    }),
}


def measured(machine):
    """Of each service: its exposure, and the points that are left with what each counts."""
    found = {}
    for service in REASONS:
        points = json.loads(machine.run("systemd-analyze", "security", "--no-pager", "--json=short", service))
        told = machine.run("systemd-analyze", "security", "--no-pager", service)
        overall = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        if not overall:
            raise Failed(f"systemd does not tell the exposure of {service}:\n{told}")
        left = {point["name"]: point["exposure"] for point in points if point["exposure"]}
        found[service] = (overall[1], left)
    return found


def unexplained(found):
    """What is wrong with this."""
    wrong = []
    for service, (overall, left) in found.items():
        if float(overall) > MOST:
            wrong.append(f"the exposure of {service} is {overall}, above {MOST}")
        wrong += [f"{service}: nobody says what {point} is needed for" for point in left if point not in REASONS[service]]
        wrong += [f"{service}: {point} is needed for nothing" for point in REASONS[service] if point not in left]
    return wrong


def write(by_system):
    """Puts the tables in their place in the page; `by_system` has what was found, by the names of systems."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    _old, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{tables(by_system)}{END}{after}")


def tables(by_system):
    lines = ["| unit | " + " | ".join(by_system) + " |", "|---|" + "---|" * len(by_system)]
    for service in REASONS:
        lines.append(f"| `{service}` | " + " | ".join(found[service][0] for found in by_system.values()) + " |")
    for service, reasons in REASONS.items():
        lines += ["", f"### {service}", "", "| left open | counts | needed for |", "|---|---|---|"]
        for point, why in reasons.items():
            counts = {found[service][1].get(point, "-") for found in by_system.values()}
            lines.append(f"| `{point.replace('|', chr(92) + '|')}` | {' / '.join(sorted(counts))} | {why} |")
    return "\n".join(lines) + "\n\n"
