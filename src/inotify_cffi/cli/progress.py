"""The progress of a long start, on a terminal."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_PATIENCE = 0.5  # seconds, before the first word
_PAUSE = 0.1
# Counting asks the kernel about every watch; it may take this part of the time.
_SHARE = 20


class Progress:
    """Shows the number of watched directories so far, not too often.

    Parameters:
        write: writes to the terminal.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._next = time.monotonic() + _PATIENCE
        self._shown = False

    def go_on(self) -> None:
        """Show their number, if that is due."""
        now = time.monotonic()
        if now < self._next:
            return
        self._write(f"\r{_count_watches()} directories watched so far")
        self._shown = True
        spent = time.monotonic() - now
        self._next = now + max(_PAUSE, _SHARE * spent)

    def end(self) -> None:
        """Clear the line for the next message."""
        if self._shown:
            self._write("\r\x1b[K")


def _count_watches() -> int:
    count = 0
    for descriptor in os.listdir("/proc/self/fdinfo"):
        try:
            with open(f"/proc/self/fdinfo/{descriptor}") as fdinfo:
                count += fdinfo.read().count("inotify wd:")
        except OSError:  # the one that listed them
            pass
    return count
