"""The follower: leads each event of the queue through the parts, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

from . import _disk
from ._entries import Entries
from ._masks import (
    ATTRIB,
    CONTROL,
    DELETE_SELF,
    ISDIR,
    LISTING,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    STRUCTURAL,
    UNMOUNT,
)
from ._model import Directory, Scanning, State
from ._parts import Parts
from ._plain import NOT_PLAIN, PlainEvents
from ._roots import Root
from ._scan import Purpose, Scan
from ._watches import Control

if TYPE_CHECKING:
    from ..events import Event

# Events between two looks at the clock.
_CHUNK = 256


class Reading:
    """The events of one read of the queue, and how far they were followed."""

    __slots__ = ("batch", "followed", "is_first", "overflowed")

    def __init__(self, batch: Sequence[Event], *, is_first: bool) -> None:
        self.batch = batch
        self.followed = 0
        self.is_first = is_first  # the first of a call
        self.overflowed = False  # events are missing


class Follower:
    """Follows the kernel's events."""

    def __init__(self, parts: Parts) -> None:
        self._paths = parts.paths
        self._output = parts.output
        self._watches = parts.watches
        self._scanner = parts.scanner
        self._scans = parts.scans
        self._renames = parts.renames
        self._unverified = parts.unverified
        self._trees = parts.trees
        self._mount_points = parts.mount_points
        self._roots = parts.roots
        self._of_ways = parts.roots.watches
        self._nested = parts.roots.nested
        self._entries = Entries(parts)
        self._plain = PlainEvents(parts)
        # Both are asked for each event.
        self._unmounted = parts.scans.unmounted()
        self._ambiguous = parts.renames.ambiguous()
        self._unfinished_renames = parts.renames.unfinished()

    def follow(self, reading: Reading, is_over: Callable[[], bool]) -> bool:
        """Follow the events of a read; return whether all of them were followed."""
        batch = reading.batch
        if not reading.followed:
            self._scans.note_events(batch)
        while reading.followed < len(batch):
            chunk = batch[reading.followed : reading.followed + _CHUNK]
            reading.followed += len(chunk)
            self._follow_chunk(chunk, reading)
            if is_over():
                break
        return reading.followed == len(batch)

    def _follow_chunk(self, chunk: Sequence[Event], reading: Reading) -> None:
        watches_of_ways = self._of_ways
        due = self._roots.is_urgent() and not reading.overflowed
        index = 0
        while index < len(chunk):
            event = chunk[index]
            if not (due or event[1] & NOT_PLAIN):
                index = self._plain.follow(chunk, index)
                if index == len(chunk):
                    break
                event = chunk[index]
            index += 1
            of_a_way = event[0] in watches_of_ways
            if due and not of_a_way:
                self._roots.settle()
                due = False
            if event[1] & CONTROL:
                if self._follow_control(event):
                    reading.overflowed = True
            else:
                self._follow_event(event, reading.batch)
            # Most events of a root's own watch are of names that no way awaits.
            if of_a_way and (not event[3] or self._roots.awaits_name_in(event[0])):
                self._roots.follow_event(event)
                if event[1] & ATTRIB:
                    self._scans.retry_unreadable()
                due = self._roots.is_urgent() and not reading.overflowed

    def _follow_event(self, event: Event, batch: Sequence[Event]) -> None:
        wd, mask, _, name = event
        if self._unmounted and not mask & UNMOUNT:
            self._mount_points.show()
        if self._ambiguous:
            for decision in self._renames.judge(wd, mask):
                self._trees.apply(decision)
        owners = self._watches.owners(wd)
        if mask & LISTING and mask & ISDIR and self._is_own(owners, name):
            return
        if mask & MOVED_FROM and mask & ISDIR and self._nested.has_exceptions():
            for directory in owners:
                path = self._paths.entry_path(directory, name)
                self._roots.resolve_below(path)
        for directory in owners:
            if directory.status != wd and directory.wd != wd:
                continue  # following the event for another owner has forgotten it
            if not name:
                self._follow_self(directory, mask)
            else:
                self._follow_named(directory, event, batch)

    def ask_of_renames(self) -> bool:
        """Read from the disk what the renames leave open; return whether any did.

        Raises:
            OSError: EMFILE and the like: the rest is left for the next time.
        """
        asked = False
        if any(self._unfinished_renames):
            asked = self._renames.settle(self._scanner.wait_for_changes)
        if self._unverified and self._unverified.ask(
            self._scanner.find, self._renames.concerns
        ):
            asked = True
        return asked

    def end_window(self) -> None:
        """End the window: at its fence, or else with the read."""
        self._scanner.forget_listed()
        if self._scans.has_scanned():
            for scan in self._scans.finish(plainly=self._adds_plainly()):
                self._finish_scan(scan)
        are_unfinished = any(self._unfinished_renames)
        if are_unfinished:
            self._renames.window_ended()
        if self._unverified:
            for found in self._unverified.finish(self._scans.has_moved):
                self._entries.found(found.parent, {found.name: found.is_directory})
        if are_unfinished:
            for decision in self._renames.settled():
                self._trees.apply(decision)

    def _finish_scan(self, scan: Scan) -> None:
        """Report the names that a scan found, and the later events of the directory."""
        directory = scan.directory
        if scan.failure is not None:
            self._follow_failure(directory, scan, scan.failure)
            return
        if scan.is_plain() and not self._nested.has_exceptions():
            if scan.names:
                silent = scan.purpose is Purpose.SILENT
                self._trees.found(directory, scan.names, silent=silent)
            return
        waiting = self._waiting_in(directory)
        scan.reported.update(waiting)
        gone = self._gone(scan)
        for _, mask, cookie, name in scan.replay(self._renames.is_pending):
            self._entries.follow(directory, mask, cookie, name)
            if directory.status is State.FORGOTTEN:
                return
        for name in gone:
            if directory.child(name) is not None:
                self._trees.vanish(directory, name)
        silent = scan.purpose is Purpose.SILENT
        self._entries.found(directory, scan.names, scan.content, silent=silent)
        self._nested.adopt(waiting, directory, silent=silent)
        if self._nested.has_exceptions():
            self._nested.join_below(self._paths.report_path(directory))

    def _gone(self, scan: Scan) -> list[str]:
        """Return the known directories that left before the scan, without an event.

        A scan before this one was not valid, and nobody had the watch in between.
        """
        children = scan.directory.children
        if not children:
            return []
        followed = scan.reported.union(event.name for event in scan.held_back)
        return [
            name
            for name in children.keys() - scan.names.keys() - followed
            if not self._renames.is_source(scan.directory, name)
        ]

    def _follow_failure(
        self, directory: Directory, scan: Scan, failure: OSError
    ) -> None:
        if failure.errno not in _disk.NOT_THERE:
            self._trees.scan_failed(scan, failure)
            path = self._paths.report_path(directory)
            self._nested.stand_alone_below(path, scan.purpose)
            return
        # All above it is where it should be, and yet it is not there: either the
        # root leads elsewhere, or the file system reports no events.
        top = directory.top
        if top is None or not self._roots.verify(top):
            return
        if directory.parent is None:
            self._scans.want(directory, scan.purpose)
        elif directory.status is not State.FORGOTTEN:
            self._trees.vanish(directory.parent, directory.name)

    def _waiting_in(self, directory: Directory) -> dict[str, Root]:
        if not self._nested.has_exceptions():
            return {}
        return self._nested.waiting_in(self._paths.report_path(directory))

    def _adds_plainly(self) -> bool:
        return self._trees.adds_plainly() and not self._nested.has_exceptions()

    def _is_own(self, owners: Sequence[Directory], name: str) -> bool:
        """Return whether an event may come from a listing of our own.

        A scan goes on with the directories that it finds, which the model does not
        have before the window ends.
        """
        return any(
            self._scanner.has_listed(owner.child(name) if name else owner)
            or isinstance(owner.status, Scanning)
            for owner in owners
        )

    def _follow_control(self, event: Event) -> bool:
        wd, mask, _, _ = event
        control = self._watches.classify(wd, mask)
        if control is Control.FENCE:
            self.end_window()
        elif control is Control.LOST:
            for directory in self._watches.forget(wd):
                self._scans.lose_watch(directory)
        elif control is Control.OVERFLOW:
            self._roots.start_anew()
            return True
        return False

    def _follow_self(self, directory: Directory, mask: int) -> None:
        """Follow an event of a directory's own watch, about itself."""
        if mask & UNMOUNT:
            if directory.parent is not None:
                self._output.report_unmount(self._paths.report_path(directory))
            self._watches.release(directory.wd, directory)
            self._scans.unmount(directory)
        if directory.parent is None:  # its end is found on the way to it
            if not mask & (DELETE_SELF | MOVE_SELF | UNMOUNT):
                self._output.report(mask, self._paths.report_path(directory))
        elif mask & MOVE_SELF:
            left = self._renames.moved_self(directory)
            if left is not None:
                self._trees.apply(left)
        if mask & ATTRIB:
            self._scans.retry_unreadable()

    def _follow_named(
        self, directory: Directory, event: Event, batch: Sequence[Event]
    ) -> None:
        """Follow an event that names an entry, or hold it back."""
        _, mask, cookie, name = event
        over = False
        if isinstance(directory.status, Scanning):
            second = bool(mask & MOVED_TO) and self._renames.is_pending(cookie)
            if self._scans.hold(directory, event, batch, completes_move=second):
                if second:
                    self._renames.hold_second(cookie)
            else:
                self._entries.follow(directory, mask, cookie, name)
                over = True  # for all that is known
        else:
            over = self._entries.follow(directory, mask, cookie, name)
        if mask & STRUCTURAL and self._renames.note(directory, mask, name, over=over):
            self._unverified.add(directory, name)
