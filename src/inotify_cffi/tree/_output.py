"""The output: what is reported, as the mask and ``exclude`` have it."""

from __future__ import annotations

from collections import deque
from typing import Callable

from .._waiting import move
from ._masks import ISDIR, MOVED_FROM, Q_OVERFLOW, UNMOUNT
from .events import TreeEvent


class Output:
    """The events and warnings that nobody has taken yet."""

    def __init__(self, mask: int, exclude: Callable[[str], bool] | None) -> None:
        self._mask = mask | Q_OVERFLOW | UNMOUNT
        self._exclude = exclude
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

    def excludes_some(self) -> bool:
        """Return whether `excluded` has to be asked at all."""
        return self._exclude is not None

    def excluded(self, path: str) -> bool:
        """Return whether a path, and all below it, is left out."""
        return self._exclude is not None and self._exclude(path)

    def move_to(self, events: deque[TreeEvent]) -> None:
        """Move all events, in order; each is always in one of the two."""
        move(self._events, events)

    def take_warning(self) -> Warning | None:
        """Take the next warning, if there is one."""
        try:
            return self._warnings.popleft()  # several threads may take at once
        except IndexError:
            return None
