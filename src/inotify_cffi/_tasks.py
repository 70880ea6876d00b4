"""The tasks: names that have an owner in only one of the states."""

from __future__ import annotations

from collections.abc import Iterable

from ._change import Settings
from ._identities import Identities
from ._nodes import Directory, File, Place
from ._working_tree import Node, WorkingTree


class Tasks:
    """The things to place, and the former owner of a name.

    Parameters:
        identities: which directory is which.
        tree: the former state; the surviving files are noted in it.
        dirty: the directories of the present state in which something was touched.
        settings: what is held back, and how changes are reported.
        forgotten_files: files that are taken for two, as `Identities` does directories.
    """

    def __init__(
        self,
        identities: Identities,
        tree: WorkingTree,
        dirty: Iterable[Directory],
        settings: Settings,
        forgotten_files: set[File],
    ) -> None:
        self._identities = identities
        self._tree = tree
        self._settings = settings
        self._forgotten_files = forgotten_files
        self.places: dict[Node, Place] = {}
        """The places of things, in the keys of `Identities`."""
        self.origins: dict[File, Place] = {}
        """The former places of files that are not new."""
        self.former: dict[Place, None] = {}
        """The touched places that had an owner."""
        self._collect(dirty)
        self._drop_moves()

    def _collect(self, dirty: Iterable[Directory]) -> None:
        identities = self._identities
        for directory in dict.fromkeys([*dirty, *identities.forgotten]):
            key = identities.key(directory)
            for name in directory.touched or ():
                self._collect_entry(directory, key, name)
            if directory in identities.forgotten:
                self._collect_untouched(directory, key)
        for former in identities.continued():
            for name in former.names():
                self.former[former, name] = None

    def _collect_entry(self, directory: Directory, key: Directory, name: str) -> None:
        if key.had(name):
            self.former[key, name] = None
        entry = directory.own(name)
        if isinstance(entry, Directory):
            self._collect_directory(entry, (key, name))
        elif entry is not None:
            self.places[entry] = key, name
            origin = self._origin(entry, (directory, name))
            if origin is not None:
                self.origins[entry] = origin
                self._tree.note_survivor(entry, origin)

    def _collect_untouched(self, directory: Directory, key: Directory) -> None:
        """The content of a directory that is taken for two is new."""
        touched = directory.touched or {}
        for name in directory.file_names():
            if name not in touched:
                self.places[File(None)] = key, name
        for name, below in (directory.directories or {}).items():
            if name not in touched:
                self._collect_directory(below, (key, name))

    def _collect_directory(self, directory: Directory, place: Place) -> None:
        key = self._identities.key(directory)
        if key.is_new or (
            key is directory and self._identities.former_place(directory) != place
        ):
            self.places[key] = place

    def _origin(self, file: File, place: Place) -> Place | None:
        """Return the former place of a file; None if it is new, or counts as new."""
        origin = file.origin
        if origin is None or file in self._forgotten_files:
            return None
        if origin == place:
            return None if origin[0] in self._identities.forgotten else origin
        return None if file in self._settings.held else origin

    def _drop_moves(self) -> None:
        """Treat files as others if their moves can be left out.

        A move can be left out if the file was modified, too, and has replaced a file,
        and if another one has moved to its former place, or a directory is deleted
        there: then "modified" alone means the same.
        """
        came = {
            place: node
            for node, place in self.places.items()
            if isinstance(node, File) and self.origins.get(node, place) != place
        }
        modified = [file for file in came.values() if file.modified]
        for file in modified:
            place, origin = self.places[file], self.origins[file]
            other = came.get(origin)
            if (other or self._is_deleted(origin[0])) and self._tree.get(
                *place
            ) is True:
                del self.origins[file], came[place]
                self._tree.forget_file(origin)
                if other and other.modified:  # now this has replaced a file
                    modified.append(other)

    def _is_deleted(self, directory: Directory) -> bool:
        """Whether a directory is gone, and is reported as such."""
        return not self._settings.files_only and self._identities.is_gone(directory)
