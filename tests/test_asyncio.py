"""aread(), await_readable() and async for under asyncio and uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import inspect
import math
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Protocol, TypeVar

import pytest
from waiting import instance_of, put_another_file_in_place_of, waits

from inotify_cffi import Event, INotify, flags
from inotify_cffi._waiting import Wait

if TYPE_CHECKING:
    from conftest import InThread, RunPython

    from inotify_cffi._waiting import Wait

T = TypeVar("T")
Names = Callable[[Iterable[Event]], list[str]]
NewLoop = Callable[[], asyncio.AbstractEventLoop]
Elsewhere = Callable[[Callable[[], object]], object]

PATIENCE = 60  # seconds until something counts as stuck
CANCELLATIONS = 1000
EVENTS = 250


class Run(Protocol):
    def __call__(self, main: Coroutine[Any, Any, T]) -> T: ...


@pytest.fixture(scope="module", params=["asyncio", "asyncio in debug mode", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """The function that makes an event loop, of every kind there is."""
    if request.param == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
        make: NewLoop = uvloop.new_event_loop
        make().close()  # the first one opens a pipe for all, which stays open
        return make

    def make_asyncio() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_debug(request.param == "asyncio in debug mode")
        return loop

    return make_asyncio


@pytest.fixture
def run(new_loop: NewLoop) -> Run:
    """The function that runs a coroutine in a loop of its own.

    It fails when the loop complains, or has a task left.
    """

    def run(main: Coroutine[Any, Any, T]) -> T:
        complaints: list[dict[str, Any]] = []
        loop = new_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        try:
            result = loop.run_until_complete(asyncio.wait_for(main, PATIENCE))
            assert not asyncio.all_tasks(loop)
        finally:
            loop.close()
        assert not complaints
        return result

    return run


@pytest.fixture(params=["a callback", "a task", "a thread"])
def elsewhere(request: pytest.FixtureRequest, in_thread: InThread) -> Elsewhere:
    """The function that lets a running loop, or a thread, call another function."""

    async def call(function: Callable[[], object]) -> None:
        function()

    if request.param == "a thread":
        return in_thread
    if request.param == "a task":
        return lambda function: asyncio.ensure_future(call(function))
    return lambda function: asyncio.get_running_loop().call_soon(function)


@pytest.fixture
def watched(inotify: INotify, tmp_path: Path) -> INotify:
    """An instance that reports creations in tmp_path; opened blocking."""
    assert os.get_blocking(inotify.fileno())
    inotify.add_watch(tmp_path, flags.CREATE)
    return inotify


async def _until(condition: Callable[[], object]) -> None:
    """Let other tasks run until a condition holds that nobody signals."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0)


async def _pause() -> None:
    """Let other tasks run for a few rounds of the loop, or not at all."""
    for _ in range(random.randrange(5)):
        await asyncio.sleep(0)


async def _waiting(
    inotify: INotify, *coroutines: Coroutine[Any, Any, T]
) -> list[asyncio.Task[T]]:
    """Start tasks; return them when every one found the queue empty and waits."""
    count = waits(inotify) + len(coroutines)
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await _until(lambda: waits(inotify) == count)
    return tasks


async def _iterate(inotify: INotify, found: list[str]) -> str:
    async for event in inotify:
        found.append(event.name)
    return "ended"


async def _read_on(inotify: INotify, found: list[str]) -> list[str]:
    """Read until the instance is closed; return what this task read itself."""
    own: list[str] = []
    try:
        while True:
            read = [event.name for event in await inotify.aread()]
            own += read
            found += read
    except ValueError:
        return own


async def _timed_out(inotify: INotify, timeout: float) -> bool:
    """Whether aread() finds nothing and no wake(), and so lasts its timeout."""
    begun = time.monotonic()
    events = await inotify.aread(timeout)
    return events == [] and time.monotonic() - begun >= timeout / 1000


def _numbered(count: int) -> list[str]:
    return [f"file-{number:05}" for number in range(count)]


