"""The engine: lets threads and tasks work on the trees, wait, and take events.

Whoever reads works: it takes the turn, and lets the tracker advance in slices. After
each slice the events are put where everybody takes them from without the turn. So a
read whose time is over returns, whoever works; and a task awaits between two slices.
"""

from __future__ import annotations

import os
import time
import warnings
from collections import deque
from contextlib import suppress
from typing import Callable

from .._awaiting import running_backend
from .._waiting import Deadline, checked_timeout, move
from ..instance import INotify
from ._readiness import Readiness
from ._tracker import Tracker
from ._turn import Callers, Token, Turn
from .events import TreeEvent

# How long one slice lasts, in seconds: so long does a task keep its loop.
_SLICE = 0.005
# How long a read that has events works on, in seconds, where more keep coming.
_ENOUGH = 0.05
# A day, in seconds: whoever waits longer looks again.
_LONG = 86400.0


class _Forks:
    """How many forks lie between the first process and this one."""

    count = 0

    @classmethod
    def add(cls) -> None:
        cls.count += 1


os.register_at_fork(after_in_child=_Forks.add)


class Work:
    """What a read or an add wants to be done, and until when."""

    __slots__ = ("_begun", "deadline", "is_barrier")

    def __init__(self, deadline: Deadline, *, is_barrier: bool) -> None:
        self.deadline = deadline
        self.is_barrier = is_barrier  # whatever the time, work until all is done
        self._begun = time.monotonic()

    def seconds_left(self) -> float:
        """Return how long to wait for the turn at most."""
        return _LONG if self.is_barrier else max(0.0, self.deadline.seconds_left())

    def is_over(self, *, has_events: bool) -> bool:
        """Return whether to stop, though not all is done."""
        if self.is_barrier:
            return False
        if self.deadline.seconds_left() <= 0:
            return True
        return has_events and time.monotonic() - self._begun >= _ENOUGH


