"""The waits: reads that wait for the queue, or let events gather."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ._turn import Callers

if TYPE_CHECKING:
    from .._waiting import Deadline
    from ..instance import INotify


class Waits:
    """The waiting reads.

    Parameters:
        inotify: the queue.
        has_something: returns whether a read has something to return already.
    """

    def __init__(self, inotify: INotify, has_something: Callable[[], bool]) -> None:
        self._inotify = inotify
        self._has_something = has_something
        self.of_queue: set[object] = set()  # they wait for the queue, or begin to
        self.gathering = Callers()

    def wait(self, seconds: float, read_delay: float | None, end: Deadline) -> bool:
        """Wait for the queue; return False at a wake."""
        wait = object()
        self.of_queue.add(wait)
        try:
            if self._has_something():
                return True
            readable = self._inotify.wait_readable(seconds * 1000, read_delay)
        finally:
            self.of_queue.discard(wait)
        return readable or end.seconds_left() <= 0

    async def wait_as_task(
        self, seconds: float, read_delay: float | None, end: Deadline
    ) -> bool:
        """Await the queue; return False at a wake."""
        wait = object()
        self.of_queue.add(wait)
        try:
            if self._has_something():
                return True
            readable = await self._inotify.await_readable(seconds * 1000)
        finally:
            self.of_queue.discard(wait)
        if readable and read_delay:
            await self.gathering.wait_as_task(
                read_delay / 1000, lambda: self._inotify.closed
            )
        return readable or end.seconds_left() <= 0

    def wake(self) -> None:
        """End every wait; if there is none, keep the wake for the next."""
        # A read that lets events gather would leave the wake to the next wait.
        gathered = bool(self.gathering)
        self.gathering.call()
        if self.of_queue or not gathered:
            self._inotify.wake()

    def end_queue_waits(self) -> None:
        """Let those who wait for the queue see that there is something."""
        if self.of_queue:
            self._inotify.wake()

    def close(self) -> None:
        """Let those who gather events see that the watcher is closed."""
        self.gathering.call()
