"""Ending by a signal, at whatever moment it comes."""

from __future__ import annotations

import contextlib
import os
import select
import signal

_ENDING = (signal.SIGINT, signal.SIGTERM)


class Ended(BaseException):
    """One of the signals that end a program has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Bell:
    """Waits for a descriptor, and lets signals raise `Ended`.

    A handler of Python's runs between two steps of the interpreter. A signal that
    comes after the last step before a system call would wait for the end of that
    call, perhaps for ever; but it writes to a pipe, which is waited for, too.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in _ENDING:
            # A shell starts background jobs with SIGINT ignored. (PyPy has taken
            # that back by now.)
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _end)

    def wait(self, descriptor: int, seconds: float | None) -> None:
        """Wait until ``descriptor`` is readable, a signal came, or time ran out."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._reading, select.POLLIN)
        poll.poll(None if seconds is None else 1000 * seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._reading, 4096)

    def close(self) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._reading)
        os.close(self._writing)


def _end(number: int, frame: object) -> None:
    for handled in _ENDING:
        if signal.getsignal(handled) is _end:
            signal.signal(handled, signal.SIG_DFL)  # a second one ends it at once
    raise Ended(number)
