"""The system calls over a bare file descriptor, as py-inotify has them.

Every ``IN_*`` constant has the value that the C compiler found in
``<sys/inotify.h>``. Here, and nowhere else, an errno becomes an `OSError`.
All functions may be called from any thread; none keeps state.
"""

from __future__ import annotations

import errno
import os
import sys
from _operator import index  # operator itself takes longer to import than this

from . import _hints, _parsing
from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ._hints import Path as Path
    from ._raw_event import Event as Event
else:

    def __getattr__(name: str) -> object:
        if name != "Event":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._raw_event import Event

        globals()["Event"] = Event
        return Event

    def __dir__() -> list[str]:
        return sorted({*globals(), "Event"})


IN_ACCESS: int = lib.IN_ACCESS
IN_MODIFY: int = lib.IN_MODIFY
IN_ATTRIB: int = lib.IN_ATTRIB
IN_CLOSE_WRITE: int = lib.IN_CLOSE_WRITE
IN_CLOSE_NOWRITE: int = lib.IN_CLOSE_NOWRITE
IN_OPEN: int = lib.IN_OPEN
IN_MOVED_FROM: int = lib.IN_MOVED_FROM
IN_MOVED_TO: int = lib.IN_MOVED_TO
IN_CREATE: int = lib.IN_CREATE
IN_DELETE: int = lib.IN_DELETE
IN_DELETE_SELF: int = lib.IN_DELETE_SELF
IN_MOVE_SELF: int = lib.IN_MOVE_SELF
IN_UNMOUNT: int = lib.IN_UNMOUNT
IN_Q_OVERFLOW: int = lib.IN_Q_OVERFLOW
IN_IGNORED: int = lib.IN_IGNORED
IN_CLOSE: int = lib.IN_CLOSE
IN_MOVE: int = lib.IN_MOVE
IN_ALL_EVENTS: int = lib.IN_ALL_EVENTS
IN_ONLYDIR: int = lib.IN_ONLYDIR
IN_DONT_FOLLOW: int = lib.IN_DONT_FOLLOW
IN_EXCL_UNLINK: int = lib.IN_EXCL_UNLINK
IN_MASK_CREATE: int = lib.IN_MASK_CREATE
IN_MASK_ADD: int = lib.IN_MASK_ADD
IN_ISDIR: int = lib.IN_ISDIR
IN_ONESHOT: int = lib.IN_ONESHOT
IN_CLOEXEC: int = lib.IN_CLOEXEC
IN_NONBLOCK: int = lib.IN_NONBLOCK

_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()
_LONGEST_EVENT = _parsing.HEADER_SIZE + 256  # NAME_MAX and its NUL
_parser: _parsing.Parser | None = None


def encode_path(path: Path) -> bytes:
    """Return ``path`` as bytes for the kernel.

    Raises:
        TypeError: it is not str, bytes or PathLike.
        ValueError: it contains a NUL, where C would truncate it.
    """
    name = os.fspath(path)
    encoded = name.encode(_ENCODING, _ERRORS) if isinstance(name, str) else name
    if b"\0" in encoded:
        raise ValueError(f"embedded null byte in path {path!r}")
    return encoded


def raise_os_error(number: int, path: Path | None = None) -> NoReturn:
    """Raise the `OSError` that `os_error` returns."""
    raise os_error(number, path)


def os_error(number: int, path: Path | None = None) -> OSError:
    """Return the `OSError` for errno ``number``.

    For a limit, the text names the sysctl, its value and what to do.
    """
    text = os.strerror(number)
    if number == errno.ENOSPC:
        text = (
            f"no more inotify watches: {_limit_of('watches')} for all of this "
            "user's instances; raise it with sysctl, or remove watches"
        )
    return OSError(number, text, path if path is None else os.fspath(path))


