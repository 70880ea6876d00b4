"""`Mirror`: the names in trees, kept up to date by a `TreeWatcher`'s events."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ._change import Change, Settings, join
from ._names import Names
from ._nodes import Directory

if TYPE_CHECKING:
    from .tree import TreeEvent

__all__ = ["Change", "Mirror"]


class Mirror:
    """The names in trees, kept up to date by the events of a `TreeWatcher`.

    A file takes the length of its name and one byte, a directory some 300 bytes. A
    directory with more than 4096 characters of names takes some 100 bytes for each name
    once a name in it changed or was asked for.

    Parameters:
        roots: the roots of the `TreeWatcher`: str, bytes or PathLike. The mirror begins
            empty, so create the watcher with ``initial=True``, and with a mask that has
            CREATE, DELETE and MOVE. A root is a directory, unless events say that it is
            a file.

    >>> import os, tempfile
    >>> from inotify_cffi import TreeWatcher
    >>> root = tempfile.mkdtemp()
    >>> with TreeWatcher(root, initial=True) as watcher:
    ...     mirror = Mirror(root)
    ...     os.makedirs(f"{root}/a/b")
    ...     mirror.apply(watcher.read(timeout=0))
    >>> f"{root}/a/b" in mirror
    True
    >>> [path.replace(root, "") for path in mirror.below(root)]
    ['/a', '/a/b']
    """

    def __init__(
        self, *roots: str | bytes | os.PathLike[str] | os.PathLike[bytes]
    ) -> None:
        self._names = Names([os.fsdecode(root) for root in roots])

    @classmethod
    def of(cls, names: Names) -> Mirror:
        """Return the mirror of names that other code keeps up to date.

        Parameters:
            names: those of a `watch`.
        """
        mirror = cls()
        mirror._names = names
        return mirror

    def __contains__(self, path: object) -> bool:
        """Whether a path is in the mirror: str, bytes or PathLike."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return bool(self._names.entry(os.fsdecode(path)))

    def is_directory(self, path: str) -> bool:
        """Return whether a path is in the mirror, and is a directory there.

        Parameters:
            path: as `TreeEvent.path` has it.
        """
        return isinstance(self._names.entry(path), Directory)

    def __iter__(self) -> Iterator[str]:
        """Yield all paths: a directory before its content, names in order."""
        for root, directory in sorted(self._names.top.entries(), key=_name):
            yield root
            if directory is not None:
                yield from _paths_below(directory, root)

    def __len__(self) -> int:
        """Return how many paths there are, the roots among them."""
        count = 0
        stack = [self._names.top]
        while stack:
            for _, directory in stack.pop().entries():
                count += 1
                if directory is not None:
                    stack.append(directory)
        return count

    def below(self, path: str) -> Iterator[str]:
        """Yield the paths below a directory, which an event of it concerns.

        A rename or a deletion of a directory is one event, for everything below it. Ask
        before the event is applied for the old paths, or after it for the new ones.

        Parameters:
            path: a path in the mirror. For a file, or an unknown path, there are none.
        """
        entry = self._names.entry(path)
        if isinstance(entry, Directory):
            yield from _paths_below(entry, path)

    def apply(self, events: Iterable[TreeEvent]) -> None:
        """Apply events, in their order.

        Parameters:
            events: the result of `TreeWatcher.read`.

        Raises:
            ValueError: an event does not apply: events of the watcher were left out, or
                those of another one were applied.
        """
        self._names.apply(events)

    def track(self) -> None:
        """Begin to record changes, for `changes`.

        This takes memory for each change, until `changes` is called.
        """
        self._names.tracking = True

    def changes(self) -> list[Change]:
        """Return the net difference since `track` was called, and stop recording.

        After a Q_OVERFLOW, that includes what was missed, once the synthetic CREATEs
        were applied. A file that was there before and after it is not included: names
        say nothing about content.

        Returns:
            The changes, in the order in which they apply. See `Change`.
        """
        changes, _ = self._names.take_changes(Settings(is_unchanged=_is_unchanged))
        self._names.tracking = False
        return changes


def _is_unchanged(path: str, was_in: Directory) -> bool:
    return True


def _paths_below(directory: Directory, path: str) -> Iterator[str]:
    stack = [(directory, path, iter(sorted(directory.entries(), key=_name)))]
    while stack:
        directory, path, entries = stack[-1]
        for name, below in entries:
            here = join(path, name)
            yield here
            if below is not None:
                stack.append((below, here, iter(sorted(below.entries(), key=_name))))
                break
        else:
            stack.pop()


def _name(entry: tuple[str, Directory | None]) -> str:
    return entry[0]
