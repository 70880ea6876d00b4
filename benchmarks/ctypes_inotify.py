"""The fairest ctypes binding: what inotify_cffi would be without a compiler.

It has inotify_simple's API and defaults, without its constants, and does all that
ctypes allows to be fast: typed prototypes (which cost CPython some 100 ns a call, and
save PyPy 5,000), ``use_errno``, the C library that is loaded anyway instead of
``find_library``, FIONREAD into one array (two threads that read would get in each
other's way), one ``os.read`` of what is queued (ctypes is slower at that), one
compiled `struct.Struct` for headers, and named tuples made by ``tuple.__new__``.
Opened with ``nonblocking=True`` it does without FIONREAD, as inotify_cffi does.
"""

from __future__ import annotations

import ctypes
import os
import sys
from array import array
from collections import namedtuple
from errno import EINTR
from fcntl import ioctl
from io import FileIO
from select import POLLIN, poll
from struct import Struct
from termios import FIONREAD
from time import sleep

TYPE_CHECKING = False  # importing typing takes time: `bench_start` counts it
if TYPE_CHECKING:
    from typing import NoReturn

_libc = ctypes.CDLL(None, use_errno=True)
_init1 = _libc.inotify_init1
_init1.argtypes = (ctypes.c_int,)
_init1.restype = ctypes.c_int
_add_watch = _libc.inotify_add_watch
_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_add_watch.restype = ctypes.c_int
_rm_watch = _libc.inotify_rm_watch
_rm_watch.argtypes = (ctypes.c_int, ctypes.c_int)
_rm_watch.restype = ctypes.c_int

_HEADER = Struct("iIII")
_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()
_READ_SIZE = 16384
_SURELY_EMPTIED = _READ_SIZE - 272  # no event is longer

Event = namedtuple("Event", ["wd", "mask", "cookie", "name"])


class INotify(FileIO):
    def __init__(self, *, nonblocking: bool = False) -> None:
        fd = _init1(os.O_CLOEXEC | (os.O_NONBLOCK if nonblocking else 0))
        if fd == -1:
            _raise()
        super().__init__(fd, mode="rb")
        self._blocking = not nonblocking
        self._poll: poll | None = None
        self._size = array("i", [0])

    def add_watch(self, path: str | bytes | os.PathLike[str], mask: int) -> int:
        fd, encoded = self.fileno(), os.fsencode(path)
        while True:
            wd: int = _add_watch(fd, encoded, mask)
            if wd != -1:
                return wd
            if ctypes.get_errno() != EINTR:
                _raise()

    def rm_watch(self, wd: int) -> None:
        if _rm_watch(self.fileno(), wd) == -1:
            _raise()

    def read(  # type: ignore[override]
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[Event]:
        data = self._read_queued()
        if not data and timeout != 0:
            if self._poll is None:
                self._poll = poll()
                self._poll.register(self.fileno(), POLLIN)
            if self._poll.poll(timeout):
                if read_delay is not None:
                    sleep(read_delay / 1000)
                data = self._read_queued()
        return parse_events(data)

    def _read_queued(self) -> bytes:
        fd = self.fileno()
        if self._blocking:
            ioctl(fd, FIONREAD, self._size)
            size = self._size[0]
            return os.read(fd, size) if size else b""
        data = b""
        try:
            while True:
                chunk = os.read(fd, _READ_SIZE)
                if len(chunk) <= _SURELY_EMPTIED:
                    return data + chunk if data else chunk
                data += chunk
        except BlockingIOError:
            return data


def parse_events(data: bytes) -> list[Event]:
    events: list[Event] = []
    append = events.append
    unpack = _HEADER.unpack_from
    new = tuple.__new__
    start, size = 0, len(data)
    while start < size:
        wd, mask, cookie, length = unpack(data, start)
        start += 16
        end = start + length
        name = data[start:end].rstrip(b"\0").decode(_ENCODING, _ERRORS)
        append(new(Event, (wd, mask, cookie, name)))
        start = end
    return events


def _raise() -> NoReturn:
    errno = ctypes.get_errno()
    raise OSError(errno, os.strerror(errno))
