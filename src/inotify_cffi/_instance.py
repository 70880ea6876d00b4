"""An inotify instance as the rest of the package uses it, one for each interpreter.

On CPython one compiled method reads and builds: what cffi adds to a call is a third
of what Python adds to the kernel's work, and the GIL is given up once, not twice.
PyPy's compiler sees through cffi.
"""

from __future__ import annotations

import sys

from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._parsing import Parser

if sys.implementation.name == "pypy":
    from collections import deque
    from operator import index

    _ENCODING = sys.getfilesystemencoding()
    _ERRORS = sys.getfilesystemencodeerrors()

    class Instance:
        """An instance, and the buffers that those who read it use in turn.

        What was taken from the kernel is in the list of events, also when the
        exception of a signal handler leaves a method.
        """

        def __init__(self, parser: Parser) -> None:
            # Closed also when an exception keeps it from being anybody's.
            self.pointer = ffi.gc(ffi.new("struct instance *"), lib.instance_close)
            self._parser: Any = parser
            self._buffers: deque[Any] = deque()  # its append and pop are atomic

        def append_queued(self, events: list[Any]) -> int:
            return self._append_read(events, False)[0]

        def append_more(self, events: list[Any]) -> int:
            return self._append_read(events, True)[0]

        def append_numbered(self, events: list[Any]) -> int:
            return self._append_read(events, False)[1]

        def add_watch(self, path: str | bytes, mask: int) -> int:
            encoded = path.encode(_ENCODING, _ERRORS) if isinstance(path, str) else path
            if not isinstance(mask, int):
                mask = index(mask)  # cffi would take a Decimal
            wd: int = lib.instance_add_watch(self.pointer, encoded, mask)
            return wd

        def _append_read(self, events: list[Any], more: bool) -> tuple[int, int]:
            queued = self._take_buffer()
            known = len(events)
            try:
                lib.instance_read(self.pointer, queued, more)
                size: int = queued.size
                remaining: int = queued.remaining
                sequence: int = queued.sequence
                self._parser.append_at(events, queued.data, size)
            except BaseException:
                # A signal handler raised, perhaps between two events: start anew.
                del events[known:]
                self._parser.append_at(events, queued.data, queued.size)
                raise
            finally:
                queued.size = 0
                self._buffers.append(queued)
            if size <= 0:
                return size, size
            return remaining, sequence

        def _take_buffer(self) -> Any:
            try:
                return self._buffers.pop()
            except IndexError:
                return ffi.new("struct queued *")

    def pointer_of(instance: Instance) -> Any:
        """Return it as cffi takes it. Whoever keeps that keeps ``instance`` as well."""
        return instance.pointer

else:
    from ._inotify import Instance as Instance  # type: ignore[assignment]

    _POINTER = ffi.typeof("struct instance *")

    def pointer_of(instance: Instance) -> Any:
        """Return it as cffi takes it. Whoever keeps that keeps ``instance`` as well."""
        address: int = instance.address  # type: ignore[attr-defined]
        return ffi.cast(_POINTER, address)
