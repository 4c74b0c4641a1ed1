"""The matrix: every client by every row, each cell against a daemon of its own."""

import sys

from matrix.places import UPSTREAMS

sys.path.insert(0, str(UPSTREAMS))
