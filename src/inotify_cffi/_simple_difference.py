"""The changes of most batches, in which no thing is in the way of another.

Finding them takes a tenth of the time that `Placement` takes.
"""

from __future__ import annotations

from collections.abc import Mapping

from ._change import Change, Settings, join
from ._identities import Identities
from ._kinds import Kinds
from ._nodes import FOUND, REPLACED, Directory, File

_new = tuple.__new__  # as Change does, in half of the time


class SimpleDifference:
    """Find the changes, or that they need an order.

    Parameters:
        dirty: the directories of the present state in which something was touched, and
            what.
        settings: what is held back, and how changes are reported.
        identities: which directory is which, none of them forgotten.
    """

    def __init__(
        self,
        dirty: Mapping[Directory, Kinds],
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
        # The former names of moved files, by their directories.
        self._left: dict[Directory, set[str]] = {}

    def find(self) -> list[Change] | None:
        """Return the changes, in the order in which they apply; or None."""
        if self._settings.held or self._identities.top in self._dirty:
            return None
        self._paths = {each: self._path_before(each) for each in self._dirty}
        for directory in self._dirty:
            self._note_left(directory)
        if not self._left.keys() <= self._paths.keys():
            return None  # one of these is deleted, or continues as another one
        # Outer directories come first.
        for directory in sorted(self._dirty, key=self._paths.__getitem__):
            for name in self._report_plain(directory):
                if not self._report(directory, name):
                    return None
        return self._deleted + self._changes

    def _note_left(self, directory: Directory) -> None:
        touched, kinds = directory.touched or {}, self._dirty[directory]
        if kinds.former and not kinds.were_all_renamed():
            self._left.setdefault(directory, set()).update(kinds.former)
        places = kinds.places.copy()
        for name in kinds.rest:
            entry = touched[name]
            if (
                type(entry) is File
                and entry.origin is not None
                and entry.origin != (directory, name)
            ):
                places.append(entry.origin)
        left: set[str] = set()
        last = None
        for above, name in places:
            if above is not last:  # which it is mostly
                last, left = above, self._left.setdefault(above, set())
            left.add(name)

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
        kinds, before = self._dirty[directory], self._paths[directory]
        self._changes += [
            _new(Change, ("added", before + name, None, False)) for name in kinds.new
        ]
        self._changes += [
            _new(Change, ("modified", before + name, None, False))
            for name in kinds.modified
        ]
        self._changes += [
            _new(Change, ("moved", before + name, before + former, False))
            for name, former in zip(kinds.renamed, kinds.former)
        ]
        paths = self._paths
        self._changes += [
            _new(Change, ("moved", before + name, paths[above] + former, False))
            for name, (above, former) in zip(kinds.moved, kinds.places)
        ]
        if kinds.free and not kinds.were_all_renamed():
            return self._report_gone_files(directory, kinds.free) + kinds.rest
        return kinds.rest

    def _report_gone_files(self, directory: Directory, free: list[str]) -> list[str]:
        """Report the files that are gone; return the names of directories."""
        directories = directory.directories
        others: list[str] = []
        if directories:
            others = [name for name in free if name in directories]
            free = [name for name in free if name not in directories]
        left = self._left.get(directory)
        gone = [name for name in free if name not in left] if left else free
        before = self._paths[directory]
        self._deleted += [
            _new(Change, ("deleted", before + n, None, False)) for n in gone
        ]
        return others

    def _report(self, directory: Directory, name: str) -> bool:
        """Report a name; return whether that needs no order."""
        assert directory.touched is not None
        node = directory.touched[name]
        path = self._paths[directory] + name
        if node is None:
            return self._report_gone(directory, name, path)
        if name in self._left.get(directory, ()):
            return False  # it has the former name of a file that is elsewhere now
        assert isinstance(node, (Directory, File))  # the others are reported already
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
