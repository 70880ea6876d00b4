"""The watches: their owners, and which are not needed.

This is the only module that adds and removes watches. A watch can have several
owners: roots that overlap, or a directory that is mounted at two places.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from .._scanning import BulkScanner, Found, WatchedWay
from . import _disk
from ._late_mask import LateMask, without_listing
from ._masks import (
    DELETE_SELF,
    DONT_FOLLOW,
    EXCL_UNLINK,
    HOW,
    IGNORED,
    LISTING,
    MASK_ADD,
    NEEDED,
    STRUCTURAL,
)
from ._model import Directory, Paths
from ._queue import listings_that_fit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Callable

    from ..instance import INotify

# Only directories are watched, so no other event depends on this.
_NO_DIRECTORY = "/dev/null"

# Watches that are removed before the clock is looked at.
_AT_ONCE = 512


class Control(enum.Enum):
    """The meaning of an event that the queue itself produced."""

    OVERFLOW = "events are missing"
    FENCE = "the IGNORED of `Watches.fence`"
    STALE = "the IGNORED of a watch that was removed here"
    LOST = "the kernel removed a watch by itself"


class HeldMasks(dict[int, int]):
    """The watches that the ways to the roots need, each with the mask for that."""

    __slots__ = ()

    def add(self, wd: int, mask: int) -> None:
        self[wd] = self.get(wd, 0) | mask

    def complete_names(self, wd: int) -> bool:
        """Note that a tree has a watch as well, which reports all events of names.

        Returns:
            Whether it has reported some of them only, for a way. Those that are queued
            do not show what has happened then.
        """
        known = self.get(wd, 0) & STRUCTURAL
        if known in (0, STRUCTURAL):
            return False
        self.add(wd, STRUCTURAL)
        return True


class Watches:
    """Every watch of one inotify instance, with its owners.

    Parameters:
        inotify: the instance.
        mask: what is reported.
        queue_length: how many events its queue holds.
    """

    def __init__(self, inotify: INotify, mask: int, queue_length: int) -> None:
        self._inotify = inotify
        self._mask = mask | NEEDED | HOW
        # How many listings may fill the queue; None: they queue no events.
        self.listings = listings_that_fit(queue_length) if mask & LISTING else None
        self._late: LateMask | None = None
        if self.listings == 0:
            self._late = LateMask(inotify, self._mask)
            self._mask = without_listing(self._mask)
        self._bulk = BulkScanner(inotify, self._mask)
        self._owners: dict[int, Directory | tuple[Directory, ...]] = {}
        # Watches without an owner. They are kept until the queue is empty, as an
        # event that is queued may still need them.
        self._strays: set[int] = set()
        self._awaiting_ignored: set[int] = set()
        self._fence = 0
        self.held = HeldMasks()

    def __len__(self) -> int:
        return len(self._owners.keys() | self.held.keys())

    def add(self, path: str) -> int:
        """Watch a directory; until it is assigned to one, the watch is a stray.

        A symbolic link at the end of the path is not followed.

        Raises:
            OSError: as inotify_add_watch(2).
        """
        wd = self._inotify.add_watch(path, self._mask | DONT_FOLLOW)
        if wd not in self._owners:
            self._strays.add(wd)
        return wd

    def scan(
        self,
        paths: Sequence[str],
        *,
        descend: bool,
        only_directories: bool,
        limit: int,
        milliseconds: float,
    ) -> Found:
        """Watch and list many directories, as `BulkScanner.scan`.

        What was watched is no stray before `keep` has it so.
        """
        return self._bulk.scan(
            paths,
            descend=descend,
            only_directories=only_directories,
            limit=limit,
            milliseconds=milliseconds,
        )

    def complete(self, path_of: Callable[[Directory], str]) -> None:
        """Watch for what our scans would have queued. The queue must be empty."""
        if self._late:
            first = {wd: self.owners(wd)[0] for wd in self._late if wd in self._owners}
            self.keep(self._late.complete(first, path_of))

    def free_memory(self) -> None:
        """Free what the last scan needed."""
        self._bulk.free_memory()

    def keep(self, wds: Collection[int]) -> None:
        """Make strays of the watches that have no owner; 0 is none."""
        self._strays.update(wd for wd in wds if wd and wd not in self._owners)

    def are_unassigned(self, wds: Collection[int]) -> bool:
        """Return whether watches have no owner, and differ from each other."""
        return self._owners.keys().isdisjoint(wds) and len(set(wds)) == len(wds)

    def assign_all(self, directories: Mapping[int, Directory]) -> None:
        """Make each directory the owner of a watch that has none."""
        self._strays.difference_update(directories)
        self._owners.update(directories)
        if self._late is not None:
            self._late.note(directories)

    def assign(self, wd: int, directory: Directory) -> None:
        """Make a directory an owner of a watch."""
        self._strays.discard(wd)
        if self._late is not None:
            self._late.note((wd,))
        others = self.owners(wd)
        self._owners[wd] = (*others, directory) if others else directory

    def release(self, wd: int, directory: Directory) -> None:
        """Take a watch from a directory; without an owner it is a stray.

        It is not removed at once: removing the watches of a big tree would queue so
        many IGNORED that the queue overflows. And a root that is lost and found again
        in one step has the same watch again: if that was removed, its IGNORED would end
        the root once more, and so on for ever.

        Parameters:
            wd: the watch; 0 where there is none.
            directory: one of its owners.
        """
        if not wd:
            return
        left = tuple(owner for owner in self.owners(wd) if owner is not directory)
        if left:
            self._owners[wd] = left if len(left) > 1 else left[0]
            return
        self._owners.pop(wd, None)
        self._strays.add(wd)

    def release_all(self, watched: Iterable[tuple[int, Directory]]) -> None:
        """Take watches from directories, as `release` does."""
        owners = self._owners
        for wd, directory in watched:
            if owners.get(wd) is directory:
                del owners[wd]
                self._strays.add(wd)
            else:
                self.release(wd, directory)

    def hold(self, path: str, mask: int) -> int:
        """Add a watch for the way to a root, or add to one: see `WayWatches`."""
        wd = self._inotify.add_watch(path, mask | MASK_ADD)
        self.held.add(wd, mask)
        return wd

    def hold_way(self, path: str, mask: int, last_mask: int) -> WatchedWay:
        """Add watches for a way, by one call: see `WayWatches`."""
        found = self._bulk.watch_way(path, mask | MASK_ADD, last_mask | MASK_ADD)
        for wd in (*found.verified, *found.others):
            self.held.add(wd, mask | last_mask)
        return found

    def let_go(self, wd: int) -> None:
        """Follow that no way needs a watch any more."""
        known = self.held.pop(wd, None)
        if known is not None and wd not in self._owners and wd not in self._strays:
            self._remove(wd)

    def _narrow(self, wd: int) -> bool:
        """Have a watch that only ways need made anew, for no more than they need.

        Its IGNORED lets them verify all that leads through it; this returns whether
        it will be queued. Where they watch for the changes of a root that is a file, an
        event would be lost; so that watch stays as it is. Only the mask for files has
        EXCL_UNLINK.
        """
        if self.held[wd] & EXCL_UNLINK:
            return False
        try:
            self._inotify.rm_watch(wd)
        except OSError:
            return False  # EINVAL: it is gone already
        return True

    def owners(self, wd: int) -> tuple[Directory, ...]:
        """Return the directories that have a watch."""
        owner = self._owners.get(wd, ())
        return owner if isinstance(owner, tuple) else (owner,)

    def fence(self) -> int:
        """Queue an event that comes behind all that was queued so far.

        Returns:
            The watch descriptor of its IGNORED, or 0 when that cannot be had: the
            window then lasts until the next read is done.
        """
        try:
            wd = self._fence = self._inotify.add_watch(_NO_DIRECTORY, DELETE_SELF)
            self._inotify.rm_watch(wd)
        except OSError:
            return 0
        return wd

    def classify(self, wd: int, mask: int) -> Control:
        """Return the meaning of an event of CONTROL; forget a watch that has ended."""
        if not mask & IGNORED:
            return Control.OVERFLOW
        if wd in self._awaiting_ignored:
            self._awaiting_ignored.discard(wd)
            return Control.STALE
        if wd == self._fence:
            return Control.FENCE
        self._strays.discard(wd)
        self.held.pop(wd, None)
        return Control.LOST

    def forget(self, wd: int) -> tuple[Directory, ...]:
        """Follow the end of a watch; return the directories that had it."""
        owners = self.owners(wd)
        self._owners.pop(wd, None)
        return owners

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is empty if no watch has to change; it is kept up to date."""
        late = self._late.incomplete() if self._late is not None else ()
        return self._strays, self._awaiting_ignored, late

    def collect(self) -> bool:
        """Remove some of the watches without an owner. The queue must be empty.

        Returns:
            Whether the queue has to be read again: there are more, or the IGNORED of
            these would stay in it and leave less room for what others do.
        """
        self._awaiting_ignored.clear()  # an overflow may have swallowed their IGNORED
        return self.remove_some() or bool(self._awaiting_ignored)

    def remove_some(self) -> bool:
        """Remove so many strays that the queue does not overflow with their IGNORED.

        Returns:
            Whether there are more, or the queue has to be read again.
        """
        narrowed = False
        for _ in range(min(len(self._strays), _AT_ONCE)):
            wd = self._strays.pop()
            if wd in self.held:
                narrowed = self._narrow(wd) or narrowed
            else:
                self._remove(wd)
        if self._strays:
            return True
        self._strays.clear()  # what is popped to the last keeps its table
        if not self._owners:
            self._owners.clear()
        return narrowed

    def forget_all(self) -> None:
        """Take their watches from all directories; keep them as strays."""
        self._strays.update(self._owners)
        self._owners.clear()

    def _remove(self, wd: int) -> None:
        try:
            self._inotify.rm_watch(wd)
        except OSError:
            return  # EINVAL: it is gone already, and its IGNORED is or was queued
        # Once only: the kernel does not reuse a number before it wraps.
        self._awaiting_ignored.add(wd)


def is_at_its_path(directory: Directory, watches: Watches, paths: Paths) -> bool:
    """Return whether the path of a watched directory still leads to it."""
    try:
        with _disk.reachable(paths.fs_path(directory)) as path:
            return watches.add(path) == directory.wd
    except OSError:
        return False
