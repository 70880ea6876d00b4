"""The tree after the changes so far: the former state, and the differences from it.

Directories are the keys of `Identities`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

from ._change import join
from ._identities import Identities
from ._nodes import Directory, File, Place

Node = Union[Directory, File]
# The owner of a name: True is an unknown file, False is nothing.
Found = Union[Node, bool]
NOTHING = False


class WorkingTree:
    """The owners of places, after the changes so far."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._now: dict[Directory, dict[str, Found]] = {}
        # The places of directories that have been placed.
        self._places: dict[Directory, Place] = {}
        # The files of both states, by their former places.
        self._surviving: dict[Place, File] = {}

    def note_survivor(self, file: File, origin: Place) -> None:
        """Note the former place of a file that is in both states."""
        self._surviving[origin] = file

    def forget_file(self, origin: Place) -> None:
        """Note that the file of a former place is gone."""
        del self._surviving[origin]

    def get(self, directory: Directory, name: str) -> Found:
        """Return the owner of a name: True for a file that is gone at the end."""
        now = self._now.get(directory)
        if now is not None and name in now:
            return now[name]
        if directory.is_new:
            return NOTHING
        entry = directory.had(name)
        return self._surviving.get((directory, name), True) if entry is True else entry

    def set(self, directory: Directory, name: str, node: Found) -> None:
        """Give a name an owner, or `NOTHING`."""
        self._now.setdefault(directory, {})[name] = node
        if isinstance(node, Directory):
            self._places[node] = directory, name

    def is_gone(self, entry: Found) -> bool:
        """Whether the owner of a place is only in the former state."""
        if isinstance(entry, Directory):
            return entry not in self._places and self._identities.is_gone(entry)
        return entry is True

    def place(self, directory: Directory) -> Place:
        """Return the present place of a directory."""
        place = self._places.get(directory)
        return place or self._identities.former_place(directory)

    def path(self, directory: Directory, name: str) -> str:
        """Return the present path of a name."""
        names = [name]
        while directory is not self._identities.top:
            directory, name = self.place(directory)
            names.append(name)
        root = names.pop()
        names.reverse()
        return join(root, "/".join(names)) if names else root

    def files_below(self, directory: Directory) -> Iterator[str]:
        """Yield the paths of the files below a directory, relative to it."""
        stack = [(directory, "")]
        while stack:
            above, path = stack.pop()
            former = () if above.is_new else above.names()
            for name in dict.fromkeys([*former, *self._now.get(above, ())]):
                entry = self.get(above, name)
                if isinstance(entry, Directory):
                    stack.append((entry, f"{path}/{name}"))
                elif entry is not NOTHING:
                    yield f"{path}/{name}"
