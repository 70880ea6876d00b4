"""watchdog's Observer over `TreeWatcher`: change one import.

    from inotify_cffi.watchdog import Observer  # not: from watchdog.observers

Handlers, `schedule`, `start`, `stop` and `join` are watchdog's own. The events of a
tree differ: every file in a new directory is reported; the rename of a directory moves
its content as it was at the rename; a path that leaves the tree is reported at once;
after an overflow, the missed changes are reported. It needs watchdog 6 or 7, the extra
``watchdog``.
"""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from watchdog import events as watchdog_events
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import (
    DEFAULT_EMITTER_TIMEOUT,
    DEFAULT_OBSERVER_TIMEOUT,
    BaseObserver,
    EventEmitter,
)

from ._beginning import Trees, begin
from ._change import Change, Settings
from ._last_state import LastState, Moment, Reads
from ._nodes import Directory
from .events import flags, masks
from .mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchdog.observers.api import EventQueue, ObservedWatch

    from .tree import TreeEvent, TreeWatcher

__all__ = ["FullTreeEmitter", "Observer", "TreeEmitter"]

logger = logging.getLogger(__name__)

# watchdog 7 has events of attributes; watchdog 6 says "modified".
_FileAttribEvent = getattr(watchdog_events, "FileAttribEvent", FileModifiedEvent)
_DirAttribEvent = getattr(watchdog_events, "DirAttribEvent", DirModifiedEvent)

_CREATE = int(flags.CREATE)
_MOVED_TO = int(flags.MOVED_TO)
_MOVED_FROM = int(flags.MOVED_FROM)
_GONE = int(flags.DELETE | flags.MOVED_FROM)
_ATTRIB = int(flags.ATTRIB)
_MODIFY = int(flags.MODIFY)
_OPEN = int(flags.OPEN)
_CLOSE_WRITE = int(flags.CLOSE_WRITE)
_CLOSE_NOWRITE = int(flags.CLOSE_NOWRITE)
_LOST = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)
_OVERFLOW = int(flags.Q_OVERFLOW)
_ISDIR = int(flags.ISDIR)

# The events that the mirror needs, besides the requested ones.
_ALWAYS = int(flags.CREATE | flags.DELETE | masks.MOVE) | _LOST & ~int(flags.UNMOUNT)
_OF_CONTENT = _ATTRIB | _MODIFY | _OPEN | _CLOSE_WRITE | _CLOSE_NOWRITE
# The bits for events of watchdog's; those of names are always requested.
_ASKED: dict[type[FileSystemEvent], int] = {
    FileModifiedEvent: _MODIFY | _ATTRIB,
    DirModifiedEvent: _ATTRIB | _CLOSE_WRITE,
    _FileAttribEvent: _MODIFY | _ATTRIB,
    _DirAttribEvent: _ATTRIB | _CLOSE_WRITE,
    FileOpenedEvent: _OPEN,
    FileClosedEvent: _CLOSE_WRITE,
    FileClosedNoWriteEvent: _CLOSE_NOWRITE,
}


