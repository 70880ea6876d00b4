"""INotify: the descriptor, its watches, and reading it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import importlib.metadata
import inspect
import io
import math
import os
import select
import selectors
import signal
import string
import subprocess
import sys
import tempfile
import time
import types
import typing
import weakref
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import put_another_file_in_place_of

import inotify_cffi
from inotify_cffi import (
    Event,
    INotify,
    Watch,
    flags,
    mask_str,
    masks,
    parse_events,
    syscalls,
)

if TYPE_CHECKING:
    from conftest import InThread, RunPython

Names = Callable[[Iterable[Event]], list[str]]

# Longer than any test may take: what waits so long has not been ended.
FOR_EVER = 3_600_000
WRONG: Any = "CREATE"


@pytest.fixture
def watching(inotify: INotify, tmp_path: Path) -> INotify:
    """An instance that watches tmp_path for CREATE."""
    assert inotify.add_watch(tmp_path, flags.CREATE) == 1
    return inotify


# ---- the descriptor ----------------------------------------------------------


def test_is_a_file_object(inotify: INotify) -> None:
    """An instance is an io.FileIO, open for reading bytes."""
    assert isinstance(inotify, io.FileIO)
    assert inotify.fd == inotify.fileno()
    assert os.readlink(f"/proc/self/fd/{inotify.fd}") == "anon_inode:inotify"
    assert (inotify.mode, inotify.readable(), inotify.writable()) == ("rb", True, False)
    assert (inotify.isatty(), inotify.closed) == (False, False)


@pytest.mark.parametrize("inheritable", [False, True])
@pytest.mark.parametrize("nonblocking", [False, True])
def test_flags_of_the_descriptor(inheritable: bool, nonblocking: bool) -> None:
    """Each of inheritable and nonblocking sets just its own flag."""
    with INotify(inheritable, nonblocking) as inotify:
        blocks_not = fcntl.fcntl(inotify.fd, fcntl.F_GETFL) & os.O_NONBLOCK
        assert bool(blocks_not) is nonblocking
        assert os.get_inheritable(inotify.fd) is inheritable


def test_default_flags(inotify: INotify) -> None:
    """By default the descriptor blocks and is closed on exec."""
    assert not fcntl.fcntl(inotify.fd, fcntl.F_GETFL) & os.O_NONBLOCK
    assert not os.get_inheritable(inotify.fd)


@pytest.mark.parametrize("inheritable", [False, True])
def test_exec(inheritable: bool) -> None:
    """A program that is executed has the descriptor exactly when it may inherit."""
    with INotify(inheritable=inheritable) as inotify:
        found = subprocess.run(
            ["readlink", f"/proc/self/fd/{inotify.fd}"],
            close_fds=False,
            capture_output=True,
            check=False,
        )
    assert found.stdout == (b"anon_inode:inotify\n" if inheritable else b"")


def test_raw_reads(watching: INotify, tmp_path: Path) -> None:
    """The descriptor can be read by hand."""
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    assert parse_events(os.read(watching.fd, 4096)) == [
        (1, flags.CREATE, 0, "a"),
        (1, flags.CREATE, 0, "b"),
    ]
    (tmp_path / "c").touch()
    assert parse_events(os.read(watching.fd, 4096)) == [(1, flags.CREATE, 0, "c")]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("readline", ()),
        ("readlines", ()),
        ("readall", ()),
        ("readinto", (bytearray(10),)),
        ("seek", (0,)),
        ("tell", ()),
        ("truncate", ()),
        ("write", (b"",)),
        ("writelines", ([],)),
    ],
)
def test_what_a_file_can_and_events_cannot(
    watching: INotify, tmp_path: Path, name: str, arguments: tuple[Any, ...]
) -> None:
    """FileIO's methods that make no sense are refused, and lose no event."""
    (tmp_path / "a").touch()
    with pytest.raises(io.UnsupportedOperation):
        getattr(watching, name)(*arguments)
    assert [event.name for event in watching.read(timeout=0)] == ["a"]


def test_a_path_in_place_of_inheritable(tmp_path: Path) -> None:
    """INotify() takes no path, and says so."""
    for path in (tmp_path, str(tmp_path), bytes(tmp_path)):
        with pytest.raises(TypeError, match="add_watch"):
            INotify(path)  # type: ignore[arg-type]


def test_names_that_a_subclass_may_have(inotify: INotify) -> None:
    """There is one private name, mangled; no other can be overwritten by chance."""
    ours = set(vars(INotify)) | set(vars(inotify))
    private = {name for name in ours if name.startswith("_") and name[1] != "_"}
    assert private == {"_INotify__instance"}


