"""Resolving a path to a root, as the kernel resolves it.

A step is believed as long as its watch reports nothing. It is made in this order: add
the watch, read what is there, add the watch again. When both calls give the same watch
descriptor, the path led there while the watch was in place, so that whatever changes
it later is in the queue. The directories above are checked in the same way.
"""

from __future__ import annotations

import errno
import os
import stat

from . import _disk
from ._masks import (
    ATTRIB,
    CREATE,
    DELETE,
    DONT_FOLLOW,
    MOVED_FROM,
    MOVED_TO,
    STRUCTURAL,
)
from ._model import join
from ._steps import ROOT, SELF, Changed
from ._way import Destination, Kind, Way, Waypoint, names_of
from ._waypoints import Watched, Waypoints

APPEARS = CREATE | MOVED_TO
DISAPPEARS = DELETE | MOVED_FROM

_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
# How often to begin again when the path changes while it is resolved. Each time
# somebody has changed it, so its event is queued and the next call resolves it.
MOST_TRIES = 20


# Directories that may not be read, by the waypoint above and their name.
Unwatched = dict[tuple[Waypoint, str], Waypoint]


class Resolver:
    """Walks ways from their beginning to their destination.

    Parameters:
        waypoints: the waypoints of all ways.
        file_mask: what is watched for in the directory of a root that is a file.
    """

    def __init__(self, waypoints: Waypoints, file_mask: int) -> None:
        self._waypoints = waypoints
        self._file_mask = file_mask | APPEARS | DISAPPEARS

    def resolve(self, way: Way) -> Destination:
        """Return the destination of a way; everything that it depends on is watched."""
        unwatched: Unwatched = {}
        for _ in range(MOST_TRIES):
            steps: set[Waypoint] = {self._waypoints.top}
            self._waypoints.stop_awaiting(way)
            try:
                destination = self._walk(way, steps, unwatched)
            except Changed:
                self._waypoints.lead_through(way, steps)
                continue
            self._waypoints.lead_through(way, steps)
            return destination
        self._waypoints.doubtful.add((way,))
        return Destination(Kind.NOTHING, way.text, 0, "", errno.EAGAIN)

    def _walk(
        self, way: Way, steps: set[Waypoint], unwatched: Unwatched
    ) -> Destination:
        at = self._waypoints.top
        names = names_of(way.text)
        self._waypoints.lead(names)
        names.reverse()
        must_be_directory = way.text.endswith(("/", "/."))
        links = 0
        while names:
            name = names.pop()
            if name == "..":
                at = at.parent or at
                continue
            known = at.children.get(name)
            if known is not None and known.target is None:
                steps.add(known)
                at = known
                continue
            try:
                step = self._step(at, name, unwatched, is_last=not names)
            except OSError as error:
                return self._end(way, at, name, names, error.errno or errno.EIO)
            if step is None:
                if names or must_be_directory:
                    return self._end(way, at, name, names, errno.ENOTDIR)
                return self._end_at_file(way, at, name, steps)
            steps.add(step)
            if step.target is None:
                if not step.wd and names:  # it may not be read
                    self._await_rights(way, step)
                at = step
                continue
            links += 1
            if links > _MOST_LINKS:
                return self._end(way, at, name, names, errno.ELOOP)
            must_be_directory |= step.target.endswith("/")
            names += names_of(step.target)[::-1]
            at = self._waypoints.top if step.target.startswith("/") else at
        return self._end_at_directory(way, at)

    def _step(
        self, at: Waypoint, name: str, unwatched: Unwatched, *, is_last: bool
    ) -> Waypoint | None:
        """Return the waypoint of a name, the same in each try of one call.

        Waypoints that have no watch are not kept, nor what is below them. Each try
        would watch that anew, and so never be the first to find it watched before. But
        each try asks again whether they can be watched: that may have changed before
        the change of their rights was watched for.
        """
        before = unwatched.pop((at, name), None) if unwatched else None
        step = self._waypoints.step(at, name, before, is_last=is_last)
        if step is not None and not step.wd:
            unwatched[at, name] = step
        return step

    def _end_at_file(
        self, way: Way, at: Waypoint, name: str, steps: set[Waypoint]
    ) -> Destination:
        if not at.wd and at.parent is not None:
            return self._end_at_lone_file(at, name, steps)
        watched = self._await(way, at, name, self._file_mask)
        if watched is Watched.REFUSED and at.parent is not None:
            return self._end_at_lone_file(at, name, steps)
        if watched is not Watched.BEFORE:
            with _disk.reachable(at.path) as path:
                try:
                    kind = os.lstat(join(path, name)).st_mode
                except OSError:
                    raise Changed from None
            if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
                raise Changed
        return Destination(Kind.FILE, join(at.path, name), at.wd, name, 0)

    def _end_at_lone_file(
        self, at: Waypoint, name: str, steps: set[Waypoint]
    ) -> Destination:
        """Watch a file itself: its directory may be searched, but not read."""
        how = DONT_FOLLOW | SELF | ATTRIB | self._file_mask
        step = self._waypoints.add_file(at, name, how)
        if step is None:
            path, failure = join(at.path, name), self._refusal()
            return Destination(Kind.NOTHING, path, at.wd, name, failure)
        steps.add(step)
        return Destination(Kind.FILE, step.path, step.wd, "", 0)

    def _refusal(self) -> int:
        """Return the errno of a watch that was refused."""
        return errno.ENOSPC if self._waypoints.limit_reached else errno.EACCES

    def _end(
        self, way: Way, at: Waypoint, name: str, rest: list[str], failure: int
    ) -> Destination:
        """End at a name that is not there, or leads no further."""
        # All events of names, not only those of what appears: a tree may get the same
        # watch, and a file that is created and renamed must not be created only.
        mask = STRUCTURAL | ATTRIB if failure == errno.EACCES else STRUCTURAL
        if self._await(way, at, name, mask) is Watched.NOW:
            raise Changed  # it may lead further since it was asked
        path = "/".join([join(at.path, name), *rest[::-1]])
        return Destination(Kind.NOTHING, path, at.wd, name, failure)

    def _end_at_directory(self, way: Way, at: Waypoint) -> Destination:
        if at.parent is None:
            self._waypoints.widen(at, SELF)
        elif at.wd and self._waypoints.widen(at, ROOT) is Watched.REFUSED:
            self._await_rights(way, at)
        if at.wd or at.parent is None:
            return Destination(Kind.DIRECTORY, at.path, at.wd, "", 0)
        # It may not be read: wait until it may be.
        self._await_rights(way, at)
        above, name = at.parent, at.name
        return Destination(Kind.NOTHING, at.path, above.wd, name, self._refusal())

    def _await(self, way: Way, at: Waypoint, name: str, mask: int) -> Watched:
        """Watch a directory for a name; where that is refused, until it may be read.

        A directory that was watched when it could be read may be unreadable by now:
        then its watch cannot be widened, and says nothing of its rights.
        """
        watched = self._waypoints.await_name(way, at, name, mask)
        if watched is Watched.REFUSED:
            self._await_rights(way, at)
        return watched

    def _await_rights(self, way: Way, at: Waypoint) -> None:
        """Watch above a directory that may not be read, until it may be."""
        if at.parent is None:
            return
        mask = APPEARS | DISAPPEARS | ATTRIB
        if self._await(way, at.parent, at.name, mask) is Watched.NOW:
            raise Changed  # it may be readable since it was refused
