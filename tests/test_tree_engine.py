"""TreeWatcher among threads, tasks and processes: who works, and who waits."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import tempfile
import threading
import warnings
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import churn
import pytest
import stepwise

from inotify_cffi import (
    TreeEvent,
    TreeWatcher,
    UnreadableDirectoryWarning,
    flags,
    mask_str,
    masks,
)
from inotify_cffi.tree import _disk

if TYPE_CHECKING:
    from conftest import InThread, RunPython

PATIENCE = 60_000  # milliseconds


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Any:
    """The module of an event loop."""
    return pytest.importorskip(
        request.param, reason=f"{request.param} is not installed"
    )


@pytest.fixture
def run(backend: Any) -> Callable[..., Any]:
    """The function that runs a coroutine function: of asyncio or trio."""
    if backend is asyncio:
        return lambda function: asyncio.run(function())
    return backend.run  # type: ignore[no-any-return]


async def _together(backend: Any, *functions: Callable[[], Awaitable[None]]) -> None:
    """Run coroutine functions in tasks of their own, until all of them return."""
    if backend is asyncio:
        await asyncio.gather(*(function() for function in functions))
    else:
        async with backend.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(function)


class Held:
    """A watcher whose turn a thread has: its exclude waits for `let_go`."""

    def __init__(self, top: Path, in_thread: InThread) -> None:
        self.reached, self.goes_on = threading.Event(), threading.Event()
        self.watcher = TreeWatcher(top, exclude=self._exclude)
        (top / "slow").mkdir()
        self.running = True
        self.result = in_thread(self._read)
        assert self.reached.wait(PATIENCE / 1000)

    def _read(self) -> list[TreeEvent]:
        try:
            return self.watcher.read(timeout=0)
        finally:
            self.running = False

    def _exclude(self, path: str) -> bool:
        if path.endswith("slow"):
            self.reached.set()
            assert self.goes_on.wait(PATIENCE / 1000)
        return False

    def let_go(self) -> None:
        self.goes_on.set()


@pytest.fixture
def held(top: Path, in_thread: InThread) -> Iterator[Held]:
    held = Held(top, in_thread)
    yield held
    held.let_go()
    held.result()
    held.watcher.close()


def _paths(events: list[TreeEvent], top: Path) -> list[str]:
    return [event.path[len(str(top)) :] for event in events]


def _many(top: Path) -> int:
    """Move a tree in that no read can scan in a millisecond."""
    aside = top.parent / "aside"
    for number in range(100):
        for inner in range(80):
            os.makedirs(aside / f"{number}" / f"{inner}")
    aside.rename(top / "many")
    return 1 + 100 + 100 * 80


# ---- deadlines and slices -----------------------------------------------------------


def test_deadline_in_a_scan(top: Path) -> None:
    """A read whose time is over returns what it found; the next ones give the rest."""
    with churn.Consumer(top) as consumer:
        count = _many(top)
        first = consumer.read(timeout=1)
        assert len(first) < count
        total = len(first)
        while consumer.mirror.events < count:
            total += len(consumer.read(timeout=1))
        assert total == count


def test_barrier_in_a_scan(top: Path) -> None:
    """A read with timeout 0 gives all, after one that had not the time for it."""
    with TreeWatcher(top) as watcher:
        count = _many(top)
        first = watcher.read(timeout=1)
        assert len(first) + len(watcher.read(timeout=0)) == count


def test_deadline_in_what_was_read(top: Path) -> None:
    """Also of what was read from the queue, the rest is left to the next read."""
    if int(Path(churn.MAX_QUEUED_EVENTS).read_text()) < 6000:
        pytest.skip("the queues of this machine are short")
    with churn.short_queue(None):  # nobody else's short one
        watcher = TreeWatcher(top, mask=flags.CREATE | flags.DELETE)
    with watcher:
        for number in range(5000):
            os.mknod(top / f"{number}")
        reported = watcher.read(timeout=0.001)
        assert len(reported) < 5000
        reported += watcher.read(timeout=0)
        assert _paths(reported, top) == [f"/{number}" for number in range(5000)]


def test_tasks_run_during_a_scan(
    backend: Any, run: Callable[..., Any], top: Path
) -> None:
    """While a task awaits a big scan, other tasks run."""

    async def main() -> None:
        ticks = 0
        with TreeWatcher(top) as watcher:
            count = _many(top)
            events: list[TreeEvent] = []

            async def tick() -> None:
                nonlocal ticks
                while len(events) < count:
                    await backend.sleep(0)
                    ticks += 1

            async def read() -> None:
                events.extend(await watcher.aread(timeout=0))

            await _together(backend, tick, read)
            assert len(events) == count
            assert ticks > 2

    run(main)


def test_storm_of_overflows(
    until: Callable[[Callable[[], Any]], None], top: Path
) -> None:
    """While the queue keeps overflowing, a read with a deadline returns."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue")
    with churn.short_queue(16):
        watcher = TreeWatcher(top)
    with watcher:
        listing, count = _disk.listing, 0

        def overflow_again(path: str) -> dict[str, bool]:
            nonlocal count
            count += 1
            for _ in range(20):
                os.mknod(top / "x")
                os.unlink(top / "x")
            return listing(path)

        with pytest.MonkeyPatch.context() as patch:
            stepwise.install(patch)
            patch.setattr(_disk, "listing", overflow_again)
            overflow_again(str(top))
            reported = watcher.read(timeout=1)

            def read() -> bool:  # how far one comes depends on the machine
                reported.extend(watcher.read(timeout=1))
                return count >= 3

            until(read)
        assert any(event.mask & flags.Q_OVERFLOW for event in reported)
        watcher.read(timeout=0)
        (top / "last").mkdir()
        assert _paths(watcher.read(timeout=0), top) == ["/last"]


