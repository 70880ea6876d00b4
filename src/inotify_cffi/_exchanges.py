"""Files that may have been exchanged (RENAME_EXCHANGE).

The kernel reports that as two renames, of the one over the other and back. What came
back is the other then, and a scan finds that something is still there.
"""

from __future__ import annotations

from ._nodes import Directory, File, Place


class Exchanges:
    """Remembers which files have replaced which, until a batch ends."""

    def __init__(self) -> None:
        # What a file replaced when it was last moved: from where and to where it came,
        # and the other file.
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
        """Whether something may be at a place that was exchanged."""
        return place in self._suspects

    def confirm(self, place: Place, file: File) -> None:
        """Something was found at a place: let the two files be each other."""
        former, other, modified = self._suspects.pop(place)
        former.modified = modified
        file.become(former)
        former.become(other)
