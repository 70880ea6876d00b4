"""How much memory does it take to watch a tree?

By how much the resident memory of a fresh process grows, which has imported the
library and watched an empty directory before. What the kernel needs is not in it:
about 1 KiB a watch, for the inode that cannot be dropped.
"""

from __future__ import annotations

from .harness import Case, Cases, Question, main
from .pace import Pace
from .trees import built, tree_program, watching

DIRECTORIES = 100_000


def cases(pace: Pace) -> Cases:
    with tree_program() as program, built(program, DIRECTORIES) as root:
        contestants = watching(root, DIRECTORIES, value=1, in_process=True)
        yield Case(f"{DIRECTORIES:,}", contestants, inner=DIRECTORIES)


QUESTION = Question(
    name="tree_memory",
    title="Memory of a watched tree, by the number of directories in it",
    unit="bytes a directory",
    cases=cases,
    heavy_rounds=2,
)

if __name__ == "__main__":
    main(QUESTION)
