"""The mount table, and what of it has changed.

A mount over a watched directory hides it, and the kernel queues no inotify event for
that: the old directory's watch just has nothing to report. (An unmount queues UNMOUNT
only where it ends the file system, not where one of several mounts of it goes.) But
/proc/self/mountinfo signals each change of the table to poll(2) as POLLPRI | POLLERR
(proc(5)), so no timer is needed.
"""

from __future__ import annotations

import os
import re
import select
from functools import lru_cache
from typing import NamedTuple

_TABLE = "/proc/self/mountinfo"
_ESCAPED = re.compile(rb"\\([0-7]{3})")  # blank, tab, newline and backslash
# One search of all lines takes a quarter of the time of a loop over their fields, and
# the table is read at each start.
_LINE = re.compile(
    r"^(\d+) [^ \n]+ ([^ \n]+) ([^ \n]+) ([^ \n]+) (?:[^ \n]+ )+?- ([^ \n]+)", re.M
)


class Mount(NamedTuple):
    """A line of the table."""

    mount_id: int
    """The number of the mount; a number that is free is given again."""
    device: str
    """``major:minor``."""
    source: str
    """The directory of the file system that is mounted: not ``/`` for a bind mount."""
    point: str
    """Where it is mounted, as this process sees it."""
    kind: str
    """The type of the file system, with a subtype if it has one: ``fuse.sshfs``."""


def parse(table: bytes) -> list[Mount]:
    """Return the mounts in the order of the table: what is mounted later, is later.

    Parameters:
        table: the content of /proc/self/mountinfo. Lines without the fields that
            proc(5) has are passed over.
    """
    return [
        Mount(int(mount_id), device, _unescape(source), _unescape(point), kind)
        for mount_id, device, source, point, kind in _LINE.findall(os.fsdecode(table))
    ]


# A program with many watchers reads the same table for each of them.
_parse_once = lru_cache(maxsize=1)(parse)


def _unescape(field: str) -> str:
    if "\\" not in field:
        return field
    return os.fsdecode(
        _ESCAPED.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), os.fsencode(field))
    )


def is_at_or_below(path: str, top: str) -> bool:
    """Whether a path is another one, or below it, by the names alone."""
    return path == top or path.startswith(top if top.endswith("/") else top + "/")


class MountTable:
    """The mounts that this process sees. Not thread-safe.

    Where there is no /proc, the table is empty, and nothing ever changes.
    """

    def __init__(self) -> None:
        try:
            self._fd = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1
        self._poll = select.poll()
        if self._fd >= 0:
            self._poll.register(self._fd, select.POLLPRI)
        self._mounts = self._read()

    def fileno(self) -> int:
        """Return the descriptor that signals changes as POLLPRI; -1 without one."""
        return self._fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._poll.unregister(fd)
            os.close(fd)

    def changes(self) -> dict[str, bool]:
        """Return where mounts have come or gone since this was last called.

        Returns:
            The mount points, each with whether a mount has gone from there.
        """
        # poll(2) of the table forgets the change that it reports: so the table is
        # read after it, and what comes during the reading is found next time.
        if self._fd < 0 or not self._poll.poll(0):
            return {}
        before, self._mounts = set(self._mounts), self._read()
        now = set(self._mounts)
        changes = {mount.point: False for mount in now - before}
        changes.update({mount.point: True for mount in before - now})
        return changes

    def at(self, path: str) -> Mount | None:
        """Return the mount that a path without links is on; None if there is none."""
        points = {path, "/"}
        while "/" in path[1:]:
            path = path.rpartition("/")[0]
            points.add(path)
        best = None
        for mount in self._mounts:
            # Of two at one point, the later one hides the other.
            if mount.point in points and (
                best is None or len(mount.point) >= len(best.point)
            ):
                best = mount
        return best

    def below(self, path: str) -> list[Mount]:
        """Return the visible mounts below a path without links, not at it."""
        above = path if path.endswith("/") else path + "/"
        visible = {
            mount.point: mount
            for mount in self._mounts
            if mount.point.startswith(above) and mount.point != path
        }
        return list(visible.values())

    def _read(self) -> list[Mount]:
        if self._fd < 0:
            return []
        content = []
        while part := os.read(self._fd, 65536):
            content.append(part)
        os.lseek(self._fd, 0, os.SEEK_SET)
        return _parse_once(b"".join(content))
