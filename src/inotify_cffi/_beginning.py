"""Watching trees, and listing their content, without a gap between the two."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._filling import fill
from ._names import Names
from .events import flags
from .tree import TreeWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Callable

    from ._filters import Exclusion, Matcher
    from .tree import TreeEvent

_MOVED_FROM = int(flags.MOVED_FROM)
_NO_FILE = int(
    flags.ISDIR | flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.Q_OVERFLOW
)


class Trees(NamedTuple):
    """The roots to watch, and which paths to leave out."""

    roots: Sequence[str]
    mask: int
    exclusion: Exclusion | None = None
    only: Matcher | None = None
    """Which files to watch; None: all."""
    recursive: bool = True

    def watch(self, *, initial: bool) -> TreeWatcher:
        """Begin to watch."""
        return TreeWatcher(
            *self.roots,
            mask=self.mask,
            exclude=self.exclusion if self.only is None else self._is_left_out,
            initial=initial,
            recursive=self.recursive,
        )

    def _is_left_out(self, path: str) -> bool:
        """Whether the watcher leaves out a path.

        If the path has `is_directory`, that includes files that are not wanted.
        """
        if self.exclusion is not None and self.exclusion(path):
            return True
        assert self.only is not None
        is_file = getattr(path, "is_directory", True) is False
        return is_file and not self.only.matches(path)


def begin(trees: Trees) -> tuple[TreeWatcher, Names]:
    """Watch, and list the content: it is known once the queue was empty."""
    names = Names(trees.roots)
    watcher = trees.watch(initial=False)
    try:
        filled = fill(names, trees.exclusion, trees.only, recursive=trees.recursive)
        if filled and not watcher.read(timeout=0):
            return watcher, names
    except BaseException:
        watcher.close()
        raise
    # It changed meanwhile: let synthetic events report the content instead.
    watcher.close()
    names = Names(trees.roots)
    watcher = trees.watch(initial=True)
    try:
        events = watcher.read(timeout=0)
        if trees.only is not None:
            events = list(wanted(events, trees.only.matches))
        names.apply(events)
    except BaseException:
        watcher.close()
        raise
    return watcher, names


def wanted(
    events: list[TreeEvent], is_wanted: Callable[[str], bool]
) -> Iterator[TreeEvent]:
    """Yield the events without those of unwanted files."""
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
