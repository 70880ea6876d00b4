"""Net changes of any events, without a file system: what `Mirror` makes of them.

A model of a tree makes the events that a `TreeWatcher` would. That takes microseconds
an operation, so that the orders of many renames are tried in which things wait for each
other.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator
from typing import Any, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scanned_model import NAMES, ROOT, Emitter

from inotify_cffi import Change, Mirror, TreeEvent, flags

Tree = dict[str, Union["Tree", int]]  # directories are dicts, files their content
DEEPEST = 4


class Model(Emitter):
    """A tree, the events of what was done to it, and whether they say all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tree: Tree = {}
        self.outside: Tree = {}
        self.is_named_alone = False
        self.may_be_exchange = False
        self._count = 0
        self._replaced: set[tuple[str, str]] = set()

    def operate(self, kind: str, one: int, other: int) -> None:
        """Do one operation, if it can be done. Numbers choose among what is there."""
        getattr(self, kind)(one, other)

    def make_directory(self, one: int, other: int) -> None:
        path, above, name = self._place(one, other)
        if name not in above and path.count("/") <= DEEPEST + 1:
            above[name] = {}
            self.emit(path, flags.CREATE, {})

    def write(self, one: int, other: int) -> None:
        path, above, name = self._place(one, other)
        if isinstance(above.get(name), dict):
            return
        mask = flags.MODIFY if name in above else flags.CREATE
        self._count += 1
        above[name] = self._count
        self.emit(path, mask, self._count)

    def delete(self, one: int, other: int) -> None:
        for path, above, name in self._entry(one):
            self._delete(path, above, name)

    def rename(self, one: int, other: int) -> None:
        for old_path, old_above, old_name in self._entry(one):
            path, above, name = self._place(other, one)
            node, former = old_above[old_name], above.get(name)
            if f"{path}/".startswith(f"{old_path}/"):
                continue
            if former is not None:
                if isinstance(former, dict) != isinstance(node, dict) or (
                    isinstance(former, dict) and former
                ):
                    continue
                if isinstance(former, dict):
                    self.emit(path, flags.DELETE, former)
            del old_above[old_name]
            above[name] = node
            self.emit(path, flags.MOVED_TO, node, old_path)
            if not isinstance(node, dict):
                self.may_be_exchange |= (old_path, path) in self._replaced
                self._replaced.add((path, old_path))

    def move_out(self, one: int, other: int) -> None:
        for path, above, name in self._entry(one):
            node = above.pop(name)
            self.outside[NAMES[other % 3]] = node
            self.emit(path, flags.MOVED_FROM, node)

    def move_in(self, one: int, other: int) -> None:
        path, above, name = self._place(one, other)
        if self.outside and name not in above:
            node = above[name] = self.outside.pop(sorted(self.outside)[0])
            self.emit(path, flags.MOVED_TO, node)
            self._scan(path, node)
            self.is_named_alone = True

    def lose(self, one: int, other: int) -> None:
        """Let the queue overflow."""
        self.is_lost = True

    def find(self, one: int = 0, other: int = 0) -> None:
        """Let the watcher scan, if events were lost."""
        if self.is_lost:
            self.is_lost = False
            self.is_named_alone = True
            self.events.append(TreeEvent(ROOT, flags.Q_OVERFLOW, None, True))
            self._scan(ROOT, self.tree)

    def take(self) -> list[TreeEvent]:
        self.find()
        self.is_named_alone = self.may_be_exchange = False
        self._replaced.clear()
        return self.take_events()

    def _scan(self, path: str, node: Tree | int) -> None:
        for name, below in node.items() if isinstance(node, dict) else ():
            self.emit(f"{path}/{name}", flags.CREATE, below, synthetic=True)
            self._scan(f"{path}/{name}", below)

    def _delete(self, path: str, above: Tree, name: str) -> None:
        node = above[name]
        for below in list(node) if isinstance(node, dict) else ():
            self._delete(f"{path}/{below}", node, below)  # type: ignore[arg-type]
        del above[name]
        self.emit(path, flags.DELETE, node)

    def _directories(self) -> list[tuple[str, Tree]]:
        found = [(ROOT, self.tree)]
        for path, directory in found:
            for name, node in directory.items():
                if isinstance(node, dict):
                    found.append((f"{path}/{name}", node))
        return found

    def _place(self, one: int, other: int) -> tuple[str, Tree, str]:
        directories = self._directories()
        path, directory = directories[one % len(directories)]
        name = NAMES[other % 3]
        return f"{path}/{name}", directory, name

    def _entry(self, one: int) -> Iterator[tuple[str, Tree, str]]:
        """Yield one entry, if there is any."""
        found = [
            (f"{path}/{name}", directory, name)
            for path, directory in self._directories()
            for name in directory
        ]
        if found:
            yield found[one % len(found)]


def changed(before: Tree, changes: Iterable[Change], now: Tree) -> Tree | None:
    """Return what changes make of a tree; None: one of them does not apply."""
    tree = copy.deepcopy(before)
    try:
        for change in changes:
            _apply(tree, change, now)
    except (KeyError, TypeError, AssertionError):
        return None
    return tree


def _apply(tree: Tree, change: Change, now: Tree) -> None:
    kind, path, old_path, is_directory = change
    above, name = _find(tree, path)
    if kind == "added":
        assert name not in above
        above[name] = {} if is_directory else _content(now, path)
    elif kind == "modified":
        assert not isinstance(above[name], dict)
        above[name] = _content(now, path)
    elif kind == "deleted":
        assert isinstance(above.pop(name), dict) is is_directory
    else:
        assert old_path is not None
        old_above, old_name = _find(tree, old_path)
        node = old_above.pop(old_name)
        assert isinstance(node, dict) is is_directory
        assert name not in above or not (is_directory or isinstance(above[name], dict))
        above[name] = node


