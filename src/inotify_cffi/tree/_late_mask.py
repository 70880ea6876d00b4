"""Masks that directories get only after all scans.

Where the events of a single listing do not fit into the queue, a scan would overflow
it, and so would the scan after that, for ever. There a directory is watched for these
events when it has been listed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Callable

from ._masks import DONT_FOLLOW, LISTING, MASK_ADD

if TYPE_CHECKING:
    from ..instance import INotify
    from ._model import Directory


def without_listing(mask: int) -> int:
    """Return the mask for a scan whose events do not fit into the queue.

    Without MASK_ADD: a watch of before an overflow has LISTING, too. What the kernel
    loses while it sets the mask, the scan will find.
    """
    return mask & ~(LISTING | MASK_ADD)


class LateMask:
    """Adds to watches what they were made without. Not thread-safe.

    Parameters:
        inotify: the instance.
        mask: the whole mask of a watch.
    """

    def __init__(self, inotify: INotify, mask: int) -> None:
        self._inotify = inotify
        self._mask = mask | MASK_ADD | DONT_FOLLOW
        self._incomplete: set[int] = set()

    def __bool__(self) -> bool:
        """Whether watches are incomplete."""
        return bool(self._incomplete)

    def incomplete(self) -> Collection[int]:
        """Return the watches that are incomplete, kept up to date."""
        return self._incomplete

    def note(self, wds: Iterable[int]) -> None:
        """Note watches that were made without the whole mask."""
        self._incomplete.update(wds)

    def __iter__(self) -> Iterator[int]:
        """Yield the watches that are incomplete."""
        return iter(self._incomplete)

    def complete(
        self, owners: Mapping[int, Directory], path_of: Callable[[Directory], str]
    ) -> list[int]:
        """Give watches the whole mask, as far as their paths are right.

        Parameters:
            owners: the directory of each watch that still has one.
            path_of: returns where a directory is.

        Returns:
            The watches that the paths led to.
        """
        found: list[int] = []
        later: set[int] = set()
        for wd, directory in owners.items():
            try:
                found.append(self._inotify.add_watch(path_of(directory), self._mask))
            except OSError:
                later.add(wd)
                continue
            if found[-1] != wd:  # it is moving: its event will be in the queue
                later.add(wd)
        self._incomplete.clear()
        self._incomplete.update(later)
        return found
