"""The length of the kernel's queue, and the number of listings that fit into it."""

from __future__ import annotations

import errno
import os

_LENGTH = "/proc/sys/fs/inotify/max_queued_events"
_DEFAULT_LENGTH = 16384
# A listing of a directory queues OPEN, ACCESS twice and CLOSE_NOWRITE, in its own
# watch and in that of the directory above.
_EVENTS_OF_A_LISTING = 8


def queue_length() -> int:
    """Return how many events the queue of a new instance holds.

    Raises:
        OSError: ENOBUFS: none. Not even overflows would be known.
    """
    try:
        fd = os.open(_LENGTH, os.O_RDONLY | os.O_CLOEXEC)  # open() takes thrice as long
        try:
            length = int(os.read(fd, 64))
        finally:
            os.close(fd)
    except (OSError, ValueError):  # /proc is not there
        return _DEFAULT_LENGTH
    if length == 0:
        raise OSError(
            errno.ENOBUFS,
            "the queue holds no event: fs.inotify.max_queued_events is 0; "
            "increase it: sysctl fs.inotify.max_queued_events=16384",
        )
    return length


def listings_that_fit(length: int) -> int:
    """Return how many directories may be listed before the queue is read.

    Their events must not fill it: no more than half, for others have events in it,
    too. 0: not even those of one.
    """
    return length // (2 * _EVENTS_OF_A_LISTING + 1)
