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
        self._is_stopped = False
        self.changes: list[Change] = []

    def stop(self) -> None:
        """List no more: the tree is no state of the trees any more, and has no paths.

        A directory may be below itself, so that asking for its path would not end.
        """
        self._is_stopped = True

    def add_file(self, directory: Directory, name: str) -> None:
        self._append("added", (directory, name), is_directory=False)

    def add_directory(self, directory: Directory, name: str) -> None:
        if not self._files_only:
            self._append("added", (directory, name), is_directory=True)

    def modify(self, directory: Directory, name: str) -> None:
        self._append("modified", (directory, name), is_directory=False)

    def move_file(self, old_place: Place, place: Place) -> None:
        self._append("moved", place, old_place, is_directory=False)

    def move_directory(self, node: Directory, old_place: Place, place: Place) -> None:
        if self._files_only:
            self._append_files("moved", node, place, old_place)
        else:
            self._append("moved", place, old_place, is_directory=True)

    def delete(self, directory: Directory, name: str, entry: Found) -> None:
        """Report the deletion of a place's owner, and make the place free."""
        if isinstance(entry, Directory) and self._files_only:
            self._append_files("deleted", entry, (directory, name))
        else:
            is_directory = isinstance(entry, Directory)
            self._append("deleted", (directory, name), is_directory=is_directory)
        self._tree.set(directory, name, NOTHING)

    def _append(
        self,
        kind: str,
        place: Place,
        old_place: Place | None = None,
        *,
        is_directory: bool,
    ) -> None:
        if not self._is_stopped:
            path = self._tree.path(*place)
            old_path = None if old_place is None else self._tree.path(*old_place)
            self.changes.append(Change(kind, path, old_path, is_directory))

    def _append_files(
        self,
        kind: str,
        directory: Directory,
        place: Place,
        old_place: Place | None = None,
    ) -> None:
        """Report each file below a directory instead of it."""
        if self._is_stopped:
            return
        path = self._tree.path(*place)
        old_path = None if old_place is None else self._tree.path(*old_place)
        for below in self._tree.files_below(directory):
            before = None if old_path is None else old_path + below
            change = Change(kind, path + below, before, is_directory=False)
            self.changes.append(change)
