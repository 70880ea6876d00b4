"""The extent: how many directories one batch has, and how long it may take."""

from __future__ import annotations

from typing import NamedTuple

# Directories in one batch. The more, the fewer crossings into C and reads of the
# queue; but the longer the window, the more scans a rename makes invalid. So there are
# few in the first one, and more as long as nothing is in the way.
_FEWEST = 16
_MOST = 1024
# Where each directory queues up to eight events that say it was listed, these must not
# fill the queue.
_MOST_SEEN = 64
# As most have directories in them, which C goes on with, fewer are given.
_MOST_GIVEN = 256
# How long one call into C may take, in milliseconds: an event loop is held for that
# long, and as long again for what is made in Python of what was found.
_SILENT_TIME = 8.0
_REPORT_TIME = 3.0


class Reach(NamedTuple):
    """How far one call goes."""

    directories: int
    milliseconds: float
    descend: bool


class Extent:
    """How many directories are scanned at once.

    Parameters:
        see_scans: whether a scan queues events of its own.
    """

    def __init__(self, *, see_scans: bool) -> None:
        self._directories = _FEWEST
        self._most = _MOST_SEEN if see_scans else _MOST

    @property
    def given(self) -> int:
        """How many directories to give to one call."""
        return min(self._directories, _MOST_GIVEN)

    def reach(self, *, silent: bool, descend: bool) -> Reach:
        """Return how far that call may go."""
        time = _SILENT_TIME if silent else _REPORT_TIME
        return Reach(self._directories, time, descend)

    def grow(self) -> None:
        """Nothing was in the way of the last batch."""
        self._directories = min(2 * self._directories, self._most)

    def shrink(self) -> bool:
        """Begin with few; return whether there were more."""
        were_more = self._directories > _FEWEST
        self._directories = _FEWEST
        return were_more