class TreeEmitter(EventEmitter):
    """Emits the events of one watch of an `Observer`.

    Parameters:
        event_queue: where the events go.
        watch: what is watched.
        timeout: how long to wait for events at a time, in seconds.
        event_filter: the events to emit; None: all.

    Raises:
        NotImplementedError: the watch has ``follow_symlink=True``.
    """

    full_events = False

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        timeout: float = DEFAULT_EMITTER_TIMEOUT,
        event_filter: Iterable[type[FileSystemEvent]] | None = None,
        **options: Any,
    ) -> None:
        if getattr(watch, "follow_symlink", False):
            raise NotImplementedError(
                f"{watch.path!r}: follow_symlink=True: a symbolic link in a tree is "
                "never followed; schedule what it leads to"
            )
        super().__init__(
            event_queue,
            watch,
            timeout=timeout,
            event_filter=None if event_filter is None else list(event_filter),
            **options,
        )
        self._mask = _ALWAYS | _mask_of(event_filter)
        self._watcher: TreeWatcher | None = None
        self._new: list[Directory] = []  # directories

    def on_thread_start(self) -> None:
        """Begin to watch. When this returns, every event is reported."""
        root = os.fsdecode(self.watch.path)
        trees = Trees([root], self._mask, recursive=self.watch.is_recursive)
        self._watcher, self._names = begin(trees)
        self._mirror = Mirror.of(self._names)
        self._last = LastState(self._names)

    def on_thread_stop(self) -> None:
        """End a wait for events at once."""
        if self._watcher is not None:
            self._watcher.close()

    def queue_events(self, timeout: float) -> None:
        """Wait for events, and queue watchdog's events for them.

        Parameters:
            timeout: how long to wait at most, in seconds.
        """
        watcher = self._watcher
        if watcher is None:
            return
        try:
            # Only a read that does not wait has all events from before its call.
            moment = Moment()
            self._emit_read(watcher, watcher.read(timeout=0))
            self._last.note(moment, self._new)
            self._new.clear()
            self._emit_read(watcher, watcher.read(timeout=timeout * 1000))
        except ValueError:
            if not watcher.closed:
                raise
        except OSError as failure:  # a limit: directories beyond it are not watched
            logger.error("%r: %s", self.watch.path, failure)
            self.stopped_event.wait(timeout)

    def _emit_read(self, watcher: TreeWatcher, events: list[TreeEvent]) -> None:
        """Queue watchdog's events for those of one read."""
        overflow = next(
            (index for index, each in enumerate(events) if each.mask & _OVERFLOW), None
        )
        self._emit_all(events[:overflow])
        if overflow is not None:
            self._emit_difference(watcher, events[overflow:])

    # ---- the meaning of an event -----------------------------------------------------

    def _emit_all(self, events: Iterable[TreeEvent]) -> None:
        for event in events:
            for each in self._meaning(event):
                self.queue_event(each)
            if event.mask & _LOST and event.path == os.fsdecode(self.watch.path):
                self.stop()

    def _meaning(self, event: TreeEvent) -> Iterator[FileSystemEvent]:
        """Yield watchdog's events for one event, and apply it to the mirror."""
        path, mask, old_path, synthetic = event
        if mask & _GONE or mask & _LOST:
            yield from self._gone(path, mask)
            self._mirror.apply([event])
        elif mask & (_CREATE | _MOVED_TO):
            yield from self._replaced(path, mask)
            self._mirror.apply([event])
            if old_path is not None:
                yield from self._moved(old_path, path, mask)
            else:
                yield from self._came(path, mask, synthetic=synthetic)
        else:
            yield from self._content(path, mask)

    def _replaced(self, path: str, mask: int) -> Iterator[FileSystemEvent]:
        """Yield the deletion of a thing that was replaced; a file replaces a file.

        The kernel reports an exchange (RENAME_EXCHANGE) as two renames, one of them
        over what it was exchanged for.
        """
        if self._is_directory(path):
            yield from self._gone(path, 0)
        elif mask & _ISDIR and self._names.entry(path):
            yield FileDeletedEvent(self._typed(path), is_synthetic=True)

    def _came(
        self, path: str, mask: int, *, synthetic: bool
    ) -> Iterator[FileSystemEvent]:
        if self.full_events and mask & _MOVED_TO:
            kind = DirMovedEvent if mask & _ISDIR else FileMovedEvent
            yield kind(self._typed(""), self._typed(path))
        else:
            made = DirCreatedEvent if mask & _ISDIR else FileCreatedEvent
            yield made(self._typed(path), is_synthetic=synthetic)
        directory = self._names.entry(path)
        if isinstance(directory, Directory):
            self._new.append(directory)
        if not synthetic:
            yield self._above_modified(path)

    def _moved(self, old_path: str, path: str, mask: int) -> Iterator[FileSystemEvent]:
        kind = DirMovedEvent if mask & _ISDIR else FileMovedEvent
        yield kind(self._typed(old_path), self._typed(path))
        yield self._above_modified(old_path)
        yield self._above_modified(path)
        for below in self._mirror.below(path):
            former = old_path + below[len(path) :]
            kind = DirMovedEvent if self._is_directory(below) else FileMovedEvent
            yield kind(self._typed(former), self._typed(below), is_synthetic=True)

    def _gone(self, path: str, mask: int) -> Iterator[FileSystemEvent]:
        is_directory = self._is_directory(path)
        for below in reversed(list(self._mirror.below(path))):
            is_below = self._is_directory(below)
            yield self._left(below, mask, is_directory=is_below, synthetic=True)
        yield self._left(path, mask, is_directory=is_directory, synthetic=False)
        if mask & _GONE:
            yield self._above_modified(path)

    def _left(
        self, path: str, mask: int, *, is_directory: bool, synthetic: bool
    ) -> FileSystemEvent:
        typed = self._typed(path)
        if self.full_events and mask & _MOVED_FROM:
            kind = DirMovedEvent if is_directory else FileMovedEvent
            return kind(typed, self._typed(""), is_synthetic=synthetic)
        gone = DirDeletedEvent if is_directory else FileDeletedEvent
        return gone(typed, is_synthetic=synthetic)

    def _content(self, path: str, mask: int) -> Iterator[FileSystemEvent]:
        typed = self._typed(path)
        if mask & _ATTRIB:
            is_directory = mask & _ISDIR or self._is_directory(path)
            yield (_DirAttribEvent if is_directory else _FileAttribEvent)(typed)
        elif mask & _ISDIR or self._is_directory(path):
            return
        elif mask & _MODIFY:
            yield FileModifiedEvent(typed)
        elif mask & _OPEN:
            yield FileOpenedEvent(typed)
        elif mask & _CLOSE_WRITE:
            yield FileClosedEvent(typed)
            yield self._above_modified(path)
        elif mask & _CLOSE_NOWRITE:
            yield FileClosedNoWriteEvent(typed)

    def _above_modified(self, path: str) -> FileSystemEvent:
        return DirModifiedEvent(self._typed(os.path.dirname(path)))

    def _is_directory(self, path: str) -> bool:
        return self._mirror.is_directory(path)

    def _typed(self, path: str) -> Any:
        """Return a path in the type of the scheduled one."""
        return os.fsencode(path) if isinstance(self.watch.path, bytes) else path

    # ---- after an overflow -----------------------------------------------------------

    def _emit_difference(self, watcher: TreeWatcher, events: list[TreeEvent]) -> None:
        """Queue the missed events: the difference between the disk and the mirror.

        It has no moves: everything is new after an overflow.
        """
        before = sorted(self._mirror)
        directories = {path for path in before if self._is_directory(path)}
        self._mirror.track()
        self._mirror.apply(events)
        reads = Reads(self._names)
        while True:
            reads.begin()
            events = watcher.read(timeout=0)
            self._mirror.apply(events)
            if reads.are_enough(events):
                break
        settings = Settings(is_unchanged=self._last.is_unchanged)
        changes, new = self._names.take_changes(settings)
        self._names.tracking = False
        self._last.note(reads.moment, new)
        self._new.clear()
        for change in changes:
            for each in self._meaning_of_change(change, before, directories):
                self.queue_event(each)
        if not any(True for _ in self._mirror):
            self.stop()

    def _meaning_of_change(
        self, change: Change, before: list[str], directories: set[str]
    ) -> Iterator[FileSystemEvent]:
        typed = self._typed(change.path)
        if change.kind == "added":
            made = DirCreatedEvent if change.is_directory else FileCreatedEvent
            yield made(typed, is_synthetic=True)
        elif change.kind == "modified":
            yield FileModifiedEvent(typed, is_synthetic=True)
        elif change.kind == "deleted":
            for path in [*reversed(_below(change.path, before)), change.path]:
                gone = DirDeletedEvent if path in directories else FileDeletedEvent
                yield gone(self._typed(path), is_synthetic=True)


