"""py-inotify's face: functions over a bare descriptor."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

from inotify_cffi.syscalls import (
    IN_CLOEXEC,
    IN_CREATE,
    IN_DELETE,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_MODIFY,
    IN_NONBLOCK,
    Event,
    add_watch,
    init,
    init1,
    read_events,
    rm_watch,
)

if TYPE_CHECKING:
    from conftest import InThread, RunPython

# Stands before the C library: each call says that it has begun, then waits to be
# let go on; and the first inotify_add_watch() can be interrupted by a signal.
INTERPOSED = """
    #include <errno.h>
    #include <signal.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    static void pause_here(void)
    {
        char byte = 'b';
        const char *begun = getenv("BEGUN"), *go_on = getenv("GO_ON");
        if (begun && go_on && write(atoi(begun), &byte, 1) == 1)
            while (read(atoi(go_on), &byte, 1) != 1) {}
    }
    int inotify_init(void)
    {
        pause_here();
        return syscall(SYS_inotify_init1, 0);
    }
    int inotify_init1(int flags)
    {
        pause_here();
        return syscall(SYS_inotify_init1, flags);
    }
    int inotify_rm_watch(int fd, int wd)
    {
        pause_here();
        return syscall(SYS_inotify_rm_watch, fd, wd);
    }
    int inotify_add_watch(int fd, const char *path, uint32_t mask)
    {
        pause_here();
        if (getenv("INTERRUPT")) {
            unsetenv("INTERRUPT");
            raise(SIGUSR1);
            errno = EINTR;
            return -1;
        }
        return syscall(SYS_inotify_add_watch, fd, path, mask);
    }
"""


@pytest.fixture(scope="module")
def interposed(compile_c: Callable[..., Path]) -> dict[str, str]:
    """An environment in which the functions above stand before the C library's."""
    library = compile_c(INTERPOSED, "-shared", "-fPIC")
    return {"LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}"}


@pytest.fixture
def watched_fd(tmp_path: Path, nonblocking_fd: int) -> int:
    """A descriptor with a watch on tmp_path for CREATE."""
    assert add_watch(nonblocking_fd, tmp_path, IN_CREATE) == 1
    return nonblocking_fd


def _flags_of(fd: int) -> tuple[bool, bool]:
    blocks_not = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    return bool(blocks_not), not os.get_inheritable(fd)


def test_init() -> None:
    """init() makes a blocking instance that is inherited over exec."""
    fd = init()
    try:
        assert _flags_of(fd) == (False, False)
        assert os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:inotify"
    finally:
        os.close(fd)


@pytest.mark.parametrize("nonblock", [0, IN_NONBLOCK])
@pytest.mark.parametrize("cloexec", [0, IN_CLOEXEC])
def test_init1(nonblock: int, cloexec: int) -> None:
    """init1() sets each of the two flags that it is given, and only those."""
    fd = init1(nonblock | cloexec)
    try:
        assert _flags_of(fd) == (bool(nonblock), bool(cloexec))
    finally:
        os.close(fd)


def test_init1_without_flags() -> None:
    """init1() without an argument is init()."""
    fd = init1()
    try:
        assert _flags_of(fd) == (False, False)
    finally:
        os.close(fd)


def test_a_first_watch_is_number_one(nonblocking_fd: int, tmp_path: Path) -> None:
    """Watch descriptors count from 1, and the same object has one only."""
    assert add_watch(nonblocking_fd, tmp_path, IN_CREATE) == 1
    assert add_watch(nonblocking_fd, "/", IN_CREATE) == 2
    assert add_watch(nonblocking_fd, tmp_path, IN_DELETE) == 1


@pytest.mark.parametrize("kind", [str, os.fsencode, Path, os.scandir])
def test_paths_of_every_kind(
    nonblocking_fd: int, tmp_path: Path, kind: Callable[[Any], Any]
) -> None:
    """A path is a str, bytes or PathLike, and a PathLike may give bytes."""
    (tmp_path / "watched").mkdir()
    if kind is os.scandir:
        with os.scandir(os.fsencode(tmp_path)) as entries:
            path = next(entries)
        assert isinstance(path.path, bytes)
    else:
        path = kind(tmp_path / "watched")
    wd = add_watch(nonblocking_fd, path, IN_CREATE)
    (tmp_path / "watched" / "file").touch()
    assert read_events(nonblocking_fd) == [(wd, IN_CREATE, 0, 16, "file")]


