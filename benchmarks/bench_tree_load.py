"""What does it take to follow a tree that two programs write to at full speed?

Each creates 100 directories and 1,000 files in each, in C. Measured are the CPU time
of the process that follows (all its threads, without the kernel's work for the
writers), the time from the start of the writers to the last event, and how many of the
files the follower knows in the end: it keeps the reported paths in a set, and after an
overflow begins again. inotifywait prints into a file, which nobody reads meanwhile;
the others keep their events in Python objects.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from . import tree_watchers
from .bench_tree import Recorded, ask
from .candidates import needed_program
from .harness import Budget, Case, Question
from .workloads import scratch_directory

DIRECTORIES, FILES = 100, 1_000


class Following:
    on_our_clock = False

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self.wall, self.known = Recorded(name), Recorded(name)
        self._program = program

    def measure(self) -> list[float]:
        with scratch_directory() as scratch:
            root = tempfile.mkdtemp(dir=scratch)
            writer = [self._program, "--fill", root, str(DIRECTORIES), str(FILES)]
            cpu, wall, known = ask("follow", self.name, root, *writer)
        self.wall.values.append(wall)
        self.known.values.append(known)
        return [cpu]


def cases(budget: Budget) -> Iterator[Case]:
    with scratch_directory() as directory:
        program = needed_program(directory)
        following = [
            Following(each.name, program)
            for each in tree_watchers.ALL
            if each.is_installed()
        ]
        yield Case("CPU time", following)
        yield Case("until the last event", [each.wall for each in following])
        known = [each.known for each in following]
        yield Case("files known in the end", known, unit="integer")


QUESTION = Question("tree_load", cases, heavy_rounds=3)
