"""Where records come from: paths, each watched for itself, or whole trees."""

from __future__ import annotations

import os

from .. import syscalls
from .filters import Filter
from .records import ALL_EVENTS, IGNORED, ISDIR, Q_OVERFLOW, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from .. import TreeEvent, TreeWatcher

_CREATE = syscalls.IN_CREATE
_DELETE = syscalls.IN_DELETE
_DELETE_SELF = syscalls.IN_DELETE_SELF
_MOVED_FROM = syscalls.IN_MOVED_FROM
_MOVED_TO = syscalls.IN_MOVED_TO
_MOVE = _MOVED_FROM | _MOVED_TO
_MOVE_SELF = syscalls.IN_MOVE_SELF
_UNMOUNT = syscalls.IN_UNMOUNT
_DONT_FOLLOW = syscalls.IN_DONT_FOLLOW
_OF_NAMES = _CREATE | _DELETE | _MOVE
_ENDS_ROOT = _DELETE_SELF | _MOVE_SELF | _UNMOUNT


def _with_slash(path: str) -> str:
    return path if path.endswith("/") else path + "/"


class Paths:
    """Each path for itself: what inotifywait does without ``-r``.

    By `syscalls`: `INotify`, whose reads can be stopped, shared and awaited, takes
    longer to import than all of this.

    Parameters:
        paths: what to watch.
        mask: what is asked for.
        follow: whether a symbolic link stands for what it leads to.
        passes: what is reported.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM; the text says which limit it was.
    """

    def __init__(
        self, paths: Sequence[str], mask: int, follow: bool, passes: Filter
    ) -> None:
        self._paths = paths
        self._mask = mask
        self._follow = follow
        self._passes = passes
        self._watched: dict[int, str] = {}
        self._fd = syscalls.init1(syscalls.IN_CLOEXEC | syscalls.IN_NONBLOCK)

    def fileno(self) -> int:
        return self._fd

    def establish(self) -> None:
        """Watch the paths.

        Raises:
            OSError: one cannot be watched; with its path.
        """
        mask = self._mask if self._follow else self._mask | _DONT_FOLLOW
        for path in self._paths:
            wd = syscalls.add_watch(self._fd, path, mask)
            is_directory = os.path.isdir(path) and (
                self._follow or not os.path.islink(path)
            )
            watched = _with_slash(path) if is_directory else path
            self._watched.setdefault(wd, watched)

    @property
    def alive(self) -> bool:
        """Whether anything is left to watch."""
        return bool(self._watched)

    def read(self) -> list[Record] | None:
        """Return what happened, without waiting; None when nothing did."""
        if not self._watched:
            return []
        events = syscalls.read_events(self._fd)
        if not events:
            return None
        self._passes.refresh()
        records: list[Record] = []
        passes = None if self._passes.passes_all else self._passes
        asked = self._mask
        watched = self._watched
        for wd, mask, cookie, _, name in events:
            if mask & (IGNORED | Q_OVERFLOW):
                self._end_watch_or_overflow(wd, mask, records)
                continue
            place = watched.get(wd, "")
            if passes is None or passes(place + name, mask & ISDIR != 0):
                records.append(
                    Record(place, name, mask, cookie, None, False, mask & asked != 0)
                )
        return records

    def _end_watch_or_overflow(self, wd: int, mask: int, records: list[Record]) -> None:
        asked = mask & self._mask != 0
        if mask & Q_OVERFLOW:
            records.extend(
                Record(place, "", mask, 0, None, False, asked)
                for place in self._watched.values()
            )
            return
        place = self._watched.pop(wd, None)
        if place is not None and self._passes(place):
            records.append(Record(place, "", mask, 0, None, False, asked))

    def close(self) -> None:
        os.close(self._fd)


