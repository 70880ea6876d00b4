"""The model of the trees: directories, their names, what state each is in.

Only directories are in the model. The names of files are not kept: behind the
window of its scan (see the package's docstring), the kernel's log of a directory is
consistent by itself. A path is computed by walking up, so that a rename costs the
same for any size.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from typing import Union


class State(enum.Enum):
    """The states of a directory. Each directory is in exactly one of them."""

    WATCHED = "it has a watch; its events are reported as they come"
    UNSCANNED = "it is known by name; it has to be scanned"
    BY_NAME = "it is known by name only: below it, nothing was asked for"
    SCANNING = "it was scanned; the fence of that scan is still in the queue"
    UNREADABLE = "it may not be read; it is scanned again after an ATTRIB"
    BEYOND_LIMIT = "the limit of watches was reached before it was scanned"
    WATCH_LOST = "the kernel removed its watch; a DELETE should follow"
    UNMOUNTED = "what was mounted there is gone; the mount point is scanned next"
    FORGOTTEN = "it is not part of the model any more"

    __hash__ = object.__hash__  # that of Enum is a call in Python

    @property
    def wd(self) -> int:
        """The watch of a directory that has no other status than this."""
        return 0


class Scanning:
    """The status of a directory in the window of its scan; `wd` may be 0."""

    __slots__ = ("wd",)

    def __init__(self, wd: int) -> None:
        self.wd = wd


# One slot of a directory says it all, as a second one would be 16 bytes more: a
# number is the watch descriptor of a directory that is WATCHED.
Status = Union[int, Scanning, State]


class Kind(enum.Enum):
    """The kind of thing that has a name on the disk."""

    DIRECTORY = "a directory"
    OTHER = "anything else"
    NOTHING = "nothing"


class Directory:
    """A directory that the consumer knows of.

    `Scans` alone changes the status.
    """

    __slots__ = ("children", "name", "parent", "status")

    def __init__(self, parent: Directory | None, name: str) -> None:
        self.parent = parent
        self.name = name
        self.status: Status = State.UNSCANNED
        self.children: dict[str, Directory] | None = None  # most have none

    @property
    def state(self) -> State:
        status = self.status
        if isinstance(status, State):
            return status
        return State.WATCHED if isinstance(status, int) else State.SCANNING

    @property
    def wd(self) -> int:
        """The descriptor of its watch; 0 while it has none."""
        status = self.status
        return status if isinstance(status, int) else status.wd

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

    def isolate(self) -> None:
        """Drop the references up and down, which form cycles with each other."""
        self.parent = self.children = None

    def walk(self) -> list[Directory]:
        """Return this directory and all below it."""
        found = [self]
        for directory in found:  # and those that are added meanwhile
            if directory.children:
                found.extend(directory.children.values())
        return found

    def ancestors(self) -> Iterator[Directory]:
        """Yield this directory and all above it."""
        directory: Directory | None = self
        while directory is not None:
            yield directory
            directory = directory.parent

    @property
    def top(self) -> Top | None:
        """The top of the tree it is in, or None when it has been forgotten."""
        if self.status is State.FORGOTTEN:
            return None
        *_, top = self.ancestors()
        assert isinstance(top, Top)
        return top


class Top(Directory):
    """The directory that a root leads to.

    It has a parent only when it has become part of another root's tree; then it is a
    directory like any other.

    `given` is the root as it was given. `fs_path` is the absolute path without links:
    which directory the process was in when the root was given must not matter later.
    """

    __slots__ = ("device", "fs_path", "given")

    def __init__(self, given: str, fs_path: str) -> None:
        super().__init__(None, given)
        self.given = given
        self.fs_path = fs_path
        self.device = 0  # known where it matters

    def stand_alone(self, given: str, fs_path: str) -> None:
        """Become the top of a tree of its own."""
        self.detach()
        self.name = self.given = given
        self.fs_path = fs_path


def forgotten_in(
    table: Collection[Directory], directories: Collection[Directory]
) -> list[Directory]:
    """Return which directories of a table have just left the model.

    A tree that leaves may be big while the table is small, or the other way round. The
    smaller one is gone through.

    Parameters:
        table: a dict or a set.
        directories: those that have left; their state is FORGOTTEN.
    """
    if len(table) < len(directories):
        return [each for each in table if each.status is State.FORGOTTEN]
    return [each for each in directories if each in table]


def join(path: str, name: str) -> str:
    return f"{path}{name}" if path.endswith("/") else f"{path}/{name}"


def _way_up(directory: Directory) -> tuple[Top, str]:
    names = []
    while directory.parent is not None:
        names.append(directory.name)
        directory = directory.parent
    assert isinstance(directory, Top)
    return directory, "/".join(reversed(names))


# Paths that are kept, as long as no directory with others below it moves or goes.
_MOST_PATHS = 1024


class Paths:
    """The paths of the directories, for the consumer and for the kernel."""

    def __init__(self) -> None:
        self._reported: dict[Directory, str] = {}

    def report_path(self, directory: Directory) -> str:
        """The path to report: the root as it was given, and what is below it."""
        known = self._reported.get(directory)
        if known is None:
            top, names = _way_up(directory)
            known = join(top.given, names) if names else top.given
            self._reported[directory] = known
        return known

    def entry_path(self, parent: Directory, name: str) -> str:
        """The path to report of a name in a directory."""
        return join(self.report_path(parent), name)

    @staticmethod
    def below_top(parent: Directory, name: str) -> str:
        """The path of a name in a directory, below the root."""
        _, names = _way_up(parent)
        return f"{names}/{name}" if names else name

    @staticmethod
    def fs_path(directory: Directory) -> str:
        """The absolute path to watch and to list."""
        top, names = _way_up(directory)
        return join(top.fs_path, names) if names else top.fs_path

    def changed(self, directory: Directory | None = None) -> None:
        """To be called after any move, and when a directory has left the model.

        Parameters:
            directory: the one that this concerns; None: any.
        """
        kept = self._reported
        if directory is None or directory.children or len(kept) > _MOST_PATHS:
            kept.clear()
        else:
            kept.pop(directory, None)
