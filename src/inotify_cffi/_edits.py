"""The effects of events on the names in directories."""

from __future__ import annotations

from ._exchanges import Exchanges
from ._nodes import FOUND, MODIFIED, NEW, REPLACED, SHARED, Directory, File
from ._paths import Paths
from ._touched import Touched
from .events import flags

_CREATE = int(flags.CREATE)
_MISSING = False


class Edits:
    """Changes the present state of directories, and keeps the former one beside it.

    Parameters:
        paths: where directories are.
        touched: notes which directories are touched.
    """

    def __init__(self, paths: Paths, touched: Touched) -> None:
        self._paths = paths
        self._touched = touched
        self._exchanges = Exchanges()
        self._modifying = 0
        self._individually = False

    def note_content(self, modifying: int, *, individually: bool) -> None:
        """From now on, note the events that modify files.

        Parameters:
            modifying: these events.
            individually: whether the last event of each file is kept.
        """
        self._modifying = modifying
        self._individually = individually

    def end_batch(self) -> None:
        """Forget the notes of a batch."""
        self._exchanges.clear()

    def touch(self, directory: Directory, name: str, mask: int) -> None:
        """Note an event of the content of a file."""
        touched = directory.touched
        entry = touched.get(name, _MISSING) if touched is not None else _MISSING
        modifies = mask & self._modifying
        if entry is _MISSING:
            if modifies and self._may_be_written_to(directory, name):
                self._touched.names(directory)[name] = MODIFIED
        elif type(entry) in (str, tuple) and modifies:
            entry = directory.own(name)
        elif type(entry) is not File or (entry in SHARED and not self._individually):
            return
        if self._individually and (entry is not _MISSING or modifies):
            self._touch_file(directory, name, mask)
        elif type(entry) is File and modifies:
            entry.modified = True

    def _may_be_written_to(self, directory: Directory, name: str) -> bool:
        """Return whether an untouched name is a file's, or is checked later.

        A file may be written to under a name that it has lost: its event is queued
        without a lock.
        """
        if self._individually:
            return directory.had_file(name)
        return not directory.directories or name not in directory.directories

    def _touch_file(self, directory: Directory, name: str, mask: int) -> None:
        if directory.touched is not None and name in directory.touched:
            file = directory.own(name)
            if isinstance(file, File):
                file.last = mask
                file.modified = bool(file.modified or mask & self._modifying)

    def put_file(
        self, directory: Directory, name: str, mask: int, *, synthetic: bool
    ) -> None:
        """Add a file that was not in the trees."""
        touched = directory.touched
        if touched is None:
            touched = self._touched.names(directory)
        entry = touched.get(name, _MISSING)
        is_free = (
            mask & _CREATE and directory is not self._paths.top
        )  # a root may be a file
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
        # An exchanged file is found; what comes by an event is another one.
        is_exchanged = synthetic and self._exchanges.is_suspect((directory, name))
        if self._individually or is_exchanged:
            file = directory.own(name)
            assert isinstance(file, File)
            file.last = mask
            if is_exchanged:
                self._exchanges.confirm((directory, name), file)

    def _clear(self, directory: Directory, name: str) -> None:
        """Remove the directory at a place; a file there will be replaced.

        If two things are exchanged, a file may be reported over a directory.
        """
        if isinstance(directory.get(name), Directory):
            self.take(directory, name)

    def take_file(self, directory: Directory, name: str) -> None:
        """Remove the file of a name."""
        touched = directory.touched
        if touched is None:
            touched = self._touched.names(directory)
        entry = touched.get(name, _MISSING)
        if entry is NEW or entry is FOUND:
            del touched[name]
        elif entry is _MISSING or entry in SHARED or directory.had(name):
            touched[name] = None
        else:
            del touched[name]

    def take(self, directory: Directory, name: str) -> None:
        """Remove the owner of a name; it is kept, since it may be elsewhere."""
        entry = directory.get(name)
        self.take_file(directory, name)
        if isinstance(entry, Directory):
            self._paths.known.clear()
            if entry.origin is None and not entry.is_new:
                entry.origin = directory, name
            entry.parent = None

    def put(self, directory: Directory, name: str, node: Directory | File) -> None:
        """Give a name an owner."""
        if directory.get(name):
            self.take(directory, name)
        self._touched.names(directory)[name] = node
        if isinstance(node, Directory):
            node.parent, node.name = directory, name

    def move(self, directory: Directory, name: str, old_path: str) -> None:
        """Give a name the owner of a former path.

        Raises:
            ValueError: nothing was there.
        """
        above, _, old_name = old_path.rpartition("/")
        old_directory = self._paths.known.get(above)
        if old_directory is None or not old_name:
            old_directory, old_name = self._paths.locate(old_path)
        node = self._node(old_directory, old_name)
        if node is None:
            raise ValueError(f"{old_path!r} is not in the mirror")
        if isinstance(node, Directory):
            self.take(old_directory, old_name)
            self.put(directory, name, node)
            return
        other = self._node(directory, name)
        places = (old_directory, old_name), (directory, name)
        self._exchanges.note_move(node, *places, other)
        self.take_file(old_directory, old_name)
        self._clear(directory, name)
        self._touched.names(directory)[name] = node

    def _node(self, directory: Directory, name: str) -> Directory | File | None:
        """Return the file at a place as an object of its own."""
        touched = directory.touched
        entry = directory.had(name)
        if touched is not None and name in touched:
            if entry is False and touched[name] is MODIFIED:
                return None  # a file was written to that has lost this name
            return directory.own(name)
        if entry is True:
            return File((directory, name))
        return entry or None


def new_directory(directory: Directory, name: str) -> Directory:
    new = Directory(directory, name)
    new.is_new = True
    return new
