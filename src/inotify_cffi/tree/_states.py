"""The states of the directories, and which ones have to be scanned.

Each directory is in one state (`State`). This alone changes it, and keeps the
directories of a state together where somebody has to find them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ._model import Directory, Scanning, State, Status
from ._scan import Purpose, Scan

Watched = tuple[int, Directory]  # the watch may be 0

_GROUPED = (State.UNREADABLE, State.BEYOND_LIMIT, State.WATCH_LOST, State.UNMOUNTED)


class States:
    """Which directories are in which state.

    Parameters:
        recursive: whether directories below the roots are scanned at all.
    """

    def __init__(self, *, recursive: bool) -> None:
        self._recursive = recursive
        # Unscanned directories. The present call need not wait for those that
        # were created after it began.
        self._now: dict[Directory, Purpose] = {}
        self._next_call: dict[Directory, Purpose] = {}
        self._groups: dict[State, dict[Directory, None]] = {
            state: {} for state in _GROUPED
        }
        # Both are asked for at each event.
        self._unmounted = self._groups[State.UNMOUNTED]
        self._unreadable = self._groups[State.UNREADABLE]

    def want(
        self,
        directory: Directory,
        purpose: Purpose = Purpose.REPORT,
        *,
        next_call: bool = False,
    ) -> None:
        """Have a directory scanned, by this call or by the next."""
        self._leave_state(directory)
        if not self._recursive and directory.parent is not None:
            directory.status = State.BY_NAME
            return
        directory.status = State.UNSCANNED
        (self._next_call if next_call else self._now)[directory] = purpose

    def unfinished(self) -> tuple[Collection[Directory], ...]:
        """Return what is empty if nothing is to be scanned; it is kept up to date."""
        lost = self._groups[State.WATCH_LOST]
        return self._now, self._next_call, lost, self._unmounted

    def has_unscanned(self) -> bool:
        """Return whether this call has more to scan."""
        return bool(self._now)

    def promote(self) -> None:
        """Let this call scan the directories that were left for the next one."""
        self._now.update(self._next_call)
        self._next_call.clear()

    def adopt(self, directory: Directory, wd: int) -> None:
        """Take a directory as watched that has been given another's watch."""
        self._enter(directory, wd)

    def keep_by_name(self, directory: Directory) -> None:
        """Know a directory by its name only."""
        self._enter(directory, State.BY_NAME)

    def fail(self, scan: Scan) -> bool:
        """Follow a scan that failed as the directory may not be read.

        Returns:
            Whether this is new: nobody knows of it yet.
        """
        if scan.retry:
            self.want(scan.directory, Purpose.RETRY, next_call=True)
        else:
            self._enter(scan.directory, State.UNREADABLE)
        return scan.purpose is not Purpose.RETRY

    def has_lost(self) -> bool:
        """Return whether the watch of some directory ended, and no DELETE followed."""
        return bool(self._groups[State.WATCH_LOST])

    def rescan_lost(self) -> bool:
        """Have those scanned again whose watch ended, and no DELETE followed."""
        lost = list(self._groups[State.WATCH_LOST])
        for directory in lost:
            self.want(directory, next_call=True)
        return bool(lost)

    def unmount(self, directory: Directory) -> None:
        """Follow an unmount of what a directory is on: its watch ends next."""
        self._enter(directory, State.UNMOUNTED)

    def unreadable(self) -> Collection[Directory]:
        """Return the directories that are UNREADABLE; it is kept up to date."""
        return self._unreadable

    def unmounted(self) -> Collection[Directory]:
        """Return the directories that are UNMOUNTED; it is kept up to date."""
        return self._unmounted

    def forget(self, directories: Iterable[Directory]) -> list[Watched]:
        """Remove directories from the model; return them with their watches."""
        gone = State.FORGOTTEN
        watched: list[Watched] = []
        for directory in directories:
            status = directory.status
            if isinstance(status, int):  # most of them: in no group
                directory.status = gone
                watched.append((status, directory))
            else:
                watched.append((status.wd, directory))
                self._enter(directory, gone)
        return watched

    def _enter(self, directory: Directory, status: Status) -> None:
        self._leave_state(directory)
        directory.status = status
        if isinstance(status, State) and status in self._groups:
            self._groups[status][directory] = None

    def _leave_state(self, directory: Directory) -> None:
        status = directory.status
        if isinstance(status, int):
            return
        if status is State.UNSCANNED:
            self._now.pop(directory, None)
            self._next_call.pop(directory, None)
        elif isinstance(status, State):
            if status in self._groups:
                self._groups[status].pop(directory, None)
        else:
            self._leave_window(directory, status)

    def _leave_window(self, directory: Directory, status: Scanning) -> None:
        """Remove a directory from the window of its scan."""
        raise NotImplementedError
