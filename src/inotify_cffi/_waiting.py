"""Timeouts, and the waits of tasks.

The wait of a thread is one call of C: see wait.h. A task, or a greenlet, has to sleep
in its event loop instead, so this module takes the same steps one by one.
"""

from __future__ import annotations

import math
import time
from collections import deque
from itertools import repeat

from . import syscalls
from ._inotify import ffi, lib
from ._instance import pointer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from ._instance import Instance

CLOSED_MESSAGE = "I/O operation on closed file"  # io.FileIO's words
_LONGEST_WAIT = 86400.0  # seconds; loops take no more than an int of milliseconds


class Deadline:
    """A point in time, or never."""

    __slots__ = ("_end",)

    def __init__(self, milliseconds: float | None) -> None:
        self._end: float | None = None
        if milliseconds is not None:
            # 0.0 has passed, whatever the time: most reads do not wait.
            self._end = time.monotonic() + milliseconds / 1000 if milliseconds else 0.0

    def seconds_left(self) -> float:
        """Return the longest wait, in seconds; 0 or less if the time has passed."""
        if self._end is None:
            return _LONGEST_WAIT
        return min(self._end - time.monotonic(), _LONGEST_WAIT)


# A float holds any such number of milliseconds.
_SHORT = 1 << 31


def checked_timeout(timeout: float | None, read_delay: float | None) -> float | None:
    """Return the timeout, None for a negative one.

    Raises:
        TypeError: an argument is not a number.
        ValueError: an argument is nan, or ``read_delay`` is negative.
    """
    # The common calls, which the rest would cost a fifth of an empty read.
    if type(timeout) is int and read_delay is None and 0 <= timeout < _SHORT:
        return timeout
    if read_delay is not None and not _milliseconds(read_delay, "read_delay") >= 0:
        raise ValueError(f"read_delay must not be negative: {read_delay!r}")
    if timeout is None or (timeout := _milliseconds(timeout, "timeout")) >= 0:
        return timeout
    return None


def _milliseconds(value: float, name: str) -> float:
    number = None
    if not isinstance(value, (str, bytes, bytearray)):  # float() would take "5"
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        except TypeError:
            pass
    if number is None:
        given = type(value).__name__
        raise TypeError(f"{name} must be a number of milliseconds, not {given}")
    if math.isnan(number):
        raise ValueError(f"{name} must be a number of milliseconds, not nan")
    return number


def move(source: deque[Any], target: list[Any] | deque[Any]) -> None:
    """Move everything, in order; each item is always in one of the two.

    No bytecode lies between taking one and putting it, so neither a signal
    handler nor another thread that moves can come between.
    """
    try:  # noqa: SIM105
        target.extend(map(deque.popleft, repeat(source, len(source))))
    except IndexError:  # another thread moved some of it
        pass


def raise_error(number: int, path: syscalls.Path | None = None) -> NoReturn:
    """Raise the exception for a negative result of the instance."""
    if number == -lib.GUARD_CLOSED:
        raise ValueError(CLOSED_MESSAGE)
    syscalls.raise_os_error(-number, path)


class Wait:
    """One wait of a task, whose event loop sleeps for it.

    It takes three steps: create it; in a try, `begin`; in a finally, `end`. So the
    exception of a signal handler leaves nothing behind, wherever it is raised. A wait
    that was not ended ends when it is collected.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance  # the C refers to it
        self._wait = ffi.gc(ffi.new("struct wait *"), lib.wait_drop)
        self._reported = False

    def begin(self, timeout: float | None) -> None:
        """Begin to wait; ``timeout`` is in milliseconds.

        Raises:
            OSError: EMFILE, ENFILE; ENOSPC, the limit of epoll.
            ValueError: the instance is closed.
        """
        milliseconds = -1 if timeout is None else timeout
        pointer = pointer_of(self._instance)
        with_epoll = True
        result = lib.wait_begin(self._wait, pointer, milliseconds, with_epoll)
        if result == -lib.GUARD_CLOSED:
            raise_error(result)
        if result < 0:
            syscalls.raise_epoll_error(-result)

    def end(self) -> None:
        """End it. If a wake came too late for it, that is kept for the next wait."""
        lib.wait_end(self._wait, self._reported)

    def fileno(self) -> int:
        """Return a descriptor, readable at an event or if `goes_on` changes."""
        return lib.wait_epoll_fd(self._wait)

    def wakeup_fileno(self) -> int:
        """Return a descriptor, readable if `goes_on` changes."""
        return lib.wait_wakeup_fd(self._wait)

    def seconds_left(self) -> float:
        """Return the longest sleep, in seconds."""
        milliseconds = lib.wait_remaining(self._wait)
        if milliseconds < 0:
            return _LONGEST_WAIT
        return min(milliseconds / 1000, _LONGEST_WAIT)

    def goes_on(self, *, whatever_the_time: bool = False) -> bool:
        """Return whether the wait continues; False after `wake`, or after its time.

        Raises:
            ValueError: the instance is closed.
        """
        state = lib.wait_check(self._wait)
        if state < 0:
            raise_error(state)
        if state == lib.WAIT_WOKEN:
            self._reported = True
            return False
        return whatever_the_time or state != lib.WAIT_TIMED_OUT
