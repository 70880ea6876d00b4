"""What does it take to follow a tree that two programs write to at full speed?

Each creates 100 directories and 1,000 files in each, in C. Told are the CPU time of
the process that follows (all its threads, without the kernel's work for the
writers), that time as a share of the time from the start of the writers to the last
event, and how many of the files the follower knows in the end: it keeps the paths
that it was told of in a set, and after an overflow begins anew.
"""

from __future__ import annotations

from .harness import Case, Cases, Question, main
from .pace import Pace
from .trees import following, tree_program

WRITERS, DIRECTORIES, FILES = 2, 100, 1_000


def cases(pace: Pace) -> Cases:
    with tree_program() as program:
        contestants, recorded = following(program, DIRECTORIES, FILES)
        yield Case("CPU time, ms", contestants)
        yield Case("share of a CPU, %", recorded("share"))
        yield Case("until the last event, ms", recorded("wall"))
        yield Case("files known in the end", recorded("known"))


QUESTION = Question(
    name="tree_load",
    title="Following 200,000 creations in new directories, by two writers",
    unit="what the row names",
    cases=cases,
    notes=(
        "inotifywait prints into a file, and nobody reads that meanwhile; the others "
        "hold what they are told in Python objects.",
    ),
    heavy_rounds=3,
)

if __name__ == "__main__":
    main(QUESTION)
