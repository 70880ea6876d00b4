"""Plain events: events of files in directories where nothing else happens.

Most events are plain. They change nothing in the model, so for a run of them only the
path of its directory is needed. This takes half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._masks import ATTRIB, CLOSE_WRITE, CREATE, DELETE, MODIFY
from ._model import Directory, join
from ._parts import Parts

if TYPE_CHECKING:
    from ..events import Event

_NOT_PLAIN = ~(CREATE | DELETE | MODIFY | ATTRIB | CLOSE_WRITE)


class PlainEvents:
    """Follows runs of plain events."""

    def __init__(self, parts: Parts) -> None:
        self._paths = parts.paths
        self._output = parts.output
        self._watches = parts.watches
        self._scans = parts.scans
        self._renames = parts.renames
        self._unverified = parts.unverified
        self._trees = parts.trees
        self._roots = parts.roots

    def follow(self, events: Sequence[Event], first: int) -> int:
        """Follow the events from one on that are plain.

        Parameters:
            events: the events of a read, or some of them.
            first: the index of the first one.

        Returns:
            The index of the first event that is not plain, or how many there are.
        """
        report = self._output.report
        last_wd = 0
        for index in range(first, len(events)):
            wd, mask, _, name = events[index]
            if mask & _NOT_PLAIN or not name:
                return index
            if wd != last_wd:
                plain = self._plain_directory(wd)
                if plain is None:
                    return index
                directory = plain
                path = join(self._paths.report_path(directory), "")
                directories = directory.children or ()
                last_wd = wd
            if name in directories:  # something that is not known must have happened
                return index
            if mask & DELETE:
                self._roots.lone.removed_name(directory)
            report(mask, path + name)
        return len(events)

    def _plain_directory(self, wd: int) -> Directory | None:
        """Return the directory of a watch, if nothing is going on in it."""
        owners = self._watches.owners(wd)
        if len(owners) != 1 or self._unverified or self._scans.unmounted():
            return None
        (directory,) = owners
        if (
            directory.status == wd
            and not self._roots.awaits_name_in(wd)
            and not self._roots.nested.has_exceptions()
            and self._trees.adds_plainly()
            and self._renames.are_idle_in(directory)
        ):
            return directory
        return None
