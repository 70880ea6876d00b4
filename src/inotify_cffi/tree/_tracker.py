"""The tracker: reads the queue and asks the disk in turns, until all is reported.

It knows no time and no threads. The package's docstring explains the algorithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ._follower import Follower, Parts
from ._model import Paths
from ._output import Output
from ._renames import Renames
from ._roots import Roots, file_system_warning
from ._scanner import Purpose, Scanner
from ._scans import Scans
from ._trees import Trees
from ._unverified import UnverifiedNames
from ._watches import Watches

if TYPE_CHECKING:
    from ..instance import INotify
    from .events import TreeEvent


class Tracker:
    """One tree or several, tracked from one inotify instance. Not thread-safe."""

    def __init__(
        self, inotify: INotify, mask: int, exclude: Callable[[str], bool] | None
    ) -> None:
        self._inotify = inotify
        self._output = Output(mask, exclude)
        self._watches = Watches(inotify, mask)
        paths = Paths()
        self._scanner = Scanner(self._watches, paths)
        self._scans = Scans(self._scanner, self._watches, paths)
        self._renames = Renames()
        self._unverified = UnverifiedNames()
        self._roots = Roots(self._watches, self._scans)
        self._trees = Trees(
            self._watches,
            self._scans,
            self._renames,
            self._unverified,
            self._roots,
            paths,
            self._output,
        )
        self._follower = Follower(
            Parts(
                paths,
                self._output,
                self._watches,
                self._scans,
                self._renames,
                self._unverified,
                self._trees,
            )
        )
        self._interrupted = False

    # ---- what the watcher asks for -----------------------------------------------

    @property
    def roots(self) -> list[str]:
        """The paths of the roots, as they were given."""
        return [root.given for root in self._roots]

    def has_roots(self) -> bool:
        return bool(self._roots)

    def has_events(self) -> bool:
        return bool(self._output)

    def take_events(self) -> list[TreeEvent]:
        """Take what was found out so far."""
        return self._output.take()

    def take_warning(self) -> Warning | None:
        """Take the next warning that nobody has been given, if there is one."""
        return self._output.take_warning()

    def add_root(self, path: str, *, silent: bool) -> None:
        """Add a root; the next `advance` scans it.

        Raises:
            OSError: there is nothing at the path.
        """
        if path not in self._roots:
            purpose = Purpose.SILENT if silent else Purpose.REPORT
            root = self._roots.add(path, purpose)
            warning = file_system_warning(root)
            if warning is not None:
                self._output.warn(warning)

    def discard_below(self, path: str, since: int) -> None:
        """Drop what is reported of a path, and below it, behind the first events."""
        self._output.discard_below(path, since)

    def count_events(self) -> int:
        return len(self._output)

    def remove_root(self, path: str) -> bool:
        """Remove a root; return whether it was one."""
        root = self._roots.get(path)
        if root is None:
            return False
        if self._roots.remove(root):
            self._trees.forget(root)
        return True

    def close(self) -> None:
        """Let the memory of the model go: its directories refer to each other."""
        self._trees.close()

    def advance(self, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Report all that was caused by what had returned before this call.

        Parameters:
            is_over: is asked between two steps whether to stop. One step reads the
                queue and scans a batch of directories.

        Returns:
            Whether all is reported. If not, call it again for the rest.

        Raises:
            OSError: ENOSPC, the limit of watches, once all else is done; EMFILE and
                the like: the next call goes on where this one stopped.
        """
        if self._interrupted:
            self._trees.start_anew()
        self._interrupted = True  # until the end shows that it was not
        is_done = self._step(begins=True)
        while not is_done and not is_over():
            is_done = self._step(begins=False)
        self._interrupted = False
        limit = self._scans.take_limit_error() if is_done else None
        if limit is not None:
            raise limit
        return is_done

    # ---- one step ------------------------------------------------------------------

    def _step(self, *, begins: bool) -> bool:
        """Read the queue to its end, then ask the disk for a little.

        Parameters:
            begins: whether this is the first step of a call.

        Returns:
            Whether all is reported that the call owes.
        """
        batch = self._inotify.read(timeout=0)
        overflowed = self._follower.follow(batch)
        self._follower.end_window()
        self._trees.show_mount_points()
        if begins or not self._scans.has_unscanned():
            if not begins and self._output and self._inotify.wait_readable(0):
                return True  # the rest is the next call's
            self._scans.promote()
        if overflowed:
            # While an overflow is in the queue, the kernel queues no other: events
            # behind it may have gaps. All these are in the next read at the latest,
            # and must not be taken for what followed a scan.
            return False
        try:
            asked = self._ask_disk()
        except OSError:
            self._interrupted = False  # what was asked for is still to be done
            raise
        return not asked and not self._tidy(quiet=not batch)

    def _ask_disk(self) -> bool:
        """Ask the disk what the queue does not say; return whether it was needed."""
        # What waits for its second half is between two places.
        between_places = list(self._renames.between_places())
        asked = self._renames.settle(self._scanner.wait_for_changes)
        if self._unverified.ask(self._scanner.find, self._renames.concerns):
            asked = True
        if self._scans.start(between_places, descend=not self._output.excludes_some()):
            asked = True
        if asked:
            self._scans.fence()
        return asked

    def _tidy(self, *, quiet: bool) -> bool:
        """When the queue is empty, let go of what nobody needs.

        Returns:
            Whether the queue has to be read again.
        """
        if quiet:
            self._watches.collect()
            return self._scans.rescan_lost()
        return self._watches.needs_collection() or self._scans.has_lost()