def test_a_singleton(tmp_path: Path) -> None:
    """A subclass may keep its only object in a name of its own choice."""

    class Shared(INotify):
        _instance = None
        _wait = _read = _queue = _events = _fd = _closefd = "the subclass's own"

        def __new__(cls) -> Shared:
            if cls._instance is None:
                cls._instance = super().__new__(cls)
            return cls._instance

    with Shared() as shared:
        shared.add_watch(tmp_path, flags.CREATE)
        (tmp_path / "x").touch()
        assert [event.name for event in shared.read()] == ["x"]


def test_type_hints() -> None:
    """typing.get_type_hints() works of classes and functions, on every Python."""

    class Mine(INotify):
        count: int = 0

    assert typing.get_type_hints(Mine) == {"count": int}
    refused = {"readline", "readlines", "readall", "readinto", "seek", "tell"}
    refused |= {"truncate", "write", "writelines"}
    public = {name for name in vars(INotify) if not name.startswith("_")} - refused
    functions = [
        function
        for name in public
        if inspect.isfunction(function := getattr(INotify, name))
    ]
    assert INotify.add_watch in functions
    calls = [syscalls.add_watch, syscalls.read_events]
    for function in [*functions, parse_events, mask_str, *calls]:
        assert typing.get_type_hints(function)


def test_version() -> None:
    """__version__ is that of the distribution."""
    assert inotify_cffi.__version__ == importlib.metadata.version("inotify-cffi")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda i, d: i.read("5"), TypeError, "timeout must be a number of mill.*str"),
        (lambda i, d: i.read(b"5"), TypeError, "timeout must be a number"),
        (lambda i, d: i.read(timedelta(1)), TypeError, "timeout.*, not timedelta"),
        (lambda i, d: i.read(1, []), TypeError, "read_delay must be a number.*list"),
        (lambda i, d: i.read(math.nan), ValueError, "milliseconds, not nan"),
        (lambda i, d: i.read(1, -1), ValueError, "read_delay must not be negative"),
        (lambda i, d: i.add_watch(d, "CREATE"), TypeError, "mask must be an int"),
        (lambda i, d: i.add_watch(d, None), TypeError, "mask must be an int"),
        (lambda i, d: i.add_watch(d, 0), OSError, "mask 0x0 asks for no event"),
        (
            lambda i, d: i.add_watch(d, flags.MASK_ADD | flags.MASK_CREATE | 1),
            OSError,
            "mask 0x30000001 has both MASK_ADD and MASK_CREATE",
        ),
        (lambda i, d: i.add_watch(d, -1), OverflowError, "of 32 bits, not -0x1$"),
        (lambda i, d: i.add_watch(d, 1 << 40), OverflowError, "mask .*not 0x10000000"),
        (lambda i, d: i.rm_watch(99), OSError, "no watch 99"),
        (lambda i, d: i.rm_watch("1"), TypeError, "wd must be an int, not '1'"),
        (lambda i, d: i.rm_watch(1 << 31), OverflowError, "wd must .*, not 2147483648"),
        (lambda i, d: mask_str(WRONG), TypeError, "mask must be an int"),
        (lambda i, d: flags.from_mask(WRONG), TypeError, "mask must be an int"),
        (lambda i, d: parse_events("text"), TypeError, "bytes-like"),
    ],
)
def test_messages(
    inotify: INotify,
    tmp_path: Path,
    call: Callable[[INotify, Path], Any],
    error: type[Exception],
    text: str,
) -> None:
    """An error names the argument, what was given and what is wanted."""
    with pytest.raises(error, match=text) as raised:
        call(inotify, tmp_path)
    if isinstance(raised.value, OSError):
        assert raised.value.errno == errno.EINVAL


def test_names(inotify: INotify) -> None:
    """dir() has every method but those that raise UnsupportedOperation."""
    names = dir(inotify)
    assert {"read", "aread", "add_watch", "fileno", "fd", "closed"} <= {*names}
    for name in ("readline", "readinto", "seek", "write", "writelines"):
        assert name not in names


def test_nonblocking_raw_read() -> None:
    """os.read() of an empty non-blocking descriptor is a BlockingIOError."""
    with INotify(nonblocking=True) as inotify:
        with pytest.raises(BlockingIOError):
            os.read(inotify.fd, 4096)
        assert inotify.read(timeout=0) == []


