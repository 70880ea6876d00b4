"""The touched directories, until their changes are folded in."""

from __future__ import annotations

from collections.abc import Iterator

from ._change import Change, Settings
from ._kinds import Kinds
from ._net import difference
from ._nodes import Directory, Entry, File, Place


class Touched:
    """Keeps the directories whose former and present states differ."""

    def __init__(self) -> None:
        self._dirty: list[Directory] = []
        self.stale: set[Place] = set()
        """Files that are held back, whose former state was reported."""

    def names(self, directory: Directory) -> dict[str, Entry]:
        """Return the touched names of a directory, to be changed."""
        touched = directory.touched
        if touched is None:
            touched = directory.touched = {}
            self._dirty.append(directory)
        return touched

    def unreported_files(self) -> Iterator[tuple[File, Directory, str]]:
        """Yield the files that are new or modified, each with its place."""
        for directory in self._dirty:
            for name, entry in (directory.touched or {}).items():
                if type(entry) is File and (entry.origin is None or entry.modified):
                    yield entry, directory, name

    def difference(
        self, top: Directory, settings: Settings
    ) -> tuple[list[Change], list[Directory]]:
        """Return the net difference and the new directories, and fold the changes in.

        Files that are held back stay different.
        """
        kinds = self._kinds()
        for directory, each in kinds.items():
            each.drop_unfounded(directory, directory.touched or {})
        changes, kept = difference(top, kinds, settings)
        return changes, self._fold(kinds, settings.held, kept)

    def fold(self) -> None:
        """Make the present state the former one."""
        self._fold(self._kinds(), frozenset(), set())

    def _kinds(self) -> dict[Directory, Kinds]:
        return {each: Kinds(each.touched or {}) for each in self._dirty}

    def _fold(
        self,
        kinds: dict[Directory, Kinds],
        held: frozenset[File],
        kept: set[File],
    ) -> list[Directory]:
        """Make the present state the former one; return the new directories."""
        new = []
        self.stale.clear()
        self._dirty.clear()
        for directory, each in kinds.items():
            touched, directory.touched = directory.touched or {}, None
            if held:
                self._hold(directory, touched, held, kept)
                each = Kinds(touched)
            each.fold(directory, touched)
            for name in each.rest:
                entry = touched[name]
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
        """Keep the held back files touched, and exclude them from folding."""
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
                self.names(directory)[name] = file
