"""What does an event cost when a queue is drained, by how many are queued?

That many files are created in a watched directory, and then read: with one call
where the library has one that returns all, and else with as many as it takes.
"""

from __future__ import annotations

from .contestants import c_limit, readings
from .events import Creations, longest_queue, scratch_directory
from .harness import Case, Cases, Question, main
from .pace import Pace

BATCHES = (1, 4, 16, 64, 256, 1024, 4096, 10000)


def cases(pace: Pace) -> Cases:
    with scratch_directory() as scratch, c_limit(scratch) as limit:
        for batch in BATCHES:
            if batch >= longest_queue():
                continue
            loops = pace.loops(batch)
            creations = Creations(scratch, batch)
            contestants = readings(creations, loops)
            contestants += limit("drain", batch, loops)
            yield Case(str(batch), contestants, loops, batch)
            creations.remove()


QUESTION = Question(
    name="drain",
    title="Draining a queue, by the number of events in it",
    unit="ns an event",
    cases=cases,
    notes=(
        "asyncinotify returns one event a call: sync_get() as often as needed.",
        "watchdog: the class below its threads and queues, whose names stay bytes.",
        "C knows how many events to expect, and asks nothing else.",
    ),
)

if __name__ == "__main__":
    main(QUESTION)
