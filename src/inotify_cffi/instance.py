"""`INotify`: an inotify instance that can be stopped, shared and awaited."""

from __future__ import annotations

import errno
import io
import operator
import os
import time
import warnings
from _thread import get_ident
from collections import deque, namedtuple
from contextlib import suppress
from functools import partial

from . import _awaiting, syscalls
from ._inotify import lib
from ._instance import Instance, pointer_of
from ._waiting import CLOSED_MESSAGE, Deadline, Waiters, checked_timeout, move
from .events import PARSER, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NamedTuple, NoReturn

    # The number of the read that took them; the events; and the process, as a
    # number of forks: a child must not tell what its parent holds.
    Batch = tuple[int, deque[Event], int]

    class Watch(NamedTuple):
        wd: int
        inode: int
        device: int
        mask: int

else:
    Watch = namedtuple("Watch", ["wd", "inode", "device", "mask"])
    Watch.__doc__ = "A watch as the kernel lists it: see `INotify.watches`."
    Watch.wd.__doc__ = "The watch descriptor."
    Watch.inode.__doc__ = "The inode number of what is watched, as in `os.stat`."
    Watch.device.__doc__ = """The device that is on, ``st_dev`` of `os.stat`, except
        where a file system such as btrfs shows user space another one than it has."""
    Watch.mask.__doc__ = """What is watched for; from Linux 5.19 on with ONESHOT and
        EXCL_UNLINK."""

_NUMBER = operator.itemgetter(0)  # of a batch
_SURELY_EMPTIED = lib.INSTANCE_SURELY_EMPTIED
_encode_path = syscalls.encode_path


