"""One call into C watches and lists many directories.

Beside the kernel's part, a scan costs Python's work for each directory: two calls into
C, an open directory to clean up, an object for each name. Here one call scans a whole
batch, or a subtree. It leaves arrays in memory, which CPython and PyPy read alike:
`ffi.unpack` and one `decode` for all names cost CPython 0.15 us a directory, and the
kernel takes 8 us for it. So building the lists in C would save nothing measurable.
"""

from __future__ import annotations

import sys
from collections import namedtuple

from ._inotify import ffi, lib
from ._waiting import CLOSED_MESSAGE
from .instance import INotify, pointer_to
from .syscalls import os_error as os_error  # for what a result says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NamedTuple

    class Found(NamedTuple):
        wds: list[int]
        results: list[int]
        names: list[str]
        group_of: list[int]
        group_end: list[int]
        left_out: bool

    class WatchedWay(NamedTuple):
        verified: list[int]
        others: list[int]

else:
    Found = namedtuple(
        "Found", ["wds", "results", "names", "group_of", "group_end", "left_out"]
    )
    Found.__doc__ = """The result of a scan: entries, the given directories first.

    The entries of one directory form a group: they follow each other, behind that
    directory.
    """
    Found.wds.__doc__ = "The watch descriptor of each entry, or 0."
    Found.results.__doc__ = """The result for each entry: 0, it was watched and listed;
        an errno; NOT_REACHED, a directory that was not scanned; or NO_DIRECTORY."""
    Found.names.__doc__ = "The name of each entry, without the given ones."
    Found.group_of.__doc__ = "The directory of each group, as the index of an entry."
    Found.group_end.__doc__ = "The index of the entry behind each group."
    Found.left_out.__doc__ = "Whether a name was left out that is no directory's."
    WatchedWay = namedtuple("WatchedWay", ["verified", "others"])
    WatchedWay.__doc__ = "The watches that were added for a way."
    WatchedWay.verified.__doc__ = """Those of the directories to which the path led
        while they were watched, the topmost first."""
    WatchedWay.others.__doc__ = "Those of others, as the path changed meanwhile."

NOT_REACHED: int = lib.SCAN_NOT_REACHED
NO_DIRECTORY: int = lib.SCAN_NO_DIRECTORY

_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()
# In these encodings, a '/' is never part of another character or of an error.
_DECODES_TOGETHER = _ENCODING in ("utf-8", "ascii", "iso8859-1")


class BulkScanner:
    """Watches and lists directories through one instance. Not thread-safe.

    Parameters:
        inotify: the instance.
        mask: the mask of the watches, with ONLYDIR and MASK_ADD.
    """

    def __init__(self, inotify: INotify, mask: int) -> None:
        self._instance = pointer_to(inotify)
        self._mask = mask
        self._memory = ffi.gc(ffi.new("struct scan *"), lib.scan_free)

    def scan(
        self,
        paths: Sequence[str],
        *,
        follow: bool = False,
        descend: bool = False,
        only_directories: bool = False,
        limit: int,
        milliseconds: float,
    ) -> Found:
        """Watch each directory, then list it.

        An error concerns one directory. But after ENOSPC, EMFILE and the like, and
        after EINTR, the others are not scanned.

        Parameters:
            paths: paths in a form that the kernel accepts.
            follow: whether these may end in a symbolic link. Links below them are not
                followed.
            descend: whether to scan the directories that are found, too.
            only_directories: whether to leave out all other names.
            limit: the largest number of directories to scan.
            milliseconds: the time after which no further directory is begun. The first
                is always scanned.

        Raises:
            ValueError: a NUL in a path; the instance is closed.
            MemoryError: there is no memory for it.
        """
        given = "\0".join([*paths, ""]).encode(_ENCODING, _ERRORS)
        if given.count(b"\0") != len(paths):
            raise ValueError("embedded null byte in a path")
        flags = (
            (lib.SCAN_FOLLOW if follow else 0)
            | (lib.SCAN_DESCEND if descend else 0)
            | (lib.SCAN_ONLY_DIRECTORIES if only_directories else 0)
        )
        memory = self._memory
        nanoseconds = int(milliseconds * 1e6)
        size = len(given)
        if lib.scan_run(
            memory, self._instance, given, size, self._mask, flags, limit, nanoseconds
        ):
            raise MemoryError
        count, groups = memory.count, memory.groups
        if not count:
            return Found([], [], [], [], [], left_out=False)
        results = ffi.unpack(memory.results, count)
        if lib.GUARD_CLOSED in results:
            raise ValueError(CLOSED_MESSAGE)
        wds, left_out = ffi.unpack(memory.wds, count), bool(memory.left_out)
        if not groups:
            return Found(wds, results, [], [], [], left_out)
        return Found(
            wds,
            results,
            self._names(),
            ffi.unpack(memory.group_of, groups),
            ffi.unpack(memory.group_end, groups),
            left_out,
        )

    def watch_way(self, path: str, mask: int, last_mask: int) -> WatchedWay:
        """Watch the directories that a path leads through, the topmost first.

        Each is watched twice: with the same result, the path led there while it was
        watched. This ends at the first one for which that is not so, or that is not a
        directory, or may not be watched. Why is not returned.

        Parameters:
            path: an absolute path without dots and slashes that mean nothing. Links
                are not followed.
            mask: the mask for each, with ONLYDIR, DONT_FOLLOW and MASK_ADD.
            last_mask: the mask for the last one.

        Raises:
            MemoryError: there is no memory for it.
        """
        if "\0" in path:
            return WatchedWay([], [])
        memory = self._memory
        given = path.encode(_ENCODING, _ERRORS)
        if lib.scan_way(memory, self._instance, given, mask, last_mask):
            raise MemoryError
        wds = ffi.unpack(memory.wds, memory.count) if memory.count else []
        verified = len(wds)
        while verified and memory.results[verified - 1]:
            verified -= 1
        return WatchedWay(wds[:verified], wds[verified:])

    def free_memory(self) -> None:
        """Free the memory of the last scan; the next one allocates its own."""
        lib.scan_free(self._memory)

    def _names(self) -> list[str]:
        memory = self._memory
        names = bytes(ffi.buffer(memory.names, memory.names_size - 1))
        decoded = (
            names.decode(_ENCODING, _ERRORS).split("/")
            if _DECODES_TOGETHER
            else [name.decode(_ENCODING, _ERRORS) for name in names.split(b"/")]
        )
        # The same names recur: each is kept once, not once for each directory.
        return list(map({}.setdefault, decoded, decoded))  # type: ignore[arg-type]
