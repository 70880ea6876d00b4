"""Unverified names: they may exist, though the consumer does not have them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Callable, NamedTuple

from ._model import Directory, Kind, State


class Name(NamedTuple):
    """A name in a directory, and whether it is a directory."""

    parent: Directory
    name: str
    is_directory: bool


class UnverifiedNames:
    """Names that an exchange may have left where they seem to have gone from.

    A name is unverified until the disk was asked, and the queue was read after
    that; or until an event says what became of it.
    """

    def __init__(self) -> None:
        self._names: dict[Directory, set[str]] = {}
        self._found: dict[tuple[Directory, str], Kind] = {}

    def __len__(self) -> int:
        return len(self._names)

    def directories(self) -> Collection[Directory]:
        """Return where any name is unverified; it is kept up to date."""
        return self._names

    def add(self, parent: Directory, name: str) -> None:
        self._names.setdefault(parent, set()).add(name)

    def take(self, parent: Directory, name: str) -> bool:
        """Return whether a name was unverified; it is not any more."""
        if not self._names:
            return False
        self._found.pop((parent, name), None)  # the result is outdated
        names = self._names.get(parent)
        if names is None or name not in names:
            return False
        names.discard(name)
        if not names:
            del self._names[parent]
        return True

    def ask(
        self,
        find: Callable[[Directory, str], Kind | None],
        is_undecided: Callable[[Directory, str], bool],
    ) -> bool:
        """Ask the disk for all names.

        Parameters:
            find: returns what has a name, or None where that cannot be asked now.
            is_undecided: returns whether a rename decides about the name first.

        Returns:
            Whether the disk was asked: then `finish` has to follow, when the queue
            was read.
        """
        asked = False
        for parent, names in self._names.items():
            if parent.status is State.FORGOTTEN:
                continue
            for name in names:
                kind = None if is_undecided(parent, name) else find(parent, name)
                if kind is not None:
                    self._found[parent, name] = kind
                    asked = True
        return asked

    def finish(self, has_moved: Callable[[Directory], bool]) -> Iterator[Name]:
        """Yield the names that exist, now that the queue says nothing else.

        Parameters:
            has_moved: returns whether a directory moved since the disk was asked.
                Then it has to be asked again.
        """
        if not self._names:
            return
        found, self._found = self._found, {}
        for (parent, name), kind in found.items():
            if (
                parent.status not in (State.FORGOTTEN, State.UNSCANNED)
                and not has_moved(parent)
                and self.take(parent, name)
                and parent.child(name) is None
                and kind is not Kind.NOTHING
            ):
                yield Name(parent, name, kind is Kind.DIRECTORY)
        # A scan that comes will find the others of such a directory.
        for parent in list(self._names):
            if parent.status in (State.FORGOTTEN, State.UNSCANNED):
                del self._names[parent]

    def forget_all(self) -> None:
        self._names.clear()
        self._found.clear()
