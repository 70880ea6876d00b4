"""A batch: what one call into C has scanned, until its window ends.

The given directories are in the model already, and each has a `Scan`. The directories
that the same call found and scanned below them are not in the model. They were watched
before they were listed, so every later change is in the queue. If the window ends
without an event of a directory, the names that were found in it are right, and it is
*adopted*. Other directories are scanned again, as given ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._scanning import NO_DIRECTORY
from ._masks import (
    ATTRIB,
    DELETE_SELF,
    IGNORED,
    ISDIR,
    MOVE_SELF,
    STRUCTURAL,
    UNMOUNT,
)
from ._model import Directory

if TYPE_CHECKING:
    from .._scanning import Found
    from ..events import Event

_TOUCHES = STRUCTURAL | ATTRIB | DELETE_SELF | MOVE_SELF | UNMOUNT | IGNORED


class Below(NamedTuple):
    """A directory that was found below a given one."""

    entry: int
    parent: int
    name: str
    wd: int  # 0 where it was not watched
    names: dict[str, bool] | None  # each with whether it is a directory; if listed


class Adopted(NamedTuple):
    """The result for a whole batch."""

    watched: dict[int, Directory]
    unscanned: list[Directory]


class Batch:
    """The entries that one call into C found.

    Parameters:
        found: the entries.
        given: the given directories.
        only_directories: whether only directories were looked for.
    """

    __slots__ = ("_found", "_given", "_groups", "_only_directories", "_touched")

    def __init__(
        self, found: Found, given: Sequence[Directory], *, only_directories: bool
    ) -> None:
        self._found = found
        self._given = given
        self._only_directories = only_directories
        self._touched: set[int] = set()
        ends = found.group_end
        self._groups = {
            directory: (first, end)
            for directory, first, end in zip(found.group_of, [len(given), *ends], ends)
        }

    def names(self, index: int) -> dict[str, bool]:
        """Return the names in a directory, each with whether it is a directory."""
        first, end = self._groups.get(index, (0, 0))
        given = len(self._given)
        names = self._found.names[first - given : end - given] if end else []
        if self._only_directories:
            return dict.fromkeys(names, True)
        results = self._found.results[first:end]
        return dict(zip(names, [result != NO_DIRECTORY for result in results]))

    def note_events(self, events: Sequence[Event], fence: int) -> None:
        """Note which directories the events of the window touch.

        Parameters:
            events: those of the read that ends the window.
            fence: the watch descriptor of its IGNORED.
        """
        for wd, mask, _, _ in events:
            if wd == fence and mask & IGNORED:
                break
            # What happens to the content of a file matters where it is reported. That
            # a directory was opened does not: the scan itself has opened it.
            if mask & _TOUCHES or not (self._only_directories or mask & ISDIR):
                self._touched.add(wd)

    def is_touched(self, index: int) -> bool:
        """Return whether an event in the window was of this directory's watch."""
        return self._found.wds[index] in self._touched

    def is_touched_anywhere(self) -> bool:
        """Return whether an event in the window was of any directory's watch."""
        return bool(self._touched) and not self._touched.isdisjoint(self._found.wds)

    def result(self, index: int) -> tuple[int, int]:
        """Return the result of a directory's scan, and its watch or 0."""
        return self._found.results[index], self._found.wds[index]

    def has_below(self, given: int) -> bool:
        """Return whether anything was found in a directory."""
        return given in self._groups

    def is_flat(self) -> bool:
        """Return whether nothing was found in any of the given directories."""
        return not self._groups

    def is_empty(self, given: int) -> bool | None:
        """Return whether there was no name in a directory; None if unknown."""
        if given in self._groups:
            return False
        if not self._found.left_out:
            return True
        # Names were left out, but of which directory?
        return False if len(self._found.results) == 1 else None

    def wds_below(self, given: int) -> list[int]:
        """Return the watches of the directories below a given one."""
        return [each.wd for each in self.below(given) if each.wd]

    def wds_found(self) -> list[int]:
        """Return the watches of all directories that were not given."""
        return [wd for wd in self._found.wds[len(self._given) :] if wd]

    def below(self, given: int) -> Iterator[Below]:
        """Yield the directories below a given one, each before those in it."""
        wds, results, names = self._found.wds, self._found.results, self._found.names
        offset = len(self._given)
        unseen = [given]
        while unseen:
            parent = unseen.pop()
            for index in range(*self._groups.get(parent, (0, 0))):
                if results[index] != NO_DIRECTORY:
                    listed = self.names(index) if results[index] == 0 else None
                    yield Below(
                        index, parent, names[index - offset], wds[index], listed
                    )
                    unseen.append(index)

    def adopt_all(self) -> Adopted:
        """Make directories of all entries, below the given directories."""
        wds, results, names, groups, ends, _ = self._found
        directories = list(self._given)
        offset = first = len(directories)
        watched: dict[int, Directory] = {}
        unscanned: list[Directory] = []
        for parent_index, end in zip(groups, ends):
            parent = directories[parent_index]
            children = parent.children = {}
            for index in range(first, end):
                name = names[index - offset]
                child = children[name] = Directory(parent, name)
                directories.append(child)
                if results[index]:
                    unscanned.append(child)
                else:
                    child.status = wd = wds[index]
                    watched[wd] = child
            first = end
        return Adopted(watched, unscanned)
