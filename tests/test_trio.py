"""aread(), await_readable() and async for under trio."""

from __future__ import annotations

import contextlib
import math
import os
import random
import threading
import time
from collections.abc import Awaitable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, TypeVar

import pytest
from waiting import waits

from inotify_cffi import Event, INotify, flags

if TYPE_CHECKING:
    from conftest import InThread, RunPython

trio: Any = pytest.importorskip("trio", reason="trio is not installed")

T = TypeVar("T")
Run = Callable[[Callable[[], Awaitable[T]]], T]
Names = Callable[[Iterable[Event]], list[str]]

PATIENCE = 60  # seconds until something counts as stuck
CANCELLATIONS = 1000
ALL = [f"event-{number:05}" for number in range(CANCELLATIONS)]


@pytest.fixture
def run() -> Run[Any]:
    """The function that runs a coroutine function under trio, for a limited time."""

    def run(main: Callable[[], Awaitable[T]]) -> T:
        async def limited() -> T:
            with trio.fail_after(PATIENCE):
                return await main()

        return trio.run(limited)  # type: ignore[no-any-return]

    return run


@pytest.fixture
def folder(inotify: INotify, tmp_path: Path) -> Path:
    """A folder; the instance reports creations in it."""
    inotify.add_watch(tmp_path, flags.CREATE)
    return tmp_path


async def _until(condition: Callable[[], object]) -> None:
    """Let other tasks run until a condition holds that nobody signals."""
    while not condition():
        await trio.lowlevel.checkpoint()


async def _until_waiting(inotify: INotify, count: int = 1) -> None:
    await _until(lambda: waits(inotify) == count)


async def _pause() -> None:
    """Let other tasks run for a few rounds of the loop, or not at all."""
    for _ in range(random.randrange(6)):
        await trio.lowlevel.checkpoint()


async def _await_into(results: list[Any], awaitable: Awaitable[object]) -> None:
    """Append the result, or the ValueError that a closed instance raises."""
    try:
        results.append(await awaitable)
    except ValueError as error:
        results.append(str(error))


async def _iterate(inotify: INotify, found: list[str]) -> None:
    async for event in inotify:
        found.append(event.name)


async def _read_on(inotify: INotify, found: list[str], own: list[str]) -> None:
    """Read until the instance is closed."""
    with contextlib.suppress(ValueError):
        while True:
            for event in await inotify.aread():
                own.append(event.name)
                found.append(event.name)


async def _lasts(inotify: INotify, timeout: float) -> bool:
    """Whether aread() finds nothing and no wake(), and so lasts its timeout."""
    begun = time.monotonic()
    return await inotify.aread(timeout) == [] and (
        time.monotonic() - begun >= timeout / 1000
    )


def _touch_all(folder: Path) -> None:
    for name in ALL:
        (folder / name).touch()


def test_returns_what_is_queued(
    inotify: INotify, folder: Path, run: Run[list[Event]], names: Names
) -> None:
    """All events that are queued come at once, in the kernel's order."""
    _touch_all(folder)
    assert names(run(inotify.aread)) == ALL


@pytest.mark.parametrize("timeout", [None, -1, 3_600_000, math.inf])
def test_waits(
    inotify: INotify, folder: Path, run: Run[None], timeout: float | None
) -> None:
    """If nothing is queued, aread() waits for an event; None: without an end."""
    results: list[list[Event]] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_await_into, results, inotify.aread(timeout))
            await _until_waiting(inotify)
            (folder / "file").touch()

    run(main)
    assert [[event.name for event in events] for events in results] == [["file"]]


@pytest.mark.parametrize("timeout", [0, 0.25, 30])
def test_timeout(inotify: INotify, run: Run[bool], timeout: float) -> None:
    """Time that runs out is [], and not before it has run out."""
    assert run(lambda: _lasts(inotify, timeout))
    assert run(lambda: _lasts(inotify, timeout))


