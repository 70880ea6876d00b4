"""The window: what is being scanned, until the fence is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Callable, NamedTuple

from ._batch import Batch
from ._masks import DELETE_SELF, IGNORED, MOVE_SELF, STRUCTURAL, UNMOUNT
from ._model import Directory, State
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


def valid_below(
    batch: Batch, scan: Scan, watches: Watches, made_again: Callable[[], object]
) -> Iterator[Scan]:
    """Yield the scans below a directory that are valid, as that directory's own is.

    The others have to be made again: of each directory that an event touched, or one
    above it, and of what seems to be at another place, too, as an event about that is
    still queued. Their watches become strays.

    Parameters:
        batch: what has the scan of the directory.
        scan: that scan; what it found is part of the model.
        watches: all watches; each that is yielded is to be assigned at once.
        made_again: is called for each of the others.
    """
    purpose = Purpose.SILENT if scan.purpose is Purpose.SILENT else Purpose.REPORT
    places: dict[int, Directory] = {}
    if not batch.is_touched(scan.index):
        places[scan.index] = scan.directory
    for entry, parent_entry, name, wd, names in batch.below(scan.index):
        parent = places.get(parent_entry)
        child = parent.child(name) if parent is not None else None
        if (
            child is not None
            and names is not None
            and child.status is State.UNSCANNED
            and not batch.is_touched(entry)
            and watches.are_unassigned([wd])
        ):
            places[entry] = child
            yield Scan(child, purpose, wd, names)
        elif wd:
            watches.keep([wd])
            made_again()