# ---- who waits for whom -------------------------------------------------------------


def test_task_beside_a_working_thread(run: Callable[..., Any], held: Held) -> None:
    """A task does not wait for a thread that works: its own time ends its read."""

    async def main() -> None:
        assert await held.watcher.aread(timeout=1) == []

    run(main)


def test_thread_beside_a_working_thread(held: Held) -> None:
    """A thread whose time is over does not wait for another that works."""
    assert held.watcher.read(timeout=1) == []


def test_task_after_a_working_thread(
    backend: Any, run: Callable[..., Any], held: Held
) -> None:
    """A task that waited for its turn reads on when the thread has finished."""
    top = Path(held.watcher._inotify_cffi.tracker.roots[0])

    async def main() -> None:
        calls = held.watcher._inotify_cffi._worker.turn.callers
        found: list[str] = []

        async def read() -> None:
            while not found or found[-1] != "/last":
                found.extend(_paths(await held.watcher.aread(PATIENCE), top))

        async def let_go() -> None:
            while not calls:  # until the task waits for its turn
                await backend.sleep(0)
            held.let_go()
            while held.running:  # what it reads, the task cannot
                await backend.sleep(0)
            os.mknod(top / "last")

        await _together(backend, read, let_go)

    run(main)


def test_thread_after_a_working_thread(
    held: Held, in_thread: InThread, until: Callable[[Callable[[], object]], None]
) -> None:
    """A thread that waited for its turn has it when the other has finished."""
    waiting = in_thread(lambda: held.watcher.remove("nothing"))
    calls = held.watcher._inotify_cffi._worker.turn.callers
    until(lambda: bool(calls))
    held.let_go()
    with pytest.raises(ValueError, match="not a root"):
        waiting()


def test_close_beside_a_working_thread(top: Path, in_thread: InThread) -> None:
    """A thread that waits for its turn is woken at once when the watcher is closed."""
    held = Held(top, in_thread)
    waiting = in_thread(lambda: held.watcher.read(PATIENCE))
    held.watcher.close()
    with pytest.raises(ValueError, match="closed"):
        waiting()
    held.let_go()
    with pytest.raises(ValueError, match="closed"):
        held.result()


def test_reads_and_changes_within_a_read(top: Path) -> None:
    """Code within a read, such as an exclude, can read nothing and change no root."""
    within: list[object] = []

    def exclude(path: str) -> bool:
        within.append(watcher.read())
        for change in (watcher.add, watcher.remove):
            with pytest.raises(RuntimeError, match="in the midst"):
                change(top)
        return False

    with TreeWatcher(top, exclude=exclude) as watcher:
        (top / "d").mkdir()
        assert _paths(watcher.read(timeout=0), top) == ["/d"]
    assert within == [[]]


# ---- tasks make watchers and add roots ----------------------------------------------


def test_acreate(run: Callable[..., Any], top: Path, tmp_path: Path) -> None:
    """A watcher can be made, and a root be added, in a task."""

    async def main() -> None:
        (tmp_path / "other").mkdir()
        (top / "d" / "e").mkdir(parents=True)
        with await TreeWatcher.acreate(top, initial=True) as watcher:
            await watcher.aadd(os.fsencode(tmp_path / "other"))
            os.mknod(tmp_path / "other" / "f")
            events = await watcher.aread()
            assert _paths(events, tmp_path) == ["/top/d", "/top/d/e", "/other/f"]

    run(main)


