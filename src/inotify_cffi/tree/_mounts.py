"""The mount table, and its changes.

A mount over a watched directory hides it, and the kernel queues no inotify event for
that: the old directory's watch just has nothing to report. (An unmount queues UNMOUNT
only where it ends the file system, not where one of several mounts of it goes.) But
/proc/self/mountinfo signals each change of the table to poll(2) as POLLPRI | POLLERR
(proc(5)), so no timer is needed.

Every process with such a file wakes for every change on the machine's side of its
mount namespace, and a host of containers has many. So lines that are the same as
before are not parsed.
"""

from __future__ import annotations

import errno
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from .._inotify import lib
from ..instance import pointer_to

if TYPE_CHECKING:
    from ..instance import INotify

_TABLE = "/proc/self/mountinfo"
_ESCAPED = re.compile(rb"\\([0-7]{3})")  # blank, tab, newline and backslash


class Mount(NamedTuple):
    """A line of the table."""

    mount_id: int
    """The number of the mount; a number that is free is given again."""
    device: str
    """``major:minor``."""
    source: str
    """The directory of the file system that is mounted: not ``/`` for a bind mount."""
    point: str
    """The mount point, in this process's view."""
    kind: str
    """The type of the file system, with a subtype if it has one: ``fuse.sshfs``."""


def parse(table: bytes) -> list[Mount]:
    """Return the mounts in the order of the table: later mounts come later.

    Parameters:
        table: the content of /proc/self/mountinfo. Lines without the fields that
            proc(5) has are passed over.
    """
    return [mount for line in table.splitlines() for mount in _parse_line(line)]


def _parse_line(line: bytes) -> list[Mount]:
    before, _, after = line.partition(b" - ")
    fields = before.split(b" ")
    if len(fields) < 6 or not after:
        return []
    return [
        Mount(
            int(fields[0]),
            os.fsdecode(fields[2]),
            _unescape(fields[3]),
            _unescape(fields[4]),
            os.fsdecode(after.split(b" ")[0]),
        )
    ]


def _point(line: bytes) -> str:
    """Return the mount point alone: parsing the whole line takes five times as long."""
    fields = line.split(b" ", 5)
    return _unescape(fields[4]) if len(fields) > 5 else ""


class _Points:
    """The mount points of a table.

    Parameters:
        table: the content of /proc/self/mountinfo.
    """

    # A program with many watchers has the same table for each of them. To compare two
    # of them takes less than a hash.
    last: ClassVar[_Points | None] = None

    def __init__(self, table: bytes) -> None:
        self.table = table
        # Each with its line: a later one hides an earlier one.
        self.lines = {_point(line): line for line in table.splitlines()}
        self.text = "\0" + "\0".join(self.lines)  # each behind a NUL

    @classmethod
    def of(cls, table: bytes) -> _Points:
        """Return the mount points of a table, parsed anew if it is not the last one."""
        points = cls.last
        if points is None or points.table != table:
            points = cls.last = cls(table)
        return points


@lru_cache(maxsize=1)
def _mount_of(line: bytes) -> Mount | None:
    """Return the mount of a line: most roots are on the same one as the last."""
    return next(iter(_parse_line(line)), None)


def _unescape(field: bytes) -> str:
    if b"\\" not in field:
        return os.fsdecode(field)
    return os.fsdecode(
        _ESCAPED.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)
    )


def is_at_or_below(path: str, top: str) -> bool:
    """Whether a path is equal to another one, or below it, by its names."""
    return path == top or path.startswith(top if top.endswith("/") else top + "/")


def open_table() -> int:
    """Return a descriptor of the table that signals changes as POLLPRI, or -1.

    An open file signals each change to only one call of poll(2), in any thread. So each
    code that waits for changes needs a file of its own.

    Raises:
        OSError: EMFILE, ENFILE, ENOMEM: there is a table, but it cannot be opened.
    """
    try:
        return os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return -1


class MountTable:
    """The mounts that this process sees. Not thread-safe, except `has_changed`.

    Without /proc, the table is empty and never changes.

    Parameters:
        inotify: its waits end at a change, too, until the table is closed.
    """

    def __init__(self, inotify: INotify) -> None:
        self._fd = open_table()
        self._table = self._read()
        self._instance = pointer_to(inotify)
        lib.wait_for_mounts(self._instance, self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            lib.wait_for_mounts(self._instance, -1)
            os.close(fd)

    def has_changed(self) -> bool:
        """Return whether `changes` has something to read."""
        return bool(lib.wait_mounts_changed(self._instance))

    def changes(self) -> dict[str, bool]:
        """Return the mount points that have changed since the last call.

        Returns:
            The mount points, each with whether a mount has gone from there.
        """
        # The change is taken before the table is read: a change that comes during the
        # reading is found next time.
        if not lib.wait_take_mounts_changed(self._instance) or self._fd < 0:
            return {}
        before, self._table = set(self._table.splitlines()), self._read()
        now = set(self._table.splitlines())
        # A line shows options, too: a mount that was only made read-only is the same.
        come = {mount for line in now - before for mount in _parse_line(line)}
        gone = {mount for line in before - now for mount in _parse_line(line)}
        changes = {mount.point: False for mount in come - gone}
        changes.update({mount.point: True for mount in gone - come})
        return changes

    def at(self, path: str) -> Mount | None:
        """Return the mount that a path without links is on; None if there is none."""
        lines = _Points.of(self._table).lines
        while path not in lines and "/" in path[1:]:
            path = path.rpartition("/")[0]
        line = lines.get(path) or lines.get("/")
        return None if line is None else _mount_of(line)

    def below(self, path: str) -> list[Mount]:
        """Return the visible mounts below a path without links, not at it."""
        above = path if path.endswith("/") else path + "/"
        points = _Points.of(self._table)
        if "\0" + above not in points.text:
            return []  # most roots have none
        return [
            mount
            for point, line in points.lines.items()
            if point.startswith(above) and point != path
            for mount in _parse_line(line)
        ]

    def _read(self) -> bytes:
        if self._fd < 0:
            return b""
        content = []
        os.lseek(self._fd, 0, os.SEEK_SET)
        while part := os.read(self._fd, 65536):
            content.append(part)
        return b"".join(content)
