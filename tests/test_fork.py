"""fork and exec: what a child does with its copy does not disturb the parent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import instance_of, waits

from inotify_cffi import Event, INotify, flags

if TYPE_CHECKING:
    from conftest import InThread, RunPython

Holder = list  # of one INotify, so that a child can drop the last reference
Until = Callable[[Callable[[], Any]], None]

FORKS = 150
BOUND = 30  # seconds that a child may take

# From CPython 3.12 on fork() warns in a process with threads; what is tested
# here is that a child of such a process can use its copy nevertheless.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def _fork(act: Callable[[], object]) -> Callable[[], None]:
    """Let a child act; return the function that waits for its success.

    A child that is stuck is killed by SIGALRM, which is its status then.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(BOUND)
            act()
            status = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writer)

    def succeed() -> None:
        with open(reader, "rb") as pipe:
            printed = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        assert (printed, status) == ("", 0)

    return succeed


def _is_closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


def _close(holder: Holder[INotify]) -> None:
    fd = holder[0].fd
    holder[0].close()
    assert _is_closed(fd)


def _collect(holder: Holder[INotify]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        holder.clear()
        for _ in range(3):
            gc.collect()


def _wake(holder: Holder[INotify]) -> None:
    holder[0].wake()
    assert holder[0].read() == []  # a child's wake() is for the child


def _wait(holder: Holder[INotify]) -> None:
    assert holder[0].read(timeout=5) == []
    assert not holder[0].wait_readable(timeout=5)
    _close(holder)


def _leave(holder: Holder[INotify]) -> None:
    assert holder


def _fork_again(holder: Holder[INotify]) -> None:
    _fork(lambda: _close(holder))()
    _wait(holder)


actions = pytest.mark.parametrize(
    "act", [_close, _collect, _wake, _wait, _leave, _fork_again]
)


@pytest.fixture
def holder(tmp_path: Path) -> Any:
    """A list of an instance that reports creations in tmp_path."""
    instances = [INotify()]
    instances[0].add_watch(tmp_path, flags.CREATE)
    yield instances
    instances.pop().close()


@actions
def test_watches_are_left(
    holder: Holder[INotify], tmp_path: Path, act: Callable[[Any], None]
) -> None:
    """Whatever a child does, its parent has the same watches, and their events."""
    before = holder[0].watches()
    for name in "abc":
        _fork(lambda: act(holder))()
        assert holder[0].watches() == before
        (tmp_path / name).touch()
        assert [event.name for event in holder[0].read()] == [name]


def test_collected_in_a_child(holder: Holder[INotify]) -> None:
    """An instance that a child drops is gone there, and its descriptor closed."""

    def drop() -> None:
        fd, instance = holder[0].fd, weakref.ref(holder[0])
        _collect(holder)
        assert instance() is None
        assert _is_closed(fd)

    _fork(drop)()
    assert not _is_closed(holder[0].fd)


@actions
@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_blocked_read_goes_on(
    holder: Holder[INotify],
    tmp_path: Path,
    in_thread: InThread,
    until: Until,
    moment: str,
    act: Callable[[Any], None],
) -> None:
    """No child ends a read() in a thread of its parent, whichever began first."""
    go, start = os.pipe()

    def wait_and_act() -> None:
        os.read(go, 1)
        act(holder)

    def read() -> list[str]:
        return [event.name for event in holder[0].read()]

    if moment == "before":
        succeed = _fork(wait_and_act)
        names = in_thread(read)
        until(lambda: waits(holder[0]))
    else:
        names = in_thread(read)
        until(lambda: waits(holder[0]))
        succeed = _fork(wait_and_act)
    os.write(start, b"g")
    succeed()
    os.close(go)
    os.close(start)
    assert waits(holder[0]) == 1
    (tmp_path / "file").touch()
    assert names() == ["file"]


@actions
@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_pending_aread_goes_on(
    holder: Holder[INotify], tmp_path: Path, moment: str, act: Callable[[Any], None]
) -> None:
    """No child ends an aread() of its parent, nor takes it from the loop."""

    async def read() -> list[str]:
        return [event.name for event in await holder[0].aread()]

    async def main() -> list[str]:
        go, start = os.pipe()

        def wait_and_act() -> None:
            os.read(go, 1)
            act(holder)

        succeed: Callable[[], None] | None = None
        if moment == "before":
            succeed = _fork(wait_and_act)
        pending = asyncio.ensure_future(read())
        while not waits(holder[0]):
            await asyncio.sleep(0)
        if succeed is None:
            succeed = _fork(wait_and_act)
        os.write(start, b"g")
        succeed()
        os.close(go)
        os.close(start)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not pending.done()
        (tmp_path / "file").touch()
        return await asyncio.wait_for(pending, BOUND)

    assert asyncio.run(main()) == ["file"]


def test_a_child_takes_what_is_queued(holder: Holder[INotify], tmp_path: Path) -> None:
    """There is one queue: an event that the child reads is not the parent's too."""

    def take() -> None:
        assert [event.name for event in holder[0].read()] == ["for the child"]

    (tmp_path / "for the child").touch()
    _fork(take)()
    assert holder[0].read(timeout=0) == []
    (tmp_path / "for the parent").touch()
    assert [event.name for event in holder[0].read()] == ["for the parent"]


def test_a_child_adds_and_removes(holder: Holder[INotify], tmp_path: Path) -> None:
    """Watches belong to both: a child that does not close may change them."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (old,) = holder[0].watches()

    def change() -> None:
        wd = holder[0].add_watch(folder, flags.DELETE_SELF)
        assert {watch.wd for watch in holder[0].watches()} == {old.wd, wd}
        holder[0].rm_watch(old.wd)
        assert [event.name for event in holder[0].read()] == ["folder", ""]

    _fork(change)()
    assert [watch.inode for watch in holder[0].watches()] == [folder.stat().st_ino]
    folder.rmdir()
    assert flags.DELETE_SELF in flags.from_mask(holder[0].read()[0].mask)


def test_waits_of_a_child(
    holder: Holder[INotify], tmp_path: Path, in_thread: InThread, until: Until
) -> None:
    """A child has waits of its own, and ends them with its own wake() and close()."""
    with INotify() as untouched:
        names = in_thread(lambda: [event.name for event in holder[0].read()])
        until(lambda: waits(holder[0]))

        def wait() -> None:
            for end in (holder[0].wake, holder[0].close):
                results: list[object] = []

                def read(results: list[object] = results) -> None:
                    try:
                        results.append(holder[0].read())
                    except ValueError:
                        results.append("closed")

                thread = threading.Thread(target=read)
                thread.start()
                until(lambda: waits(holder[0]) == 1)
                end()
                thread.join()
                assert results == [[] if end == holder[0].wake else "closed"]
            assert asyncio.run(untouched.aread(timeout=5)) == []

        _fork(wait)()
        (tmp_path / "file").touch()
        assert names() == ["file"]


@pytest.mark.parametrize("nonblocking", [False, True])
def test_forked_while_threads_are_inside(
    tmp_path: Path, in_thread: InThread, nonblocking: bool
) -> None:
    """Children of any moment use and close their copies: hundreds, none is stuck."""
    over, read_enough = threading.Event(), threading.Event()

    with INotify(nonblocking=nonblocking) as inotify:

        def churn() -> None:
            while not over.is_set():
                inotify.rm_watch(inotify.add_watch(tmp_path, flags.CREATE))

        def read(timeout: float) -> None:
            while not read_enough.is_set():
                inotify.read(timeout)

        def use() -> None:
            fd = inotify.fd
            inotify.read(timeout=0)
            inotify.wake()
            inotify.add_watch("/", flags.CREATE)
            inotify.read(timeout=1)
            inotify.close()
            with pytest.raises(ValueError, match="closed file"):
                inotify.read()
            assert _is_closed(fd)

        churners = [in_thread(churn)]
        readers = [in_thread(lambda: read(0)), in_thread(lambda: read(1))]
        try:
            for _ in range(FORKS):
                _fork(use)()
        finally:
            # The readers first: only an event frees one that the kernel holds.
            read_enough.set()
            for finished in readers:
                finished()
            over.set()
        for finished in churners:
            finished()
        assert [watch.inode for watch in inotify.watches()] == [os.stat("/").st_ino]


def test_a_child_that_ends_like_any_program(
    run_python: RunPython, tmp_path: Path
) -> None:
    """A child whose interpreter shuts down leaves the parent's waits and watches."""
    code = """
    import os, sys, threading, warnings
    from waiting import waits
    from inotify_cffi import INotify, flags
    warnings.simplefilter("ignore", DeprecationWarning)
    with INotify() as inotify:
        inotify.add_watch(sys.argv[1], flags.CREATE)
        read = lambda: print([event.name for event in inotify.read()])
        reader = threading.Thread(target=read)
        reader.start()
        while not waits(inotify):
            pass
        child = os.fork()
        if child == 0:
            sys.exit()
        status = os.waitpid(child, 0)[1]
        open(sys.argv[1] + "/file", "w").close()
        reader.join()
    print(status)
    """
    assert run_python(code, tmp_path) == "['file']\n0\n"


@pytest.mark.parametrize("inheritable", [False, True])
def test_what_a_program_inherits(
    inheritable: bool, in_thread: InThread, until: Until
) -> None:
    """A program sees the instance where that is asked for; what waits use, never."""
    listing = """
        import os
        for number in os.listdir("/proc/self/fd"):
            try:
                print(number, os.readlink("/proc/self/fd/" + number))
            except FileNotFoundError:
                pass
        """

    def seen() -> set[str]:
        command = [sys.executable, "-c", "if True:" + listing]
        ran = subprocess.run(command, capture_output=True, close_fds=False, check=True)
        return {
            line for line in ran.stdout.decode().split("\n") if "anon_inode" in line
        }

    before = seen()
    with contextlib.ExitStack() as opened:
        inotify = opened.enter_context(INotify(inheritable=inheritable))
        waiting = in_thread(inotify.read)
        until(lambda: waits(inotify))
        expected = {f"{inotify.fd} anon_inode:inotify"} if inheritable else set()
        assert seen() - before == expected
        inotify.wake()
        assert waiting() == []


def test_what_an_exception_kept_is_the_parents(holder: Holder[INotify]) -> None:
    """A child does not return what its parent took; it keeps what it took itself."""
    instance_of(holder[0]).keep([Event(1, 2, 3, "parent's")])

    def use() -> None:
        assert holder[0].read(timeout=0) == []
        assert not holder[0].wait_readable(timeout=1)
        instance_of(holder[0]).keep([Event(1, 2, 3, "child's")])
        assert [event.name for event in holder[0].read(timeout=0)] == ["child's"]

    _fork(use)()
    assert [event.name for event in holder[0].read(timeout=0)] == ["parent's"]


@pytest.mark.parametrize("end", ["wake", "close"])
def test_forked_in_a_handler_during_a_read(
    holder: Holder[INotify], tmp_path: Path, in_thread: InThread, until: Until, end: str
) -> None:
    """The read goes on in both, and each is ended by its own process alone."""
    parent = os.getpid()
    handled: list[int] = []
    tokens = iter(["fork"])  # a handler may strike in another: one claims it

    def end_it() -> None:
        getattr(holder[0], end)()

    def fork(number: int, frame: object) -> None:
        handled.append(number)
        if next(tokens, None) is None:
            return
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(BOUND)
            threading.Timer(0.01, end_it).start()
        else:
            assert os.waitpid(child, 0)[1] == 0
            (tmp_path / "file").touch()

    def interrupt() -> None:
        until(lambda: waits(holder[0]))
        while not handled:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, fork)
    try:
        interrupted = in_thread(interrupt)
        try:
            events: object = holder[0].read()
        except ValueError:
            events = "closed"
        if os.getpid() != parent:
            os._exit(events != ([] if end == "wake" else "closed"))
        interrupted()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert isinstance(events, list)
    assert [event.name for event in events] == ["file"]


