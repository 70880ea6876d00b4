"""`INotify`: an inotify instance that can be stopped, shared and awaited."""

from __future__ import annotations

import errno
import io
import os
import warnings
from collections import namedtuple
from functools import partial

from . import _awaiting, _hints, syscalls
from ._inotify import lib
from ._instance import Instance, keeping_pointer_of, pointer_of
from ._waiting import CLOSED_MESSAGE, checked_timeout, raise_error
from .events import PARSER, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NamedTuple, NoReturn

    class Watch(NamedTuple):
        wd: int
        inode: int
        device: int
        mask: int

else:
    Watch = namedtuple("Watch", ["wd", "inode", "device", "mask"])
    Watch.__doc__ = "A watch as the kernel lists it: see `INotify.watches`."
    Watch.wd.__doc__ = "The watch descriptor."
    Watch.inode.__doc__ = "The inode number of the watched object, as in `os.stat`."
    Watch.device.__doc__ = """The device of that inode, as ``st_dev`` of `os.stat`, but
        not on file systems such as btrfs that show user space a different one."""
    Watch.mask.__doc__ = """The mask of the watch; from Linux 5.19 on, it includes
        ONESHOT and EXCL_UNLINK."""

_encode_path = syscalls.encode_path
_NOW = 0

_REFUSED = {"readline", "readlines", "readall", "readinto", "write", "writelines"}
_REFUSED |= {"seek", "tell", "truncate"}


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
        OSError: EMFILE, ENFILE or ENOMEM; the text names the limit.

    **Threads.** Every method may be called from any thread at any time. Each
    event goes to exactly one reader. Each read returns its events in the
    kernel's order. Instances share nothing.

    **Signals.** Every method may be called from a signal handler. If a handler
    raises during a read, its exception leaves the read, and the next read
    returns the events that were already taken from the queue. It returns them
    at once, even if another thread took older events and has not returned them
    yet. If a read or an iteration is already returning when the handler raises,
    the events that it was returning are lost.

    **fork.** A child has the same queue as its parent. If both read, each event
    goes to the faster one, so close one of the two copies first. That neither
    removes the other's watches nor ends its waits. Events that were taken from
    the queue before the fork, and not returned, belong to the parent. If both
    must read, open the instance with ``nonblocking=True``; otherwise the slower
    one may wait past its timeout for an event that the faster one took. If a
    signal handler forks during a read, parent and child both continue that read
    and both return the events that it had taken. No event loop survives a fork:
    a child needs a new one.

    **A file object.** Methods of `io.FileIO` that make no sense for events raise
    `io.UnsupportedOperation`: ``readline``, ``readlines``, ``readall``,
    ``readinto``, ``seek``, ``tell``, ``truncate``, ``write``, ``writelines``.

    >>> with INotify() as inotify:
    ...     inotify.read(timeout=0)
    []
    """

    # The only private name; no subclass has it by chance. The class has it too, for
    # objects whose __init__ did not run, or failed.
    __instance = None  # type: Any

    def __init__(
        self,
        inheritable: bool = False,
        nonblocking: bool = False,
        closefd: bool = True,
    ) -> None:
        if isinstance(inheritable, (str, bytes, os.PathLike)):
            raise TypeError("INotify() takes no path; add_watch(path, mask) does")
        # Not close(): PyPy's io.FileIO cannot be opened again after that.
        if self.__instance is not None:
            self.__instance.close()
        instance: Any = Instance(PARSER)
        flags = (0 if inheritable else lib.IN_CLOEXEC) | (
            lib.IN_NONBLOCK if nonblocking else 0
        )
        fd = instance.open(flags, bool(closefd))
        if fd < 0:
            syscalls.raise_init_error(-fd)
        try:
            # FileIO would close the descriptor at once, perhaps during a system
            # call of another thread. The compiled instance waits for the last call.
            super().__init__(fd, mode="rb", closefd=False)
            self.__instance = instance
        except BaseException:
            instance.close()
            raise

    fd = property(io.FileIO.fileno, doc="The file descriptor, also as fileno().")

    @property
    def closefd(self) -> bool:
        """Whether closing this object closes the file descriptor."""
        return bool(self.__instance.closefd)

    def __repr__(self) -> str:
        name = type(self).__qualname__
        try:
            return f"<{name} fd={self.fileno()} closefd={self.closefd}>"
        except ValueError:
            return f"<{name} [closed]>"

    def add_watch(self, path: _hints.Path, mask: int) -> int:
        """Watch ``path``, or change its watch: inotify_add_watch(2).

        If the object is watched already, this returns the same watch descriptor
        and replaces the mask. Without MASK_ADD, events that another processor
        causes at that moment are lost: the kernel clears the old mask before
        it sets the new one.

        Parameters:
            path: str, bytes or PathLike; you need permission to read it.
            mask: `flags`, combined with ``|``.

        Returns:
            The watch descriptor.

        Raises:
            OSError: as inotify_add_watch(2) lists, with the path; ENOSPC names
                the sysctl and its value.
            TypeError: ``path`` is not a path, or ``mask`` is not an int.
            OverflowError: ``mask`` is negative or has more than 32 bits.
            ValueError: a NUL in ``path``; this object is closed.
        """
        if not isinstance(mask, int):
            mask = syscalls.checked_mask(mask)
        name = path
        if name.__class__ is not str or "\0" in name:
            name = _encode_path(path)
        while True:
            try:
                wd: int = self.__instance.add_watch(name, mask)
            except OverflowError:
                syscalls.checked_mask(mask)  # its error has the value
                raise
            if wd >= 0:
                return wd
            if wd == -lib.GUARD_CLOSED:
                raise_error(wd)
            if wd != -errno.EINTR:
                syscalls.raise_add_error(-wd, path, mask)

    def rm_watch(self, wd: int) -> None:
        """Remove a watch: inotify_rm_watch(2). IGNORED is its last event.

        Parameters:
            wd: the watch descriptor that `add_watch` returned.

        Raises:
            OSError: EINVAL: there is no such watch.
            TypeError: ``wd`` is not an int.
            OverflowError: ``wd`` has more than 32 bits.
            ValueError: this object is closed.
        """
        if not isinstance(wd, int):
            wd = syscalls.checked_wd(wd)
        try:
            result = self.__instance.rm_watch(wd)
        except OverflowError:
            raise OverflowError(f"wd must be an int of 32 bits, not {wd}") from None
        if result == -errno.EINVAL:
            syscalls.raise_no_watch(wd)
        if result < 0:
            raise_error(result)

    def read(  # type: ignore[override]  # inotify_simple's signature
        self,
        timeout: _hints.Milliseconds = None,
        read_delay: _hints.Milliseconds = None,
    ) -> list[Event]:
        """Return all queued events; wait for one if there is none.

        Parameters:
            timeout: how long to wait at most, in milliseconds; fractions are
                allowed. None or a negative number: wait until there is an
                event. 0: do not wait.
            read_delay: after a wait, how long to let more events gather after
                the first one, in milliseconds. The kernel may merge them.

        Returns:
            All events that were queued at the call, and perhaps more, in the
            kernel's order. An empty list if the timeout expires or `wake` is
            called.

        Raises:
            ValueError: this object is closed, or is closed while this waits;
                an argument is not a number of milliseconds.
            TypeError: an argument is not a number.

        If a signal handler raises, its exception leaves this method, and the
        next read returns the events that this one had taken from the queue.
        """
        # The check of the usual 0 would be a tenth of the time of a read.
        if (timeout is not None and timeout is not _NOW) or read_delay is not None:
            timeout = checked_timeout(timeout, read_delay)
        events: list[Event] = []
        instance = self.__instance
        try:
            result = instance.read_queued(events)
            if not result and timeout != 0:
                result = _wait(instance, instance.read, (events,), timeout, read_delay)
            if result < 0:
                raise_error(result)
            return events
        except BaseException:
            instance.keep(events)
            raise

    async def aread(
        self,
        timeout: _hints.Milliseconds = None,
        read_delay: _hints.Milliseconds = None,
    ) -> list[Event]:
        """Await events: `read` for a task, under asyncio, uvloop or trio.

        Any number of tasks may wait, in any number of threads. Cancellation
        loses nothing: events are taken only when the task runs again, and are
        returned at once. The first call makes the descriptor non-blocking
        permanently, so that no other reader can block the loop.

        If a loop is closed while a task waits, the wait ends when the task is
        collected. PyPy runs no ``finally`` then: there the wait ends at `close`,
        and may consume one `wake` before that.

        Parameters:
            timeout: how long to wait at most, in milliseconds. None or a
                negative number: wait until there is an event. 0: do not wait,
                but let other tasks run.
            read_delay: after a wait, how long to let more events gather after
                the first one, in milliseconds, as for `read`.

        Returns:
            The events, as `read` returns them.

        Raises:
            ValueError: as for `read`.
            TypeError: as for `read`.
            RuntimeError: no event loop is running.
        """
        timeout = checked_timeout(timeout, read_delay)
        backend = _awaiting.running_backend()
        await backend.checkpoint()
        events: list[Event] = []
        instance = self.__instance
        try_read = partial(_try, instance.read, events, 0, -1)
        try:
            _never_block(instance)
            if not try_read() and timeout != 0:
                await _awaiting.wait_for(
                    backend, instance, try_read, timeout, read_delay
                )
            return events
        except BaseException:
            instance.keep(events)
            raise

    def wait_readable(
        self,
        timeout: _hints.Milliseconds = None,
        read_delay: _hints.Milliseconds = None,
    ) -> bool:
        """Wait until there is an event, and leave it in the queue.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `read`.
            read_delay: how long to let more events gather after the first one,
                in milliseconds, as for `read`.

        Returns:
            Whether there is one. False if the timeout expires or `wake` is
            called.

        Raises:
            ValueError: as for `read`.
            TypeError: as for `read`.
        """
        timeout = checked_timeout(timeout, read_delay)
        instance = self.__instance
        result = instance.wait_readable(0, -1)
        if not result and timeout != 0:
            result = _wait(instance, instance.wait_readable, (), timeout, read_delay)
        if result < 0:
            raise_error(result)
        return bool(result)

    async def await_readable(self, timeout: _hints.Milliseconds = None) -> bool:
        """Await an event, and leave it in the queue: `wait_readable` for a task.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `aread`.

        Returns:
            Whether there is one. False if the timeout expires or `wake` is
            called.

        Raises:
            ValueError: as for `read`.
            TypeError: as for `read`.
            RuntimeError: no event loop is running.
        """
        timeout = checked_timeout(timeout, None)
        backend = _awaiting.running_backend()
        await backend.checkpoint()
        instance = self.__instance
        is_readable = partial(_try, instance.wait_readable, 0, -1)
        if is_readable():
            return True
        return timeout != 0 and await _awaiting.wait_for(
            backend, instance, is_readable, timeout, None
        )

    def wake(self) -> None:
        """Make every waiting `read` and `aread` return ``[]`` at once.

        If none waits, the next one that would have to wait returns ``[]``
        instead. One such wake is kept, however often this is called. So a
        reader that tests a flag and then waits does not miss a wake between
        the two. An iteration continues to wait.

        This may be called from any thread, task or signal handler. On a closed
        object it does nothing.
        """
        self.__instance.wake()

    def close(self) -> None:
        """Close the instance, and remove all its watches.

        Every waiting `read` and `aread`, in any thread or task, raises
        ValueError at once, and every iteration ends. The descriptor is closed
        when the last system call on it has returned. A second call does nothing.
        """
        try:
            super().close()
        except ValueError:
            # FileIO.close looks whether this is closed, and then flush does again.
            # Without a GIL, another thread may close it in between.
            if type(self).flush is not INotify.flush:
                raise  # it may be the subclass's own
        if self.__instance is not None:
            self.__instance.close()

    def watches(self) -> list[Watch]:
        """Return the watches as the kernel lists them in ``/proc/self/fdinfo``.

        Returns:
            The watches, each with the object that it is on, in any order.

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
                text = "/proc is not mounted, where the kernel lists watches"
                raise OSError(errno.ENOENT, text, "/proc/self/fdinfo") from None
        if self.closed:  # then the number may be another file's
            raise ValueError(CLOSED_MESSAGE)
        return [_watch(line) for line in lines if line.startswith("inotify wd:")]

    def __iter__(self) -> INotify:  # type: ignore[override]
        return self

    def __next__(self) -> Event:  # type: ignore[override]
        """Wait for the next event and return it. Ends when this object is closed."""
        instance = self.__instance
        events: list[Event] = []
        try:
            result = instance.read_one(events, 0, -1)
            while not result:  # a wake() does not end an iteration
                result = _wait(instance, instance.read_one, (events,), None, None)
            if result < 0:
                raise_error(result)
            return events.pop()
        except ValueError:
            if self.closed:
                raise StopIteration from None
            raise
        finally:
            if events:
                instance.keep(events)

    def __aiter__(self) -> INotify:
        return self

    async def __anext__(self) -> Event:
        backend = _awaiting.running_backend()
        await backend.checkpoint()
        instance = self.__instance
        events: list[Event] = []
        try_read = partial(_try, instance.read_one, events, 0, -1)
        try:
            _never_block(instance)
            while not try_read():  # a wake() does not end an iteration
                await _awaiting.wait_for(backend, instance, try_read, None, None)
                if events:
                    break
            return events.pop()
        except ValueError:
            if self.closed:
                raise StopAsyncIteration from None
            raise
        finally:
            if events:
                instance.keep(events)

    def _refuse(self, *arguments: object, **keywords: object) -> NoReturn:
        """Raise `io.UnsupportedOperation`: events are not a stream of bytes."""
        raise io.UnsupportedOperation("INotify has no such method: read() gives events")

    readline = readlines = readall = readinto = _refuse
    seek = tell = truncate = write = writelines = _refuse
    del _refuse

    def __dir__(self) -> list[str]:
        """Return the names of this object, without the methods that are refused."""
        return [name for name in super().__dir__() if name not in _REFUSED]

    def __del__(self) -> None:
        if self.__instance is None or self.closed:
            return
        if self.closefd:
            warnings.warn(
                f"unclosed inotify instance {self!r}",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        self.close()


def _wait(
    instance: Any,
    call: Callable[..., int],
    arguments: tuple[Any, ...],
    timeout: float | None,
    read_delay: float | None,
) -> int:
    """Wait in C. Among greenlets, that would keep all of them from running: there, let
    their loop wait, and call C without waiting."""
    backend = _awaiting.greenlets()
    if backend is None:
        return call(
            *arguments,
            -1 if timeout is None else timeout,
            -1 if read_delay is None else read_delay,
        )
    try_read = partial(_try, call, *arguments, 0, -1)
    waiting = _awaiting.wait_for(backend, instance, try_read, timeout, read_delay)
    return _awaiting.run_among_greenlets(waiting)


def _try(call: Callable[..., int], *arguments: Any) -> bool:
    """Make a call that does not wait; return whether there was something."""
    result = call(*arguments)
    if result < 0:
        raise_error(result)
    return bool(result)


def _never_block(instance: Any) -> None:
    result = lib.instance_never_block(pointer_of(instance))
    if result < 0:
        raise_error(result)


def pointer_to(inotify: INotify) -> Any:
    """Return a pointer to the compiled instance, for other calls of C in this package.

    A scan of a tree watches many directories by one call. The pointer keeps the
    instance in memory, even if it is closed or the object is initialised again.
    """
    instance: Any = inotify._INotify__instance  # type: ignore[attr-defined]
    return keeping_pointer_of(instance)


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
