"""Ambiguous moves: renames that may be the second half of an exchange.

Whose MOVE_SELF follows decides; `_arrivals` has the table. Nothing is reported of such
a move before, and the events of the content of its name wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Callable

from ._masks import MOVE_SELF, STRUCTURAL
from ._model import Directory
from ._moves import Ambiguous, Decision, Exchanged, Left, Moved


class AmbiguousMoves:
    """All moves that are ambiguous, in the order of their events."""

    def __init__(self) -> None:
        self._moves: list[Ambiguous] = []

    @property
    def moves(self) -> Collection[Ambiguous]:
        """The moves that are ambiguous, kept up to date."""
        return self._moves

    def add(self, ambiguous: Ambiguous) -> None:
        self._moves.append(ambiguous)

    def judge(self, wd: int, mask: int) -> Iterator[Decision]:
        """Let an event of the queue decide. Apply each decision before the next."""
        for ambiguous in list(self._moves):
            if ambiguous not in self._moves:
                continue
            child = ambiguous.move.child
            if child is not None and mask & MOVE_SELF and child.wd == wd:
                yield self._went_on(ambiguous)
            elif mask & STRUCTURAL and wd in (
                ambiguous.parent.wd,
                ambiguous.move.parent.wd,
            ):
                yield self._was_exchanged(ambiguous)

    def keep_content(self, parent: Directory, name: str, mask: int) -> bool:
        """Keep an event of a name's content; return whether the name is ambiguous."""
        for ambiguous in self._moves:
            if (ambiguous.parent, ambiguous.name) == (parent, name):
                ambiguous.content.append(mask)
                return True
        return False

    def settle(self, wait: Callable[[Directory], None]) -> bool:
        """Wait until each move is in the queue whole: see `Renames.settle`."""
        found = False
        for ambiguous in self._moves:
            if not ambiguous.settled:
                if ambiguous.parent.top is not None:
                    wait(ambiguous.parent)
                ambiguous.settled = found = True
        return found

    def settled(self) -> Iterator[Decision]:
        """Yield the decisions if no event follows. Apply each before the next."""
        for ambiguous in list(self._moves):
            if ambiguous.settled and ambiguous in self._moves:
                yield self._was_exchanged(ambiguous)

    def concern(self, parent: Directory, name: str) -> bool:
        """Return whether one of them has left this name."""
        return any(
            (ambiguous.move.parent, ambiguous.move.name) == (parent, name)
            for ambiguous in self._moves
        )

    def clear(self) -> None:
        self._moves.clear()

    def _went_on(self, ambiguous: Ambiguous) -> Decision:
        self._moves.remove(ambiguous)
        if ambiguous.parent.top is None:
            return Left(ambiguous.move)
        return Moved(*ambiguous.as_decided())

    def _was_exchanged(self, ambiguous: Ambiguous) -> Exchanged:
        self._moves.remove(ambiguous)
        return Exchanged(*ambiguous.as_decided())
