"""The roots inside others: which of them are part of another's tree.

A root inside another's tree, reached by names alone, is part of that tree: the outer
root reports all its events. It stands alone where the outer root does not reach it
(`_coverage`). Then the path is reported as a root, and not as an entry of the outer
tree.

If an outer root is added later, a root still stands alone until the outer scan has
reached the directory above it: its events until then are requested, and a silent outer
scan must not swallow them. It also stands alone as long as the outer root may not read
a directory above it.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import TYPE_CHECKING

from ._coverage import locate, state_above
from ._masks import CREATE, DELETE, MOVED_TO
from ._model import Directory, State, join
from ._roots import Root, Roots, place_of
from ._scan import Purpose
from ._way import Kind

if TYPE_CHECKING:
    from ._coverage import Coverage
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
        coverage: says of whose tree a root is part.
        output: takes what is reported.
    """

    def __init__(
        self,
        roots: Roots,
        lone: LoneRoots,
        ways: Ways,
        trees: Trees,
        joins: Joins,
        coverage: Coverage,
        output: Output,
    ) -> None:
        self._roots = roots
        self._lone = lone
        self._ways = ways
        self._trees = trees
        self._joins = joins
        self._coverage = coverage
        self._output = output
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
        parent = locate(owner, above or "/")
        if parent is None or parent.state is not State.WATCHED:
            if self._will_appear(owner, root):
                self.wait_no_longer(root)
                root.part_of = outer
                return True
            self._waiting[root.place] = root
            return False
        self._adopt(root, outer, parent)
        return True

    def _will_appear(self, owner: Root, root: Root) -> bool:
        """Return whether a tree reports all that is at a root's path from now on.

        That is so where nothing is reported of it so far, and the tree has it, or was
        scanned where a directory above it is missing.
        """
        if root.top is not None or root.exists is not False:
            return False
        return state_above(owner, root) in (State.WATCHED, None)

    def is_hidden(self, root: Root, outer: Root) -> bool:
        """Return whether a tree does not reach a root: it may not read all above it."""
        return state_above(outer.owner(), root) is State.UNREADABLE

    def stand_alone_below(self, path: str, purpose: Purpose) -> None:
        """Make the roots stand alone that are below a directory that may not be read.

        Parameters:
            path: the directory, whose scan has failed.
            purpose: why it was scanned.
        """
        for root in self._roots.below(place_of(path)):
            outer = root.part_of
            if outer is None or not self.is_hidden(root, outer):
                continue
            root.part_of = None
            self._waiting[root.place] = root
            if purpose is Purpose.SILENT:
                self._lone.appear(root, purpose, announced=False)
            else:
                self._lone.return_later(root)

    def waiting_in(self, path: str) -> dict[str, Root]:
        """Return the roots that wait for the scan of a directory, by their names."""
        if not self._waiting:
            return {}
        place = place_of(path)
        found = {}
        for waiting, root in self._waiting.items():
            above, _, name = waiting.rpartition("/")
            if (above or "/") == place and not self._is_closed(root):
                found[name] = root
        return found

    def _is_closed(self, root: Root) -> bool:
        """Return whether a root is there, may not be read, and so reports nothing."""
        return root.top is None and root.way.destination.failure == errno.EACCES

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
            outer = self._coverage.cover(root)
            if outer is not None:
                if root.top is not None and not (silent or root.announced):
                    self._output.report_found(root.place, is_directory=True)
                self._adopt(root, outer, directory)
            else:
                self._waiting.pop(root.place, None)
            self.note_alone(root)

    def join_below(self, path: str) -> None:
        """Make roots part of the tree that reports what there will be of them.

        Parameters:
            path: a directory that was scanned.
        """
        below = join(place_of(path), "")
        for place, root in list(self._waiting.items()):
            if place.startswith(below):
                outer = self._coverage.cover(root)
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
        elif not was_there:
            # It may be back without an event, where its way could not be watched.
            self._trees.verify_name(parent, name)
        root.exists = False
        root.part_of = outer

    def take_out(self, owner: Root, inner: Root) -> None:
        """Make a root stand alone whose outer root is removed."""
        to = inner.way.destination
        inner.at = to.wd, to.name
        found = locate(owner, inner.place)
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
        found = locate(owner, root.place)
        root.part_of = None
        if found is not None and found.parent is not None:
            self._trees.vanish(found.parent, found.name)
        elif root.way.reason & (CREATE | MOVED_TO):
            parent = locate(owner, root.place.rpartition("/")[0] or "/")
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

    def exceptions(self) -> tuple[Collection[str], ...]:
        """Return where roots stand alone or are waited for, kept up to date."""
        return self._alone_inside, self._waiting

    def has_exceptions(self) -> bool:
        """Return whether a name that is found may be that of a root."""
        return bool(self._alone_inside or self._waiting)
