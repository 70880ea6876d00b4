"""The moves: renames that are pending, and the decisions about them."""

from __future__ import annotations

from typing import NamedTuple, Union

from ._model import Directory


class PendingMove:
    """The first event of a rename, which waits for the second."""

    __slots__ = (
        "child",
        "cookie",
        "is_directory",
        "may_be_exchange",
        "name",
        "parent",
        "second_is_held_back",
        "settled",
        "source_unknown",
    )

    def __init__(
        self,
        parent: Directory,
        name: str,
        cookie: int,
        *,
        is_directory: bool,
        unverified: bool,
    ) -> None:
        self.parent = parent
        self.name = name
        self.cookie = cookie
        self.is_directory = is_directory
        self.child = parent.child(name)
        # The consumer does not have what is renamed: the name was unverified, or
        # what had this name was exchanged for something of the other kind.
        self.source_unknown = unverified or is_directory != (self.child is not None)
        self.second_is_held_back = False
        self.may_be_exchange = False
        self.settled = False


class Ambiguous:
    """A rename of a directory that may be the second half of an exchange.

    Whose MOVE_SELF comes next decides: the directory's own, or another's.
    """

    __slots__ = ("content", "mask", "move", "name", "parent", "settled")

    def __init__(
        self, move: PendingMove, parent: Directory, name: str, mask: int
    ) -> None:
        self.move = move
        self.parent = parent
        self.name = name
        self.mask = mask
        self.content: list[int] = []  # masks of what happened to the name since
        self.settled = False

    def as_decided(self) -> tuple[PendingMove, Directory, str, int, tuple[int, ...]]:
        """Return the fields of `Moved` or `Exchanged`."""
        return self.move, self.parent, self.name, self.mask, tuple(self.content)


class Left(NamedTuple):
    """There is no second event: the name has left the trees."""

    move: PendingMove


class Moved(NamedTuple):
    """A rename inside the trees."""

    move: PendingMove
    parent: Directory
    name: str
    mask: int
    content: tuple[int, ...] = ()  # masks to report behind it


class Arrived(NamedTuple):
    """Something came to a name from outside the trees."""

    parent: Directory
    name: str
    mask: int


class Unsure(NamedTuple):
    """Nothing can be reported yet: the move is ambiguous."""

    move: PendingMove


class Exchanged(NamedTuple):
    """The name that seemed to move was exchanged; something else has its place."""

    move: PendingMove
    parent: Directory
    name: str
    mask: int
    content: tuple[int, ...]


Decision = Union[Left, Moved, Arrived, Unsure, Exchanged]
