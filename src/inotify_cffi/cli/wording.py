"""From `TreeWatcher`'s events to inotifywait's records."""

from __future__ import annotations

from .. import syscalls
from .records import ALL_EVENTS, ISDIR, Q_OVERFLOW, Record, with_slash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .. import TreeEvent
    from .filters import Filter

_CREATE = syscalls.IN_CREATE
_DELETE = syscalls.IN_DELETE
_DELETE_SELF = syscalls.IN_DELETE_SELF
_MOVED_FROM = syscalls.IN_MOVED_FROM
_MOVED_TO = syscalls.IN_MOVED_TO
_MOVE = _MOVED_FROM | _MOVED_TO
_MOVE_SELF = syscalls.IN_MOVE_SELF
_UNMOUNT = syscalls.IN_UNMOUNT
_OF_NAMES = _CREATE | _DELETE | _MOVE
_ENDS_ROOT = _DELETE_SELF | _MOVE_SELF | _UNMOUNT


class Wording:
    """Makes inotifywait's records of the events of trees.

    Parameters:
        asked: the events that are asked for.
        files: the roots that are no directories.
        directories: the other roots.
        passes: what is reported; None: all.
        initial: whether what is there at the start is reported.
        whole_renames: make one record with ``old_path`` of a rename inside the trees,
            not the two that inotifywait has.
    """

    def __init__(
        self,
        asked: int,
        files: Collection[str],
        directories: Collection[str],
        passes: Filter | None,
        *,
        initial: bool,
        whole_renames: bool,
    ) -> None:
        self._asked = self._asked_of_files = asked
        self._files = frozenset(files)
        self._directories = frozenset(directories)
        self._passes = passes
        self._initial = initial
        self._whole_renames = whole_renames
        self._renames = 0
        # A file is followed by its name: what inotifywait reports of the file
        # itself is there reported of the name.
        if asked & _DELETE_SELF:
            self._asked_of_files |= _DELETE
        if asked & _MOVE_SELF:
            self._asked_of_files |= _MOVED_FROM

    @property
    def needed(self) -> int:
        """The mask of the watcher for the requested events."""
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

    def is_of_file(self, path: str) -> bool:
        """Return whether a path is that of a root that is no directory."""
        return path in self._files

    def ends_root(self, event: TreeEvent) -> bool:
        """Return whether an event means that a root is lost, perhaps for a while."""
        return bool(event.mask & _ENDS_ROOT) and (
            event.path in self._files or event.path in self._directories
        )

    def records(self, events: Iterable[TreeEvent]) -> list[Record]:
        """Return the records for events, including events that were not requested."""
        records: list[Record] = []
        for event in events:
            if event.old_path is not None:
                self._append_rename(records, event, event.old_path)
            else:
                self._append(records, event)
        return records

    def _append(self, records: list[Record], event: TreeEvent) -> None:
        path, mask = event.path, event.mask
        watched, name = self._split(path, mask)
        kinds = self._asked_of_files if path in self._files else self._asked
        asked = mask & kinds != 0 or (event.synthetic and self._initial)
        if not (asked or mask & Q_OVERFLOW or self.ends_root(event)):
            self._append_self(records, path, mask)
        elif mask & Q_OVERFLOW or self._is_reported(watched + name, mask):
            cookie = self._next_cookie() if mask & _MOVE else 0
            records.append(
                Record(
                    watched,
                    name,
                    mask,
                    cookie=cookie,
                    synthetic=event.synthetic,
                    asked=asked,
                )
            )

    def _append_self(self, records: list[Record], path: str, mask: int) -> None:
        """Append inotifywait's record of a directory itself, below the root.

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
        if of_itself and self._is_reported(path + "/", mask):
            records.append(Record(path + "/", "", of_itself))

    def _append_rename(
        self, records: list[Record], event: TreeEvent, old_path: str
    ) -> None:
        """Append a rename inside the trees: one record, or its two halves.

        When one of the names is left out, the other half alone is reported.
        """
        mask = event.mask
        of_old = _MOVED_FROM | mask & ISDIR
        asked = self._asked & _MOVE
        if not asked:
            self._append_self(records, old_path, of_old)
            return
        if self._whole_renames:
            asked = _MOVE
        old, new = self._split(old_path, mask), self._split(event.path, mask)
        left = asked & _MOVED_FROM and self._is_reported("".join(old), mask)
        came = asked & _MOVED_TO and self._is_reported("".join(new), mask)
        cookie = self._next_cookie()
        if left and not (came and self._whole_renames):
            records.append(Record(*old, of_old, cookie=cookie))
        if came:
            shown = old_path if left or not self._whole_renames else None
            records.append(Record(*new, mask, cookie=cookie, old_path=shown))

    def _is_reported(self, path: str, mask: int) -> bool:
        return self._passes is None or self._passes(path, mask & ISDIR != 0)

    def _next_cookie(self) -> int:
        """Return a number for both halves of a rename: the watcher has none."""
        if self._whole_renames:
            return 0
        self._renames = self._renames % 0xFFFFFFFF + 1
        return self._renames

    def _split(self, path: str, mask: int) -> tuple[str, str]:
        """Return a path as inotifywait has it: the watched directory and the name."""
        if path in self._files:
            return path, ""
        if path in self._directories and not mask & _OF_NAMES:
            return with_slash(path), ""
        if mask & _UNMOUNT:  # only a watch of its own says so
            return with_slash(path), ""
        above, slash, name = path.rpartition("/")
        return above + slash, name