def test_keywords(nonblocking_fd: int, tmp_path: Path) -> None:
    """The arguments have py-inotify's names."""
    wd = add_watch(fd=nonblocking_fd, pathname=str(tmp_path), mask=IN_CREATE)
    assert read_events(fd=nonblocking_fd, max_bytes=0) == []
    assert rm_watch(fd=nonblocking_fd, wd=wd) == 0
    os.close(init1(flags=0))


def test_rm_watch_returns_zero(watched_fd: int) -> None:
    """rm_watch() returns 0, and IN_IGNORED follows."""
    assert rm_watch(watched_fd, 1) == 0
    assert read_events(watched_fd) == [(1, IN_IGNORED, 0, 0, "")]


def test_event_is_a_named_tuple(watched_fd: int, tmp_path: Path) -> None:
    """An event has wd, mask, cookie, len and name, by position and by name."""
    (tmp_path / "folder").mkdir()
    (event,) = read_events(watched_fd)
    assert type(event) is Event
    assert event == (1, IN_CREATE | IN_ISDIR, 0, 16, "folder")
    assert event._fields == ("wd", "mask", "cookie", "len", "name")
    assert (event.wd, event.mask, event.cookie) == (1, IN_CREATE | IN_ISDIR, 0)
    assert (event.len, event.name) == (16, "folder")


@pytest.mark.parametrize(
    ("length", "padded"), [(1, 16), (15, 16), (16, 32), (255, 256)]
)
def test_len_is_the_padded_size(
    watched_fd: int, tmp_path: Path, length: int, padded: int
) -> None:
    """``len`` counts the name, its NUL and the kernel's padding."""
    (tmp_path / ("n" * length)).touch()
    (event,) = read_events(watched_fd)
    assert (event.len, len(event.name)) == (padded, length)


def test_nothing_queued(nonblocking_fd: int) -> None:
    """An empty queue of a non-blocking descriptor is an empty list."""
    assert read_events(nonblocking_fd) == []
    assert read_events(nonblocking_fd, 4096) == []


def test_blocking_read(blocking_fd: int, tmp_path: Path, in_thread: InThread) -> None:
    """A blocking descriptor waits for an event, and lets other threads run."""
    add_watch(blocking_fd, tmp_path, IN_CREATE)
    events = in_thread(lambda: read_events(blocking_fd))
    (tmp_path / "file").touch()
    assert events() == [(1, IN_CREATE, 0, 16, "file")]


def test_max_bytes(watched_fd: int, tmp_path: Path) -> None:
    """max_bytes takes whole events only, and leaves the others in the queue."""
    for name in "abc":
        (tmp_path / name).touch()
    assert [event.name for event in read_events(watched_fd, 70)] == ["a", "b"]
    assert [event.name for event in read_events(watched_fd, 70)] == ["c"]


@pytest.mark.parametrize("max_bytes", [1, 16, 31])
def test_max_bytes_too_small(watched_fd: int, tmp_path: Path, max_bytes: int) -> None:
    """max_bytes too small for the first event is EINVAL, and takes nothing."""
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="Invalid argument") as refused:
        read_events(watched_fd, max_bytes)
    assert refused.value.errno == errno.EINVAL
    assert [event.name for event in read_events(watched_fd, 32)] == ["a"]


def test_max_bytes_beyond_the_queue(watched_fd: int, tmp_path: Path) -> None:
    """max_bytes may be more than is queued, and more than a C int."""
    (tmp_path / "a").touch()
    assert len(read_events(watched_fd, 2**40)) == 1


