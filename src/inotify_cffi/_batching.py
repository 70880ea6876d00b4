"""When a batch ends, and what is in it: without waiting, without threads or tasks.

`Batcher.steps` asks for events by yielding for how long to wait for them, and is
given what `TreeWatcher.read` or `aread` returned.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from ._completing import Completion
from ._filling import note_inode
from ._names import Names
from ._net import Change, Settings
from .events import flags

if TYPE_CHECKING:
    from ._nodes import Directory, File
    from .tree import TreeEvent

    Events = list[TreeEvent]
    Steps = Generator[Optional[float], Events, Optional[list[Change]]]

_MOVED_FROM = int(flags.MOVED_FROM)
_NO_FILE = int(
    flags.ISDIR | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.Q_OVERFLOW
)
_MOST_READS = 20  # until the queue is empty, where it never is
_CLOCK_REALTIME_COARSE = 5  # of <linux/time.h>: what the kernel stamps files with


class Options(NamedTuple):
    settle: float
    at_most: float
    timeout: float | None
    complete: bool
    initial: bool
    is_wanted: Callable[[str], bool] | None
    """Which files are asked for; None: directories, too."""


class Batcher:
    """Gather events until there is a batch."""

    def __init__(
        self, names: Names, options: Options, is_over: Callable[[], bool]
    ) -> None:
        self._names = names
        self._options = options
        self._is_over = is_over
        self._completion = Completion(names) if options.complete else None
        self._initial = options.initial
        self._is_different = False  # perhaps, from what was said last
        self._since = _Moment()
        self._inodes: dict[str, int] = {}  # while changes are taken

    def steps(self) -> Steps:
        """Return the next batch; an empty one when time runs out; None at the end."""
        if self._initial:
            changes = yield from self._take_state()
            self._initial = False
            return changes
        timeout = self._options.timeout
        end = None if timeout is None else time.monotonic() + timeout / 1000
        while True:
            if not self._is_different:
                events = yield self._patience(end)
                self._take(events)
                if not events and self._is_over():
                    return None
            if self._is_different:
                yield from self._gather()
            changes = yield from self._take_state()
            if changes:
                return changes
            if end is not None and time.monotonic() >= end:
                return []

    def _patience(self, end: float | None) -> float | None:
        """Return how long to wait for an event, in milliseconds."""
        left = None if end is None else max(0.0, end - time.monotonic())
        if self._completion is not None:
            due = self._completion.seconds_left()
            if due is not None and (left is None or due < left):
                left = due
        return None if left is None else left * 1000

    def _gather(self) -> Generator[float, Events, None]:
        end = time.monotonic() + self._options.at_most / 1000
        while (left := (end - time.monotonic()) * 1000) > 0:
            events = yield min(self._options.settle, left)
            if not events:
                return
            self._take(events)

    def _take(self, events: Events) -> None:
        if self._options.is_wanted is not None:
            events = list(wanted(events, self._options.is_wanted))
        if events:
            self._is_different = True
            self._names.apply(events)

    def _take_state(self) -> Generator[float, Events, list[Change]]:
        for _ in range(_MOST_READS):
            moment = _Moment()
            events = yield 0
            if not events:
                break
            self._take(events)
        held: frozenset[File] = frozenset()
        if self._completion is not None:
            held = yield from self._completion.ask(self._take)
        settings = Settings(
            held, self._is_unchanged, self._options.is_wanted is not None
        )
        changes, new = self._names.take_changes(settings)
        for directory in new:
            note_inode(directory, self._names.path(directory))
        self._inodes.clear()
        self._is_different = False
        self._since = moment
        return changes

    def _is_unchanged(self, path: str, was_in: Directory) -> bool:
        """Return whether a file that a scan found is what was said before.

        It is, when its directory is the same, and nothing has changed the time of its
        last change (ctime) since: writing does, and so do changes of its attributes,
        links and renames.
        """
        above, name = os.path.split(path)
        if (was_in, name) in self._names.stale:
            return False
        try:
            if above not in self._inodes:
                self._inodes[above] = os.stat(above).st_ino
            if self._inodes[above] != was_in.inode:
                return False
            return os.lstat(path).st_ctime_ns < self._since.in_nanoseconds()
        except OSError:
            return False


class _Moment:
    """A point in time, as the kernel stamps files with it."""

    def __init__(self) -> None:
        self._coarse = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
        self._monotonic = time.monotonic_ns()

    def in_nanoseconds(self) -> int:
        """Return it by the clock as it is set now, if that was set back since."""
        passed = time.monotonic_ns() - self._monotonic
        return min(self._coarse, time.time_ns() - passed)


def wanted(events: Events, is_wanted: Callable[[str], bool]) -> Iterator[TreeEvent]:
    """Yield the events as if there were no files but those that are wanted."""
    for event in events:
        old_path = event.old_path
        if event.mask & _NO_FILE:
            yield event
        elif is_wanted(event.path):
            if old_path is not None and not is_wanted(old_path):
                event = event._replace(old_path=None)
            yield event
        elif old_path is not None and is_wanted(old_path):
            yield event._replace(path=old_path, mask=_MOVED_FROM, old_path=None)
