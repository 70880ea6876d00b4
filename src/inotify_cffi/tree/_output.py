"""The output: what is reported, as the mask has it."""

from __future__ import annotations

from ._masks import (
    CREATE,
    DIRECTORY_FOUND,
    FILE_FOUND,
    ISDIR,
    MOVED_FROM,
    Q_OVERFLOW,
    UNMOUNT,
)
from .events import TreeEvent


class Output:
    """The events and warnings that nobody has taken yet."""

    def __init__(self, mask: int) -> None:
        self._mask = mask | Q_OVERFLOW | UNMOUNT
        self._events: list[TreeEvent] = []
        self._warnings: list[Warning] = []

    def __len__(self) -> int:
        return len(self._events)

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
            self._events.append(TreeEvent(path, mask, old_path, synthetic))
        elif old_path is not None and self._mask & MOVED_FROM:
            # Of a rename inside the trees only the first half is asked for.
            kind = mask & ISDIR
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
            self._events.append(TreeEvent(path, mask, None, synthetic=True))

    def report_always(self, mask: int, path: str) -> None:
        """Report what every consumer has to know."""
        self._events.append(TreeEvent(path, mask, None, synthetic=False))

    def take(self) -> list[TreeEvent]:
        """Take all events."""
        events, self._events = self._events, []
        return events

    def take_warning(self) -> Warning | None:
        """Take the next warning, if there is one."""
        return self._warnings.pop(0) if self._warnings else None
