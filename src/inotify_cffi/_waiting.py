"""Waiting for an instance, and ending a wait from elsewhere.

Each wait has an epoll descriptor of its own, with the instance and a bell (an
eventfd) in it. So one descriptor tells a thread, asyncio and trio alike that
there is something to do; nothing of the instance is ever registered with an
event loop; and no wait can take what was meant for another.

There is no lock, because a signal handler that calls `wake` may run in the
middle of any of these functions: every step that two threads can take at once
is one atomic operation of a set, a list or a deque (under the GIL, and with
the containers' own locks in a free-threaded build).
"""

from __future__ import annotations

import os
import select
import time
from collections import deque

from . import syscalls
from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLOSED_MESSAGE = "I/O operation on closed file"  # io.FileIO's words
_LONGEST_WAIT = 86400.0  # seconds; epoll_wait(2) takes milliseconds in an int


class Deadline:
    """A point in time, or never."""

    __slots__ = ("_end",)

    def __init__(self, milliseconds: float | None) -> None:
        self._end: float | None = None
        if milliseconds is not None:
            self._end = time.monotonic() + milliseconds / 1000

    def seconds_left(self) -> float:
        """Return how long to wait at most, in seconds; 0 or less: it has passed."""
        if self._end is None:
            return _LONGEST_WAIT
        return min(self._end - time.monotonic(), _LONGEST_WAIT)


class Waiter:
    """One wait at a time: for the instance, or for its bell."""

    def __init__(self, instance: Any) -> None:
        self.process = os.getpid()
        self._armed: list[bool] = []
        self._bell = ffi.new("struct bell *")
        self._bell_fd = lib.bell_open(self._bell)
        if self._bell_fd < 0:
            syscalls.raise_os_error(-self._bell_fd)
        try:
            self._epoll = select.epoll()
        except BaseException:
            lib.bell_close(self._bell)
            raise
        try:
            self._epoll.register(self._bell_fd, select.EPOLLIN)
            result = lib.instance_join_epoll(instance, self._epoll.fileno())
            if result == -lib.CLOSED:
                raise ValueError(CLOSED_MESSAGE)
            if result < 0:
                syscalls.raise_os_error(-result)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._epoll.fileno()

    def arm(self) -> None:
        self._armed[:] = (True,)

    def claim(self) -> bool:
        """Decide how the wait ends: True for the first who calls this."""
        try:
            return self._armed.pop()
        except IndexError:
            return False

    @property
    def woken(self) -> bool:
        return not self._armed

    def ring(self) -> None:
        if self.process == os.getpid():  # forked: the bell is still the parent's
            lib.bell_ring(self._bell)

    def silence(self) -> None:
        lib.bell_silence(self._bell)

    def wait(self, seconds: float) -> bool:
        """Wait for the instance or the bell; return False when time ran out.

        The handlers of signals run meanwhile, and the wait goes on (PEP 475).
        """
        return bool(self._epoll.poll(seconds, 1))

    def wait_for_bell(self, seconds: float) -> None:
        """Wait, whatever the instance has, until the bell or the time ends it."""
        bell = select.poll()  # select.select() refuses descriptors above 1023
        bell.register(self._bell_fd, select.POLLIN)
        bell.poll(seconds * 1000)

    def close(self) -> None:
        self._epoll.close()
        lib.bell_close(self._bell)

    def __del__(self) -> None:
        if hasattr(self, "_epoll"):  # __init__ went that far
            self.close()


class Waiters:
    """All waits for one instance.

    A wait is three steps: `take`, then in a try `begin`, then in its finally
    `end`. So the exception of a signal handler leaves nothing behind, wherever
    it strikes.
    """

    def __init__(self, instance: Any) -> None:
        self._instance = instance
        self._waiting: set[Waiter] = set()
        self._spare: deque[Waiter] = deque()
        self._closed = False
        self._wake_kept = False

    def take(self) -> Waiter:
        while True:
            try:
                waiter = self._spare.pop()
            except IndexError:
                return Waiter(self._instance)
            if waiter.process == os.getpid():
                return waiter
            waiter.close()  # forked: its epoll and its bell are the parent's

    def begin(self, waiter: Waiter) -> None:
        """Begin a wait; it is woken already where a wake() was kept for it."""
        waiter.arm()
        self._waiting.add(waiter)
        # Only now, when a wake() or close() that comes later will find it:
        if self._closed:
            raise ValueError(CLOSED_MESSAGE)
        if self._wake_kept:
            self._wake_kept = False
            waiter.claim()

    def end(self, waiter: Waiter, told: bool) -> None:
        """End a wait; ``told`` says whether its caller is told of a wake()."""
        self._waiting.discard(waiter)
        if not waiter.claim() and not told:
            self._wake_kept = True  # it came too late for this wait
        self._spare.append(waiter)
        if self._closed:
            self._close_spare()

    def wake(self) -> None:
        """End every wait; where there is none, keep that for the next."""
        if not self._claim_all():
            self._wake_kept = True
            self._claim_all()  # a wait may have begun before it could see that

    def nudge(self) -> None:
        """Let every wait look again whether there is something for it."""
        for waiter in self._waiting.copy():
            waiter.ring()

    def close(self) -> None:
        self._closed = True
        self.nudge()
        self._close_spare()

    def _claim_all(self) -> bool:
        found = False
        for waiter in self._waiting.copy():
            # A forked child has the waits of threads that it has not.
            if waiter.process == os.getpid() and waiter.claim():
                found = True
                waiter.ring()
        return found

    def _close_spare(self) -> None:
        while True:
            try:
                self._spare.pop().close()
            except IndexError:
                return
