"""A copy of some trees, kept by net changes alone, that refuses what does not apply."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Union

from inotify_cffi import Change

COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE: what the kernel stamps files with

Tree = dict[str, Union["Tree", bytes]]  # directories are dicts, files their content


class DoesNotApply(Exception):
    """A change does not apply to what the changes before it have left."""


def wait_for_a_tick() -> None:
    """Return when all file times of now are before the clock of file times.

    Since Linux 6.13 a file may be stamped by the fine clock, which is ahead of it.
    """
    now = time.time_ns()
    while time.clock_gettime_ns(COARSE_CLOCK) <= now:
        pass  # for some milliseconds


def read_tree(path: str) -> Tree:
    """The tree at a path, with the content of the files."""
    tree: Tree = {}
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                tree[entry.name] = read_tree(entry.path)
            else:
                tree[entry.name] = read_file(entry.path)
    return tree


def read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Replica:
    """A copy of a tree: a file's content is read when a change of it is reported."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.tree = read_tree(root)

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            try:
                self._apply(change)
            except (KeyError, TypeError) as error:
                raise DoesNotApply(f"{change}: {error!r}") from error

    def _apply(self, change: Change) -> None:
        kind, path, old_path, is_directory = change
        above, name = self._find(path)
        if kind == "added":
            _demand(name not in above, change, "is there already")
            above[name] = {} if is_directory else self.content(path)
        elif kind == "modified":
            _demand(isinstance(above[name], bytes), change, "is no file")
            above[name] = self.content(path)
        elif kind == "deleted":
            gone = above.pop(name)
            _demand(isinstance(gone, dict) is is_directory, change, "is another kind")
        elif kind == "moved":
            assert old_path is not None
            old_above, old_name = self._find(old_path)
            moved = old_above.pop(old_name)
            _demand(isinstance(moved, dict) is is_directory, change, "is another kind")
            if name in above:
                both_files = isinstance(moved, bytes) and isinstance(above[name], bytes)
                _demand(both_files, change, "is in the way")
            above[name] = moved
        else:
            _demand(False, change, "is of no kind")

    def content(self, path: str) -> bytes:
        """The result of a consumer that reads every file that is reported."""
        return read_file(path)

    def _find(self, path: str) -> tuple[Tree, str]:
        *names, name = path[len(self.root) + 1 :].split("/")
        above = self.tree
        for each in names:
            below = above[each]
            if not isinstance(below, dict):
                raise KeyError(each)
            above = below
        return above, name


def _demand(condition: bool, change: Change, why: str) -> None:
    if not condition:
        raise DoesNotApply(f"{change}: {why}")


def superfluous(before: Tree, root: str, changes: Sequence[Change]) -> list[Change]:
    """The changes without which the others make the same tree."""
    found = []
    true = read_tree(root)
    for index, change in enumerate(changes):
        replica = Replica(root)
        replica.tree = copied(before)
        try:
            replica.apply([*changes[:index], *changes[index + 1 :]])
        except DoesNotApply:
            continue
        if replica.tree == true:
            found.append(change)
    return found


def copied(tree: Tree) -> Tree:
    return {
        name: copied(below) if isinstance(below, dict) else below
        for name, below in tree.items()
    }
