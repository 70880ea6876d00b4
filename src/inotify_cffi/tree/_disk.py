"""Reading the disk, for paths of any length."""

from __future__ import annotations

import errno
import os
import stat

from ._listing import names_in

_LONGEST_PATH = 4000  # bytes; PATH_MAX is 4096 with the NUL, and a name is 255
SURELY_SHORT = _LONGEST_PATH // 4  # characters
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_O_PATH = getattr(os, "O_PATH", 0)  # PyPy 3.9 has it not

# errno if there is nothing to scan.
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
# errno of a failure that does not concern the directory itself.
NO_MEANS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class reachable:  # used as a function; a generator takes four times as long
    """Return a path that the kernel accepts, even if ``place`` is too long for it."""

    __slots__ = ("_fd", "_place")

    def __init__(self, place: str) -> None:
        self._place = place
        self._fd = -1

    def __enter__(self) -> str:
        place = self._place
        if len(place) <= SURELY_SHORT or len(os.fsencode(place)) <= _LONGEST_PATH:
            return place
        fd = os.open("/", _OPEN | _O_PATH)
        try:
            names = place.strip("/").split("/")
            while names:
                step = names.pop(0)
                while names and len(os.fsencode(step)) < _LONGEST_PATH - 256:
                    step = f"{step}/{names.pop(0)}"
                below = os.open(step, _OPEN | _O_PATH | os.O_NOFOLLOW, dir_fd=fd)
                os.close(fd)
                fd = below
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return f"/proc/self/fd/{fd}/."

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def listing(path: str) -> dict[str, bool]:
    """Return the names in a directory, each with whether it is a directory."""
    return names_in(path, directories_only=False)


def directories(path: str) -> dict[str, bool]:
    """Return the names of the directories in a directory, as `listing` does."""
    return names_in(path, directories_only=True)


def find(directory: str, name: str) -> bool | None:
    """Return whether a name is a directory; None if there is nothing.

    When this returns, the events of the result are in the queue. Looking up a name
    takes no lock: it can find a name that was just created or moved before the event
    of that is queued.
    """
    with reachable(directory) as path:
        kind = _kind(f"{path}/{name}")
    let_changes_finish(directory)
    return kind


def _kind(path: str) -> bool | None:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def let_changes_finish(place: str) -> None:
    """Return when every change of this directory so far has queued all its events.

    A change holds the lock of the directory until its event is in the queue, a
    rename those of both until its two halves are, and listing takes that lock.
    What cannot be listed has nothing to wait for; without the means to list it
    there is no knowing.
    """
    try:
        with reachable(place) as path, os.scandir(path) as entries:
            next(entries, None)
    except OSError as failure:
        if failure.errno in NO_MEANS:
            raise


def count_directories(places: list[str]) -> int:
    """Count directories and all below them, as far as they can be read."""
    count = 0
    stack = list(places)
    while stack:
        place = stack.pop()
        count += 1
        try:
            with reachable(place) as path:
                stack.extend(f"{place}/{name}" for name in directories(path))
        except OSError:
            continue
    return count


def is_empty(path: str) -> bool:
    """Return whether a directory has no names or is gone; False if unknown."""
    try:
        with reachable(path) as short, os.scandir(short) as entries:
            return next(entries, None) is None
    except OSError as failure:
        return failure.errno in NOT_THERE


def same_device(path: str, other: str) -> bool:
    """Return whether two paths are on one file system; True if one is missing."""
    try:
        with reachable(path) as one, reachable(other) as two:
            return os.lstat(one).st_dev == os.lstat(two).st_dev
    except OSError:
        return True