def test_refuses_nan(inotify: INotify, run: Run[Any]) -> None:
    """NaN is no timeout."""
    with pytest.raises(ValueError, match="milliseconds, not nan"):
        run(lambda: inotify.aread(math.nan))
    with pytest.raises(ValueError, match="milliseconds, not nan"):
        run(lambda: inotify.await_readable(math.nan))


@pytest.mark.parametrize("method", ["aread", "await_readable"])
def test_is_a_checkpoint(
    inotify: INotify, folder: Path, run: Run[None], method: str
) -> None:
    """Each call lets others run and can be cancelled, though events are queued."""

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await getattr(inotify, method)()
        assert scope.cancelled_caught
        with testing.assert_checkpoints():
            await inotify.await_readable()
        with testing.assert_checkpoints():
            await inotify.aread(timeout=0)

    testing = pytest.importorskip("trio.testing")
    (folder / "file").touch()
    run(main)
    assert inotify.read(timeout=0) == []


def test_async_for(inotify: INotify, folder: Path, run: Run[None]) -> None:
    """An iteration returns every event until it is closed, despite any wake."""
    found: list[str] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_iterate, inotify, found)
            await _until_waiting(inotify)
            for count, name in enumerate(ALL[:100], 1):
                inotify.wake()
                await _pause()
                (folder / name).touch()
                await _until(lambda: len(found) == count)  # noqa: B023
            inotify.close()

    run(main)
    assert found == ALL[:100]


def test_iteration_that_is_cancelled(
    inotify: INotify, folder: Path, run: Run[None], names: Names
) -> None:
    """Events that an iteration did not return are left for the next read."""

    async def main() -> None:
        with trio.CancelScope() as scope:
            async for event in inotify:
                assert event.name == ALL[0]
                scope.cancel()
                await trio.lowlevel.checkpoint()
        (folder / "last").touch()

    _touch_all(folder)
    run(main)
    assert names(inotify.read(timeout=0)) == [*ALL[1:], "last"]


@pytest.mark.parametrize("from_a_thread", [False, True])
def test_close(
    inotify: INotify, run: Run[None], in_thread: InThread, from_a_thread: bool
) -> None:
    """Iteration ends, and what is pending raises ValueError, at once."""
    results: list[Any] = []
    message = "I/O operation on closed file"

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for pending in (
                inotify.aread(),
                inotify.aread(3_600_000),
                inotify.await_readable(),
                _iterate(inotify, []),
            ):
                nursery.start_soon(_await_into, results, pending)
            await _until_waiting(inotify, 4)
            if from_a_thread:
                in_thread(inotify.close)
            else:
                inotify.close()
        with pytest.raises(ValueError, match=message):
            await inotify.aread()

    run(main)
    assert sorted(map(str, results)) == [message] * 3 + ["None"]


@pytest.mark.parametrize("from_a_thread", [False, True])
def test_wake(
    inotify: INotify, run: Run[None], in_thread: InThread, from_a_thread: bool
) -> None:
    """Every aread() returns [] and every await_readable() False; none is kept."""

    async def main() -> None:
        for _ in range(20):
            results: list[Any] = []
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(_await_into, results, inotify.aread())
                nursery.start_soon(_await_into, results, inotify.await_readable())
                await _until_waiting(inotify, 4)
                if from_a_thread:
                    in_thread(inotify.wake)
                else:
                    inotify.wake()
            assert sorted(map(str, results)) == ["False", "[]", "[]", "[]"]
        assert await _lasts(inotify, 10)

    run(main)


def test_wake_is_kept(inotify: INotify, run: Run[None]) -> None:
    """A wake() that nobody heard, or only a cancelled task, ends the next read."""

    async def main() -> None:
        inotify.wake()
        assert await inotify.aread() == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inotify.aread)
            await _until_waiting(inotify)
            inotify.wake()
            nursery.cancel_scope.cancel()
        assert await inotify.aread(timeout=0) == []
        assert await inotify.aread() == []
        assert await _lasts(inotify, 10)

    run(main)


