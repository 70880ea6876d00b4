"""What does an event cost when a queue is drained, by how many are queued?

That many files are created in a watched directory, and then read: with one call
where the library has one that returns all, and else with as many as it takes.
asyncinotify returns one event a call. watchdog is the class below its threads and
queues, whose names stay bytes. C knows how many events to expect.
"""

from __future__ import annotations

from collections.abc import Iterator

from .candidates import in_c, readings
from .harness import Budget, Case, Question
from .workloads import Creations, limit, scratch_directory

BATCHES = (1, 4, 16, 64, 256, 1024, 4096, 10000)


def cases(budget: Budget) -> Iterator[Case]:
    with scratch_directory() as scratch, in_c(scratch) as c:
        for batch in BATCHES:
            if batch >= limit("max_queued_events"):
                continue
            loops = budget.loops(batch)
            creations = Creations(scratch, batch)
            candidates = readings(creations, loops) + c("drain", batch, loops)
            yield Case(f"{batch:5} events", candidates, loops, batch)


QUESTION = Question("drain", cases)
