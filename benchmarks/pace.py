"""How long to measure."""

from __future__ import annotations

import sys
from dataclasses import dataclass

_COMPILES = sys.implementation.name == "pypy"


@dataclass(frozen=True)
class Pace:
    processes: int
    """How many processes measure a question, one after another."""
    rounds: int
    """How many values each process takes."""
    warmups: int
    """How many rounds before these are thrown away."""
    events: int
    """About how many events make a value; where they cost little, more."""

    def loops(self, batch: int = 1) -> int:
        """Return how many times to read ``batch`` events for one value."""
        return max(1, self.events // batch)


FULL = Pace(processes=2, rounds=12, warmups=3 if _COMPILES else 2, events=3000)
FAST = Pace(processes=1, rounds=5, warmups=2 if _COMPILES else 1, events=1500)


def pace(fast: bool, heavy_rounds: int = 0) -> Pace:
    """Return how long to measure; each value of a heavy question takes seconds."""
    if heavy_rounds:
        return Pace(1, 1 if fast else heavy_rounds, 0 if fast else 1, events=1)
    return FAST if fast else FULL


def calls_until_compiled(batch: int) -> int:
    """Return how often to run a loop before anything is measured.

    PyPy compiles a loop after 1039 passes, and branches of it soon after. Until then
    a read costs it about 10 us more, which matters little to a large batch.
    """
    return 1500 if _COMPILES and batch <= 256 else 0


def waits_until_compiled() -> int:
    """Return how often to wait before anything is measured.

    What is no loop PyPy compiles after 1619 calls, and branches of it soon after.
    """
    return 4000 if _COMPILES else 0
