"""The names in trees, and the changes since the last difference.

`Mirror` and `watch` are made of this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ._edits import Edits, new_directory
from ._nodes import Directory, File
from ._paths import Paths
from ._simple_edits import SimpleEdits
from ._touched import Touched
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


class Names:
    """The names in some trees. While `tracking`, touched names are noted."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._paths = Paths(roots)
        self.top = self._paths.top
        self.tracking = False
        self.overflows = 0
        """How many were applied."""
        self._noted = _CONTENT  # the events of a file's content that are followed
        self._touched = Touched()
        self._edits = Edits(self._paths, self._touched)
        self._edits.note_content(_CONTENT, individually=False)
        self._simple_edits = SimpleEdits(self._paths, self._touched)

    @property
    def roots(self) -> list[str]:
        """The roots that are not in another's tree."""
        return self._paths.roots

    def set_root_file(self, root: str) -> None:
        """Make a root a file."""
        self.top.fold(root, File(None))

    def entry(self, path: str) -> Directory | File | bool:
        """Return the directory at a path; True for a file, False for nothing."""
        return self._paths.entry(path)

    # ---- following events ------------------------------------------------------------

    def apply(self, events: Iterable[TreeEvent]) -> None:
        """Apply events, in their order: see `Mirror.apply`."""
        following = iter(events)
        while (rest := self._simple_edits.follow(following)) is not None:
            self._apply(*rest)
        if not self.tracking:
            self._touched.fold()
            self._edits.end_batch()

    def _apply(self, event: TreeEvent, directory: Directory | None, name: str) -> None:
        path, mask, old_path, synthetic = event
        if mask & _STRUCTURAL:
            if directory is None or not name:
                directory, name = self._paths.locate(path)
            if mask & _ISDIR or old_path is not None:
                self._follow(directory, name, mask, old_path)
            elif mask & _GONE:
                self._edits.take_file(directory, name)
            else:
                self._edits.put_file(directory, name, mask, synthetic=synthetic)
        elif mask & _OF_ROOTS:
            self._apply_to_root(path, mask)
        elif self.tracking and mask & self._noted and not mask & _ISDIR:
            if directory is None or not name:
                try:
                    directory, name = self._paths.locate(path)
                except ValueError:  # it is written to under a former name
                    return
            self._edits.touch(directory, name, mask)

    def _follow(
        self, directory: Directory, name: str, mask: int, old_path: str | None
    ) -> None:
        if old_path is not None:
            self._edits.move(directory, name, old_path)
        elif mask & _GONE:
            self._edits.take(directory, name)
        else:
            self._edits.put(directory, name, new_directory(directory, name))

    def _apply_to_root(self, path: str, mask: int) -> None:
        if mask & _OVERFLOW:
            self.overflows += 1
        root = self._paths.root(path)
        if root is None:  # it is a part of another's tree
            return
        was = self.top.get(root)
        if not was:
            return
        self._edits.take(self.top, root)
        if mask & _OVERFLOW and isinstance(was, Directory):
            self._edits.put(self.top, root, new_directory(self.top, root))

    # ---- the difference --------------------------------------------------------------

    def track_content(self, noted: int, modifying: int, *, individually: bool) -> None:
        """Begin to note touched files: by these events, besides those of names."""
        self._noted = noted
        self._edits.note_content(modifying, individually=individually)
        self._simple_edits.note_content(modifying, individually=individually)
        self.tracking = True

    def unreported_files(self) -> list[tuple[File, str]]:
        """Return the files that are new or modified, each with its path."""
        return [
            (file, self._paths.path(directory, name))
            for file, directory, name in self._touched.unreported_files()
            if self._paths.is_there(directory)
        ]

    def is_stale(self, directory: Directory, name: str) -> bool:
        """Whether a former state of a file was reported, because it is held back."""
        return (directory, name) in self._touched.stale

    def path(self, directory: Directory) -> str:
        """Return the path of a directory."""
        assert directory.parent is not None
        return self._paths.path(directory.parent, directory.name)

    def is_there(self, directory: Directory) -> bool:
        """Whether a directory is still in the trees."""
        return self._paths.is_there(directory)

    def take_changes(self, settings: Settings) -> tuple[list[Change], list[Directory]]:
        """Return the net difference since the last call, and the new directories.

        Files that are held back stay different.
        """
        self._edits.end_batch()
        changes, new = self._touched.difference(self.top, settings)
        return changes, [each for each in new if self.is_there(each)]
