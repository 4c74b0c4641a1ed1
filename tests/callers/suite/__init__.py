"""The suite of callers: every kind of caller, each in a real part of a booted machine, against one daemon."""

import sys
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent.parent
CHECKOUT = TESTS.parent
INSIDE = TESTS / "callers" / "inside"
sys.path[:0] = [str(TESTS / "upstreams"), str(TESTS / "clients"), str(TESTS / "clients" / "programs")]


class Failed(Exception):
    """Why a check does not pass, in words for whoever reads the run."""


def until(seconds, found):
    """Asks again until `found` gives something, which is returned; None if it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > deadline:
            return None
        threading.Event().wait(0.02)
