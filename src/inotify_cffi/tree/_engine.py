"""The engine: lets threads and tasks read, wait, change the roots and close."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._awaiting import running_backend
from .._waiting import Deadline, checked_timeout, move
from ..instance import INotify
from ..syscalls import os_error
from ._logging import log
from ._readiness import Readiness
from ._tracker import Tracker
from ._turn import Token
from ._waits import Waits
from ._work import Once, Work, Worker
from .events import TreeEvent

if TYPE_CHECKING:
    from ._exclude import ExcludeArgument


class _Forks:
    """How many forks lie between the first process and this one."""

    count = 0

    @classmethod
    def add(cls) -> None:
        cls.count += 1


os.register_at_fork(after_in_child=_Forks.add)


class _Owner:
    """The process that may use a watcher, as long as that is not closed."""

    def __init__(self, inotify: INotify) -> None:
        self._inotify = inotify
        self._process = _Forks.count
        self._pid = os.getpid()

    def check(self) -> None:
        """Raise what `Engine.check` does."""
        self._inotify.fileno()  # refuses when closed
        if self.has_forked():
            raise RuntimeError(
                f"this TreeWatcher is of the process {self._pid}, which has forked: "
                "close it here, and make one of your own"
            )

    def has_forked(self) -> bool:
        """Return whether this is a forked child."""
        return self._process != _Forks.count

    def is_closed(self) -> bool:
        return self._inotify.closed


class Engine:
    """A tracker, the events that nobody has taken yet, and those who wait for them.

    Its parts do not refer to it, once it is closed: so all of it is freed with the last
    reference, and is not left to the garbage collector.
    """

    def __init__(
        self,
        mask: int,
        exclude: ExcludeArgument | None,
        *,
        initial: bool,
        recursive: bool = True,
        one_file_system: bool = False,
        missing_ok: bool = False,
    ) -> None:
        self._initial = initial
        self._missing_ok = missing_ok
        self.inotify = INotify(nonblocking=True)
        try:
            self.tracker = Tracker(
                self.inotify,
                mask,
                exclude,
                recursive=recursive,
                one_file_system=one_file_system,
            )
        except BaseException:
            self.inotify.close()
            raise
        self._warnings = self.tracker.output.warnings
        self._owner = owner = _Owner(self.inotify)
        self._worker = Worker(
            self.tracker, owner.check, owner.is_closed, self._show_readiness
        )
        self._waits = Waits(self.inotify, self._worker.has_events)
        self._readiness: dict[None, Readiness] = {}

    # ---- state -----------------------------------------------------------------

    def check(self) -> None:
        """Raise if this may not be used.

        Raises:
            ValueError: it is closed.
            RuntimeError: this is a forked child, and it is the parent's.
        """
        self._owner.check()

    def fileno(self) -> int:
        self.check()
        if not self._readiness:
            readiness = Readiness(self.inotify.fileno())
            if self._readiness.setdefault(None, readiness) is not readiness:
                readiness.close()  # another thread was first
            self._show_readiness()
        return self._readiness[None].fileno()

    def wake(self) -> None:
        if not self.inotify.closed:
            self.check()
        self._waits.wake()

    def close(self) -> None:
        self.inotify.close()
        if self._owner.has_forked():
            # A thread of the parent may have the turn, and would never give it back.
            self.tracker.mounts.close()
        readiness = self._readiness.get(None)
        if readiness is not None:
            readiness.close()
        self._waits.close()
        self._worker.publish_no_more()
        self._worker.turn.callers.call()
        # The holder of the turn, perhaps code that a signal handler interrupts with
        # this, frees the model when it gives the turn back.
        token = Token()
        try:
            self._worker.turn.take(token)
        finally:
            self._worker.give_back(token)

    # ---- roots -----------------------------------------------------------------

    def add(self, paths: Iterable[str]) -> None:
        """Add roots, and scan them to their last directories."""
        work = Work(Deadline(None), is_barrier=True)
        token = self._worker.take_turn()
        try:
            for path in paths:
                self._add_root(path)
            self._worker.work(work)
        finally:
            self._worker.give_back(token)
            self._wake_reader()
        self._warn(stacklevel=4)

    async def aadd(self, path: str) -> None:
        """Add a root, and scan it to its last directory, as a task."""
        self.check()
        self._worker.refuse_reentry()
        work = Work(Deadline(None), is_barrier=True)
        begin = Once(lambda: self._add_root(path))
        await running_backend().checkpoint()
        try:
            await self._worker.work_as_task(work, begin)
        finally:
            self._wake_reader()
        self._warn(stacklevel=4)

    def _add_root(self, path: str) -> None:
        if not path:  # it leads to nothing, now and later: path_resolution(7)
            raise os_error(errno.ENOENT, path)
        silent, missing_ok = not self._initial, self._missing_ok
        self.tracker.add_root(path, silent=silent, missing_ok=missing_ok)

    def remove(self, path: str) -> bool:
        """Remove a root, once all is reported that is queued; return whether it was."""
        token = self._worker.take_turn()
        try:
            if path not in self.tracker.roots:
                return False
            try:
                self.tracker.begin()
                self._worker.work(Work(Deadline(None), is_barrier=True))
            finally:
                self.tracker.remove_root(path)
            return True
        finally:
            self._worker.give_back(token)
            self._wake_reader()

    # ---- reading ---------------------------------------------------------------

    def read(
        self, timeout: float | None, read_delay: float | None, most: int | None = None
    ) -> list[TreeEvent]:
        self.check()
        limit = checked_timeout(timeout, read_delay)
        if self._worker.turn.is_mine():
            return []  # what this interrupts will be given the events
        work = Work(Deadline(limit), is_barrier=limit == 0)
        while True:
            done = self._worker.wait_and_work(work)
            events = self._take(most)
            if events or (seconds := work.deadline.seconds_left()) <= 0:
                return events
            if done and not self._waits.wait(seconds, read_delay, work.deadline):
                self._worker.wait_and_work(Work.at_wake())
                return self._take(most)

    async def aread(
        self, timeout: float | None, read_delay: float | None, most: int | None = None
    ) -> list[TreeEvent]:
        self.check()
        limit = checked_timeout(timeout, read_delay)
        await self.inotify.await_readable(0)  # lets other tasks run
        if self._worker.turn.is_mine():
            return []
        work = Work(Deadline(limit), is_barrier=limit == 0)
        while True:
            done = await self._worker.work_as_task(work, Once(self.tracker.begin))
            events = self._take(most)
            seconds = work.deadline.seconds_left()
            if events or seconds <= 0:
                return events
            if done and not await self._waits.wait_as_task(
                seconds, read_delay, work.deadline
            ):
                await self._worker.work_as_task(
                    Work.at_wake(), Once(self.tracker.begin)
                )
                return self._take(most)

    def next(self) -> TreeEvent:
        """Wait for the next event."""
        self.check()
        while True:
            event = self._take_one()
            if event is not None:
                return event
            events = self.read(None, None, 1)
            if events:
                return events[0]

    async def anext(self) -> TreeEvent:
        """Await the next event."""
        self.check()
        while True:
            event = self._take_one()
            if event is not None:
                return event
            events = await self.aread(None, None, 1)
            if events:
                return events[0]

    def _take(self, most: int | None) -> list[TreeEvent]:
        """Take at most ``most`` events; the others are left for the next call."""
        events: list[TreeEvent] = []
        try:
            if self._warnings:
                self._warn(stacklevel=5 if most is None else 6)  # the line that reads
            move(self._worker.events, events)
            if most is not None:
                self._worker.events.extendleft(reversed(events[most:]))
                del events[most:]
            return events
        except BaseException:
            self._worker.events.extendleft(reversed(events))
            raise
        finally:
            if self._worker.events:
                self._wake_reader()
            if self._readiness:
                self._show_readiness()

    def _take_one(self) -> TreeEvent | None:
        """Take an event that is there, as an iteration does most of the time."""
        try:
            return self._worker.events.popleft()
        except IndexError:
            return None
        finally:
            if not self._worker.events:
                self._show_readiness()

    def _warn(self, stacklevel: int) -> None:
        while (warning := self.tracker.output.take_warning()) is not None:
            log(warning)  # first: the filters may make an exception of the other
            warnings.warn(warning, stacklevel=stacklevel)

    def _wake_reader(self) -> None:
        """End the wait of a read that has something to return, or no root left."""
        if self._worker.has_events():
            self._waits.end_queue_waits()

    def _show_readiness(self) -> None:
        readiness = self._readiness.get(None)
        if readiness is None:
            return
        worker = self._worker
        readiness.forget_mounts()
        is_behind = not worker.is_done or self.tracker.mounts.has_changed()
        readiness.set(pending=bool(worker.events) or is_behind)
        if self._worker.events:  # another thread put them there in between
            readiness.set(pending=True)
