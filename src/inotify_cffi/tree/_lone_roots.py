"""The roots that stand alone: each reports itself, and has a tree of its own.

The former and the present destination of such a root are compared here, and the
difference is reported as the end of the root, or as its return.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ._masks import (
    CREATE,
    DELETE,
    ISDIR,
    MOVED_FROM,
    MOVED_TO,
)
from ._model import Directory, State, Top
from ._roots import Root
from ._scan import Purpose
from ._way import Kind

if TYPE_CHECKING:
    from ._output import Output
    from ._scans import Scans
    from ._trees import Trees
    from ._ways import Ways


class LoneRoots:
    """The reports about roots that stand alone, and their trees."""

    def __init__(self, ways: Ways, trees: Trees, scans: Scans, output: Output) -> None:
        self._ways = ways
        self._trees = trees
        self._scans = scans
        self._output = output
        self._root_of_top: dict[Top, Root] = {}
        # Each with whether a name has left it since it was found.
        self._perhaps_empty: dict[Top, bool] = {}
        # Roots that have returned, found before the last read of the queue, or since.
        self._returned: dict[Root, None] = {}
        self._returned_since: dict[Root, None] = {}

    def tops(self) -> list[Top]:
        """Return the trees of the roots."""
        return list(self._root_of_top)

    def of_top(self, top: Top) -> Root | None:
        """Return the root that leads to a tree."""
        return self._root_of_top.get(top)

    def clear(self) -> None:
        """Forget all trees."""
        self._root_of_top.clear()
        self._perhaps_empty.clear()
        self._returned.clear()
        self._returned_since.clear()

    def follow_file(self, root: Root, mask: int) -> None:
        """Report an event of a root that is a file."""
        if mask & ISDIR:
            return  # its name belongs to something else now: `settle` finds that
        if mask & CREATE and root.exists:
            return  # it was found before its event was read
        if mask & (DELETE | MOVED_FROM) and root.exists is False:
            return
        if mask & (CREATE | MOVED_TO):
            root.exists = True
        elif mask & (DELETE | MOVED_FROM):
            root.exists = False
        if mask & (DELETE | MOVED_FROM):
            self._output.report_always(mask, root.given)
        elif root.exists is not False:
            self._output.report(mask, root.given)

    def removed_name(self, directory: Directory) -> None:
        """Note that a name has left a directory: a root may be empty then."""
        if directory.parent is None and isinstance(directory, Top):
            self._perhaps_empty[directory] = True

    def expect_removals(self) -> None:
        """Watch the directories above roots that are empty, which could be removed."""
        if not self._perhaps_empty:
            return
        tops = dict(self._perhaps_empty)
        self._perhaps_empty.clear()
        for top, lost_a_name in tops.items():
            root = self._root_of_top.get(top)
            if root is None or top.children:
                continue
            if top.state in (State.UNSCANNED, State.SCANNING):
                self._perhaps_empty[top] = lost_a_name  # until its scan is done
            elif self._scans.is_empty(top):
                self._ways.expect_removal(root.way)
            elif lost_a_name:
                self._ways.verify(root.way)  # it may be another one by now

    def follow_way(self, root: Root) -> None:
        """Report that a root that stands alone does not lead there any more."""
        to = root.way.destination
        at = (to.wd, to.name)
        if root.top is not None:
            if to.kind is Kind.DIRECTORY and at == root.at:
                if root.top.fs_path != to.path:
                    root.top.fs_path = to.path
                self._scans.note_moved(root.top)
                return
        elif root.exists is False or (to.kind is Kind.FILE and at == root.at):
            return
        self._lose(root)

    def _lose(self, root: Root) -> None:
        if root.top is not None:
            self._trees.end_moves_below(root.top)
        self._output.report_always(root.way.end(), root.given)
        self.forget_top(root)
        root.exists = False

    def forget_top(self, root: Root) -> None:
        """Remove the tree of a root from the model."""
        top = self.release_top(root)
        if top is not None:
            self._trees.forget(top)

    def release_top(self, root: Root) -> Top | None:
        """Take its tree from a root, and return it."""
        top, root.top = root.top, None
        self._returned.pop(root, None)
        self._returned_since.pop(root, None)
        if top is not None:
            self._root_of_top.pop(top, None)
            self._perhaps_empty.pop(top, None)
        return top

    def give_top(self, root: Root, top: Top) -> None:
        """Give a root its tree."""
        root.top = top
        self._root_of_top[top] = root
        self._perhaps_empty[top] = False

    def appear(self, root: Root, purpose: Purpose, *, announced: bool) -> None:
        """Report the present destination of a root that stands alone, if it is new."""
        if not self._is_new(root):
            return
        to = root.way.destination
        root.at = to.wd, to.name
        is_directory = to.kind is Kind.DIRECTORY
        if announced or (purpose is Purpose.REPORT and not is_directory):
            self._output.report_found(root.given, is_directory=is_directory)
            root.announced = True
        if is_directory:
            top = Top(root.given, to.path)
            self.give_top(root, top)
            self._scans.want(top, Purpose.REPORT if announced else purpose)
        else:
            root.exists = True

    def _is_new(self, root: Root) -> bool:
        """Return whether a root leads to something, and nothing is reported of it."""
        is_there = root.way.destination.kind is not Kind.NOTHING
        return is_there and root.top is None and root.exists is False

    def return_later(self, root: Root) -> None:
        """Report the return of a root inside another one after the next read.

        The path was resolved on the disk. The queue may be behind it: the deletion of a
        directory above, which the outer root reports, must not come after the return.
        """
        self._returned.pop(root, None)
        if self._is_new(root):
            self._returned_since[root] = None

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is empty if nothing is to be found; it is kept up to date."""
        return self._perhaps_empty, self._returned, self._returned_since

    def has_returned(self) -> bool:
        """Return whether a root has returned that is not reported yet."""
        return bool(self._returned or self._returned_since)

    def show_returned(self) -> None:
        """Report the roots that have returned before the last read of the queue."""
        if not self.has_returned():
            return
        returned = list(self._returned)
        self._returned.clear()
        self._returned.update(self._returned_since)
        self._returned_since.clear()
        for root in returned:
            if root.part_of is None:
                self.appear(root, Purpose.REPORT, announced=True)
