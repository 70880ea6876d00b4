"""The scans: which directories have to be scanned, and which are in their window.

Each directory is in one state (`State`); this module alone changes it, and keeps
the directories of a state together where somebody has to find them.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ._batch import Batch
from ._extent import Extent
from ._model import Directory, Paths, State, Status
from ._scanner import Purpose, Scan, Scanner, Wanted
from ._window import Window, valid_below

if TYPE_CHECKING:
    from ..events import Event
    from ._watches import Watches

_GROUPED = (State.UNREADABLE, State.BEYOND_LIMIT, State.WATCH_LOST, State.UNMOUNTED)


class Scans:
    """What has to be scanned, what is being scanned, and what cannot be."""

    def __init__(
        self,
        scanner: Scanner,
        watches: Watches,
        paths: Paths,
        *,
        recursive: bool = True,
    ) -> None:
        self._recursive = recursive
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
        self._extent = Extent(see_scans=watches.see_scans())
        self._limit_reached: tuple[str, str] | None = None  # what to say, and where

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
        if not self._recursive and directory.parent is not None:
            directory.status = State.BY_NAME
            return
        directory.status = State.UNSCANNED
        (self._next_call if next_call else self._now)[directory] = purpose

    def has_unscanned(self) -> bool:
        """Return whether this call has to scan anything more."""
        return bool(self._now)

    def promote(self) -> None:
        """Let this call scan what was left for the next one."""
        self._now.update(self._next_call)
        self._next_call.clear()

    def start(self, moved: Iterable[Directory], *, descend: bool) -> bool:
        """Open a window and scan a batch of directories.

        Parameters:
            moved: directories that are between two places at the moment.
            descend: whether all that is found will be wanted, too.

        Returns:
            Whether there was anything to scan.

        Raises:
            OSError: EMFILE and the like: the directories are still to be scanned.
                Of the limit of watches, `take_limit_error` knows.
        """
        self._window = Window(moved)
        if not self._now:
            if self._extent.shrink():
                self._watches.free_memory()
            return False
        wanted = self._take_wanted()
        silent = wanted[0][1] is Purpose.SILENT
        reach = self._extent.reach(silent=silent, descend=descend)
        outcome = self._scanner.scan_all(wanted, reach)
        self._window.batches = outcome.batches
        self._window.is_whole = not outcome.failures
        for scan in outcome.scans:
            scan.directory.status = scan
            self._window.scans[scan.directory] = scan
        self._now.update(reversed(outcome.unreached))
        for failure in outcome.failures:
            if failure.errno != errno.ENOSPC:
                raise failure
            self._give_up(outcome.unreached[0][0], failure)
        return True

    def _take_wanted(self) -> list[Wanted]:
        """Take the directories for one batch: the names of files are one's, or not."""
        wanted = [self._now.popitem()]
        silent = wanted[0][1] is Purpose.SILENT
        while self._now and len(wanted) < self._extent.given:
            wanted.append(self._now.popitem())
            if (wanted[-1][1] is Purpose.SILENT) != silent:
                self._now.update([wanted.pop()])
                break
        return wanted

    def fence(self) -> None:
        """Queue the event that ends the window."""
        self._window.fence = self._watches.fence()

    def take_limit_error(self) -> OSError | None:
        """Return the error that says how many watches are wanted, once."""
        reached, self._limit_reached = self._limit_reached, None
        if reached is None:
            return None
        text, path = reached
        # Only now is it known which directories are beyond it.
        beyond = self._groups[State.BEYOND_LIMIT]
        wanted = len(self._watches) + self._scanner.count(beyond)
        return OSError(
            errno.ENOSPC,
            f"{text}; these trees have {wanted} directories to watch",
            path,
        )

    def _give_up(self, directory: Directory, failure: OSError) -> None:
        """Leave all that is unscanned beyond the limit of watches."""
        for unscanned in (*self._now, *self._next_call):
            self._enter(unscanned, State.BEYOND_LIMIT)
        path = self._paths.report_path(directory)
        self._limit_reached = str(failure.strerror), path

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
        return self._window.hold(
            directory, event, batch, self._watches, completes_move=completes_move
        )

    def note_moved(self, directory: Directory) -> None:
        """Let a move invalidate the scans of a directory and of those below it."""
        self._window.moved.add(directory)

    def has_moved(self, directory: Directory) -> bool:
        """Return whether a directory, or one above it, moved since the last batch."""
        return self._window.moves(directory)

    def note_events(self, events: Sequence[Event]) -> None:
        """Note what the events of a read, before they are followed, say of a window."""
        for batch in self._window.batches:
            batch.note_events(events, self._window.fence)

    def finish(self, *, plainly: bool) -> Iterator[Scan]:
        """End the window: yield the valid scans, have the others made again.

        A scan is valid when nothing in its window moved or removed the directory or
        one above it. A scan that failed is yielded as well, if the directory was
        where it should be.

        Parameters:
            plainly: whether all that a SILENT scan finds becomes part of the model,
                and nothing else comes of it. Then it need not be yielded.
        """
        window = self._window
        if not window.scans and not window.batches:
            return
        self._extent.grow()
        plainly = plainly and self._recursive and window.is_quiet(self._watches)
        scans, window.scans = window.scans, {}
        batches, window.batches = window.batches, []
        if plainly:
            self._adopt(scans, batches)
            return
        for directory, scan in scans.items():
            if directory.status is not scan:
                continue  # it is forgotten, or unmounted
            if window.moves(directory):
                self._watches.release(scan.wd, directory)
                self.want(directory, scan.purpose)
            elif scan.failure is not None:
                yield scan
            elif not scan.wd:  # the kernel removed its watch already
                self.want(directory, scan.purpose)
            else:
                directory.status = scan.wd
                yield scan
                if scan.batch is not None:
                    yield from self._finish_below(scan.batch, scan)

    def _adopt(self, scans: Mapping[Directory, Scan], batches: list[Batch]) -> None:
        for directory, scan in scans.items():
            directory.status = scan.wd
        for batch in batches:
            watched, unscanned = batch.adopt_all()
            self._watches.assign_all(watched)
            self._now.update(dict.fromkeys(unscanned, Purpose.SILENT))

    def _finish_below(self, batch: Batch, scan: Scan) -> Iterator[Scan]:
        """Yield the scans below a directory that are valid, as it is."""
        for inner in valid_below(batch, scan, self._watches, self._extent.shrink):
            self._enter(inner.directory, inner.wd)
            self._watches.assign(inner.wd, inner.directory)
            yield inner

    def _drop_below(self, scan: Scan) -> None:
        """Let the watches go that were added below a scan that is not valid."""
        if scan.batch is not None:
            self._extent.shrink()
            self._watches.keep(scan.batch.wds_below(scan.index))

    # ---- states ----------------------------------------------------------------

    def adopt(self, directory: Directory, wd: int) -> None:
        """Take a directory as watched that has been given another's watch."""
        self._enter(directory, wd)

    def keep_by_name(self, directory: Directory) -> None:
        """Know a directory by its name only."""
        self._enter(directory, State.BY_NAME)

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

    def unreadable(self) -> Collection[Directory]:
        return self._groups[State.UNREADABLE]

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
        for batch in self._window.batches:
            self._watches.keep(batch.wds_found())
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
        elif isinstance(status, Scan):
            self._window.scans.pop(directory, None)
            self._drop_below(status)
