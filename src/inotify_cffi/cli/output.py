"""Where records and messages go."""

from __future__ import annotations

import contextlib
import os
import sys


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


def say(line: str) -> None:
    """Write a line to standard error, where there is one."""
    if sys.stderr is not None:  # else print() would take standard output
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def wants_colour(descriptor: int) -> bool:
    """Return whether colour is seen and wanted: https://no-color.org."""
    return (
        os.isatty(descriptor)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def open_outfile(path: str) -> int:
    """Open what ``--outfile`` names, to append, for its owner alone."""
    how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, how, 0o600)
