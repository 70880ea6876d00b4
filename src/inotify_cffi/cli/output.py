"""The output of records."""

from __future__ import annotations

import os
import stat

# A write of at most this number of bytes into a pipe or FIFO stays in one piece,
# even if others write there: pipe(7). In POSIX, that is 512 at least; in Linux, 4096.
_PIPE_BUF = 4096


class Output:
    """Writes records to a descriptor, each in one piece.

    Parameters:
        descriptor: where they go.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._shared = stat.S_ISFIFO(os.fstat(descriptor).st_mode)

    def write(self, records: list[str]) -> None:
        """Write records.

        Raises:
            OSError: they cannot be written.
        """
        encoded = [os.fsencode(record) for record in records]
        if not self._shared:
            write_all(self.descriptor, b"".join(encoded))
            return
        for piece in _pieces(encoded):
            write_all(self.descriptor, piece)


def _pieces(records: list[bytes]) -> list[bytes]:
    """Join records to pieces of PIPE_BUF at most; one that is longer is alone.

    >>> [len(piece) for piece in _pieces([b"a" * 3000, b"b" * 3000, b"c" * 1000])]
    [3000, 4000]
    """
    pieces: list[bytes] = []
    joined: list[bytes] = []
    size = 0
    for record in records:
        if joined and size + len(record) > _PIPE_BUF:
            pieces.append(b"".join(joined))
            joined, size = [], 0
        joined.append(record)
        size += len(record)
    return [*pieces, b"".join(joined)] if joined else pieces


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``.

    Raises:
        OSError: it cannot be written.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # somebody made the pipe non-blocking
            import select

            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


def wants_colour(descriptor: int) -> bool:
    """Return whether colour is possible and wanted: https://no-color.org."""
    return (
        os.isatty(descriptor)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def open_outfile(path: str) -> int:
    """Open the file of ``--outfile``, to append, with access only for its owner."""
    how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, how, 0o600)


def open_null() -> int:
    """Open a descriptor that discards everything, or else an unwritable one."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:  # a chroot without devices
        return os.open("/", os.O_RDONLY)
