"""Where records come from: paths, each watched for itself, or whole trees."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from .. import INotify, flags, masks
from .filters import Filter
from .records import IGNORED, Q_OVERFLOW, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .. import Event, TreeEvent, TreeWatcher

ALL_EVENTS = int(masks.ALL_EVENTS)
_CREATE = int(flags.CREATE)
_DELETE = int(flags.DELETE)
_DELETE_SELF = int(flags.DELETE_SELF)
_MOVED_FROM = int(flags.MOVED_FROM)
_MOVED_TO = int(flags.MOVED_TO)
_MOVE = _MOVED_FROM | _MOVED_TO
_MOVE_SELF = int(flags.MOVE_SELF)
_UNMOUNT = int(flags.UNMOUNT)
_ISDIR = int(flags.ISDIR)
_DONT_FOLLOW = int(flags.DONT_FOLLOW)
_OF_NAMES = _CREATE | _DELETE | _MOVE
_ENDS_ROOT = _DELETE_SELF | _MOVE_SELF | _UNMOUNT


def _with_slash(path: str) -> str:
    return path if path.endswith("/") else path + "/"


class Paths:
    """Each path for itself: what inotifywait does without ``-r``."""

    def __init__(
        self, paths: Sequence[str], mask: int, follow: bool, passes: Filter
    ) -> None:
        self._paths = paths
        self._mask = mask
        self._follow = follow
        self._passes = passes
        self._watched: dict[int, str] = {}
        self._inotify = INotify()

    def fileno(self) -> int:
        return self._inotify.fileno()

    def establish(self) -> None:
        """Watch the paths.

        Raises:
            OSError: one cannot be watched; with its path.
        """
        mask = self._mask if self._follow else self._mask | _DONT_FOLLOW
        for path in self._paths:
            wd = self._inotify.add_watch(path, mask)
            is_directory = os.path.isdir(path) and (
                self._follow or not os.path.islink(path)
            )
            told_as = _with_slash(path) if is_directory else path
            self._watched.setdefault(wd, told_as)

    @property
    def alive(self) -> bool:
        """Whether anything is left to watch."""
        return bool(self._watched)

    def read(self) -> list[Record] | None:
        """Return what happened, without waiting; None when nothing did."""
        if not self._watched:
            return []
        events = self._inotify.read(timeout=0)
        if not events:
            return None
        records: list[Record] = []
        passes = None if self._passes.passes_all else self._passes
        asked = self._mask
        watched = self._watched
        for event in events:
            if event.mask & (IGNORED | Q_OVERFLOW):
                self._end_watch_or_overflow(event, records)
                continue
            place = watched.get(event.wd, "")
            if passes is None or passes(place + event.name):
                records.append(
                    Record(
                        place,
                        event.name,
                        event.mask,
                        event.cookie,
                        None,
                        False,
                        event.mask & asked != 0,
                    )
                )
        return records

    def _end_watch_or_overflow(self, event: Event, records: list[Record]) -> None:
        asked = event.mask & self._mask != 0
        if event.mask & Q_OVERFLOW:
            records.extend(
                Record(place, "", event.mask, 0, None, False, asked)
                for place in self._watched.values()
            )
            return
        place = self._watched.pop(event.wd, None)
        if place is not None and self._passes(place):
            records.append(Record(place, "", event.mask, 0, None, False, asked))

    def close(self) -> None:
        self._inotify.close()


class Trees:
    """Whole trees: `TreeWatcher`.

    Parameters:
        whole_renames: tell a rename inside the trees as one record with
            ``old_path``, not as the two that inotifywait has.
        counted: whether `establish` will be given a ``go_on``.
    """

    def __init__(
        self,
        paths: Sequence[str],
        mask: int,
        passes: Filter,
        initial: bool,
        whole_renames: bool,
        counted: bool = False,
    ) -> None:
        from .. import TreeWatcher

        self._paths = paths
        self._asked = mask
        self._asked_of_files = mask
        self._passes = passes
        self._initial = initial
        self._whole_renames = whole_renames
        self._renames = 0
        self._directories: dict[str, str] = {}
        self._files: set[str] = set()
        self._go_on: Callable[[], None] | None = None
        # A file is followed by its name: what inotifywait tells of the file
        # itself is there told of the name.
        if mask & _DELETE_SELF:
            self._asked_of_files |= _DELETE
        if mask & _MOVE_SELF:
            self._asked_of_files |= _MOVED_FROM
        needed = mask & ALL_EVENTS | _DELETE_SELF | _MOVE_SELF
        if needed & _MOVE:
            needed |= _MOVE
        if any(not os.path.isdir(path) for path in paths):
            needed |= self._asked_of_files & ALL_EVENTS
        if initial:
            needed |= _CREATE
        # Without an exclude the watcher starts faster.
        asks = counted or passes.may_prune
        self._watcher: TreeWatcher = TreeWatcher(
            mask=needed, exclude=self._excludes if asks else None, initial=initial
        )

    def fileno(self) -> int:
        return self._watcher.fileno()

    def establish(self, go_on: Callable[[], None] | None = None) -> None:
        """Watch the trees.

        Parameters:
            go_on: called again and again while that goes on.

        Raises:
            OSError: one cannot be watched; with its path.
        """
        self._go_on = go_on
        for path in self._paths:
            if os.path.isdir(path):
                self._directories[path] = _with_slash(path)
            else:
                self._files.add(path)
            self._watcher.add(path)
        self._go_on = None

    def _excludes(self, path: str) -> bool:
        if self._go_on is not None:
            self._go_on()
        return self._passes.prunes(path)

    @property
    def alive(self) -> bool:
        """Whether anything is left to watch."""
        return bool(self._directories or self._files)

    def read(self) -> list[Record] | None:
        """Return what happened, without waiting; None when nothing did."""
        if not self.alive:
            return []
        events = self._watcher.read(timeout=0)
        if not events:
            return None
        records: list[Record] = []
        for event in events:
            if event.old_path is not None:
                self._append_rename(records, event)
            else:
                self._append(records, event)
        return records

    def _append(self, records: list[Record], event: TreeEvent) -> None:
        path, mask = event.path, event.mask
        is_file = path in self._files
        watched, name = self._split(path, mask)
        asked = mask & (self._asked_of_files if is_file else self._asked) != 0
        if event.synthetic and self._initial:
            asked = True
        ends = mask & _ENDS_ROOT and (is_file or path in self._directories)
        if ends:
            self._directories.pop(path, None)
            self._files.discard(path)
        if mask & Q_OVERFLOW or ((asked or ends) and self._passes(watched + name)):
            cookie = self._next_cookie() if mask & _MOVE else 0
            records.append(
                Record(watched, name, mask, cookie, None, event.synthetic, asked)
            )

    def _append_rename(self, records: list[Record], event: TreeEvent) -> None:
        """Append a rename inside the trees: one record, or its two halves.

        When one of the names is left out, the other half alone is told.
        """
        assert event.old_path is not None
        old = self._split(event.old_path, event.mask)
        new = self._split(event.path, event.mask)
        left = self._passes("".join(old))
        came = self._passes("".join(new))
        kind = event.mask & _ISDIR
        cookie = self._next_cookie()
        if not self._whole_renames:
            left = left and self._asked & _MOVED_FROM != 0
            came = came and self._asked & _MOVED_TO != 0
        whole = left and came and self._whole_renames
        if left and not whole:
            records.append(Record(*old, _MOVED_FROM | kind, cookie, None, False, True))
        if came:
            old_path = event.old_path if left or not self._whole_renames else None
            records.append(Record(*new, event.mask, cookie, old_path, False, True))

    def _next_cookie(self) -> int:
        """Return a number for both halves of a rename: the watcher has none."""
        if self._whole_renames:
            return 0
        self._renames = self._renames % 0xFFFFFFFF + 1
        return self._renames

    def _split(self, path: str, mask: int) -> tuple[str, str]:
        """Return a path as inotifywait has it: what is watched, and the name there."""
        if path in self._files:
            return path, ""
        if path in self._directories and not mask & _OF_NAMES:
            return self._directories[path], ""
        above, slash, name = path.rpartition("/")
        return above + slash, name

    def close(self) -> None:
        self._watcher.close()