def raise_add_error(number: int, path: Path, mask: int) -> NoReturn:
    """Raise the `OSError` for an errno of inotify_add_watch(2).

    The kernel returns EINVAL for a mask without a bit of its own, for MASK_ADD with
    MASK_CREATE, and for a descriptor of something else: inotify_add_watch in
    fs/notify/inotify/inotify_user.c.
    """
    if number != errno.EINVAL:
        raise_os_error(number, path)
    both = lib.IN_MASK_ADD | lib.IN_MASK_CREATE
    fault = f"mask {int(mask):#x} asks for no event"
    if mask & both == both:
        fault = f"mask {int(mask):#x} has both MASK_ADD and MASK_CREATE"
    elif mask & lib.IN_ALL_EVENTS:
        fault = "the descriptor is not an inotify instance"
    raise OSError(number, f"{os.strerror(number)}: {fault}", os.fspath(path))


def raise_no_watch(wd: int) -> NoReturn:
    """Raise the `OSError` for EINVAL of inotify_rm_watch(2)."""
    raise OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)}: no watch {int(wd)}")


def checked_mask(mask: int) -> int:
    """Return a mask as an int of 32 bits.

    Raises:
        TypeError: it is not an int.
        OverflowError: it is negative or has more than 32 bits.
    """
    try:
        number = index(mask)
    except TypeError:
        message = f"mask must be an int, such as flags.CREATE, not {mask!r}"
        raise TypeError(message) from None
    if not 0 <= number < 1 << 32:
        raise OverflowError(f"mask must be a number of 32 bits, not {number:#x}")
    return number


def checked_wd(wd: int) -> int:
    """Return a watch descriptor as an int.

    Raises:
        TypeError: it is not an int.
    """
    try:
        return index(wd)
    except TypeError:
        raise TypeError(f"wd must be an int, not {wd!r}") from None


def raise_epoll_error(number: int) -> NoReturn:
    """Raise the `OSError` for an errno of epoll_ctl(2): its ENOSPC is epoll's limit."""
    if number != errno.ENOSPC:
        raise_os_error(number)
    raise OSError(
        number,
        "no more epoll watches: fs.epoll.max_user_watches is "
        f"{_value_of('fs.epoll.max_user_watches')} for this user; "
        "raise it with sysctl, or wait in fewer tasks",
    )


def raise_init_error(number: int) -> NoReturn:
    """Raise the `OSError` for an errno of inotify_init1(2).

    EMFILE stands for two limits; the text says which one was reached.
    """
    if number != errno.EMFILE:
        raise_os_error(number)
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        # The soft limit of getrlimit(2). (To import resource needs a descriptor, too.)
        soft = os.sysconf("SC_OPEN_MAX")
        raise OSError(
            number,
            f"too many open files: this process may have {soft} (RLIMIT_NOFILE); "
            "raise it with ulimit -n, or close some",
        ) from None
    raise OSError(
        number,
        f"no more inotify instances: {_limit_of('instances')} for this user; "
        "raise it with sysctl, or close some",
    )


def _limit_of(what: str) -> str:
    """Return the sysctl that limits the watches or the instances, and its value.

    A user namespace, such as a container's, may have a lower limit of its own:
    user_namespaces(7), namespaces(7). Outside of one, both are the same.
    """
    system, namespace = f"fs.inotify.max_user_{what}", f"user.max_inotify_{what}"
    value, lower = _value_of(system), _value_of(namespace)
    if value is not None and lower is not None and lower < value:
        return f"{namespace} is {lower}"
    return f"{system} is {'unknown here' if value is None else value}"


def _value_of(sysctl: str) -> int | None:
    try:
        with open(f"/proc/sys/{sysctl.replace('.', '/')}") as file:
            return int(file.read())
    except OSError:
        return None


def init() -> int:
    """Create an inotify instance: inotify_init(2).

    The descriptor is inherited over exec; `init1` can prevent that.

    Returns:
        The file descriptor; `os.close` closes it.

    Raises:
        OSError: EMFILE, ENFILE or ENOMEM; the text names the limit.
    """
    fd = lib.call_init()
    if fd < 0:
        raise_init_error(-fd)
    return fd