def test_context_manager() -> None:
    """``with`` returns the instance itself, and closes it, even after an exception."""
    inotify = INotify()
    with contextlib.suppress(KeyError), inotify as entered:
        assert entered is inotify
        raise KeyError
    assert inotify.closed
    with pytest.raises(ValueError, match="closed"), inotify:
        pass


def test_repr(inotify: INotify) -> None:
    """repr() shows the descriptor, and whether it is closed."""
    assert repr(inotify) == f"<INotify fd={inotify.fd} closefd=True>"
    inotify.close()
    assert repr(inotify) == "<INotify [closed]>"


def test_close_twice() -> None:
    """Closing again closes nothing: not what has the number by then."""
    inotify = INotify()
    number = inotify.fd
    inotify.close()
    with open(os.devnull) as reuser:
        assert reuser.fileno() == number
        inotify.close()
        del inotify
        gc.collect()
        os.fstat(number)


def test_closed_by_hand() -> None:
    """An instance whose descriptor is gone says EBADF."""
    inotify = INotify(closefd=False)
    os.close(inotify.fd)
    with pytest.raises(OSError, match="Bad file descriptor") as refused:
        inotify.read(timeout=0)
    assert refused.value.errno == errno.EBADF
    inotify.close()


def test_closefd(tmp_path: Path) -> None:
    """With closefd=False the descriptor outlives the instance, watches and all."""
    inotify = INotify(closefd=False)
    assert inotify.closefd is False
    inotify.add_watch(tmp_path, flags.CREATE)
    fd = inotify.fd
    inotify.close()
    assert inotify.closed
    with pytest.raises(ValueError, match="closed"):
        inotify.read(timeout=0)
    (tmp_path / "file").touch()
    assert parse_events(os.read(fd, 4096)) == [(1, flags.CREATE, 0, "file")]
    os.close(fd)


def test_closefd_and_collection() -> None:
    """With closefd=False a collected instance leaves its descriptor open."""
    inotify = INotify(closefd=False)
    fd = inotify.fd
    del inotify
    for _ in range(3):
        gc.collect()
    assert os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:inotify"
    os.close(fd)


@pytest.mark.parametrize(
    "use",
    [
        lambda inotify: inotify.read(),
        lambda inotify: inotify.read(timeout=0),
        lambda inotify: inotify.read(timeout=1, read_delay=1),
        lambda inotify: inotify.wait_readable(),
        lambda inotify: inotify.wait_readable(timeout=0),
        lambda inotify: inotify.add_watch("/", flags.CREATE),
        lambda inotify: inotify.rm_watch(1),
        lambda inotify: inotify.watches(),
        lambda inotify: inotify.fileno(),
        lambda inotify: inotify.fd,
        lambda inotify: inotify.__enter__(),
    ],
)
def test_closed(use: Callable[[INotify], object]) -> None:
    """Every use of a closed instance is a ValueError that says so."""
    inotify = INotify()
    inotify.add_watch("/", flags.CREATE)
    inotify.close()
    with pytest.raises(ValueError, match="closed file"):
        use(inotify)


def test_closed_harmlessly() -> None:
    """A closed instance can be closed and woken again, and iteration ends."""
    inotify = INotify()
    inotify.close()
    inotify.close()
    inotify.wake()
    assert list(inotify) == []


def test_initialised_again(tmp_path: Path) -> None:
    """Calling __init__ again closes the first instance, as io.FileIO's does."""
    with INotify() as inotify:
        inotify.add_watch(tmp_path, flags.CREATE)
        inotify.__init__(nonblocking=True)  # type: ignore[misc]
        assert inotify.watches() == []
        assert inotify.add_watch(tmp_path, flags.CREATE) == 1
        (tmp_path / "file").touch()
        assert len(inotify.read(timeout=0)) == 1


def test_subclass(tmp_path: Path, names: Names) -> None:
    """A subclass may have state, arguments and methods of its own."""

    class Named(INotify):
        def __init__(self, path: Path, **options: bool) -> None:
            super().__init__(**options)
            self.paths = {self.add_watch(path, flags.CREATE): path}

        def read(  # type: ignore[override]  # not io.FileIO's
            self, timeout: float | None = None, read_delay: float | None = None
        ) -> list[Event]:
            events = super().read(timeout, read_delay)
            self.total = getattr(self, "total", 0) + len(events)
            return events

    with Named(tmp_path, nonblocking=True) as named:
        (tmp_path / "file").touch()
        assert names(named.read()) == ["file"]
        assert (named.total, named.paths) == (1, {1: tmp_path})
        assert repr(named).startswith("<test_subclass.<locals>.Named fd=")
        assert weakref.ref(named)() is named


