"""`TreeWatcher`: the public API; threads, tasks, waiting."""

from __future__ import annotations

import os
import threading
import warnings
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Callable

from .._waiting import Deadline, checked_timeout, move
from ..instance import INotify
from . import _masks
from ._arguments import check_paths, checked_mask, known_root
from ._logging import log
from ._tracker import Tracker
from .events import TreeEvent

_NO_WAIT = Deadline(0)


class TreeWatcher:
    """Watch whole trees: who applies its events to a mirror has the true trees.

    Parameters:
        paths: the roots: str, bytes or PathLike; directories, or files, which
            are followed by their names. More can be added.
        mask: what is reported: `flags`, or'ed. By default CREATE, DELETE, MOVE,
            MODIFY, ATTRIB, CLOSE_WRITE, DELETE_SELF and MOVE_SELF.
        exclude: is given a path and returns whether to leave it out, with all
            below it. Asked when a path is first met; costs no watch.
        initial: report what the roots hold already, as synthetic CREATEs.

    Raises:
        OSError: a root does not exist or cannot be watched; ENOSPC, the limit
            of watches, with the sysctl, its value and how many are wanted.
        ValueError: ``mask`` is empty, or asks for what cannot be reported.
        TypeError: ``mask`` is no int; a path is neither str, bytes nor PathLike.

    Warns:
        LocalChangesOnlyWarning: a root is on a file system such as NFS or FUSE.
        UnreadableDirectoryWarning: a directory may not be read.

    What the events mean:

    * CREATE, DELETE, MODIFY and so on: as inotify(7) has them.
    * MOVED_TO with ``old_path``: renamed inside the trees, with all below it. It
      replaces what was at ``path``.
    * MOVED_FROM: renamed to somewhere outside; gone, with all below it.
    * MOVED_TO without ``old_path``: came from outside. For a directory, a
      synthetic CREATE for each thing in it follows.
    * Q_OVERFLOW, one for each root: events are missing. Forget what was known
      below ``path``; synthetic CREATEs report all that is there.
    * DELETE_SELF, MOVE_SELF or UNMOUNT of a root: the tree is not watched any
      more. When no root is left, `read` returns at once, and iteration ends.

    **Threads.** Every method may be called from any thread. **Signals.** `wake`
    and `close` may be called from a signal handler.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as root, TreeWatcher(root) as watcher:
    ...     os.makedirs(f"{root}/a/b")
    ...     [event.path[len(root) :] for event in watcher.read()]
    ['/a', '/a/b']
    """

    def __init__(
        self,
        *paths: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        mask: int = _masks.DEFAULT,
        exclude: Callable[[str], bool] | None = None,
        initial: bool = False,
    ) -> None:
        mask = checked_mask(mask)
        check_paths(paths)
        self._initial = initial
        # Reentrant, so that a signal handler that reads does not wait for the
        # read that it interrupted; it is given nothing (see _advance).
        self._lock = threading.RLock()
        self._advancing = False
        self._waiting = 0  # reads that wait; under the lock
        self._undelivered: deque[TreeEvent] = deque()
        self._inotify = INotify(nonblocking=True)
        try:
            self._tracker = Tracker(self._inotify, int(mask), exclude)
            for path in paths:
                self._add(path)
        except BaseException:
            self._inotify.close()
            raise

    def add(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Add a root. It is watched, to its last directory, when this returns.

        What happened below it meanwhile is not reported, unless ``initial`` was
        asked for.

        Parameters:
            path: as for the class. A root inside another is part of that one's
                tree: what happens in it is reported once.

        Raises:
            OSError: as for the class. After ENOSPC this watches what it could.
            ValueError: the watcher is closed.

        Warns:
            LocalChangesOnlyWarning: as for the class.
            UnreadableDirectoryWarning: as for the class.
        """
        self._add(path)

    def _add(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        root = os.fsdecode(path)
        with self._lock:
            before = self._tracker.count_events()
            self._tracker.add_root(root, silent=not self._initial)
            try:
                self._advance()
            finally:
                if not self._initial:
                    self._tracker.discard_below(root, before)
                self._wake_reader()
        self._warn(stacklevel=4)

    def remove(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Remove a root, and the watches that only it needs.

        Parameters:
            path: a root, as it was given; slashes at its end do not matter.

        Raises:
            ValueError: it is no root; the watcher is closed.
        """
        self._check_open()
        root = known_root(path, self._tracker.roots)
        with self._lock:
            if not self._tracker.remove_root(root):
                raise ValueError(f"{root!r} is not a root")
            self._wake_reader()

    def read(
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[TreeEvent]:
        """Return what happened; wait until something has when nothing did.

        Parameters:
            timeout: how long to wait at most, in milliseconds. None or a
                negative number: until there is an event. 0: not at all; all
                that was caused by operations which had returned before this
                was called is reported.
            read_delay: when it had to wait, how long to go on waiting after
                the first event, in milliseconds, for more to gather.

        Returns:
            The events, in order. None when time ran out, at `wake`, when no
            root is left, or when another thread took what an `add` or an
            iteration had left to whoever waits.

        Raises:
            OSError: ENOSPC, the limit of watches, once for what is beyond it;
                EMFILE and the like while directories cannot be listed.
            ValueError: the watcher is closed, or is closed while this waits; an
                argument is not a number of milliseconds.
        """
        return self._read(timeout, read_delay, None)

    async def aread(self, timeout: float | None = None) -> list[TreeEvent]:
        """Await what happens: `read` for a task, under asyncio, uvloop or trio.

        Cancelling it loses nothing.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `read`.

        Returns:
            The events, as `read` returns them.

        Raises:
            OSError: as for `read`.
            ValueError: as for `read`.
            RuntimeError: no event loop is running.
        """
        return await self._aread(timeout, None)

    def wake(self) -> None:
        """Let every `read` and `aread` that waits return ``[]`` at once.

        Where none waits, the next one that would have to wait returns ``[]``
        instead: as `INotify.wake` does. May be called from any thread, task or
        signal handler.
        """
        self._inotify.wake()

    def close(self) -> None:
        """Close the watcher; all its watches go with it.

        A `read` or `aread` that waits, in whatever thread or task, raises
        ValueError at once, and iteration ends: as `INotify.close` does. Closing
        again does nothing.
        """
        self._inotify.close()
        # Whoever is at work with the model, perhaps the code that a signal
        # handler interrupts with this, lets it go on finding that it is closed.
        if self._lock.acquire(blocking=False):
            try:
                self._forget_model()
            finally:
                self._lock.release()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._inotify.closed

    def fileno(self) -> int:
        """Return the inotify descriptor, for an event loop of one's own.

        When it is readable, call ``read(timeout=0)``.

        Raises:
            ValueError: the watcher is closed.
        """
        return self._inotify.fileno()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        roots = "".join(f" {root!r}" for root in self._tracker.roots)
        return f"<{type(self).__name__}{state}{roots}>"

    def __enter__(self) -> TreeWatcher:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> TreeWatcher:
        return self

    def __next__(self) -> TreeEvent:
        """Return the next event; wait for it. Ends when closed, or without a root."""
        while True:
            with suppress(IndexError):
                return self._undelivered.popleft()
            try:
                events = self._read(None, None, 1)
            except ValueError:
                if self.closed:
                    raise StopIteration from None
                raise
            if events:
                return events[0]
            if not self._tracker.has_roots():
                raise StopIteration

    def __aiter__(self) -> TreeWatcher:
        return self

    async def __anext__(self) -> TreeEvent:
        while True:
            with suppress(IndexError):
                return self._undelivered.popleft()
            try:
                events = await self._aread(None, 1)
            except ValueError:
                if self.closed:
                    raise StopAsyncIteration from None
                raise
            if events:
                return events[0]
            if not self._tracker.has_roots():
                raise StopAsyncIteration

    def _read(
        self, timeout: float | None, read_delay: float | None, most: int | None
    ) -> list[TreeEvent]:
        deadline = Deadline(checked_timeout(timeout, read_delay))
        while True:
            events, seconds = self._take_events(deadline, most)
            if events or seconds <= 0:
                return events
            try:
                readable = self._inotify.wait_readable(seconds * 1000, read_delay)
            finally:
                self._end_wait()
            if not readable and deadline.seconds_left() > 0:  # woken
                return self._take_events(_NO_WAIT, most)[0]

    async def _aread(self, timeout: float | None, most: int | None) -> list[TreeEvent]:
        deadline = Deadline(checked_timeout(timeout, None))
        await self._inotify.await_readable(0)  # lets other tasks run
        while True:
            events, seconds = self._take_events(deadline, most)
            if events or seconds <= 0:
                return events
            try:
                readable = await self._inotify.await_readable(seconds * 1000)
            finally:
                self._end_wait()
            if not readable and deadline.seconds_left() > 0:
                return self._take_events(_NO_WAIT, most)[0]

    def _take_events(
        self, deadline: Deadline, most: int | None
    ) -> tuple[list[TreeEvent], float]:
        """Return the events, and how long to wait for more, in seconds.

        What is beyond ``most`` is left, in its place, to whoever is next.
        """
        seconds = 0.0
        events: list[TreeEvent] = []
        with self._lock:
            try:
                self._advance()
            except ValueError:
                self._forget_model()
                raise
            # An iteration takes from these without the lock.
            move(self._undelivered, events)
            events += self._tracker.take_events()
            if most is not None:
                self._undelivered.extend(events[most:])
                del events[most:]
                self._wake_reader()
            if not events and self._tracker.has_roots():
                seconds = deadline.seconds_left()
                if seconds > 0:
                    self._waiting += 1
        self._warn(stacklevel=5)
        return events, seconds

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the TreeWatcher is closed")

    def _end_wait(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _wake_reader(self) -> None:
        """End the wait of a read that has something to return, or no root left."""
        if self._waiting and (
            self._tracker.has_events()
            or self._undelivered
            or not self._tracker.has_roots()
        ):
            self._inotify.wake()

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        try:
            self._tracker.advance()
        finally:
            self._advancing = False

    def _forget_model(self) -> None:
        if self.closed and not self._advancing:
            self._tracker.close()

    def _warn(self, stacklevel: int) -> None:
        while (warning := self._tracker.take_warning()) is not None:
            log(warning)  # first: the filters may make an exception of the other
            warnings.warn(warning, stacklevel=stacklevel)
