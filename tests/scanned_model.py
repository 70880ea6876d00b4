"""A model of a tree that a watcher scans step by step while it changes.

It makes the events that a `TreeWatcher` would: before a directory is scanned, nothing
in it has an event. So overflows, scans and renames come in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Union

from inotify_cffi import TreeEvent, flags

ROOT = "/root"
NAMES = "abc"
DEEPEST = 5
Plain = dict[str, Union["Plain", int]]  # directories are dicts, files their content


class Emitter:
    """What a model has emitted; while events are lost, nothing is."""

    def __init__(self) -> None:
        self.events: list[TreeEvent] = []
        self.is_lost = False

    def emit(
        self,
        path: str,
        mask: int,
        node: dict[str, Any] | int,
        old_path: str | None = None,
        *,
        synthetic: bool = False,
    ) -> None:
        """Emit an event of a node: directories are dicts."""
        if not self.is_lost:
            mask |= flags.ISDIR if isinstance(node, dict) else 0
            self.events.append(TreeEvent(path, int(mask), old_path, synthetic))

    def take_events(self) -> list[TreeEvent]:
        """Return what was emitted since the last call."""
        events, self.events = self.events, []
        return events


class Directory(dict[str, Union["Directory", int]]):
    """A directory, and whether the watcher has scanned it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_scanned = False
        # Names that a rename brought before the scan, and that was reported.
        self.reported: set[str] = set()

    def forget(self) -> None:
        """Have nothing known of what is in it."""
        self.is_scanned = False
        self.reported.clear()
        for node in self.values():
            if isinstance(node, Directory):
                node.forget()

    def known(self) -> Plain:
        """Return what was reported."""
        return {
            name: node.known() if isinstance(node, Directory) else node
            for name, node in self.items()
            if self.is_scanned or name in self.reported
        }


Place = tuple[str, Directory, str]


