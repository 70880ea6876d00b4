"""The command: inotifywait's habits, `TreeWatcher`'s truth, JSON lines."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class _Signal(BaseException):
    """One of the signals that end a program has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _raise(number: int, frame: object) -> None:
    for handled in _ENDING:
        if signal.getsignal(handled) is _raise:
            signal.signal(handled, signal.SIG_DFL)  # a second one ends it at once
    raise _Signal(number)


_ENDING = (signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Do what the command line says, and exit: see ``inotify-cffi --help``.

    Parameters:
        arguments: instead of those of the process.
    """
    try:
        for number in _ENDING:
            # A shell starts background jobs with SIGINT ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _raise)
        from .running import run

        status = run(sys.argv[1:] if arguments is None else arguments)
    except _Signal as came:
        _end_by(came.number)
    except BrokenPipeError:
        _end_by(signal.SIGPIPE)
    sys.exit(status)


def _end_by(number: int) -> NoReturn:
    """End as the signal ends a program: so a shell that waits knows of it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)  # where the signal is blocked
