"""From the kernel's ``struct inotify_event`` to named tuples.

Where the interpreters differ most. CPython pays 20 ns for a field and
75 ns for a name that it fetches through cffi, so there a compiled builtin
reads and builds. PyPy's compiler sees through cffi and walks the struct in
place, which no call into C can beat.

Both ways keep one contract: what was taken from the kernel is in ``events``,
also when the exception of a signal handler leaves the call.
"""

from __future__ import annotations

import sys
from collections import deque

from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    # Appends what one read takes to a list of events. Returns how many bytes of
    # what was queued are queued still, or -errno.
    Append = Callable[[list[Any]], int]

HEADER_SIZE = ffi.sizeof("struct inotify_event")

if sys.implementation.name == "pypy":
    from __pypy__ import newlist_hint  # type: ignore[import-not-found]

    _EVENT_POINTER = ffi.typeof("struct inotify_event *")
    _ENCODING = sys.getfilesystemencoding()
    _ERRORS = sys.getfilesystemencodeerrors()
    _USUAL_SIZE = 32  # of an event: the kernel pads names to a multiple of 16 bytes

    def append_events(
        events: list[Any], event_type: type, with_len: bool, base: Any, size: int
    ) -> int:
        # The first without a loop: a read that finds no more, PyPy compiles into
        # its caller's loop, which saves it a tenth.
        end, *numbers = _append_event(events, event_type, with_len, base, 0, size)
        if 0 < end < size:
            # A list that grows to thousands costs a fifth of walking them.
            more = newlist_hint((size - end) // _USUAL_SIZE)
            end = _append_further(more, event_type, with_len, base, end, size, *numbers)
            events += more
        return end

    def _append_further(
        events: list[Any],
        event_type: type,
        with_len: bool,
        base: Any,
        offset: int,
        size: int,
        wd: int,
        mask: int,
        cookie: int,
    ) -> int:
        while offset < size:
            end, wd, mask, cookie = _append_event(
                events, event_type, with_len, base, offset, size, wd, mask, cookie
            )
            if end == offset:
                break
            offset = end
        return offset

    def _append_event(
        events: list[Any],
        event_type: type,
        with_len: bool,
        base: Any,
        offset: int,
        size: int,
        wd: int = 0,
        mask: int = 0,
        cookie: int = 0,
    ) -> tuple[int, int, int, int]:
        """Append one event. Return where it ends, or ``offset`` when it is
        malformed, and its numbers: its neighbour often shares them, and then the
        objects too. A tenth of a drain is what the collector takes for three more
        numbers an event."""
        left = size - offset - HEADER_SIZE
        if left < 0:
            return offset, wd, mask, cookie
        event = ffi.cast(_EVENT_POINTER, base + offset)
        length = event.len
        if length > left:
            return offset, wd, mask, cookie
        name = ""
        if length:
            encoded = ffi.string(event.name, length)
            if len(encoded) == length:  # no NUL ends it
                return offset, wd, mask, cookie
            name = encoded.decode(_ENCODING, _ERRORS)
        if event.wd != wd:
            wd = event.wd
        if event.mask != mask:
            mask = event.mask
        if event.cookie != cookie:
            cookie = event.cookie
        fields: tuple[Any, ...] = (wd, mask, cookie)
        fields += (length, name) if with_len else (name,)
        events.append(tuple.__new__(event_type, fields))
        return offset + HEADER_SIZE + length, wd, mask, cookie

    def append_bytes(events: list[Any], event_type: type, data: bytes) -> int:
        with ffi.from_buffer(data) as memory:
            return append_events(events, event_type, False, memory, len(data))

    class _Reader:
        """An instance, and the buffers that those who read it use in turn."""

        def __init__(self, event_type: type, instance: Any) -> None:
            self._event_type = event_type
            self._instance = instance
            self._buffers: deque[Any] = deque()  # its append and pop are atomic

        def append_queued(self, events: list[Any]) -> int:
            return self._append_read(events, False)[0]

        def append_more(self, events: list[Any]) -> int:
            return self._append_read(events, True)[0]

        def append_numbered(self, events: list[Any]) -> int:
            return self._append_read(events, False)[1]

        def _append_read(self, events: list[Any], more: bool) -> tuple[int, int]:
            queued = self._take_buffer()
            known = len(events)
            try:
                lib.instance_read(self._instance, queued, more)
                size: int = queued.size
                rest: int = queued.rest
                number: int = queued.number
                append_events(events, self._event_type, False, queued.data, size)
            except BaseException:
                # A signal handler raised, perhaps between two events: start anew.
                del events[known:]
                append_events(events, self._event_type, False, queued.data, queued.size)
                raise
            finally:
                queued.size = 0
                self._buffers.append(queued)
            if size <= 0:
                return size, size
            return rest, number

        def _take_buffer(self) -> Any:
            try:
                return self._buffers.pop()
            except IndexError:
                return ffi.new("struct queued *")

    def reader_of(event_type: type, instance: Any) -> tuple[Append, Append, Append]:
        reader = _Reader(event_type, instance)
        return reader.append_queued, reader.append_more, reader.append_numbered

else:
    from ._builtins import address, append_events_at, reader_at

    def append_bytes(events: list[Any], event_type: type, data: bytes) -> int:
        # A lone event costs half as much as through cffi's from_buffer().
        offset: int = append_events_at(events, event_type, False, data, len(data))
        return offset

    def append_events(
        events: list[Any], event_type: type, with_len: bool, base: Any, size: int
    ) -> int:
        offset: int = append_events_at(
            events, event_type, with_len, address(base), size
        )
        return offset

    def reader_of(event_type: type, instance: Any) -> tuple[Append, Append, Append]:
        appenders: tuple[Append, Append, Append] = reader_at(
            (event_type, address(instance), instance)
        )
        return appenders
