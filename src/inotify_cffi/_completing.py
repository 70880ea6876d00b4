"""Which files are complete: no process has them open for writing.

A lease shows it, and is tried again at each event of the file. For most files that is
CLOSE_WRITE. But the kernel queues CLOSE_WRITE before it decrements the count of writers
(`__fput` in fs/file_table.c). And some closings have no event: those of a file that was
opened by a name outside the trees, or without a name (O_TMPFILE). So unless a file has
one name, and an event showed that it was written to by that name, the lease is also
tried again after a while.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Callable

from . import _leases
from .events import flags

if TYPE_CHECKING:
    from ._names import Names
    from ._nodes import File
    from .tree import TreeEvent

_MODIFY = int(flags.MODIFY)
_CLOSE_WRITE = int(flags.CLOSE_WRITE)

_FIRST_DELAY = 0.01  # seconds
_LONGEST_DELAY = 2.0
# How long a file must have no event, if no lease can be had.
_QUIET = 1.0
_ROUNDS = 3


class _Wait:
    """Why a file is held back, and until when."""

    __slots__ = ("delay", "due")

    def __init__(self, delay: float | None) -> None:
        self.delay = delay
        self.due = None if delay is None else time.monotonic() + delay

    def is_over(self) -> bool:
        return self.due is not None and self.due <= time.monotonic()


class Completion:
    """The files that are not reported, because they are not complete."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._held: dict[File, _Wait] = {}

    def seconds_left(self) -> float | None:
        """Return when files have to be checked without an event; None: never."""
        dues = [wait.due for wait in self._held.values() if wait.due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def ask(
        self, take: Callable[[list[TreeEvent]], None]
    ) -> Generator[float, list[TreeEvent], frozenset[File]]:
        """Return the files to hold back. All others are complete.

        All events of their writing have been taken then: the queue is read again after
        the lease, and a file with an event in that read is checked again.
        """
        complete: set[File] = set()
        for _ in range(_ROUNDS):
            held, self._held = self._held, {}
            for file, path in self._names.unreported_files():
                if file.last or file not in complete:
                    wait = self._ask(file, path, held.get(file))
                    if wait is None:
                        complete.add(file)
                    else:
                        complete.discard(file)
                        self._held[file] = wait
            events = yield 0
            if not events:
                break
            take(events)
        for file, _ in self._names.unreported_files():
            if file.last or file not in complete:
                self._held.setdefault(file, _Wait(_FIRST_DELAY))
        return frozenset(self._held)

    def _ask(self, file: File, path: str, before: _Wait | None) -> _Wait | None:
        """Return the reason to hold a file back; None: it is complete."""
        last, file.last = file.last, 0
        is_due = before is not None and before.due is not None
        if before is not None and not last and not before.is_over():
            return before
        state = _leases.state(path)
        if state == _leases.COMPLETE:
            return None
        if state == _leases.GONE:
            return _Wait(None)  # the event of that is queued
        if state == _leases.UNKNOWN:
            if last & _CLOSE_WRITE or (is_due and not last):
                return None
            return _Wait(None if last & _MODIFY else _QUIET)
        if last & _MODIFY and _has_one_name(path):
            return _Wait(None)
        if before is None or before.delay is None or last:
            return _Wait(_FIRST_DELAY)
        return _Wait(min(2 * before.delay, _LONGEST_DELAY))


def _has_one_name(path: str) -> bool:
    try:
        return os.lstat(path).st_nlink == 1
    except OSError:
        return True
