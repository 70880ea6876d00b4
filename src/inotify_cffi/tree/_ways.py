"""The way to a root: its path, resolved and watched as the kernel resolves it.

A path leads through directories and links. Each of them is watched for itself only:
MOVE_SELF and DELETE_SELF, and ATTRIB for a link, whose last name may go while another
hard link keeps it. So nothing that happens to its neighbours wakes a reader. Where a
name is missing, the directory that should have it is watched for what comes there.

A step is believed as long as its watch reports nothing. It is made in this order: add
the watch, read what is there, add the watch again. When both calls give the same watch
descriptor, the path led there while the watch was in place, so that whatever changes
it later is in the queue. The directories above are checked in the same way.

Steps are shared: 20,000 roots in one directory take its watch once.

What the kernel does not report of a directory: rmdir(2) of one that a process still
works in queues no DELETE_SELF before that process leaves it, and nothing else to the
directory itself. Only an empty directory can be removed. So when a root is empty, the
directory above is watched for the removal of its name (`Ways.expect_removal`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container, Iterable
from enum import Enum
from typing import NamedTuple, Protocol

from ..events import flags
from . import _disk
from ._mounts import is_at_or_below

_CREATE = int(flags.CREATE)
_MOVED_TO = int(flags.MOVED_TO)
_DELETE = int(flags.DELETE)
_MOVED_FROM = int(flags.MOVED_FROM)
_ATTRIB = int(flags.ATTRIB)
_DELETE_SELF = int(flags.DELETE_SELF)
_MOVE_SELF = int(flags.MOVE_SELF)
_UNMOUNT = int(flags.UNMOUNT)
_IGNORED = int(flags.IGNORED)
_ONLYDIR = int(flags.ONLYDIR | flags.DONT_FOLLOW)
_DONT_FOLLOW = int(flags.DONT_FOLLOW)

_SELF = _MOVE_SELF | _DELETE_SELF
_ENDS = _SELF | _UNMOUNT | _IGNORED | _ATTRIB
_APPEARS = _CREATE | _MOVED_TO
_DISAPPEARS = _DELETE | _MOVED_FROM

_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS
# How often to begin again when the path changes while it is resolved. Each time
# somebody has changed it, so its event is queued and the next call resolves it.
_TRIES = 20


class WayWatches(Protocol):
    """What adds and removes the watches: one instance has one watch for an inode."""

    def hold(self, path: str, mask: int) -> int:
        """Add a watch, or add to one; return its descriptor.

        Raises:
            OSError: as inotify_add_watch(2).
        """

    def let_go(self, wd: int) -> None:
        """No way needs this watch any more."""


class Kind(Enum):
    """What a path leads to."""

    DIRECTORY = "directory"
    FILE = "file"
    NOTHING = "nothing"


class _Watched(Enum):
    """Since when a directory is watched for a name."""

    BEFORE = "before this call"
    NOW = "since this call"
    REFUSED = "not at all: it may not be read, or the limit of watches is met"


class Destination(NamedTuple):
    """Where a path leads."""

    kind: Kind
    path: str
    """The path without links and dots; of what is missing, where it would be."""
    wd: int
    """The watch of the directory; else of the directory that has the name, or should.
    0 where that could not be watched."""
    name: str
    """The name in that directory; ``""`` for a directory."""
    failure: int
    """The errno that says why there is nothing; else 0."""

    def is_same(self, other: Destination) -> bool:
        """Whether both are one object, by the identity of the watched inode."""
        return (self.kind, self.wd, self.name) == (other.kind, other.wd, other.name)


_NOWHERE = Destination(Kind.NOTHING, "", 0, "", 0)


class Waypoint:
    """A directory or a link that ways lead through, with its watch.

    `awaited` has the names in it on which a way depends without a waypoint of theirs.
    """

    __slots__ = (
        "awaited",
        "children",
        "mask",
        "name",
        "parent",
        "path",
        "target",
        "ways",
        "wd",
    )

    def __init__(self, parent: Waypoint | None, name: str, path: str) -> None:
        self.parent = parent
        self.name = name
        self.path = path
        self.wd = 0
        self.mask = 0
        self.target: str | None = None  # what a link says
        self.children: dict[str, Waypoint] = {}
        self.ways: set[Way] = set()
        self.awaited: dict[str, set[Way]] = {}


class Way:
    """The way to one root."""

    __slots__ = ("awaits", "destination", "reason", "steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps: set[Waypoint] = set()
        self.awaits: list[tuple[Waypoint, str]] = []
        self.destination = _NOWHERE
        self.reason = 0  # what was reported since it was last resolved

    def is_entry(self, wd: int, name: str) -> bool:
        """Whether this leads to a file that has this name in this directory."""
        to = self.destination
        return to.kind is Kind.FILE and to.name == name and to.wd == wd

    def end(self) -> int:
        """Return how a root that was here has ended, as DELETE_SELF and the like."""
        for bit in (_UNMOUNT, _DELETE_SELF, _MOVE_SELF):
            if self.reason & bit:
                return bit
        gone = self.destination.kind is Kind.NOTHING
        return _DELETE_SELF if gone else _MOVE_SELF


class _Changed(Exception):
    """The path has changed while it was resolved."""


class Ways:
    """All ways of one watcher. Not thread-safe.

    Parameters:
        watches: adds and removes the watches.
        file_mask: what is watched for in the directory of a root that is a file.
    """

    def __init__(self, watches: WayWatches, file_mask: int) -> None:
        self._watches = watches
        self._file_mask = file_mask | _APPEARS | _DISAPPEARS
        self._top = Waypoint(None, "", "/")  # never moves: watched for names only
        self._by_wd: dict[int, list[Waypoint]] = {}
        self._dirty: dict[Way, None] = {}  # in the order of the events
        self._loose: set[int] = set()  # watches that may be no waypoint's any more
        self._wide: set[Waypoint] = set()  # watched for names, perhaps in vain
        self.failure: OSError | None = None
        """The limit of watches, if it was met since this was last set to None."""

    # ---- ways -----------------------------------------------------------------

    def follow(self, text: str) -> Way:
        """Return the way to an absolute path, unresolved: `settle` resolves it."""
        way = Way(text)
        self._dirty[way] = None
        return way

    def forget(self, way: Way) -> None:
        """Follow a way no longer."""
        self._dirty.pop(way, None)
        self._leave(way, set())
        self._tidy()

    def recheck(self, way: Way) -> None:
        """Let the next `settle` verify what a way leads to."""
        final = self._waypoint(way.destination.path)
        if final is not None and final is not self._top:
            self._distrust_below(final)
        self._dirty[way] = None

    def recheck_all(self) -> None:
        """Let `settle` resolve everything: events are missing."""
        for waypoint in [*self._top.children.values()]:
            self._distrust_below(waypoint)
        self._dirty.update(dict.fromkeys(self._top.ways))

    def recheck_below(self, point: str, *, unmounted: bool = False) -> None:
        """Let `settle` resolve what leads to a mount point or below it.

        Parameters:
            point: where a mount has come or gone.
            unmounted: whether one has gone.
        """
        reason = _UNMOUNT if unmounted else _MOVE_SELF
        stack = [self._top]
        while stack:
            waypoint = stack.pop()
            if is_at_or_below(waypoint.path, point):
                self._suspect(waypoint.ways, reason)
                self._distrust_below(waypoint)
            elif is_at_or_below(point, waypoint.path):
                stack.extend(waypoint.children.values())
        for way in self._top.ways:
            if is_at_or_below(way.destination.path, point):
                self._suspect((way,), reason)

    # ---- events ---------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether `settle` has something to do."""
        return bool(self._dirty)

    @property
    def watches(self) -> Container[int]:
        """The watches of the waypoints, as they are at any time."""
        return self._by_wd

    def follow_event(self, wd: int, mask: int, name: str) -> None:
        """Note what an event says about the ways, for `settle`."""
        for waypoint in self._by_wd.get(wd, ())[:]:
            if name:
                ways: Iterable[Way] = waypoint.awaited.get(name, ())
                if mask & _DISAPPEARS:  # of a file, that is an event like any other
                    ways = [way for way in ways if not way.is_entry(wd, name)]
                elif not mask & (_APPEARS | _ATTRIB):
                    ways = ()
                self._suspect(ways, _DELETE_SELF if mask & _DELETE else mask)
            elif mask & _ENDS:
                self._follow_self(waypoint, mask)

    def _follow_self(self, waypoint: Waypoint, mask: int) -> None:
        for way in waypoint.ways:
            final = way.destination.wd == waypoint.wd and not way.destination.name
            if final and mask & _ATTRIB:
                mask |= _DELETE_SELF  # if it is gone: another was renamed over it
            elif waypoint.target is not None:
                mask = _MOVE_SELF  # a link: what it led to need not be gone
            self._suspect((way,), mask)
        self._distrust_below(waypoint)
        if mask & _IGNORED:
            self._loose.discard(waypoint.wd)

    def _suspect(self, ways: Iterable[Way], mask: int) -> None:
        for way in ways:
            way.reason |= mask
            self._dirty[way] = None

    def entries(self, wd: int, name: str) -> list[Way]:
        """Return the ways to a file of this name in this directory.

        The name is ``""`` where the watch is that of the file itself.
        """
        return [
            way
            for waypoint in self._by_wd.get(wd, ())
            for way in (waypoint.awaited.get(name, ()) if name else waypoint.ways)
            if way.is_entry(wd, name)
        ]

    # ---- resolving ------------------------------------------------------------

    def settle(self) -> list[tuple[Way, Destination]]:
        """Resolve all ways that may have changed.

        Returns:
            Those ways, each with what it led to before.
        """
        before: dict[Way, Destination] = {}
        for _ in range(_TRIES):
            dirty, self._dirty = self._dirty, {}
            for way in dirty:
                before.setdefault(way, way.destination)
                way.destination = self._resolve(way)
            self._narrow()
            if not self._dirty:
                break
        self._tidy()
        return list(before.items())

    def expect_removal(self, way: Way) -> None:
        """Notice the removal of a directory that is empty now.

        It can be removed while a process works in it, and then queues nothing itself.
        """
        path, wd = way.destination.path, way.destination.wd
        parent, name = self._waypoint(os.path.dirname(path)), os.path.basename(path)
        if parent is None or not name or way in parent.awaited.get(name, ()):
            return
        try:
            self._await_name(way, parent, name, _DELETE)
            if self._watches.hold(path, _ONLYDIR | _SELF) == wd:
                return
        except (_Changed, OSError):
            pass
        way.reason |= _DELETE_SELF
        self.recheck(way)

    def _waypoint(self, path: str) -> Waypoint | None:
        found: Waypoint | None = self._top
        for name in _names(path):
            found = found.children.get(name) if found else None
        return found

    def _resolve(self, way: Way) -> Destination:
        for _ in range(_TRIES):
            steps: set[Waypoint] = {self._top}
            self._stop_awaiting(way)
            try:
                destination = self._walk(way, steps)
            except _Changed:
                self._leave(way, steps)
                continue
            self._leave(way, steps)
            return destination
        self._dirty[way] = None
        return Destination(Kind.NOTHING, way.text, 0, "", errno.EAGAIN)

    def _walk(self, way: Way, steps: set[Waypoint]) -> Destination:
        at = self._top
        names = _names(way.text)[::-1]
        must_be_directory = way.text.endswith(("/", "/."))
        links = 0
        while names:
            name = names.pop()
            if name == "..":
                at = at.parent or at
                continue
            try:
                step = self._step(at, name)
            except OSError as error:
                return self._end(way, at, name, names, error.errno or errno.EIO)
            if step is None:
                if names or must_be_directory:
                    return self._end(way, at, name, names, errno.ENOTDIR)
                return self._end_at_file(way, at, name, steps)
            step.ways.add(way)
            steps.add(step)
            if step.target is None:
                self._pass(way, step, is_last=not names)
                at = step
                continue
            links += 1
            if links > _MOST_LINKS:
                return self._end(way, at, name, names, errno.ELOOP)
            must_be_directory |= step.target.endswith("/")
            names += _names(step.target)[::-1]
            at = self._top if step.target.startswith("/") else at
        return self._end_at_directory(way, at)

    def _pass(self, way: Way, step: Waypoint, *, is_last: bool) -> None:
        """Go through a directory; where it may not be read, watch the one above."""
        if not step.wd and not is_last:
            self._await_rights(way, step)

    def _step(self, at: Waypoint, name: str) -> Waypoint | None:
        """Return the waypoint of a name; None when it is a file."""
        known = at.children.get(name)
        if known is not None:
            return known
        step = Waypoint(at, name, _join(at.path, name))
        with _disk.reachable(step.path) as path:
            kind = os.lstat(path).st_mode
            if stat.S_ISLNK(kind):
                how = _DONT_FOLLOW | _SELF | _ATTRIB
            elif stat.S_ISDIR(kind):
                how = _ONLYDIR | _SELF
            else:
                return None
            self._watch(step, path, how)
            if stat.S_ISLNK(kind):
                step.target = _link_target(path)
            if step.wd and self._watch_again(path, how) != step.wd:
                self._loose.add(step.wd)
                raise _Changed
        if step.wd:
            step.mask = how
            at.children[name] = step
            self._by_wd.setdefault(step.wd, []).append(step)
        return step

    def _watch(self, step: Waypoint, path: str, how: int) -> None:
        """Add the watch of a step; without one where it may not be read."""
        try:
            step.wd = self._watches.hold(path, how)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.failure = error
            elif error.errno != errno.EACCES:
                raise _Changed from None

    def _watch_again(self, path: str, how: int) -> int:
        try:
            wd = self._watches.hold(path, how)
        except OSError:
            return 0
        self._loose.add(wd)
        return wd

    def _end_at_file(
        self, way: Way, at: Waypoint, name: str, steps: set[Waypoint]
    ) -> Destination:
        if not at.wd and at.parent is not None:
            return self._end_at_lone_file(at, name, steps)
        watched = self._await(way, at, name, self._file_mask)
        if watched is _Watched.REFUSED and at.parent is not None:
            return self._end_at_lone_file(at, name, steps)
        if watched is not _Watched.BEFORE:
            with _disk.reachable(at.path) as path:
                try:
                    kind = os.lstat(_join(path, name)).st_mode
                except OSError:
                    raise _Changed from None
            if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
                raise _Changed
        return Destination(Kind.FILE, _join(at.path, name), at.wd, name, 0)

    def _end_at_lone_file(
        self, at: Waypoint, name: str, steps: set[Waypoint]
    ) -> Destination:
        """Watch a file itself: its directory may be searched, but not read."""
        step = Waypoint(at, name, _join(at.path, name))
        how = _DONT_FOLLOW | _SELF | _ATTRIB | self._file_mask
        with _disk.reachable(step.path) as path:
            self._watch(step, path, how)
            if not step.wd:
                failure = errno.ENOSPC if self.failure else errno.EACCES
                return Destination(Kind.NOTHING, step.path, at.wd, name, failure)
            if self._watch_again(path, how) != step.wd:
                raise _Changed
        steps.add(step)
        self._by_wd.setdefault(step.wd, []).append(step)
        return Destination(Kind.FILE, step.path, step.wd, "", 0)

    def _end(
        self, way: Way, at: Waypoint, name: str, rest: list[str], failure: int
    ) -> Destination:
        """End at a name that is not there, or leads no further."""
        mask = _APPEARS | _ATTRIB if failure == errno.EACCES else _APPEARS
        if self._await(way, at, name, mask) is _Watched.NOW:
            raise _Changed  # it may lead further since it was asked
        path = "/".join([_join(at.path, name), *rest[::-1]])
        return Destination(Kind.NOTHING, path, at.wd, name, failure)

    def _end_at_directory(self, way: Way, at: Waypoint) -> Destination:
        if at.parent is None:
            self._widen(at, _SELF)
        if at.wd or at.parent is None:
            return Destination(Kind.DIRECTORY, at.path, at.wd, "", 0)
        # It may not be read: wait until it may be.
        self._await_rights(way, at)
        failure = errno.ENOSPC if self.failure else errno.EACCES
        return Destination(Kind.NOTHING, at.path, at.parent.wd, at.name, failure)

    def _await(self, way: Way, at: Waypoint, name: str, mask: int) -> _Watched:
        """Watch a directory for a name; where that is refused, until it may be read.

        A directory that was watched when it could be read may be unreadable by now:
        then its watch cannot be widened, and says nothing of its rights.
        """
        watched = self._await_name(way, at, name, mask)
        if watched is _Watched.REFUSED:
            self._await_rights(way, at)
        return watched

    def _await_rights(self, way: Way, at: Waypoint) -> None:
        """Watch above a directory that may not be read, until it may be."""
        if at.parent is None:
            return
        mask = _APPEARS | _DISAPPEARS | _ATTRIB
        if self._await(way, at.parent, at.name, mask) is _Watched.NOW:
            raise _Changed  # it may be readable since it was refused

    def _await_name(self, way: Way, at: Waypoint, name: str, mask: int) -> _Watched:
        at.awaited.setdefault(name, set()).add(way)
        way.awaits.append((at, name))
        return self._widen(at, mask)

    def _widen(self, at: Waypoint, mask: int) -> _Watched:
        if at.mask & mask == mask:
            return _Watched.BEFORE
        try:
            with _disk.reachable(at.path) as path:
                wd = self._watches.hold(path, _ONLYDIR | mask)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.failure = error
            elif error.errno != errno.EACCES:
                self._distrust_below(at)
                raise _Changed from None
            return _Watched.REFUSED
        if at is self._top and not at.wd:
            at.wd = wd
            self._by_wd.setdefault(wd, []).append(at)
        if wd != at.wd:
            self._loose.add(wd)
            self._distrust_below(at)
            raise _Changed
        at.mask |= mask
        return _Watched.NOW

    # ---- leaving --------------------------------------------------------------

    def _leave(self, way: Way, steps: set[Waypoint]) -> None:
        """Let a way lead through these steps alone."""
        for step in way.steps - steps:
            step.ways.discard(way)
            if not step.ways:
                self._distrust(step)
        for step in steps:
            step.ways.add(way)
        if not steps:
            self._stop_awaiting(way)
        way.steps = steps

    def _stop_awaiting(self, way: Way) -> None:
        for waypoint, name in way.awaits:
            ways = waypoint.awaited.get(name)
            if ways is not None:
                ways.discard(way)
                if not ways:
                    del waypoint.awaited[name]
                    self._wide.add(waypoint)
        way.awaits.clear()

    def _distrust_below(self, top: Waypoint) -> None:
        """Let what is at a waypoint and below it be resolved again."""
        stack = [top]
        while stack:
            waypoint = stack.pop()
            stack.extend(waypoint.children.values())
            self._dirty.update(dict.fromkeys(waypoint.ways))
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

    def _narrow(self) -> None:
        """Watch directories for no name where no way waits for one any more.

        A mask can only be added to without losing an event; so the watch is made anew,
        and the ways through it are verified.
        """
        for waypoint in self._wide:
            if waypoint.awaited or self._by_wd.get(waypoint.wd) != [waypoint]:
                continue
            wd = waypoint.wd
            self._distrust_below(waypoint)
            if waypoint is self._top:
                del self._by_wd[wd]
                waypoint.wd = waypoint.mask = 0
            self._loose.discard(wd)
            self._watches.let_go(wd)
        self._wide.clear()

    def _tidy(self) -> None:
        """Let the watches go that no waypoint has."""
        loose, self._loose = self._loose, set()
        for wd in loose:
            if wd not in self._by_wd:
                self._watches.let_go(wd)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _join(path: str, name: str) -> str:
    return f"{path}{name}" if path.endswith("/") else f"{path}/{name}"


def _link_target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        raise _Changed from None
