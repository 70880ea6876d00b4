"""The names in trees, with what was touched since the last difference.

`Mirror` and `watch` are made of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ._change import join
from ._net import difference
from ._nodes import (
    FOUND,
    MODIFIED,
    NEW,
    REPLACED,
    SHARED,
    Directory,
    Entry,
    File,
    Place,
)
from .events import flags

if TYPE_CHECKING:
    from ._change import Change, Settings
    from .tree import TreeEvent

# Plain numbers: the & of an IntEnum member costs five times as much.
_CREATE = int(flags.CREATE)
_MOVED_TO = int(flags.MOVED_TO)
_MODIFY = int(flags.MODIFY)
_GONE = int(flags.DELETE | flags.MOVED_FROM)
_STRUCTURAL = _CREATE | _MOVED_TO | _GONE
_LOST = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)
_OVERFLOW = int(flags.Q_OVERFLOW)
_OF_ROOTS = _LOST | _OVERFLOW
_ISDIR = int(flags.ISDIR)
_CONTENT = int(flags.MODIFY | flags.ATTRIB)

_MOST_KNOWN = 4096  # directories whose path is kept
_MISSING = False
# What a file is that was not touched before an event of this mask.
_SIMPLY: dict[int, File | None] = {_CREATE: NEW, int(flags.DELETE): None}


class Names:
    """What is in some trees. While `tracking`, what is touched is noted."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.top = Directory(None, "")
        self.top.files = set()  # the names of roots have slashes
        self.tracking = False
        self.individually = False  # for each file its last event is kept
        # The events that a file is noted for, and those that say it is modified.
        self.noted = self.modifying = _CONTENT
        self._dirty: list[Directory] = []
        self._simply: dict[int, File | None] = _SIMPLY
        # The roots, by what of their paths comes before a slash.
        self._roots: dict[str, str] = {}
        self._known: dict[str, Directory] = {}  # directories by their paths
        self._files_moved = False
        self.stale: set[Place] = set()
        """Files of which a former state was said, because they are held back."""
        # Files that may have been exchanged for the other that was at the place.
        self._suspects: dict[Place, tuple[File, File, bool]] = {}
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
        known, simply = self._known, self._simply
        for event in events:
            path, mask, _, synthetic = event
            above, _, name = path.rpartition("/")
            directory = known.get(above)
            # Most events are of a file of which nothing is noted yet. Not calling a
            # function for these takes 0.3 us less, of 0.7.
            if directory is not None and mask in simply and name and not synthetic:
                touched = directory.touched
                if touched is not None:
                    if name not in touched:
                        touched[name] = simply[mask]
                        continue
                    if touched[name] is NEW and mask == _MODIFY:
                        continue
            self._apply(event, directory, name)
        if not self.tracking:
            self._fold(frozenset(), set())

    def _apply(self, event: TreeEvent, directory: Directory | None, name: str) -> None:
        path, mask, old_path, synthetic = event
        if mask & _STRUCTURAL:
            if directory is None or not name:
                directory, name = self._locate(path)
            if mask & _ISDIR or old_path is not None:
                self._follow(directory, name, mask, old_path)
            elif mask & _GONE:
                self._take_file(directory, name)
            else:
                self._put_file(directory, name, mask, synthetic=synthetic)
        elif mask & _OF_ROOTS:
            self._apply_to_root(path, mask)
        elif self.tracking and mask & self.noted and not mask & _ISDIR:
            if directory is None or not name:
                try:
                    directory, name = self._locate(path)
                except ValueError:  # it is written to under a former name
                    return
            self._touch(directory, name, mask)

    def _follow(
        self, directory: Directory, name: str, mask: int, old_path: str | None
    ) -> None:
        if old_path is not None:
            self._move(directory, name, old_path)
        elif mask & _GONE:
            self._take(directory, name)
        else:
            self._put(directory, name, _new_directory(directory, name))

    def _apply_to_root(self, path: str, mask: int) -> None:
        root = self._roots.get(path.rstrip("/"))
        if root is None:  # it is a part of another's tree
            return
        was = self.top.get(root)
        if not was:
            return
        self._take(self.top, root)
        if mask & _OVERFLOW and isinstance(was, Directory):
            self._put(self.top, root, _new_directory(self.top, root))

    def _touched(self, directory: Directory) -> dict[str, Entry]:
        touched = directory.touched
        if touched is None:
            touched = directory.touched = {}
            self._dirty.append(directory)
        return touched

    def _touch(self, directory: Directory, name: str, mask: int) -> None:
        touched = directory.touched
        entry = touched.get(name, _MISSING) if touched is not None else _MISSING
        modifies = mask & self.modifying
        if entry is _MISSING:
            if modifies and (not self.individually or directory.had_file(name)):
                self._touched(directory)[name] = MODIFIED
        elif type(entry) is not File or (entry in SHARED and not self.individually):
            return
        if self.individually and (entry is not _MISSING or modifies):
            self._touch_file(directory, name, mask)
        elif type(entry) is File and modifies:
            entry.modified = True

    def _touch_file(self, directory: Directory, name: str, mask: int) -> None:
        if directory.touched is not None and name in directory.touched:
            file = directory.own(name)
            if isinstance(file, File):
                file.last = mask
                file.modified = bool(file.modified or mask & self.modifying)

    def _put_file(
        self, directory: Directory, name: str, mask: int, *, synthetic: bool
    ) -> None:
        """Let there be a file that was not in the trees."""
        touched = directory.touched
        if touched is None:
            touched = directory.touched = {}
            self._dirty.append(directory)
        entry = touched.get(name, _MISSING)
        is_free = mask & _CREATE and directory is not self.top  # a root may be a file
        if entry is _MISSING and (is_free or not directory.had(name)):
            touched[name] = FOUND if synthetic else NEW
        elif entry is NEW or entry is FOUND:
            pass
        elif not synthetic and directory.had_file(name):
            self._clear(directory, name)
            touched[name] = REPLACED
        else:
            self._clear(directory, name)
            touched[name] = File(None, found=synthetic)
        if self.individually or (synthetic and (directory, name) in self._suspects):
            self._touch_new(directory, name, mask)

    def _touch_new(self, directory: Directory, name: str, mask: int) -> None:
        file = directory.own(name)
        assert isinstance(file, File)
        file.last = mask
        suspect = self._suspects.pop((directory, name), None)
        if suspect is not None:
            former, other, modified = suspect
            former.modified = modified
            file.become(former)
            former.become(other)

    def _clear(self, directory: Directory, name: str) -> None:
        """Let no directory be at a place; a file there is replaced by what comes.

        Where two things are exchanged, a file may be reported over a directory.
        """
        if isinstance(directory.get(name), Directory):
            self._take(directory, name)

    def _take_file(self, directory: Directory, name: str) -> None:
        touched = directory.touched
        if touched is None:
            touched = directory.touched = {}
            self._dirty.append(directory)
        entry = touched.get(name, _MISSING)
        if entry is NEW or entry is FOUND:
            del touched[name]
        elif entry is _MISSING or entry in SHARED or directory.had(name):
            touched[name] = None
        else:
            del touched[name]

    def _take(self, directory: Directory, name: str) -> None:
        entry = directory.get(name)
        self._take_file(directory, name)
        if isinstance(entry, Directory):
            self._known.clear()
            if entry.origin is None and not entry.is_new:
                entry.origin = directory, name
            entry.parent = None

    def _put(self, directory: Directory, name: str, node: Directory | File) -> None:
        if directory.get(name):
            self._take(directory, name)
        self._touched(directory)[name] = node
        if isinstance(node, Directory):
            node.parent, node.name = directory, name

    def _move(self, directory: Directory, name: str, old_path: str) -> None:
        above, _, old_name = old_path.rpartition("/")
        old_directory = self._known.get(above)
        if old_directory is None or not old_name:
            old_directory, old_name = self._locate(old_path)
        node = self._node(old_directory, old_name)
        if node is None:
            raise ValueError(f"{old_path!r} is not in the mirror")
        if isinstance(node, Directory):
            self._take(old_directory, old_name)
            self._put(directory, name, node)
            return
        self._files_moved = True
        self._suspect_exchange(node, (old_directory, old_name), (directory, name))
        self._take_file(old_directory, old_name)
        self._clear(directory, name)
        self._touched(directory)[name] = node

    def _node(self, directory: Directory, name: str) -> Directory | File | None:
        """Return what is at a place, as an object of its own."""
        if directory.touched is not None and name in directory.touched:
            return directory.own(name)
        entry = directory.had(name)
        if entry is True:
            return File((directory, name))
        return entry or None

    def _suspect_exchange(self, file: File, old_place: Place, place: Place) -> None:
        """Note whether two files may have been exchanged (RENAME_EXCHANGE).

        The kernel tells that as two renames, of the one over the other and back. What
        came back is the other then, and a scan tells that something is still there.
        """
        former, file.replaced = file.replaced, None
        if former is not None and former[:2] == (place, old_place):
            self._suspects[old_place] = file, former[2], file.modified
            file.modified = True
        other = self._node(*place)
        if isinstance(other, File):
            file.replaced = old_place, place, other

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
        if root or len(self._roots) == 1:  # else "" may be before a relative root, too
            self._known[path.rpartition("/")[0]] = directory
        return directory, name

    # ---- the difference --------------------------------------------------------------

    def track_content(self, noted: int, modifying: int, *, individually: bool) -> None:
        """Begin to note what is touched: by which events, besides those of names."""
        self.noted, self.modifying = noted, modifying
        self.individually = individually
        self._simply = {}
        if not individually:
            self._simply = dict.fromkeys(_bits(modifying), MODIFIED)
            self._simply |= _SIMPLY
        self.tracking = True

    def unsaid_files(self) -> list[tuple[File, str]]:
        """Return the files that are new or modified, each with its path."""
        return [
            (entry, self._path(directory, name))
            for directory in self._dirty
            if self.is_there(directory)
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
        for directory in self._dirty:
            directory.drop_unfounded()
        settings = settings._replace(files_moved=self._files_moved)
        self._files_moved = False
        changes, kept = difference(self.top, self._dirty, settings)
        new = self._fold(settings.held, kept)
        return changes, [each for each in new if self.is_there(each)]

    def is_there(self, directory: Directory | None) -> bool:
        """Whether a directory is in the trees, and not in what has left them."""
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
        """Let all that was touched be the former state; return the new directories."""
        new = []
        self.stale.clear()
        self._suspects.clear()
        dirty, self._dirty[:] = self._dirty[:], []
        for directory in dirty:
            touched, directory.touched = directory.touched or {}, None
            if held:
                self._hold(directory, touched, held, kept)
            directory.fold_all(touched)
            for entry in touched.values():
                if type(entry) is Directory:
                    if entry.is_new:
                        new.append(entry)
                    entry.origin = None
                    entry.is_new = False
        return new

    def _hold(
        self,
        directory: Directory,
        touched: dict[str, Entry],
        held: frozenset[File],
        kept: set[File],
    ) -> None:
        """Let what is held back be touched still, and take it from what is folded."""
        for name, file in list(touched.items()):
            if type(file) is File and file in held:
                del touched[name]
                file.found = False
                if file not in kept:
                    file.origin = None
                    directory.fold(name, None)
                else:
                    self.stale.add((directory, name))
                    directory.fold(name, file)
                    if file.origin != (directory, name):
                        file.origin = None  # it is another than the one reported
                self._touched(directory)[name] = file


def _bits(mask: int) -> list[int]:
    return [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _new_directory(directory: Directory, name: str) -> Directory:
    new = Directory(directory, name)
    new.is_new = True
    return new