@pytest.mark.queue(3000)
def test_reads_all_that_is_queued(watched_fd: int, tmp_path: Path) -> None:
    """Without max_bytes one call takes the whole queue."""
    numbered = [str(number) for number in range(3000)]
    for name in numbered:
        (tmp_path / name).touch()
    assert [event.name for event in read_events(watched_fd)] == numbered


@pytest.mark.parametrize("data", [b"x", b"no events at all", bytes(16) + b"x"])
def test_what_is_no_instance(data: bytes) -> None:
    """The bytes of another file are not events; that is an error."""
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            read_events(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_negative_max_bytes(nonblocking_fd: int) -> None:
    """A negative max_bytes is a ValueError."""
    with pytest.raises(ValueError, match="-1"):
        read_events(nonblocking_fd, -1)


def test_signals_during_a_read(
    blocking_fd: int,
    tmp_path: Path,
    in_thread: InThread,
    until: Callable[[Callable[[], Any]], None],
) -> None:
    """A signal's handler runs while a read waits, and the wait goes on."""
    add_watch(blocking_fd, tmp_path, IN_CREATE)
    handled: list[int] = []
    main = threading.get_ident()

    def interrupted(times: int) -> bool:
        # More than one, since Python runs no handler for a signal that comes just
        # before a system call, but when that ends.
        signal.pthread_kill(main, signal.SIGUSR1)
        return len(handled) >= times

    def interrupt() -> None:
        try:
            for times in range(1, 20):
                until(lambda: interrupted(times))  # noqa: B023 - called at once
        finally:
            (tmp_path / "file").touch()

    before = signal.signal(signal.SIGUSR1, lambda number, _: handled.append(number))
    end = in_thread(interrupt)
    try:
        assert [event.name for event in read_events(blocking_fd)] == ["file"]
    finally:
        end()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "call",
    [
        "os.close(syscalls.init())",
        "os.close(syscalls.init1(syscalls.IN_NONBLOCK))",
        "syscalls.add_watch(fd, '/', syscalls.IN_CREATE)",
        "syscalls.rm_watch(fd, wd)",
        "INotify().close()",
        "inotify.add_watch('/', flags.CREATE)",
        "inotify.rm_watch(1)",
    ],
)
def test_other_threads_run(
    run_python: RunPython, interposed: dict[str, str], call: str
) -> None:
    """Other threads run while a system call that may block does."""
    code = f"""
        import os, threading
        from inotify_cffi import INotify, flags, syscalls

        fd = syscalls.init1(syscalls.IN_CLOEXEC)
        wd = syscalls.add_watch(fd, "/", syscalls.IN_CREATE)
        inotify = INotify()
        inotify.add_watch("/", flags.CREATE)
        begun, now_begun = os.pipe()
        let_go, go_on = os.pipe()
        os.environ["BEGUN"], os.environ["GO_ON"] = str(now_begun), str(let_go)
        thread = threading.Thread(target=lambda: {call})
        thread.start()
        print("the call has begun:", os.read(begun, 1))
        os.write(go_on, b"g")
        thread.join()
        inotify.close()
        """
    assert run_python(code, env=interposed) == "the call has begun: b'b'\n"


# The first system call is interrupted, the others are not.
INTERRUPTED_CALL = """
    import os, signal
    from inotify_cffi import INotify, flags, syscalls

    def handle(number, frame):
        print("handled")
        {then}

    signal.signal(signal.SIGUSR1, handle)
    inotify = INotify()
    os.environ["INTERRUPT"] = "1"
    try:
        print({call})
        print("added")
    except KeyError:
        print("raised", inotify.watches())
    inotify.close()
    """
ADD_WATCH = [
    "syscalls.add_watch(inotify.fd, '/', syscalls.IN_CREATE)",
    "inotify.add_watch('/', flags.CREATE)",
]


@pytest.mark.parametrize("call", ADD_WATCH)
def test_add_watch_interrupted(
    run_python: RunPython, interposed: dict[str, str], call: str
) -> None:
    """add_watch() after EINTR: first the signal's handler, then another try."""
    code = INTERRUPTED_CALL.format(call=call, then="")
    assert run_python(code, env=interposed) == "handled\n1\nadded\n"


