"""Timeouts."""

from __future__ import annotations

import time

_LONGEST = 2_000_000  # seconds: poll(2) takes milliseconds in an int


class Countdown:
    """A timeout.

    Parameters:
        seconds: how long it takes; None: for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = None if seconds is None else min(seconds, _LONGEST)
        self.restart()

    def restart(self) -> None:
        """Start it again."""
        if self._seconds is not None:
            self._end = time.monotonic() + self._seconds

    def seconds_left(self) -> float | None:
        """Return the remaining time; 0 after its end."""
        if self._seconds is None:
            return None
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it is over."""
        return self.seconds_left() == 0.0