def test_iteration_raises_other_errors(inotify: INotify) -> None:
    """Only a closed instance ends an iteration; any other error is raised there."""
    put_another_file_in_place_of(inotify)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        next(inotify)


def test_descriptor_zero(run_python: RunPython, tmp_path: Path) -> None:
    """Descriptor 0 is a descriptor like every other."""
    code = """
        import os, sys
        from inotify_cffi import INotify, flags, syscalls

        os.close(0)
        with INotify() as inotify:
            print(inotify.fd, inotify.add_watch(sys.argv[1], flags.CREATE))
            os.mkdir(sys.argv[1] + "/folder")
            print([event.name for event in inotify.read(timeout=1000)])
        print(inotify.closed, syscalls.init())
        """
    assert run_python(code, tmp_path) == "0 1\n['folder']\nTrue 0\n"


# ---- usable where descriptors are --------------------------------------------


def test_select(watching: INotify, tmp_path: Path) -> None:
    """The descriptor is readable for select() and poll() at an event, and only then."""
    poll = select.poll()
    poll.register(watching, select.POLLIN)
    assert (select.select([watching], [], [], 0)[0], poll.poll(0)) == ([], [])
    (tmp_path / "file").touch()
    assert select.select([watching], [], [], 0)[0] == [watching]
    assert poll.poll(0) == [(watching.fd, select.POLLIN)]
    watching.read()
    assert (select.select([watching], [], [], 0)[0], poll.poll(0)) == ([], [])


def test_selectors(watching: INotify, tmp_path: Path) -> None:
    """A selector of any kind takes an instance."""
    for kind in (
        selectors.SelectSelector,
        selectors.PollSelector,
        selectors.EpollSelector,
    ):
        with kind() as selector:
            selector.register(watching, selectors.EVENT_READ)
            assert selector.select(0) == []
            (tmp_path / kind.__name__).touch()
            ((key, _),) = selector.select(0)
            assert key.fileobj is watching
            assert [event.name for event in watching.read()] == [kind.__name__]


def test_add_reader(watching: INotify, tmp_path: Path, names: Names) -> None:
    """An asyncio loop's add_reader() takes an instance."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        events: asyncio.Future[list[Event]] = loop.create_future()
        loop.add_reader(watching, lambda: events.set_result(watching.read(timeout=0)))
        (tmp_path / "file").touch()
        try:
            return names(await asyncio.wait_for(events, 60))
        finally:
            loop.remove_reader(watching)

    assert asyncio.run(main()) == ["file"]


# ---- watches -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, os.fsencode, Path, os.scandir])
def test_paths_of_every_kind(
    inotify: INotify, tmp_path: Path, kind: Callable[[Any], Any], names: Names
) -> None:
    """A path is a str, bytes or PathLike, and a PathLike may give bytes."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    if kind is os.scandir:
        with os.scandir(os.fsencode(tmp_path)) as entries:
            path = next(entries)
        assert isinstance(path.path, bytes)
    else:
        path = kind(folder)
    inotify.add_watch(path, flags.CREATE)
    (folder / "file").touch()
    assert names(inotify.read(timeout=0)) == ["file"]


def test_a_subclass_of_str(inotify: INotify, tmp_path: Path) -> None:
    """A path may be of a subclass of str, and is checked like others."""

    class Text(str):
        __slots__ = ()

    assert inotify.add_watch(Text(tmp_path), flags.CREATE) == 1
    with pytest.raises(ValueError, match="null"):
        inotify.add_watch(Text("/\0"), flags.CREATE)


@pytest.mark.parametrize("path", [None, 1, 1.5, bytearray(b"/"), ["/"], object()])
def test_paths_that_are_none(inotify: INotify, path: Any) -> None:
    """Anything but a path is a TypeError."""
    with pytest.raises(TypeError):
        inotify.add_watch(path, flags.CREATE)


@pytest.mark.parametrize("mask", [256, flags.CREATE, masks.ALL_EVENTS, True])
def test_masks(inotify: INotify, tmp_path: Path, mask: int) -> None:
    """A mask is an int, a flag or a mask of several."""
    inotify.add_watch(tmp_path, mask)
    assert [watch.mask for watch in inotify.watches()] == [mask]


def test_a_mask_with_an_index(inotify: INotify, tmp_path: Path) -> None:
    """A mask, or a wd, may be anything that stands for an int."""

    class Number:
        def __init__(self, number: int) -> None:
            self.number = number

        def __index__(self) -> int:
            return self.number

    wd = inotify.add_watch(tmp_path, Number(256))  # type: ignore[arg-type]
    assert [watch.mask for watch in inotify.watches()] == [flags.CREATE]
    inotify.rm_watch(Number(wd))  # type: ignore[arg-type]
    assert inotify.watches() == []


