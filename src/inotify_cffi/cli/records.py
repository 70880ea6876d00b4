"""Records: one for each event, from any source."""

from __future__ import annotations

from .. import syscalls


class Record:
    """An event, as inotifywait would put it.

    (A named tuple would need `collections`, which takes as long to import as half of
    this package.)

    Parameters:
        watched: what is watched; a slash at its end: a directory (%w).
        name: the name in that directory, or nothing (%f).
        mask: bits of `flags`.
        cookie: the number that both halves of a rename have; else 0.
        old_path: where a renamed thing was, when that is known.
        synthetic: found by listing, not reported by the kernel.
        asked: whether the user asked for such events.
    """

    __slots__ = (
        "asked",
        "cookie",
        "mask",
        "name",
        "old_path",
        "synthetic",
        "watched",
    )

    def __init__(
        self,
        watched: str,
        name: str,
        mask: int,
        *,
        cookie: int = 0,
        old_path: str | None = None,
        synthetic: bool = False,
        asked: bool = True,
    ) -> None:
        self.watched = watched
        self.name = name
        self.mask = mask
        self.cookie = cookie
        self.old_path = old_path
        self.synthetic = synthetic
        self.asked = asked


ALL_EVENTS = syscalls.IN_ALL_EVENTS
ISDIR = syscalls.IN_ISDIR
IGNORED = syscalls.IN_IGNORED
Q_OVERFLOW = syscalls.IN_Q_OVERFLOW
_CLOSE = syscalls.IN_CLOSE

# The kernel's names, in the order of `flags`, whose module imports enum: that takes
# as long as all that this command imports of the package.
EVENTS = {
    name: int(getattr(syscalls, f"IN_{name}"))
    for name in [
        "ACCESS",
        "MODIFY",
        "ATTRIB",
        "CLOSE_WRITE",
        "CLOSE_NOWRITE",
        "OPEN",
        "MOVED_FROM",
        "MOVED_TO",
        "CREATE",
        "DELETE",
        "DELETE_SELF",
        "MOVE_SELF",
        "UNMOUNT",
        "Q_OVERFLOW",
        "IGNORED",
        "ISDIR",
    ]
}

READY = 0  # no event of the kernel's has an empty mask


def with_slash(path: str) -> str:
    """Return the path of a directory as inotifywait has it."""
    return path if path.endswith("/") else path + "/"


def path_of(record: Record) -> str:
    """Return the path of a record."""
    if record.name:
        return record.watched + record.name
    return record.watched.rstrip("/") or record.watched[:1]


def event_names(mask: int) -> list[str]:
    """Return the kernel's names of the events in a mask.

    >>> event_names(0x40000100)
    ['CREATE', 'ISDIR']
    """
    if mask == READY:
        return ["READY"]
    return [name for name, bit in EVENTS.items() if mask & bit]


class EventWords:
    """inotifywait's words for a mask: the kernel's, and CLOSE for both closes."""

    def __init__(self, separator: str = ",") -> None:
        self._separator = separator
        self._words: dict[int, str] = {}

    def __getitem__(self, mask: int) -> str:
        try:
            return self._words[mask]
        except KeyError:
            words = self._words[mask] = self._join(mask)
            return words

    def _join(self, mask: int) -> str:
        names = event_names(mask)
        if mask & _CLOSE:
            # Last but for these two: the order of inotifywait's own list.
            last = bool(mask & EVENTS["MOVE_SELF"]) + bool(mask & ISDIR)
            names.insert(len(names) - last, "CLOSE")
        return self._separator.join(names)