class Model(Emitter):
    """A tree, the events of what was done to it, and the scans that are due."""

    OPERATIONS = (
        *["rename"] * 6,
        *["make_directory", "write", "write_late"] * 2,
        *["delete", "move_out", "move_in"],
        *["scan"] * 3,
        *["find"] * 2,
    )

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.tree = Directory()
        self._chance = chance
        self._outside: dict[str, Directory | int] = {}
        self._count = 0
        for _ in range(14):  # so that there is something to rename
            self.operate(chance.choice(["make_directory", "make_directory", "write"]))

    def operate(self, kind: str | None = None) -> None:
        """Do one operation, if it can be done."""
        getattr(self, kind or self._chance.choice(self.OPERATIONS))()

    def make_directory(self) -> None:
        path, above, name = self._place()
        if name not in above and path.count("/") <= DEEPEST:
            above[name] = Directory()
            self._appear(path, above, name, flags.CREATE)

    def write(self) -> None:
        path, above, name = self._place()
        if isinstance(above.get(name), Directory):
            return
        self._count += 1
        is_known = name in above and self._is_known(above, name)
        is_new = name not in above
        above[name] = self._count
        if is_new:
            self._appear(path, above, name, flags.CREATE)
        elif is_known:
            self.emit(path, flags.MODIFY, self._count)

    def write_late(self) -> None:
        """Write to a file under a name that something else has by now, or nothing.

        The kernel holds no lock between reading the name and queuing the event.
        """
        path, above, name = self._place()
        if above.is_scanned and not isinstance(above.get(name), int):
            self.emit(path, flags.MODIFY, 0)

    def delete(self) -> None:
        for path, above, name in self._entry():
            self._delete(path, above, name)

    def rename(self) -> None:
        for old_path, old_above, old_name in self._entry():
            path, above, name = self._place()
            node, victim = old_above[old_name], above.get(name)
            if f"{path}/".startswith(f"{old_path}/") or victim is node:
                continue
            if victim is not None and not _replaces(node, victim):
                continue
            was_known = self._is_known(old_above, old_name)
            name_was_known = self._is_known(above, name)
            if isinstance(victim, Directory):
                self._delete(path, above, name)
            # Where nothing makes the scan of a directory invalid, a rename into it is
            # reported at once.
            if was_known and self._is_reported(above) and self._chance.random() < 0.5:
                above.reported.add(name)
            del old_above[old_name]
            old_above.reported.discard(old_name)
            above[name] = node
            if was_known and self._is_known(above, name):
                self.emit(path, flags.MOVED_TO, node, old_path)
                continue
            if was_known:
                self.emit(old_path, flags.MOVED_FROM, node)
            if name_was_known and victim is not None:
                above.reported.add(name)
            self._appear(path, above, name, flags.MOVED_TO)

    def move_out(self) -> None:
        for path, above, name in self._entry():
            node = above.pop(name)
            if self._is_known(above, name):
                self.emit(path, flags.MOVED_FROM, node)
            above.reported.discard(name)
            self._outside[self._chance.choice(NAMES)] = node

    def move_in(self) -> None:
        path, above, name = self._place()
        if self._outside and name not in above:
            above[name] = self._outside.pop(min(self._outside))
            self._appear(path, above, name, flags.MOVED_TO)

    def lose(self) -> None:
        """Let the queue overflow."""
        self.is_lost = True

    def find(self) -> None:
        """Let the watcher read the overflow."""
        if self.is_lost:
            self.is_lost = False
            self.emit(ROOT, flags.Q_OVERFLOW, 0)
            self.tree.forget()

    def scan(self) -> None:
        """Let the watcher scan one directory, if there is one to scan."""
        due = [
            (path, directory)
            for path, directory in self._directories()
            if not directory.is_scanned and self._is_reported(directory)
        ]
        if due:
            path, directory = self._chance.choice(due)
            for name, node in directory.items():
                if name not in directory.reported:
                    self.emit(f"{path}/{name}", flags.CREATE, node, synthetic=True)
                    if isinstance(node, Directory):
                        node.forget()
            directory.is_scanned = True
            directory.reported.clear()

    def take(self, *, is_complete: bool) -> list[TreeEvent]:
        """Return the events; with all scans, or with those so far."""
        if is_complete:
            self.find()
            for _ in self._directories():
                self.scan()
        return self.take_events()

    def _appear(self, path: str, above: Directory, name: str, mask: int) -> None:
        node = above[name]
        if isinstance(node, Directory):
            node.forget()
        if self._is_known(above, name):
            self.emit(path, mask, node)

    def _delete(self, path: str, above: Directory, name: str) -> None:
        node = above[name]
        if isinstance(node, Directory):
            for below in list(node):
                self._delete(f"{path}/{below}", node, below)
        del above[name]
        if self._is_known(above, name):
            self.emit(path, flags.DELETE, node)
        above.reported.discard(name)

    def _is_known(self, above: Directory, name: str) -> bool:
        """Whether events of a name are reported."""
        return not self.is_lost and (above.is_scanned or name in above.reported)

    def _is_reported(self, directory: Directory) -> bool:
        """Whether a directory itself was reported."""
        stack = [] if self.is_lost else [self.tree]
        while stack:
            above = stack.pop()
            if above is directory:
                return True
            stack += [
                node
                for name, node in above.items()
                if isinstance(node, Directory) and self._is_known(above, name)
            ]
        return False

    def _directories(self) -> list[tuple[str, Directory]]:
        found = [(ROOT, self.tree)]
        for path, directory in found:
            for name, node in directory.items():
                if isinstance(node, Directory):
                    found.append((f"{path}/{name}", node))
        return found

    def _place(self) -> Place:
        path, directory = self._chance.choice(self._directories())
        name = self._chance.choice(NAMES)
        return f"{path}/{name}", directory, name

    def _entry(self) -> Iterator[Place]:
        """Yield one entry, if there is any."""
        found = [
            (f"{path}/{name}", directory, name)
            for path, directory in self._directories()
            for name in directory
        ]
        if found:
            yield self._chance.choice(found)


def _replaces(node: Directory | int, victim: Directory | int) -> bool:
    if isinstance(victim, Directory):
        return isinstance(node, Directory) and not victim
    return not isinstance(node, Directory)


def paths(tree: Plain, above: str = ROOT) -> Iterator[str]:
    for name, node in tree.items():
        yield f"{above}/{name}"
        if isinstance(node, dict):
            yield from paths(node, f"{above}/{name}")


def operations(model: Model, chance: Random) -> Iterator[None]:
    """Change a tree, and lose events; yield now and then."""
    losses = chance.choice([0.0, 0.03, 0.1])
    yield
    for _ in range(chance.choice([5, 10, 40, 120])):
        if chance.random() < losses:
            model.lose()
        elif chance.random() < 0.1:
            yield
        else:
            model.operate()
