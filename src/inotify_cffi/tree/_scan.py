"""A scan of one directory: why it is made, what it found, what happened meanwhile."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable

from ._masks import CREATE, DELETE, ISDIR, MOVED_FROM, MOVED_TO
from ._model import Directory, Scanning

if TYPE_CHECKING:
    from ..events import Event
    from ._batch import Batch


class Purpose(enum.Enum):
    """Why a directory is scanned."""

    REPORT = "report what is in it"
    SILENT = "report nothing: the consumer did not ask for what was there before"
    RETRY = "report what is in it, now that it may have become readable"


Wanted = tuple[Directory, Purpose]


class Scan(Scanning):
    """The names that a scan found, and the events of the directory until its fence."""

    __slots__ = (
        "batch",
        "content",
        "directory",
        "failure",
        "held_back",
        "index",
        "names",
        "purpose",
        "reported",
        "retry",
    )

    def __init__(
        self,
        directory: Directory,
        purpose: Purpose,
        wd: int,
        names: dict[str, bool],
        failure: OSError | None = None,
    ) -> None:
        super().__init__(wd)
        self.directory = directory
        self.purpose = purpose
        self.names = names  # each with whether it is a directory
        self.failure = failure
        self.retry = False  # it may have become readable since
        self.held_back: list[Event] = []
        # Names that a rename brought in the window, and that was reported at once.
        self.reported: set[str] = set()
        self.content: dict[str, list[int]] = {}  # masks of events that name a name
        # The results of the same call into C, and the index of this one in them.
        self.batch: Batch | None = None
        self.index = 0

    def found_nothing(self) -> bool | None:
        """Return whether the directory had no name at all; None if unknown."""
        return None if self.batch is None else self.batch.is_empty(self.index)

    def is_plain(self) -> bool:
        """Return whether nothing is known of the directory but the names found."""
        return not (self.held_back or self.reported or self.directory.children)

    def replay(self, completes_move: Callable[[int], bool]) -> Iterator[Event]:
        """Apply the events that were held back to the names.

        Parameters:
            completes_move: returns whether the first event of a rename with this
                cookie came from a directory that the consumer knows.

        Yields:
            The events that apply to what has been reported already, in their
            order; each has to be followed before the next is asked for.
        """
        followed: set[str] = set()
        for event in self.held_back:
            _, mask, cookie, name = event
            if name in self.reported:
                continue  # it was before the rename that was reported
            if name in followed:
                yield event
            elif mask & MOVED_TO and completes_move(cookie):
                followed.add(name)
                yield event
            else:
                self._apply(mask, name)
        for name in followed | self.reported:
            self.names.pop(name, None)

    def _apply(self, mask: int, name: str) -> None:
        is_directory = bool(mask & ISDIR)
        if mask & (CREATE | MOVED_TO):
            self.names[name] = is_directory
            self.content.pop(name, None)
        elif mask & (DELETE | MOVED_FROM):
            # Of the other kind, it is what was exchanged for this one.
            if self.names.get(name) == is_directory:
                del self.names[name]
                self.content.pop(name, None)
        else:
            self.content.setdefault(name, []).append(mask)
