"""The entries: events of names in a directory, and the names that scans found."""

from __future__ import annotations

from collections.abc import Mapping

from ._masks import (
    ATTRIB,
    CREATE,
    DELETE,
    ISDIR,
    MOVED_FROM,
    MOVED_TO,
    STRUCTURAL,
)
from ._model import Directory
from ._moves import Arrived, Left
from ._parts import Parts

_NO_CONTENT: Mapping[str, list[int]] = {}


class Entries:
    """Follows events of names."""

    def __init__(self, parts: Parts) -> None:
        self._paths = parts.paths
        self._output = parts.output
        self._scans = parts.scans
        self._renames = parts.renames
        self._unverified = parts.unverified
        self._trees = parts.trees
        self._exclusion = parts.exclusion
        self._excludes = bool(parts.exclusion)
        self._roots = parts.roots
        self._nested = parts.roots.nested
        self._ambiguous = parts.renames.ambiguous()

    def follow(self, parent: Directory, mask: int, cookie: int, name: str) -> bool:
        """Follow an event of a name.

        Returns:
            Whether a rename came over something that an exchange could have put
            elsewhere.
        """
        if mask & STRUCTURAL:
            self._end_move(parent, mask, cookie)
        may_be_out = self._excludes or self._nested.has_exceptions()
        if may_be_out and self._is_left_out(parent, mask, name):
            move = self._renames.take(cookie, parent) if mask & MOVED_TO else None
            if move is not None:
                self._trees.apply(Left(move))
        elif mask & MOVED_TO:
            return self._follow_second_half(parent, mask, cookie, name)
        elif mask & MOVED_FROM:
            self._follow_first_half(parent, mask, cookie, name)
        elif mask & CREATE:
            self._trees.create(parent, name, mask)
        elif mask & DELETE:
            self._trees.delete(parent, name, mask)
        else:
            self._follow_content(parent, mask, name)
        return False

    def _end_move(self, parent: Directory, mask: int, cookie: int) -> None:
        """Follow what a structural event of a directory proves."""
        left = self._renames.interrupts(parent, mask, cookie)
        if left is not None:
            self._trees.apply(left)
        if mask & (DELETE | MOVED_FROM):
            self._roots.lone.removed_name(parent)

    def _is_left_out(self, parent: Directory, mask: int, name: str) -> bool:
        if self._nested.has_exceptions() and self._is_root_of_its_own(parent, name):
            return True
        return self._exclusion.excludes(parent, name, mask)

    def _follow_first_half(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> None:
        move = self._renames.left(
            parent,
            name,
            cookie,
            is_directory=bool(mask & ISDIR),
            unverified=self._unverified.take(parent, name),
        )
        if move.child is not None:
            self._scans.note_moved(move.child)

    def _follow_second_half(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> bool:
        over = self._unverified.take(parent, name)
        decision = self._renames.came(parent, name, mask, cookie)
        victim = parent.child(name)
        if victim is not None and (
            isinstance(decision, Arrived) or victim is not decision.move.child
        ):
            over = True
            self._trees.end_moves_below(victim)
        self._trees.apply(decision)
        return over

    def _follow_content(self, parent: Directory, mask: int, name: str) -> None:
        """Follow an event that leaves the names as they are."""
        if self._unverified and self._is_there(parent, name):
            self.found(parent, {name: bool(mask & ISDIR)})
        if not (self._ambiguous and self._renames.content(parent, name, mask)):
            self._output.report(mask, self._paths.entry_path(parent, name))
        if mask & ATTRIB and mask & ISDIR:
            self._scans.retry_unreadable()

    def _is_there(self, parent: Directory, name: str) -> bool:
        """Note that an event of its content proves that an unverified name exists."""
        if parent.child(name) is not None or self._renames.is_source(parent, name):
            return False  # the consumer still has it
        return self._unverified.take(parent, name)

    def found(
        self,
        directory: Directory,
        names: dict[str, bool],
        content: Mapping[str, list[int]] = _NO_CONTENT,
        *,
        silent: bool = False,
    ) -> None:
        if self._nested.has_exceptions():
            names = {
                name: is_directory
                for name, is_directory in names.items()
                if not self._is_root_of_its_own(directory, name)
            }
        self._trees.found(directory, names, content, silent=silent)

    def _is_root_of_its_own(self, directory: Directory, name: str) -> bool:
        path = self._paths.entry_path(directory, name)
        return self._nested.is_root_of_its_own(path)
