"""Trees to watch, and contestants who watch them in fresh processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Callable

from . import tree_watchers
from .c_program import compiled
from .contestants import Contestant
from .events import scratch_directory

_ROOT = os.path.dirname(os.path.dirname(__file__))


@contextlib.contextmanager
def tree_program() -> Iterator[str]:
    """Compile tree.c."""
    with tempfile.TemporaryDirectory() as directory:
        program = compiled("tree.c", directory)
        if program is None:
            raise SystemExit("trees are built by a program in C: there is no compiler")
        yield program


@contextlib.contextmanager
def built(program: str, directories: int) -> Iterator[str]:
    """Build a tree of that many directories, 3 files in each."""
    with open("/proc/sys/fs/inotify/max_user_watches") as limit:
        if int(limit.read()) <= directories:
            raise SystemExit(
                f"{directories:,} directories: raise fs.inotify.max_user_watches"
            )
    with scratch_directory() as scratch:
        root = tempfile.mkdtemp(dir=scratch)
        subprocess.run([program, "build", root, str(directories)], check=True)
        yield root


def _ask(what: str, name: str, root: str, *command: str) -> list[int]:
    module = [sys.executable, "-m", "benchmarks.tree_watchers"]
    answer = subprocess.check_output([*module, what, name, root, *command], cwd=_ROOT)
    return [int(number) for number in answer.split()]


class _Watching:
    on_our_clock = False

    def __init__(self, name: str, root: str, directories: int, value: int) -> None:
        self.name = name
        self._root = root
        self._directories = directories
        self._value = value

    def measure(self) -> list[float]:
        answer = _ask("watch", self.name, self._root)
        if answer[2] < self._directories:
            short = f"{self.name} has {answer[2]} of {self._directories} watches"
            if self.name == "inotify_cffi":
                raise RuntimeError(short)
            print(short, file=sys.stderr)
        return [float(answer[self._value])]


class _WatchingInC:
    name = "C"
    on_our_clock = False

    def __init__(self, program: str, root: str) -> None:
        self._command = [program, "watch", root]

    def measure(self) -> list[float]:
        return [float(subprocess.check_output(self._command))]


class _Following:
    """Follows once a round; what else that showed is told by `recorded`."""

    on_our_clock = False

    def __init__(self, name: str, program: str, directories: int, files: int) -> None:
        self.name = name
        self._program = program
        self._numbers = str(directories), str(files)
        self.recorded: dict[str, list[float]] = {"share": [], "wall": [], "known": []}

    def measure(self) -> list[float]:
        with scratch_directory() as scratch:
            root = tempfile.mkdtemp(dir=scratch)
            writer = [self._program, "write", root, *self._numbers]
            cpu, wall, known = _ask("follow", self.name, root, *writer)
        self.recorded["share"].append(100 * cpu / wall)
        self.recorded["wall"].append(wall / 1e6)
        self.recorded["known"].append(known)
        return [cpu / 1e6]


class _Recorded:
    on_our_clock = False

    def __init__(self, name: str, values: Sequence[float]) -> None:
        self.name = name
        self._values = iter(values)

    def measure(self) -> list[float]:
        return [next(self._values)]


def watching(
    root: str, directories: int, value: int, in_process: bool = False
) -> list[Contestant]:
    """Return who watches a whole tree; ``value`` 0 is the time, 1 the memory."""
    watchers = [one for one in tree_watchers.ALL if one.is_installed()]
    if in_process:
        watchers = [one for one in watchers if one.keeps_books]
    return [_Watching(one.name, root, directories, value) for one in watchers]


def watching_in_c(program: str, root: str) -> Contestant:
    return _WatchingInC(program, root)


def following(
    program: str, directories: int, files: int
) -> tuple[list[Contestant], Callable[[str], list[Contestant]]]:
    """Return who follows a tree, and what makes contestants of what that showed."""
    watchers = [
        _Following(one.name, program, directories, files)
        for one in tree_watchers.ALL
        if one.follows and one.is_installed()
    ]

    def recorded(what: str) -> list[Contestant]:
        return [_Recorded(one.name, one.recorded[what]) for one in watchers]

    return list(watchers), recorded
