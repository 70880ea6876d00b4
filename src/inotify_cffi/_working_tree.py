"""The tree after the changes so far: the former state, and what is different from it.

Directories are the keys of `Identities`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

from ._change import join
from ._identities import Identities
from ._nodes import Directory, File, Place

Node = Union[Directory, File]
# What has a name: True is a file that nothing is known of, False is nothing.
Found = Union[Node, bool]
NOTHING = False


class WorkingTree:
    """What is where, after the changes so far."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._now: dict[Directory, dict[str, Found]] = {}
        # The places of directories that have been placed.
        self._places: dict[Directory, Place] = {}
        # The files of the former state that are in the present one, by where they were.
        self._surviving: dict[Place, File] = {}

    def note_survivor(self, file: File, origin: Place) -> None:
        """Note where a file was that is in both states."""
        self._surviving[origin] = file

    def forget_file(self, origin: Place) -> None:
        """Let the file that was at a place be gone."""
        del self._surviving[origin]

    def get(self, directory: Directory, name: str) -> Found:
        """Return what has a name: True for a file that is gone at the end."""
        now = self._now.get(directory)
        if now is not None and name in now:
            return now[name]
        if directory.is_new:
            return NOTHING
        entry = directory.had(name)
        return self._surviving.get((directory, name), True) if entry is True else entry

    def set(self, directory: Directory, name: str, node: Found) -> None:
        """Let a name be something, or `NOTHING`."""
        self._now.setdefault(directory, {})[name] = node
        if isinstance(node, Directory):
            self._places[node] = directory, name

    def is_gone(self, entry: Found) -> bool:
        """Whether what is at a place is in the former state alone."""
        if isinstance(entry, Directory):
            return entry not in self._places and self._identities.is_gone(entry)
        return entry is True

    def place(self, directory: Directory) -> Place:
        """Return where a directory is now."""
        place = self._places.get(directory)
        return place or self._identities.former_place(directory)

    def path(self, directory: Directory, name: str) -> str:
        """Return the path of a name as it is now."""
        names = [name]
        while directory is not self._identities.top:
            directory, name = self.place(directory)
            names.append(name)
        root = names.pop()
        names.reverse()
        return join(root, "/".join(names)) if names else root

    def files_below(self, directory: Directory) -> Iterator[str]:
        """Yield what follows a directory's path in those of the files below it."""
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
