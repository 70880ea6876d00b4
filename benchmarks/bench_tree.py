"""What does it take to watch a tree, by the number of directories in it?

Each directory has 3 files, and lies on tmpfs where there is one. Everybody is asked
in a fresh process each time, the tree having just been walked: the time runs from
the call that watches it until every directory has its watch, which is checked. For
`inotifywait -m -r` it runs from the start of the program until it says that its
watches are established. Python's own start and imports are not counted.
"""

from __future__ import annotations

from .harness import Case, Cases, Question, main
from .pace import Pace
from .trees import built, tree_program, watching, watching_in_c

DIRECTORIES = (1_000, 10_000, 100_000)
NOTES = (
    "C: one walk by opendir and inotify_add_watch, without any books of it.",
    "os.walk with inotify_simple: watches and forgets; so does no library.",
    "watchdog: `Observer.start`, which watches before it returns; some hundred watches"
    " are missing at times, as its queue overflows with what listing makes.",
    "watchfiles: the constructor of its `RustNotify`.",
)


def cases_of(directories: int) -> Cases:
    with tree_program() as program, built(program, directories) as root:
        contestants = watching(root, directories, value=0)
        contestants.append(watching_in_c(program, root))
        yield Case(f"{directories:,}", contestants, inner=directories)


def cases(pace: Pace) -> Cases:
    for directories in DIRECTORIES:
        yield from cases_of(directories)


QUESTION = Question(
    name="tree",
    title="Watching a tree, by the number of directories in it",
    unit="us a directory",
    cases=cases,
    notes=NOTES,
    heavy_rounds=5,
)

if __name__ == "__main__":
    main(QUESTION)
