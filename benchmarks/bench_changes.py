"""What does it take to begin a `watch` of 100,000 files, and what does it add an event?

Beginning: a tree of 1,000 directories with 100 files each. Each value comes from a new
process, after the tree was walked once, in which an empty directory was watched before:
the CPU time of the call after which changes are reported; the resident memory of the
whole process, with Python and the modules; and how much of that the call has added.
`watch` holds the names of all files, watchfiles and watchdog hold none.

Events: what is taken, in one batch, of 3,000 events that are queued, beside the
`TreeWatcher` that `watch` is made of, with the same mask, in the same process. "mix" is
of 60 % of events of new files, and a tenth each of writing to, deleting and renaming.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Callable

from inotify_cffi import TreeWatcher, flags, masks, watch

from .bench_tree import Recorded
from .harness import Budget, Case, Question
from .workloads import scratch_directory

DIRECTORIES, FILES = 1_000, 100
EVENTS = 3_000


# What a program has that uses each; `begin` watches from its return on.
PROGRAMS = {
    "inotify_cffi": """
from inotify_cffi import watch
def begin(root):
    return watch(root, ignore=None)
""",
    "watchdog": """
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer
def begin(root):
    observer = Observer()
    observer.schedule(FileSystemEventHandler(), root, recursive=True)
    observer.start()
    return observer
""",
    "watchfiles": """
from watchfiles import watch
from watchfiles.main import RustNotify  # which watch() makes when it is iterated over
def begin(root):
    return RustNotify([root], False, False, 300, True, False)
""",
}
MEASURE = """
import gc, os, resource, sys, tempfile, time
def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize()
empty = begin(tempfile.mkdtemp(dir=sys.argv[2]))
before, start = resident(), time.process_time_ns()
watching = begin(sys.argv[1])
cpu = time.process_time_ns() - start
gc.collect()
print(cpu, resident(), resident() - before, flush=True)
os._exit(0)
"""


class Beginning:
    on_our_clock = False

    def __init__(self, name: str, root: str, scratch: str) -> None:
        self.name = name
        self.memory = Recorded(name)
        self.growth = Recorded(name)
        code = PROGRAMS[name] + MEASURE
        self._command = [sys.executable, "-c", code, root, scratch]

    def measure(self) -> list[float]:
        printed = subprocess.check_output(self._command)
        cpu, memory, growth = map(int, printed.split())
        self.memory.values.append(memory)
        self.growth.values.append(growth)
        return [cpu]


def _write(path: str) -> None:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"x")
    os.close(fd)


def _create(root: str) -> None:
    for number in range(EVENTS):
        os.close(os.open(f"{root}/new{number}", os.O_CREAT))


def _modify(root: str) -> None:
    for number in range(EVENTS):
        _write(f"{root}/{number}")


def _delete(root: str) -> None:
    for number in range(EVENTS):
        os.unlink(f"{root}/{number}")


def _rename(root: str) -> None:
    for number in range(EVENTS):
        os.rename(f"{root}/{number}", f"{root}/new{number}")


def _mix(root: str) -> None:
    for number in range(EVENTS // 10):
        for letter in "abc":
            _write(f"{root}/{letter}{number}")
        _write(f"{root}/{number}")
        os.unlink(f"{root}/{EVENTS - 1 - number}")
        os.unlink(f"{root}/a{number}")
        os.rename(f"{root}/b{number}", f"{root}/new{number}")


OPERATIONS = (_create, _modify, _delete, _rename, _mix)
MASK = flags.CREATE | flags.DELETE | masks.MOVE | flags.DELETE_SELF | flags.MOVE_SELF
MASK |= flags.MODIFY | flags.ATTRIB


class Added:
    """By how much more CPU time `watch` takes the same events than `TreeWatcher`."""

    name = "inotify_cffi"
    on_our_clock = False

    def __init__(self, scratch: str, operate: Callable[[str], None]) -> None:
        self._scratch = scratch
        self._operate = operate
        self._is_odd = False

    def measure(self) -> list[float]:
        with tempfile.TemporaryDirectory(dir=self._scratch) as root:
            for number in range(EVENTS):
                os.close(os.open(f"{root}/{number}", os.O_CREAT))
            with (
                TreeWatcher(root, mask=MASK) as watcher,
                watch(root, ignore=None, settle=0, at_most=0) as batches,
            ):
                self._operate(root)
                gc.collect()
                takes: list[Callable[[], Any]] = [
                    lambda: watcher.read(timeout=0),
                    lambda: next(batches),
                ]
                self._is_odd = not self._is_odd  # who is first has colder caches
                cpu = [0, 0]
                for index in (0, 1) if self._is_odd else (1, 0):
                    start = time.thread_time_ns()
                    taken = takes[index]()
                    cpu[index] = time.thread_time_ns() - start
                    assert taken
                return [max(cpu[1] - cpu[0], 1)]


def cases(budget: Budget) -> Iterator[Case]:
    with scratch_directory() as scratch:
        for operate in OPERATIONS:
            label = f"added an event: {operate.__name__[1:]}"
            yield Case(label, [Added(scratch, operate)], inner=EVENTS)
        root = tempfile.mkdtemp(dir=scratch)
        for directory in range(DIRECTORIES):
            os.mkdir(f"{root}/{directory}")
            for file in range(FILES):
                os.close(os.open(f"{root}/{directory}/file{file}", os.O_CREAT))
        beginning = [
            Beginning(name, root, scratch)
            for name in PROGRAMS
            if importlib.util.find_spec(name)
        ]
        yield Case("begin, 100,000 files: CPU time", beginning)
        memory = [each.memory for each in beginning]
        yield Case("begin, 100,000 files: memory of the process", memory, unit="byte")
        growth = [each.growth for each in beginning]
        yield Case("begin, 100,000 files: growth of it", growth, unit="byte")


QUESTION = Question("changes", cases, heavy_rounds=9)
