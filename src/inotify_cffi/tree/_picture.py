"""What a watcher believes a tree to be: directories, their names, their watches.

Only directories are in the picture. The names of files are not kept: behind its
window (see `_narrator`), the kernel's log of a directory is consistent by itself.
A path is computed by walking up, so that a rename costs the same for any size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator


class Directory:
    """A directory that the consumer knows of; `wd` is 0 while it has no watch."""

    __slots__ = ("children", "name", "parent", "wd")

    def __init__(self, parent: Directory | None, name: str) -> None:
        self.parent = parent
        self.name = name
        self.wd = 0
        self.children: dict[str, Directory] | None = None  # most have none

    def child(self, name: str) -> Directory | None:
        return self.children.get(name) if self.children else None

    def add(self, name: str) -> Directory:
        child = Directory(self, name)
        if self.children is None:
            self.children = {}
        self.children[name] = child
        return child

    def move(self, parent: Directory, name: str) -> None:
        self.detach()
        self.parent = parent
        self.name = name
        if parent.children is None:
            parent.children = {}
        parent.children[name] = self

    def detach(self) -> None:
        if self.parent is not None and self.parent.children:
            if self.parent.children.get(self.name) is self:
                del self.parent.children[self.name]
            if not self.parent.children:
                self.parent.children = None
        self.parent = None

    def with_all_below(self) -> Iterator[Directory]:
        stack = [self]
        while stack:
            directory = stack.pop()
            yield directory
            if directory.children:
                stack.extend(directory.children.values())

    def with_all_above(self) -> Iterator[Directory]:
        directory: Directory | None = self
        while directory is not None:
            yield directory
            directory = directory.parent

    @property
    def root(self) -> Root | None:
        """The root it is below, or None when it has left the picture."""
        for top in self.with_all_above():
            if isinstance(top, Root) and not top.lost:
                return top
        return None


class Root(Directory):
    """The top of a tree. It has a parent only while it is part of another's.

    `place` is the absolute path of the directory to watch: which directory the
    process was in when the root was given must not matter later.
    """

    __slots__ = ("given", "identity", "lost", "place")

    def __init__(self, given: str) -> None:
        super().__init__(None, given)
        self.given = given
        self.place = os.path.abspath(given)
        self.identity: tuple[int, int] | None = None  # device and inode
        self.lost = False


class FileRoot(Root):
    """A file, followed by its name in the directory that it is in."""

    __slots__ = ("base",)

    def __init__(self, given: str) -> None:
        super().__init__(given)
        self.place, self.base = os.path.split(self.place)


def join(path: str, name: str) -> str:
    return f"{path}{name}" if path.endswith("/") else f"{path}/{name}"


def _way_up(directory: Directory) -> tuple[Root, str]:
    names = []
    while directory.parent is not None:
        names.append(directory.name)
        directory = directory.parent
    assert isinstance(directory, Root)
    return directory, "/".join(reversed(names))


class Picture:
    """Whose watch is whose, and where everything is.

    A watch can have several owners: roots that overlap, or a directory that is
    mounted at two places.
    """

    def __init__(self) -> None:
        self._owners: dict[int, Directory | tuple[Directory, ...]] = {}
        self._paths: dict[Directory, str] = {}

    def owners(self, wd: int) -> tuple[Directory, ...]:
        owner = self._owners.get(wd)
        if owner is None:
            return ()
        return owner if isinstance(owner, tuple) else (owner,)

    def own(self, directory: Directory, wd: int) -> None:
        directory.wd = wd
        if wd in self._owners:
            self._owners[wd] = (*self.owners(wd), directory)
        else:
            self._owners[wd] = directory

    def disown(self, directory: Directory) -> bool:
        """Take its watch from a directory; return whether nobody has it now."""
        wd, directory.wd = directory.wd, 0
        left = tuple(owner for owner in self.owners(wd) if owner is not directory)
        if len(left) > 1:
            self._owners[wd] = left
        elif left:
            self._owners[wd] = left[0]
        else:
            self._owners.pop(wd, None)
        return wd != 0 and not left

    def forget_watch(self, wd: int) -> None:
        for directory in self.owners(wd):
            directory.wd = 0
        self._owners.pop(wd, None)

    def forget_all_watches(self) -> set[int]:
        """Take their watches from all directories; return the watches."""
        watches = set(self._owners)
        self._owners.clear()
        return watches

    def __len__(self) -> int:
        return len(self._owners)

    def path(self, directory: Directory) -> str:
        """The path to tell: the root as it was given, and what is below it."""
        known = self._paths.get(directory)
        if known is None:
            top, names = _way_up(directory)
            known = join(top.given, names) if names else top.given
            self._paths[directory] = known
        return known

    def place(self, directory: Directory) -> str:
        """The absolute path to look at."""
        top, names = _way_up(directory)
        return join(top.place, names) if names else top.place

    def paths_changed(self) -> None:
        """To be called after any move, and now and then, as it bounds the memory."""
        self._paths.clear()
