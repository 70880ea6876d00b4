"""The follower: leads each event of the queue through the parts, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Callable, NamedTuple

from . import _disk
from ._masks import (
    ATTRIB,
    CONTROL,
    CREATE,
    DELETE,
    DELETE_SELF,
    ISDIR,
    LISTING,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    STRUCTURAL,
    UNMOUNT,
)
from ._model import Directory, Paths, Scanning, State
from ._moves import Arrived, Left
from ._output import Output
from ._renames import Renames
from ._root_tracker import RootTracker
from ._roots import Root
from ._scanner import Purpose, Scan, Scanner
from ._scans import Scans
from ._trees import Trees
from ._unverified import UnverifiedNames
from ._watches import Control, Watches

if TYPE_CHECKING:
    from ..events import Event

_NO_CONTENT: Mapping[str, list[int]] = {}
# Events between two looks at the clock.
_CHUNK = 256


class Parts(NamedTuple):
    """All that an event can concern."""

    paths: Paths
    output: Output
    watches: Watches
    scanner: Scanner
    scans: Scans
    renames: Renames
    unverified: UnverifiedNames
    trees: Trees
    roots: RootTracker


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
        self._roots = parts.roots

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
        watches_of_ways = self._roots.watches
        due = self._roots.is_due() and not reading.overflowed
        for event in chunk:
            of_a_way = event[0] in watches_of_ways
            if due and not of_a_way:
                self._roots.settle()
                due = False
            if event[1] & CONTROL:
                if self._follow_control(event):
                    reading.overflowed = True
            else:
                self._follow_event(event, reading.batch)
            if of_a_way:
                self._roots.follow_event(event)
                due = not reading.overflowed

    def _follow_event(self, event: Event, batch: Sequence[Event]) -> None:
        wd, mask, _, name = event
        if self._scans.unmounted() and not mask & UNMOUNT:
            self._trees.show_mount_points()
        if self._renames.has_ambiguous():
            for decision in self._renames.judge(wd, mask):
                self._trees.apply(decision)
        owners = self._watches.owners(wd)
        if mask & LISTING and mask & ISDIR and self._is_own(owners, name):
            return
        for directory in owners:
            if directory.status != wd and directory.wd != wd:
                continue  # following the event for another owner has forgotten it
            if not name:
                self._follow_self(directory, mask)
            else:
                self._follow_named(directory, event, batch)

    def end_window(self) -> None:
        """End the window: at its fence, or else with the read."""
        self._scanner.forget_listed()
        for scan in self._scans.finish(plainly=self._adds_plainly()):
            self._finish_scan(scan)
        self._renames.window_ended()
        for found in self._unverified.finish(self._scans.has_moved):
            self._found(found.parent, {found.name: found.is_directory})
        for decision in self._renames.settled():
            self._trees.apply(decision)

    def _finish_scan(self, scan: Scan) -> None:
        """Report what a scan found, and what happened in the directory since."""
        directory = scan.directory
        if scan.failure is not None:
            self._follow_failure(directory, scan, scan.failure)
            return
        waiting = self._waiting_in(directory)
        scan.reported.update(waiting)
        for _, mask, cookie, name in scan.replay(self._renames.is_pending):
            self._follow_entry(directory, mask, cookie, name)
            if directory.status is State.FORGOTTEN:
                return
        silent = scan.purpose is Purpose.SILENT
        self._found(directory, scan.names, scan.content, silent=silent)
        self._roots.adopt(waiting, directory, silent=silent)

    def _follow_failure(
        self, directory: Directory, scan: Scan, failure: OSError
    ) -> None:
        if failure.errno not in _disk.NOT_THERE:
            self._trees.scan_failed(scan, failure)
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
        if not self._roots.has_exceptions():
            return {}
        return self._roots.waiting_in(self._paths.report_path(directory))

    def _found(
        self,
        directory: Directory,
        names: dict[str, bool],
        content: Mapping[str, list[int]] = _NO_CONTENT,
        *,
        silent: bool = False,
    ) -> None:
        if self._roots.has_exceptions():
            names = {
                name: is_directory
                for name, is_directory in names.items()
                if not self._is_root_of_its_own(directory, name)
            }
        self._trees.found(directory, names, content, silent=silent)

    def _is_root_of_its_own(self, directory: Directory, name: str) -> bool:
        path = self._paths.entry_path(directory, name)
        return self._roots.is_root_of_its_own(path)

    def _adds_plainly(self) -> bool:
        return self._trees.adds_plainly() and not self._roots.has_exceptions()

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
                self._follow_entry(directory, mask, cookie, name)
                over = True  # for all that is known
        else:
            over = self._follow_entry(directory, mask, cookie, name)
        if mask & STRUCTURAL and self._renames.note(directory, mask, name, over=over):
            self._unverified.add(directory, name)

    def _follow_entry(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> bool:
        """Follow what happened to a name.

        Returns:
            Whether a rename came over something that an exchange could have put
            elsewhere.
        """
        if mask & STRUCTURAL:
            self._end_move(parent, mask, cookie)
        if self._is_left_out(parent, mask, name):
            move = self._renames.take(cookie, parent) if mask & MOVED_TO else None
            if move is not None:
                self._trees.apply(Left(move))
        elif mask & MOVED_TO:
            return self._follow_second_half(parent, mask, cookie, name)
        elif mask & MOVED_FROM:
            self._follow_first_half(parent, mask, cookie, name)
        elif mask & CREATE:
            self._trees.create(parent, name, mask)
        elif mask & DELETE:
            self._trees.delete(parent, name, mask)
        else:
            self._follow_content(parent, mask, name)
        return False

    def _end_move(self, parent: Directory, mask: int, cookie: int) -> None:
        """Follow what a structural event of a directory proves."""
        left = self._renames.interrupts(parent, mask, cookie)
        if left is not None:
            self._trees.apply(left)
        if mask & (DELETE | MOVED_FROM):
            self._roots.removed_name(parent)

    def _is_left_out(self, parent: Directory, mask: int, name: str) -> bool:
        if self._roots.has_exceptions() and self._is_root_of_its_own(parent, name):
            return True
        return self._trees.excludes(parent, name, mask)

    def _follow_first_half(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> None:
        move = self._renames.left(
            parent,
            name,
            cookie,
            is_directory=bool(mask & ISDIR),
            unverified=self._unverified.take(parent, name),
        )
        if move.child is not None:
            self._scans.note_moved(move.child)

    def _follow_second_half(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> bool:
        over = self._unverified.take(parent, name)
        decision = self._renames.came(parent, name, mask, cookie)
        victim = parent.child(name)
        if victim is not None and (
            isinstance(decision, Arrived) or victim is not decision.move.child
        ):
            over = True
            self._trees.end_moves_below(victim)
        self._trees.apply(decision)
        return over

    def _follow_content(self, parent: Directory, mask: int, name: str) -> None:
        """Follow an event that leaves the names as they are."""
        if self._unverified and self._is_there(parent, name):
            self._found(parent, {name: bool(mask & ISDIR)})
        if not self._renames.content(parent, name, mask):
            self._output.report(mask, self._paths.entry_path(parent, name))
        if mask & ATTRIB and mask & ISDIR:
            self._scans.retry_unreadable()

    def _is_there(self, parent: Directory, name: str) -> bool:
        """Let an event of something's content prove that an unverified name exists."""
        if parent.child(name) is not None or self._renames.is_source(parent, name):
            return False  # the consumer still has it
        return self._unverified.take(parent, name)
