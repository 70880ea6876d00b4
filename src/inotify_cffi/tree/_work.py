"""The work: threads and tasks let the tracker advance, in slices, one at a time.

After each slice the events are put where everybody takes them from without the turn.
So a read returns at its timeout, even if another one works; a task awaits between two
slices.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Callable

from .._awaiting import running_backend
from .._waiting import Deadline, move
from ._tracker import Tracker
from ._turn import Token, Turn

if TYPE_CHECKING:
    from .events import TreeEvent

# The length of a slice, in seconds; a task blocks its loop for this time.
_SLICE = 0.005
# How long a read that has events continues, in seconds, while more keep coming.
_ENOUGH = 0.05
# A day, in seconds: a longer wait continues after that.
_LONG = 86400.0


class Work:
    """A request of a read or an add, and its deadline."""

    __slots__ = ("_begun", "deadline", "is_barrier")

    def __init__(self, deadline: Deadline, *, is_barrier: bool) -> None:
        self.deadline = deadline
        self.is_barrier = is_barrier  # whatever the time, work until all is done
        self._begun = 0.0 if is_barrier else time.monotonic()

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

    @classmethod
    def at_wake(cls) -> Work:
        """The work at a wake, before the read returns."""
        return cls(Deadline(_SLICE * 1000), is_barrier=False)


class Worker:
    """The tracker, whose turn it is to let it advance, and the events it gave out.

    Parameters:
        tracker: the tracker.
        check: raises what has to end all work: it is closed, or a forked child's.
        is_closed: returns whether it is closed.
        published: is called when events were given out.
    """

    def __init__(
        self,
        tracker: Tracker,
        check: Callable[[], None],
        is_closed: Callable[[], bool],
        published: Callable[[], None],
    ) -> None:
        self.tracker = tracker
        self.turn = Turn()
        # Threads append and take at once, each in one atomic step.
        self.events: deque[TreeEvent] = deque()
        self._reported = tracker.output.events
        self.is_done = True  # or the tracker has work left from its last slice
        self._check = check
        self._is_closed = is_closed
        self._published = published

    def has_events(self) -> bool:
        """Return whether there are events that nobody has taken."""
        return bool(self.events)

    def publish_no_more(self) -> None:
        """Tell nobody of events any more."""
        self._published = _nothing

    def take_turn(self) -> Token:
        """Take the turn to change the roots; wait for it as long as it takes."""
        self._check()
        self.refuse_reentry()
        token = Token()
        try:
            while not self.turn.take(token):
                self.turn.callers.wait(_LONG, self.turn.is_free)
                self._check()
        except BaseException:
            self.give_back(token)
            raise
        return token

    def refuse_reentry(self) -> None:
        """Raise when what this thread interrupts is in the midst of its work."""
        if self.turn.is_mine():
            raise RuntimeError(
                "a signal handler or an exclude cannot change the roots in the midst "
                "of another call"
            )

    def wait_and_work(self, work: Work) -> bool:
        """Work when it is this thread's turn; return whether all is done."""
        token = Token()
        try:
            while not self.turn.take(token):
                if self._need_not_wait(work):
                    return False
                self.turn.callers.wait(work.seconds_left(), self.turn.is_free)
                self._check()
            self.tracker.begin()
            return self.work(work)
        finally:
            self.give_back(token)

    def work(self, work: Work) -> bool:
        """Work, having the turn; return whether all is done."""
        while not self._slice(work):
            if work.is_over(has_events=bool(self.events)):
                return False
        return True

    async def work_as_task(self, work: Work, begin: Callable[[], None]) -> bool:
        """Work in slices, whenever nobody else does; return whether all is done."""
        backend = running_backend()
        while True:
            token = Token()
            try:
                taken = self.turn.take(token)
                if taken:
                    begin()
                    if self._slice(work):
                        return True
            finally:
                self.give_back(token)
            if taken:
                if work.is_over(has_events=bool(self.events)):
                    return False
                await backend.checkpoint()
            else:
                if self._need_not_wait(work):
                    return False
                is_free = self.turn.is_free
                await self.turn.callers.wait_as_task(work.seconds_left(), is_free)
            self._check()

    def _need_not_wait(self, work: Work) -> bool:
        """Return whether somebody else's work is enough, or the time is over."""
        has_events = bool(self.events)
        return work.is_over(has_events=has_events) or (
            has_events and not work.is_barrier
        )

    def _slice(self, work: Work) -> bool:
        """Let the tracker advance for a slice; give its events out."""
        end = time.monotonic() + _SLICE
        if not work.is_barrier:
            end = min(end, time.monotonic() + work.deadline.seconds_left())
        try:
            self.is_done = self.tracker.advance(lambda: time.monotonic() >= end)
        finally:
            move(self._reported, self.events)
            self.turn.callers.call()
            self._published()
        return self.is_done

    def give_back(self, token: Token) -> None:
        """Give the turn back, if it was taken; let the model of what is closed go."""
        if self._is_closed() and self.turn.take(token):
            self.tracker.close()
        self.turn.give_back(token)


def _nothing() -> None:
    """Do nothing."""


class Once:
    """A function that is called the first time only."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
