"""Where things are, on this side and in the machine."""

from matrix.places import CACHE as _CACHE
from matrix.places import PROGRAMS as _PROGRAMS

from suite import CHECKOUT

CACHE = str(_CACHE)  # the same in the machine
PROGRAMS = str(_PROGRAMS)
TABLE = CHECKOUT / "docs" / "callers.md"

# In the machine.
TOOLS = "/opt/callers"
AGENT = f"{TOOLS}/agent.py"
SOCKETS = "/run/callers"

# Reached from every container, whatever its network.
WITNESS_ADDRESS = "10.99.0.1"
POD_IDENTITY_ADDRESS = "169.254.170.23"
