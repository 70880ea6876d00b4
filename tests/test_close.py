"""close(): ends every wait, and touches no descriptor that is somebody else's."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import resource
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import waits

from inotify_cffi import Event, INotify, flags

if TYPE_CHECKING:
    from conftest import InThread, RunPython

Until = Callable[[Callable[[], Any]], None]
UntilWaiting = Callable[[INotify], None]

ROUNDS = 500

# Stands before the C library: a call that is listed in PAUSE says that it has
# begun, and waits to be let go on.
INTERPOSED = """
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/eventfd.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    static void pause_here(const char *call)
    {
        char byte = 'b';
        const char *paused = getenv("PAUSED");
        if (!paused || strcmp(getenv("PAUSE"), call) != 0)
            return;
        if (write(atoi(paused), &byte, 1) == 1)
            while (read(atoi(getenv("GO_ON")), &byte, 1) != 1) {}
    }
    int inotify_add_watch(int fd, const char *path, uint32_t mask)
    {
        pause_here("add_watch");
        return syscall(SYS_inotify_add_watch, fd, path, mask);
    }
    int inotify_rm_watch(int fd, int wd)
    {
        pause_here("rm_watch");
        return syscall(SYS_inotify_rm_watch, fd, wd);
    }
"""

# What the scripts below begin with: paused() returns when the call named by
# sys.argv[1] has begun in a thread; go_on() lets it, and waits for the thread.
PAUSING = """
    import errno, os, sys, threading
    from inotify_cffi import INotify, flags
    call, folder = sys.argv[1:]
    begun, PAUSED = os.pipe()
    GO_ON, proceed = os.pipe()

    class Paused:
        def __init__(self, function):
            os.environ.update(PAUSE=call, PAUSED=str(PAUSED), GO_ON=str(GO_ON))
            self.result = None
            def run():
                try:
                    self.result = function()
                except Exception as error:
                    self.result = error
            self.thread = threading.Thread(target=run)
            self.thread.start()
            os.read(begun, 1)
            del os.environ["PAUSED"]

        def go_on(self):
            os.write(proceed, b"g")
            self.thread.join()
            return self.result

    def is_open(fd):
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True
"""


@pytest.fixture(scope="module")
def interposed(compile_c: Callable[..., Path]) -> dict[str, str]:
    """An environment in which the functions above stand before the C library's."""
    library = compile_c(INTERPOSED, "-shared", "-fPIC")
    return {"LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}"}


def _raises_closed(function: Callable[[], Any]) -> bool:
    with pytest.raises(ValueError, match="I/O operation on closed file"):
        function()
    return True


