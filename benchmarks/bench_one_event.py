"""What does a read cost that finds one event?

A byte is written to a file in the watched directory, and the event is read, over
and over: what a program pays that keeps up with its events.
"""

from __future__ import annotations

from .contestants import c_limit, readings
from .events import Write, scratch_directory
from .harness import Case, Cases, Question, main
from .libraries import INotifyLike, installed
from .pace import Pace


def cases(pace: Pace) -> Cases:
    loops = pace.loops()
    with scratch_directory() as scratch, Write(scratch) as write:
        with c_limit(scratch) as limit:
            contestants = readings(write, loops) + limit("one", loops)
            yield Case("default", contestants, loops)
        among = [library for library in installed() if issubclass(library, INotifyLike)]
        contestants = readings(write, loops, among, nonblocking=True)
        yield Case("nonblocking=True", contestants, loops)


QUESTION = Question(
    name="one",
    title="One event a read",
    unit="ns a read",
    cases=cases,
    notes=(
        "An instance that may block has to be asked first whether a read would; "
        "with `nonblocking=True` inotify_cffi and ctypes do without.",
        "asyncinotify is non-blocking by default; watchdog always polls.",
    ),
)

if __name__ == "__main__":
    main(QUESTION)