class FullTreeEmitter(TreeEmitter):
    """Emits moves from outside, and to outside, as moves with one path."""

    full_events = True


class Observer(BaseObserver):
    """watchdog's observer, over `inotify_cffi.TreeWatcher`.

    Parameters:
        timeout: how long an emitter waits for events at a time, in seconds.
        generate_full_events: report moves from outside, and to outside, as
            moved, with one of the paths empty; not as created and deleted.

    ``schedule`` with ``follow_symlink=True`` raises NotImplementedError.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_OBSERVER_TIMEOUT,
        generate_full_events: bool = False,
    ) -> None:
        emitter = FullTreeEmitter if generate_full_events else TreeEmitter
        super().__init__(emitter, timeout=timeout)


def _mask_of(event_filter: Iterable[type[FileSystemEvent]] | None) -> int:
    """Return the bits of the kernel's events for some events of watchdog's."""
    if event_filter is None:
        return _OF_CONTENT
    mask = 0
    for kind in event_filter:
        for each, bits in _ASKED.items():
            if issubclass(each, kind):
                mask |= bits
    return mask


def _below(path: str, paths: list[str]) -> list[str]:
    """Return those of sorted paths that are below a path."""
    found = []
    for index in range(bisect_left(paths, path + "/"), len(paths)):
        if not paths[index].startswith(path + "/"):
            break
        found.append(paths[index])
    return found
