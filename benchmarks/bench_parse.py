"""What does it cost to make events of bytes that were read already?

Each library that has a function for it parses the same buffer of equal-sized
records, whose names are all different.
"""

from __future__ import annotations

import struct
from typing import Any

from . import libraries
from .contestants import Clock, Contestant, Statement, c_limit
from .events import IN_CREATE, NAME_LENGTH, Creations, scratch_directory
from .harness import Case, Cases, Question, main
from .pace import Pace

# events in the buffer, bytes in each name
BUFFERS = (
    (1, NAME_LENGTH),
    (16, NAME_LENGTH),
    (256, NAME_LENGTH),
    (4096, NAME_LENGTH),
    (256, 0),
    (256, 32),
    (256, 255),
)
_HEADER = struct.Struct("iIII")


def buffer(events: int, name_length: int) -> bytes:
    """Return what read(2) would, with names padded as the kernel pads them."""
    records = []
    for number in range(events):
        name = f"{number:0{name_length}}".encode()[:name_length] if name_length else b""
        padded = name.ljust(_padded(name_length), b"\0")
        records.append(_HEADER.pack(1, IN_CREATE, 0, len(padded)) + padded)
    return b"".join(records)


def _padded(name_length: int) -> int:
    size = _HEADER.size
    return -(-(name_length + 1) // size) * size if name_length else 0


class Parsing(Statement):
    def __init__(
        self, library: type[libraries.Library], creations: Creations, loops: int
    ) -> None:
        super().__init__(library, library.parse, creations, loops)
        self.data = b""
        self.batch = 0

    def names(self, instance: libraries.Library) -> dict[str, Any]:
        return {**super().names(instance), "data": self.data}

    def checker(self, instance: libraries.Library) -> Any:
        def check(result: Any) -> None:
            if len(result) != self.batch:
                raise RuntimeError(f"{self.name} found {len(result)} events")

        return check


def cases(pace: Pace) -> Cases:
    with scratch_directory() as scratch, c_limit(scratch) as limit:
        nothing = Creations(scratch, 0)
        for events, name_length in BUFFERS:
            loops = 3 * pace.loops(events)
            contestants: list[Contestant] = [Clock(loops)]
            for library in libraries.installed():
                if library.parse:
                    parsing = Parsing(library, nothing, loops)
                    parsing.data = buffer(events, name_length)
                    parsing.batch = events
                    contestants.append(parsing)
            record = _HEADER.size + _padded(name_length)
            contestants += limit("parse", events, record, loops)
            label = f"{events}, names of {name_length}"
            yield Case(label, contestants, loops, events)


QUESTION = Question(
    name="parse",
    title="Parsing alone, by the number of events and the bytes in a name",
    unit="ns an event",
    cases=cases,
    notes=("asyncinotify and watchdog have no function that only parses.",),
)

if __name__ == "__main__":
    main(QUESTION)
