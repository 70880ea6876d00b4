"""The output: reports events, as the mask requests them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from ._masks import (
    CREATE,
    DIRECTORY_FOUND,
    FILE_FOUND,
    ISDIR,
    MOVED_FROM,
    Q_OVERFLOW,
    UNMOUNT,
)
from ._model import join
from .events import TreeEvent

_new = tuple.__new__  # a named tuple's own takes twice as long


class Output:
    """The events and warnings that were not taken yet."""

    def __init__(self, mask: int) -> None:
        self._mask = mask | Q_OVERFLOW | UNMOUNT
        self._unmounts_below_roots = mask & UNMOUNT != 0
        self.events: deque[TreeEvent] = deque()  # whoever takes them removes them
        self.warnings: list[Warning] = []
        self.reported = 0  # events since the beginning

    def report(
        self,
        mask: int,
        path: str,
        old_path: str | None = None,
        *,
        synthetic: bool = False,
    ) -> None:
        """Report an event, if the mask requests it."""
        if mask & self._mask:
            self.reported += 1
            self.events.append(_new(TreeEvent, (path, mask, old_path, synthetic)))
        elif old_path is not None and self._mask & MOVED_FROM:
            # The mask has only the first half of a rename inside the trees.
            kind = mask & ISDIR
            self.reported += 1
            self.events.append(
                TreeEvent(old_path, MOVED_FROM | kind, None, synthetic=False)
            )

    def warn(self, warning: Warning) -> None:
        self.warnings.append(warning)

    def report_found(self, path: str, *, is_directory: bool) -> None:
        """Report a name that a scan found, if a requested event may be missing.

        What happened to it before it could be watched is not known. So a file is
        reported for any mask that asks what happens to files.
        """
        if self._mask & (DIRECTORY_FOUND if is_directory else FILE_FOUND):
            mask = CREATE | ISDIR if is_directory else CREATE
            self.reported += 1
            self.events.append(TreeEvent(path, mask, None, synthetic=True))

    def report_unmount(self, path: str) -> None:
        """Report an unmount below a root, if the mask requests it."""
        if self._unmounts_below_roots:
            self.report(UNMOUNT | ISDIR, path)

    def report_all_found(self, path: str, names: Mapping[str, bool]) -> None:
        """Report the names that a scan found in a directory, as `report_found`.

        Parameters:
            path: the path to report of the directory.
            names: the names, each with whether it is a directory.
        """
        of_directory = CREATE | ISDIR if self._mask & DIRECTORY_FOUND else 0
        of_file = CREATE if self._mask & FILE_FOUND else 0
        above = join(path, "")
        events: list[TreeEvent] = [
            _new(TreeEvent, (above + name, mask, None, True))
            for name, is_directory in names.items()
            if (mask := of_directory if is_directory else of_file)
        ]
        self.reported += len(events)
        self.events.extend(events)

    def take_warning(self) -> Warning | None:
        """Take the next warning, if there is one."""
        try:
            return self.warnings.pop(0)  # several threads may take at once
        except IndexError:
            return None

    def report_always(self, mask: int, path: str) -> None:
        """Report an event for every mask."""
        self.reported += 1
        self.events.append(TreeEvent(path, mask, None, synthetic=False))
