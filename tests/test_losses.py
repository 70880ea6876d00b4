"""No event is lost inside a read, whatever raises there."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import select
import sys
import sysconfig
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import instance_of

from inotify_cffi import Event, INotify, flags

if TYPE_CHECKING:
    from conftest import InThread, RunPython

CPYTHON = sys.implementation.name == "cpython"
COUNT = 3000  # more than one buffer
# Its assertions abort the process when gc.get_objects() in another thread has made a
# second reference to a list that is appended to, or to the dict of an lru_cache.
ABORTS_ON_REFERENCES = sysconfig.get_config_var("Py_GIL_DISABLED") and (
    sysconfig.get_config_var("Py_DEBUG")
)


def _make(folder: Path, count: int = COUNT) -> list[str]:
    names = [f"{number:06}" for number in range(count)]
    for name in names:
        os.mknod(folder / name)
    return names


@pytest.mark.queue(COUNT)
@pytest.mark.skipif(not CPYTHON, reason="PyPy's collector has no such callbacks")
@pytest.mark.parametrize("phase", ["start", "stop"])
def test_a_callback_that_looks_at_all_objects(
    inotify: INotify, tmp_path: Path, phase: str
) -> None:
    """References of a memory profiler to the collector's objects change no event."""
    kept: list[Any] = []

    def look(now: str, info: object) -> None:
        if now == phase:
            kept[:] = gc.get_objects()

    inotify.add_watch(tmp_path, flags.CREATE)
    names = _make(tmp_path)
    thresholds = gc.get_threshold()
    gc.callbacks.append(look)
    gc.set_threshold(100)
    try:
        events = inotify.read(timeout=0)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(look)
        kept.clear()  # it holds itself
    assert [event.name for event in events] == names


