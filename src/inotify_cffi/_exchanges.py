"""Files that may have been exchanged (RENAME_EXCHANGE).

The kernel reports that as two renames: of one file over the other, and back. The file
that comes back is the other one then, and a scan finds a file at the other name.
"""

from __future__ import annotations

from ._nodes import Directory, File, Place


class Exchanges:
    """Remembers which files have replaced which, until a batch ends."""

    def __init__(self) -> None:
        # The file that each replaced when it was last moved, and the two
        # places.
        self._replaced: dict[File, tuple[Place, Place, File]] = {}
        self._suspects: dict[Place, tuple[File, File, bool]] = {}

    def clear(self) -> None:
        if self._replaced or self._suspects:
            self._replaced.clear()
            self._suspects.clear()

    def note_move(
        self, file: File, old_place: Place, place: Place, other: Directory | File | None
    ) -> None:
        """Note that a file moved, over another one or nothing.

        If it moves back, it may be the other, and is modified.
        """
        former = self._replaced.pop(file, None) if self._replaced else None
        if former is not None and former[:2] == (place, old_place):
            self._suspects[old_place] = file, former[2], file.modified
            file.modified = True
        if isinstance(other, File):
            self._replaced[file] = old_place, place, other

    def is_suspect(self, place: Place) -> bool:
        """Whether an exchanged file may be at a place."""
        return place in self._suspects

    def confirm(self, place: Place, file: File) -> None:
        """A file was found at a place: exchange the two files."""
        former, other, modified = self._suspects.pop(place)
        former.modified = modified
        file.become(former)
        former.become(other)
