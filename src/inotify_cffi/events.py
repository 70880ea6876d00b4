"""Events from bytes, and names for masks.

Some facts about events (inotify(7), and ``fs/notify/inotify`` of the kernel):

* The kernel merges an event with the last one queued when both are equal
  (watch, mask and name), so events cannot be counted.
* ``wd`` is -1 for Q_OVERFLOW alone: the queue was full, events are missing.
* ``cookie`` is a full 32-bit number that wraps; both halves of a rename have
  the same, and the second half may come in a later read, or never.
* After IGNORED the watch descriptor names no watch any more.
"""

from __future__ import annotations

from collections import namedtuple
from enum import IntEnum
from operator import index

from . import _hints, _parsing
from ._inotify import ffi, lib

TYPE_CHECKING = False  # typing takes longer to import than all of this package
if TYPE_CHECKING:
    from typing import NamedTuple

    class Event(NamedTuple):
        wd: int
        mask: int
        cookie: int
        name: str

else:
    Event = namedtuple("Event", ["wd", "mask", "cookie", "name"])
    Event.__doc__ = "An inotify event, as `INotify.read` and `parse_events` return it."
    Event.wd.__doc__ = "The watch descriptor; -1 for Q_OVERFLOW."
    Event.mask.__doc__ = "Bits of `flags`, which are the kind of event."
    Event.cookie.__doc__ = "The number that both halves of a rename share; else 0."
    Event.name.__doc__ = """The name inside the watched directory, as `os.fsdecode`
        gives it: bytes that are not text come back whole through `os.fsencode`.
        Empty when the event is for the watched object itself."""


PARSER = _parsing.Parser(Event, False)


def _checked(mask: int) -> int:
    try:
        return index(mask)
    except TypeError:
        message = f"mask must be an int, such as event.mask, not {mask!r}"
        raise TypeError(message) from None


class _Named(IntEnum):
    # Else Python 3.9 would format what __str__ gives, and refuse `{flag:#x}`.
    __format__ = int.__format__  # type: ignore[assignment]

    def __str__(self) -> str:  # int's own since Python 3.11
        return f"{self.__class__.__name__}.{self._name_}"


class flags(_Named):
    """The bits of a mask: ``IN_*`` of ``<sys/inotify.h>`` without ``IN_``.

    >>> str(flags.CREATE)
    'flags.CREATE'
    """

    ACCESS = lib.IN_ACCESS  #: File was accessed
    MODIFY = lib.IN_MODIFY  #: File was modified
    ATTRIB = lib.IN_ATTRIB  #: Metadata changed
    CLOSE_WRITE = lib.IN_CLOSE_WRITE  #: Writable file was closed
    CLOSE_NOWRITE = lib.IN_CLOSE_NOWRITE  #: Unwritable file or directory closed
    OPEN = lib.IN_OPEN  #: File or directory was opened
    MOVED_FROM = lib.IN_MOVED_FROM  #: Renamed; this is the old name
    MOVED_TO = lib.IN_MOVED_TO  #: Renamed; this is the new name
    CREATE = lib.IN_CREATE  #: File or directory was created
    DELETE = lib.IN_DELETE  #: File or directory was deleted
    DELETE_SELF = lib.IN_DELETE_SELF  #: The watched object was deleted
    MOVE_SELF = lib.IN_MOVE_SELF  #: The watched object was renamed

    UNMOUNT = lib.IN_UNMOUNT  #: Its file system was unmounted
    Q_OVERFLOW = lib.IN_Q_OVERFLOW  #: The queue was full; events are missing
    IGNORED = lib.IN_IGNORED  #: The watch is gone

    ONLYDIR = lib.IN_ONLYDIR  #: Watch only a directory
    DONT_FOLLOW = lib.IN_DONT_FOLLOW  #: Watch a symbolic link itself
    EXCL_UNLINK = lib.IN_EXCL_UNLINK  #: No events of unlinked children
    MASK_CREATE = lib.IN_MASK_CREATE  #: Make a new watch or fail
    MASK_ADD = lib.IN_MASK_ADD  #: Add to the mask of an existing watch
    ISDIR = lib.IN_ISDIR  #: The event is about a directory
    ONESHOT = lib.IN_ONESHOT  #: Remove the watch after one event

    @classmethod
    def from_mask(cls, mask: int) -> list[flags]:
        """Return the flags that are set in a mask, in the order above.

        Parameters:
            mask: any int, such as the mask of an event. Bits without a name are
                ignored; `mask_str` shows them.

        Raises:
            TypeError: ``mask`` is not an int.

        >>> flags.from_mask(0x40000100) == [flags.CREATE, flags.ISDIR]
        True
        """
        mask = _checked(mask)
        return [flag for flag in cls if flag & mask]


class masks(_Named):
    """Several flags at once, as ``<sys/inotify.h>`` has them."""

    CLOSE = lib.IN_CLOSE  #: CLOSE_WRITE | CLOSE_NOWRITE
    MOVE = lib.IN_MOVE  #: MOVED_FROM | MOVED_TO
    ALL_EVENTS = lib.IN_ALL_EVENTS  #: All events that add_watch can ask for


def mask_str(mask: int) -> str:
    """Return the names of a mask's flags.

    Parameters:
        mask: any int, such as the mask of an event.

    Returns:
        The names of its `flags`, in their order, and the bits without a name in
        hexadecimal.

    Raises:
        TypeError: ``mask`` is not an int.

    >>> mask_str(0x40000100)
    'CREATE | ISDIR'
    >>> mask_str(0x00010100)
    'CREATE | 0x10000'
    """
    mask = _checked(mask)
    words = []
    for flag in flags:
        if mask & flag:
            words.append(flag.name)
            mask &= ~flag
    if mask or not words:
        words.append(hex(mask))
    return " | ".join(words)


def parse_events(data: _hints.BytesLike) -> list[Event]:
    """Parse the bytes that were read from an inotify descriptor.

    Parameters:
        data: any bytes-like object, contiguous.

    Returns:
        The events, in their order.

    Raises:
        ValueError: a header is truncated, a ``len`` exceeds the data, or a name
            has no NUL at its end. The text has the offset of that event, in
            bytes.
        TypeError: ``data`` is not bytes-like.

    >>> parse_events(bytes.fromhex("01000000 00010000 00000000 04000000 61620000"))
    [Event(wd=1, mask=256, cookie=0, name='ab')]
    """
    if isinstance(data, str):
        raise TypeError("data must be bytes-like, not str")
    if type(data) is not bytes:  # any object may have bytes as its __class__
        # Nobody can change a copy meanwhile; it costs a hundredth of the parsing.
        with ffi.from_buffer(data) as memory:
            data = ffi.buffer(memory)[:]
    events: list[Event] = []
    offset = PARSER.append(events, data)
    if offset != len(data):
        raise ValueError(_malformation(data, offset))
    return events


def _malformation(data: bytes, offset: int) -> str:
    left = len(data) - offset
    if left < _parsing.HEADER_SIZE:
        return f"truncated event header at offset {offset}: {left} of 16 bytes"
    with ffi.from_buffer(data) as memory:
        length = ffi.cast("struct inotify_event *", memory + offset).len
    left -= _parsing.HEADER_SIZE
    if length > left:
        return f"event at offset {offset} has a name of {length} bytes, {left} follow"
    return f"event at offset {offset} has a name of {length} bytes without a NUL"
