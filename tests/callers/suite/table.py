"""The table in docs/callers.md: kind of caller by what must hold of it, with nothing that changes between runs."""

HEAD = """# Callers

Each kind of caller against the running daemon, on one booted machine, at one address, with unmodified SDKs. This page is
written by `tests/callers/run`: do not edit it.

The machine is Debian 12 with systemd, docker, podman, nspawn and containerd; the daemon and `rolecall-runtime` run there
under the packaged units with their sandbox. Every caller has a neighbour of the same kind that no grant is for.

* *gets its role*: these SDKs found credentials by their default chains, and all of them were issued upstream for this
  caller's role, secret and token unchanged.
* *cannot get another's*: every other role in this table, asked for by name, was refused, and the neighbour got nothing.
* *explain names the reason*: `rolecall explain` names the role, the grant and this key, and of the neighbour
  that it fails there.
* *audit has the evidence*: every hand-out of the role is in the trail with this caller and evidence, and with the access
  key id and role session name that upstream knows.
"""
PRETENDERS = """## Pretenders

Each of these asked on the same machine with an SDK, and without one for every role by name. What a user can choose is no
proof, and what is gone is no proof either.
"""

CIRCUMSTANCES = """## Circumstances
"""

VERSION_1 = """## Hosts with control groups of version 1

The kernel tells of a connection which control group of the unified hierarchy (cgroup2) it comes from, and of no other. So it
depends on the host what can be told; `rolecall doctor` says which it is (`look-up`), and the texts that were tested are in
`src/caller/tests/legacy.rs`.

| the host | who runs where | what that means |
| --- | --- | --- |
| unified hierarchy alone | told | all of the table above |
| hybrid: version 1 beside the unified hierarchy, as systemd has it | told by the unified hierarchy | whom version 1 has in a container is not taken for a program of the host: over a unix socket by its own process; over TCP where users can start programs (sessions, units of users, groups that were handed on), as long as one is there. Of runtimes that make groups of version 1 only (runc before 1.1) those that are services of their own are known, and their containers are nobody, on a bridge too; one that a system unit starts itself is not told from that unit |
| version 1 alone, or systemd in version 1 and the unified hierarchy mounted for a network plugin | not told | grants to units, slices and containers match nobody, and grants to users only those with `container = "any"`. Containers on a bridge are not known either, because nothing confirms what a runtime tells. Tokens and people's names count as ever |
"""


def text(kinds, columns, pretenders, circumstances, words):
    """The whole page; `words` maps (kind, column) and the titles of the others to the words of their cells."""
    lines = [HEAD, _line(["caller", "grant", *columns]), _line("---" for _ in range(len(columns) + 2))]
    for kind in kinds:
        cells = [words.get((kind.title, column), "FAILED") for column in columns]
        lines.append(_line([kind.title, f"`{kind.when}`", *cells]))
    lines += ["", PRETENDERS, *_rows("who pretends", "gets", pretenders, words)]
    lines += ["", CIRCUMSTANCES, *_rows("who", "has", circumstances, words)]
    return "\n".join([*lines, "", VERSION_1])


def _rows(who, what, rows, words):
    return [_line([who, what]), _line(["---", "---"]), *(_line([row.title, words.get(row.title, "FAILED")]) for row in rows)]


def _line(cells):
    return "| " + " | ".join(cells) + " |"
