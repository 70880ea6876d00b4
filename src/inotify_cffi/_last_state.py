"""States of the trees: when the names are one, and what has changed since the last."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ._filling import note_inode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._names import Names
    from ._nodes import Directory
    from .tree import TreeEvent

_MOST_READS = 20  # until the queue is empty, where it never is
_CLOCK_REALTIME_COARSE = 5  # of <linux/time.h>: what the kernel stamps files with


class LastState:
    """The time of the last known state of the trees, and their directories then."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._moment = Moment()
        self._inodes: dict[str, int] = {}

    def note(self, moment: Moment, new: Iterable[Directory]) -> None:
        """Make this the last state: a point in time, and the new directories."""
        self._moment = moment
        self._inodes.clear()
        for directory in new:
            if self._names.is_there(directory):
                note_inode(directory, self._names.path(directory))

    def is_unchanged(self, path: str, was_in: Directory) -> bool:
        """Return whether the file at a path, in a directory, is unchanged since then.

        It is unchanged if its directory is the same, and its ctime is older. Writing
        updates the ctime, and so do changes of its attributes, links and renames.
        """
        above, name = os.path.split(path)
        if self._names.is_stale(was_in, name):
            return False
        try:
            if above not in self._inodes:
                self._inodes[above] = os.stat(above).st_ino
            if self._inodes[above] != was_in.inode:
                return False
            return os.lstat(path).st_ctime_ns < self._moment.in_nanoseconds()
        except OSError:
            return False


class Moment:
    """A point in time by the clock of the kernel's timestamps of files."""

    def __init__(self) -> None:
        self._coarse = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
        self._monotonic = time.monotonic_ns()

    def in_nanoseconds(self) -> int:
        """Return it by the present clock, in case that was set back since."""
        passed = time.monotonic_ns() - self._monotonic
        return min(self._coarse, time.time_ns() - passed)


class Reads:
    """Reads of all events, without a wait, until the names are a state of the trees.

    They are one when the queue was empty. Where it never is, one read is enough: it
    returns all events from before it. But if that has an overflow, the scan after that
    may be left to the next read, and nearly all names are missing until then.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._count = 0
        self.begin()

    def begin(self) -> None:
        """Note that a read begins."""
        self._overflows = self._names.overflows
        self.moment = Moment()
        """When the last read began."""

    def are_enough(self, events: Sequence[TreeEvent]) -> bool:
        """Return whether the names are a state, now that a read's events are applied.

        Where each read has an overflow, they never are. Until they are, nothing can be
        said but that everything was deleted, which is not true.
        """
        self._count += 1
        return not events or (
            self._count >= _MOST_READS and self._overflows == self._names.overflows
        )
