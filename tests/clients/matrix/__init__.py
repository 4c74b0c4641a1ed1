"""The matrix: every client by every row, each cell against a daemon of its own."""

import sys

from matrix.places import CLIENTS, UPSTREAMS

sys.path[:0] = [str(UPSTREAMS), str(CLIENTS / "programs")]
