"""What does it cost to add a watch?

add_watch() of a directory that is watched already, with the same mask, which costs the
kernel least and shows best what a library adds. asyncinotify keeps a table of its
watches; watchdog warns when a watch is added again, and takes no part.
"""

from __future__ import annotations

from collections.abc import Iterator

from .candidates import Candidate, Clock, Statement, in_c
from .harness import Budget, Case, Question
from .libraries import installed
from .workloads import Creations, scratch_directory


def cases(budget: Budget) -> Iterator[Case]:
    with scratch_directory() as scratch, in_c(scratch) as c:
        directory = Creations(scratch, 0)
        loops = budget.loops()
        candidates: list[Candidate] = [Clock(loops)]
        for library in installed():
            if library.add:
                candidates.append(Statement(library, library.add, directory, loops))
        yield Case("add", candidates + c("add", loops), loops)


QUESTION = Question("watch", cases)