def test_cancellation(inotify: INotify, folder: Path, run: Run[None]) -> None:
    """A task cancelled around the moment of an event costs none, and doubles none."""
    found: list[list[Event]] = []

    async def main() -> None:
        for name in ALL:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_await_into, found, inotify.aread())
                steps = [(folder / name).touch, nursery.cancel_scope.cancel]
                random.shuffle(steps)
                with trio.CancelScope(shield=True):
                    for step in steps:
                        await _pause()
                        step()
            if random.random() < 0.2:
                found.append(inotify.read(timeout=0))
            elif random.random() < 0.2:
                found.append(await inotify.aread(timeout=0))

    run(main)
    found.append(inotify.read(timeout=0))
    assert [event.name for event in chain.from_iterable(found)] == ALL


def test_move_on_after(
    inotify: INotify, folder: Path, run: Run[None], in_thread: InThread
) -> None:
    """A scope may run out of time at any moment, and no event is lost."""
    found: list[str] = []

    async def main() -> None:
        timeouts = 0
        while len(found) < len(ALL) or timeouts < 50:
            with trio.move_on_after(random.uniform(0, 0.0005)) as scope:
                found.extend(event.name for event in await inotify.aread())
            timeouts += scope.cancelled_caught

    written = in_thread(lambda: _touch_all(folder))
    run(main)
    written()
    assert found == ALL


def test_several_tasks(inotify: INotify, folder: Path, run: Run[None]) -> None:
    """Each event goes to exactly one of the tasks that wait, also past cancelled."""
    found: list[str] = []
    shares: list[list[str]] = []

    async def read_and_be_cancelled() -> None:
        while len(found) < len(ALL):
            with trio.move_on_after(random.uniform(0, 0.0005)):
                await _read_on(inotify, found, shares[0])

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                shares.append([])
                nursery.start_soon(_read_on, inotify, found, shares[-1])
            nursery.start_soon(read_and_be_cancelled)
            for name in ALL:
                (folder / name).touch()
                await _pause()
            await _until(lambda: len(found) >= len(ALL))
            inotify.close()

    run(main)
    assert found == ALL
    assert sorted(chain.from_iterable(shares)) == ALL
    # The first is that of two tasks.
    assert all(share == sorted(share) for share in shares[1:])


def test_several_loops_and_threads(
    inotify: INotify, folder: Path, run: Run[None], in_thread: InThread, until: Any
) -> None:
    """Tasks under trio in several threads, and a thread, share one instance."""
    found: list[str] = []

    async def tasks() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(_read_on, inotify, found, [])

    def thread() -> None:
        for event in inotify:
            found.append(event.name)

    readers = [in_thread(lambda: run(tasks)) for _ in range(3)] + [in_thread(thread)]
    until(lambda: waits(inotify) == 7)
    _touch_all(folder)
    until(lambda: len(found) >= len(ALL))
    inotify.close()
    for finished in readers:
        finished()
    assert sorted(found) == ALL


def test_run_after_run(
    inotify: INotify, folder: Path, run: Run[Any], names: Names
) -> None:
    """An instance may be used in one run after another, and without any."""
    for name in ALL[:20]:
        (folder / name).touch()
        assert names(run(inotify.aread)) == [name]
        assert run(lambda: inotify.aread(timeout=1)) == []
        (folder / f"{name} again").touch()
        assert names(inotify.read()) == [f"{name} again"]


def test_no_thread_is_started(inotify: INotify, run: Run[None]) -> None:
    """Waiting and being cancelled take no thread."""

    async def main() -> None:
        before = set(os.listdir("/proc/self/task"))
        assert await inotify.aread(timeout=1) == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inotify.aread)
            await _until_waiting(inotify)
            assert set(os.listdir("/proc/self/task")) <= before
            nursery.cancel_scope.cancel()

    run(main)