class Engine:
    """A tracker, the events that nobody has taken yet, and those who wait for them."""

    def __init__(
        self, mask: int, exclude: Callable[[str], bool] | None, *, initial: bool
    ) -> None:
        self._initial = initial
        self.inotify = INotify(nonblocking=True)
        self.tracker = Tracker(self.inotify, mask, exclude)
        self._process = _Forks.count
        self._pid = os.getpid()
        self._turn = Turn()
        # Threads append and take at once, each in one atomic step.
        self._events: deque[TreeEvent] = deque()
        self._is_done = True  # or the tracker has work left from its last slice
        self._waits: set[object] = set()  # those who wait for the queue, or begin to
        self._gathering = Callers()
        self._readiness: dict[None, Readiness] = {}

    # ---- state -----------------------------------------------------------------

    def check(self) -> None:
        """Raise unless this may be used.

        Raises:
            ValueError: it is closed.
            RuntimeError: this is a forked child, and it is the parent's.
        """
        self.inotify.fileno()  # refuses when closed
        if self._process != _Forks.count:
            raise RuntimeError(
                f"this TreeWatcher is of the process {self._pid}, which has forked: "
                "close it here, and make one of your own"
            )

    def fileno(self) -> int:
        self.check()
        readiness = self._readiness.get(None)
        if readiness is None:
            readiness = Readiness(self.inotify.fileno())
            kept = self._readiness.setdefault(None, readiness)
            if kept is not readiness:  # another thread was first
                readiness.close()
            self._show_readiness()
            return kept.fileno()
        return readiness.fileno()

    def wake(self) -> None:
        if not self.inotify.closed:
            self.check()
        # Who gathers waits for no queue, and would leave the wake to the next wait.
        gathered = bool(self._gathering)
        self._gathering.call()
        if self._waits or not gathered:
            self.inotify.wake()

    def close(self) -> None:
        self.inotify.close()
        readiness = self._readiness.get(None)
        if readiness is not None:
            readiness.close()
        self._gathering.call()
        self._turn.callers.call()
        # Whoever has the turn, perhaps the code that a signal handler interrupts with
        # this, lets the model go when it gives the turn back.
        token = Token()
        try:
            self._turn.take(token)
        finally:
            self._give_back(token)

    # ---- roots -----------------------------------------------------------------

    def add(self, path: str) -> None:
        """Add a root, and scan it to its last directory."""
        work = Work(Deadline(None), is_barrier=True)
        token = self._take_turn_for_change()
        try:
            self.tracker.add_root(path, silent=not self._initial)
            self._work(work)
        finally:
            self._give_back(token)
            self._wake_reader()
        self._warn(stacklevel=4)

    async def aadd(self, path: str) -> None:
        """Add a root, and scan it to its last directory, as a task."""
        self.check()
        self._refuse_reentry()
        work = Work(Deadline(None), is_barrier=True)
        begin = _Once(lambda: self.tracker.add_root(path, silent=not self._initial))
        await running_backend().checkpoint()
        try:
            await self._work_as_task(work, begin)
        finally:
            self._wake_reader()
        self._warn(stacklevel=4)

    def remove(self, path: str) -> bool:
        """Remove a root; return whether it was one."""
        token = self._take_turn_for_change()
        try:
            return self.tracker.remove_root(path)
        finally:
            self._give_back(token)
            self._wake_reader()

    # ---- reading ---------------------------------------------------------------

    def read(
        self, timeout: float | None, read_delay: float | None, most: int | None = None
    ) -> list[TreeEvent]:
        self.check()
        limit = checked_timeout(timeout, read_delay)
        if self._turn.is_mine():
            return []  # what this interrupts will be given the events
        work = Work(Deadline(limit), is_barrier=limit == 0)
        while True:
            done = self._wait_and_work(work)
            events = self._take(most)
            seconds = work.deadline.seconds_left()
            if events or seconds <= 0 or not self.tracker.has_roots():
                return events
            if done and not self._wait(seconds, read_delay, work):
                self._wait_and_work(_last_work())
                return self._take(most)

    async def aread(
        self, timeout: float | None, read_delay: float | None, most: int | None = None
    ) -> list[TreeEvent]:
        self.check()
        limit = checked_timeout(timeout, read_delay)
        await self.inotify.await_readable(0)  # lets other tasks run
        if self._turn.is_mine():
            return []
        work = Work(Deadline(limit), is_barrier=limit == 0)
        while True:
            done = await self._work_as_task(work, _Once(self.tracker.begin))
            events = self._take(most)
            seconds = work.deadline.seconds_left()
            if events or seconds <= 0 or not self.tracker.has_roots():
                return events
            if done and not await self._wait_as_task(seconds, read_delay, work):
                await self._work_as_task(_last_work(), _Once(self.tracker.begin))
                return self._take(most)

    def next(self) -> TreeEvent | None:
        """Wait for the next event; None when no root is left."""
        self.check()
        while True:
            with suppress(IndexError):
                return self._events.popleft()
            events = self.read(None, None, 1)
            if events:
                return events[0]
            if not self.tracker.has_roots():
                return None

    async def anext(self) -> TreeEvent | None:
        """Await the next event; None when no root is left."""
        self.check()
        while True:
            with suppress(IndexError):
                return self._events.popleft()
            events = await self.aread(None, None, 1)
            if events:
                return events[0]
            if not self.tracker.has_roots():
                return None

    def _take(self, most: int | None) -> list[TreeEvent]:
        """Take events; what is beyond ``most`` is left to whoever is next."""
        events: list[TreeEvent] = []
        try:
            self._warn(stacklevel=5 if most is None else 6)  # the line that reads
            move(self._events, events)
            if most is not None:
                self._events.extendleft(reversed(events[most:]))
                del events[most:]
            return events
        except BaseException:
            self._events.extendleft(reversed(events))
            raise
        finally:
            self._wake_reader()
            self._show_readiness()

    def _warn(self, stacklevel: int) -> None:
        while (warning := self.tracker.take_warning()) is not None:
            warnings.warn(warning, stacklevel=stacklevel)

    # ---- working ---------------------------------------------------------------

    def _take_turn_for_change(self) -> Token:
        self.check()
        self._refuse_reentry()
        token = Token()
        try:
            while not self._turn.take(token):
                self._turn.callers.wait(_LONG, self._turn.is_free)
                self.check()
        except BaseException:
            self._give_back(token)
            raise
        return token

    def _refuse_reentry(self) -> None:
        if self._turn.is_mine():
            raise RuntimeError(
                "a signal handler or an exclude cannot change the roots in the midst "
                "of another call"
            )

    def _wait_and_work(self, work: Work) -> bool:
        """Work when it is this thread's turn; return whether all is done."""
        token = Token()
        try:
            while not self._turn.take(token):
                if self._need_not_wait(work):
                    return False
                self._turn.callers.wait(work.seconds_left(), self._turn.is_free)
                self.check()
            self.tracker.begin()
            return self._work(work)
        finally:
            self._give_back(token)

    def _work(self, work: Work) -> bool:
        while not self._slice(work):
            if work.is_over(has_events=bool(self._events)):
                return False
        return True

    async def _work_as_task(self, work: Work, begin: Callable[[], None]) -> bool:
        """Work in slices, whenever nobody else does; return whether all is done."""
        backend = running_backend()
        while True:
            token = Token()
            try:
                taken = self._turn.take(token)
                if taken:
                    begin()
                    if self._slice(work):
                        return True
            finally:
                self._give_back(token)
            if taken:
                if work.is_over(has_events=bool(self._events)):
                    return False
                await backend.checkpoint()
            else:
                if self._need_not_wait(work):
                    return False
                is_free = self._turn.is_free
                await self._turn.callers.wait_as_task(work.seconds_left(), is_free)
            self.check()

    def _need_not_wait(self, work: Work) -> bool:
        """Return whether somebody else's work is enough, or the time is over."""
        has_events = bool(self._events)
        return work.is_over(has_events=has_events) or (
            has_events and not work.is_barrier
        )

    def _slice(self, work: Work) -> bool:
        """Let the tracker advance for a slice; give its events out."""
        end = time.monotonic() + _SLICE
        if not work.is_barrier:
            end = min(end, time.monotonic() + work.deadline.seconds_left())
        try:
            self._is_done = self.tracker.advance(lambda: time.monotonic() >= end)
        finally:
            self.tracker.move_events(self._events)
            self._turn.callers.call()
            self._show_readiness()
        return self._is_done

    def _give_back(self, token: Token) -> None:
        if self.inotify.closed and self._turn.take(token):
            self.tracker.close()
        self._turn.give_back(token)

    # ---- waiting ---------------------------------------------------------------

    def _wait(self, seconds: float, read_delay: float | None, work: Work) -> bool:
        """Wait for the queue; return False at a wake."""
        wait = object()
        self._waits.add(wait)
        try:
            if self._has_something():
                return True
            readable = self.inotify.wait_readable(seconds * 1000, read_delay)
        finally:
            self._waits.discard(wait)
        return readable or work.deadline.seconds_left() <= 0

    async def _wait_as_task(
        self, seconds: float, read_delay: float | None, work: Work
    ) -> bool:
        wait = object()
        self._waits.add(wait)
        try:
            if self._has_something():
                return True
            readable = await self.inotify.await_readable(seconds * 1000)
        finally:
            self._waits.discard(wait)
        if readable and read_delay:
            await self._gathering.wait_as_task(
                read_delay / 1000, lambda: self.inotify.closed
            )
        return readable or work.deadline.seconds_left() <= 0

    def _has_something(self) -> bool:
        return bool(self._events) or not self.tracker.has_roots()

    def _wake_reader(self) -> None:
        """End the wait of a read that has something to return, or no root left."""
        if self._waits and self._has_something():
            self.inotify.wake()

    def _show_readiness(self) -> None:
        readiness = self._readiness.get(None)
        if readiness is None:
            return
        readiness.set(pending=bool(self._events) or not self._is_done)
        if self._events:  # another thread put them there in between
            readiness.set(pending=True)


def _last_work() -> Work:
    """What is done at a wake, before the read returns."""
    return Work(Deadline(_SLICE * 1000), is_barrier=False)


class _Once:
    """A function that is called the first time only."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