@pytest.mark.parametrize(
    "value", ["256", b"256", 256.0, None, Decimal(256), Fraction(256)], ids=repr
)
def test_numbers_that_are_no_int(inotify: INotify, value: Any) -> None:
    """A mask or a wd that is no int is a TypeError."""
    with pytest.raises(TypeError):
        inotify.add_watch("/", value)
    with pytest.raises(TypeError):
        inotify.rm_watch(value)
    assert inotify.watches() == []


@pytest.mark.parametrize("mask", [-1, -(2**31), 2**32, 2**32 + 256, 2**64, 2**64 + 256])
def test_masks_out_of_range(inotify: INotify, mask: int) -> None:
    """A mask that is negative or has more than 32 bits is an OverflowError."""
    with pytest.raises(OverflowError):
        inotify.add_watch("/", mask)
    assert inotify.watches() == []


@pytest.mark.parametrize("wd", [2**31, -(2**31) - 1, 2**32 + 1, 2**64 + 1])
def test_wds_out_of_range(watching: INotify, wd: int) -> None:
    """A wd that a C int cannot hold is an OverflowError: it is not cut to 1."""
    with pytest.raises(OverflowError):
        watching.rm_watch(wd)
    assert [watch.wd for watch in watching.watches()] == [1]


@pytest.mark.parametrize("path", ["{}\0junk", b"{}\0", "\0", "{}/\0/.."])
def test_nul_in_a_path(inotify: INotify, tmp_path: Path, path: str | bytes) -> None:
    """A NUL in a path is a ValueError: the path is not cut there."""
    if isinstance(path, bytes):
        path = path.replace(b"{}", os.fsencode(tmp_path))
    else:
        path = path.format(tmp_path)
    with pytest.raises(ValueError, match="null"):
        inotify.add_watch(path, flags.CREATE)
    assert inotify.watches() == []


def test_rm_watch_returns_none(watching: INotify) -> None:
    """rm_watch() returns nothing, and IGNORED is still reported."""
    result: object = watching.rm_watch(1)  # type: ignore[func-returns-value]
    assert result is None
    assert watching.read(timeout=0) == [(1, flags.IGNORED, 0, "")]


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no tmpfs at /dev/shm")
def test_watches(inotify: INotify) -> None:
    """watches() is what the kernel says: the wd, the object and the mask."""
    assert inotify.watches() == []
    # A tmpfs: overlayfs and btrfs show user space other numbers than they have.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = os.path.join(folder, "file")
        os.mknod(file)
        inotify.add_watch(folder, flags.CREATE | flags.DELETE)
        inotify.add_watch(file, flags.MODIFY)
        inotify.add_watch("/proc", flags.CREATE)
        watches = sorted(inotify.watches())
        status = [os.stat(path) for path in (folder, file, "/proc")]
    assert all(type(watch) is Watch for watch in watches)
    assert [watch.inode for watch in watches] == [stat.st_ino for stat in status]
    assert [watch.device for watch in watches] == [stat.st_dev for stat in status]
    assert [(watch.wd, watch.mask) for watch in watches] == [
        (1, flags.CREATE | flags.DELETE),
        (2, flags.MODIFY),
        (3, flags.CREATE),
    ]
    assert [watch.wd for watch in inotify.watches()] == [3]


@pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (5, 19),
    reason="the kernel lists these two flags only from Linux 5.19 on",
)
def test_watches_tell_flags(inotify: INotify, tmp_path: Path) -> None:
    """watches() has ONESHOT and EXCL_UNLINK as well."""
    mask = flags.CREATE | flags.ONESHOT | flags.EXCL_UNLINK
    inotify.add_watch(tmp_path, mask)
    assert [watch.mask for watch in inotify.watches()] == [mask]


def test_watches_without_proc(
    run_python: RunPython, mount_namespace: list[str]
) -> None:
    """Without /proc, watches() is an OSError that says so, and the others work."""
    code = """
        import subprocess
        from inotify_cffi import INotify, flags

        subprocess.check_call(["mount", "-t", "tmpfs", "tmpfs", "/proc"])
        with INotify() as inotify:
            inotify.add_watch("/proc", flags.CREATE)
            try:
                inotify.watches()
            except OSError as error:
                print(error)
            open("/proc/file", "w").close()
            print([event.name for event in inotify.read()])
        """
    assert run_python(code, prefix=mount_namespace).splitlines() == [
        "[Errno 2] /proc is not mounted, where the kernel lists watches: "
        "'/proc/self/fdinfo'",
        "['file']",
    ]


