"""The changes of most batches, in which no thing is in the way of another.

Finding them takes a tenth of the time that `Placement` takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._change import Change, Settings, join
from ._identities import Identities
from ._nodes import FOUND, MODIFIED, NEW, REPLACED, Directory, File, Place

_new = tuple.__new__  # as Change does, in half of the time


class SimpleDifference:
    """Find the changes, or that they need an order.

    Parameters:
        dirty: the directories of the present state in which something was touched.
        settings: what is held back, and how changes are reported.
        identities: which directory is which, none of them forgotten.
    """

    def __init__(
        self,
        dirty: Sequence[Directory],
        settings: Settings,
        identities: Identities,
    ) -> None:
        self._dirty = dirty
        self._settings = settings
        self._identities = identities
        self._deleted: list[Change] = []
        self._changes: list[Change] = []
        # The paths of the directories, up to their names.
        self._paths: dict[Directory, str] = {}
        # The former places of moved files.
        self._left: set[Place] = set()

    def find(self) -> list[Change] | None:
        """Return the changes, in the order in which they apply; or None."""
        if self._settings.held or self._identities.top in self._dirty:
            return None
        if self._settings.files_moved:
            self._left = self._left_places()
        self._paths = {each: self._path_before(each) for each in self._dirty}
        # Outer directories come first.
        for directory in sorted(self._dirty, key=self._paths.__getitem__):
            rest = self._report_plain(directory)
            if rest:
                rest = self._report_moved(directory, rest)
            for name in rest:
                if not self._report(directory, name):
                    return None
        return self._deleted + self._changes

    def _left_places(self) -> set[Place]:
        return {
            entry.origin
            for directory in self._dirty
            for name, entry in (directory.touched or {}).items()
            if type(entry) is File
            and entry.origin is not None
            and entry.origin != (directory, name)
        }

    def _path_before(self, directory: Directory) -> str:
        names = [""]
        while directory is not self._identities.top:
            names.append(directory.name)
            assert directory.parent is not None
            directory = directory.parent
        root = names.pop()
        names.reverse()
        return join(root, "/".join(names))

    def _report_plain(self, directory: Directory) -> list[str]:
        """Report the most common changes; return the names that are left."""
        before = self._paths[directory]
        touched = directory.touched or {}
        new = [name for name, entry in touched.items() if entry is NEW]
        modified = [name for name, entry in touched.items() if entry is MODIFIED]
        self._changes += [
            *[_new(Change, ("added", before + name, None, False)) for name in new],
            *[_new(Change, ("modified", before + n, None, False)) for n in modified],
        ]
        if len(new) + len(modified) == len(touched):
            return []
        rest = [
            name
            for name, entry in touched.items()
            if entry is not NEW and entry is not MODIFIED
        ]
        if directory.directories:
            return rest
        gone = [name for name in rest if touched[name] is None]
        if self._left:
            left = self._left
            gone = [name for name in gone if (directory, name) not in left]
        self._deleted += [
            _new(Change, ("deleted", before + n, None, False)) for n in gone
        ]
        return [name for name in rest if touched[name] is not None]

    def _report_moved(self, directory: Directory, names: list[str]) -> list[str]:
        """Report the files that moved to free names; return the names that are left."""
        touched = directory.touched or {}
        rest = []
        before, paths, left = self._paths[directory], self._paths, self._left
        for name in names:
            file = touched[name]
            if (
                type(file) is File
                and file.origin is not None
                and file.origin[0] in paths
                and not file.modified
                and (directory, name) not in left
                and not directory.had(name)
            ):
                old_path = paths[file.origin[0]] + file.origin[1]
                change = _new(Change, ("moved", before + name, old_path, False))
                self._changes.append(change)
            else:
                rest.append(name)
        return rest

    def _report(self, directory: Directory, name: str) -> bool:
        """Report a name; return whether that needs no order."""
        assert directory.touched is not None
        node = directory.touched[name]
        path = self._paths[directory] + name
        if self._left and (directory, name) in self._left:
            return node is None
        if node is None:
            return self._report_gone(directory, name, path)
        if node is FOUND or node is REPLACED:
            kind = "added" if node is FOUND else "modified"
            self._changes.append(_new(Change, (kind, path, None, False)))
            return True
        if node.origin != (directory, name) and directory.had(name):
            return False  # something is in the way
        if isinstance(node, Directory):
            if node.is_new and not self._settings.files_only:
                self._changes.append(_new(Change, ("added", path, None, True)))
            return node.is_new
        return self._report_file(node, path)

    def _report_gone(self, directory: Directory, name: str, path: str) -> bool:
        gone = directory.directories and directory.directories.get(name)
        if gone and (self._settings.files_only or self._identities.is_there(gone)):
            return False
        self._deleted.append(_new(Change, ("deleted", path, None, bool(gone))))
        return True

    def _report_file(self, file: File, path: str) -> bool:
        if file.origin is None:
            self._changes.append(_new(Change, ("added", path, None, False)))
            return True
        above, old_name = file.origin
        if above not in self._paths:
            return False  # its former directory is deleted, or continues as another one
        old_path = self._paths[above] + old_name
        if old_path != path:
            self._changes.append(_new(Change, ("moved", path, old_path, False)))
        if file.modified:
            self._changes.append(_new(Change, ("modified", path, None, False)))
        return True
