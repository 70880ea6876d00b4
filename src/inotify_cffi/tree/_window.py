"""The window of a scan: from its beginning to its fence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ._batch import Batch
from ._masks import DELETE_SELF, IGNORED, MOVE_SELF, STRUCTURAL, UNMOUNT
from ._model import Directory
from ._scan import Scan

if TYPE_CHECKING:
    from ..events import Event
    from ._watches import Watches


class Ahead(NamedTuple):
    """The moves and ends in a window, before its events are followed."""

    moved: set[Directory]  # or removed
    overflow: bool


class Window:
    """The scans of one batch, and what has moved since they began."""

    __slots__ = ("_moved_ahead", "batches", "fence", "is_whole", "moved", "scans")

    def __init__(self, moved: Iterable[Directory] = ()) -> None:
        self.scans: dict[Directory, Scan] = {}
        self.batches: list[Batch] = []
        self.is_whole = True  # what C has scanned is all in the scans
        self.moved = set(moved)
        self.fence = 0  # the watch descriptor whose IGNORED ends the window
        # The moves that the events of the window make, once they were asked for.
        self._moved_ahead: Ahead | None = None

    def moves(self, directory: Directory) -> bool:
        """Return whether a directory, or one above it, has moved so far."""
        return bool(self.moved) and not self.moved.isdisjoint(directory.ancestors())

    def hold(self, directory: Directory, event: Event, *, is_sure: bool) -> bool:
        """Hold an event of a directory that is being scanned back.

        A rename from a known directory into this one is reported at once if nothing
        later in this window invalidates the scan. From then on, the events of that
        name are reported directly.

        Parameters:
            directory: the directory, which is SCANNING.
            event: its event, which names an entry.
            is_sure: whether it is the second event of a rename from a directory that
                the consumer knows, and nothing later in the window moves this one.

        Returns:
            Whether it was held back. If not, it has to be reported now.
        """
        scan = self.scans[directory]
        if is_sure and scan.failure is None:
            scan.reported.add(event.name)
        if event.name in scan.reported:
            return False
        scan.held_back.append(event)
        return True

    def will_move(
        self, directory: Directory, batch: Sequence[Event], watches: Watches
    ) -> bool:
        """Return whether an event of the window moves or removes a directory.

        Parameters:
            directory: the directory, which is in this window.
            batch: the events of the read that ends the window.
            watches: they say whose events these are.
        """
        if self._moved_ahead is None:
            self._moved_ahead = _look_ahead(batch, self.fence, watches)
        ahead = self._moved_ahead
        return (
            ahead.overflow
            or self.moves(directory)
            or not ahead.moved.isdisjoint(directory.ancestors())
        )


def _look_ahead(batch: Sequence[Event], fence: int, watches: Watches) -> Ahead:
    """Return the moves and ends in a whole window, from the events before its fence."""
    moved: set[Directory] = set()
    for wd, mask, _, name in batch:
        if mask & IGNORED and wd == fence:
            break
        if wd == -1:
            return Ahead(moved, overflow=True)
        for owner in watches.owners(wd):
            if not name and mask & (DELETE_SELF | MOVE_SELF | UNMOUNT | IGNORED):
                moved.add(owner)
            elif mask & STRUCTURAL:
                child = owner.child(name)
                if child is not None:
                    moved.add(child)
    return Ahead(moved, overflow=False)