def test_the_same_number_again(run: Run[None]) -> None:
    """After close, every descriptor number serves trio for something else."""

    async def main() -> None:
        for _ in range(50):
            with INotify() as inotify:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_await_into, [], inotify.aread())
                    await _until_waiting(inotify)
                    inotify.close()
            with contextlib.ExitStack() as stack:
                for _ in range(2):
                    pipe = os.pipe()
                    for fd in pipe:
                        stack.callback(os.close, fd)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(trio.lowlevel.wait_readable, pipe[0])
                        await trio.lowlevel.checkpoint()
                        os.write(pipe[1], b"x")

    run(main)


def test_robbed(
    inotify: INotify, folder: Path, run: Run[None], in_thread: InThread
) -> None:
    """The loop goes on when another reader of a blocking instance was faster."""
    results: list[list[Event]] = []
    over = threading.Event()

    def alarm() -> None:
        if not over.wait(PATIENCE):
            (folder / "stuck").touch()

    async def rob() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_await_into, results, inotify.aread())
            await _until_waiting(inotify)
            for name in ALL[:100]:
                (folder / name).touch()
                os.read(inotify.fileno(), 4096)
                with pytest.raises(BlockingIOError):
                    os.read(inotify.fileno(), 4096)
                await _pause()
            assert results == []
            (folder / "last").touch()

    in_thread(alarm)
    try:
        run(rob)
    finally:
        over.set()
    assert [event.name for event in results[0]] == ["last"]


def test_await_readable(
    inotify: INotify, folder: Path, run: Run[None], names: Names
) -> None:
    """It returns True at an event, without taking it, and False at a timeout."""
    results: list[bool] = []

    async def main() -> None:
        assert not await inotify.await_readable(timeout=0)
        assert not await inotify.await_readable(timeout=5)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(_await_into, results, inotify.await_readable())
            await _until_waiting(inotify, 3)
            (folder / "file").touch()
        assert names(await inotify.aread()) == ["file"]

    run(main)
    assert results == [True] * 3


def test_guest_of_asyncio(tmp_path: Path, run_python: RunPython) -> None:
    """With trio as a guest of asyncio, tasks of both may read one instance."""
    # trio waits for its descriptors in a thread then, which it keeps for a while.
    found = run_python(
        """
        import asyncio, os, sys, trio
        from waiting import waits
        from inotify_cffi import INotify, flags

        ALL = [str(number) for number in range(200)]
        found = []

        async def read_on(inotify):
            try:
                while True:
                    found.extend(event.name for event in await inotify.aread())
            except ValueError:
                return "ended"

        async def guest():
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(0.01):
                    await inotify.aread()
                for _ in range(2):
                    nursery.start_soon(read_on, inotify)

        async def host():
            loop = asyncio.get_running_loop()
            over = loop.create_future()
            trio.lowlevel.start_guest_run(
                guest,
                run_sync_soon_threadsafe=loop.call_soon_threadsafe,
                done_callback=over.set_result,
            )
            tasks = [asyncio.ensure_future(read_on(inotify)) for _ in range(2)]
            while waits(inotify) < 4:
                await asyncio.sleep(0)
            for number, name in enumerate(ALL):
                open(os.path.join(sys.argv[1], name), "x").close()
                if number % 3 == 0:
                    await asyncio.sleep(0)
            while len(found) < len(ALL):
                await asyncio.sleep(0)
            inotify.close()
            (await over).unwrap()
            return await asyncio.gather(*tasks)

        with INotify() as inotify:
            inotify.add_watch(sys.argv[1], flags.CREATE)
            print(asyncio.run(asyncio.wait_for(host(), 60)))
            assert sorted(found) == sorted(ALL)
        """,
        tmp_path,
    )
    assert found == "['ended', 'ended']\n"