def _find(tree: Tree, path: str) -> tuple[Tree, str]:
    *names, name = path[len(ROOT) + 1 :].split("/")
    for each in names:
        below = tree[each]
        assert isinstance(below, dict)
        tree = below
    return tree, name


def _content(now: Tree, path: str) -> int:
    """Return what a consumer reads at a path; it may have another kind by now."""
    try:
        above, name = _find(now, path)
        node = above[name]
    except (KeyError, AssertionError):
        return -1
    return node if isinstance(node, int) else -1


def names(tree: Tree) -> dict[str, dict[str, Any] | None]:
    """Return a tree without its content."""
    return {
        name: names(node) if isinstance(node, dict) else None
        for name, node in tree.items()
    }


def check(before: Tree, model: Model, mirror: Mirror) -> Tree:
    """Hold one batch against the model; return what it makes of a tree."""
    model.find()
    only_names, is_minimal = model.is_named_alone, not model.may_be_exchange
    mirror.apply(model.take())
    changes = mirror.changes()
    mirror.track()
    tree = changed(before, changes, model.tree)
    assert tree is not None, changes
    assert names(tree) == names(model.tree), changes
    if only_names:  # a mirror takes a file of the same name for the same file
        return copy.deepcopy(model.tree)
    assert tree == model.tree, changes
    for index in range(len(changes)) if is_minimal else ():
        rest = changes[:index] + changes[index + 1 :]
        assert changed(before, rest, model.tree) != model.tree, changes[index]
    return tree


OPERATIONS = st.sampled_from(
    # Most are renames: they make what is in each other's way.
    ["rename"] * 5
    + ["make_directory", "write", "write", "delete", "move_out", "move_in"]
    + ["lose", "find", "batch", "batch"]
)
NUMBERS = st.integers(0, 60)


@settings(
    deadline=None,
    max_examples=int(os.environ.get("CHANGES_EXAMPLES", "500")),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(st.tuples(OPERATIONS, NUMBERS, NUMBERS), max_size=60))
def test_any_operations(operations: list[tuple[str, int, int]]) -> None:
    """Changes apply, make the tree, and none of them can be left out."""
    model = Model()
    for number in range(12):  # so that there is something to rename
        model.operate("make_directory" if number % 3 else "write", number, number)
    mirror = Mirror(ROOT)
    mirror.track()
    tree = check({}, model, mirror)
    for kind, one, other in operations:
        if kind == "batch":
            tree = check(tree, model, mirror)
        else:
            model.operate(kind, one, other)
    check(tree, model, mirror)


MOVED, CREATED, DELETED = flags.MOVED_TO, flags.CREATE, flags.DELETE
ISDIR = flags.ISDIR

# What is there before (a directory has a slash), the events, what is there afterwards.
CYCLES: dict[str, tuple[list[str], list[tuple[int, str, str | None]], Tree]] = {
    # /b is wanted by a new directory, into which the old one moves, without its /b.
    "a file is deleted in a directory that moves into what replaces it": (
        ["c", "b/", "b/b"],
        [
            (MOVED, "b/c", "b/b"),
            (MOVED, "b/c", "c"),
            (MOVED | ISDIR, "c", "b"),
            (CREATED | ISDIR, "b", None),
            (MOVED | ISDIR, "b/c", "c"),
        ],
        {"b": {"c": {"c": 0}}},
    ),
    # /c/a left; what was around it is its parent no more, and has its name now.
    "a directory goes around another one": (
        ["b/", "c/", "c/a/", "c/c/", "c/c/c/", "c/c/b"],
        [
            (MOVED | ISDIR, "b/a", "c/c/c"),
            (flags.MOVED_FROM | ISDIR, "c/a", None),
            (MOVED | ISDIR, "b/a/a", "c"),
            (MOVED | ISDIR, "c", "b/a"),
            (CREATED, "c/b", None),
            (MOVED | ISDIR, "c/a/b", "c/a/c"),
        ],
        {"b": {}, "c": {"a": {"b": {"b": 0}}, "b": 0}},
    ),
    "a directory and one in it exchange their places": (
        ["a/", "a/b/", "a/f", "a/b/g"],
        [
            (MOVED | ISDIR, "c", "a/b"),
            (MOVED | ISDIR, "c/b", "a"),
            (MOVED | ISDIR, "a", "c"),
        ],
        {"a": {"g": 0, "b": {"f": 0}}},
    ),
}


@pytest.mark.parametrize("case", CYCLES)
def test_cycles(case: str) -> None:
    """Directories that wait for each other are taken for two; the changes apply."""
    before, events, after = CYCLES[case]
    mirror = Mirror(ROOT)
    tree: Tree = {}
    for path in before:
        mask = CREATED | ISDIR if path.endswith("/") else CREATED
        mirror.apply([TreeEvent(f"{ROOT}/{path.rstrip('/')}", mask, None, False)])
        above, name = _find(tree, f"{ROOT}/{path.rstrip('/')}")
        above[name] = {} if path.endswith("/") else 0
    mirror.track()
    for mask, path, old_path in events:
        old_path = old_path and f"{ROOT}/{old_path}"
        mirror.apply([TreeEvent(f"{ROOT}/{path}", mask, old_path, False)])
    changes = mirror.changes()
    made = changed(tree, changes, after)
    assert made is not None, changes
    assert names(made) == names(after), changes
