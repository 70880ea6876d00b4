"""An inotify instance for the rest of the package: one class for each interpreter.

On CPython, one compiled method reads and builds the events: cffi would add a third to
Python's overhead, and the GIL is released once, not twice. PyPy's compiler inlines
calls through cffi.
"""

from __future__ import annotations

import sys
from functools import partial

from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._parsing import Parser

if sys.implementation.name == "pypy":
    import errno
    from collections import deque
    from contextlib import suppress
    from itertools import repeat

    _ENCODING = sys.getfilesystemencoding()
    _ERRORS = sys.getfilesystemencodeerrors()
    _SURELY_EMPTIED = lib.INSTANCE_SURELY_EMPTIED

    # Buffers that no read uses. They are of all instances: else the first read of each
    # would have to make one, and each would keep its 16 KiB.
    _buffers: deque[Any] = deque()

    class Instance:
        """The counterpart of CPython's python_instance.c.

        A signal handler may raise between any two steps, and then the result of the
        first is lost. So C leaves its results in memory, and an item that only one
        reader may have is moved in one step of a list or a deque, which is atomic.
        """

        def __init__(self, parser: Parser) -> None:
            # It is closed even if an exception comes before anybody refers to it.
            self.pointer = ffi.gc(ffi.new("struct instance *"), lib.wait_drop_instance)
            self.closefd = True
            self._parser: Any = parser
            # If an exception prevents the end of a wait, the wait stays in memory. The
            # first one is here, as PyPy has not compiled what happens once.
            self._all_waits: list[Any] = [ffi.new("struct wait *")]
            self._waits: deque[Any] = deque(self._all_waits)
            # Events that an exception kept, each with its process, as a number of
            # forks: a child must not return its parent's events.
            self._kept: deque[tuple[int, deque[Any]]] = deque()

        def open(self, flags: int, closefd: bool) -> int:
            self.closefd = closefd
            fd: int = lib.instance_open(self.pointer, flags, closefd)
            return fd

        def close(self) -> None:
            lib.wait_close_instance(self.pointer)

        def read(self, events: list[Any], timeout: float, read_delay: float) -> int:
            """Append all queued events; wait for one, in milliseconds.

            With a timeout of 0 it does not wait. A caller with another timeout has
            tried with 0 before, so an event that is there now ends its wait.

            Returns:
                1 when it appended events, 0 when not; -errno, or -GUARD_CLOSED.
            """
            return self._settled(self._drain, events, timeout, read_delay)

        def read_queued(self, events: list[Any]) -> int:
            """As `read`, without a wait."""
            result = self._drain(events)
            if self._kept or lib.instance_is_marked(self.pointer):
                self._settle()
            return result

        def read_one(self, events: list[Any], timeout: float, read_delay: float) -> int:
            """As `read`, but for one event; the others stay in the queue."""
            return self._settled(self._take_one, events, timeout, read_delay)

        def wait_readable(self, timeout: float, read_delay: float) -> int:
            """As `read`, but take nothing."""
            if timeout == 0:
                return self._is_readable()
            return self._wait(self._is_readable, timeout, read_delay)

        def keep(self, events: list[Any]) -> None:
            """Have the next read return these, before all others."""
            if events:
                # Before, too: a second exception may come between.
                lib.instance_mark(self.pointer)
                self._kept.appendleft((lib.fork_generation, deque(events)))
                self._announce()

        def wake(self) -> None:
            lib.wait_wake(self.pointer)

        def add_watch(self, path: str | bytes, mask: int) -> int:
            encoded = path.encode(_ENCODING, _ERRORS) if isinstance(path, str) else path
            wd: int = lib.instance_add_watch(self.pointer, encoded, mask)
            return wd

        def rm_watch(self, wd: int) -> int:
            result: int = lib.instance_rm_watch(self.pointer, wd)
            return result

        def _announce(self) -> None:
            """Show everybody that events are kept."""
            lib.wait_recheck(self.pointer)
            lib.instance_mark(self.pointer)

        def _settled(
            self, look: Any, events: list[Any], timeout: float, read_delay: float
        ) -> int:
            if timeout == 0:
                result: int = look(events)
            else:
                result = self._wait(partial(look, events), timeout, read_delay)
            if self._kept or lib.instance_is_marked(self.pointer):
                self._settle()
            return result

        def _settle(self) -> None:
            """Leave a marker in the queue if events are kept, and otherwise none.

            It can be removed only together with the events before it, which are kept
            then.
            """
            if self._kept and self._batches():
                lib.instance_mark(self.pointer)
            elif lib.instance_is_marked(self.pointer):
                events: list[Any] = []
                try:
                    self._append(events)
                finally:
                    if events:
                        self._kept.append((lib.fork_generation, deque(events)))
                        self._announce()

        def _batches(self) -> list[deque[Any]]:
            """Return the kept events, without those of the parent process."""
            forks = lib.fork_generation
            for batch in list(self._kept):
                if not batch[1] or batch[0] != forks:
                    self._forget(batch)
            return [batch[1] for batch in list(self._kept)]

        def _forget(self, batch: tuple[int, deque[Any]]) -> None:
            with suppress(ValueError):  # another thread was faster
                self._kept.remove(batch)

        def _take_kept(self, events: list[Any], most: int) -> None:
            for batch in self._batches():
                count = min(most - len(events), len(batch))
                with suppress(IndexError):  # another thread took some of it
                    events.extend(map(deque.popleft, repeat(batch, count)))
            self._batches()

        def _drain(self, events: list[Any]) -> int:
            if self._kept:
                self._take_kept(events, sys.maxsize)
            remaining = self._append(events)
            if remaining:
                if remaining < 0:
                    return remaining
                # A read that does not empty the queue takes more than this, so
                # this many are enough, and a writer that is faster than this loop
                # cannot keep it going.
                for _ in range(remaining // _SURELY_EMPTIED + 1):
                    if self._append(events, more=True) <= 0:
                        break
            return 1 if events else 0

        def _take_one(self, events: list[Any]) -> int:
            if self._kept:
                self._take_kept(events, 1)
                if events:
                    return 1
            result = self._append(events, one=True)
            return 1 if events else result

        def _is_readable(self) -> int:
            if self._kept and self._batches():
                return 1
            if lib.instance_is_marked(self.pointer):  # in a forked child
                self._settle()
                if self._kept and self._batches():
                    return 1
            queued: int = lib.instance_queued_bytes(self.pointer)
            if not queued:
                queued = lib.wait_mounts_changed(self.pointer)
            return 1 if queued > 0 else queued

        def _append(
            self, events: list[Any], *, more: bool = False, one: bool = False
        ) -> int:
            """Append the events of one read(2); return the bytes left, or -errno."""
            queued = self._take_buffer()
            known = len(events)
            try:
                if one:
                    lib.instance_read_one(self.pointer, queued)
                else:
                    lib.instance_read(self.pointer, queued, more)
                size: int = queued.size
                end = self._parser.append_at(events, queued.data, size)
                if size <= 0:
                    return size
                return queued.remaining if end == size else -errno.EIO
            except BaseException:
                # A signal handler raised, perhaps between two events: start anew.
                del events[known:]
                self._parser.append_at(events, queued.data, queued.size)
                raise
            finally:
                queued.size = 0
                _buffers.append(queued)

        def _take_buffer(self) -> Any:
            try:
                return _buffers.pop()
            except IndexError:
                return ffi.new("struct queued *")

        def _take_wait(self) -> Any:
            try:
                return self._waits.pop()
            except IndexError:
                wait = ffi.new("struct wait *")
                self._all_waits.append(wait)
                return wait

        def _wait(self, look: Any, timeout: float, read_delay: float) -> int:
            wait = self._take_wait()
            state = 0
            try:
                result: int = lib.wait_begin(wait, self.pointer, timeout, False)
                while result == 0:
                    state = self._sleep(wait)
                    if state == lib.WAIT_READABLE and read_delay >= 0:
                        state = self._gather(wait, read_delay)
                    if state != lib.WAIT_READABLE:
                        return min(state, 0)
                    # If nothing is found, another reader was faster.
                    result = look()
                return result
            finally:
                try:
                    self._end(wait, state)
                except BaseException:
                    self._end(wait, state)
                    raise

        def _end(self, wait: Any, state: int) -> None:
            lib.wait_end(wait, state == lib.WAIT_WOKEN)
            self._waits.append(wait)

        def _sleep(self, wait: Any) -> int:
            while not (self._kept and self._batches()):
                state: int = lib.wait_poll(wait)
                # After EINTR the handlers of signals run, and the wait goes on.
                if state not in (-errno.EINTR, lib.WAIT_RECHECK):
                    return state
            readable: int = lib.WAIT_READABLE
            return readable

        def _gather(self, wait: Any, read_delay: float) -> int:
            milliseconds = ffi.new("double *", read_delay)
            while (state := lib.wait_gather(wait, milliseconds)) == -errno.EINTR:
                pass
            gathered: int = lib.WAIT_READABLE if state == lib.WAIT_TIMED_OUT else state
            return gathered

    def pointer_of(instance: Instance) -> Any:
        """Return its pointer for cffi. Keep ``instance`` as long as the pointer."""
        return instance.pointer

    def keeping_pointer_of(instance: Instance) -> Any:
        """Return its pointer for cffi, which keeps the instance in memory."""
        return instance.pointer  # it owns the memory

else:
    from ._inotify import Instance as Instance  # type: ignore[assignment]

    _POINTER = ffi.typeof("struct instance *")

    def pointer_of(instance: Instance) -> Any:
        """Return its pointer for cffi. Keep ``instance`` as long as the pointer."""
        address: int = instance.address  # type: ignore[attr-defined]
        return ffi.cast(_POINTER, address)

    def keeping_pointer_of(instance: Instance) -> Any:
        """Return its pointer for cffi, which keeps the instance in memory."""
        return ffi.gc(pointer_of(instance), partial(_keep_until_freed, instance))

    def _keep_until_freed(instance: Instance, pointer: Any) -> None:
        """Refer to the instance until the pointer to it is freed."""
