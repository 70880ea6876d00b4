"""The end and the content of batches, without waits, threads or tasks.

`Batcher.steps` requests events by yielding the time to wait for them, and is
given the result of `TreeWatcher.read` or `aread`.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from ._beginning import wanted
from ._change import Change, Settings
from ._completing import Completion
from ._last_state import LastState, Reads
from ._names import Names

if TYPE_CHECKING:
    from ._last_state import Moment
    from ._nodes import File
    from .tree import TreeEvent

    Events = list[TreeEvent]
    Steps = Generator[Optional[float], Events, Optional[list[Change]]]


class Options(NamedTuple):
    settle: float
    at_most: float
    timeout: float | None
    complete: bool
    initial: bool
    is_wanted: Callable[[str], bool] | None
    """Which files are reported; None: all, and directories, too."""


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
        self._is_different = False  # perhaps, from the last report
        self._last = LastState(names)

    def steps(self) -> Steps:
        """Return the next batch; an empty one at the timeout; None at the end."""
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
        """Return the time to wait for an event, in milliseconds."""
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
        held: frozenset[File] = frozenset()
        while True:
            moment = yield from self._read_to_a_state()
            overflows = self._names.overflows
            if self._completion is not None:
                held = yield from self._completion.ask(self._take)
            if overflows == self._names.overflows:
                break
        settings = Settings(
            held, self._last.is_unchanged, self._options.is_wanted is not None
        )
        changes, new = self._names.take_changes(settings)
        self._last.note(moment, new)
        self._is_different = False
        return changes

    def _read_to_a_state(self) -> Generator[float, Events, Moment]:
        """Apply all events; return a point in time that they reach to."""
        reads = Reads(self._names)
        while True:
            reads.begin()
            events = yield 0
            self._take(events)
            if reads.are_enough(events):
                return reads.moment