def _open_descriptors() -> set[int]:
    # Without the one that listed them: it is closed again.
    listed = [Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
    return {int(path.name) for path in listed if path.exists()}


@pytest.mark.queue(EVENTS)
def test_returns_what_is_queued(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """All events that are queued come at once, in the kernel's order."""
    for name in _numbered(EVENTS):
        (tmp_path / name).touch()
    assert names(run(watched.aread())) == _numbered(EVENTS)


@pytest.mark.parametrize("timeout", [None, -1, -0.001, 3_600_000, 1e300, math.inf])
def test_waits(
    watched: INotify, tmp_path: Path, run: Run, names: Names, timeout: float | None
) -> None:
    """If nothing is queued, aread() waits for an event; None: without an end."""

    async def main() -> list[Event]:
        (reader,) = await _waiting(watched, watched.aread(timeout))
        (tmp_path / "file").touch()
        return await reader

    assert names(run(main())) == ["file"]


@pytest.mark.parametrize("timeout", [0, 0.25, 1, 30])
def test_timeout(inotify: INotify, run: Run, timeout: float) -> None:
    """Time that runs out is [], and not before it has run out."""
    assert run(_timed_out(inotify, timeout))
    assert run(_timed_out(inotify, timeout))


def test_read_delay(watched: INotify, tmp_path: Path, run: Run, names: Names) -> None:
    """After a wait read_delay is awaited in full, and more events gather."""
    delay = 300

    async def main() -> None:
        (reader,) = await _waiting(watched, watched.aread(read_delay=delay))
        begun = time.monotonic()
        for name in ("first", "second"):
            (tmp_path / name).touch()
            await asyncio.sleep(0)
        assert names(await reader) == ["first", "second"]
        assert (time.monotonic() - begun) * 1000 >= delay

    run(main())


def test_read_delay_that_ends_early(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """read_delay delays nothing that is there, no end of a timeout, and no wake()."""
    for_ever = 3_600_000

    async def main() -> None:
        assert await watched.aread(timeout=1, read_delay=for_ever) == []
        (tmp_path / "there").touch()
        assert names(await watched.aread(read_delay=for_ever)) == ["there"]
        (reader,) = await _waiting(watched, watched.aread(read_delay=for_ever))
        (tmp_path / "gathered").touch()
        await asyncio.sleep(0)
        watched.wake()
        assert await reader == []
        assert names(await watched.aread()) == ["gathered"]

    run(main())


@pytest.mark.parametrize("read_delay", [-1, math.nan])
def test_refuses_a_read_delay(inotify: INotify, run: Run, read_delay: float) -> None:
    """A negative read_delay, or nan, is a ValueError, as for read()."""

    async def main() -> None:
        with pytest.raises(ValueError, match="read_delay"):
            await inotify.aread(timeout=0, read_delay=read_delay)

    run(main())


def test_timeout_zero_is_a_turn_for_others(inotify: INotify, run: Run) -> None:
    """Every aread(timeout=0) lets the other tasks run."""

    async def main() -> None:
        turns: list[int] = []
        for number in range(50):
            asyncio.get_running_loop().call_soon(turns.append, number)
            assert await inotify.aread(timeout=0) == []
            assert len(turns) == number + 1

    run(main())


def test_refuses_what_is_no_time(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """NaN is a ValueError and a string a TypeError, and events stay queued."""

    async def main() -> list[Event]:
        for method in (watched.aread, watched.await_readable):
            with pytest.raises(ValueError, match="milliseconds, not nan"):
                await method(math.nan)
            with pytest.raises(TypeError):
                await method("1")  # type: ignore[arg-type]
        return await watched.aread()

    (tmp_path / "file").touch()
    assert names(run(main())) == ["file"]


def test_is_a_coroutine(inotify: INotify, run: Run) -> None:
    """The call is a coroutine to asyncio, the instance is not."""

    async def main() -> None:
        coroutine = inotify.aread(timeout=0)
        assert asyncio.iscoroutine(coroutine)
        assert inspect.iscoroutinefunction(inotify.await_readable)
        assert await asyncio.create_task(coroutine) == []
        assert not asyncio.iscoroutine(inotify)
        assert not asyncio.isfuture(inotify)
        with pytest.raises(TypeError):
            await asyncio.ensure_future(inotify)  # type: ignore[call-overload]

    run(main())


def test_never_awaited(inotify: INotify) -> None:
    """A coroutine that was never started has not touched the instance."""
    coroutine = inotify.aread()
    coroutine.close()
    assert os.get_blocking(inotify.fileno())
    assert not waits(inotify)


@pytest.mark.parametrize("method", ["aread", "await_readable"])
@pytest.mark.parametrize("timeout", [None, 0])
def test_outside_a_loop(
    watched: INotify, tmp_path: Path, method: str, timeout: float | None
) -> None:
    """Without a running loop it raises RuntimeError, and events stay queued."""
    (tmp_path / "file").touch()
    coroutine = getattr(watched, method)(timeout)
    try:
        with pytest.raises(RuntimeError, match="no running event loop"):
            coroutine.send(None)
    finally:
        coroutine.close()
    assert [event.name for event in watched.read(timeout=0)] == ["file"]


def test_async_for(watched: INotify, tmp_path: Path, run: Run) -> None:
    """An iteration gives every event, queued before or made while it waits."""

    async def main() -> list[str]:
        found: list[str] = []
        (iterator,) = await _waiting(watched, _iterate(watched, found))
        for count, name in enumerate(_numbered(100), 1):
            (tmp_path / name).touch()
            if count % 7 == 0:
                await _until(lambda: len(found) == count)  # noqa: B023
        await _until(lambda: len(found) == 100)
        watched.close()
        assert await iterator == "ended"
        return found

    assert run(main()) == _numbered(100)


def test_iteration_that_is_left(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """Events that an iteration did not return are left for the next read."""

    async def one() -> str:
        async for event in watched:
            return event.name
        return "none"

    for name in _numbered(6):
        (tmp_path / name).touch()
    assert [run(one()), run(one())] == _numbered(2)
    assert next(watched).name == _numbered(3)[-1]
    assert names(run(watched.aread())) == _numbered(6)[3:]


def test_kept_events_go_to_who_waits(
    inotify: INotify, in_thread: InThread, names: Names
) -> None:
    """A waiting task gets the events of a thread's read that an exception ended."""

    async def main() -> list[Event]:
        (reader,) = await _waiting(inotify, inotify.aread())
        in_thread(lambda: instance_of(inotify).keep([Event(1, 2, 3, "kept")]))()
        return await reader

    assert names(asyncio.run(main())) == ["kept"]


def test_close_ends_an_iteration(
    inotify: INotify, run: Run, elsewhere: Elsewhere
) -> None:
    """Every async for ends, without an exception, when the instance is closed."""

    async def main() -> list[str]:
        found: list[str] = []
        iterators = [_iterate(inotify, found) for _ in range(5)]
        tasks = await _waiting(inotify, *iterators)
        elsewhere(inotify.close)
        return await asyncio.gather(*tasks)

    assert run(main()) == ["ended"] * 5
    assert run(_iterate(inotify, [])) == "ended"


def test_iteration_raises_other_errors(inotify: INotify, run: Run) -> None:
    """Only a closed instance ends an async for; any other error is raised there."""
    put_another_file_in_place_of(inotify)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        run(_iterate(inotify, []))


def test_close_ends_a_wait(inotify: INotify, run: Run, elsewhere: Elsewhere) -> None:
    """Everything that is pending raises ValueError when the instance is closed."""

    async def main() -> None:
        readers = await _waiting(inotify, inotify.aread(), inotify.aread(3_600_000))
        others = await _waiting(inotify, inotify.await_readable())
        elsewhere(inotify.close)
        for pending in (*readers, *others):
            with pytest.raises(ValueError, match="closed file"):
                await pending
        for late in (inotify.aread(), inotify.aread(0), inotify.await_readable()):
            with pytest.raises(ValueError, match="closed file"):
                await late

    run(main())


def test_closing_again_and_again(run: Run, in_thread: InThread) -> None:
    """Whenever a thread closes the instance, the task that reads it ends."""

    async def main() -> None:
        for _ in range(100):
            with INotify() as inotify:
                reader = asyncio.ensure_future(inotify.aread())
                closed = in_thread(inotify.close)
                await _pause()
                with pytest.raises(ValueError, match="closed file"):
                    await reader
                closed()

    run(main())


def test_wake_ends_every_wait(inotify: INotify, run: Run, elsewhere: Elsewhere) -> None:
    """One wake() lets each aread() return [] and each await_readable() False."""

    async def main() -> None:
        for _ in range(20):
            readers = await _waiting(inotify, *[inotify.aread() for _ in range(3)])
            others = await _waiting(inotify, inotify.await_readable())
            elsewhere(inotify.wake)
            assert await asyncio.gather(*readers) == [[]] * 3
            assert await asyncio.gather(*others) == [False]
        assert await _timed_out(inotify, 10)

    run(main())


def test_wake_from_a_signal_handler(inotify: INotify, run: Run) -> None:
    """A handler that interrupts the loop may end the aread() that waits in it."""

    def wake(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        inotify.wake()

    async def main() -> None:
        for _ in range(50):
            (reader,) = await _waiting(inotify, inotify.aread())
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.002), 0.05)
            assert await reader == []

    before = signal.signal(signal.SIGALRM, wake)
    try:
        run(main())
    finally:
        signal.signal(signal.SIGALRM, before)


def test_wake_is_kept(inotify: INotify, run: Run) -> None:
    """A wake() that finds no task is kept for one aread(), and past a timeout of 0."""

    async def main() -> None:
        inotify.wake()
        inotify.wake()
        assert await inotify.aread(timeout=0) == []
        assert await inotify.aread() == []
        assert await _timed_out(inotify, 10)

    run(main())


def test_wake_of_a_cancelled_task_is_kept(inotify: INotify, run: Run) -> None:
    """A wake() that a task was cancelled with ends the next read instead."""

    async def main() -> None:
        (reader,) = await _waiting(inotify, inotify.aread())
        inotify.wake()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert await inotify.aread() == []
        assert await _timed_out(inotify, 10)

    run(main())


def test_wake_lets_iteration_go_on(watched: INotify, tmp_path: Path, run: Run) -> None:
    """An iteration that is woken waits again, until it is closed."""

    async def main() -> list[str]:
        found: list[str] = []
        (iterator,) = await _waiting(watched, _iterate(watched, found))
        for count, name in enumerate(_numbered(50), 1):
            watched.wake()
            await _pause()
            (tmp_path / name).touch()
            await _until(lambda: len(found) == count)  # noqa: B023
        watched.close()
        assert await iterator == "ended"
        return found

    assert run(main()) == _numbered(50)


def test_cancellation(watched: INotify, tmp_path: Path, run: Run) -> None:
    """A task cancelled around the moment of an event costs none, and doubles none."""
    found: list[Event] = []

    async def main() -> int:
        cancelled = 0
        for name in _numbered(CANCELLATIONS):
            reader = asyncio.ensure_future(watched.aread())
            steps: list[Callable[[], object]] = [(tmp_path / name).touch, reader.cancel]
            random.shuffle(steps)
            for step in steps:
                await _pause()
                step()
            try:
                found.extend(await reader)
            except asyncio.CancelledError:
                cancelled += 1
            if random.random() < 0.2:
                found.extend(watched.read(timeout=0))
            elif random.random() < 0.2:
                found.extend(await watched.aread(timeout=0))
        return cancelled

    assert 0 < run(main()) < CANCELLATIONS
    found.extend(watched.read(timeout=0))
    assert [event.name for event in found] == _numbered(CANCELLATIONS)


@pytest.mark.queue(CANCELLATIONS)
def test_cancellation_while_a_thread_makes_events(
    watched: INotify, tmp_path: Path, run: Run, in_thread: InThread
) -> None:
    """So it is when the events come from a thread, at any moment."""
    found: list[Event] = []

    def write() -> None:
        for name in _numbered(CANCELLATIONS):
            (tmp_path / name).touch()

    async def main() -> None:
        cancelled = 0
        while len(found) < CANCELLATIONS or cancelled < CANCELLATIONS:
            reader = asyncio.ensure_future(watched.aread())
            await _pause()
            reader.cancel()
            (result,) = await asyncio.gather(reader, return_exceptions=True)
            if isinstance(result, BaseException):
                assert isinstance(result, asyncio.CancelledError)
                cancelled += 1
            else:
                found.extend(result)

    written = in_thread(write)
    run(main())
    written()
    assert [event.name for event in found] == _numbered(CANCELLATIONS)


def test_wait_for(
    watched: INotify, tmp_path: Path, run: Run, in_thread: InThread
) -> None:
    """asyncio.wait_for() may time out at any moment, and no event is lost."""
    found: list[str] = []

    def write() -> None:
        for name in _numbered(EVENTS):
            (tmp_path / name).touch()

    async def main() -> int:
        timeouts = 0
        while len(found) < EVENTS or timeouts < 30:
            try:
                limited = asyncio.wait_for(watched.aread(), random.uniform(0, 0.002))
                found.extend(event.name for event in await limited)
            except asyncio.TimeoutError:
                timeouts += 1
        return timeouts

    written = in_thread(write)
    assert run(main()) >= 30
    written()
    assert found == _numbered(EVENTS)


def test_several_tasks(watched: INotify, tmp_path: Path, run: Run) -> None:
    """Exactly one of several waiting tasks gets an event, in the queue's order."""
    found: list[str] = []

    async def main() -> list[list[str]]:
        readers = await _waiting(watched, *[_read_on(watched, found) for _ in range(8)])
        for name in _numbered(EVENTS):
            (tmp_path / name).touch()
            await _pause()
        await _until(lambda: len(found) >= EVENTS)
        watched.close()
        return await asyncio.gather(*readers)

    shares = run(main())
    assert found == _numbered(EVENTS)
    assert sorted(chain.from_iterable(shares)) == found
    assert all(share == sorted(share) for share in shares)


def test_kept_events_go_to_who_begins_to_wait(
    inotify: INotify, run: Run, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that an exception keeps as an aread() begins to wait come from it."""
    begin = Wait.begin

    def keep_and_begin(wait: Wait, timeout: float | None) -> None:
        instance_of(inotify).keep([Event(1, 2, 3, "kept")])
        begin(wait, timeout)

    monkeypatch.setattr(Wait, "begin", keep_and_begin)
    assert names(run(inotify.aread(PATIENCE * 1000))) == ["kept"]


def test_exception_at_the_end_of_a_wait(
    inotify: INotify, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of a signal handler while a wait ends leaves nothing behind."""
    end = Wait.end

    def interrupted(wait: Wait) -> None:
        monkeypatch.setattr(Wait, "end", end)
        raise KeyboardInterrupt

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await inotify.aread(timeout=1)

    monkeypatch.setattr(Wait, "end", interrupted)
    run(main())
    assert waits(inotify) == 0


def test_several_tasks_are_cancelled(
    watched: INotify, tmp_path: Path, run: Run
) -> None:
    """The events of a cancelled task go to another waiting task."""
    found: list[str] = []

    async def main() -> None:
        readers = await _waiting(watched, *[_read_on(watched, found) for _ in range(4)])
        for count, name in enumerate(_numbered(EVENTS), 1):
            (tmp_path / name).touch()
            await _pause()
            readers.pop(0).cancel()
            await _until(lambda: len(found) >= count)  # noqa: B023
            readers.append(asyncio.ensure_future(_read_on(watched, found)))
        watched.close()
        await asyncio.gather(*readers)

    run(main())
    assert found == _numbered(EVENTS)


def test_several_loops_and_threads(
    watched: INotify, tmp_path: Path, run: Run, in_thread: InThread, until: Any
) -> None:
    """Tasks of several loops, and threads, share one instance: no event twice.

    In each read they are in order; one read may have what is older than what the
    read before it had, when an iteration took that meanwhile and left it.
    """
    found: list[str] = []

    async def read_on() -> list[list[str]]:
        reads = []
        with contextlib.suppress(ValueError):
            while True:
                reads.append([event.name for event in await watched.aread()])
                found.extend(reads[-1])
        return reads

    async def tasks() -> list[list[str]]:
        first, second = await asyncio.gather(read_on(), read_on())
        return first + second

    def thread() -> list[list[str]]:
        own = []
        for event in watched:
            own.append([event.name])
            found.append(event.name)
        return own

    results = [in_thread(lambda: run(tasks())) for _ in range(3)]
    results += [in_thread(thread) for _ in range(2)]
    until(lambda: waits(watched) == 8)
    for name in _numbered(EVENTS):
        (tmp_path / name).touch()
    until(lambda: len(found) >= EVENTS)
    watched.close()
    reads = [read for result in results for read in result()]
    assert sorted(found) == _numbered(EVENTS)
    assert sorted(chain.from_iterable(reads)) == _numbered(EVENTS)
    assert all(read == sorted(read) for read in reads)


def test_an_instance_for_each_loop(
    tmp_path: Path, run: Run, in_thread: InThread
) -> None:
    """Instances in loops of several threads do not disturb one another."""

    async def main(folder: Path) -> list[str]:
        found: list[str] = []
        with INotify() as inotify:
            inotify.add_watch(folder, flags.CREATE)
            (reader,) = await _waiting(inotify, _read_on(inotify, found))
            for name in _numbered(200):
                (folder / name).touch()
                await _pause()
            await _until(lambda: len(found) >= 200)
            inotify.close()
            await reader
        return found

    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    results = [in_thread(lambda own=folder: run(main(own))) for folder in folders]  # type: ignore[misc]
    assert [found() for found in results] == [_numbered(200)] * 4


def test_no_thread_is_started(watched: INotify, tmp_path: Path, run: Run) -> None:
    """Waiting, reading, timing out and being cancelled take no thread."""

    def threads() -> set[str]:
        return set(os.listdir("/proc/self/task"))

    async def main() -> None:
        before = threads()
        assert await watched.aread(timeout=1) == []
        readers = await _waiting(watched, *[watched.aread() for _ in range(3)])
        assert threads() <= before
        readers[0].cancel()
        (tmp_path / "file").touch()
        await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
        watched.close()
        await asyncio.gather(*readers, return_exceptions=True)
        assert threads() <= before

    run(main())


def test_after_the_loop_is_closed(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """An instance may be used in one loop after another, and without any."""

    async def main(name: str) -> list[Event]:
        (reader,) = await _waiting(watched, watched.aread())
        (tmp_path / name).touch()
        return await reader

    for name in _numbered(20):
        assert names(run(main(name))) == [name]
        (tmp_path / f"{name} again").touch()
        assert names(watched.read()) == [f"{name} again"]


def test_after_a_loop_was_closed_under_a_task(
    watched: INotify, tmp_path: Path, new_loop: NewLoop, run: Run, names: Names
) -> None:
    """A task that a closed loop never finishes takes no event from others."""
    complaints = []
    loop = new_loop()
    loop.set_exception_handler(lambda _, found: complaints.append(found["message"]))
    readers = loop.run_until_complete(_waiting(watched, watched.aread()))
    loop.close()
    (tmp_path / "first").touch()
    assert names(run(watched.aread())) == ["first"]
    # asyncio's word on a task that is pending when nobody refers to it any more.
    readers.clear()
    del loop
    for _ in range(20):  # PyPy finalizes one of the coroutines at a time
        if waits(watched):
            gc.collect()
    assert complaints == ["Task was destroyed but it is pending!"]
    # PyPy runs no finally of a coroutine that is dropped: the wait stays there.
    # So do its descriptors, until the instance is collected as well.
    if sys.implementation.name != "pypy":
        assert not waits(watched)
    (tmp_path / "second").touch()
    assert names(run(watched.aread())) == ["second"]
    assert run(_timed_out(watched, 10))


def test_after_a_loop_was_stopped(
    watched: INotify, tmp_path: Path, new_loop: NewLoop, names: Names
) -> None:
    """A task that a stopped loop left waiting goes on when the loop does."""
    loop = new_loop()
    try:
        (reader,) = loop.run_until_complete(_waiting(watched, watched.aread()))
        (tmp_path / "first").touch()
        assert names(watched.read(timeout=0)) == ["first"]
        (tmp_path / "second").touch()
        assert names(loop.run_until_complete(reader)) == ["second"]
    finally:
        loop.close()


def test_nothing_stays_registered(run: Run) -> None:
    """Every descriptor that was used is closed, and its number serves a new one."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = _open_descriptors()
        with INotify() as inotify:
            readers = await _waiting(inotify, *[inotify.aread() for _ in range(4)])
            used = _open_descriptors() - before
            readers[0].cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        assert _open_descriptors() == before
        heard: set[bytes] = set()
        with contextlib.ExitStack() as stack:
            numbers: set[int] = set()
            for sent in range(len(used)):
                pipe = os.pipe()
                numbers.update(pipe)
                for fd in pipe:
                    stack.callback(os.close, fd)
                stack.callback(loop.remove_reader, pipe[0])
                loop.add_reader(pipe[0], lambda fd: heard.add(os.read(fd, 1)), pipe[0])
                os.write(pipe[1], bytes([sent]))
            assert used <= numbers
            await _until(lambda: len(heard) == len(used))

    run(main())


def test_the_same_number_again(tmp_path: Path, run: Run, names: Names) -> None:
    """Instance after instance, with the same numbers, in one loop."""

    async def main() -> None:
        numbers = set()
        for name in _numbered(30):
            with INotify() as inotify:
                numbers.add(inotify.fileno())
                inotify.add_watch(tmp_path, flags.CREATE)
                (reader, other) = await _waiting(
                    inotify, inotify.aread(), inotify.aread()
                )
                other.cancel()
                (tmp_path / name).touch()
                assert names(await reader) == [name]
        assert len(numbers) < 30

    run(main())


@pytest.fixture
def alarm(in_thread: InThread, tmp_path: Path) -> Iterator[None]:
    """Make an event, and so end a read that blocks the loop, when a test is stuck."""
    over = threading.Event()

    def watch() -> None:
        if not over.wait(PATIENCE):
            (tmp_path / "stuck").touch()

    in_thread(watch)
    yield
    over.set()


@pytest.mark.usefixtures("alarm")
def test_robbed_in_the_loop(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """An event that is gone when the task looks for it does not block the loop."""
    stolen: list[bytes] = []

    def steal() -> None:
        with contextlib.suppress(BlockingIOError):
            stolen.append(os.read(watched.fileno(), 4096))

    async def main() -> list[Event]:
        readers = await _waiting(watched, watched.aread())
        loop = asyncio.get_running_loop()
        loop.add_reader(watched.fileno(), steal)  # called before the task goes on
        for count, name in enumerate(_numbered(100), 1):
            (tmp_path / name).touch()
            await _until(lambda: len(stolen) == count)  # noqa: B023
            for _ in range(5):
                await asyncio.sleep(0)
            assert not readers[0].done()
        loop.remove_reader(watched.fileno())
        (tmp_path / "last").touch()
        return await readers[0]

    assert names(run(main())) == ["last"]


@pytest.mark.usefixtures("alarm")
def test_robbed_before_the_read(
    watched: INotify, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does one that another reader takes immediately before the read."""
    stolen: list[bytes] = []
    goes_on = Wait.goes_on

    def steal(wait: Wait) -> bool:
        with contextlib.suppress(BlockingIOError):
            stolen.append(os.read(watched.fileno(), 4096))
        return goes_on(wait)

    async def main() -> None:
        (reader,) = await _waiting(watched, watched.aread(timeout=20))
        (tmp_path / "file").touch()
        assert await reader == []
        assert len(stolen) == 1
        (reader,) = await _waiting(watched, watched.aread())
        watched.wake()
        assert await reader == []

    monkeypatch.setattr(Wait, "goes_on", steal)
    run(main())


@pytest.mark.usefixtures("alarm")
def test_robbed_by_a_thread(
    watched: INotify, tmp_path: Path, run: Run, in_thread: InThread
) -> None:
    """The loop goes on, whatever a thread takes from the descriptor meanwhile."""
    found: list[str] = []
    stolen: list[bytes] = []
    over = threading.Event()

    def steal() -> None:
        while not over.is_set():
            with contextlib.suppress(BlockingIOError):
                stolen.extend(re.findall(rb"file-\d+", os.read(watched.fileno(), 4096)))

    async def main() -> None:
        readers = await _waiting(watched, *[_read_on(watched, found) for _ in range(3)])
        thief = in_thread(steal)  # after O_NONBLOCK is set, so that it ends
        for name in _numbered(EVENTS):
            (tmp_path / name).touch()
            await _pause()
        await _until(lambda: len(found) + len(stolen) >= EVENTS)
        over.set()
        thief()
        watched.close()
        await asyncio.gather(*readers)

    try:
        run(main())
    finally:
        over.set()
    assert sorted([*found, *map(os.fsdecode, stolen)]) == _numbered(EVENTS)


def test_await_readable(
    watched: INotify, tmp_path: Path, run: Run, names: Names
) -> None:
    """It returns True at an event, without taking it, and False at a timeout."""

    async def main() -> list[Event]:
        assert not await watched.await_readable(timeout=0)
        assert not await watched.await_readable(timeout=5)
        (waiter,) = await _waiting(watched, watched.await_readable())
        (cancelled,) = await _waiting(watched, watched.await_readable())
        cancelled.cancel()
        (tmp_path / "file").touch()
        assert await waiter
        assert await watched.await_readable(timeout=0)
        assert watched.wait_readable(timeout=0)
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return await watched.aread(timeout=0)

    assert names(run(main())) == ["file"]


def test_await_readable_and_aread(
    watched: INotify, tmp_path: Path, run: Run, in_thread: InThread
) -> None:
    """A wait that takes no events, in a task or a thread, loses a reader none."""
    found: list[str] = []

    async def main() -> None:
        (reader,) = await _waiting(watched, _read_on(watched, found))
        for count, name in enumerate(_numbered(100), 1):
            looking = in_thread(lambda: watched.wait_readable(timeout=1))
            look = asyncio.ensure_future(watched.await_readable(timeout=1))
            (tmp_path / name).touch()
            await _until(lambda: len(found) == count)  # noqa: B023
            assert {await look, looking()} <= {False, True}
        watched.close()
        await reader

    run(main())
    assert found == _numbered(100)


def test_without_trio(run_python: RunPython) -> None:
    """If trio was not imported, it is not needed, and asyncio runs."""
    code = """
        import asyncio, sys
        from inotify_cffi import INotify

        async def main():
            with INotify() as inotify:
                print(await inotify.aread(timeout=1), "trio" in sys.modules)

        asyncio.run(main())
        """
    assert run_python(code) == "[] False\n"
