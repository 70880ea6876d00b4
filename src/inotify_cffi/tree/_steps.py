"""The steps of a way: how each is watched, and verified.

A step is believed as long as its watch reports nothing: see `_resolver`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from ..events import flags
from ._masks import ATTRIB, DELETE_SELF, DONT_FOLLOW, MOVE_SELF
from ._way import Waypoint

if TYPE_CHECKING:
    from .._scanning import WatchedWay

ONLYDIR = int(flags.ONLYDIR | flags.DONT_FOLLOW)
SELF = MOVE_SELF | DELETE_SELF
# A root may lose its rights before its scan: then no other watch than that of the way
# reports that it can be read again.
ROOT = SELF | ATTRIB
DIRECTORY = ONLYDIR | SELF
DIRECTORY_ROOT = ONLYDIR | ROOT
_LINK = DONT_FOLLOW | SELF | ATTRIB


class WayWatches(Protocol):
    """Adds and removes the watches: an instance has one watch for an inode."""

    def hold(self, path: str, mask: int) -> int:
        """Add a watch, or add to one; return its descriptor.

        Raises:
            OSError: as inotify_add_watch(2).
        """

    def hold_way(self, path: str, mask: int, last_mask: int) -> WatchedWay:
        """Add watches to the directories that a path leads through.

        It ends early without an error: `hold` raises it.
        """

    def let_go(self, wd: int) -> None:
        """No way needs this watch any more."""


class Changed(Exception):
    """The path has changed while it was resolved."""


class Steps:
    """Watches the steps of ways, and knows which watches may not be needed.

    Parameters:
        watches: adds and removes the watches.
    """

    def __init__(self, watches: WayWatches) -> None:
        self._watches = watches
        self._loose: set[int] = set()  # watches that may be no waypoint's any more
        self._failures: list[OSError] = []  # one at most

    @property
    def limit_reached(self) -> bool:
        """Whether the limit of watches was met, and the error was not taken yet."""
        return bool(self._failures)

    def take_failure(self) -> OSError | None:
        """Take the error of the limit of watches, if it was met."""
        return self._failures.pop() if self._failures else None

    def failures(self) -> Collection[OSError]:
        """Return what `take_failure` has, kept up to date."""
        return self._failures

    def _reach(self, step: Waypoint, path: str, *, is_last: bool) -> bool:
        """Watch a step, and verify its path; return False if it is a file."""
        how = DIRECTORY_ROOT if is_last else DIRECTORY
        # A name with more of the path behind it is a directory, as a rule.
        if not is_last:
            try:  # noqa: SIM105  # suppress() takes as long as the call
                step.wd = self._watches.hold(path, how)
            except OSError:
                pass
        if not step.wd:
            kind = os.lstat(path).st_mode
            if stat.S_ISDIR(kind):
                self._watch(step, path, how)
            elif stat.S_ISLNK(kind):
                how = _LINK
                self._watch(step, path, how)
                self._read_link(step, path)
            else:
                return False
        if step.wd:
            if self._watch_again(path, how) != step.wd:
                self._loose.add(step.wd)
                raise Changed
            step.mask = how
        return True

    def _read_link(self, step: Waypoint, path: str) -> None:
        try:
            step.target = os.readlink(path)
        except OSError:
            self._loose.add(step.wd)
            raise Changed from None

    def _watch(self, step: Waypoint, path: str, how: int) -> None:
        """Add the watch of a step; none if it may not be read."""
        try:
            step.wd = self._watches.hold(path, how)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._failures[:] = [error]
            elif error.errno != errno.EACCES:
                raise Changed from None

    def _watch_again(self, path: str, how: int) -> int:
        try:
            wd = self._watches.hold(path, how)
        except OSError:
            return 0
        self._loose.add(wd)
        return wd

    def _reach_all(self, path: str) -> list[int]:
        """Watch the directories that a path leads through, by one call into C.

        Returns:
            Their watches, the topmost first: of those that were verified, before the
            first one that was not.
        """
        found = self._watches.hold_way(path, DIRECTORY, DIRECTORY_ROOT)
        self._loose.update(found.others)
        return found.verified

    def leads_to(self, path: str, wd: int) -> bool:
        """Return whether a path leads to the directory that has this watch.

        Raises:
            OSError: as inotify_add_watch(2).
        """
        return self._watches.hold(path, ONLYDIR | SELF) == wd

    def lose_watch(self, wd: int) -> None:
        """Follow the end of a watch that the kernel has removed."""
        self._loose.discard(wd)