@contextlib.contextmanager
def _many_descriptors() -> Iterator[None]:
    """Let descriptor numbers begin above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"no more than {hard} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    try:
        with contextlib.ExitStack() as opened:
            while opened.enter_context(open(os.devnull)).fileno() < 1023:
                pass
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "read",
    [
        lambda inotify: inotify.read(),
        lambda inotify: inotify.read(timeout=3_600_000),
        lambda inotify: inotify.read(read_delay=3_600_000),
        lambda inotify: inotify.wait_readable(),
    ],
)
def test_ends_a_blocked_read(
    inotify: INotify,
    in_thread: InThread,
    until_waiting: UntilWaiting,
    read: Callable[[INotify], Any],
) -> None:
    """A wait in another thread raises ValueError at once."""
    result = in_thread(lambda: read(inotify))
    until_waiting(inotify)
    inotify.close()
    assert _raises_closed(result)


def test_ends_every_blocked_read(
    inotify: INotify, in_thread: InThread, until: Until
) -> None:
    """Whatever number of threads wait, all get a ValueError."""
    results = [in_thread(inotify.read) for _ in range(6)]
    until(lambda: waits(inotify) == len(results))
    inotify.close()
    assert all(_raises_closed(result) for result in results)


def test_ends_iteration(
    inotify: INotify, tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """``for`` ends as at the end of any file, after the events before it."""
    inotify.add_watch(tmp_path, flags.CREATE)
    found: SimpleQueue[str] = SimpleQueue()

    def iterate() -> str:
        for event in inotify:
            found.put(event.name)
        return "ended"

    how = in_thread(iterate)
    (tmp_path / "file").touch()
    assert found.get(timeout=60) == "file"
    until_waiting(inotify)
    inotify.close()
    assert how() == "ended"
    assert found.empty()


def test_in_the_delay_after_an_event(
    tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """A read() that lets events gather ends as well."""
    for number in range(50):
        with INotify() as inotify:
            inotify.add_watch(tmp_path, flags.CREATE)
            result = in_thread(partial(inotify.read, read_delay=3_600_000))
            until_waiting(inotify)
            (tmp_path / str(number)).touch()
        assert _raises_closed(result)


def test_from_the_thread_that_iterates(inotify: INotify, tmp_path: Path) -> None:
    """A loop may close what it iterates over; what it has not taken is gone."""
    inotify.add_watch(tmp_path, flags.CREATE)
    for name in "ab":
        (tmp_path / name).touch()
    found = []
    for event in inotify:
        found.append(event.name)
        inotify.close()
    assert found == ["a"]


def test_again(inotify: INotify) -> None:
    """Closing again does nothing, also when the number has been given again."""
    number = inotify.fd
    inotify.close()
    with open(os.devnull) as file:
        assert file.fileno() == number
        inotify.close()
        inotify.wake()
        del inotify
        gc.collect()
        assert file.read() == ""


def test_from_many_threads_at_once(in_thread: InThread) -> None:
    """One of several closing threads closes, and none closes another file."""
    for _ in range(100):
        inotify = INotify()
        inotify.read(timeout=0.01)
        start = threading.Barrier(4)

        def close(start: threading.Barrier = start, inotify: INotify = inotify) -> None:
            start.wait()
            inotify.close()
            with open(os.devnull) as file:
                os.fstat(file.fileno())

        for finished in [in_thread(close) for _ in range(4)]:
            finished()


def test_the_number_of_a_blocked_reader_given_again(
    tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """500 closings: a blocked read never reads from the next file with the number."""
    for number in range(ROUNDS):
        inotify = INotify(nonblocking=number % 2 == 0)
        fd = inotify.fd
        result = in_thread(inotify.read)
        until_waiting(inotify)
        reader, writer = os.pipe()
        os.write(writer, b"precious")
        inotify.close()
        # The number is free as soon as the reader has left its last system call.
        while (copy := fcntl.fcntl(reader, fcntl.F_DUPFD, fd)) != fd:
            os.close(copy)
        assert _raises_closed(result)
        assert os.read(fd, 100) == b"precious"
        for each in (fd, reader, writer):
            os.close(each)


@pytest.mark.parametrize("nonblocking", [False, True])
@pytest.mark.parametrize("occupation", ["beginning", "reading", "watching"])
def test_the_number_given_again(
    tmp_path: Path, in_thread: InThread, occupation: str, nonblocking: bool
) -> None:
    """A call in progress never uses the number when it is another instance's."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    reused = 0

    def occupy(inotify: INotify, begun: SimpleQueue[None]) -> list[Event]:
        found: list[Event] = []
        with contextlib.suppress(ValueError):
            while True:
                begun.put(None)
                if occupation == "watching":
                    inotify.rm_watch(inotify.add_watch(old, flags.CREATE))
                    found += inotify.read(timeout=0)
                else:
                    found += inotify.read(0 if occupation == "reading" else None)
        return found

    for number in range(ROUNDS // 5):
        inotify = INotify(nonblocking=nonblocking)
        inotify.add_watch(old, flags.CREATE)
        fd = inotify.fd
        begun: SimpleQueue[None] = SimpleQueue()
        found = in_thread(partial(occupy, inotify, begun))
        begun.get(timeout=60)
        inotify.close()
        with INotify() as other:
            reused += other.fd == fd
            wd = other.add_watch(new, flags.CREATE)
            (new / str(number)).touch()
            assert [event for event in found() if event.mask & flags.CREATE] == []
            assert [event.name for event in other.read(timeout=0)] == [str(number)]
            assert [watch.wd for watch in other.watches()] == [wd]
    if not reused:
        pytest.skip("the kernel never gave the number again: calls ended too late")


@pytest.mark.parametrize("with_waker", [False, True])
def test_the_numbers_of_a_wait_given_again(
    tmp_path: Path, in_thread: InThread, with_waker: bool
) -> None:
    """Hundreds of closings: no wait and no wake() writes to a file opened then."""

    def read(inotify: INotify) -> None:
        with contextlib.suppress(ValueError):
            while True:
                inotify.read(timeout=0.05)

    def wake(inotify: INotify) -> None:
        while not inotify.closed:
            inotify.wake()

    for _ in range(ROUNDS // 2):
        inotify = INotify()
        ended = [in_thread(partial(read, inotify))]
        if with_waker:
            ended.append(in_thread(partial(wake, inotify)))
        inotify.read(timeout=0.1)
        inotify.close()
        with contextlib.ExitStack() as opened:
            files = [
                opened.enter_context(open(tmp_path / f"file{number}", "wb"))
                for number in range(5)
            ]
            for finished in ended:
                finished()
            assert [os.fstat(file.fileno()).st_size for file in files] == [0] * 5


@pytest.mark.parametrize("call", ["add_watch", "rm_watch"])
def test_while_a_call_is_inside(
    run_python: RunPython, interposed: dict[str, str], tmp_path: Path, call: str
) -> None:
    """close() returns, but the number stays taken until the last call is out."""
    code = """
    inotify = INotify()
    fd = inotify.fd
    wd = inotify.add_watch(folder, flags.CREATE)
    arguments = (folder, flags.DELETE) if call == "add_watch" else (wd,)
    paused = Paused(lambda: getattr(inotify, call)(*arguments))
    inotify.close()
    assert inotify.closed and is_open(fd)
    print(paused.go_on() == (wd if call == "add_watch" else None), is_open(fd))
    """
    assert run_python(PAUSING + code, call, tmp_path, env=interposed) == "True False\n"


def test_forked_while_a_call_is_inside(
    run_python: RunPython, interposed: dict[str, str], tmp_path: Path
) -> None:
    """A child of that moment, which has not the thread inside, closes its copy."""
    code = """
    import warnings
    inotify = INotify()
    fd = inotify.fd
    paused = Paused(lambda: inotify.add_watch(folder, flags.CREATE))
    inotify.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        inotify.close()
        os._exit(is_open(fd))
    print(os.waitpid(child, 0)[1], is_open(fd), paused.go_on(), is_open(fd))
    """
    result = run_python(PAUSING + code, "add_watch", tmp_path, env=interposed)
    assert result == "0 True 1 False\n"


def test_everything_afterwards(inotify: INotify, tmp_path: Path) -> None:
    """A closed instance refuses all but close() and wake(); iteration is empty."""
    inotify.close()
    refused: list[Callable[[], Any]] = [
        inotify.read,
        lambda: inotify.read(timeout=0),
        inotify.wait_readable,
        lambda: inotify.add_watch(tmp_path, flags.CREATE),
        lambda: inotify.rm_watch(1),
        inotify.fileno,
        inotify.watches,
        lambda: inotify.fd,
    ]
    for function in refused:
        assert _raises_closed(function)
    assert list(inotify) == []


@pytest.mark.parametrize("waited", [False, True])
def test_dropped_without_close(waited: bool) -> None:
    """An instance that is dropped unclosed warns, and leaves no descriptor."""

    def drop() -> None:
        inotify = INotify()
        if waited:
            inotify.read(timeout=1)
        del inotify
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed inotify instance <INotify fd="):
        drop()


def test_dropped_after_close() -> None:
    """An instance that was closed is dropped without a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        INotify().close()
        with INotify() as inotify:
            inotify.read(timeout=1)
        del inotify
        gc.collect()
    assert caught == []


def test_closefd_false(in_thread: InThread, until_waiting: UntilWaiting) -> None:
    """With closefd=False close() ends all waits, and the descriptor stays open."""
    inotify = INotify(closefd=False)
    fd = inotify.fd
    try:
        result = in_thread(inotify.read)
        until_waiting(inotify)
        inotify.close()
        assert _raises_closed(result)
        assert os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:inotify"
    finally:
        os.close(fd)


def test_descriptors_above_1023(
    tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """Descriptor numbers that select(2) cannot take are as good as others."""
    with _many_descriptors(), INotify() as inotify:
        assert inotify.fd > 1023
        inotify.add_watch(tmp_path, flags.CREATE)
        begun = time.monotonic()
        assert inotify.read(timeout=20) == []
        assert time.monotonic() - begun >= 0.02
        events = in_thread(lambda: inotify.read(read_delay=20))
        until_waiting(inotify)
        (tmp_path / "file").touch()
        assert [event.name for event in events()] == ["file"]
        events = in_thread(inotify.read)
        until_waiting(inotify)
        inotify.wake()
        assert events() == []
        events = in_thread(inotify.read)
        until_waiting(inotify)
        inotify.close()
        assert _raises_closed(events)


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="PyPy's FileIO asks otherwise"
)
@pytest.mark.parametrize("own", [False, True], ids=["", "flush of its own"])
def test_closed_between_two_steps_of_close(own: bool) -> None:
    """A close() during another one ends both, without an error that is nobody's."""
    asked: list[str] = []

    class Raced(INotify):
        def __getattribute__(self, name: str) -> Any:
            # What FileIO.close asks first; another thread may close after the answer.
            if name == "__IOBase_closed" and not asked:
                asked.append(name)
                self.close()
                raise AttributeError(name)
            return super().__getattribute__(name)

    class Flushed(Raced):
        def flush(self) -> None:
            raise ValueError("a subclass's own")

    inotify: INotify
    if own:
        inotify = Flushed()
        with pytest.raises(ValueError, match="a subclass's own"):
            inotify.close()
    else:
        inotify = Raced()
        inotify.close()
    assert asked == ["__IOBase_closed"]
    assert inotify.closed
    with pytest.raises(ValueError, match="closed file"):
        inotify.fileno()