def test_acreate_fails(run: Callable[..., Any], top: Path, tmp_path: Path) -> None:
    """A watcher that cannot be made in a task leaves nothing open."""

    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await TreeWatcher.acreate(top, tmp_path / "missing")

    run(main)


def test_aadd_of_a_closed_watcher(run: Callable[..., Any], top: Path) -> None:
    """A closed watcher takes no root."""

    async def main() -> None:
        watcher = TreeWatcher()
        watcher.close()
        with pytest.raises(ValueError, match="closed"):
            await watcher.aadd(top)

    run(main)


def test_cancelled_aadd(top: Path) -> None:
    """A cancelled aadd leaves the root added; a read continues its scan."""

    async def main() -> None:
        count = _many(top)
        with TreeWatcher(initial=True) as watcher:
            task = asyncio.ensure_future(watcher.aadd(top))
            while not watcher.roots:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(await watcher.aread(timeout=0)) == count

    asyncio.run(main())


def test_read_delay_of_aread(backend: Any, run: Callable[..., Any], top: Path) -> None:
    """With a read_delay, an aread that had to wait lets more events gather."""

    async def main() -> None:
        with TreeWatcher(top, mask=flags.CREATE) as watcher:
            gathering = watcher._inotify_cffi._waits.gathering
            events: list[TreeEvent] = []

            async def read() -> None:
                events.extend(await watcher.aread(read_delay=PATIENCE))

            async def write() -> None:
                while not watcher._inotify_cffi._waits.of_queue:
                    await backend.sleep(0)
                os.mknod(top / "a")
                while not gathering:
                    await backend.sleep(0)
                os.mknod(top / "b")
                watcher.wake()

            await _together(backend, read, write)
            assert _paths(events, top) == ["/a", "/b"]
            assert await watcher.aread(timeout=1) == []  # the wake was for the first

    run(main)


# ---- forks --------------------------------------------------------------------------


FORK = """
import asyncio, os, sys, threading
from inotify_cffi import TreeWatcher

top = sys.argv[1]
reached, goes_on = threading.Event(), threading.Event()
def exclude(path):
    if path.endswith("slow"):
        reached.set()
        goes_on.wait()
    return False
watcher = TreeWatcher(top, exclude=exclude)
number = watcher.fileno()
os.mkdir(f"{top}/slow")
thread = threading.Thread(target=watcher.read, args=(0,))
thread.start()
reached.wait()
child = os.fork()
if not child:
    refused = []
    for method in (
        lambda: watcher.read(timeout=0),
        watcher.read,
        lambda: next(watcher),
        lambda: asyncio.run(watcher.aread()),
        lambda: asyncio.run(watcher.__anext__()),
        lambda: asyncio.run(watcher.aadd(top)),
        lambda: watcher.add(top),
        lambda: watcher.remove(top),
        watcher.wake,
        watcher.fileno,
    ):
        try:
            method()
        except RuntimeError as error:
            assert "has forked" in str(error), error
            refused.append(method)
    assert len(refused) == 10
    assert not watcher.closed
    watcher.close()
    assert watcher.closed
    for call in (watcher.read, watcher.fileno):
        try:
            call()
        except ValueError:
            refused.append(call)
    assert len(refused) == 12
    left = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{fd}") or True
            if os.path.lexists(f"/proc/self/fd/{fd}")]
    ours = ("inotify", "eventpoll", "mountinfo")
    assert not [link for link in left if any(name in link for name in ours)], left
    os._exit(0)
_, status = os.waitpid(child, 0)
goes_on.set()
thread.join()
os.mkdir(f"{top}/after")
assert [event.path for event in watcher.read(timeout=0)][-1] == f"{top}/after"
assert watcher.fileno() == number
watcher.close()
print(status)
"""


def test_fork_beside_a_read(run_python: RunPython, top: Path) -> None:
    """In a forked child all but close refuses at once; the parent's goes on."""
    code = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
    assert run_python(code + FORK, top) == "0\n"


# ---- fileno -------------------------------------------------------------------------


def _is_readable(watcher: TreeWatcher) -> bool:
    return bool(select.select([watcher], [], [], 0)[0])


