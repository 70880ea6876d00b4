"""Several threads and one instance: each event once, no hang, no timeout outstayed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import waits

from inotify_cffi import Event, INotify, flags
from inotify_cffi._waiting import move

if TYPE_CHECKING:
    from conftest import InThread

Take = Callable[[INotify], "list[Event]"]
Until = Callable[[Callable[[], object]], None]

THREADS = 6
EVENTS = 4000
ROUNDS = 300
BOUND = 15  # seconds, on a busy machine, for what takes milliseconds

many_events = pytest.mark.queue(EVENTS)


@pytest.fixture(params=["blocking", "nonblocking"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[INotify]:
    """An instance of either kind that reports creations in tmp_path."""
    with INotify(nonblocking=request.param == "nonblocking") as instance:
        instance.add_watch(tmp_path, flags.CREATE)
        yield instance


def _numbered(count: int) -> list[str]:
    """So many names, which sort as they are made."""
    return [f"{number:04}" for number in range(count)]


def _make(folder: Path, names: list[str]) -> None:
    for name in names:
        os.mknod(folder / name)
        os.unlink(folder / name)


def _read(inotify: INotify) -> list[Event]:
    return inotify.read()


def _read_what_is_there(inotify: INotify) -> list[Event]:
    return inotify.read(timeout=0)


def _read_for_a_moment(inotify: INotify) -> list[Event]:
    return inotify.read(timeout=0.2)


def _read_with_delay(inotify: INotify) -> list[Event]:
    return inotify.read(timeout=20, read_delay=0.1)


def _read_when_readable(inotify: INotify) -> list[Event]:
    return inotify.read(timeout=0) if inotify.wait_readable() else []


def _take_one(inotify: INotify) -> list[Event]:
    return list(islice(inotify, 1))


def _share(
    inotify: INotify,
    in_thread: InThread,
    ways: Sequence[Take],
    make: Callable[[], None],
) -> list[list[str]]:
    """The results of each reader, in threads that read until the instance is closed."""
    taken: SimpleQueue[list[str]] = SimpleQueue()
    start = threading.Barrier(len(ways) + 1)

    def run(take: Take) -> None:
        start.wait()
        with contextlib.suppress(ValueError):
            while not inotify.closed:
                batch = [event.name for event in take(inotify)]
                if batch:
                    taken.put(batch)

    finished = [in_thread(partial(run, take)) for take in ways]
    start.wait()
    make()
    batches: list[list[str]] = []
    while sum(map(len, batches)) < EVENTS:
        batches.append(taken.get(timeout=60))
    inotify.close()
    for end in finished:
        end()
    while not taken.empty():
        batches.append(taken.get())
    return batches


ONE_WAY = [_read, _read_what_is_there, _read_for_a_moment, _read_when_readable]


@many_events
@pytest.mark.parametrize("take", ONE_WAY)
def test_each_event_once(
    shared: INotify, tmp_path: Path, in_thread: InThread, take: Take
) -> None:
    """Each event that six threads share goes to one, in order in each read."""
    make = partial(_make, tmp_path, _numbered(EVENTS))
    batches = _share(shared, in_thread, [take] * THREADS, make)
    assert sorted(chain.from_iterable(batches)) == _numbered(EVENTS)
    assert all(batch == sorted(batch) for batch in batches)


@many_events
def test_each_queued_event_once(
    shared: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """So does each of a long queue, which takes several system calls to empty."""
    _make(tmp_path, _numbered(EVENTS))
    batches = _share(shared, in_thread, [_read] * THREADS, lambda: None)
    assert sorted(chain.from_iterable(batches)) == _numbered(EVENTS)
    assert all(batch == sorted(batch) for batch in batches)


@many_events
def test_each_event_once_in_whatever_way(
    shared: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """Six threads may take in six ways, one of them iteration."""
    ways = [*ONE_WAY, _read_with_delay, _take_one]
    make = partial(_make, tmp_path, _numbered(EVENTS))
    batches = _share(shared, in_thread, ways, make)
    assert sorted(chain.from_iterable(batches)) == _numbered(EVENTS)
    assert all(batch == sorted(batch) for batch in batches)


@many_events
def test_iteration_in_several_threads(
    shared: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """Each event goes to one of the threads that iterate; all end at close()."""
    found: SimpleQueue[str] = SimpleQueue()

    def iterate() -> str:
        for event in shared:
            found.put(event.name)
        return "ended"

    threads = [in_thread(iterate) for _ in range(THREADS)]
    _make(tmp_path, _numbered(EVENTS))
    names = [found.get(timeout=60) for _ in range(EVENTS)]
    shared.close()
    assert [how() for how in threads] == ["ended"] * THREADS
    assert sorted(names) == _numbered(EVENTS)
    assert found.empty()


@many_events
def test_reading_beside_iteration(tmp_path: Path, in_thread: InThread) -> None:
    """While some threads iterate, the others read in the kernel's order."""
    ways = [_take_one, _read_for_a_moment] * (THREADS // 2)
    for number in range(5):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        with INotify() as inotify:
            inotify.add_watch(folder, flags.CREATE)
            make = partial(_make, folder, _numbered(EVENTS))
            batches = _share(inotify, in_thread, ways, make)
        assert sorted(chain.from_iterable(batches)) == _numbered(EVENTS)
        assert all(batch == sorted(batch) for batch in batches)


@many_events
def test_nobody_outstays_a_timeout(
    shared: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """Readers with a timeout come back in time while others take the events."""
    over = threading.Event()
    begun: SimpleQueue[None] = SimpleQueue()

    def drain() -> int:
        count = 0
        while not over.is_set():
            count += len(shared.read(timeout=0))
        return count

    def wait_often() -> tuple[int, float]:
        count, longest = 0, 0.0
        begun.put(None)
        while not over.is_set():
            before = time.monotonic()
            count += len(shared.read(timeout=2))
            longest = max(longest, time.monotonic() - before)
        return count, longest

    drained = [in_thread(drain) for _ in range(2)]
    waited = [in_thread(wait_often) for _ in range(4)]
    for _ in waited:
        begun.get(timeout=60)
    try:
        _make(tmp_path, _numbered(EVENTS))
    finally:
        over.set()
    counts, longest = zip(*(result() for result in waited))
    rest = shared.read(timeout=0)
    assert sum(count() for count in drained) + sum(counts) + len(rest) == EVENTS
    assert max(longest) < BOUND


def test_one_event_for_two_readers(
    shared: INotify, tmp_path: Path, in_thread: InThread, until: Until
) -> None:
    """Hundreds of single events: who comes too late is not stuck in the kernel."""
    ended: SimpleQueue[list[str]] = SimpleQueue()
    for name in _numbered(ROUNDS):

        def read() -> None:
            ended.put([event.name for event in shared.read()])

        readers = [in_thread(read) for _ in range(2)]
        until(lambda: waits(shared) == 2)
        os.mknod(tmp_path / name)
        assert ended.get(timeout=60) == [name]
        shared.wake()
        assert ended.get(timeout=60) == []
        for finished in readers:
            finished()


def test_one_event_for_two_readers_in_a_hurry(
    shared: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """Two threads that only look can look at the same event, and both come back."""
    start = threading.Barrier(3)

    def look() -> list[str]:
        found = []
        for _ in range(ROUNDS):
            start.wait()
            found += [event.name for event in shared.read(timeout=0)]
            start.wait()
        return found

    looks = [in_thread(look) for _ in range(2)]
    for name in _numbered(ROUNDS):
        os.mknod(tmp_path / name)
        start.wait(60)
        start.wait(60)
    found = [result() for result in looks]
    assert all(names == sorted(names) for names in found)
    assert sorted(chain.from_iterable(found)) == _numbered(ROUNDS)


@many_events
def test_waiting_beside_a_reader(
    shared: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """wait_readable() takes nothing from who reads, and does not miss its end."""
    over = threading.Event()

    def wait() -> int:
        count = 0
        while not over.is_set():
            count += shared.wait_readable()
        return count

    def read() -> list[str]:
        found: list[str] = []
        while len(found) < EVENTS:
            found += [event.name for event in shared.read()]
        return found

    count, found = in_thread(wait), in_thread(read)
    try:
        _make(tmp_path, _numbered(EVENTS))
        assert found() == _numbered(EVENTS)
    finally:
        over.set()
        shared.wake()
    assert count() >= 0


def test_waiting_in_several_threads(
    shared: INotify, tmp_path: Path, in_thread: InThread, until: Until
) -> None:
    """One event that nobody takes ends wait_readable() in every thread."""
    results = [in_thread(shared.wait_readable) for _ in range(THREADS)]
    until(lambda: waits(shared) == THREADS)
    os.mknod(tmp_path / "file")
    assert [readable() for readable in results] == [True] * THREADS
    assert [event.name for event in shared.read()] == ["file"]


def test_an_instance_for_each_thread(tmp_path: Path, in_thread: InThread) -> None:
    """Threads with an instance each get their own events, all of them, in order."""
    start = threading.Barrier(THREADS)
    numbered = _numbered(EVENTS // THREADS)

    def run(folder: Path) -> list[str]:
        found: list[str] = []
        start.wait()
        for _ in range(2):
            with INotify() as inotify:
                inotify.add_watch(folder, flags.CREATE | flags.DELETE)
                for name in numbered:
                    os.mknod(folder / name)
                    found += [event.name for event in inotify.read(timeout=0)]
                    os.unlink(folder / name)
                found += [event.name for event in inotify.read(timeout=0)]
        return found

    results = []
    for number in range(THREADS):
        folder = tmp_path / str(number)
        folder.mkdir()
        results.append(in_thread(partial(run, folder)))
    twice = [name for name in numbered for _ in range(2)]
    assert [found() for found in results] == [twice * 2] * THREADS


@many_events
def test_several_instances_on_one_folder(tmp_path: Path, in_thread: InThread) -> None:
    """Each of several instances on one directory reports every event to its thread."""
    with contextlib.ExitStack() as opened:

        def read(inotify: INotify) -> list[str]:
            found: list[str] = []
            while len(found) < EVENTS:
                found += [event.name for event in inotify.read()]
            return found

        results = []
        for number in range(THREADS):
            inotify = opened.enter_context(INotify(nonblocking=number % 2 == 0))
            inotify.add_watch(tmp_path, flags.CREATE)
            results.append(in_thread(partial(read, inotify)))
        _make(tmp_path, _numbered(EVENTS))
        assert [found() for found in results] == [_numbered(EVENTS)] * THREADS


@pytest.mark.parametrize("target", [list, deque])
def test_two_threads_move(target: Callable[[], Any]) -> None:
    """Moving ends, and loses nothing, when another thread moves what it was to move."""

    class Shared(deque):  # type: ignore[type-arg]
        def __len__(self) -> int:  # before the other took one
            return super().__len__() + 1

    source, moved = Shared([1, 2]), target()
    move(source, moved)
    assert list(moved) == [1, 2]
    assert list(source) == []