# ---- reading -----------------------------------------------------------------


def test_read_gives_a_list(watching: INotify, tmp_path: Path) -> None:
    """read() gives a list of events."""
    (tmp_path / "file").touch()
    events = watching.read()
    assert type(events) is list
    assert events == [Event(1, flags.CREATE, 0, "file")]


@pytest.mark.queue(1500)
@pytest.mark.parametrize("nonblocking", [False, True])
@pytest.mark.parametrize("length", [1, 15, 40, 255])
def test_read_takes_all_that_is_queued(
    tmp_path: Path, nonblocking: bool, length: int, names: Names
) -> None:
    """One read takes all that is queued, whatever a single system call takes."""
    with INotify(nonblocking=nonblocking) as inotify:
        inotify.add_watch(tmp_path, flags.CREATE)
        if length == 1:
            created = list(string.ascii_letters)
        else:
            created = [f"{number:0{length}}" for number in range(1500)]
        for name in created:
            os.mknod(tmp_path / name)
        assert names(inotify.read(timeout=0)) == created
        assert inotify.read(timeout=0) == []


@pytest.mark.queue(1000)
@pytest.mark.parametrize("nonblocking", [False, True])
def test_batches_around_the_size_of_the_buffer(
    tmp_path: Path, nonblocking: bool
) -> None:
    """A queue that just fills the buffer, or just does not, is read whole."""
    files = [open(tmp_path / name, "wb", buffering=0) for name in ("a", "b" * 200)]  # noqa: SIM115
    with INotify(nonblocking=nonblocking) as inotify, files[0], files[1]:
        inotify.add_watch(tmp_path, flags.MODIFY)  # 32 and 224 bytes an event
        for size in (1, 2, 62, 63, 64, 65, 125, 126, 127, 128, 129, 130, 256, 1000):
            for number in range(size):
                files[number % 2].write(b"b")
            assert len(inotify.read(timeout=0)) == size
            assert inotify.read(timeout=0) == []


# A writer that is as fast as can be: it runs when the kernel has just said how
# much is queued.
IN_BETWEEN = r"""
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdarg.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/ioctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    int ioctl(int fd, unsigned long request, ...)
    {
        va_list arguments;
        va_start(arguments, request);
        int *bytes = va_arg(arguments, int *);
        va_end(arguments);
        int result = syscall(SYS_ioctl, fd, request, bytes);
        const char *folder = getenv("IN_BETWEEN");
        if (request == FIONREAD && folder && *bytes > 0) {
            unsetenv("IN_BETWEEN");
            for (int number = 0; number < 3000; number++) {
                char path[4096];
                snprintf(path, sizeof path, "%s/%04d", folder, number);
                close(open(path, O_CREAT | O_WRONLY, 0600));
            }
        }
        return result;
    }
"""


@pytest.mark.queue(3001)
def test_more_comes_between_asking_and_reading(
    tmp_path: Path, compile_c: Callable[..., Path], run_python: RunPython
) -> None:
    """Events queued after FIONREAD cause no error, and are not lost."""
    code = """
        import os, sys
        from inotify_cffi import INotify, flags
        folder = sys.argv[1]
        with INotify() as inotify:
            inotify.add_watch(folder, flags.CREATE)
            os.mknod(f"{folder}/first")
            os.environ["IN_BETWEEN"] = folder
            reported = []
            while events := inotify.read(timeout=0):
                reported += events
            created = [f"{number:04}" for number in range(3000)]
            assert [event.name for event in reported] == ["first", *created]
    """
    library = compile_c(IN_BETWEEN, "-shared", "-fPIC")
    preload = f"{os.environ.get('LD_PRELOAD', '')} {library}"
    run_python(code, tmp_path, env={"LD_PRELOAD": preload})


FASTER = r"""
    #define _GNU_SOURCE
    #include <fcntl.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    ssize_t read(int fd, void *data, size_t size)
    {
        static int made;
        const char *folder = getenv("FASTER");
        if (folder && size >= 16384) {
            for (int last = made + 2500; made < last; made++) {
                char path[4096];
                snprintf(path, sizeof path, "%s/%07d", folder, made);
                close(open(path, O_CREAT | O_WRONLY, 0600));
            }
        }
        return syscall(SYS_read, fd, data, size);
    }
"""


