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


def text(kinds, columns, pretenders, circumstances, words):
    """The whole page; `words` maps (kind, column) and the titles of the others to the words of their cells."""
    lines = [HEAD, _line(["caller", "grant", *columns]), _line("---" for _ in range(len(columns) + 2))]
    for kind in kinds:
        cells = [words.get((kind.title, column), "FAILED") for column in columns]
        lines.append(_line([kind.title, f"`{kind.when}`", *cells]))
    lines += ["", PRETENDERS, *_rows("who pretends", "gets", pretenders, words)]
    lines += ["", CIRCUMSTANCES, *_rows("who", "has", circumstances, words)]
    return "\n".join([*lines, ""])


def _rows(who, what, rows, words):
    return [_line([who, what]), _line(["---", "---"]), *(_line([row.title, words.get(row.title, "FAILED")]) for row in rows)]


def _line(cells):
    return "| " + " | ".join(cells) + " |"
