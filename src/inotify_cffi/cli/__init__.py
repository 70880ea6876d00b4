"""The command: inotifywait's habits, `TreeWatcher`'s truth, JSON lines."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from .signals import Bell, Ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Do what the command line says, and exit: see ``inotify-cffi --help``.

    Parameters:
        arguments: instead of those of the process.
    """
    _hold_standard_streams()
    bell = Bell()
    try:
        from .running import run

        status = run(sys.argv[1:] if arguments is None else arguments, bell)
    except Ended as came:
        _end_by(came.number)
    except BrokenPipeError:
        _end_by(signal.SIGPIPE)
    finally:
        bell.close()
    sys.exit(status)


def _hold_standard_streams() -> None:
    """Let nothing that is opened be taken for a standard stream that was closed."""
    while True:
        null = os.open(os.devnull, os.O_RDWR)
        if null > 2:
            os.close(null)
            return


def _end_by(number: int) -> NoReturn:
    """End as the signal ends a program: so a shell that waits knows of it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)  # where the signal is blocked