@pytest.mark.queue(8000)
def test_read_beside_a_faster_writer(
    tmp_path: Path, compile_c: Callable[..., Path], run_python: RunPython
) -> None:
    """A read ends, however much a writer queues while it reads."""
    code = """
        import os, sys
        from inotify_cffi import INotify, flags
        folder = sys.argv[1]
        with INotify() as inotify:
            inotify.add_watch(folder, flags.CREATE)
            os.mknod(f"{folder}/first")
            os.environ["FASTER"] = folder
            events = inotify.read(timeout=0)
            del os.environ["FASTER"]
            made = len(os.listdir(folder))
            assert 1 < len(events) < made, (len(events), made)
            events += inotify.read(timeout=0)
            assert [event.name for event in events] == [
                "first", *(f"{number:07}" for number in range(made - 1))
            ]
    """
    library = compile_c(FASTER, "-shared", "-fPIC")
    preload = f"{os.environ.get('LD_PRELOAD', '')} {library}"
    run_python(code, tmp_path, env={"LD_PRELOAD": preload})


def test_iteration_that_returned_all_leaves_nothing(
    watching: INotify, tmp_path: Path
) -> None:
    """Nothing is readable when an iteration has returned every queued event."""
    (tmp_path / "file").touch()
    assert next(watching).name == "file"
    assert not watching.wait_readable(timeout=0)


@pytest.mark.parametrize("timeout", [0, 0.0, False])
def test_timeout_of_nothing(watching: INotify, tmp_path: Path, timeout: float) -> None:
    """A timeout of 0 never waits, and still takes what is there."""
    assert watching.read(timeout=timeout) == watching.read(timeout, FOR_EVER) == []
    (tmp_path / "file").touch()
    assert len(watching.read(timeout=timeout)) == 1


@pytest.mark.parametrize("timeout", [50, 50.5, 1e-3, Fraction(1, 3)])
def test_timeout(watching: INotify, timeout: float) -> None:
    """A timeout is in milliseconds, fractions too; it is waited out in full."""
    start = time.monotonic()
    assert watching.read(timeout=timeout) == []
    assert (time.monotonic() - start) * 1000 >= timeout


@pytest.mark.parametrize("timeout", [None, -1, -0.5, -FOR_EVER, float("-inf")])
def test_no_timeout(
    watching: INotify,
    tmp_path: Path,
    timeout: float | None,
    in_thread: InThread,
    until_waiting: Callable[[INotify], None],
    names: Names,
) -> None:
    """None and negative timeouts wait for an event."""
    events = in_thread(lambda: watching.read(timeout=timeout))
    until_waiting(watching)
    (tmp_path / "file").touch()
    assert names(events()) == ["file"]


@pytest.mark.parametrize("timeout", [FOR_EVER, 1e300, float("inf"), 2**40])
def test_an_event_ends_a_timeout(
    watching: INotify,
    tmp_path: Path,
    timeout: float,
    in_thread: InThread,
    until_waiting: Callable[[INotify], None],
    names: Names,
) -> None:
    """An event ends the longest timeout."""
    events = in_thread(lambda: watching.read(timeout=timeout))
    until_waiting(watching)
    (tmp_path / "file").touch()
    assert names(events()) == ["file"]


@pytest.mark.parametrize("nonblocking", [False, True])
def test_read_waits(
    tmp_path: Path,
    nonblocking: bool,
    in_thread: InThread,
    until_waiting: Callable[[INotify], None],
    names: Names,
) -> None:
    """read() waits, also where the descriptor itself does not block."""
    with INotify(nonblocking=nonblocking) as inotify:
        inotify.add_watch(tmp_path, flags.CREATE)
        events = in_thread(inotify.read)
        until_waiting(inotify)
        (tmp_path / "file").touch()
        assert names(events()) == ["file"]


@pytest.mark.parametrize("read", [INotify.read, INotify.wait_readable])
def test_arguments_that_are_no_time(inotify: INotify, read: Callable[..., Any]) -> None:
    """A timeout that is no number is a TypeError, one that is none a ValueError."""
    for timeout in ("1", [], object()):
        with pytest.raises(TypeError):
            read(inotify, timeout=timeout)
        with pytest.raises(TypeError):
            read(inotify, timeout=0, read_delay=timeout)
    for read_delay in (-1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="read_delay"):
            read(inotify, timeout=0, read_delay=read_delay)
    with pytest.raises(ValueError, match="timeout"):
        read(inotify, timeout=float("nan"))


def test_arguments_by_position(inotify: INotify) -> None:
    """timeout and read_delay may be given by position."""
    assert inotify.read(0, 0) == []
    assert inotify.read(1, None) == []


