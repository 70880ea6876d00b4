"""The output: what is reported, as the mask has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from .._waiting import move
from ._masks import (
    CREATE,
    DIRECTORY_FOUND,
    FILE_FOUND,
    ISDIR,
    LISTING,
    MOVED_FROM,
    Q_OVERFLOW,
    UNMOUNT,
)
from ._model import join
from .events import TreeEvent


class Output:
    """The events and warnings that nobody has taken yet."""

    def __init__(self, mask: int) -> None:
        self._mask = mask | Q_OVERFLOW | UNMOUNT
        self._unmounts_below_roots = mask & UNMOUNT != 0
        self._events: deque[TreeEvent] = deque()
        self._warnings: deque[Warning] = deque()
        self.reported = 0  # events since the beginning

    def report(
        self,
        mask: int,
        path: str,
        old_path: str | None = None,
        *,
        synthetic: bool = False,
    ) -> None:
        """Report an event, if it is asked for."""
        if mask & self._mask:
            self.reported += 1
            self._events.append(TreeEvent(path, mask, old_path, synthetic))
        elif old_path is not None and self._mask & MOVED_FROM:
            # Of a rename inside the trees only the first half is asked for.
            kind = mask & ISDIR
            self.reported += 1
            self._events.append(
                TreeEvent(old_path, MOVED_FROM | kind, None, synthetic=False)
            )

    def warn(self, warning: Warning) -> None:
        self._warnings.append(warning)

    def report_found(self, path: str, *, is_directory: bool) -> None:
        """Report what a scan found, if something that is asked for may be missing.

        What happened to it before it could be watched is not known. So a file is
        reported for any mask that asks what happens to files.
        """
        if self._mask & (DIRECTORY_FOUND if is_directory else FILE_FOUND):
            mask = CREATE | ISDIR if is_directory else CREATE
            self.reported += 1
            self._events.append(TreeEvent(path, mask, None, synthetic=True))

    def report_unmount(self, path: str) -> None:
        """Report that what was mounted below a root is gone, if that is asked for."""
        if self._unmounts_below_roots:
            self.report(UNMOUNT | ISDIR, path)

    def report_all_found(self, path: str, names: Mapping[str, bool]) -> None:
        """Report what a scan found in a directory, as `report_found`.

        Parameters:
            path: the path to report of the directory.
            names: the names, each with whether it is a directory.
        """
        of_directory = CREATE | ISDIR if self._mask & DIRECTORY_FOUND else 0
        of_file = CREATE if self._mask & FILE_FOUND else 0
        above = join(path, "")
        new = tuple.__new__  # a named tuple's own takes twice as long
        events: list[TreeEvent] = [
            new(TreeEvent, (above + name, mask, None, True))
            for name, is_directory in names.items()
            if (mask := of_directory if is_directory else of_file)
        ]
        self.reported += len(events)
        self._events.extend(events)

    def reports_listings(self) -> bool:
        """Return whether OPEN and the like are asked for."""
        return bool(self._mask & LISTING)

    def report_always(self, mask: int, path: str) -> None:
        """Report what every consumer has to know."""
        self.reported += 1
        self._events.append(TreeEvent(path, mask, None, synthetic=False))

    def move_to(self, events: deque[TreeEvent]) -> None:
        """Move all events, in order; each is always in one of the two."""
        move(self._events, events)

    def take_warning(self) -> Warning | None:
        """Take the next warning, if there is one."""
        try:
            return self._warnings.popleft()  # several threads may take at once
        except IndexError:
            return None
