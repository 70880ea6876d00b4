"""Everything at once from many threads, on one instance after the other."""

from __future__ import annotations

import errno
import os
import random
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import waits

from inotify_cffi import INotify, flags

if TYPE_CHECKING:
    from conftest import InThread

INSTANCES = 80
THREADS = 8
CALLS = 60  # of each thread, at most: somebody closes the instance before

Call = Callable[[INotify, Path], object]


def _create(inotify: INotify, folder: Path) -> None:
    name = folder / str(threading.get_ident())
    os.mknod(name)
    os.unlink(name)


CALLS_OF_ALL_KINDS: dict[str, Call] = {
    "add": lambda inotify, folder: inotify.add_watch(folder, flags.CREATE),
    "add another": lambda inotify, folder: inotify.add_watch(
        folder.parent, flags.CREATE | flags.DELETE
    ),
    "remove": lambda inotify, folder: inotify.rm_watch(random.randrange(1, 50)),
    "add and remove": lambda inotify, folder: inotify.rm_watch(
        inotify.add_watch(folder, flags.DELETE)
    ),
    "create": _create,
    "look": lambda inotify, folder: inotify.read(timeout=0),
    "read": lambda inotify, folder: inotify.read(timeout=0.2),
    "gather": lambda inotify, folder: inotify.read(timeout=0.2, read_delay=0.1),
    "wait": lambda inotify, folder: inotify.wait_readable(timeout=0.2),
    "wake": lambda inotify, folder: inotify.wake(),
}


def _is_documented(error: BaseException, inotify: INotify) -> bool:
    if isinstance(error, ValueError):
        return str(error) == "I/O operation on closed file" and inotify.closed
    return isinstance(error, OSError) and error.errno == errno.EINVAL


def _hammer(calls: list[Call], inotify: INotify, folder: Path, seed: int) -> list[str]:
    """Make calls at random; return their unexpected exceptions."""
    choose = random.Random(seed)
    wrong = []
    for _ in range(CALLS):
        try:
            choose.choice(calls)(inotify, folder)
        except Exception as error:
            if not _is_documented(error, inotify):
                wrong.append(repr(error))
            if isinstance(error, ValueError):
                break
    return wrong


def _iterate(inotify: INotify) -> list[str]:
    """Iterate until the instance is closed, which alone may end it."""
    for _ in inotify:
        pass
    return [] if inotify.closed else ["the iteration ended early"]


def _read_until_closed(inotify: INotify) -> list[str]:
    wrong = []
    try:
        while True:
            inotify.read()
    except Exception as error:
        if not (isinstance(error, ValueError) and _is_documented(error, inotify)):
            wrong.append(repr(error))
    return wrong


def _storm(
    calls: list[Call], folder: Path, in_thread: InThread, number: int
) -> list[str]:
    """Open an instance, let all threads at it, close it meanwhile."""
    inotify = INotify(nonblocking=number % 2 == 0)
    start = threading.Barrier(THREADS + 1)

    def run(function: Callable[[], list[str]]) -> list[str]:
        start.wait(60)
        return function()

    functions: list[Callable[[], list[str]]] = [
        partial(_hammer, calls, inotify, folder, number * THREADS + thread)
        for thread in range(THREADS - 2)
    ]
    functions += [partial(_iterate, inotify), partial(_read_until_closed, inotify)]
    results = [in_thread(partial(run, function)) for function in functions]
    start.wait(60)
    wrong = _hammer(calls[: number % len(calls) + 1], inotify, folder, number)
    inotify.close()
    for result in results:
        wrong += result()
    assert waits(inotify) == 0
    return wrong


def _descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def test_everything_at_once(
    tmp_path: Path,
    in_thread: InThread,
    record_property: Callable[[str, Any], None],
) -> None:
    """However many threads do whatever at once, nothing but what is documented."""
    record_property("GIL", getattr(sys, "_is_gil_enabled", lambda: True)())
    folder = tmp_path / "folder"
    folder.mkdir()
    before = _descriptors()
    for number in range(INSTANCES):
        calls = list(CALLS_OF_ALL_KINDS.values())
        assert _storm(calls, folder, in_thread, number) == []
        assert _descriptors() == before


@pytest.mark.parametrize("closers", [1, 4])
def test_closed_by_chance(tmp_path: Path, in_thread: InThread, closers: int) -> None:
    """It may be any of the threads that closes, or several of them at once."""
    closing: list[Call] = [lambda inotify, folder: inotify.close()] * closers
    before = _descriptors()
    for number in range(INSTANCES // 2):
        calls = [*CALLS_OF_ALL_KINDS.values(), *closing]
        assert _storm(calls, tmp_path, in_thread, number) == []
        assert _descriptors() == before


@pytest.mark.parametrize("look", [INotify.watches, repr])
def test_what_only_looks(
    tmp_path: Path, in_thread: InThread, look: Callable[[INotify], object]
) -> None:
    """A call on an instance that is closed meanwhile raises only that it is closed."""
    calls: list[Call] = [
        lambda inotify, folder: look(inotify),
        lambda inotify, folder: look(inotify),
        lambda inotify, folder: inotify.add_watch(folder, flags.CREATE),
    ]
    for number in range(INSTANCES):
        assert _storm(calls, tmp_path, in_thread, number) == []


def test_several_instances_at_once(tmp_path: Path, in_thread: InThread) -> None:
    """Instances that open and close beside each other do not meet."""

    def run(seed: int) -> list[str]:
        folder = tmp_path / str(seed)
        folder.mkdir()
        wrong = []
        for number in range(INSTANCES // 2):
            with INotify(nonblocking=number % 2 == 0) as inotify:
                wd = inotify.add_watch(folder, flags.CREATE)
                calls = [
                    CALLS_OF_ALL_KINDS[name] for name in ("add", "look", "wake", "wait")
                ]
                wrong += _hammer(calls[: number % 4 + 1], inotify, folder, number)
                inotify.read(timeout=0)
                os.mknod(folder / str(number))
                found = inotify.read(timeout=0)
                if found != [(wd, flags.CREATE, 0, str(number))]:
                    wrong.append(f"{number}: {found}")
        return wrong

    results = [in_thread(partial(run, seed)) for seed in range(THREADS)]
    assert [wrong() for wrong in results] == [[]] * THREADS