def test_read_delay_without_a_wait(
    watching: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """read_delay delays nothing when there was no need to wait."""
    (tmp_path / "file").touch()
    events = in_thread(lambda: watching.read(read_delay=FOR_EVER))
    assert len(events()) == 1


def test_read_delay_after_a_wait(
    watching: INotify,
    tmp_path: Path,
    in_thread: InThread,
    until_waiting: Callable[[INotify], None],
    names: Names,
) -> None:
    """After a wait read_delay is waited out in full, and more events gather."""
    delay = 1000
    events = in_thread(lambda: watching.read(read_delay=delay))
    until_waiting(watching)
    start = time.monotonic()
    (tmp_path / "first").touch()
    (tmp_path / "second").touch()
    assert names(events()) == ["first", "second"]
    assert (time.monotonic() - start) * 1000 >= delay


def test_read_delay_without_an_event(watching: INotify, in_thread: InThread) -> None:
    """read_delay delays nothing when time runs out."""
    events = in_thread(lambda: watching.read(timeout=1, read_delay=FOR_EVER))
    assert events() == []


def test_signals_and_the_deadline(watching: INotify) -> None:
    """Signals during a read do not put off its end."""
    handled = 0

    def handle(number: int, frame: types.FrameType | None) -> None:
        nonlocal handled
        handled += 1
        assert handled < 1000, "the deadline is put off by each signal"

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    start = time.monotonic()
    try:
        assert watching.read(timeout=300) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - start >= 0.3
    assert handled > 0


def test_a_signal_handler_that_raises(
    watching: INotify, tmp_path: Path, names: Names
) -> None:
    """An exception of a signal handler ends a read; the next read works."""
    raised = False

    def handle(number: int, frame: types.FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise KeyError(number)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        with pytest.raises(KeyError):  # noqa: PT012 - the signal may come at once
            # Again and again: a handler does not run for a signal that comes just
            # before a system call.
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            watching.read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    (tmp_path / "file").touch()
    assert names(watching.read()) == ["file"]


def test_wait_readable(
    watching: INotify,
    tmp_path: Path,
    in_thread: InThread,
    until_waiting: Callable[[INotify], None],
    names: Names,
) -> None:
    """wait_readable() waits as read() does, and takes nothing."""
    assert watching.wait_readable(timeout=0) is False
    assert watching.wait_readable(timeout=1) is False
    readable = in_thread(watching.wait_readable)
    until_waiting(watching)
    (tmp_path / "file").touch()
    assert readable() is True
    assert watching.wait_readable() is watching.wait_readable(timeout=0) is True
    assert names(watching.read(timeout=0)) == ["file"]


def test_iteration(watching: INotify, tmp_path: Path) -> None:
    """Iteration gives one event after the other, until the instance is closed."""
    for name in "abc":
        (tmp_path / name).touch()
    seen = []
    for event in watching:
        seen.append(event.name)
        if event.name == "c":
            watching.close()
    assert seen == ["a", "b", "c"]


def test_iteration_left_early(watching: INotify, tmp_path: Path, names: Names) -> None:
    """The next read returns the events that an iteration took and left."""
    for name in "abc":
        (tmp_path / name).touch()
    assert next(watching).name == "a"
    assert watching.wait_readable(timeout=0)
    (tmp_path / "d").touch()
    assert names(watching.read(timeout=0)) == ["b", "c", "d"]


def test_more_than_one_reader_in_turn(
    watching: INotify, tmp_path: Path, names: Names
) -> None:
    """Each event is given once, by whatever way it is asked for."""
    for name in "abcd":
        (tmp_path / name).touch()
    assert next(watching).name == "a"
    assert next(watching).name == "b"
    assert names(watching.read()) == ["c", "d"]
    assert watching.read(timeout=0) == []


def test_events_outlive_their_instance(tmp_path: Path, names: Names) -> None:
    """Events live on when their instance is closed and collected."""
    inotify = INotify()
    inotify.add_watch(tmp_path, flags.CREATE)
    (tmp_path / "file").touch()
    events = inotify.read()
    inotify.close()
    gone = weakref.ref(inotify)
    del inotify
    for _ in range(3):
        gc.collect()
    assert gone() is None
    assert names(events) == ["file"]


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy counts no references"
)
def test_closed_with_the_last_reference() -> None:
    """If references are counted, losing the last one closes the instance at once."""
    inotify = INotify()
    inotify.read(timeout=1)
    gone = weakref.ref(inotify)
    number = inotify.fd
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="unclosed inotify instance"):
            del inotify
        assert gone() is None
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
    finally:
        gc.enable()
