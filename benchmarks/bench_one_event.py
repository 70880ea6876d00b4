"""What does a read cost that finds one event?

A byte is written to a file in the watched directory, and the event is read, over and
over: the cost for a program that keeps up with its events. An instance that may block
has to be asked first whether a read would; with ``nonblocking=True`` inotify_cffi and
ctypes do without. asyncinotify is non-blocking by default; watchdog always polls.
"""

from __future__ import annotations

from collections.abc import Iterator

from .candidates import in_c, readings
from .harness import Budget, Case, Question
from .libraries import INotifyLike, installed
from .workloads import Write, scratch_directory


def cases(budget: Budget) -> Iterator[Case]:
    loops = budget.loops()
    with scratch_directory() as scratch, Write(scratch) as write:
        with in_c(scratch) as c:
            candidates = readings(write, loops) + c("one", loops)
            yield Case("default", candidates, loops)
        among = [library for library in installed() if issubclass(library, INotifyLike)]
        candidates = readings(write, loops, among, nonblocking=True)
        yield Case("nonblocking=True", candidates, loops)


QUESTION = Question("one", cases)
