"""Waiting for an instance, and ending a wait from elsewhere.

Each wait has an epoll descriptor of its own, with the instance and a bell (an
eventfd) in it. So one descriptor tells a thread, asyncio and trio alike that
there is something to do; nothing of the instance is ever registered with an
event loop; and no wait can take what was meant for another.

There is no lock, because a signal handler that calls `wake` may run in the
middle of any of these functions: every step that two threads can take at once
is one atomic operation of a set, a dict, a list or a deque (under the GIL, and
with the containers' own locks in a free-threaded build).

A signal handler may also raise between any two steps, and then the result of
the first is lost. So what only one may have is moved by `move`, and what only
one may decide is decided by dict.setdefault(), which can be asked again.
"""

from __future__ import annotations

import os
import select
import time
from _thread import get_ident  # threading takes long to import
from collections import deque
from contextlib import suppress
from itertools import repeat

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


def checked_timeout(timeout: float | None, read_delay: float | None) -> float | None:
    """Return the timeout, None for a negative one; refuse what is no time."""
    if read_delay is not None and not read_delay >= 0:
        raise ValueError(f"read_delay is no length of time: {read_delay!r}")
    if timeout is None or timeout >= 0:
        return timeout
    if timeout < 0:
        return None
    raise ValueError(f"timeout is no length of time: {timeout!r}")


def move(source: deque[Any], target: list[Any] | deque[Any]) -> None:
    """Move everything, in order; each item is always in one of the two.

    No bytecode lies between taking one and putting it, so neither a signal
    handler nor another thread that moves can come between.
    """
    # Not suppress(): it costs half a microsecond while an event waits.
    try:  # noqa: SIM105
        target.extend(map(deque.popleft, repeat(source, len(source))))
    except IndexError:  # another thread moved some of it
        pass


class Waiter:
    """The descriptors of one wait at a time: for the instance, or for its bell."""

    def __init__(self, instance: Any) -> None:
        self.forks = lib.fork_generation
        self._instance = instance
        self._bell = ffi.gc(ffi.new("struct wakeup *"), lib.wakeup_close)
        self._bell_fd = lib.wakeup_open(self._bell)
        if self._bell_fd < 0:
            syscalls.raise_os_error(-self._bell_fd)
        try:
            self._epoll = select.epoll()
        except BaseException:
            lib.wakeup_close(self._bell)
            raise
        try:
            self._join(self._epoll)
        except BaseException:
            self.close()
            raise

    def _join(self, epoll: select.epoll) -> None:
        epoll.register(self._bell_fd, select.EPOLLIN)
        result = lib.instance_join_epoll(self._instance, epoll.fileno())
        if result == -lib.GUARD_CLOSED:
            raise ValueError(CLOSED_MESSAGE)
        if result < 0:
            syscalls.raise_epoll_error(-result)

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is not what a forked child inherited: its parent's."""
        return bool(self.forks == lib.fork_generation)

    def renew(self) -> None:
        """Part from the parent of a forked child, under the same numbers.

        The wait of a thread that forks in a signal handler goes on in both.
        """
        result = lib.wakeup_renew(self._bell)
        if result < 0:
            syscalls.raise_os_error(-result)
        with select.epoll() as epoll:
            self._join(epoll)
            os.dup2(epoll.fileno(), self._epoll.fileno(), inheritable=False)
        self.forks = lib.fork_generation

    def fileno(self) -> int:
        return self._epoll.fileno()

    def ring(self) -> None:
        if self.is_of_this_process:
            lib.wakeup_signal(self._bell)

    def silence(self) -> None:
        if self.is_of_this_process:
            lib.wakeup_drain(self._bell)

    def wait(self, seconds: float) -> bool:
        """Wait for the instance or the bell; return False when time ran out.

        The handlers of signals run meanwhile, and the wait goes on (PEP 475).
        The bell is silent afterwards: who looks then misses no later ring.
        """
        ready = self._epoll.poll(seconds, 2)
        for fd, _ in ready:
            if fd == self._bell_fd:
                self.silence()
        return bool(ready)

    def wait_for_bell(self, seconds: float) -> None:
        """Wait, whatever the instance has, until the bell or the time ends it."""
        bell = select.poll()  # select.select() refuses descriptors above 1023
        bell.register(self._bell_fd, select.POLLIN)
        if bell.poll(seconds * 1000):
            self.silence()

    def close(self) -> None:
        self._epoll.close()
        lib.wakeup_close(self._bell)