def _pipes() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {name for name in found if name.startswith("pipe:")}


def test_descriptors_of_waits_are_closed_in_a_child(
    holder: Holder[INotify], in_thread: InThread, until: Until
) -> None:
    """A child has no descriptors that waits of its parent use, or have left."""
    before = _pipes()
    assert holder[0].read(timeout=1) == []
    waiting = in_thread(holder[0].read)
    until(lambda: waits(holder[0]))
    with INotify() as waited:
        assert waited.read(timeout=1) == []
        of_waits = _pipes() - before
        assert len(of_waits) == 2

        def use() -> None:
            assert not _pipes() & of_waits
            assert waits(holder[0]) == 0
            assert holder[0].read(timeout=1) == waited.read(timeout=1) == []

        _fork(use)()
    holder[0].wake()
    assert waiting() == []


def test_a_daemon_closes_all_descriptors(
    holder: Holder[INotify], tmp_path: Path, in_thread: InThread, until: Until
) -> None:
    """A file that a daemon opens with a number that it closed keeps its content."""
    holder[0].read(timeout=1)
    waiting = in_thread(holder[0].read)
    until(lambda: waits(holder[0]))

    def become_daemon() -> None:
        os.closerange(holder[0].fileno() + 1, 256)
        files = [os.open(tmp_path / str(n), os.O_CREAT | os.O_RDWR) for n in range(8)]
        holder[0].read(timeout=1)
        holder[0].wake()
        for number, file in enumerate(files):
            assert os.write(file, b"8 bytes.") == 8
            assert (tmp_path / str(number)).read_bytes() == b"8 bytes."

    _fork(become_daemon)()
    holder[0].wake()
    waiting()


