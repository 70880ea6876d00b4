"""What there is to do: the names at which something is, or was, in one state alone."""

from __future__ import annotations

from collections.abc import Iterable

from ._change import Settings
from ._identities import Identities
from ._nodes import Directory, File, Place
from ._working_tree import Node, WorkingTree


class Tasks:
    """What has to be placed, and what was at a name before.

    Parameters:
        identities: which directory is which.
        tree: the former state; it is told which files survive.
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
        """Where things are to be, in the keys of `Identities`."""
        self.origins: dict[File, Place] = {}
        """Where files were that are not new."""
        self.former: dict[Place, None] = {}
        """The places, of those that were touched, at which something was."""
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
        """What has stayed in a directory that is taken for two is new."""
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
        """Return where a file was; None if it is new, or taken for new."""
        origin = file.origin
        if origin is None or file in self._forgotten_files:
            return None
        if origin == place:
            return None if origin[0] in self._identities.forgotten else origin
        return None if file in self._settings.held else origin

    def _drop_moves(self) -> None:
        """Take for other files those whose moves could be left out.

        That is so when a file was modified, too, and has replaced a file, and where it
        was another one has moved to, or a directory is deleted: then "modified" alone
        says the same.
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