class Trees:
    """Whole trees: `TreeWatcher`.

    Parameters:
        paths: the roots. One that was given before, be it relative and then
            absolute, is reported by the name that it was first given by.
        mask: what is asked for.
        passes: what is reported.
        initial: report first what is there.
        whole_renames: report a rename inside the trees as one record with
            ``old_path``, not as the two that inotifywait has.
        recursive: watch what is below directories, too.
        one_file_system: watch nothing that is mounted below a root.
    """

    def __init__(
        self,
        paths: Sequence[str],
        mask: int,
        passes: Filter,
        initial: bool,
        whole_renames: bool,
        recursive: bool = True,
        one_file_system: bool = False,
    ) -> None:
        from .. import TreeWatcher

        self._make_watcher = TreeWatcher
        self._paths = _different(paths)
        self._asked = mask
        self._asked_of_files = mask
        self._passes = passes
        self._initial = initial
        self._whole_renames = whole_renames
        self._recursive = recursive
        self._one_file_system = one_file_system
        self._renames = 0
        self._directories: dict[str, str] = {}
        self._files: set[str] = set()
        self._lost = False  # a root, which may have come back
        self._go_on: Callable[[], None] | None = None
        self._failure: OSError | None = None
        self._watcher: TreeWatcher | None = None
        # A file is followed by its name: what inotifywait reports of the file
        # itself is there reported of the name.
        if mask & _DELETE_SELF:
            self._asked_of_files |= _DELETE
        if mask & _MOVE_SELF:
            self._asked_of_files |= _MOVED_FROM

    def fileno(self) -> int:
        assert self._watcher is not None
        return self._watcher.fileno()

    def establish(self, go_on: Callable[[], None] | None = None) -> None:
        """Watch the trees.

        Parameters:
            go_on: called again and again while that goes on.

        Raises:
            OSError: one cannot be watched, with its path; or, without a path,
                EMFILE, ENFILE or ENOMEM: the text says which limit it was.
        """
        for path in self._paths:
            if os.path.isdir(path):
                self._directories[path] = _with_slash(path)
            else:
                self._files.add(path)
        self._go_on = go_on
        self._passes.refresh()
        # Without an exclude the watcher starts faster.
        asks = go_on is not None or self._passes.may_prune
        self._watcher = self._make_watcher(
            *self._paths,
            mask=self._needed(),
            exclude=self._excludes if asks else None,
            initial=self._initial,
            recursive=self._recursive,
            one_file_system=self._one_file_system,
        )
        self._go_on = None

    def _needed(self) -> int:
        """Return what has to be known for what was asked for."""
        needed = self._asked & (ALL_EVENTS | _UNMOUNT) | _DELETE_SELF | _MOVE_SELF
        # A directory below a root is followed by its name as well.
        if self._asked & _DELETE_SELF:
            needed |= _DELETE
        if self._asked & (_MOVE | _MOVE_SELF):
            needed |= _MOVE
        if self._files:
            needed |= self._asked_of_files & ALL_EVENTS
        if self._initial:
            needed |= _CREATE
        return needed

    def _excludes(self, path: str) -> bool:
        is_directory = getattr(path, "is_directory", True)
        if self._go_on is not None:
            self._go_on()
        return self._passes.prunes(path, is_directory)

    @property
    def alive(self) -> bool:
        """Whether anything is left to watch.

        What was lost may come back, if something else is watched meanwhile. A file
        may be made again in its directory.
        """
        if self._watcher is None or not self._lost:
            return True
        missing = self._watcher.missing
        return len(missing) < len(self._watcher.roots) or any(
            os.path.isdir(os.path.dirname(path) or ".")
            for path in missing
            if path in self._files
        )

    def read(self) -> list[Record] | None:
        """Return what happened, without waiting; None when nothing did.

        Raises:
            OSError: a directory cannot be watched or listed; what was read before
                that has been returned.
        """
        if not self.alive:
            return []
        events = self._read_events()
        if not events:
            return None
        records: list[Record] = []
        for event in events:
            if event.old_path is not None:
                self._append_rename(records, event)
            else:
                self._append(records, event)
        return records

    def _read_events(self) -> list[TreeEvent]:
        assert self._watcher is not None
        self._passes.refresh()
        if self._failure is None:
            try:
                return self._watcher.read(timeout=0)
            except OSError as error:
                self._failure = error
            try:
                events = self._watcher.read(timeout=0)  # what precedes the failure
            except OSError:
                events = []
            if events:
                return events
        raise self._failure

    def _append(self, records: list[Record], event: TreeEvent) -> None:
        path, mask = event.path, event.mask
        is_file = path in self._files
        watched, name = self._split(path, mask)
        asked = mask & (self._asked_of_files if is_file else self._asked) != 0
        if event.synthetic and self._initial:
            asked = True
        ends = mask & _ENDS_ROOT and (is_file or path in self._directories)
        if ends or is_file:
            self._lost = True
        if not asked and not ends and not mask & Q_OVERFLOW:
            self._append_self(records, path, mask)
        elif mask & Q_OVERFLOW or self._passes(watched + name, mask & ISDIR != 0):
            cookie = self._next_cookie() if mask & _MOVE else 0
            records.append(
                Record(watched, name, mask, cookie, None, event.synthetic, asked)
            )

    def _append_self(self, records: list[Record], path: str, mask: int) -> None:
        """Append what inotifywait reports of a directory itself, below the root.

        It has a watch for it, and reports the same of its name in the directory
        above; here that is enough, unless it was not asked for.
        """
        if not mask & ISDIR:
            return
        of_itself = 0
        if mask & _DELETE:
            of_itself = self._asked & _DELETE_SELF
        elif mask & _MOVED_FROM:
            of_itself = self._asked & _MOVE_SELF
        if of_itself and self._passes(path + "/", True):
            records.append(Record(path + "/", "", of_itself, 0, None, False, True))

    def _append_rename(self, records: list[Record], event: TreeEvent) -> None:
        """Append a rename inside the trees: one record, or its two halves.

        When one of the names is left out, the other half alone is reported.
        """
        assert event.old_path is not None
        kind = event.mask & ISDIR
        asked = self._asked & _MOVE
        if self._whole_renames and asked:
            asked = _MOVE
        old = self._split(event.old_path, event.mask)
        new = self._split(event.path, event.mask)
        is_directory = kind != 0
        left = asked & _MOVED_FROM and self._passes("".join(old), is_directory)
        came = asked & _MOVED_TO and self._passes("".join(new), is_directory)
        if not asked:
            self._append_self(records, event.old_path, _MOVED_FROM | kind)
            return
        cookie = self._next_cookie()
        if left and not (came and self._whole_renames):
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
        if mask & _UNMOUNT:  # only a watch of its own says so
            return _with_slash(path), ""
        above, slash, name = path.rpartition("/")
        return above + slash, name

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()


def _different(paths: Sequence[str]) -> list[str]:
    """Return the paths without those that only name one again."""
    first: dict[str, str] = {}
    for path in paths:
        first.setdefault(os.path.abspath(path), path)
    return list(first.values())
