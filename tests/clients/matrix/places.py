"""Where things are: the checkout, the cache between runs, and the built daemon."""

import os
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent.parent
CHECKOUT = CLIENTS.parent.parent
UPSTREAMS = CLIENTS.parent / "upstreams"
CACHE = Path(
    os.environ.get("ROLECALL_TEST_CACHE")
    or os.path.join(os.environ.get("ROLECALL_CACHE", "/var/cache/rolecall"), "tests")
)
PROGRAMS = CACHE / "programs"
TABLE = CHECKOUT / "docs" / "clients.md"

