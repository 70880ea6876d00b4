"""The tracker: reads the queue and asks the disk in turns, until all is reported.

It knows no time and no threads. The package's docstring explains the algorithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ._exclude import Exclude
from ._follower import Follower, Reading
from ._parts import make_parts
from ._scan import Purpose

if TYPE_CHECKING:
    from ..instance import INotify
    from ._exclude import ExcludeArgument


class Tracker:
    """One tree or several, tracked from one inotify instance. Not thread-safe."""

    def __init__(
        self,
        inotify: INotify,
        mask: int,
        exclude: ExcludeArgument | None = None,
        *,
        recursive: bool = True,
        one_file_system: bool = False,
    ) -> None:
        self._inotify = inotify
        self._exclude = Exclude(exclude)
        parts = make_parts(
            inotify,
            mask,
            self._exclude,
            recursive=recursive,
            one_file_system=one_file_system,
        )
        self.mounts = parts.mounts
        self.output = parts.output
        self._watches = parts.watches
        self._paths = parts.paths
        self._scanner = parts.scanner
        self._scans = parts.scans
        self._renames = parts.renames
        self._unverified = parts.unverified
        self._trees = parts.trees
        self._mount_points = parts.mount_points
        self._roots = parts.roots
        self._follower = Follower(parts)
        self._descends = recursive and not (one_file_system or self._exclude)
        self._interrupted = False
        self._begins = False
        self._has_read = False  # any event at all
        self._reported_before = 0
        # All of these are empty if there is no more to do than to follow events. Asking
        # each part by a call would take a third of the time of a read of one event.
        self._unfinished = (
            *parts.renames.unfinished(),
            *parts.trees.unfinished(),
            *parts.watches.unfinished(),
            *parts.scans.unfinished(),
            *parts.roots.unfinished(),
            parts.unverified.directories(),
            *parts.scanner.unfinished(),
        )
        self._failures = (
            parts.roots.failures(),
            parts.scans.limits_reached(),
            self._exclude.failures(),
        )
        # The events of a read that are not followed yet.
        self._reading: Reading | None = None

    # ---- requests of the watcher -------------------------------------------------

    @property
    def roots(self) -> list[str]:
        """The paths of the roots, as they were given."""
        return [root.given for root in self._roots.roots]

    @property
    def missing(self) -> list[str]:
        """The roots that lead to nothing."""
        return self._roots.missing()

    @property
    def unreadable(self) -> list[str]:
        """The directories that may not be read, by their paths."""
        return sorted(map(self._paths.report_path, self._scans.unreadable()))

    def add_root(self, path: str, *, silent: bool, missing_ok: bool = False) -> None:
        """Add a root, and begin to scan it.

        Raises:
            OSError: there is nothing at the path, or it may not be read; ENOSPC.
        """
        if path not in self._roots.roots:
            purpose = Purpose.SILENT if silent else Purpose.REPORT
            self._roots.add(path, purpose, missing_ok=missing_ok)
        self.begin()

    def remove_root(self, path: str) -> bool:
        """Remove a root; return whether it was one."""
        root = self._roots.roots.get(path)
        if root is None:
            return False
        self._roots.remove(root)
        self._watches.remove_some()  # more go when the queue is empty
        self._scanner.forget_listed()  # it would keep the whole tree in memory
        return True

    def close(self) -> None:
        """Free the memory of the model: its directories refer to each other."""
        self._trees.forget_all(self._roots.tops())
        self._roots.close()
        self._scanner.forget_listed()
        self._reading = None

    def begin(self) -> None:
        """Begin a call, which has to report everything before this point."""
        self._begins = True
        self._reported_before = self.output.reported

    def advance(self, is_over: Callable[[], bool]) -> bool:
        """Continue the call.

        Parameters:
            is_over: returns whether to stop; called now and then. In between are some
                hundred events, or one batch of directories.

        Returns:
            Whether all events of earlier operations are reported, from before
            `begin`. If not, call this again.

        Raises:
            OSError: ENOSPC, the limit of watches, once all else is done; EMFILE and
                the like: the next call continues where this one stopped.
        """
        if self._interrupted:
            self._reading = None
            self._roots.start_anew()
        self._interrupted = True  # until the end shows that it was not
        if not self._has_read:
            # Nothing was scanned yet, so no event is older than the model: the first
            # read comes after the first scan.
            self._has_read = True
            self._ask_disk()
        is_done = self._step(is_over)
        while not is_done and not is_over():
            is_done = self._step(is_over)
        self._interrupted = False
        if is_done and any(self._failures):
            self._raise_failure()
        return is_done

    def _raise_failure(self) -> None:
        failure = (
            self._roots.take_failure()
            or self._scans.take_limit_error()
            or self._exclude.take_failure()
        )
        if failure is not None:
            raise failure

    # ---- one step ------------------------------------------------------------------

    def _step(self, is_over: Callable[[], bool]) -> bool:
        """Read the queue to its end, then read a little from the disk.

        Returns:
            Whether everything is reported that the call has to report.
        """
        reading = self._reading
        if reading is None:
            batch = self._inotify.read(timeout=0)
            reading = self._reading = Reading(batch, is_first=self._begins)
            self._begins = False
        if not self._follower.follow(reading, is_over):
            return False
        self._reading = None
        if reading.is_first and not reading.overflowed:
            self._roots.follow_mounts()
        if self._is_idle() and not reading.overflowed:
            return not self._begins
        self._follow_roots(reading)
        self._follower.end_window()
        self._roots.lone.show_returned()
        self._mount_points.show()
        if not reading.overflowed:
            self._roots.lone.expect_removals()
        self._scanner.forget_empty()
        if reading.is_first or not self._scans.has_unscanned():
            if not (reading.is_first or self._begins) and self._has_enough():
                return True  # the next call does the rest
            self._scans.promote()
        if reading.overflowed:
            # While an overflow is in the queue, the kernel queues no other: events
            # behind it may have gaps. All these are in the next read at the latest,
            # and must not count as events after a scan.
            return False
        if self._ask_disk():
            return self._is_idle() and not self._begins
        is_tidy = not self._tidy(quiet=not reading.batch)
        return is_tidy and not (
            self._begins or self._roots.is_due() or self._roots.lone.has_returned()
        )

    def _follow_roots(self, reading: Reading) -> None:
        """Report the changes of the roots, as far as the queue was read."""
        if self._trees.take_wrong():
            self._roots.start_anew()
            reading.overflowed = True
        if not reading.overflowed:
            self._roots.settle()

    def _is_idle(self) -> bool:
        """Return whether nothing is unfinished: nothing goes on in the trees."""
        return not (any(self._unfinished) or self._scans.has_rest())

    def _has_enough(self) -> bool:
        """Return whether the call has reported something, and more is queued."""
        return (
            self.output.reported > self._reported_before
            and self._inotify.wait_readable(0)
        )

    def _ask_disk(self) -> bool:
        """Read from the disk what the queue lacks; return whether that was needed."""
        try:
            asked = self._follower.ask_of_renames()
            descend = self._descends and not self._roots.nested.has_exceptions()
            if self._scans.start(self._renames.between_places(), descend=descend):
                asked = True
        except OSError:
            self._interrupted = False  # the requested work is still to be done
            raise
        if asked:
            self._end_window()
        return asked

    def _end_window(self) -> None:
        """End the window of what was read from the disk: at a fence, or at once.

        If the queue is empty, whatever comes has happened after the scans. A fence
        takes two calls and an event, a quarter of the time of a new directory.
        """
        if self._inotify.wait_readable(0):
            self._scans.fence()
            return
        self._follower.end_window()
        self._roots.lone.expect_removals()
        self._scanner.forget_empty()
        self._scans.rest()

    def _tidy(self, *, quiet: bool) -> bool:
        """When the queue is empty, release everything that is not needed.

        Returns:
            Whether the queue has to be read again.
        """
        if quiet:
            self._watches.complete(self._paths.fs_path)
            return self._watches.collect() or self._scans.rescan_lost()
        return any(self._watches.unfinished()) or self._scans.has_lost()
