"""wake(): ends every wait at once, and is kept where nobody waits."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import instance_of, waits

from inotify_cffi import Event, INotify, flags
from inotify_cffi._inotify import lib
from inotify_cffi._instance import pointer_of

if TYPE_CHECKING:
    from conftest import InThread

Names = Callable[[Iterable[Event]], list[str]]
Until = Callable[[Callable[[], Any]], None]
UntilWaiting = Callable[[INotify], None]

ROUNDS = 300


@pytest.fixture
def watched(inotify: INotify, tmp_path: Path) -> INotify:
    """An instance that reports creations in tmp_path."""
    inotify.add_watch(tmp_path, flags.CREATE)
    return inotify


@contextlib.contextmanager
def _descriptors_left(number: int) -> Iterator[None]:
    """Set the limit so that so many descriptors can be opened still."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as opened:
        free = [opened.enter_context(open(os.devnull)) for _ in range(number + 1)]
        limit = free[-1].fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _waits_its_time(inotify: INotify) -> bool:
    """Whether a read finds nothing and no wake(), and so lasts its timeout."""
    begun = time.monotonic()
    return inotify.read(timeout=30) == [] and time.monotonic() - begun >= 0.03


def _descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("timeout", [None, -1, 3_600_000])
def test_ends_a_blocked_read(
    inotify: INotify,
    in_thread: InThread,
    until_waiting: UntilWaiting,
    timeout: float | None,
) -> None:
    """A read() that waits in another thread returns [] at once."""
    events = in_thread(lambda: inotify.read(timeout))
    until_waiting(inotify)
    inotify.wake()
    assert events() == []


def test_ends_every_blocked_read(
    inotify: INotify, in_thread: InThread, until: Until
) -> None:
    """One wake() ends the read() of every thread that waits."""
    results = [in_thread(inotify.read) for _ in range(6)]
    until(lambda: waits(inotify) == len(results))
    inotify.wake()
    assert [events() for events in results] == [[]] * 6
    assert _waits_its_time(inotify)


