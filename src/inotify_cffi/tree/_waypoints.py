"""The waypoints: the directories and links that ways lead through, with their watches.

Each is watched for itself only: MOVE_SELF and DELETE_SELF, and ATTRIB for a link, whose
last name may go while another hard link keeps it. So nothing that happens to its
neighbours wakes a reader. If a way depends on a name that has no waypoint, the
directory is watched for names as well, as long as a way awaits one.

Waypoints are shared: 20,000 roots in one directory take its watch once.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container, Sequence
from enum import Enum
from typing import Protocol

from ..events import flags
from . import _disk
from ._masks import ATTRIB, DELETE_SELF, DONT_FOLLOW, MOVE_SELF
from ._model import join
from ._way import DoubtfulWays, Way, Waypoint

ONLYDIR = int(flags.ONLYDIR | flags.DONT_FOLLOW)
SELF = MOVE_SELF | DELETE_SELF
# A root may lose its rights before its scan: then no other watch than that of the way
# reports that it can be read again.
ROOT = SELF | ATTRIB
_DIRECTORY = ONLYDIR | SELF
_DIRECTORY_ROOT = ONLYDIR | ROOT
_LINK = DONT_FOLLOW | SELF | ATTRIB


class WayWatches(Protocol):
    """Adds and removes the watches: an instance has one watch for an inode."""

    def hold(self, path: str, mask: int) -> int:
        """Add a watch, or add to one; return its descriptor.

        Raises:
            OSError: as inotify_add_watch(2).
        """

    def let_go(self, wd: int) -> None:
        """No way needs this watch any more."""


class Watched(Enum):
    """Since when a directory is watched for a name."""

    BEFORE = "before this call"
    NOW = "since this call"
    REFUSED = "not at all: it may not be read, or the limit of watches is met"


class Changed(Exception):
    """The path has changed while it was resolved."""


class Waypoints:
    """All waypoints of one watcher, and the ways that have to be resolved anew.

    Parameters:
        watches: adds and removes the watches.
    """

    def __init__(self, watches: WayWatches) -> None:
        self._watches = watches
        self.top = Waypoint(None, "", "/")  # never moves: watched for names only
        self._by_wd: dict[int, list[Waypoint]] = {}
        self.doubtful = DoubtfulWays()
        self._loose: set[int] = set()  # watches that may be no waypoint's any more
        self._wide: set[Waypoint] = set()  # watched for names, perhaps in vain
        self._failure: OSError | None = None

    @property
    def watches(self) -> Container[int]:
        """The watches of the waypoints, kept up to date."""
        return self._by_wd

    @property
    def limit_reached(self) -> bool:
        """Whether the limit of watches was met, and the error was not taken yet."""
        return self._failure is not None

    def take_failure(self) -> OSError | None:
        """Take the error of the limit of watches, if it was met."""
        failure, self._failure = self._failure, None
        return failure

    def of_watch(self, wd: int) -> Sequence[Waypoint]:
        """Return the waypoints that have a watch."""
        return self._by_wd.get(wd, ())

    def has_rest(self) -> bool:
        """Return whether something has to be resolved, narrowed or let go."""
        return bool(self.doubtful or self._wide or self._loose)

    # ---- watching ---------------------------------------------------------------

    def step(self, at: Waypoint, name: str, *, is_last: bool) -> Waypoint | None:
        """Return the waypoint of a name, with its watch; None if it is a file.

        Raises:
            Changed: the path led elsewhere meanwhile.
            OSError: as lstat(2).
        """
        known = at.children.get(name)
        if known is not None:
            return known
        step = Waypoint(at, name, join(at.path, name))
        path = step.path
        if len(path) <= _disk.SURELY_SHORT:
            is_waypoint = self._reach(step, path, is_last=is_last)
        else:
            with _disk.reachable(path) as short:
                is_waypoint = self._reach(step, short, is_last=is_last)
        if not is_waypoint:
            return None
        if step.wd:
            at.children[name] = step
            self._by_wd.setdefault(step.wd, []).append(step)
        return step

    def _reach(self, step: Waypoint, path: str, *, is_last: bool) -> bool:
        """Watch a step, and verify its path; return False if it is a file."""
        how = _DIRECTORY_ROOT if is_last else _DIRECTORY
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
                self._failure = error
            elif error.errno != errno.EACCES:
                raise Changed from None

    def _watch_again(self, path: str, how: int) -> int:
        try:
            wd = self._watches.hold(path, how)
        except OSError:
            return 0
        self._loose.add(wd)
        return wd

    def add_file(self, at: Waypoint, name: str, how: int) -> Waypoint | None:
        """Watch a file itself; return None if it may not be read.

        Raises:
            Changed: another one has its name now.
        """
        step = Waypoint(at, name, join(at.path, name))
        with _disk.reachable(step.path) as path:
            self._watch(step, path, how)
            if not step.wd:
                return None
            if self._watch_again(path, how) != step.wd:
                self._loose.add(step.wd)
                raise Changed
        self._by_wd.setdefault(step.wd, []).append(step)
        return step

    def leads_to(self, path: str, wd: int) -> bool:
        """Return whether a path leads to the directory that has this watch.

        Raises:
            OSError: as inotify_add_watch(2).
        """
        return self._watches.hold(path, ONLYDIR | SELF) == wd

    def lose_watch(self, wd: int) -> None:
        """Follow the end of a watch that the kernel has removed."""
        self._loose.discard(wd)

    def await_name(self, way: Way, at: Waypoint, name: str, mask: int) -> Watched:
        """Watch a directory for a name on which a way depends.

        Raises:
            Changed: the path leads to another directory by now.
        """
        at.awaited.setdefault(name, set()).add(way)
        way.awaits.append((at, name))
        return self.widen(at, mask)

    def widen(self, at: Waypoint, mask: int) -> Watched:
        """Watch a waypoint for more."""
        if at.mask & mask == mask:
            return Watched.BEFORE
        try:
            with _disk.reachable(at.path) as path:
                wd = self._watches.hold(path, ONLYDIR | mask)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._failure = error
            elif error.errno != errno.EACCES:
                self.distrust_below(at)
                raise Changed from None
            return Watched.REFUSED
        if at is self.top and not at.wd:
            at.wd = wd
            self._by_wd.setdefault(wd, []).append(at)
        if wd != at.wd:
            self._loose.add(wd)
            self.distrust_below(at)
            raise Changed
        at.mask |= mask
        return Watched.NOW

    # ---- leaving --------------------------------------------------------------

    def lead_through(self, way: Way, steps: set[Waypoint]) -> None:
        """Make a way lead through exactly these steps."""
        for step in way.steps - steps:
            step.ways.discard(way)
            if not step.ways:
                self._distrust(step)
        for step in steps:
            step.ways.add(way)
        if not steps:
            self.stop_awaiting(way)
        way.steps = steps

    def stop_awaiting(self, way: Way) -> None:
        """Make a way depend on no names any more."""
        for waypoint, name in way.awaits:
            ways = waypoint.awaited.get(name)
            if ways is not None:
                ways.discard(way)
                if not ways:
                    del waypoint.awaited[name]
                    self._wide.add(waypoint)
        way.awaits.clear()

    def distrust_below(self, top: Waypoint) -> None:
        """Have everything at a waypoint and below it resolved again."""
        stack = [top]
        while stack:
            waypoint = stack.pop()
            stack.extend(waypoint.children.values())
            self.doubtful.add(waypoint.ways)
            self._distrust(waypoint)

    def _distrust(self, waypoint: Waypoint) -> None:
        if waypoint.parent is None:
            return
        if waypoint.parent.children.get(waypoint.name) is waypoint:
            del waypoint.parent.children[waypoint.name]
        waypoints = self._by_wd.get(waypoint.wd, [])
        if waypoint in waypoints:
            waypoints.remove(waypoint)
            if not waypoints:
                del self._by_wd[waypoint.wd]
            self._loose.add(waypoint.wd)

    def narrow(self) -> None:
        """Stop watching directories for names if no way waits for one any more.

        Only adding to a mask loses no event; so the watch is created anew,
        and the ways through it are verified.
        """
        for waypoint in self._wide:
            if waypoint.awaited or self._by_wd.get(waypoint.wd) != [waypoint]:
                continue
            wd = waypoint.wd
            self.distrust_below(waypoint)
            if waypoint is self.top:
                del self._by_wd[wd]
                waypoint.wd = waypoint.mask = 0
            self._loose.discard(wd)
            self._watches.let_go(wd)
        self._wide.clear()

    def tidy(self) -> None:
        """Release the watches that no waypoint has."""
        loose, self._loose = self._loose, set()
        for wd in loose:
            if wd not in self._by_wd:
                self._watches.let_go(wd)
