"""The names in trees, with what was touched since the last difference.

`Mirror` and `watch` are made of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ._net import Change, Difference, Settings, join
from ._nodes import Directory, File
from .events import flags

if TYPE_CHECKING:
    from .tree import TreeEvent

# Plain numbers: the & of an IntEnum member costs five times as much.
_CREATE = int(flags.CREATE)
_MOVED_TO = int(flags.MOVED_TO)
_GONE = int(flags.DELETE | flags.MOVED_FROM)
_STRUCTURAL = _CREATE | _MOVED_TO | _GONE
_LOST = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)
_OVERFLOW = int(flags.Q_OVERFLOW)
_OF_ROOTS = _LOST | _OVERFLOW
_ISDIR = int(flags.ISDIR)
_CONTENT = int(flags.MODIFY | flags.ATTRIB)

_MOST_KNOWN = 4096  # directories whose path is kept


class Names:
    """What is in some trees. While `tracking`, what is touched is noted."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.top = Directory(None, "")
        self.tracking = False
        # The events that a file is noted for, and those that say it is modified.
        self.noted = self.modifying = _CONTENT
        self._dirty: list[Directory] = []
        # The roots, by what of their paths comes before a slash.
        self._roots: dict[str, str] = {}
        self._known: dict[str, Directory] = {}  # directories by their paths
        self.stale: set[tuple[Directory, str]] = set()
        """Files of which a former state was said, because they are held back."""
        # Files that may have been exchanged for the other that was at the place.
        self._suspects: dict[tuple[Directory, str], tuple[File, File, bool]] = {}
        for root in sorted(roots, key=len):
            if self._root_of(root) is None:
                self._roots[root.rstrip("/")] = root
                self.top.fold(root, Directory(self.top, root))

    @property
    def roots(self) -> list[str]:
        """The roots that are not in another's tree."""
        return list(self._roots.values())

    def set_root_file(self, root: str) -> None:
        """Let a root be a file."""
        self.top.fold(root, File(None))

    def entry(self, path: str) -> Directory | File | bool:
        """Return what is at a path: True for a file, False for nothing."""
        try:
            directory, name = self._locate(path)
        except ValueError:
            return False
        return directory.get(name)

    # ---- following events ------------------------------------------------------------

    def apply(self, events: Iterable[TreeEvent]) -> None:
        """Apply events, in their order: see `Mirror.apply`."""
        known = self._known
        tracking, noted = self.tracking, self.noted
        for event in events:
            path, mask, old_path, synthetic = event
            above, _, name = path.rpartition("/")
            directory = known.get(above)
            if not mask & _STRUCTURAL:
                if mask & _OF_ROOTS:
                    self._apply_to_root(path, mask)
                elif tracking and mask & noted and not mask & _ISDIR:
                    if directory is None or path in self._roots:
                        try:
                            directory, name = self._locate(path)
                        except ValueError:  # it is written to under a former name
                            continue
                    self._touch(directory, name, mask)
                continue
            if directory is None or not name:
                directory, name = self._locate(path)
            if mask & _GONE:
                self._take(directory, name)
            elif mask & _CREATE:
                self._put_new(directory, name, mask, synthetic)
            elif old_path is None:
                self._put_new(directory, name, mask, False)
            else:
                self._move(directory, name, old_path)
        if not tracking:
            self._fold(frozenset(), set())

    def _apply_to_root(self, path: str, mask: int) -> None:
        if path.rstrip("/") not in self._roots:  # it is a part of another's tree
            return
        root = self._roots[path.rstrip("/")]
        was = self.top.get(root)
        if mask & _LOST:
            self._take(self.top, root)
        elif isinstance(was, Directory):
            self._put_new(self.top, root, _ISDIR, False)
        elif was:
            self._take(self.top, root)

    def _touched(self, directory: Directory) -> dict[str, Directory | File | None]:
        touched = directory.touched
        if touched is None:
            touched = directory.touched = {}
            self._dirty.append(directory)
        return touched

    def _touch(self, directory: Directory, name: str, mask: int) -> None:
        touched = directory.touched
        file = touched.get(name, False) if touched else False
        modifies = mask & self.modifying
        if file is False and modifies and directory.had_file(name):
            file = File((directory, name))
            self._touched(directory)[name] = file
        if type(file) is File:
            file.last = mask
            if modifies:
                file.modified = True

    def _put_new(
        self, directory: Directory, name: str, mask: int, synthetic: bool
    ) -> None:
        if mask & _ISDIR:
            new = Directory(directory, name)
            new.is_new = True
            self._put(directory, name, new)
        else:
            file = File(None)
            file.found = synthetic
            file.last = mask
            if synthetic and (directory, name) in self._suspects:
                self._note_exchange(file, *self._suspects.pop((directory, name)))
            self._put(directory, name, file)

    def _put(self, directory: Directory, name: str, node: Directory | File) -> None:
        if isinstance(directory.get(name), Directory):
            self._take(directory, name)
        self._touched(directory)[name] = node
        if isinstance(node, Directory):
            node.parent, node.name = directory, name

    def _take(self, directory: Directory, name: str) -> None:
        entry = directory.get(name)
        self._touched(directory)[name] = None
        if isinstance(entry, Directory):
            self._known.clear()
            if entry.origin is None and not entry.is_new:
                entry.origin = directory, name
            entry.parent = None

    def _move(self, directory: Directory, name: str, old_path: str) -> None:
        old_directory, old_name = self._locate(old_path)
        entry = old_directory.get(old_name)
        if entry is False:
            raise ValueError(f"{old_path!r} is not in the mirror")
        node = File((old_directory, old_name)) if entry is True else entry
        assert isinstance(node, (Directory, File))
        if isinstance(node, File):
            self._suspect_exchange(node, (old_directory, old_name), (directory, name))
        self._take(old_directory, old_name)
        self._put(directory, name, node)

    def _suspect_exchange(
        self, file: File, old_place: tuple[Directory, str], place: tuple[Directory, str]
    ) -> None:
        """Note whether two files may have been exchanged (RENAME_EXCHANGE).

        The kernel tells that as two renames, of the one over the other and back. What
        came back is the other then, and a scan tells that something is still there.
        """
        former, file.replaced = file.replaced, None
        if former is not None and former[:2] == (place, old_place):
            self._suspects[old_place] = file, former[2], file.modified
            file.modified = True
        other = place[0].get(place[1])
        if other is True:
            other = File(place)
        if isinstance(other, File):
            file.replaced = old_place, place, other

    def _note_exchange(
        self, found: File, file: File, other: File, modified: bool
    ) -> None:
        file.modified = modified
        found.become(file)
        file.become(other)

    # ---- paths -----------------------------------------------------------------------

    def _root_of(self, path: str) -> str | None:
        """Return the root that a path is below or at, as it comes before a slash."""
        if path.rstrip("/") in self._roots:
            return path.rstrip("/")
        for root in self._roots:
            if path.startswith(root + "/"):
                return root
        return None

    def _locate(self, path: str) -> tuple[Directory, str]:
        """Return the directory that a path is in, and its name there."""
        root = self._root_of(path)
        if root is None:
            raise ValueError(f"{path!r} is below none of {list(self._roots.values())}")
        if path.rstrip("/") == root:
            return self.top, self._roots[root]
        directory = self.top.get(self._roots[root])
        *names, name = path[len(root) + 1 :].split("/")
        for each in names:
            if not isinstance(directory, Directory):
                break
            directory = directory.get(each)
        if not isinstance(directory, Directory):
            raise ValueError(f"{path!r} is in no directory of the mirror")
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known[path.rpartition("/")[0]] = directory
        return directory, name

    # ---- the difference --------------------------------------------------------------

    def track_content(self, noted: int, modifying: int) -> None:
        """Begin to note what is touched: by which events, besides those of names."""
        self.noted, self.modifying = noted, modifying
        self.tracking = True

    def unsaid_files(self) -> list[tuple[File, str]]:
        """Return the files that are new or modified, each with its path."""
        return [
            (entry, self._path(directory, name))
            for directory in self._dirty
            if self._is_there(directory)
            for name, entry in (directory.touched or {}).items()
            if type(entry) is File and (entry.origin is None or entry.modified)
        ]

    def path(self, directory: Directory) -> str:
        assert directory.parent is not None
        return self._path(directory.parent, directory.name)

    def take_changes(self, settings: Settings) -> tuple[list[Change], list[Directory]]:
        """Return the net difference since it was last taken, and the new directories.

        What is held back stays different.
        """
        difference = Difference(self.top, self._dirty, settings)
        changes = difference.find()
        new = self._fold(settings.held, difference.kept)
        return changes, [each for each in new if self._is_there(each)]

    def _is_there(self, directory: Directory | None) -> bool:
        while directory is not None:
            if directory is self.top:
                return True
            directory = directory.parent
        return False

    def _path(self, directory: Directory, name: str) -> str:
        names = [name]
        while directory is not self.top:
            names.append(directory.name)
            assert directory.parent is not None
            directory = directory.parent
        root = names.pop()
        return join(root, "/".join(reversed(names))) if names else root

    def _fold(self, held: frozenset[File], kept: set[File]) -> list[Directory]:
        new = []
        self.stale.clear()
        dirty, self._dirty[:] = self._dirty[:], []
        self._suspects.clear()
        for directory in dirty:
            touched, directory.touched = directory.touched or {}, None
            for name, entry in touched.items():
                if type(entry) is File and entry in held:
                    self._touched(directory)[name] = entry
                    entry.found = False
                    if entry in kept:
                        self.stale.add((directory, name))
                    if entry not in kept:
                        entry.origin = None
                        directory.fold(name, None)
                    elif entry.origin is not None:
                        entry.origin = directory, name
                    else:
                        directory.fold(name, entry)
                    continue
                directory.fold(name, entry)
                if type(entry) is Directory:
                    if entry.is_new:
                        new.append(entry)
                    entry.origin = None
                    entry.is_new = False
        return new
