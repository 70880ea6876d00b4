"""The scans: which directories have to be scanned, and which are in their window.

Each directory is in one state (`State`); this module alone changes it, and keeps
the directories of a state together where somebody has to find them.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ._masks import DELETE_SELF, IGNORED, MOVE_SELF, STRUCTURAL, UNMOUNT
from ._model import Directory, FileRoot, Paths, Root, State, Status
from ._scanner import Purpose, Scan, Scanner

if TYPE_CHECKING:
    from ..events import Event
    from ._watches import Watches

# Directories in one batch: the more, the fewer reads of the queue, which cost next
# to nothing; but the longer the window, the more scans a rename makes invalid.
_BATCH = 16

_GROUPED = (State.UNREADABLE, State.BEYOND_LIMIT, State.WATCH_LOST, State.UNMOUNTED)


class Ahead(NamedTuple):
    """What the events of a window say before they are followed."""

    moved: set[Directory]  # or removed
    overflow: bool


class Window:
    """The scans of one batch, and what has moved since they began."""

    __slots__ = ("_moved_ahead", "fence", "moved", "scans")

    def __init__(self, moved: Iterable[Directory] = ()) -> None:
        self.scans: dict[Directory, Scan] = {}
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


class Scans:
    """What has to be scanned, what is being scanned, and what cannot be."""

    def __init__(self, scanner: Scanner, watches: Watches, paths: Paths) -> None:
        self._scanner = scanner
        self._watches = watches
        self._paths = paths
        # Unscanned directories. The present call need not wait for those that
        # were created after it began.
        self._now: dict[Directory, Purpose] = {}
        self._next_call: dict[Directory, Purpose] = {}
        self._groups: dict[State, dict[Directory, None]] = {
            state: {} for state in _GROUPED
        }
        self._window = Window()
        self._limit_error: OSError | None = None

    # ---- what has to be scanned ------------------------------------------------

    def want(
        self,
        directory: Directory,
        purpose: Purpose = Purpose.REPORT,
        *,
        next_call: bool = False,
    ) -> None:
        """Have a directory scanned, by this call or by the next."""
        self._leave_state(directory)
        directory.status = State.UNSCANNED
        (self._next_call if next_call else self._now)[directory] = purpose

    def want_new(self, directories: Iterable[Directory], purpose: Purpose) -> None:
        """Have directories scanned that have only just been added to the model."""
        for directory in directories:
            self._now[directory] = purpose

    def has_unscanned(self) -> bool:
        """Return whether this call has to scan anything more."""
        return bool(self._now)

    def promote(self) -> None:
        """Let this call scan what was left for the next one."""
        self._now.update(self._next_call)
        self._next_call.clear()

    def start(self, moved: Iterable[Directory]) -> bool:
        """Open a window and scan a batch of directories.

        Parameters:
            moved: directories that are between two places at the moment.

        Returns:
            Whether there was anything to scan.

        Raises:
            OSError: EMFILE and the like: the directories are still to be scanned.
                Of the limit of watches, `take_limit_error` knows.
        """
        self._window = Window(moved)
        batch = [self._now.popitem() for _ in range(min(len(self._now), _BATCH))]
        done = 0
        try:
            for scan in self._scanner.scan_batch(batch):
                scan.directory.status = scan
                self._window.scans[scan.directory] = scan
                done += 1
        except OSError as failure:
            self._now.update(reversed(batch[done:]))
            if failure.errno == errno.ENOSPC:
                self._give_up(batch[done][0], failure)
            else:
                raise
        return bool(batch)

    def fence(self) -> None:
        """Queue the event that ends the window."""
        self._window.fence = self._watches.fence()

    def take_limit_error(self) -> OSError | None:
        """Return the error that says how many watches are wanted, once."""
        error, self._limit_error = self._limit_error, None
        return error

    def _give_up(self, directory: Directory, failure: OSError) -> None:
        """Leave all that is unscanned beyond the limit of watches."""
        for unscanned in (*self._now, *self._next_call):
            self._enter(unscanned, State.BEYOND_LIMIT)
        beyond = self._groups[State.BEYOND_LIMIT]
        wanted = len(self._watches) + self._scanner.count(beyond)
        self._limit_error = OSError(
            errno.ENOSPC,
            f"{failure.strerror}; these trees have {wanted} directories to watch",
            self._paths.report_path(directory),
        )

    # ---- the window ------------------------------------------------------------

    def hold(
        self,
        directory: Directory,
        event: Event,
        batch: Sequence[Event],
        *,
        completes_move: bool,
    ) -> bool:
        """Hold an event of a directory that is being scanned back.

        A rename from a known directory into this one is reported at once if nothing
        later in this window invalidates the scan. From then on, the events of that
        name are reported directly.

        Parameters:
            directory: the directory, which is SCANNING.
            event: its event, which names an entry.
            batch: the events of the same read.
            completes_move: whether it is the second event of a rename from a
                directory that the consumer knows.

        Returns:
            Whether it was held back. If not, it has to be reported now.
        """
        scan = self._window.scans[directory]
        if (
            completes_move
            and scan.failure is None
            and not isinstance(directory, FileRoot)
            and not self._window.will_move(directory, batch, self._watches)
        ):
            scan.reported.add(event.name)
        if event.name in scan.reported:
            return False
        scan.held_back.append(event)
        return True

    def note_moved(self, directory: Directory) -> None:
        """Let a move invalidate the scans of a directory and of those below it."""
        self._window.moved.add(directory)

    def has_moved(self, directory: Directory) -> bool:
        """Return whether a directory, or one above it, moved since the last batch."""
        return self._window.moves(directory)

    def finish(self) -> Iterator[Scan]:
        """End the window: yield the valid scans, have the others made again.

        A scan is valid when nothing in its window moved or removed the directory or
        one above it. A scan that failed is yielded as well, if the directory was
        where it should be.
        """
        window = self._window
        scans, window.scans = window.scans, {}
        for directory, scan in scans.items():
            if directory.status is not scan:
                continue  # it is forgotten, or unmounted
            if window.moves(directory):
                self._watches.release(scan.wd, directory, remove=False)
                self.want(directory, scan.purpose)
            elif scan.failure is not None:
                yield scan
            elif not scan.wd:  # the kernel removed its watch already
                self.want(directory, scan.purpose)
            else:
                directory.status = scan.wd
                yield scan

    # ---- states ----------------------------------------------------------------

    def adopt(self, directory: Directory, wd: int) -> None:
        """Take a directory as watched that has been given another's watch."""
        self._enter(directory, wd)

    def enclose(self, root: Root) -> None:
        """Leave a root to the scan of the tree that it is in."""
        self._enter(root, State.ENCLOSED)

    def fail(self, scan: Scan) -> bool:
        """Follow a scan that failed as the directory may not be read.

        Returns:
            Whether this is new: nobody knows of it yet.
        """
        if scan.retry:
            self.want(scan.directory, Purpose.RETRY, next_call=True)
        else:
            self._enter(scan.directory, State.UNREADABLE)
        return scan.purpose is not Purpose.RETRY

    def retry_unreadable(self) -> None:
        """Have those scanned again that may have become readable."""
        for directory in list(self._groups[State.UNREADABLE]):
            self.want(directory, Purpose.RETRY, next_call=True)
        for scan in self._window.scans.values():
            scan.retry = True

    def lose_watch(self, directory: Directory) -> None:
        """Follow the end of a directory's watch."""
        scan = self._window.scans.get(directory)
        if scan is not None and directory.status is scan:
            scan.wd = 0
        elif directory.status is not State.UNMOUNTED:
            self._enter(directory, State.WATCH_LOST)

    def has_lost(self) -> bool:
        """Return whether the watch of some directory ended, and no DELETE followed."""
        return bool(self._groups[State.WATCH_LOST])

    def rescan_lost(self) -> bool:
        """Have those scanned again whose watch ended, and no DELETE followed."""
        lost = list(self._groups[State.WATCH_LOST])
        for directory in lost:
            self.want(directory, next_call=True)
        return bool(lost)

    def unmount(self, directory: Directory) -> None:
        """Follow an unmount of what a directory is on: its watch ends next."""
        self._enter(directory, State.UNMOUNTED)

    def unmounted(self) -> Collection[Directory]:
        return self._groups[State.UNMOUNTED]

    def forget(self, directory: Directory) -> None:
        """Let a directory leave the model."""
        self._enter(directory, State.FORGOTTEN)

    def forget_all(self) -> None:
        """Let go of everything; the directories have left the model."""
        self._now.clear()
        self._next_call.clear()
        for group in self._groups.values():
            group.clear()
        self._window = Window()

    def _enter(self, directory: Directory, status: Status) -> None:
        self._leave_state(directory)
        directory.status = status
        if isinstance(status, State) and status in self._groups:
            self._groups[status][directory] = None

    def _leave_state(self, directory: Directory) -> None:
        status = directory.status
        if isinstance(status, int):
            return
        if status is State.UNSCANNED:
            self._now.pop(directory, None)
            self._next_call.pop(directory, None)
        elif isinstance(status, State):
            if status in self._groups:
                self._groups[status].pop(directory, None)
        else:
            self._window.scans.pop(directory, None)
