"""What does it take to watch a tree of a million directories?

As `bench_tree`, but asked only by name: it takes minutes and some gigabytes of
memory, and fs.inotify.max_user_watches has to be 1,000,001 at least.
"""

from __future__ import annotations

from .bench_tree import NOTES, cases_of
from .harness import Cases, Question, main
from .pace import Pace

DIRECTORIES = 1_000_000


def cases(pace: Pace) -> Cases:
    return cases_of(DIRECTORIES)


QUESTION = Question(
    name="tree_million",
    title="Watching a tree of a million directories",
    unit="us a directory",
    cases=cases,
    notes=NOTES,
    heavy_rounds=1,
)

if __name__ == "__main__":
    main(QUESTION)
