"""The window: what is being scanned, until the fence is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ._batch import Batch
from ._masks import DELETE_SELF, IGNORED, MOVE_SELF, STRUCTURAL, UNMOUNT
from ._model import Directory, FileRoot
from ._scanner import Purpose, Scan

if TYPE_CHECKING:
    from ..events import Event
    from ._watches import Watches


class Ahead(NamedTuple):
    """What the events of a window say before they are followed."""

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
        # What the events of the window move, once somebody has asked.
        self._moved_ahead: Ahead | None = None

    def moves(self, directory: Directory) -> bool:
        """Return whether a directory, or one above it, has moved so far."""
        return bool(self.moved) and not self.moved.isdisjoint(directory.ancestors())

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

    def hold(
        self,
        directory: Directory,
        event: Event,
        batch: Sequence[Event],
        watches: Watches,
        *,
        completes_move: bool,
    ) -> bool:
        """Hold an event back, as `Scans.hold`."""
        scan = self.scans[directory]
        if (
            completes_move
            and scan.failure is None
            and not isinstance(directory, FileRoot)
            and not self.will_move(directory, batch, watches)
        ):
            scan.reported.add(event.name)
        if event.name in scan.reported:
            return False
        scan.held_back.append(event)
        return True

    def is_quiet(self, watches: Watches) -> bool:
        """Return whether all was scanned silently, and nothing happened to it."""
        return (
            self.is_whole
            and not self.moved
            and all(map(_is_quiet, self.scans.values()))
            and not any(batch.is_touched_anywhere() for batch in self.batches)
            and watches.are_unassigned(
                [wd for batch in self.batches for wd in batch.wds_found()]
            )
        )


def _look_ahead(batch: Sequence[Event], fence: int, watches: Watches) -> Ahead:
    """Return what the events before a fence say of the whole window."""
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


def _is_quiet(scan: Scan) -> bool:
    """Return whether a silent scan can be taken as it is."""
    directory = scan.directory
    return (
        scan.batch is not None
        and scan.purpose is Purpose.SILENT
        and scan.failure is None
        and directory.status is scan
        and scan.wd != 0
        and not any(event.mask & STRUCTURAL for event in scan.held_back)
        and not scan.reported
        and not directory.children
    )
