"""The waypoints: the directories and links that ways lead through, with their watches.

Each is watched for itself only: MOVE_SELF and DELETE_SELF, and ATTRIB for a link, whose
last name may go while another hard link keeps it. So nothing that happens to its
neighbours wakes a reader. If a way depends on a name that has no waypoint, the
directory is watched for names as well, as long as a way awaits one.

Waypoints are shared: 20,000 roots in one directory take its watch once.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Container, Sequence
from enum import Enum

from . import _disk
from ._model import join
from ._steps import DIRECTORY, DIRECTORY_ROOT, ONLYDIR, Changed, Steps, WayWatches
from ._way import DoubtfulWays, Way, Waypoint


class Watched(Enum):
    """Since when a directory is watched for a name."""

    BEFORE = "before this call"
    NOW = "since this call"
    REFUSED = "not at all: it may not be read, or the limit of watches is met"


class Waypoints(Steps):
    """All waypoints of one watcher, and the ways that have to be resolved anew.

    Parameters:
        watches: adds and removes the watches.
    """

    def __init__(self, watches: WayWatches) -> None:
        super().__init__(watches)
        self.top = Waypoint(None, "", "/")  # never moves: watched for names only
        self._by_wd: dict[int, list[Waypoint]] = {}
        self.doubtful = DoubtfulWays()
        self._wide: set[Waypoint] = set()  # watched for names, perhaps in vain

    @property
    def watches(self) -> Container[int]:
        """The watches of the waypoints, kept up to date."""
        return self._by_wd

    def of_watch(self, wd: int) -> Sequence[Waypoint]:
        """Return the waypoints that have a watch."""
        return self._by_wd.get(wd, ())

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what has to be resolved, narrowed and let go, kept up to date."""
        return self.doubtful, self._wide, self._loose

    # ---- watching ---------------------------------------------------------------

    def lead(self, names: Sequence[str]) -> None:
        """Make the waypoints of a path, as far as it leads through directories.

        One call into C watches them, while nothing is known of the path. `step` makes
        those that are missing after that.
        """
        at = self.top
        whole = "/" + "/".join(names)
        if at.children or ".." in names or len(whole) > _disk.SURELY_SHORT:
            return
        path = ""
        wds = self._reach_all(whole)
        for name, wd in zip(names, wds):
            path = f"{path}/{name}"
            step = Waypoint(at, name, path)
            step.wd, step.mask = wd, DIRECTORY
            at.children[name] = step
            self._by_wd.setdefault(wd, []).append(step)
            at = step
        if names and len(wds) == len(names):
            at.mask = DIRECTORY_ROOT

    def step(
        self,
        at: Waypoint,
        name: str,
        unwatched: Waypoint | None = None,
        *,
        is_last: bool,
    ) -> Waypoint | None:
        """Return the waypoint of a name, with its watch; None if it is a file.

        Parameters:
            at: the waypoint above.
            name: the name.
            unwatched: its waypoint, which had no watch before.
            is_last: whether it is the last name of its path.

        Raises:
            Changed: the path led elsewhere meanwhile.
            OSError: as lstat(2).
        """
        known = at.children.get(name)
        if known is not None:
            return known
        step = unwatched or Waypoint(at, name, join(at.path, name))
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
                self._failures[:] = [error]
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

    def clear(self) -> None:
        """Forget all waypoints. Their watches end with the instance."""
        self.doubtful.clear()
        self._by_wd.clear()
        self._wide.clear()
        stack = [self.top]
        while stack:
            waypoint = stack.pop()
            stack.extend(waypoint.children.values())
            waypoint.isolate()

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
        loose = list(self._loose)
        self._loose.clear()
        for wd in loose:
            if wd not in self._by_wd:
                self._watches.let_go(wd)
