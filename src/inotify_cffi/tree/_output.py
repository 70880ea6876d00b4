"""The output: what is reported, as the mask and ``exclude`` have it."""

from __future__ import annotations

from typing import Callable

from ._masks import ISDIR, MOVED_FROM, Q_OVERFLOW, UNMOUNT
from ._model import join
from .events import TreeEvent


class Output:
    """The events and warnings that nobody has taken yet."""

    def __init__(self, mask: int, exclude: Callable[[str], bool] | None) -> None:
        self._mask = mask | Q_OVERFLOW | UNMOUNT
        self._exclude = exclude
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

    def excludes_some(self) -> bool:
        """Return whether `excluded` has to be asked at all."""
        return self._exclude is not None

    def excluded(self, path: str) -> bool:
        """Return whether a path, and all below it, is left out."""
        return self._exclude is not None and self._exclude(path)

    def discard_below(self, path: str, since: int) -> None:
        """Drop the events of a path, and of all below it, behind the first ones."""
        self._events[since:] = [
            event
            for event in self._events[since:]
            if event.path != path and not event.path.startswith(join(path, ""))
        ]

    def take(self) -> list[TreeEvent]:
        """Take all events."""
        events, self._events = self._events, []
        return events

    def take_warning(self) -> Warning | None:
        """Take the next warning, if there is one."""
        return self._warnings.pop(0) if self._warnings else None