def test_descriptors_closed_by_number(run_python: RunPython) -> None:
    """If a descriptor of a wait was closed by number, the next file with that number is
    never written to or closed: by the wait, its end, wake() or close()."""
    run_python(
        """
        import os, tempfile, threading
        from waiting import waits
        from inotify_cffi import INotify

        def replace(first):
            os.closerange(first, 256)
            return [os.open(f"{folder}/{n}", os.O_CREAT | os.O_RDWR) for n in range(8)]

        def check(files):
            for file in files:
                assert os.fstat(file).st_size == 0
                assert os.readlink(f"/proc/self/fd/{file}").startswith(folder)

        with tempfile.TemporaryDirectory() as folder:
            with INotify() as inotify:
                inotify.read(timeout=1)
                files = replace(inotify.fileno() + 1)  # while nothing waits
                inotify.wake()
                assert inotify.read() == []
                check(files)
                results = []
                thread = threading.Thread(
                    target=lambda: results.append(inotify.read(timeout=500))
                )
                thread.start()
                while not waits(inotify):
                    pass
                files = replace(inotify.fileno() + 1)  # during a wait
                inotify.wake()
                thread.join()
                assert results == [[]]
                check(files)
                inotify.read(timeout=1)
                files = replace(inotify.fileno() + 1)
            check(files)
        """
    )
