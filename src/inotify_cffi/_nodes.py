"""The directories of a mirror: the names in them, and what was touched of late.

A directory holds the names of its files in one string. That takes the length of a
name and one byte for each, where a dict takes 100 bytes and more; and a tree has
many files, of which few change. What changes is laid over that, in a dict, until it
is folded in: so both the former state and the present one can be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

if TYPE_CHECKING:
    from collections.abc import Iterator

# Above this many characters the names are kept in a set: finding one in a string
# takes 1 us for 10,000 characters, and so does making the string that is without it.
_LONGEST = 4096
_FEW = 64  # names in a set that is made a string again
_SEPARATOR = "/"  # no name has it


class File:
    """A file that was touched since the last difference."""

    __slots__ = ("found", "last", "modified", "origin", "replaced")

    def __init__(self, origin: tuple[Directory, str] | None) -> None:
        self.origin = origin
        """Where it was at the last difference; None: it was not there."""
        self.modified = False
        self.found = False
        """A scan found it, so it may be what was there before."""
        self.last = 0
        """The mask of the last event of its content."""
        self.replaced: tuple[tuple[Directory, str], tuple[Directory, str], File] | None
        """What it replaced when it was last moved: the places from which and to which
        it came, and the other file."""
        self.replaced = None

    def become(self, other: File) -> None:
        """Be another file."""
        self.origin, self.modified = other.origin, other.modified
        self.found, self.last = other.found, other.last


class Directory:
    """A directory that is there, or was at the last difference."""

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
        # What is different now, by name; None: nothing is there.
        self.touched: dict[str, Entry] | None = None
        # Where it was at the last difference, if that was elsewhere.
        self.origin: tuple[Directory, str] | None = None
        self.is_new = False
        self.inode = 0  # unknown

    # ---- as it was at the last difference ------------------------------------

    def had_file(self, name: str) -> bool:
        files = self.files
        if type(files) is str:
            return f"/{name}/" in files
        return name in files

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

    def set_file_names(self, names: list[str]) -> None:
        self.files = f"/{_SEPARATOR.join(names)}/" if names else _SEPARATOR

    # ---- now -----------------------------------------------------------------

    def get(self, name: str) -> Directory | File | bool:
        """Return what has a name now: True for a file that was not touched."""
        if self.touched is not None and name in self.touched:
            return self.touched[name] or False
        return self.had(name)

    def entries(self) -> Iterator[tuple[str, Directory | None]]:
        """Yield the names, each with the directory that it is, if it is one."""
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

    # ---- folding ---------------------------------------------------------------

    def fold(self, name: str, entry: Entry) -> None:
        """Let a name be what it is now, from here on."""
        if self.directories is not None:
            self.directories.pop(name, None)
        if type(entry) is Directory:
            self._discard_file(name)
            if self.directories is None:
                self.directories = {}
            self.directories[name] = entry
        elif entry is None:
            self._discard_file(name)
        else:
            self._add_file(name)

    def _add_file(self, name: str) -> None:
        files = self.files
        if type(files) is set:
            files.add(name)
        elif not self.had_file(name):
            self.files = f"{files}{name}/"
            if len(self.files) > _LONGEST:
                self.files = set(self.file_names())

    def _discard_file(self, name: str) -> None:
        files = self.files
        if type(files) is str:
            self.files = files.replace(f"/{name}/", _SEPARATOR, 1)
        elif type(files) is set:
            files.discard(name)
            if len(files) < _FEW:
                self.set_file_names(list(files))


Entry = Optional[Union[Directory, File]]
