"""The arrivals: names that a rename has just brought, as an exchange may follow.

RENAME_EXCHANGE looks like two renames; the second moves away the thing that the first
has just brought. So the last structural event of a directory matters.

What a name that arrived is, and what the next events make of it:

===================  =====================  =====================================
state                event                  next state, decision
===================  =====================  =====================================
(none)               MOVED_TO a free name   `Over.NOTHING`
(none)               MOVED_TO over a known  `Over.DIRECTORY`
                     directory
Over.NOTHING         MOVED_FROM that name   (none); the name becomes unverified:
                                            it may exist still
Over.DIRECTORY       MOVED_FROM that name   the same, and the pending move may be
                                            the second half of an exchange
Over.DIRECTORY       settled                Over.NOTHING: an exchange would have
                                            queued its second rename
any                  another structural     (none)
                     event of the parent
pending move, may    its MOVED_TO           `Ambiguous`: nothing is reported, the
be of an exchange                           content events of the name wait
Ambiguous            MOVE_SELF of the       `Moved`: it went on
                     directory that came
Ambiguous            structural event of    `Exchanged`: the directory that had
                     either parent;         been there moved; the one that came
                     settled                stays
===================  =====================  =====================================
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import Callable, NamedTuple

from ._model import Directory, forgotten_in


class Over(enum.Enum):
    """The former owner of a name that something has just been renamed to."""

    NOTHING = "nothing that could be exchanged for it"
    DIRECTORY = "a directory, or a name that is unverified"
    SETTLED = "a directory; the rename has finished"


class Arrival(NamedTuple):
    """A name that a rename brought, and the thing that it replaced."""

    name: str
    over: Over


class Arrivals:
    """For each directory whose last structural event was MOVED_TO: the name."""

    def __init__(self) -> None:
        self._arrivals: dict[Directory, Arrival] = {}
        # Those over a directory: each read asks for them, and most are not.
        self._over_directory: dict[Directory, None] = {}

    def add(self, parent: Directory, name: str, *, over: bool) -> None:
        if over:
            self._arrivals[parent] = Arrival(name, Over.DIRECTORY)
            self._over_directory[parent] = None
        else:
            self._arrivals[parent] = Arrival(name, Over.NOTHING)
            self._over_directory.pop(parent, None)

    def all(self) -> Mapping[Directory, Arrival]:
        """Return them, by their directories; it is kept up to date."""
        return self._arrivals

    def over_directories(self) -> Collection[Directory]:
        """Return where a rename may complete an exchange; it is kept up to date."""
        return self._over_directory

    def is_last(self, parent: Directory, name: str) -> bool:
        """Return whether the last structural event of a directory brought a name."""
        arrival = self._arrivals.get(parent)
        return arrival is not None and arrival.name == name

    def take(self, parent: Directory) -> Arrival | None:
        """Return the last arrival in a directory; it is not the last any more."""
        self._over_directory.pop(parent, None)
        return self._arrivals.pop(parent, None)

    def settle(self, wait: Callable[[Directory], None]) -> bool:
        """Wait until each rename over a directory is in the queue whole.

        Returns:
            Whether there was any: then, when the queue was read again, `finish`
            has to follow.
        """
        found = False
        for parent in self._over_directory:
            arrival = self._arrivals[parent]
            if arrival.over is Over.DIRECTORY:
                wait(parent)
                self._arrivals[parent] = arrival._replace(over=Over.SETTLED)
                found = True
        return found

    def finish(self) -> None:
        """Take those that were waited for, and that nothing followed, for renames."""
        for parent in list(self._over_directory):
            arrival = self._arrivals[parent]
            if arrival.over is Over.SETTLED:
                self._arrivals[parent] = arrival._replace(over=Over.NOTHING)
                del self._over_directory[parent]

    def forget(self, directories: Collection[Directory]) -> None:
        """Forget the arrivals in directories that have left the model."""
        for directory in forgotten_in(self._arrivals, directories):
            self.take(directory)

    def clear(self) -> None:
        self._arrivals.clear()
        self._over_directory.clear()
