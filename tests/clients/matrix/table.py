"""The table in docs/clients.md: client by row, with versions and nothing that changes between runs."""

HEAD = """# Clients

Unmodified clients against the running daemon. This page is written by `tests/clients/run`: do not edit it.

A cell passes only if the daemon's audit tells that this client's request was served with the very access
key id that the client has, and the upstream confirms secret and session token; a refusal passes only if
the client failed in its own words and in time, and nothing was handed out. Every cell has a daemon, an
upstream and a network namespace of its own. Clients run without privilege, s3fs as root. `v2` and `v1`
say which IMDS a client speaks; `variable` means that it was pointed at the daemon by
`AWS_EC2_METADATA_SERVICE_ENDPOINT`, `link-local` that it used 169.254.169.254. Renewal and restart move
the client's clock to shortly before its session ends; Go and Java programs wait instead.
"""


def text(clients, rows, versions, outcomes):
    """The whole page; `outcomes` maps (client name, row name) to the words of the cell."""
    titles = ["client", "version", "asks", *(row.title for row in rows)]
    lines = [HEAD, _line(titles), _line("---" for _ in titles)]
    for client in clients:
        cells = [outcomes.get((client.name, row.name), "FAILED") for row in rows]
        lines.append(_line([client.name, versions.get(client.name, "NOT INSTALLED"), _asks(client), *cells]))
    notes = [f"* {client.name}: {client.note}." for client in clients if client.note]
    return "\n".join([*lines, "", *notes, ""])


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _asks(client):
    ways = []
    if client.imds is not None:
        ways.append(f"IMDS{client.imds}, {client.endpoint}")
    if client.container is not None:
        ways.append(f"container, {client.container} URI")
    return "; ".join(ways)
