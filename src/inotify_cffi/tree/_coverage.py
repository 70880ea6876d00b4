"""The coverage: which root's tree has another root in it.

A tree does not reach a root behind a link or "..", under an excluded directory, on
another file system, below the entries of a watcher that is not recursive, or below a
root that may not be read.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from . import _disk
from ._model import Directory, State, join
from ._roots import Root, Roots, names_below
from ._way import Destination, Kind

if TYPE_CHECKING:
    from ._exclusion import Exclusion


class Coverage:
    """Says of whose tree a root is part.

    Parameters:
        roots: all roots.
        exclusion: what is left out.
        recursive: whether a root reports what is below its entries.
        one_file_system: whether a root reports no other file system's.
    """

    def __init__(
        self,
        roots: Roots,
        exclusion: Exclusion,
        *,
        recursive: bool,
        one_file_system: bool,
    ) -> None:
        self._roots = roots
        self._exclusion = exclusion
        self._recursive = recursive
        self._one_file_system = one_file_system

    def cover(self, root: Root) -> Root | None:
        """Return the root of whose tree a root is part, the nearest of several."""
        for outer in self._roots.enclosing(root):
            if self._holds(outer, root):
                return outer
        return None

    def _holds(self, outer: Root, inner: Root) -> bool:
        place, to = outer.way.destination, inner.way.destination
        names = names_below(outer.place, inner.place)
        if place.kind is Kind.FILE:
            return not names and place == to
        if place.failure == errno.EACCES and names:
            return False  # it may be searched, but not read
        is_listed = len(names) == 1 and to.kind is Kind.FILE
        if names and not self._recursive and not is_listed:
            return False
        path = place.path
        for name in names:
            path = join(path, name)
        if path != to.path:
            return False
        return not self._is_cut_off(place, to, outer.place, names)

    def _is_cut_off(
        self, outer: Destination, inner: Destination, place: str, names: list[str]
    ) -> bool:
        for number, name in enumerate(names, 1):
            place = join(place, name)
            is_directory = number < len(names) or inner.kind is Kind.DIRECTORY
            below = "/".join(names[:number])
            if self._exclusion.excludes_on_way(place, below, is_directory=is_directory):
                return True
        return self._one_file_system and not _disk.same_device(outer.path, inner.path)


def locate(owner: Root, place: str) -> Directory | None:
    """Return the directory of a tree at a place."""
    found: Directory | None = owner.top
    for name in names_below(owner.place, place):
        found = found.child(name) if found else None
    return found


def state_above(owner: Root, root: Root) -> State | None:
    """Return the state of the lowest directory of a tree above a root.

    None if the root itself is in the tree, or there is no tree.
    """
    found: Directory | None = owner.top
    for name in names_below(owner.place, root.place):
        child = found.child(name) if found else None
        if child is None:
            return found.state if found else None
        found = child
    return None
