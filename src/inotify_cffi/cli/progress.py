"""How far a long start has come, on a terminal."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_PATIENCE = 0.5  # seconds, before the first word
_PAUSE = 0.1


class Progress:
    """Says how many directories were found so far, not too often.

    Parameters:
        write: writes to the terminal.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._next = time.monotonic() + _PATIENCE
        self._found = 0
        self._shown = False

    def go_on(self) -> None:
        """Count a directory, and say how many there are if that is due."""
        self._found += 1
        now = time.monotonic()
        if now >= self._next:
            self._write(f"\r{self._found} directories found so far")
            self._shown = True
            self._next = now + _PAUSE

    def end(self) -> None:
        """Make the line empty for what is said next."""
        if self._shown:
            self._write("\r\x1b[K")
