"""How far a long start has come, on a terminal."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_PATIENCE = 0.5  # seconds, before the first word
_PAUSE = 0.1
# Counting asks the kernel about every watch; it may take this part of the time.
_SHARE = 20


class Progress:
    """Says how many directories are watched so far, not too often.

    Parameters:
        descriptor: that of the watcher.
        write: writes to the terminal.
    """

    def __init__(self, descriptor: int, write: Callable[[str], object]) -> None:
        self._fdinfo = f"/proc/self/fdinfo/{descriptor}"
        self._write = write
        self._next = time.monotonic() + _PATIENCE
        self._shown = False

    def go_on(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        with open(self._fdinfo) as fdinfo:
            watched = fdinfo.read().count("inotify wd:")
        self._write(f"\r{watched} directories watched so far")
        self._shown = True
        spent = time.monotonic() - now
        self._next = now + max(_PAUSE, _SHARE * spent)

    def end(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")
