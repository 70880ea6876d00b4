"""Plain events: events of files in directories where nothing else happens.

Most events are plain. They change nothing in the model, so a run of them needs only the
path of its directory. That takes half of the time; for a rename, a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._masks import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    MODIFY,
    MOVED_FROM,
    MOVED_TO,
)
from ._model import Directory, join
from ._parts import Parts

if TYPE_CHECKING:
    from ..events import Event

# No event with one of these bits is plain.
NOT_PLAIN = ~(CREATE | DELETE | MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM)


class PlainEvents:
    """Follows runs of plain events."""

    def __init__(self, parts: Parts) -> None:
        self._paths = parts.paths
        self._output = parts.output
        self._watches = parts.watches
        self._renames = parts.renames
        self._roots = parts.roots
        # As long as any of these has something in it, no event is plain.
        self._unmounted = parts.scans.unmounted()
        self._ambiguous = parts.renames.ambiguous()
        self._alone, self._awaited = parts.roots.nested.exceptions()
        # In the directories that are in one of these, no event is plain.
        self._pending, self._replaced = parts.renames.directories()
        self._unverified = parts.unverified.directories()
        self._of_ways = parts.roots.watches
        self._are_off = bool(parts.exclusion)

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
        index, count = first, len(events)
        while index < count:
            wd, mask, _, name = events[index]
            if mask & NOT_PLAIN or not name:
                break
            if wd != last_wd:
                plain = self._plain_directory(wd)
                if plain is None:
                    break
                directory = plain
                path = join(self._paths.report_path(directory), "")
                directories = directory.children or ()
                last_wd = wd
            if name in directories:
                break  # something that is not known must have happened to it
            if not mask & MOVED_FROM:
                if mask & (CREATE | DELETE):
                    self._renames.note_plain(directory)
                    if mask & DELETE:
                        self._roots.lone.removed_name(directory)
                report(mask, path + name)
                index += 1
            elif self._follow_rename(events, index, directory):
                index += 2
            else:
                break
        return index

    def _follow_rename(
        self, events: Sequence[Event], index: int, source: Directory
    ) -> bool:
        """Follow a rename of a file, if both of its events are plain.

        Parameters:
            events: the events.
            index: the index of its MOVED_FROM. The MOVED_TO has to come next.
            source: the directory that it leaves.

        Returns:
            Whether it was followed.
        """
        if index + 1 == len(events):
            return False
        wd, _, cookie, name = events[index]
        next_wd, mask, next_cookie, new_name = events[index + 1]
        if mask != MOVED_TO or cookie != next_cookie:
            return False
        target = source if wd == next_wd else self._plain_directory(next_wd)
        if target is None or (target.children and new_name in target.children):
            return False
        if self._renames.has_just_come(source, name):
            return False  # these may be the second half of an exchange
        self._renames.note_plain(source)
        self._roots.lone.removed_name(source)
        self._renames.note_plain(target, new_name)
        old_path = self._paths.entry_path(source, name)
        path = self._paths.entry_path(target, new_name)
        self._output.report(MOVED_TO, path, old_path)
        return True

    def _plain_directory(self, wd: int) -> Directory | None:
        """Return the directory of a watch, if nothing is going on in it."""
        owners = self._watches.owners(wd)
        if len(owners) != 1:
            return None
        (directory,) = owners
        if (
            self._are_off
            or directory.status != wd
            or directory in self._pending
            or directory in self._replaced
            or directory in self._unverified
            or self._unmounted
            or self._ambiguous
            or self._alone
            or self._awaited
            or (wd in self._of_ways and self._roots.awaits_name_in(wd))
        ):
            return None
        return directory
