"""The completion of watches: what a scan must not be watched for yet.

Where the events of a single listing do not fit into the queue, a scan would overflow
it, and so would the scan after that, for ever. There a directory is watched for these
events only when all is scanned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Callable

from ._masks import DONT_FOLLOW, LISTING, MASK_ADD
from ._queue import listings_that_fit

if TYPE_CHECKING:
    from ..instance import INotify


class Completion:
    """The watches that are to be completed.

    Parameters:
        inotify: the instance.
        mask: what directories are watched for in the end.
        queue_length: how many events its queue holds.
    """

    def __init__(self, inotify: INotify, mask: int, queue_length: int) -> None:
        self._inotify = inotify
        self._whole_mask = self.mask = mask
        self.listings = None
        """How many listings may fill the queue; None: they queue no events."""
        if mask & LISTING:
            self.listings = listings_that_fit(queue_length)
            if not self.listings:
                # Without MASK_ADD: a watch of before an overflow has them, too. What
                # the kernel loses while it sets the mask, the scan will find.
                self.mask &= ~(LISTING | MASK_ADD)
        self._incomplete: set[int] = set()

    def __len__(self) -> int:
        return len(self._incomplete)

    def add(self, wds: Iterable[int]) -> None:
        """Note watches that were added for a scan."""
        if self.mask != self._whole_mask:
            self._incomplete.update(wds)

    def complete(
        self,
        paths_of: Callable[[int], Iterable[str]],
        keep: Callable[[Collection[int]], None],
    ) -> None:
        """Complete the watches. The queue must be empty.

        Parameters:
            paths_of: returns where the directory of a watch is, if it has one.
            keep: is given each watch that was added to, or added.
        """
        later: set[int] = set()
        for wd in self._incomplete:
            for path in paths_of(wd):
                if not self._complete(wd, path, keep):
                    later.add(wd)  # it is moving: its event will be in the queue
        self._incomplete = later

    def _complete(
        self, wd: int, path: str, keep: Callable[[Collection[int]], None]
    ) -> bool:
        how = MASK_ADD | DONT_FOLLOW
        try:
            found = self._inotify.add_watch(path, self._whole_mask | how)
        except OSError:
            return False
        keep([found])
        return found == wd
