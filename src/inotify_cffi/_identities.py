"""Which directories of the two states are the same.

Most are the same object in both. A new directory continues the one that was at the
same place and is gone: after an overflow all are new, and only names identify them. A
directory that is *forgotten* is taken for two, one that is gone and one that is new.
"""

from __future__ import annotations

from collections.abc import Iterator

from ._nodes import Directory, Place


class Identities:
    """Answers, for one order of changes.

    Parameters:
        top: the directory that has the roots.
        forgotten: the directories that are taken for two.
    """

    def __init__(self, top: Directory, forgotten: set[Directory]) -> None:
        self.top = top
        self.forgotten = forgotten
        self._there: dict[Directory, bool] = {top: True}
        # The key that stands for a directory of the present state in both states.
        self._keys: dict[Directory, Directory] = {top: top}
        self._continued: dict[Directory, None] = {}

    def is_there(self, directory: Directory) -> bool:
        """Whether a directory is in the present state."""
        way = []
        above: Directory | None = directory
        while above is not None and above not in self._there:
            way.append(above)
            above = above.parent
        is_there = above is not None and self._there[above]
        for each in way:
            self._there[each] = is_there
        return is_there

    def is_kept(self, directory: Directory) -> bool:
        """Whether a directory is in both states, as the same object."""
        return (
            not directory.is_new
            and directory not in self.forgotten
            and self.is_there(directory)
        )

    def is_gone(self, directory: Directory) -> bool:
        """Whether a directory of the former state is not in the present one."""
        return not self.is_kept(directory) and directory not in self._continued

    def key(self, directory: Directory) -> Directory:
        """Return the key of a directory of the present state.

        That is the directory of the former state that it is, or continues; else, for
        a new one, itself, and for a forgotten one, a stand-in that is new.
        """
        way = []
        while directory not in self._keys:
            way.append(directory)
            assert directory.parent is not None
            directory = directory.parent
        for each in reversed(way):
            self._keys[each] = self._find_key(each)
        return self._keys[way[0] if way else directory]

    def _find_key(self, directory: Directory) -> Directory:
        if self.is_kept(directory):
            return directory
        assert directory.parent is not None
        former = self._keys[directory.parent].had(directory.name)
        if isinstance(former, Directory) and not self.is_kept(former):
            self._continued[former] = None
            return former
        if directory.is_new:
            return directory
        stand_in = Directory(directory.parent, directory.name)
        stand_in.is_new = True
        return stand_in

    def continued(self) -> Iterator[Directory]:
        """Yield the directories of the former state that others continue.

        Those are meant whose `key` was asked for.
        """
        yield from self._continued

    @staticmethod
    def former_place(directory: Directory) -> Place:
        """Return the former place of a directory."""
        if directory.origin is not None:
            return directory.origin
        assert directory.parent is not None
        return directory.parent, directory.name

    def staying_in(self, directory: Directory) -> Iterator[Directory]:
        """Yield a directory of both states, and those that have stayed within it."""
        stack = [directory]
        while stack:
            directory = stack.pop()
            yield directory
            for name, below in (directory.directories or {}).items():
                if directory.get(name) is below:
                    stack.append(below)
