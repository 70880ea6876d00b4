"""Records of paths, each watched for itself."""

from __future__ import annotations

import os

from .. import syscalls
from .records import IGNORED, ISDIR, Q_OVERFLOW, Record, with_slash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .filters import Filter


class Paths:
    """Each path for itself: what inotifywait does without ``-r``.

    By `syscalls`: `INotify`, whose reads can be stopped, shared and awaited, takes
    longer to import than all of this.

    Parameters:
        paths: what to watch.
        mask: what is asked for.
        follow: whether a symbolic link stands for what it leads to.
        passes: what is reported; None: all.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM; the text says which limit it was.
    """

    def __init__(
        self, paths: Sequence[str], mask: int, follow: bool, passes: Filter | None
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
        mask = self._mask if self._follow else self._mask | syscalls.IN_DONT_FOLLOW
        for path in self._paths:
            wd = syscalls.add_watch(self._fd, path, mask)
            is_directory = os.path.isdir(path) and (
                self._follow or not os.path.islink(path)
            )
            watched = with_slash(path) if is_directory else path
            self._watched.setdefault(wd, watched)

    @property
    def alive(self) -> bool:
        """Whether anything is left to watch."""
        return bool(self._watched)

    def read(self) -> list[Record] | None:
        """Return the records of new events, without waiting; None if there are none."""
        if not self._watched:
            return []
        events = syscalls.read_events(self._fd)
        if not events:
            return None
        passes = self._passes
        if passes is not None:
            passes.refresh()
        records: list[Record] = []
        asked = self._mask
        watched = self._watched
        for wd, mask, cookie, _, name in events:
            if mask & (IGNORED | Q_OVERFLOW):
                self._end_watch_or_overflow(wd, mask, records)
                continue
            place = watched.get(wd, "")
            if passes is None or passes(place + name, mask & ISDIR != 0):
                records.append(
                    Record(place, name, mask, cookie=cookie, asked=mask & asked != 0)
                )
        return records

    def _end_watch_or_overflow(self, wd: int, mask: int, records: list[Record]) -> None:
        asked = mask & self._mask != 0
        if mask & Q_OVERFLOW:
            records.extend(
                Record(place, "", mask, asked=asked) for place in self._watched.values()
            )
            return
        place = self._watched.pop(wd, None)
        if place is not None and (self._passes is None or self._passes(place)):
            records.append(Record(place, "", mask, asked=asked))

    def close(self) -> None:
        os.close(self._fd)
