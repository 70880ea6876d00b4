"""What does being stoppable cost a read that finds events?

Compared are `INotify.read` and a read without what makes it one that can be
stopped and shared. That takes two comparisons, because one half is compiled:

* in Python, `INotify.read` with `Unstoppable.read`: the same check of the
  timeout and the same compiled step, but nothing that keeps events for the next
  reader when an exception strikes, and nothing that looks whether any were kept.
  On PyPy the compiled step is a function of cffi's, and what goes too is the
  buffer that two threads never share: this one uses the same for all reads;
* in C, the step itself (`instance_read` of ``source.c``) with the same without
  the count of users, which keeps the descriptor open, and without the lock.

The cost is the sum of both differences. Calls from one method to another count
as part of it: without anything to keep there would be one method. The wait itself
is not part of it: a read that finds events does not wait.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from typing import Any

from . import libraries
from .contestants import answering, readings
from .events import Creations, scratch_directory
from .harness import Case, Cases, Question, main
from .pace import Pace

BATCHES = (1, 16, 256)  # one read holds them all
STOPPABLE, UNSTOPPABLE = "read()", "unguarded in Python"
STEP = "compiled step alone"
GUARDED, BARE = "in C", "in C, unguarded"


class _StepInPyPy:
    """The compiled step with one buffer for all reads, and no try around it."""

    def __init__(self, inotify: Any) -> None:
        from inotify_cffi._inotify import ffi, lib

        self._append_at = inotify._owner._parser.append_at
        self._instance = inotify._instance
        self._queued = ffi.new("struct queued *")
        self._read = lib.instance_read

    def __call__(self, events: list[Any]) -> int:
        queued = self._queued
        self._read(self._instance, queued, False)
        self._append_at(events, queued.data, queued.size)
        rest: int = queued.remaining
        return rest


@functools.cache
def unstoppable() -> Any:
    """Return the class; only who measures needs inotify_cffi."""
    from inotify_cffi import Event, INotify

    class Unstoppable(INotify):
        event_type = Event

        def __init__(self, **options: bool) -> None:
            super().__init__(**options)
            in_pypy = sys.implementation.name == "pypy"
            self._step: Any = _StepInPyPy(self) if in_pypy else self._append_queued

        def read(  # type: ignore[override]  # as INotify's
            self, timeout: float | None = None, read_delay: float | None = None
        ) -> list[Event]:
            if timeout is not None or read_delay is not None:
                timeout = _checked(timeout, read_delay)
            events: list[Event] = []
            rest = self._step(events)
            if rest or (not events and timeout != 0):
                raise RuntimeError("this read knows only how to find events")
            return events

    return Unstoppable


def _checked(timeout: float | None, read_delay: float | None) -> float | None:
    """The same work as that of `INotify.read`."""
    if read_delay is not None and not read_delay >= 0:
        raise ValueError(read_delay)
    if timeout is None or timeout >= 0:
        return timeout
    return None


class Stoppable(libraries.InotifyCffi):
    name = STOPPABLE


class Unguarded(libraries.InotifyCffi):
    name = UNSTOPPABLE

    def open(self, **options: bool) -> Any:
        return unstoppable()(**options)


class Step(libraries.InotifyCffi):
    name = STEP

    @classmethod
    def read(cls, batch: int) -> str:
        return "result = []\nstep(result)"

    def names(self, batch: int) -> dict[str, Any]:
        return {"step": self._inotify._append_queued}


def cases(pace: Pace) -> Cases:
    with scratch_directory() as scratch:
        directory = tempfile.mkdtemp(dir=scratch)
        with answering("stop_cost.c", scratch, directory) as in_c:
            for batch in BATCHES:
                loops = 2 * pace.loops(batch)
                creations = Creations(scratch, batch)
                contestants = readings(creations, loops, (Stoppable, Unguarded, Step))
                contestants += in_c("guarded", batch, loops, name=GUARDED)
                contestants += in_c("bare", batch, loops, name=BARE)
                yield Case(str(batch), contestants, loops)
                creations.remove()


QUESTION = Question(
    name="stop_cost",
    title="A read that can be stopped, by the number of events it finds",
    unit="ns a read",
    cases=cases,
    notes=(
        "What being stoppable costs: (read() - unguarded in Python) + (in C - in "
        "C, unguarded).",
        "The compiled step alone is called as `read()` calls it, without a Python "
        "function around it. In C there is no Python at all: the system calls, and "
        "what guards them.",
    ),
)

if __name__ == "__main__":
    main(QUESTION)
