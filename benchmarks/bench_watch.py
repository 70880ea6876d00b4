"""What does it cost to add a watch, and to remove it again?

Adding: add_watch() of a directory that is watched already, with the same mask,
which costs the kernel least and shows best what a library adds. Adding and
removing: another directory is watched and released again; the IGNORED events stay
in the queue. watchdog warns when a watch is added again, and takes part only in the
second; asyncinotify and watchdog keep a table of their watches as well.
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
        for attribute in ("add", "add_and_remove"):
            candidates: list[Candidate] = [Clock(loops)]
            for library in installed():
                if statement := getattr(library, attribute):
                    candidates.append(Statement(library, statement, directory, loops))
            candidates += c(attribute.replace("_", "-"), loops)
            yield Case(attribute.replace("_", " "), candidates, loops)


QUESTION = Question("watch", cases)
