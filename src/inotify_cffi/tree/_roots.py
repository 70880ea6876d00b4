"""The roots: the paths that were asked for, and which is inside which."""

from __future__ import annotations

from collections.abc import Iterator

from ._model import Top
from ._way import Way


class Root:
    """A path that was asked for. It may lead to a directory, a file or nothing.

    A root is either part of the tree of another root, which then reports all that
    happens to it, or it stands alone: then `top` or `exists` say what is reported of
    it so far.
    """

    __slots__ = (
        "announced",
        "at",
        "exists",
        "fresh",
        "given",
        "part_of",
        "place",
        "top",
        "way",
    )

    def __init__(self, given: str, way: Way) -> None:
        self.given = given
        self.place = place_of(given)
        self.way = way
        self.fresh = True  # nothing was reported, nor was silence asked for
        self.announced = False  # whether the path itself was reported as found
        self.part_of: Root | None = None
        self.top: Top | None = None  # the directory that it leads to
        # Whether it leads to a file; None where only the next event can say.
        self.exists: bool | None = False
        self.at = (0, "")  # the watch and the name of what was reported

    def owner(self) -> Root:
        """Return the root that stands alone in whose tree this is."""
        root = self
        while root.part_of is not None:
            root = root.part_of
        return root


def place_of(given: str) -> str:
    """Return a path with neither a slash at its end nor an idle one or dot within."""
    if "//" not in given and "/." not in given and given[-1:] != "/":
        return given or "/"  # most are as they should be
    names = given.split("/")
    names[1:] = [name for name in names[1:] if name not in ("", ".")]
    return "/".join(names) or "/"


def names_below(outer: str, inner: str) -> list[str]:
    """Return the names that lead from one place down to another."""
    return [name for name in inner[len(outer) :].split("/") if name]


def _and_above(place: str) -> list[str]:
    """Return a place and those above it, the nearest first."""
    places = [place]
    while (end := place.rfind("/")) > 0:
        place = place[:end]
        places.append(place)
    if not end and place != "/":
        places.append("/")
    return places


class Roots:
    """The roots by their paths, in the order in which they were added."""

    def __init__(self) -> None:
        self._roots: dict[str, Root] = {}
        self._at: dict[str, dict[Root, None]] = {}
        # So that adding one more costs no walk through all of them. The first one
        # alone needs no index.
        self._inside: dict[str, dict[Root, None]] = {}
        self._is_indexed = False

    def __len__(self) -> int:
        return len(self._roots)

    def __contains__(self, given: str) -> bool:
        return given in self._roots

    def __iter__(self) -> Iterator[Root]:
        return iter(list(self._roots.values()))

    def get(self, given: str) -> Root | None:
        return self._roots.get(given)

    def add(self, root: Root) -> None:
        self._roots[root.given] = root
        if self._is_indexed:
            self._index(root)
        elif len(self._roots) > 1:
            self._is_indexed = True
            for each in self._roots.values():
                self._index(each)

    def _index(self, root: Root) -> None:
        self._at.setdefault(root.place, {})[root] = None
        for place in _and_above(root.place):
            self._inside.setdefault(place, {})[root] = None

    def discard(self, root: Root) -> None:
        if self._roots.pop(root.given, None) is None or not self._is_indexed:
            return
        _remove(self._at, root.place, root)
        for place in _and_above(root.place):
            _remove(self._inside, place, root)

    def clear(self) -> None:
        self._roots.clear()
        self._at.clear()
        self._inside.clear()

    def enclosing(self, root: Root) -> Iterator[Root]:
        """Yield the roots whose paths lead to a root's, the nearest first."""
        if not self._is_indexed:
            return  # there is no other
        for place in _and_above(root.place):
            other = next(iter(self._at.get(place, ())), root)
            if other is not root:
                yield other

    def inside(self, root: Root) -> list[Root]:
        """Return the roots whose paths lead on from a root's, the nearest first."""
        if not self._is_indexed:
            return []
        return [other for other in self.below(root.place) if other is not root]

    def below(self, place: str) -> list[Root]:
        """Return the roots at a place and below it, the nearest first."""
        if not self._is_indexed:
            return [
                root for root in self._roots.values() if place in _and_above(root.place)
            ]
        return sorted(self._inside.get(place, ()), key=lambda root: len(root.place))


def _remove(index: dict[str, dict[Root, None]], place: str, root: Root) -> None:
    roots = index.get(place, {})
    roots.pop(root, None)
    if not roots:
        index.pop(place, None)