def init1(flags: int = 0) -> int:
    """Create an inotify instance: inotify_init1(2).

    Parameters:
        flags: ``IN_NONBLOCK`` and ``IN_CLOEXEC``, combined with ``|``.

    Returns:
        The file descriptor; `os.close` closes it.

    Raises:
        OSError: EINVAL for an unknown flag; EMFILE, ENFILE or ENOMEM: the text
            names the limit.
        TypeError, OverflowError: ``flags`` is not an int, or too large for C.
    """
    fd = lib.call_init1(index(flags))
    if fd < 0:
        raise_init_error(-fd)
    return fd


def add_watch(fd: int, pathname: _hints.Path, mask: int) -> int:
    """Watch ``pathname``, or change its watch: inotify_add_watch(2).

    If a watch exists and ``IN_MASK_ADD`` is not set, events that another processor
    causes at that moment are lost: the kernel clears the old mask before it sets
    the new one.

    Parameters:
        fd: the descriptor of an inotify instance.
        pathname: str, bytes or PathLike; you need permission to read it.
        mask: which events to report, and how: ``IN_*``, combined with ``|``.

    Returns:
        The watch descriptor.

    Raises:
        OSError: as inotify_add_watch(2) lists; ENOSPC names the sysctl.
        TypeError, OverflowError: ``mask`` or ``fd`` is not an int, or out of range.
        ValueError: a NUL in ``pathname``.
    """
    fd, mask = index(fd), index(mask)  # cffi would take a Decimal
    encoded = encode_path(pathname)
    while True:
        wd = lib.call_add_watch(fd, encoded, mask)
        if wd >= 0:
            return wd
        if wd != -errno.EINTR:
            raise_add_error(-wd, pathname, mask)


def rm_watch(fd: int, wd: int) -> int:
    """Remove a watch: inotify_rm_watch(2). ``IN_IGNORED`` is its last event.

    Parameters:
        fd: the descriptor of an inotify instance.
        wd: the watch descriptor that `add_watch` returned.

    Returns:
        0.

    Raises:
        OSError: EINVAL: there is no such watch; EBADF.
        TypeError, OverflowError: an argument is not an int, or out of range.
    """
    result = lib.call_rm_watch(index(fd), index(wd))
    if result < 0:
        raise_os_error(-result)
    return result


def read_events(fd: int, max_bytes: int = 0) -> list[_hints.RawEvent]:
    """Read and parse the queued events: one read(2).

    This waits if no event is queued, unless ``fd`` is non-blocking. If a signal
    comes, its handler runs, and the wait continues.

    Parameters:
        fd: the descriptor of an inotify instance.
        max_bytes: read at most this number of bytes; 0 reads all queued events.

    Returns:
        The events, in their order. An empty list if ``fd`` is non-blocking and no
        event is queued.

    Raises:
        OSError: EINVAL: ``max_bytes`` is too small for the first event; EBADF; EIO:
            the bytes are not events, so ``fd`` is not an inotify instance.
        TypeError: an argument is not an int.
        ValueError, OverflowError: ``max_bytes`` is negative, or too large.
    """
    fd, max_bytes = index(fd), index(max_bytes)
    if max_bytes < 0:
        raise ValueError(f"max_bytes is negative: {max_bytes}")
    parser = _parser or _make_parser()  # what fails here has read nothing
    queued = lib.call_queued_bytes(fd)
    if queued < 0:
        raise_os_error(-queued)
    size = queued or 10 * _LONGEST_EVENT
    if max_bytes:
        size = min(size, max_bytes)
    buffer = ffi.new("char[]", size)
    while True:
        filled = lib.call_read(fd, buffer, size)
        if filled >= 0:
            break
        if filled == -errno.EAGAIN:
            return []
        if filled != -errno.EINTR:
            raise_os_error(-filled)
    events: list[Event] = []
    if parser.append(events, ffi.buffer(buffer, filled)[:]) != filled:
        raise_os_error(errno.EIO)
    return events


def _make_parser() -> _parsing.Parser:
    global _parser
    from ._raw_event import Event

    _parser = made = _parsing.Parser(Event, True)
    return made
