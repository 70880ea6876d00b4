"""The steps of a way to a root, and its destination."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from ._masks import DELETE_SELF, MOVE_SELF, UNMOUNT


class Kind(Enum):
    """The kind of a path's destination."""

    DIRECTORY = "directory"
    FILE = "file"
    NOTHING = "nothing"


class Destination(NamedTuple):
    """The destination of a path."""

    kind: Kind
    path: str
    """The path without links and dots; of what is missing, where it would be."""
    wd: int
    """The watch of the directory; else of the directory that has the name, or should.
    0 where that could not be watched."""
    name: str
    """The name in that directory; ``""`` for a directory."""
    failure: int
    """The errno that says why there is nothing; else 0."""


_NOWHERE = Destination(Kind.NOTHING, "", 0, "", 0)


class Waypoint:
    """A directory or a link that ways lead through, with its watch.

    `awaited` has the names in it on which a way depends without a waypoint of theirs.
    """

    __slots__ = (
        "awaited",
        "children",
        "mask",
        "name",
        "parent",
        "path",
        "target",
        "ways",
        "wd",
    )

    def __init__(self, parent: Waypoint | None, name: str, path: str) -> None:
        self.parent = parent
        self.name = name
        self.path = path
        self.wd = 0
        self.mask = 0
        self.target: str | None = None  # what a link says
        self.children: dict[str, Waypoint] = {}
        self.ways: set[Way] = set()
        self.awaited: dict[str, set[Way]] = {}

    def isolate(self) -> None:
        """Drop the references to others, which form cycles with theirs."""
        self.parent = None
        self.children.clear()
        self.ways.clear()
        self.awaited.clear()

    def find(self, path: str) -> Waypoint | None:
        """Return the waypoint below this of a path without links and dots."""
        found: Waypoint | None = self
        for name in names_of(path):
            found = found.children.get(name) if found else None
        return found


class Way:
    """The way to one root."""

    __slots__ = ("awaits", "destination", "reason", "steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps: set[Waypoint] = set()
        self.awaits: list[tuple[Waypoint, str]] = []
        self.destination = _NOWHERE
        self.reason = 0  # what was reported since it was last resolved

    def is_entry(self, wd: int, name: str) -> bool:
        """Whether this leads to a file that has this name in this directory."""
        to = self.destination
        return to.kind is Kind.FILE and to.name == name and to.wd == wd

    def end(self) -> int:
        """Return how a root that was here has ended, as DELETE_SELF and the like."""
        for bit in (UNMOUNT, DELETE_SELF, MOVE_SELF):
            if self.reason & bit:
                return bit
        gone = self.destination.kind is Kind.NOTHING
        return DELETE_SELF if gone else MOVE_SELF


class DoubtfulWays(dict[Way, None]):
    """The ways that have to be resolved, in the order of the events."""

    __slots__ = ()

    def add(self, ways: Iterable[Way]) -> None:
        self.update(dict.fromkeys(ways))

    def discard(self, way: Way) -> None:
        """Forget that a way has to be resolved."""
        self.pop(way, None)

    def take(self) -> list[Way]:
        """Take all of them."""
        ways = list(self)
        self.clear()
        return ways


def names_of(path: str) -> list[str]:
    """Return the names in a path that lead anywhere."""
    names = path.split("/")
    if not names[0]:
        del names[0]
    if "" in names or "." in names:  # few paths have them
        return [name for name in names if name not in ("", ".")]
    return names
