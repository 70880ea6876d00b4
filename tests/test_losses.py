"""No event is lost inside a read, whatever raises there."""

from __future__ import annotations

import gc
import os
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

from inotify_cffi import Event, INotify, flags

if TYPE_CHECKING:
    from conftest import InThread, RunPython

CPYTHON = sys.implementation.name == "cpython"
COUNT = 3000  # more than one buffer


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
    assert [event.name for event in events] == names


@pytest.mark.queue(COUNT)
@pytest.mark.skipif(not CPYTHON, reason="PyPy takes seconds for each look")
def test_a_thread_that_looks_at_all_objects(
    inotify: INotify, tmp_path: Path, in_thread: InThread
) -> None:
    """A debugger that inspects objects in another thread changes no event."""
    over = threading.Event()

    def look() -> None:
        kept: list[Any] = []
        while not over.is_set():
            kept[:] = gc.get_objects()

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
    import os, sys, _testcapi
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
    """Whichever allocation of a read fails, the next read returns what it took."""
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
    if not os.confstr("CS_GNU_LIBC_VERSION"):
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
