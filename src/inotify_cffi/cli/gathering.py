"""`--debounce`: records wait until nothing has happened for a while.

`watch` does the same for whole trees: it knows every name in them, so it gives the
net difference of two states. Records are not that. They have events that no `Change`
has (OPEN, ATTRIB, CLOSE_WRITE), and only those that ``-e`` asks for; and without
``-r`` they come from paths, each watched for itself, without a tree. So the records of
a path are merged here, by what they themselves say. Where they say all, which is with
``-r --json`` and all events of names asked for, each file that `watch` reports has a
record; but not one that a rename replaced by what then left again: only who knows all
names knows of that one.
"""

from __future__ import annotations

import time

from .. import syscalls
from .records import ISDIR, Q_OVERFLOW, Record, path_of, with_slash

# Something that never rests must not hold back all the rest for ever.
_MOST_TIMES = 10

_MOVED_FROM = syscalls.IN_MOVED_FROM
_WENT = (
    syscalls.IN_DELETE | syscalls.IN_DELETE_SELF | _MOVED_FROM | syscalls.IN_MOVE_SELF
)


class Gatherer:
    """Makes one record for each path of what happens within a short time.

    The record has all the events of the path. A path that came and went again
    meanwhile has none; one that was renamed more than once has its first old path; one
    that was renamed and then deleted is deleted at its first path.

    Parameters:
        seconds: how long nothing must happen.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._top = _Place(None, "")
        self._overflows: dict[str, Record] = {}
        self._order = 0
        self._first = self._last = 0.0

    def add(self, records: list[Record]) -> None:
        """Gather more records."""
        if not records:
            return
        self._last = time.monotonic()
        if not self._order:
            self._first = self._last
        for record in records:
            self._add(record)
            self._order += 1

    def seconds_left(self) -> float | None:
        """Return the time until `take` is due; None if nothing was gathered."""
        if not self._order:
            return None
        due = min(self._last + self._seconds, self._first + _MOST_TIMES * self._seconds)
        return max(0.0, due - time.monotonic())

    def take(self) -> list[Record]:
        """Return what was gathered: overflows, and then each path, in the order of
        their last events."""
        records = [*self._overflows.values(), *self._top.take_records()]
        self._overflows = {}
        self._top = _Place(None, "")
        self._order = 0
        return records

    def _add(self, record: Record) -> None:
        path = path_of(record)
        if record.mask & Q_OVERFLOW:
            self._overflows.setdefault(path, record)
            return
        place = self._top.find(path)
        if record.old_path is not None:
            source = self._top.find(record.old_path)
            if source.is_new:
                record.old_path = None
            source.move(place, is_directory=bool(record.mask & ISDIR))
            place.add(record, self._order)
        elif record.mask & _WENT:
            self._remove(place, record)
        else:
            is_new = place.record is None and record.mask & syscalls.IN_CREATE
            place.is_new = place.is_new or bool(is_new)
            place.add(record, self._order)

    def _remove(self, place: _Place, record: Record) -> None:
        """Follow the end of a path: nothing is left of one that was new."""
        if record.mask & ISDIR and record.mask & _MOVED_FROM:
            place.children.clear()
        if place.is_new:
            place.forget()
            return
        old_path = place.record.old_path if place.record is not None else None
        if old_path is not None:
            # It was there before all this, and is nowhere now.
            place.forget()
            place = self._top.find(old_path)
        place.end(record, self._order)


class _Place:
    """A path, its gathered record, and the places below it.

    So what is below a directory goes along with it, however much that is.
    """

    __slots__ = ("above", "children", "gone", "is_new", "name", "order", "record")

    def __init__(self, above: _Place | None, name: str) -> None:
        self.above = above
        self.name = name
        self.children: dict[str, _Place] = {}
        self.record: Record | None = None  # of what is there now
        self.gone: Record | None = None  # of what was there before
        self.order = 0
        self.is_new = False  # what is there was nowhere before these records

    def find(self, path: str) -> _Place:
        """Return the place of a path below."""
        place = self
        for name in path.split("/"):
            child = place.children.get(name)
            if child is None:
                child = place.children[name] = _Place(place, name)
            place = child
        return place

    def add(self, record: Record, order: int) -> None:
        """Add a record to the gathered ones."""
        before = self.record
        if before is not None:
            _add_events(record, before)
            # Of a rename, where it was first.
            record.old_path = before.old_path or record.old_path
        self.record = record
        self.order = order

    def end(self, record: Record, order: int) -> None:
        """Add the record of the end of what was there before these records."""
        for before in (self.record, self.gone):
            if before is not None:
                _add_events(record, before)
        self.forget()
        self.gone = record
        self.order = order

    def forget(self) -> None:
        """Forget the gathered records of present paths."""
        self.record = None
        self.is_new = False

    def take_record(self) -> Record | None:
        """Return the one record of this path."""
        record, gone = self.record, self.gone
        if record is not None and gone is not None:
            _add_events(record, gone)
        return record or gone

    def move(self, to: _Place, *, is_directory: bool) -> None:
        """Let what is gathered here, and of a directory all below, be at another path.

        That is not known to be new, unless it was: the rename may have replaced what
        was there.
        """
        to.is_new = self.is_new and (to.is_new or to.gone is not None)
        self.is_new = False
        to.record, self.record = self.record, None
        if is_directory:
            to.children.update(self.children)
            for child in self.children.values():
                child.above = to
            self.children = {}

    def take_records(self) -> list[Record]:
        """Return all records of this place and those below, with their paths."""
        places: list[tuple[int, Record]] = []
        unseen = [(self, "")]
        while unseen:
            place, path = unseen.pop()
            record = place.take_record()
            if record is not None:
                _set_path(record, path)
                places.append((place.order, record))
            for name, child in place.children.items():
                top = place.above is None
                unseen.append((child, name if top else f"{path}/{name}"))
        places.sort(key=lambda each: each[0])
        return [record for _, record in places]


def _add_events(record: Record, before: Record) -> None:
    record.mask |= before.mask
    record.synthetic = record.synthetic and before.synthetic


def _set_path(record: Record, path: str) -> None:
    """Let a record be of a path: it may have moved, or be deleted at its first one."""
    if path == path_of(record) or not path:
        return
    if record.name:
        above, slash, record.name = path.rpartition("/")
        record.watched = above + slash
    else:
        record.watched = with_slash(path) if record.watched[-1:] == "/" else path
