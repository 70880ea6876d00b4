"""`--debounce`: records wait until nothing has happened for a while."""

from __future__ import annotations

import time

from .. import syscalls
from .records import Q_OVERFLOW, Record, path_of

# Something that never rests must not hold back all the rest for ever.
_MOST_TIMES = 10

_WENT = (
    syscalls.IN_DELETE
    | syscalls.IN_MOVED_FROM
    | syscalls.IN_DELETE_SELF
    | syscalls.IN_MOVE_SELF
)


class Gatherer:
    """Makes one record for each path of what happens within a short time.

    The record has all the events of the path. A path that came and went again
    meanwhile has none; one that was renamed more than once has its first old path.

    Parameters:
        seconds: how long nothing must happen.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._records: dict[str, Record] = {}
        self._new: set[str] = set()  # paths that were not there before these records
        self._first = self._last = 0.0

    def add(self, records: list[Record]) -> None:
        """Gather more records."""
        if not records:
            return
        self._last = time.monotonic()
        if not self._records:
            self._first = self._last
        for record in records:
            self._merge(record)

    def seconds_left(self) -> float | None:
        """Return after how long `take` is due; None when nothing was gathered."""
        if not self._records:
            return None
        due = min(self._last + self._seconds, self._first + _MOST_TIMES * self._seconds)
        return max(0.0, due - time.monotonic())

    def take(self) -> list[Record]:
        """Return what was gathered, in the order in which it began."""
        records = list(self._records.values())
        self._records = {}
        self._new = set()
        return records

    def _merge(self, record: Record) -> None:
        path = path_of(record)
        if record.mask & Q_OVERFLOW:
            self._records.setdefault(f"{path}\0", record)  # no path has a NUL
            return
        if record.old_path is not None:
            record = self._after_rename(record, record.old_path)
        before = self._records.pop(path, None)
        if before is None:
            # (A MOVED_TO may have replaced what was there.)
            if record.mask & syscalls.IN_CREATE:
                self._new.add(path)
        elif record.mask & _WENT and path in self._new:
            self._new.discard(path)
            return
        else:
            record = record._replace(
                mask=before.mask | record.mask,
                old_path=record.old_path or before.old_path,
                synthetic=before.synthetic and record.synthetic,
            )
        self._records[path] = record

    def _after_rename(self, record: Record, old_path: str) -> Record:
        """Return the record of a renamed path with what happened to it before."""
        before = self._records.pop(old_path, None)
        if old_path in self._new:
            self._new.discard(old_path)
            return record._replace(old_path=None)
        if before is not None:
            return record._replace(
                mask=before.mask | record.mask, old_path=before.old_path or old_path
            )
        return record
