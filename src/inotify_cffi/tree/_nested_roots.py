"""The roots inside others: which of them are part of another's tree.

A root inside another's tree, reached by names alone, is part of that tree: the outer
root reports all its events. It stands alone where the outer root does not reach it:
behind a link or "..", under an excluded directory, on another file system, below the
entries of a watcher that is not recursive. Then the path is reported as a root, and not
as an entry of the outer tree.

If an outer root is added later, a root still stands alone until the outer scan has
reached the directory above it: its events until then are requested, and a silent outer
scan must not swallow them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _disk
from ._masks import CREATE, DELETE, MOVED_TO
from ._model import Directory, State, join
from ._roots import Root, Roots, names_below, place_of
from ._scan import Purpose
from ._way import Destination, Kind

if TYPE_CHECKING:
    from ._exclusion import Exclusion
    from ._joins import Joins
    from ._lone_roots import LoneRoots
    from ._output import Output
    from ._trees import Trees
    from ._ways import Ways


class NestedRoots:
    """Makes roots part of another's tree, and takes them out of it.

    Parameters:
        roots: all roots.
        lone: those that stand alone.
        ways: the ways to the roots.
        trees: the trees.
        joins: joins trees, and takes them apart.
        exclusion: what is left out.
        output: takes what is reported.
        recursive: whether a root reports what is below its entries.
        one_file_system: whether a root reports no other file system's.
    """

    def __init__(
        self,
        roots: Roots,
        lone: LoneRoots,
        ways: Ways,
        trees: Trees,
        joins: Joins,
        exclusion: Exclusion,
        output: Output,
        *,
        recursive: bool,
        one_file_system: bool,
    ) -> None:
        self._roots = roots
        self._lone = lone
        self._ways = ways
        self._trees = trees
        self._joins = joins
        self._exclusion = exclusion
        self._output = output
        self._recursive = recursive
        self._one_file_system = one_file_system
        # Roots that stand alone until an outer scan reaches them, by their places.
        self._waiting: dict[str, Root] = {}
        # Roots that stand alone inside another's tree, by their places.
        self._alone_inside: dict[str, Root] = {}

    def discard(self, root: Root) -> None:
        """Forget a root."""
        for places in (self._waiting, self._alone_inside):
            if places.get(root.place) is root:
                del places[root.place]

    def is_waiting(self, root: Root) -> bool:
        """Return whether the thing at a root's path waits for an outer scan."""
        return root.place in self._waiting

    def wait_no_longer(self, root: Root) -> None:
        """Make a root stand alone that no outer scan will reach."""
        if self._waiting.get(root.place) is root:
            del self._waiting[root.place]

    def clear(self) -> None:
        """Forget which roots stand alone inside others."""
        self._waiting.clear()
        self._alone_inside.clear()

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
        is_listed = len(names) == 1 and to.kind is Kind.FILE
        if names and not self._recursive and not is_listed:
            return False
        path = fs_path = outer.place
        fs_path = place.path
        for name in names:
            path, fs_path = join(path, name), join(fs_path, name)
        if fs_path != to.path:
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

    def _locate(self, owner: Root, place: str) -> Directory | None:
        found: Directory | None = owner.top
        for name in names_below(owner.place, place):
            found = found.child(name) if found else None
        return found

    def join(self, root: Root, outer: Root) -> bool:
        """Make a root part of another's tree, or let it wait for that.

        Returns:
            Whether it is part of it now.
        """
        owner = outer.owner()
        above = root.place.rpartition("/")[0]
        if root.place == outer.place:
            self._waiting.pop(root.place, None)
            root.part_of = outer
            self._lone.forget_top(root)
            root.exists = False
            return True
        parent = self._locate(owner, above or "/")
        if parent is None or parent.state is not State.WATCHED:
            if owner.top is None or self._will_appear(owner, root):
                self.wait_no_longer(root)
                root.part_of = outer
                return True
            self._waiting[root.place] = root
            return False
        self._adopt(root, outer, parent)
        return True

    def _will_appear(self, owner: Root, root: Root) -> bool:
        """Return whether a tree reports all that is at a root's path from now on.

        That is so where nothing is reported of it so far, and a directory above it is
        missing in one that was scanned already.
        """
        if root.top is not None or root.exists is not False:
            return False
        found: Directory | None = owner.top
        for name in names_below(owner.place, root.place):
            if found is None or found.state is not State.WATCHED:
                break
            found = found.child(name)
        return found is None

    def waiting_in(self, path: str) -> dict[str, Root]:
        """Return the roots that wait for the scan of a directory, by their names."""
        if not self._waiting:
            return {}
        place = place_of(path)
        found = {}
        for waiting, root in self._waiting.items():
            above, _, name = waiting.rpartition("/")
            if (above or "/") == place:
                found[name] = root
        return found

    def adopt(
        self, roots: dict[str, Root], directory: Directory, *, silent: bool
    ) -> None:
        """Make roots part of the tree whose scan has reached them.

        Parameters:
            roots: what `waiting_in` returned.
            directory: the directory that was scanned.
            silent: whether its scan does not report what it finds.
        """
        for root in roots.values():
            outer = self.cover(root)
            if outer is not None:
                if root.top is not None and not (silent or root.announced):
                    self._output.report_found(root.place, is_directory=True)
                self._adopt(root, outer, directory)
            else:
                self._waiting.pop(root.place, None)
            self.note_alone(root)

    def leave_missing(self, path: str) -> None:
        """Make roots part of the tree whose scan of a directory did not find them."""
        below = join(place_of(path), "")
        for place, root in list(self._waiting.items()):
            if place.startswith(below):
                outer = self.cover(root)
                if outer is not None and self._will_appear(outer.owner(), root):
                    self.wait_no_longer(root)
                    root.part_of = outer

    def _adopt(self, root: Root, outer: Root, parent: Directory) -> None:
        self._waiting.pop(root.place, None)
        name = root.place.rpartition("/")[2]
        was_there = root.top is not None or root.exists is not False
        top = self._lone.release_top(root)
        if top is not None:
            self._joins.attach(top, parent, name)
        elif not was_there and root.way.destination.kind is not Kind.NOTHING:
            self._trees.verify_name(parent, name)
        root.exists = False
        root.part_of = outer

    def take_out(self, owner: Root, inner: Root) -> None:
        """Make a root stand alone whose outer root is removed."""
        to = inner.way.destination
        inner.at = to.wd, to.name
        found = self._locate(owner, inner.place)
        if found is not None:
            if found is owner.top:
                self._lone.release_top(owner)
            top = self._joins.take_out(found, inner.given, to.path)
            self._lone.give_top(inner, top)
            self._ways.recheck(inner.way)
        elif to.kind is Kind.DIRECTORY:
            self._lone.appear(inner, Purpose.REPORT, announced=True)
        elif to.kind is Kind.FILE:
            inner.exists = None

    def leave_outer(self, root: Root) -> None:
        """Make a root stand alone that its outer root does not see any more.

        The events of its name that are still to come are not reported.
        """
        assert root.part_of is not None
        owner = root.owner()
        found = self._locate(owner, root.place)
        root.part_of = None
        if found is not None and found.parent is not None:
            self._trees.vanish(found.parent, found.name)
        elif root.way.reason & (CREATE | MOVED_TO):
            parent = self._locate(owner, root.place.rpartition("/")[0] or "/")
            if parent is not None and parent.state is State.WATCHED:
                self._output.report(DELETE, root.given, synthetic=True)

    def note_alone(self, root: Root) -> None:
        """Note whether a root stands alone inside another one's tree."""
        alone = root.part_of is None and root.place not in self._waiting
        if alone and next(self._roots.enclosing(root), None) is not None:
            self._alone_inside[root.place] = root
        elif self._alone_inside.get(root.place) is root:
            del self._alone_inside[root.place]

    def is_root_of_its_own(self, path: str) -> bool:
        """Return whether a path is reported as a root, and not as an entry."""
        return bool(self._alone_inside) and place_of(path) in self._alone_inside

    def has_exceptions(self) -> bool:
        """Return whether a name that is found may be that of a root."""
        return bool(self._alone_inside or self._waiting)
