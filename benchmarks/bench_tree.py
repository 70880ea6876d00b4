"""How much time and memory does it take to watch a tree, by its number of directories?

Each directory has 3 files. Each value comes from a new process, after the tree was
walked once: the time from the call that watches it until each directory has its watch,
which is checked; and by how much the resident memory grows, in a process that has
watched an empty directory before. The kernel's memory is not in it: about 1 KiB a
watch. `inotifywait -m -r` is timed from the start of the program until it says that
its watches are established. Python's own start and imports are not counted.

C walks once by opendir and inotify_add_watch, and remembers nothing. watchdog:
`Observer.start`; some hundred watches are missing at times, as its queue overflows
while it lists.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from . import tree_watchers
from .candidates import Candidate, needed_program
from .harness import Budget, Case, Question
from .workloads import limit, scratch_directory

DIRECTORIES = (1_000, 10_000, 100_000)


def ask(what: str, name: str, root: str, *command: str) -> list[int]:
    """Have a new process watch or follow a tree; return the numbers it prints."""
    module = [sys.executable, "-m", "benchmarks.tree_watchers"]
    printed = subprocess.check_output(
        [*module, what, name, root, *command],
        cwd=os.path.dirname(os.path.dirname(__file__)),
    )
    return [int(number) for number in printed.split()]


class Recorded:
    """Gives values that were measured together with others."""

    on_our_clock = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: list[float] = []

    def measure(self) -> list[float]:
        return [self.values.pop(0)]


class Watching:
    on_our_clock = False

    def __init__(self, name: str, root: str, directories: int) -> None:
        self.name = name
        self.memory = Recorded(name)
        self._root = root
        self._directories = directories

    def measure(self) -> list[float]:
        time, memory, watches = ask("watch", self.name, self._root)
        if watches < self._directories:
            short = f"{self.name} has {watches} of {self._directories} watches"
            if self.name == "inotify_cffi":
                raise RuntimeError(short)
            print(short, file=sys.stderr)
        self.memory.values.append(memory)
        return [time]


class WatchingInC:
    name = "C"
    on_our_clock = False

    def __init__(self, program: str, root: str) -> None:
        self._command = [program, "--watch", root]

    def measure(self) -> list[float]:
        return [float(subprocess.check_output(self._command))]


def cases_of(directories: int) -> Iterator[Case]:
    if limit("max_user_watches") <= directories:
        raise SystemExit(
            f"{directories:,} directories: raise fs.inotify.max_user_watches"
        )
    with scratch_directory() as scratch:
        program = needed_program(scratch)
        root = tempfile.mkdtemp(dir=scratch)
        subprocess.run([program, "--build", root, str(directories)], check=True)
        watchers = [each for each in tree_watchers.ALL if each.is_installed()]
        watching = {each: Watching(each.name, root, directories) for each in watchers}
        candidates: list[Candidate] = [*watching.values(), WatchingInC(program, root)]
        yield Case(f"{directories:,}, time", candidates, inner=directories)
        memory = [by.memory for each, by in watching.items() if each.in_this_process]
        label = f"{directories:,}, memory"
        yield Case(label, memory, inner=directories, unit="byte")


def cases(budget: Budget) -> Iterator[Case]:
    for directories in DIRECTORIES:
        yield from cases_of(directories)


QUESTION = Question("tree", cases, heavy_rounds=5)
# Asked only by name: it takes minutes and some gigabytes of memory.
MILLION = Question("tree_million", lambda _: cases_of(1_000_000), heavy_rounds=1)
