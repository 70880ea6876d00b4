"""Facts about builds of Python: free-threaded ones, and forks in any.

STRESS_SECONDS says how long each kind of stress goes on: a few seconds by themselves.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

from inotify_cffi import Event, INotify, TreeWatcher, flags

if TYPE_CHECKING:
    from conftest import InThread, RunPython

# For the readers of whatever queue to keep up, on a machine that is busy, too.
PAUSE = 0.001  # seconds
SECONDS = float(os.environ.get("STRESS_SECONDS", "3"))
THREADS = 8

# ---- free-threading ------------------------------------------------------------------

USE_OF_EVERYTHING = """
    import asyncio, sys

    if sys._is_gil_enabled():
        print("enabled by PYTHON_GIL")
        sys.exit()
    from inotify_cffi import INotify, TreeWatcher, flags, parse_events, syscalls
    from inotify_cffi.cli import main

    folder = sys.argv[1]
    print(sys._is_gil_enabled())
    with INotify() as inotify, TreeWatcher(folder) as tree:
        inotify.add_watch(folder, flags.CREATE)
        open(folder + "/file", "w").close()
        assert [event.name for event in inotify.read()] == ["file"]
        assert tree.read()
        assert inotify.read(timeout=0.01) == []
        assert asyncio.run(inotify.aread(timeout=0.01)) == []
        inotify.watches()
        parse_events(b"")
    fd = syscalls.init1(syscalls.IN_NONBLOCK)
    syscalls.add_watch(fd, folder, syscalls.IN_CREATE)
    syscalls.read_events(fd)
    import os
    os.close(fd)
    try:
        main(["-qq", "-t", "1", folder])
    except SystemExit:
        pass
    print(sys._is_gil_enabled())
    """


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="it has a GIL"
)
def test_gil_stays_off(run_python: RunPython, tmp_path: Path) -> None:
    """Neither the import nor the use of anything brings the GIL back."""
    # A module without a word on the GIL enables it, and warns: an error there.
    printed = run_python(USE_OF_EVERYTHING, tmp_path)
    if printed == "enabled by PYTHON_GIL\n":
        pytest.skip("PYTHON_GIL has enabled the GIL")
    assert printed == "False\nFalse\n"


def _until(end: float) -> Iterator[int]:
    """Number the rounds until the time is over."""
    number = 0
    while time.monotonic() < end:
        yield number
        number += 1


def _make_files(folder: Path, end: float) -> Counter[str]:
    """Create and delete files with names of their own; return the names."""
    made: Counter[str] = Counter()
    for number in _until(end):
        path = folder / f"{threading.get_ident()} {number}"
        os.mknod(path)
        os.unlink(path)
        made[path.name] += 1
        time.sleep(PAUSE)
    return made


def _names(events: list[Event]) -> list[str]:
    """Return the names of what was created: no event of a removed watch."""
    assert not any(event.mask & flags.Q_OVERFLOW for event in events)
    return [event.name for event in events if event.mask & flags.CREATE]


def test_one_instance_for_eight_threads(tmp_path: Path, in_thread: InThread) -> None:
    """Five threads read, two write, one adds: each event comes once."""
    end = time.monotonic() + SECONDS
    over = threading.Event()
    (tmp_path / "other").mkdir()
    with INotify() as inotify:
        inotify.add_watch(tmp_path, flags.CREATE)

        def take(read: Callable[[], object]) -> Counter[str]:
            taken: Counter[str] = Counter()
            while not over.is_set():
                read()
                taken.update(_names(inotify.read(timeout=0.05)))
            return taken

        def add_and_remove() -> Counter[str]:
            for _ in _until(end):
                inotify.rm_watch(inotify.add_watch(tmp_path / "other", flags.CREATE))
                inotify.wake()
                time.sleep(PAUSE)
            return Counter()

        ways: list[Callable[[], object]] = [
            lambda: None,
            lambda: None,
            lambda: inotify.wait_readable(timeout=0.01),
            inotify.watches,
            lambda: repr(inotify),
        ]
        readers = [in_thread(partial(take, way)) for way in ways]
        writers = [in_thread(partial(_make_files, tmp_path, end)) for _ in range(2)]
        other = in_thread(add_and_remove)
        assert len(readers) + len(writers) + 1 == THREADS
        over.wait(SECONDS)  # which may be longer than in_thread has patience
        made = sum((writer() for writer in writers), Counter())
        other()
        over.set()
        taken = sum((reader() for reader in readers), Counter())
        taken.update(_names(inotify.read(timeout=0)))
    assert taken == made


def _churn(folder: Path, end: float) -> Counter[str]:
    """Make directories, rename them into each other and remove them."""
    for number in _until(end):
        one, two = folder / f"one{number % 3}", folder / f"two{number % 2}"
        with suppress(OSError):
            (one / "below").mkdir(parents=True)
            one.rename(two)
        with suppress(OSError):
            (two / "below").rmdir()
            two.rmdir()
        time.sleep(5 * PAUSE)
    return Counter()


def test_several_trees_for_eight_threads(tmp_path: Path, in_thread: InThread) -> None:
    """Five threads read three watchers, three write: each file comes once."""
    end = time.monotonic() + SECONDS
    over = threading.Event()
    still, moving = tmp_path / "still", tmp_path / "moving"
    still.mkdir()
    moving.mkdir()
    with ExitStack() as opened:
        trees = [opened.enter_context(TreeWatcher(tmp_path)) for _ in range(3)]
        reported: list[Counter[str]] = [Counter() for _ in trees]
        lock = threading.Lock()

        def read(number: int, timeout: float) -> None:
            events = trees[number].read(timeout=timeout)
            assert not any(event.mask & flags.Q_OVERFLOW for event in events)
            created = [
                os.path.basename(event.path)
                for event in events
                if event.mask & flags.CREATE
                and os.path.dirname(event.path) == str(still)
            ]
            with lock:
                reported[number].update(created)

        def read_and_wake(number: int) -> None:
            while not over.is_set():
                read(number % len(trees), 0.05)
                trees[(number + 1) % len(trees)].wake()

        readers = [in_thread(partial(read_and_wake, number)) for number in range(5)]
        writers = [in_thread(partial(_make_files, still, end)) for _ in range(2)]
        churning = in_thread(partial(_churn, moving, end))
        assert len(readers) + len(writers) + 1 == THREADS
        over.wait(SECONDS)  # which may be longer than in_thread has patience
        made = sum((writer() for writer in writers), Counter())
        churning()
        over.set()
        for reader in readers:
            reader()
        for number in range(len(trees)):
            read(number, 0)
    assert reported == [made] * len(trees)


# ---- forks ---------------------------------------------------------------------------

FORKS = """
    import asyncio, os, sys, threading, warnings
    from inotify_cffi import INotify, TreeWatcher, flags

    threads = len(os.listdir("/proc/self/task"))

    def fork():
        "Return what a fork warned of."
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            child = os.fork()
            if child == 0:
                os._exit(0)
        os.waitpid(child, 0)
        return [(each.category.__name__, each.filename) for each in found]

    folder = sys.argv[1]
    with INotify() as inotify, TreeWatcher(folder) as tree:
        inotify.add_watch(folder, flags.CREATE)
        os.mkdir(folder + "/folder")
        inotify.read()
        tree.read()
        inotify.read(timeout=0.01)
        tree.read(timeout=0.01)
        asyncio.run(inotify.aread(timeout=0.01))
        inotify.wake()
        inotify.read()
        print(fork())
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        print(fork())
        end.set()
        thread.join()
        # The kernel counts a thread for a moment after it is joined.
        while len(os.listdir("/proc/self/task")) != threads:
            pass
        print(fork())
    """


def test_warnings_of_a_fork(run_python: RunPython, tmp_path: Path) -> None:
    """A fork warns of the program's own threads, once, and of nothing of ours."""
    warns = sys.implementation.name == "cpython" and sys.version_info >= (3, 12)
    beside_a_thread = [("DeprecationWarning", "<string>")] if warns else []
    assert run_python(FORKS, tmp_path) == f"[]\n{beside_a_thread}\n[]\n"