class Wait:
    """One wait, from its begin to its end."""

    __slots__ = ("_lent", "_outcome", "_untold", "kept_wakes", "thread", "waiter")

    def __init__(self, waiter: Waiter, thread: int | None) -> None:
        self.waiter = waiter
        self.thread = thread
        self.kept_wakes: list[object] = []
        self._lent = deque([waiter])
        self._untold: deque[object] = deque([True])
        self._outcome: dict[None, object] = {}

    def claim(self, wake: object) -> bool:
        """Decide that ``wake`` ends this wait; False when something else did."""
        return self._outcome.setdefault(None, wake) is wake

    @property
    def woken(self) -> bool:
        return bool(self._outcome or self.kept_wakes)

    def end(self) -> bool:
        """Decide that no wake() ends this any more; return whether one did."""
        return bool(self._outcome.setdefault(None, None) or self.kept_wakes)

    def hand_on_wake(self, kept_wakes: deque[object]) -> None:
        move(self._untold, kept_wakes)

    def give_back(self, spare: deque[Waiter]) -> None:
        move(self._lent, spare)


# The waits of threads, for a fork in the midst of one.
_under_way: set[Wait] = set()


class Waiters:
    """All waits for one instance.

    A wait is three steps: `new`, then in a try `begin`, then in any case `end`,
    and once more should an exception come out of that. So the exception of a
    signal handler leaves nothing behind, wherever it strikes.
    """

    def __init__(self, instance: Any) -> None:
        self._instance = instance
        self._waiting: set[Wait] = set()
        self._spare: deque[Waiter] = deque()
        self._closed = False
        self._kept_wakes: deque[object] = deque(maxlen=1)

    def new(self, thread: int | None = None) -> Wait:
        """Return a wait: that of a thread, or of a task, which has none."""
        return Wait(self._take_waiter(), thread)

    def begin(self, wait: Wait) -> None:
        """Begin a wait; it is woken already where a wake() was kept for it."""
        if wait.thread is not None:
            _under_way.add(wait)
        self._waiting.add(wait)
        # Only now, when a wake() or close() that comes later will find it:
        if self._closed:
            raise ValueError(CLOSED_MESSAGE)
        move(self._kept_wakes, wait.kept_wakes)

    def let_gather(self, wait: Wait, deadline: Deadline) -> None:
        """Wait on, whatever the instance has, until something else ends it."""
        while not wait.woken and not self._closed:
            seconds = deadline.seconds_left()
            if seconds <= 0:
                return
            wait.waiter.wait_for_bell(seconds)

    def end(self, wait: Wait, told: bool) -> None:
        """End a wait; ``told`` says whether its caller is told of a wake()."""
        self._waiting.discard(wait)
        _under_way.discard(wait)
        if wait.end() and not told:
            wait.hand_on_wake(self._kept_wakes)  # it came too late for this wait
        wait.give_back(self._spare)
        if self._closed:
            self._close_spare()

    def wake(self) -> None:
        """End every wait; where there is none, keep that for the next."""
        wake = object()
        if self._claim_all(wake):
            return
        self._kept_wakes.append(wake)
        if self._claim_all(wake):  # a wait had begun before it could see that
            with suppress(ValueError):
                self._kept_wakes.remove(wake)

    def nudge(self) -> None:
        """Let every wait look again whether there is something for it."""
        for wait in self._waiting.copy():
            wait.waiter.ring()

    def close(self) -> None:
        self._closed = True
        self.nudge()
        self._close_spare()

    def _take_waiter(self) -> Waiter:
        while True:
            try:
                waiter = self._spare.pop()
            except IndexError:
                return Waiter(self._instance)
            if waiter.is_of_this_process:
                return waiter
            waiter.close()

    def _claim_all(self, wake: object) -> bool:
        found = False
        for wait in self._waiting.copy():
            # A forked child has the waits of threads that it has not.
            if wait.waiter.is_of_this_process:
                found |= wait.claim(wake)
                # In any case: an exception may have kept who claimed it from it.
                wait.waiter.ring()
        return found

    def _close_spare(self) -> None:
        while True:
            try:
                self._spare.pop().close()
            except IndexError:
                return


def _part_from_parent() -> None:
    for wait in _under_way.copy():
        if wait.thread == get_ident():
            wait.waiter.renew()
        else:
            _under_way.discard(wait)


os.register_at_fork(after_in_child=_part_from_parent)
