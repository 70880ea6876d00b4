"""The command: inotifywait's options and output, whole trees, JSON lines."""

from __future__ import annotations

import gc
import os
import sys

from .output import open_null
from .signals import SIGPIPE, Ended, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line, and exit: see ``inotify-cffi --help``.

    Parameters:
        arguments: instead of those of the process.
    """
    # Imports leave no garbage: to look for some takes a twentieth of the time from the
    # start to "Watches established." on CPython 3.11.
    was_enabled = gc.isenabled()
    gc.disable()
    signals = Signals()
    try:
        try:
            signals.catch()
            status = _run(arguments, signals)
            signals.check()
        finally:
            signals.release()
    except Ended as came:
        _end_by(signals, came.number)
    except BrokenPipeError:
        _end_by(signals, SIGPIPE)
    finally:
        signals.close()
        if was_enabled:
            gc.enable()  # for a caller that goes on after SystemExit
    sys.exit(status)


def _run(arguments: list[str] | None, signals: Signals) -> int:
    closed = _hold_standard_streams()
    from .running import run

    given = sys.argv[1:] if arguments is None else arguments
    return run(given, signals, closed)


def _hold_standard_streams() -> frozenset[int]:
    """Open closed standard streams, so that no other file gets their descriptors.

    Returns:
        The descriptors of those that were closed.
    """
    closed = set()
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(descriptor)
            open_null()  # takes the lowest that is free
    return frozenset(closed)


def _end_by(signals: Signals, number: int) -> NoReturn:
    """End this process by the signal, so that a waiting shell sees that."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            pass
    signals.end_by(number)
    sys.exit(128 + number)  # where the signal is blocked
