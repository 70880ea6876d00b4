"""Whether anybody has a file open for writing: asked of the kernel by a read lease.

A read lease on a file (fcntl(2), F_SETLEASE with F_RDLCK) is refused with EAGAIN
while the file is open for writing, by whatever process and name: the kernel counts
the writers of an inode (`check_conflicting_open` in fs/locks.c). It is given up at
once. A writer who opens the file in between waits for that, some microseconds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat

COMPLETE = "complete"
OPEN = "open"
GONE = "gone"
UNKNOWN = "unknown"  # a lease cannot be had

_HOW = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
# The signal that the kernel sends to this process if a writer opens the file while the
# lease is held. The default, SIGIO, would end the process; this one is ignored.
_SIGNAL = signal.SIGURG


def state(path: str) -> str:
    """Return whether a file is complete: nobody has it open for writing.

    Returns:
        `COMPLETE`, also for anything but a regular file; `OPEN`; `GONE`: nothing is at
        the path; `UNKNOWN`: it may not be read, or belongs to another user (only the
        owner may have a lease, or CAP_LEASE), or its file system has no leases.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return COMPLETE  # opening a FIFO or a device may have effects
        fd = os.open(path, _HOW)
    except (FileNotFoundError, NotADirectoryError):
        return GONE
    except OSError:
        return UNKNOWN
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, _SIGNAL)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as failure:
        return OPEN if failure.errno == errno.EAGAIN else UNKNOWN
    finally:
        os.close(fd)  # this gives the lease up, too
    return COMPLETE
