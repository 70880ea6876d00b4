"""The reported changes: of directories, or only of the files in them."""

from __future__ import annotations

from ._change import Change, Settings
from ._nodes import Directory, Place
from ._working_tree import NOTHING, Found, WorkingTree


class Report:
    """Lists changes of a tree, each before it is applied to the tree."""

    def __init__(self, tree: WorkingTree, settings: Settings) -> None:
        self._tree = tree
        self._files_only = settings.files_only
        self.changes: list[Change] = []

    def add_file(self, directory: Directory, name: str) -> None:
        path = self._tree.path(directory, name)
        self.changes.append(Change("added", path, None, is_directory=False))

    def add_directory(self, directory: Directory, name: str) -> None:
        if not self._files_only:
            path = self._tree.path(directory, name)
            self.changes.append(Change("added", path, None, is_directory=True))

    def modify(self, directory: Directory, name: str) -> None:
        path = self._tree.path(directory, name)
        self.changes.append(Change("modified", path, None, is_directory=False))

    def move_file(self, old_place: Place, place: Place) -> None:
        old_path, path = self._tree.path(*old_place), self._tree.path(*place)
        self.changes.append(Change("moved", path, old_path, is_directory=False))

    def move_directory(self, node: Directory, old_place: Place, place: Place) -> None:
        old_path, path = self._tree.path(*old_place), self._tree.path(*place)
        if not self._files_only:
            self.changes.append(Change("moved", path, old_path, is_directory=True))
            return
        for below in self._tree.files_below(node):
            change = Change("moved", path + below, old_path + below, is_directory=False)
            self.changes.append(change)

    def delete(self, directory: Directory, name: str, entry: Found) -> None:
        """Report the deletion of a place's owner, and make the place free."""
        path = self._tree.path(directory, name)
        is_directory = isinstance(entry, Directory)
        if isinstance(entry, Directory) and self._files_only:
            for below in self._tree.files_below(entry):
                change = Change("deleted", path + below, None, is_directory=False)
                self.changes.append(change)
        else:
            self.changes.append(Change("deleted", path, None, is_directory))
        self._tree.set(directory, name, NOTHING)