def test_fileno_says_what_waits(top: Path, tmp_path: Path) -> None:
    """The descriptor is readable just as long as a read would return something."""
    (top / "a").mkdir()
    (tmp_path / "other").mkdir()
    with TreeWatcher(top, initial=True) as watcher:
        assert _is_readable(watcher)
        assert len(watcher.read(timeout=0)) == 1
        assert not _is_readable(watcher)
        (top / "b").mkdir()
        assert _is_readable(watcher)
        watcher.add(tmp_path / "other")  # this takes it from the queue
        assert _is_readable(watcher)
        assert next(watcher).path == f"{top}/b"
        assert not _is_readable(watcher)
        for name in "cd":
            os.mknod(top / name)
        next(watcher)
        assert _is_readable(watcher)
        assert _paths(watcher.read(timeout=0), top) == ["/d"]
        assert not _is_readable(watcher)
        _many(top)
        watcher.read(timeout=1)
        assert _is_readable(watcher)  # there is more to scan
        watcher.read(timeout=0)
        assert not _is_readable(watcher)
        number = watcher.fileno()
    with pytest.raises(ValueError, match="closed"):
        watcher.fileno()
    assert not os.path.exists(f"/proc/self/fd/{number}")


def test_fileno_of_several_threads(top: Path, in_thread: InThread) -> None:
    """All threads are given one descriptor."""
    with TreeWatcher(top) as watcher:
        results = [in_thread(watcher.fileno) for _ in range(8)]
        assert len({result() for result in results}) == 1


# ---- subclasses ---------------------------------------------------------------------


def test_one_private_name(top: Path) -> None:
    """An instance has one attribute, so a subclass has all other names for itself."""
    with TreeWatcher(top) as watcher:
        assert list(vars(watcher)) == ["_inotify_cffi"]


def test_subclass_with_a_lock(top: Path) -> None:
    """A subclass may have a lock of its own, and call it so."""

    class Safe(TreeWatcher):
        def __init__(self, *paths: Path) -> None:
            super().__init__(*paths)
            self._lock = threading.Lock()

        def read(self, *arguments: float | None, **options: Any) -> list[TreeEvent]:
            with self._lock:
                return super().read(*arguments, **options)

    with Safe(top) as watcher:
        (top / "x").mkdir()
        assert _paths(watcher.read(100), top) == ["/x"]


# ---- what is reported, and what is not ----------------------------------------------


def test_warning_that_is_an_error() -> None:
    """A warning that is raised leaves the events to the next read."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    top = Path(tempfile.mkdtemp())  # others may not reach what pytest has made
    top.chmod(0o777)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        with TreeWatcher(top, mask=flags.CREATE) as watcher:
            os.mkdir(top / "closed", 0)
            os.mknod(top / "file")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(UnreadableDirectoryWarning):
                    watcher.read(timeout=0)
                assert _paths(watcher.read(timeout=0), top) == ["/closed", "/file"]
    finally:
        os.seteuid(0)
        os.setegid(0)
        shutil.rmtree(top)


@pytest.mark.parametrize("around", ["", "sub", "sub/deep"])
def test_add_loses_no_events_of_others(top: Path, around: str) -> None:
    """An add, of whatever place in a tree, swallows nothing that was queued."""
    (top / "sub" / "deep").mkdir(parents=True)
    with churn.Consumer(top) as consumer:
        (top / "sub" / "x").mkdir()
        (top / "sub" / "deep" / "y").mkdir()
        consumer.watcher.add(top / around)
        assert consumer.lines() == [
            "CREATE | ISDIR /sub/x",
            "CREATE | ISDIR /sub/deep/y",
        ]
        (top / "sub" / "x").rmdir()
        assert consumer.lines() == ["DELETE | ISDIR /sub/x"]


def _lines(events: list[TreeEvent], top: Path) -> list[str]:
    return [f"{mask_str(one.mask)} {one.path[len(str(top)) :]}" for one in events]


def test_own_scans_are_not_reported(top: Path) -> None:
    """A scan's own accesses of directories are not reported, other ones are."""
    (top / "old" / "in").mkdir(parents=True)
    with TreeWatcher(top, mask=masks.ALL_EVENTS) as watcher:
        assert watcher.read(timeout=0) == []
        os.makedirs(top / "new" / "below")
        (top / "old").rename(top.parent / "gone")
        assert _lines(watcher.read(timeout=0), top) == [
            "CREATE | ISDIR /new",
            "MOVED_FROM | ISDIR /old",
            "CREATE | ISDIR /new/below",
        ]
        os.listdir(top / "new")
        lines = _lines(watcher.read(timeout=0), top)
        assert lines[0] == "OPEN | ISDIR /new"
        assert lines[-1] == "CLOSE_NOWRITE | ISDIR /new"


def test_threads_beside_a_descriptor(tmp_path: Path, in_thread: InThread) -> None:
    """Reads of several threads keep the descriptor up to date at the same time."""
    with TreeWatcher(tmp_path) as watcher:
        assert watcher.fileno() >= 0

        def read_often() -> list[TreeEvent]:
            events = []
            for _ in range(1000):
                events += watcher.read(timeout=0)
            return events

        results = [in_thread(read_often) for _ in range(4)]
        for result in results:
            assert result() == []
