"""The scans: one batch of directories at a time, from its window to valid scans."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ._batch import Batch
from ._masks import STRUCTURAL
from ._model import Directory, Paths, Scanning, State
from ._scan import Purpose, Scan, Wanted
from ._scanner import Reach, Scanner
from ._states import States
from ._window import Window

if TYPE_CHECKING:
    from ..events import Event
    from ._watches import Watches

# Directories in one batch. The more, the fewer crossings into C and reads of the
# queue; but the longer the window, the more scans a rename makes invalid. So there are
# few in the first one, and more as long as nothing is in the way.
_FEWEST = 16
_MOST = 1024
# If a listing queues events, each read of the queue takes those of so many.
_MOST_SEEN = 64
# As most have directories in them, which C goes on with, fewer are given.
_MOST_GIVEN = 256
# How long one call into C may take, in milliseconds: an event loop is held for that
# long, and as long again for what is made in Python of what was found.
_SILENT_TIME = 8.0
_REPORT_TIME = 3.0


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


def _are_quiet(
    scans: Iterable[Scan], batches: Iterable[Batch], watches: Watches
) -> bool:
    """Return whether nothing happened to what a window has scanned silently."""
    for scan in scans:
        if not _is_quiet(scan):
            return False
    for batch in batches:
        if batch.is_touched_anywhere():
            return False
    wds = [wd for batch in batches for wd in batch.wds_found()]
    return not wds or watches.are_unassigned(wds)


class Scans(States):
    """The directories to scan, those being scanned, and those that cannot be."""

    def __init__(
        self, scanner: Scanner, watches: Watches, paths: Paths, *, recursive: bool
    ) -> None:
        super().__init__(recursive=recursive)
        self._scanner = scanner
        self._watches = watches
        self._paths = paths
        self._window = Window()
        seen = watches.listings
        self._farthest = _MOST if seen is None else max(1, min(_MOST_SEEN, seen))
        self._nearest = min(_FEWEST, self._farthest)
        self._reach = self._nearest
        self._limits_reached: list[tuple[str, str]] = []  # what to say, and where

    def start(self, moved: Iterable[Directory], *, descend: bool) -> bool:
        """Open a window and scan a batch of directories.

        Parameters:
            moved: directories that are between two places at the moment.
            descend: whether all that is found will be wanted, too.

        Returns:
            Whether there was anything to scan.

        Raises:
            OSError: EMFILE and the like: all of it is still to be scanned.
        """
        self._window = Window(moved)
        if not self._now:
            self.rest()
            return False
        wanted = self._take_wanted()
        silent = wanted[0][1] is Purpose.SILENT
        time = _SILENT_TIME if silent else _REPORT_TIME
        outcome = self._scanner.scan_all(wanted, Reach(self._reach, time, descend))
        self._window.batches = outcome.batches
        self._window.is_whole = not outcome.failures
        for scan in outcome.scans:
            scan.directory.status = scan
            self._window.scans[scan.directory] = scan
            if self._watches.held.complete_names(scan.wd):
                self.note_moved(scan.directory)  # so it is scanned again
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
        while self._now and len(wanted) < min(self._reach, _MOST_GIVEN):
            directory, purpose = self._now.popitem()
            if (purpose is Purpose.SILENT) != silent:
                self._now[directory] = purpose
                break
            wanted.append((directory, purpose))
        return wanted

    def rest(self) -> None:
        """Free what the last scan needed, if nothing is to be scanned."""
        if self._reach != self._nearest and not self._now:
            self._reach = self._nearest
            self._watches.free_memory()

    def fence(self) -> None:
        """Queue the event that ends the window."""
        self._window.fence = self._watches.fence()

    def take_limit_error(self) -> OSError | None:
        """Return the error that says how many watches are wanted, once."""
        if not self._limits_reached:
            return None
        text, path = self._limits_reached.pop()
        # Only now is it known which directories are beyond it.
        beyond = self._scanner.count(self._groups[State.BEYOND_LIMIT])
        wanted = len(self._watches) + beyond
        text = f"{text}; these trees have {wanted} directories to watch"
        return OSError(errno.ENOSPC, text, path)

    def _give_up(self, directory: Directory, failure: OSError) -> None:
        """Leave all that is unscanned beyond the limit of watches."""
        for unscanned in (*self._now, *self._next_call):
            self._enter(unscanned, State.BEYOND_LIMIT)
        path = self._paths.report_path(directory)
        self._limits_reached[:] = [(str(failure.strerror), path)]

    def limits_reached(self) -> Collection[object]:
        """Return what is empty if `take_limit_error` has none, kept up to date."""
        return self._limits_reached

    def has_rest(self) -> bool:
        """Return whether a window has anything in it, or its memory is to be freed."""
        has_reach = self._reach != self._nearest
        return has_reach or bool(self._window.moved) or self.has_scanned()

    # ---- the window ------------------------------------------------------------

    def hold(
        self,
        directory: Directory,
        event: Event,
        batch: Sequence[Event],
        *,
        completes_move: bool,
    ) -> bool:
        """Hold an event back, as `Window.hold` has it."""
        window, watches = self._window, self._watches
        is_sure = completes_move and not window.will_move(directory, batch, watches)
        return window.hold(directory, event, is_sure=is_sure)

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

    def has_scanned(self) -> bool:
        """Return whether `finish` has scans to end."""
        return bool(self._window.scans or self._window.batches)

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
        scans, window.scans = window.scans, {}
        batches, window.batches = window.batches, []
        # Until something is in the way.
        self._reach = min(2 * self._reach, self._farthest)
        plainly = plainly and self._recursive and window.is_whole and not window.moved
        if plainly and _are_quiet(scans.values(), batches, self._watches):
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
                if scan.batch is not None and scan.batch.has_below(scan.index):
                    yield from self._finish_below(scan, scan.batch)

    def _adopt(self, scans: Mapping[Directory, Scan], batches: list[Batch]) -> None:
        for directory, scan in scans.items():
            directory.status = scan.wd
        self._scanner.note_empty(scans.values())
        for batch in batches:
            if not batch.is_flat():
                watched, unscanned = batch.adopt_all()
                self._watches.assign_all(watched)
                self._now.update(dict.fromkeys(unscanned, Purpose.SILENT))

    def _finish_below(self, scan: Scan, batch: Batch) -> Iterator[Scan]:
        """Yield the scans below a directory that are valid, as it is.

        The others are made again: all in whose directory something happened, or in
        one above it, and what seems to be at another place, too, as an event about
        that is still queued.
        """
        purpose = Purpose.SILENT if scan.purpose is Purpose.SILENT else Purpose.REPORT
        touched = batch.is_touched
        places: dict[int, Directory] = {}
        if not touched(scan.index):
            places[scan.index] = scan.directory
        for index, parent_index, name, wd, names in batch.below(scan.index):
            parent = places.get(parent_index)
            child = parent.child(name) if parent is not None else None
            if (
                child is not None
                and names is not None
                and child.status is State.UNSCANNED
                and not touched(index)
                and self._watches.are_unassigned([wd])
            ):
                places[index] = child
                self._enter(child, wd)
                self._watches.assign(wd, child)
                yield Scan(child, purpose, wd, names)
            elif wd:
                self._watches.keep([wd])
                self._reach = self._nearest

    def _drop_below(self, scan: Scan) -> None:
        """Release the watches that were added below an invalid scan."""
        self._reach = self._nearest
        if scan.batch is not None:
            self._watches.keep(scan.batch.wds_below(scan.index))

    def retry_unreadable(self) -> None:
        """Have those scanned again that may have become readable."""
        if self._unreadable:
            for directory in list(self._unreadable):
                self.want(directory, Purpose.RETRY, next_call=True)
        for scan in self._window.scans.values():
            scan.retry = True

    def _leave_window(self, directory: Directory, status: Scanning) -> None:
        self._window.scans.pop(directory, None)
        self._window.is_whole = False  # its batch has what nobody may adopt
        if isinstance(status, Scan):
            self._drop_below(status)

    def lose_watch(self, directory: Directory) -> None:
        """Follow the end of a directory's watch."""
        scan = self._window.scans.get(directory)
        if scan is not None and directory.status is scan:
            scan.wd = 0
        elif directory.status is not State.UNMOUNTED:
            self._enter(directory, State.WATCH_LOST)

    def is_empty(self, directory: Directory) -> bool:
        """Return whether the disk has no names in a directory."""
        return self._scanner.is_empty(directory)

    def forget_all(self) -> None:
        """Release everything; the directories have left the model."""
        self._now.clear()
        self._next_call.clear()
        for group in self._groups.values():
            group.clear()
        for batch in self._window.batches:
            self._watches.keep(batch.wds_found())
        self._window = Window()
