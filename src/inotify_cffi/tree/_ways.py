"""The ways to the roots: the destinations of paths, and which events may change them.

A path leads through directories and links. Each of them is watched (`_waypoints`), and
the path is resolved as the kernel resolves it (`_resolver`). An event of one of these
watches makes the ways that lead through it doubtful, and `Ways.settle` resolves them.

The kernel does not report everything: rmdir(2) of a directory that a process still
works in queues no DELETE_SELF before that process leaves it, and nothing else to the
directory itself. Only an empty directory can be removed. So when a root is empty, the
directory above is watched for the removal of its name (`Ways.expect_removal`).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

from ._masks import (
    ATTRIB,
    DELETE,
    DELETE_SELF,
    IGNORED,
    MOVE_SELF,
    UNMOUNT,
)
from ._mounts import is_at_or_below
from ._resolver import APPEARS, DISAPPEARS, MOST_TRIES, Resolver
from ._steps import SELF, Changed, WayWatches
from ._way import Destination, Way, Waypoint
from ._waypoints import Waypoints

_ENDS = SELF | UNMOUNT | IGNORED | ATTRIB


class Ways:
    """All ways of one watcher. Not thread-safe.

    Parameters:
        watches: adds and removes the watches.
        file_mask: what is watched for in the directory of a root that is a file.
    """

    def __init__(self, watches: WayWatches, file_mask: int) -> None:
        self._waypoints = Waypoints(watches)
        self._resolver = Resolver(self._waypoints, file_mask)

    def take_failure(self) -> OSError | None:
        """Take the error of the limit of watches, if it was met."""
        return self._waypoints.take_failure()

    def failures(self) -> Collection[OSError]:
        """Return what `take_failure` has, kept up to date."""
        return self._waypoints.failures()

    # ---- ways -----------------------------------------------------------------

    def follow(self, text: str) -> Way:
        """Return the way to an absolute path, unresolved: `settle` resolves it."""
        way = Way(text)
        self._waypoints.doubtful.add((way,))
        return way

    def forget(self, way: Way) -> None:
        """Stop following a way."""
        self._waypoints.doubtful.discard(way)
        self._waypoints.lead_through(way, set())
        self._waypoints.tidy()

    def close(self) -> None:
        """Free the memory of all ways: they and the waypoints refer to each other."""
        self._waypoints.clear()

    def recheck(self, way: Way) -> None:
        """Have the next `settle` verify the destination of a way."""
        final = self._waypoints.top.find(way.destination.path)
        if final is not None and final is not self._waypoints.top:
            self._waypoints.distrust_below(final)
        self._waypoints.doubtful.add((way,))

    def recheck_all(self) -> None:
        """Have `settle` resolve everything: events are missing."""
        for waypoint in [*self._waypoints.top.children.values()]:
            self._waypoints.distrust_below(waypoint)
        self._waypoints.doubtful.add(self._waypoints.top.ways)

    def recheck_below(self, point: str, *, unmounted: bool = False) -> None:
        """Have `settle` resolve the ways to a mount point, or below it.

        Parameters:
            point: where a mount has come or gone.
            unmounted: whether one has gone.
        """
        reason = UNMOUNT if unmounted else MOVE_SELF
        stack = [self._waypoints.top]
        while stack:
            waypoint = stack.pop()
            if is_at_or_below(waypoint.path, point):
                self._suspect(waypoint.ways, reason)
                self._waypoints.distrust_below(waypoint)
            elif is_at_or_below(point, waypoint.path):
                stack.extend(waypoint.children.values())
        for way in self._waypoints.top.ways:
            if is_at_or_below(way.destination.path, point):
                self._suspect((way,), reason)

    # ---- events ---------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether `settle` has something to do."""
        return bool(self._waypoints.doubtful)

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is empty if `settle` has nothing to do; it is kept up to date."""
        return self._waypoints.unfinished()

    @property
    def watches(self) -> Container[int]:
        """The watches of the waypoints, kept up to date."""
        return self._waypoints.watches

    def follow_event(self, wd: int, mask: int, name: str) -> list[Way]:
        """Note the effect of an event on the ways, for `settle`; return those ways."""
        suspected: list[Way] = []
        for waypoint in [*self._waypoints.of_watch(wd)]:
            if name:
                ways: Iterable[Way] = waypoint.awaited.get(name, ())
                if mask & DISAPPEARS:  # of a file, that is an event like any other
                    ways = [way for way in ways if not way.is_entry(wd, name)]
                elif not mask & (APPEARS | ATTRIB):
                    ways = ()
                self._suspect(ways, DELETE_SELF if mask & DELETE else mask)
                suspected += ways
            elif mask & _ENDS:
                suspected += waypoint.ways
                self._follow_self(waypoint, mask)
        return suspected

    def _follow_self(self, waypoint: Waypoint, mask: int) -> None:
        for way in waypoint.ways:
            final = way.destination.wd == waypoint.wd and not way.destination.name
            if final and mask & ATTRIB:
                mask |= DELETE_SELF  # if it is gone: another was renamed over it
            elif waypoint.target is not None:
                mask = MOVE_SELF  # a link: what it led to need not be gone
            self._suspect((way,), mask)
        self._waypoints.distrust_below(waypoint)
        if mask & IGNORED:
            self._waypoints.lose_watch(waypoint.wd)

    def _suspect(self, ways: Iterable[Way], mask: int) -> None:
        for way in ways:
            way.reason |= mask
            self._waypoints.doubtful.add((way,))

    def awaits_name_in(self, wd: int) -> bool:
        """Return whether a way depends on a name in a directory."""
        for waypoint in self._waypoints.of_watch(wd):  # noqa: SIM110, it is faster
            if waypoint.awaited:
                return True
        return False

    def entries(self, wd: int, name: str) -> list[Way]:
        """Return the ways to a file of this name in this directory.

        The name is ``""`` where the watch is that of the file itself.
        """
        return [
            way
            for waypoint in self._waypoints.of_watch(wd)
            for way in (waypoint.awaited.get(name, ()) if name else waypoint.ways)
            if way.is_entry(wd, name)
        ]

    # ---- resolving ------------------------------------------------------------

    def settle(self) -> list[tuple[Way, Destination]]:
        """Resolve all ways that may have changed.

        Returns:
            Those ways, each with its former destination.
        """
        before: dict[Way, Destination] = {}
        for _ in range(MOST_TRIES):
            for way in self._waypoints.doubtful.take():
                before.setdefault(way, way.destination)
                way.destination = self._resolver.resolve(way)
            self._waypoints.narrow()
            if not self._waypoints.doubtful:
                break
        self._waypoints.tidy()
        return list(before.items())

    def verify(self, way: Way) -> None:
        """Have `settle` resolve a way whose path leads to another directory."""
        try:
            if self._waypoints.leads_to(way.destination.path, way.destination.wd):
                return
        except OSError:
            pass
        way.reason |= DELETE_SELF
        self.recheck(way)

    def expect_removal(self, way: Way) -> None:
        """Notice the removal of a directory that is empty now.

        It can be removed while a process works in it, and then queues nothing itself.
        """
        path, wd = way.destination.path, way.destination.wd
        above, _, name = path.rpartition("/")
        parent = self._waypoints.top.find(above)
        if parent is None or not name or way in parent.awaited.get(name, ()):
            return
        try:
            self._waypoints.await_name(way, parent, name, DELETE)
            if self._waypoints.leads_to(path, wd):
                return
        except (Changed, OSError):
            pass
        way.reason |= DELETE_SELF
        self.recheck(way)