@pytest.mark.parametrize("call", ADD_WATCH)
def test_add_watch_interrupted_for_good(
    run_python: RunPython, interposed: dict[str, str], call: str
) -> None:
    """add_watch() after EINTR: what the signal's handler raises ends it."""
    code = INTERRUPTED_CALL.format(call=call, then="raise KeyError")
    assert run_python(code, env=interposed) == "handled\nraised []\n"


# Each takes a descriptor and a number that must be refused.
NUMBERS: dict[str, Callable[[int, Any], object]] = {
    "init1's flags": lambda fd, value: init1(value),
    "add_watch's fd": lambda fd, value: add_watch(value, "/", IN_CREATE),
    "rm_watch's fd": lambda fd, value: rm_watch(value, 1),
    "rm_watch's wd": lambda fd, value: rm_watch(fd, value),
    "read_events' fd": lambda fd, value: read_events(value),
}
MASK: dict[str, Callable[[int, Any], object]] = {
    "add_watch's mask": lambda fd, value: add_watch(fd, "/", value),
}
SIZE: dict[str, Callable[[int, Any], object]] = {
    "read_events' max_bytes": lambda fd, value: read_events(fd, value),
}


@pytest.mark.parametrize("value", ["1", 1.0, None, Decimal(1)], ids=repr)
@pytest.mark.parametrize("argument", [*NUMBERS, *MASK, *SIZE])
def test_numbers_that_are_no_int(
    nonblocking_fd: int, argument: str, value: Any
) -> None:
    """A descriptor, mask, wd, size or flag that is no int is a TypeError."""
    call = {**NUMBERS, **MASK, **SIZE}[argument]
    with pytest.raises(TypeError):
        call(nonblocking_fd, value)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**32, 2**63, 2**64 + 1])
@pytest.mark.parametrize("argument", NUMBERS)
def test_numbers_that_no_c_int_holds(
    nonblocking_fd: int, argument: str, value: int
) -> None:
    """A number that a C int cannot hold is an OverflowError, and is not cut."""
    with pytest.raises(OverflowError):
        NUMBERS[argument](nonblocking_fd, value)


@pytest.mark.parametrize("mask", [-1, 2**32, 2**32 + IN_CREATE, 2**64])
def test_masks_out_of_range(nonblocking_fd: int, mask: int) -> None:
    """A mask that is negative or has more than 32 bits is an OverflowError."""
    with pytest.raises(OverflowError):
        add_watch(nonblocking_fd, "/", mask)


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (0, "mask 0x0 asks for no event"),
        (IN_MASK_ADD | IN_MASK_CREATE | 1, "mask 0x30000001 has both MASK_ADD and"),
    ],
)
def test_masks_that_the_kernel_refuses(
    nonblocking_fd: int, mask: int, text: str
) -> None:
    """EINVAL says what is wrong with the mask."""
    with pytest.raises(OSError, match=text) as raised:
        add_watch(nonblocking_fd, "/", mask)
    assert (raised.value.errno, raised.value.filename) == (errno.EINVAL, "/")


def test_another_descriptor() -> None:
    """EINVAL of a descriptor that is not an inotify instance says so."""
    text = "not an inotify instance"
    with open(os.devnull) as file, pytest.raises(OSError, match=text) as raised:
        add_watch(file.fileno(), "/", IN_CREATE)
    assert raised.value.errno == errno.EINVAL


def test_constants_are_those_of_os() -> None:
    """IN_NONBLOCK and IN_CLOEXEC are open(2)'s flags, as the header says."""
    assert (IN_NONBLOCK, IN_CLOEXEC) == (os.O_NONBLOCK, os.O_CLOEXEC)


def test_a_file_can_be_watched(nonblocking_fd: int, tmp_path: Path) -> None:
    """The events of a watched file have no name, and a ``len`` of 0."""
    file = tmp_path / "file"
    file.touch()
    add_watch(nonblocking_fd, file, IN_MODIFY)
    file.write_text("text")
    assert read_events(nonblocking_fd) == [(1, IN_MODIFY, 0, 0, "")]
