"""The directories of a mirror: the names in them, and the recent changes.

A directory holds the names of its files in one string. That takes the length of a
name and one byte for each; a dict takes 100 bytes and more. A tree has many files, of
which few change. The changes are in a dict over the string, until they are folded into
it: so both the former state and the present one can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

if TYPE_CHECKING:
    from collections.abc import Iterator

# Above this many characters the names are kept in a set: finding one in a string
# takes 1 us for 10,000 characters, and so does making the string that is without it.
_LONGEST = 4096
_FEW = 64  # names in a set that is made a string again
_FEW_ASKED = 4  # names: for more it is faster to have them in a set
_SEPARATOR = "/"  # no name has it


class File:
    """A file that was touched since the last difference."""

    __slots__ = ("found", "last", "modified", "origin")

    def __init__(
        self, origin: Place | None, *, modified: bool = False, found: bool = False
    ) -> None:
        self.origin = origin
        """Its place at the last difference; None: it was not there."""
        self.modified = modified
        self.found = found
        """A scan found it, so it may be the same file as before."""
        self.last = 0
        """The mask of the last event of it."""

    def become(self, other: File) -> None:
        """Become another file."""
        self.origin, self.modified = other.origin, other.modified
        self.found, self.last = other.found, other.last


# Most touched files are in one of these states, and nothing else has to be known,
# so they share one object: creating one for each took half of the time.
NEW = File(None)
"""A file whose name was free before."""
FOUND = File(None, found=True)
"""The same, found by a scan."""
REPLACED = File(None)
"""A file whose name belonged to another file before."""
MODIFIED = File(None, modified=True)
"""A file that is where it was."""
SHARED = frozenset({NEW, FOUND, REPLACED, MODIFIED})


class Directory:
    """A directory of the present state, or of the last difference."""

    __slots__ = (
        "directories",
        "files",
        "inode",
        "is_new",
        "name",
        "origin",
        "parent",
        "touched",
    )

    def __init__(self, parent: Directory | None, name: str) -> None:
        self.parent = parent
        self.name = name
        # As they were at the last difference.
        self.files: str | set[str] = _SEPARATOR
        self.directories: dict[str, Directory] | None = None
        # The changed names; None: a name that is gone.
        self.touched: dict[str, Entry] | None = None
        # Its place at the last difference, if that was another one.
        self.origin: tuple[Directory, str] | None = None
        self.is_new = False
        self.inode = 0  # unknown

    # ---- as it was at the last difference ------------------------------------

    def had_file(self, name: str) -> bool:
        files = self.files
        if type(files) is str:
            if len(files) <= _LONGEST:
                return f"/{name}/" in files
            files = self.files = set(self.file_names())
        return name in files

    def had_alone(self, name: str, other: str) -> bool:
        """Return whether there was a file of a name, and none of another name."""
        return self.had_file(name) and not self.had_file(other)

    def had(self, name: str) -> Directory | bool:
        """Return the directory of that name, True for a file, False for nothing."""
        if self.directories is not None:
            directory = self.directories.get(name)
            if directory is not None:
                return directory
        return self.had_file(name)

    def file_names(self) -> list[str]:
        files = self.files
        if type(files) is not str:
            return list(files)
        return files[1:-1].split(_SEPARATOR) if len(files) > 1 else []

    def subdirectories(self) -> Iterator[Directory]:
        return iter(self.directories.values() if self.directories else ())

    def names(self) -> list[str]:
        return [*self.file_names(), *(self.directories or ())]

    def set_file_names(self, names: list[str]) -> None:
        self.files = f"/{_SEPARATOR.join(names)}/" if names else _SEPARATOR

    # ---- now -----------------------------------------------------------------

    def get(self, name: str) -> Directory | File | bool:
        """Return the present owner of a name: True for an untouched file."""
        if self.touched is not None and name in self.touched:
            entry = self.touched[name]
            return True if isinstance(entry, (str, tuple)) else entry or False
        return self.had(name)

    def entries(self) -> Iterator[tuple[str, Directory | None]]:
        """Yield the names, each with its directory, if it is one."""
        touched = self.touched or {}
        for name, directory in (self.directories or {}).items():
            if name not in touched:
                yield name, directory
        for name in self.file_names():
            if name not in touched:
                yield name, None
        for name, entry in touched.items():
            if entry is not None:
                yield name, entry if isinstance(entry, Directory) else None

    def own(self, name: str) -> Directory | File | None:
        """Return a touched file as an object of its own."""
        assert self.touched is not None
        entry = self.touched[name]
        if isinstance(entry, str):
            entry = self.touched[name] = File((self, entry))
        elif isinstance(entry, tuple):
            entry = self.touched[name] = File(entry)
        elif type(entry) is File and entry in SHARED:
            place = (self, name) if entry is MODIFIED else None
            entry = File(place, modified=entry.modified, found=entry.found)
            self.touched[name] = entry
        return entry

    def unfounded(self, modified: list[str]) -> list[str]:
        """Return the modified files that do not exist.

        A file may be written to under a name that it just lost. Checking each file
        when its event comes would take up to 1 us.
        """
        if len(modified) < _FEW_ASKED or type(self.files) is set:
            return [name for name in modified if not self.had_file(name)]
        return list(set(modified).difference(self.file_names()))

    # ---- folding ---------------------------------------------------------------

    def replace_files(self, left: list[str], came: list[str]) -> None:
        """Remove and add files of the former state."""
        if left:
            self._discard_files(left)
        if came:
            self._add_files(came)

    def fold(self, name: str, entry: Entry) -> None:
        """Make the present owner of a name the former one."""
        if self.directories is not None:
            self.directories.pop(name, None)
        if type(entry) is not Directory and entry is not None:
            if not self.had_file(name):
                self._add_files([name])
            return
        if self.had_file(name):
            self._discard_files([name])
        if type(entry) is Directory:
            if self.directories is None:
                self.directories = {}
            self.directories[name] = entry

    def _add_files(self, names: list[str]) -> None:
        files = self.files
        if isinstance(files, str) and len(files) > _LONGEST:
            files = self.files = set(self.file_names())
        if isinstance(files, set):
            files.update(names)
        else:
            self.files = f"{files}{_SEPARATOR.join(names)}/"

    def _discard_files(self, names: list[str]) -> None:
        files = self.files
        if type(files) is str and len(names) < _FEW_ASKED:
            for name in names:
                files = files.replace(f"/{name}/", _SEPARATOR, 1)
            self.files = files
            return
        left = set(self.file_names()) if type(files) is str else files
        assert isinstance(left, set)
        left.difference_update(names)
        self.files = left
        if type(files) is str or (len(left) < _FEW and self.parent is not None):
            self.set_file_names(list(left))


Place = tuple[Directory, str]
# A file that only moved, to a name that was free before, is its former place, or its
# former name in the same directory.
Entry = Optional[Union[Directory, File, Place, str]]