@pytest.mark.queue(COUNT)
@pytest.mark.skipif(not CPYTHON, reason="PyPy takes seconds for each look")
@pytest.mark.skipif(ABORTS_ON_REFERENCES, reason="this build aborts on such references")
def test_a_thread_that_looks_at_all_objects(
    inotify: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """A debugger that inspects objects in another thread changes no event."""
    over = threading.Event()

    def look() -> None:
        kept: list[Any] = []
        while not over.is_set():
            kept[:] = gc.get_objects()
        kept.clear()  # it holds itself

    inotify.add_watch(tmp_path, flags.CREATE)
    looked = in_thread(look)
    try:
        names = _make(tmp_path)
        found: list[Event] = []
        while events := inotify.read(timeout=0):
            found += events
    finally:
        over.set()
        looked()
    assert [event.name for event in found] == names


# In a function, and with what it returns there already: to store the events must not
# need memory as well.
FAILING = """
    import os, select, sys, _testcapi
    from inotify_cffi import INotify, flags

    def fail_at(start, how, inotify):
        events = event = None
        _testcapi.set_nomemory(start, start + 1)
        try:
            if how == "read":
                events = inotify.read(timeout=0)
            elif how == "wait":
                events = inotify.read(timeout=60000)
            else:
                event = next(inotify)
        finally:
            _testcapi.remove_mem_hooks()
        return [event] if events is None else events

    def readable(inotify):
        return select.select([inotify], [], [], 0)[0] != []

    folder, how, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
    names = [f"{number:06}" for number in range(700)]
    failed = start = 0
    found = []
    with INotify() as inotify:
        inotify.add_watch(folder, flags.CREATE)
        for name in names:
            os.mknod(f"{folder}/{name}")
        while len(found) < len(names):
            start += step
            try:
                found += [event.name for event in fail_at(start, how, inotify)]
            except MemoryError:
                failed += 1
            assert readable(inotify) == (len(found) < len(names))
        assert found == names, (len(found), len(set(found)))
        assert inotify.read(timeout=0) == []
    print(failed)
"""


@pytest.mark.queue(700)
@pytest.mark.skipif(not CPYTHON, reason="only CPython's allocations can fail")
@pytest.mark.parametrize("step", [1, 7, 50])
@pytest.mark.parametrize("how", ["read", "wait", "next"])
def test_no_memory_for_an_object(
    run_python: RunPython, tmp_path: Path, how: str, step: int
) -> None:
    """Whichever allocation of a read fails, the next read returns what it took, and
    the descriptor is readable until then."""
    pytest.importorskip("_testcapi")
    failed = int(run_python(FAILING, tmp_path, how, str(step)))
    assert failed > 0 or how == "next"


MALLOC = r"""
    #define _GNU_SOURCE
    #include <errno.h>
    #include <stdlib.h>

    extern void *__libc_malloc(size_t);
    int failures;

    void *malloc(size_t size)
    {
        if (failures && size > 16384 && size < 17000) {
            failures--;
            errno = ENOMEM;
            return NULL;
        }
        return __libc_malloc(size);
    }
"""


@pytest.mark.skipif(not CPYTHON, reason="only CPython's buffer comes from malloc()")
def test_no_memory_for_a_buffer(
    tmp_path: Path, compile_c: Callable[..., Path], run_python: RunPython
) -> None:
    """A read that gets no buffer takes nothing from the kernel."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("what fails here stands before glibc's malloc()")
    library = compile_c(MALLOC, "-shared", "-fPIC")
    code = """
        import ctypes, os, sys
        from inotify_cffi import INotify, flags
        failures = ctypes.c_int.in_dll(ctypes.CDLL(None), "failures")
        with INotify() as inotify:
            inotify.add_watch(sys.argv[1], flags.CREATE)
            os.mknod(f"{sys.argv[1]}/file")
            failures.value = 1
            try:
                inotify.read(timeout=0)
            except MemoryError:
                print("refused")
            print([event.name for event in inotify.read(timeout=0)])
    """
    preload = f"{os.environ.get('LD_PRELOAD', '')} {library}"
    printed = run_python(code, tmp_path, env={"LD_PRELOAD": preload})
    assert printed == "refused\n['file']\n"


def test_readable_while_an_iteration_leaves_events(
    inotify: INotify, tmp_path: Path
) -> None:
    """The descriptor is readable as long as a read would return something."""
    poll = select.poll()
    poll.register(inotify, select.POLLIN)
    inotify.add_watch(tmp_path, flags.CREATE | flags.ATTRIB)
    names = ["a", "b" * 15, "c" * 16, "d" * 255, "e" * 100]
    for name in names:
        os.mknod(tmp_path / name)
        tmp_path.chmod(0o700)  # an event without a name
    reported = []
    for _ in range(2 * len(names)):
        assert poll.poll(0)
        assert inotify.wait_readable(timeout=0)
        reported.append(next(inotify).name)
    assert reported == [part for name in names for part in (name, "")]
    assert not poll.poll(0)
    assert inotify.read(timeout=0) == []


def _readable(inotify: INotify) -> bool:
    return select.select([inotify], [], [], 0)[0] != []


def _interrupted(inotify: INotify, count: int) -> None:
    """Leave the instance as an exception does in a read that took `count` events.

    Where exactly an exception keeps events is private; test_signals.py and
    test_no_memory_for_an_object raise them.
    """
    events = [next(inotify) for _ in range(count)]
    instance_of(inotify).keep(events)


STEPS = {
    "make": st.integers(1, 3),
    "interrupt": st.integers(1, 3),
    "next": st.integers(1, 3),
    "read": st.just(1),
    "wait_readable": st.just(1),
}


@given(
    steps=st.lists(
        st.one_of(*(st.tuples(st.just(name), n) for name, n in STEPS.items())),
        max_size=30,
    )
)
@settings(deadline=None, max_examples=150)
def test_the_descriptor_is_readable_as_long_as_events_remain(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Whatever is read, kept and made in any order: the descriptor is readable exactly
    while a read would return something, and every event is returned once, in order."""
    folder = tmp_path_factory.mktemp("kept")
    made = 0
    left: list[str] = []
    with INotify() as inotify:
        inotify.add_watch(folder, flags.CREATE)
        for step, count in steps:
            if step == "make":
                for _ in range(count):
                    os.mknod(folder / str(made))
                    left.append(str(made))
                    made += 1
            elif step == "interrupt":
                _interrupted(inotify, min(count, len(left)))
            elif step == "next":
                for _ in range(min(count, len(left))):
                    assert next(inotify).name == left.pop(0)
            elif step == "read":
                assert [event.name for event in inotify.read(timeout=0)] == left
                left = []
            else:
                assert inotify.wait_readable(timeout=0) == bool(left)
            assert _readable(inotify) == bool(left)


@pytest.mark.queue(4000)
@pytest.mark.parametrize("queued", [0, 1, 1000, 4000])
def test_kept_events_before_many(inotify: INotify, tmp_path: Path, queued: int) -> None:
    """An iteration returns kept events, then the queued ones, and then waits."""
    inotify.add_watch(tmp_path, flags.CREATE)
    names = _make(tmp_path, 3)
    _interrupted(inotify, 3)
    for number in range(queued):
        os.mknod(tmp_path / f"q{number}")
        names.append(f"q{number}")
    found = []
    while _readable(inotify):
        found.append(next(inotify).name)
    assert found == names
    assert not inotify.wait_readable(timeout=0)
    assert inotify.read(timeout=1) == []


def test_kept_events_after_an_overflow(inotify: INotify, tmp_path: Path) -> None:
    """The descriptor remains readable when the kernel has no room for the event by
    which it is made so."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("the queue is too long to be filled here")
    inotify.add_watch(tmp_path, flags.CREATE | flags.DELETE)
    _make(tmp_path, 2)
    first, second = inotify.read(timeout=0)
    for _ in range(limit // 2 + 1):
        os.mknod(tmp_path / "x")
        os.unlink(tmp_path / "x")
    instance_of(inotify).keep([first, second])
    assert next(inotify) == first
    assert _readable(inotify)
    remaining = inotify.read(timeout=0)
    assert remaining[0] == second
    assert remaining[-1].mask & flags.Q_OVERFLOW
    assert not _readable(inotify)
    assert inotify.read(timeout=0) == []


# Beside a thread of pytest-xdist, CPython warns of a fork, and 3.15 raises that.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_gets_no_event_of_its_parents_reads(
    inotify: INotify, tmp_path: Path
) -> None:
    """A forked child does not find the descriptor readable for events that are the
    parent's, once it has looked."""
    inotify.add_watch(tmp_path, flags.CREATE)
    _make(tmp_path, 1)
    _interrupted(inotify, 1)
    child = os.fork()
    if child == 0:
        found = 9
        with contextlib.suppress(BaseException):
            found = inotify.wait_readable(timeout=0) + len(inotify.read(timeout=0))
        os._exit(found)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [event.name for event in inotify.read(timeout=0)] == ["000000"]
    assert not _readable(inotify)


@pytest.mark.parametrize("count", [1, 500])
def test_kept_events_and_many_threads(
    inotify: INotify, tmp_path: Path, in_thread: InThread, count: int
) -> None:
    """Of several readers of kept events, each event goes to one, and the descriptor is
    not left readable."""
    inotify.add_watch(tmp_path, flags.CREATE)
    names = _make(tmp_path, count)
    events = inotify.read(timeout=0)

    def read() -> list[str]:
        found: list[str] = []
        while _readable(inotify):
            found += [event.name for event in inotify.read(timeout=0)]
        return found

    for _ in range(20):
        instance_of(inotify).keep(list(events))
        assert _readable(inotify)
        readers = [in_thread(read) for _ in range(4)]
        found = [name for reader in readers for name in reader()]
        assert sorted(found) == names
        assert not _readable(inotify)