class INotify(io.FileIO):
    """An inotify instance, as a file object.

    Parameters:
        inheritable: let programs that this process executes inherit the
            descriptor. By default it is close-on-exec (IN_CLOEXEC).
        nonblocking: open it with IN_NONBLOCK. This does not change what `read`
            does, only what `os.read` of the descriptor does when the queue is
            empty.
        closefd: close the descriptor in `close`, or when the object is
            collected.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM; the text tells which limit it was.

    **Threads.** Every method may be called from any thread at any time; each
    event goes to exactly one reader, and each read returns its events in the
    kernel's order, those that an iteration has left first. Instances share
    nothing.

    **Signals.** Every method may be called from a signal handler. An exception
    that one raises leaves the method, and the next read returns what was taken
    from the queue: at once, so before older events that another thread has
    taken and has not left yet. Only an iteration or a read that is returning
    already takes what it returns with it.

    **fork.** A child has the same queue as its parent: when both read, each
    event goes to one of them, whichever is faster, so let one of them close
    its copy first. That neither removes the other's watches nor ends its
    waits. What an iteration had taken and not told is the parent's. When both
    must read, open the instance with ``nonblocking=True``: else the slower one
    may wait past its timeout for an event that the faster one took. A child
    that a signal handler forks off in the midst of a read goes on with it, and
    returns what it had taken by then, as the parent does. No event loop
    survives a fork: a child needs a new one.

    >>> with INotify() as inotify:
    ...     inotify.read(timeout=0)
    []
    """

    _instance: Any = None

    def __init__(
        self,
        inheritable: bool = False,
        nonblocking: bool = False,
        closefd: bool = True,
    ) -> None:
        # Not close(): PyPy's io.FileIO cannot be opened again after that.
        self._close_instance()
        # Closed also when an exception keeps it from being anybody's.
        instance = Instance(PARSER)
        pointer = pointer_of(instance)
        flags = (0 if inheritable else lib.IN_CLOEXEC) | (
            lib.IN_NONBLOCK if nonblocking else 0
        )
        fd = lib.instance_open(pointer, flags, bool(closefd))
        if fd < 0:
            syscalls.raise_init_error(-fd)
        try:
            # What FileIO closes it closes at once, perhaps under a system call
            # of another thread; the compiled instance waits for the last one.
            super().__init__(fd, mode="rb", closefd=False)
            self._closefd = bool(closefd)
            self._append_queued = instance.append_queued
            self._append_more = instance.append_more
            self._append_numbered = instance.append_numbered
            self._add_watch = instance.add_watch
            self._undelivered: list[Batch] = []
            self._waiters = Waiters(pointer)
            self._owner = instance
            self._instance = pointer
        except BaseException:
            lib.instance_close(pointer)
            raise

    fd = property(io.FileIO.fileno, doc="The file descriptor, also as fileno().")

    @property
    def closefd(self) -> bool:
        """Whether closing this object closes the file descriptor."""
        return self._closefd

    def __repr__(self) -> str:
        name = type(self).__qualname__
        try:
            return f"<{name} fd={self.fileno()} closefd={self._closefd}>"
        except ValueError:
            return f"<{name} [closed]>"

    def add_watch(self, path: syscalls.Path, mask: int) -> int:
        """Watch ``path``, or change its watch: inotify_add_watch(2).

        Watching what is watched already returns the same watch descriptor and
        replaces the mask. Without MASK_ADD that loses events which another
        processor makes at that moment: the kernel clears the old mask before
        it sets the new one.

        Parameters:
            path: str, bytes or PathLike; needs permission to read it.
            mask: `flags`, or'ed.

        Returns:
            The watch descriptor.

        Raises:
            OSError: as inotify_add_watch(2) lists, with the path; ENOSPC names
                the sysctl and its value.
            TypeError: ``path`` is no path or ``mask`` no int.
            OverflowError: ``mask`` is negative or has more than 32 bits.
            ValueError: a NUL in ``path``; this object is closed.
        """
        name = path
        if name.__class__ is not str or "\0" in name:
            name = _encode_path(path)
        while True:
            wd = self._add_watch(name, mask)
            if wd >= 0:
                return wd
            self._raise_unless_interrupted(wd, path)

    def rm_watch(self, wd: int) -> None:
        """Remove a watch: inotify_rm_watch(2). IGNORED tells when it is gone.

        Parameters:
            wd: the watch descriptor that `add_watch` returned.

        Raises:
            OSError: EINVAL, there is no such watch.
            TypeError: ``wd`` is no int.
            OverflowError: ``wd`` has more than 32 bits.
            ValueError: this object is closed.
        """
        if not isinstance(wd, int):
            wd = operator.index(wd)
        result = lib.instance_rm_watch(self._instance, wd)
        if result < 0:
            self._raise(result)

    def read(  # type: ignore[override]  # inotify_simple's signature
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[Event]:
        """Return all events that are queued; wait for one when there is none.

        Parameters:
            timeout: how long to wait at most, in milliseconds, fractions too.
                None or a negative number: until there is an event. 0: not at
                all.
            read_delay: when it had to wait, how long to go on waiting after
                the first event, in milliseconds, for more to gather, which the
                kernel may merge.

        Returns:
            The events in the kernel's order, all that were queued when this
            was called and perhaps more. None when time ran out, or at `wake`.

        Raises:
            ValueError: this object is closed, or is closed while this waits;
                an argument is not a number of milliseconds.
            TypeError: an argument is not a number.

        An exception that a signal handler raises leaves this method; what it
        had taken from the queue is returned by the next read.
        """
        if timeout is not None or read_delay is not None:
            timeout = checked_timeout(timeout, read_delay)
        events: list[Event] = []
        try:
            if self._undelivered:
                self._append_undelivered(events)
            rest = self._append_queued(events)
            if rest:
                self._append_rest(events, rest)
            if not events and timeout != 0:
                self._wait_for_events(events, timeout, read_delay)
            return events
        except BaseException:
            self._keep(events)
            raise

    async def aread(self, timeout: float | None = None) -> list[Event]:
        """Await events: `read` for a task, under asyncio, uvloop or trio.

        Any number of tasks may wait, in any number of threads. Cancelling one
        loses nothing: events are taken only when the task runs again, and
        returned at once. The first call makes the descriptor non-blocking for
        good, so that no other reader can make this one block the loop.

        A task that is dropped while it waits, because its loop was closed, ends
        its wait when it is collected; on PyPy, which runs no ``finally`` then,
        only `close` does, and one `wake` may be spent on it before.

        Parameters:
            timeout: how long to wait at most, in milliseconds. None or a
                negative number: until there is an event. 0: not at all, but
                other tasks get their turn.

        Returns:
            The events, as `read` returns them.

        Raises:
            ValueError: as for `read`.
            TypeError: as for `read`.
            RuntimeError: no event loop is running.
        """
        timeout = checked_timeout(timeout, None)
        await _awaiting.running_backend().checkpoint()
        events: list[Event] = []
        try:
            self._never_block()
            self._append_now(events)
            if not events and timeout != 0:
                look = partial(self._append_now, events)
                await self._await(look, Deadline(timeout))
            return events
        except BaseException:
            self._keep(events)
            raise

    def wait_readable(
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> bool:
        """Wait until there is an event, without taking it.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `read`.
            read_delay: how long to go on waiting after the first event, in
                milliseconds, as for `read`.

        Returns:
            Whether there is one. False when time ran out, or at `wake`.

        Raises:
            ValueError: as for `read`.
            TypeError: as for `read`.
        """
        timeout = checked_timeout(timeout, read_delay)
        if self._is_readable():
            return True
        return timeout != 0 and self._wait(
            self._is_readable, Deadline(timeout), read_delay
        )

    async def await_readable(self, timeout: float | None = None) -> bool:
        """Await an event, without taking it: `wait_readable` for a task.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `aread`.

        Returns:
            Whether there is one. False when time ran out, or at `wake`.

        Raises:
            ValueError: as for `read`.
            TypeError: as for `read`.
            RuntimeError: no event loop is running.
        """
        timeout = checked_timeout(timeout, None)
        await _awaiting.running_backend().checkpoint()
        if self._is_readable():
            return True
        return timeout != 0 and await self._await(self._is_readable, Deadline(timeout))

    def wake(self) -> None:
        """Let every `read` and `aread` that waits return ``[]`` at once.

        Where none waits, the next one that would have to wait returns ``[]``
        instead; one such wake is kept, however often this is called. So a
        reader that has just looked at a flag, and is about to wait, does not
        miss the wake that tells it to look again. Iteration goes on waiting.

        May be called from any thread, task or signal handler. On a closed
        object it does nothing.
        """
        self._waiters.wake()

    def close(self) -> None:
        """Close the instance; all its watches go with it.

        A `read` or `aread` that waits, in whatever thread or task, raises
        ValueError at once, and iteration ends. The descriptor itself is closed
        when the last system call on it has returned. Closing again does
        nothing.
        """
        super().close()
        self._close_instance()

    def watches(self) -> list[Watch]:
        """Return what the kernel says is watched, from ``/proc/self/fdinfo``.

        Returns:
            The watches, each with the object that it is on, in no order.

        Raises:
            OSError: /proc is not mounted.
            ValueError: this object is closed.
        """
        lines = []
        try:
            with open(f"/proc/self/fdinfo/{self.fileno()}") as fdinfo:
                lines = fdinfo.readlines()
        except FileNotFoundError:
            if not self.closed:
                raise
        if self.closed:  # then the number may be another file's
            raise ValueError(CLOSED_MESSAGE)
        return [_watch(line) for line in lines if line.startswith("inotify wd:")]

    def __iter__(self) -> INotify:  # type: ignore[override]
        return self

    def __next__(self) -> Event:  # type: ignore[override]
        """Return the next event; wait for it. Ends when this object is closed."""
        took = False
        try:
            while True:
                for batch in self._batches():
                    try:
                        return batch[1].popleft()
                    except IndexError:
                        self._forget(batch)
                took = True
                if not self._take_batch():
                    self._wait(self._take_batch, Deadline(None), None)
        except ValueError:
            if self.closed:
                raise StopIteration from None
            raise
        finally:
            if took:  # only now, so that the first event is this caller's
                self._waiters.nudge()

    def __aiter__(self) -> INotify:
        return self

    async def __anext__(self) -> Event:
        took = False
        try:
            while True:
                for batch in self._batches():
                    try:
                        return batch[1].popleft()
                    except IndexError:
                        self._forget(batch)
                await _awaiting.running_backend().checkpoint()
                took = True
                self._never_block()
                if not self._take_batch():
                    await self._await(self._take_batch, Deadline(None))
        except ValueError:
            if self.closed:
                raise StopAsyncIteration from None
            raise
        finally:
            if took:
                self._waiters.nudge()

    def __del__(self) -> None:
        if self._instance is None or self.closed:
            return
        if self._closefd:
            warnings.warn(
                f"unclosed inotify instance {self!r}",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        self.close()

    def _close_instance(self) -> None:
        if self._instance is not None:
            lib.instance_close(self._instance)
            self._waiters.close()

    def _append_now(self, events: list[Event]) -> bool:
        """Append all that is queued, without waiting; return whether there is any."""
        if self._undelivered:
            self._append_undelivered(events)
        rest = self._append_queued(events)
        if rest:
            self._append_rest(events, rest)
        return bool(events)

    def _append_undelivered(self, events: list[Event]) -> None:
        for batch in self._batches():
            move(batch[1], events)
            self._forget(batch)

    def _batches(self) -> list[Batch]:
        """Return what is undelivered, in the kernel's order."""
        batches = self._undelivered[:]
        forks = lib.fork_generation
        for batch in batches[:]:
            if batch[2] != forks:
                batches.remove(batch)
                self._forget(batch)
        if len(batches) > 1:
            batches.sort(key=_NUMBER)
        return batches

    def _forget(self, batch: Batch) -> None:
        """Forget a batch that is empty, or that the parent process holds."""
        with suppress(ValueError):  # another thread was faster
            self._undelivered.remove(batch)

    def _take_batch(self) -> bool:
        """Move what one read takes to what is undelivered."""
        events: list[Event] = []
        batch: Batch | None = None
        try:
            number = self._append_numbered(events)
            if number < 0:
                self._raise(number)
            if number:
                batch = (number, deque(events), lib.fork_generation)
                self._undelivered.append(batch)
            return bool(number)
        except BaseException:
            if batch is None:
                self._keep(events)
            else:
                self._undelivered.append(batch)  # twice tells its events once
            raise

    def _append_rest(self, events: list[Event], rest: int) -> None:
        """Append what one read did not hold: ``rest`` bytes, and perhaps more.

        A read that does not empty the queue takes more than _SURELY_EMPTIED
        bytes, so this many reads are enough, and a writer that is faster than
        this loop cannot keep it going. A negative ``rest`` is an errno.
        """
        if rest < 0:
            self._raise(rest)
        for _ in range(rest // _SURELY_EMPTIED + 1):
            rest = self._append_more(events)
            if rest <= 0:
                break

    def _wait_for_events(
        self, events: list[Event], timeout: float | None, read_delay: float | None
    ) -> None:
        look = partial(self._append_now, events)
        self._wait(look, Deadline(timeout), read_delay)

    def _wait(
        self, look: Callable[[], bool], deadline: Deadline, read_delay: float | None
    ) -> bool:
        """Wait until ``look`` is content; False when time ran out, or at a wake()."""
        waiters = self._waiters
        wait = waiters.new(get_ident())
        told = False
        try:
            waiters.begin(wait)
            while not wait.woken:
                seconds = deadline.seconds_left()
                if seconds <= 0:
                    return False
                # Looked at only now: what is left from here on rings the bell.
                if self._undelivered or wait.waiter.wait(seconds):
                    if read_delay is not None:
                        if not self._is_readable():
                            continue  # it was the bell, perhaps of an earlier wait
                        waiters.let_gather(wait, Deadline(read_delay))
                    if not wait.woken and look():
                        return True
            told = True
            return False
        finally:
            try:
                waiters.end(wait, told)
            except BaseException:
                waiters.end(wait, told)
                raise

    async def _await(self, look: Callable[[], bool], deadline: Deadline) -> bool:
        """`_wait` for a task."""
        backend = _awaiting.running_backend()
        waiters = self._waiters
        wait = waiters.new()
        told = False
        try:
            waiters.begin(wait)
            while not wait.woken:
                seconds = deadline.seconds_left()
                if seconds <= 0:
                    return False
                if not self._undelivered:
                    await backend.readable(wait.waiter.fileno(), seconds)
                    wait.waiter.silence()
                if not wait.woken and look():
                    return True
            told = True
            return False
        finally:
            try:
                waiters.end(wait, told)
            except BaseException:
                waiters.end(wait, told)
                raise

    def _is_readable(self) -> bool:
        for batch in self._batches():
            if batch[1]:
                return True
            self._forget(batch)
        queued = lib.instance_queued_bytes(self._instance)
        if queued < 0:
            self._raise(queued)
        return queued > 0

    def _keep(self, events: list[Event]) -> None:
        """Keep what an exception took from the reader for the next one."""
        if events:
            # Negative, to be before what was read since; the later, the earlier,
            # since who keeps last may have taken what was kept before.
            number = -time.monotonic_ns()
            self._undelivered.append((number, deque(events), lib.fork_generation))
            self._waiters.nudge()

    def _never_block(self) -> None:
        result = lib.instance_never_block(self._instance)
        if result < 0:
            self._raise(result)

    def _raise_unless_interrupted(self, result: int, path: syscalls.Path) -> None:
        if result != -errno.EINTR:
            self._raise(result, path)

    def _raise(self, result: int, path: syscalls.Path | None = None) -> NoReturn:
        if result == -lib.GUARD_CLOSED:
            raise ValueError(CLOSED_MESSAGE)
        syscalls.raise_os_error(-result, path)


def pointer_to(inotify: INotify) -> Any:
    """Return the compiled instance, for what else in this package calls C with it.

    A scan of a tree watches many directories by one call.
    """
    return inotify._instance


def _watch(line: str) -> Watch:
    # inotify wd:1 ino:2301b6 sdev:fe00000 mask:fff ignored_mask:0 ..., all hex
    values = dict(field.split(":", 1) for field in line.split()[1:5])
    device = int(values["sdev"], 16)  # the kernel's own form: 12 and 20 bits
    return Watch(
        wd=int(values["wd"], 16),
        inode=int(values["ino"], 16),
        device=os.makedev(device >> 20, device & 0xFFFFF),
        mask=int(values["mask"], 16),
    )