def test_ends_the_delay_after_an_event(
    watched: INotify, tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """A read() that lets events gather returns [] too, and leaves them queued."""
    for number in range(50):
        events = in_thread(lambda: watched.read(read_delay=3_600_000))
        until_waiting(watched)
        (tmp_path / str(number)).touch()
        for _ in range(random.randrange(200)):
            os.getppid()
        watched.wake()
        assert events() == []
        assert [event.name for event in watched.read()] == [str(number)]


def test_news_for_another(
    watched: INotify, tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """A recheck of all waits does not end the delay of one."""
    instance = pointer_of(instance_of(watched))
    events = in_thread(lambda: watched.read(read_delay=3_600_000))
    until_waiting(watched)
    lib.wait_recheck(instance)
    (tmp_path / "file").touch()
    lib.wait_recheck(instance)
    watched.wake()
    assert events() == []
    assert [event.name for event in watched.read()] == ["file"]


def test_from_a_signal_handler(inotify: INotify) -> None:
    """A handler may end the read() that it interrupts."""

    def wake(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        inotify.wake()

    before = signal.signal(signal.SIGALRM, wake)
    try:
        for _ in range(ROUNDS):
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.002), 0.05)
            assert inotify.read() == []
    finally:
        signal.signal(signal.SIGALRM, before)


def test_iteration_goes_on(
    watched: INotify, tmp_path: Path, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """An iteration that is woken, however often, waits again until it is closed."""
    found: SimpleQueue[str] = SimpleQueue()

    def iterate() -> str:
        for event in watched:
            found.put(event.name)
        return "ended"

    how = in_thread(iterate)
    for number in range(ROUNDS):
        until_waiting(watched)
        watched.wake()
        if number % 10 == 0:
            (tmp_path / str(number)).touch()
            assert found.get(timeout=60) == str(number)
    watched.close()
    assert how() == "ended"
    assert found.empty()


def test_kept_where_nobody_waits(inotify: INotify, in_thread: InThread) -> None:
    """A wake() that finds nobody is kept for the next read()."""
    inotify.wake()
    assert in_thread(inotify.read)() == []
    assert _waits_its_time(inotify)


def test_one_is_kept(inotify: INotify, in_thread: InThread) -> None:
    """However often wake() is called where nobody waits, one is kept."""
    for _ in range(5):
        inotify.wake()
    assert in_thread(inotify.read)() == []
    assert _waits_its_time(inotify)


def test_kept_for_one_of_many(
    inotify: INotify, in_thread: InThread, until: Until
) -> None:
    """A wake() that was kept ends one wait, however many begin at once."""
    ended: SimpleQueue[list[Event]] = SimpleQueue()
    start = threading.Barrier(4)

    def read() -> None:
        start.wait()
        ended.put(inotify.read())

    for _ in range(50):
        inotify.wake()
        readers = [in_thread(read) for _ in range(4)]
        assert ended.get(timeout=60) == []
        until(lambda: waits(inotify) == 3 or not ended.empty())
        assert ended.empty()
        inotify.wake()
        for finished in readers:
            finished()
        assert [ended.get() for _ in range(3)] == [[]] * 3


def test_kept_past_a_read_that_does_not_wait(
    inotify: INotify, in_thread: InThread
) -> None:
    """read(timeout=0) waits for nothing, and leaves a wake() that was kept."""
    inotify.wake()
    assert inotify.read(timeout=0) == []
    assert in_thread(inotify.read)() == []
    assert _waits_its_time(inotify)


def test_kept_past_a_read_that_finds_events(
    watched: INotify, tmp_path: Path, in_thread: InThread, names: Names
) -> None:
    """A read() that finds events need not wait, and leaves a wake() that was kept."""
    watched.wake()
    (tmp_path / "file").touch()
    assert names(watched.read()) == ["file"]
    assert in_thread(watched.read)() == []
    assert _waits_its_time(watched)


def test_kept_past_an_iteration(
    watched: INotify,
    tmp_path: Path,
    in_thread: InThread,
    until_waiting: UntilWaiting,
) -> None:
    """A wake() that was kept does not end an iteration that begins then."""
    watched.wake()
    event = in_thread(lambda: next(watched))
    until_waiting(watched)
    (tmp_path / "file").touch()
    assert event().name == "file"


@pytest.mark.parametrize("timeout", [None, 0.05])
@pytest.mark.parametrize("with_events", [False, True])
def test_a_flag_and_a_wake(
    watched: INotify,
    tmp_path: Path,
    in_thread: InThread,
    timeout: float | None,
    with_events: bool,
) -> None:
    """A loop that tests a flag before every read() misses no wake()."""
    reported = [0]
    seen: SimpleQueue[int] = SimpleQueue()

    def look() -> list[str]:
        found = []
        for number in range(1, ROUNDS + 1):
            while reported[0] < number:
                found += watched.read(timeout)
            seen.put(number)
        return [event.name for event in found]

    found = in_thread(look)
    for number in range(1, ROUNDS + 1):
        if with_events:
            (tmp_path / str(number)).touch()
        reported[0] = number
        watched.wake()
        assert seen.get(timeout=60) == number
    rest = [event.name for event in watched.read(timeout=0)]
    assert found() + rest == [str(n) for n in range(1, ROUNDS + 1) if with_events]


def test_wakes_while_events_come(
    watched: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """A storm of wake() calls from four threads costs no event."""
    over = threading.Event()

    def wake() -> None:
        while not over.is_set():
            watched.wake()

    def read() -> list[str]:
        found: list[str] = []
        while found[-1:] != ["last"]:
            found += [event.name for event in watched.read()]
        return found

    wakers = [in_thread(wake) for _ in range(4)]
    found = in_thread(read)
    numbered = [str(number) for number in range(ROUNDS)]
    for name in [*numbered, "last"]:
        (tmp_path / name).touch()
    try:
        assert found() == [*numbered, "last"]
    finally:
        over.set()
    for finished in wakers:
        finished()


def test_closed(inotify: INotify) -> None:
    """wake() does nothing on a closed instance."""
    inotify.close()
    inotify.wake()
    assert inotify.closed


def test_descriptors(in_thread: InThread, until_waiting: UntilWaiting) -> None:
    """Only a wait costs descriptors, two, and the next one uses them again."""
    before = _descriptor_count()
    with INotify() as inotify:
        inotify.wake()
        inotify.read(timeout=0)
        assert _descriptor_count() == before + 1
        assert inotify.read() == []
        for _ in range(3):
            waiting = in_thread(inotify.read)
            until_waiting(inotify)
            assert _descriptor_count() == before + 3
            inotify.wake()
            waiting()
            assert inotify.read(timeout=1) == []
            assert _descriptor_count() == before + 3
    assert _descriptor_count() == before


@pytest.mark.parametrize("left", [0, 1])
def test_no_descriptor_to_wait_with(
    watched: INotify, tmp_path: Path, names: Names, left: int
) -> None:
    """A wait without descriptors is EMFILE, and leaves nothing and loses nothing."""
    count = _descriptor_count()
    with _descriptors_left(left):
        for _ in range(3):
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as refused:
                watched.read(timeout=1)
            assert refused.value.errno == errno.EMFILE
        (tmp_path / "folder").mkdir()
        assert names(watched.read(timeout=1)) == ["folder"]
    gc.collect()
    assert _descriptor_count() == count
    assert _waits_its_time(watched)
