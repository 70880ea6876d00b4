"""Whether a file that a scan found is what it was when the queue was empty last."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ._filling import note_inode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._names import Names
    from ._nodes import Directory

_CLOCK_REALTIME_COARSE = 5  # of <linux/time.h>: what the kernel stamps files with


class LastState:
    """When the trees were last known, and which directories they had then."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._moment = Moment()
        self._inodes: dict[str, int] = {}

    def note(self, moment: Moment, new: Iterable[Directory]) -> None:
        """Let this be the last state: of a moment, with some new directories."""
        self._moment = moment
        self._inodes.clear()
        for directory in new:
            if self._names.is_there(directory):
                note_inode(directory, self._names.path(directory))

    def is_unchanged(self, path: str, was_in: Directory) -> bool:
        """Return whether the file at a path is what it was, in a directory, then.

        It is, when its directory is the same, and nothing has changed the time of its
        last change (ctime) since: writing does, and so do changes of its attributes,
        links and renames.
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
    """A point in time, as the kernel stamps files with it."""

    def __init__(self) -> None:
        self._coarse = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
        self._monotonic = time.monotonic_ns()

    def in_nanoseconds(self) -> int:
        """Return it by the clock as it is set now, if that was set back since."""
        passed = time.monotonic_ns() - self._monotonic
        return min(self._coarse, time.time_ns() - passed)
