"""From the kernel's ``struct inotify_event`` to named tuples.

The interpreters differ most here. Through cffi, CPython takes 20 ns for a field and
75 ns for a name, so there `Parser` is compiled. PyPy's compiler inlines cffi and reads
the struct in place, which is faster than any call into C.
"""

from __future__ import annotations

import sys

from ._inotify import ffi

TYPE_CHECKING = False
if TYPE_CHECKING:
    # The compiled module imports this one. PyInstaller and the like find imports in
    # bytecode, even in code that never runs, but not in compiled modules.
    from typing import Any

    import _cffi_backend  # noqa: F401

HEADER_SIZE = ffi.sizeof("struct inotify_event")

if sys.implementation.name == "pypy":
    from __pypy__ import newlist_hint  # type: ignore[import-not-found]

    _EVENT_POINTER = ffi.typeof("struct inotify_event *")
    _ENCODING = sys.getfilesystemencoding()
    _ERRORS = sys.getfilesystemencodeerrors()
    _USUAL_SIZE = 32  # of an event: the kernel pads names to a multiple of 16 bytes

    class Parser:
        """Creates named tuples of one type from events."""

        def __init__(self, event_type: type, with_len: bool) -> None:
            self._event_type = event_type
            self._with_len = with_len

        def append(self, events: list[Any], data: bytes) -> int:
            """Append the events in ``data``; return the offset of the first that is
            malformed, or the length of ``data``."""
            with ffi.from_buffer(data) as memory:
                return self.append_at(events, memory, len(data))

        def append_at(self, events: list[Any], base: Any, size: int) -> int:
            """Append the events in memory, as `append` does."""
            return _append_events(events, self._event_type, self._with_len, base, size)

    def _append_events(
        events: list[Any], event_type: type, with_len: bool, base: Any, size: int
    ) -> int:
        # The first event is parsed without a loop. PyPy then compiles a read of one
        # event into its caller's loop, which saves a tenth.
        end, *numbers = _append_event(events, event_type, with_len, base, 0, size)
        if 0 < end < size:
            # Growing a list to thousands of items costs a fifth of parsing them.
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
        """Append one event.

        Return the offset of its end, or ``offset`` if it is malformed, and its numbers.
        Its neighbour often has the same ones, and then shares the objects: three more
        objects for each event cost the collector a tenth of a drain.
        """
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

else:
    from ._inotify import Parser as Parser  # type: ignore[assignment]
