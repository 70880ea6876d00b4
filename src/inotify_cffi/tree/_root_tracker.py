"""Following the roots: their destinations, and the reports about them.

A root stands alone (`_lone_roots`) or is part of another root's tree (`_nested_roots`).
Which of the two holds is decided anew whenever the way to either of them changes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Container
from typing import TYPE_CHECKING

from .._scanning import os_error
from ._coverage import Coverage
from ._file_system_warnings import FileSystemWarnings
from ._lone_roots import LoneRoots
from ._masks import DELETE_SELF, MOVE_SELF, Q_OVERFLOW
from ._model import State, Top, join
from ._mounts import MountTable
from ._nested_roots import NestedRoots
from ._roots import Root, Roots, names_below, place_of
from ._scan import Purpose
from ._way import Kind, Way
from ._ways import Ways

if TYPE_CHECKING:
    from ..events import Event
    from ._exclusion import Exclusion
    from ._joins import Joins
    from ._mount_points import MountPoints
    from ._output import Output
    from ._scans import Scans
    from ._trees import Trees


class RootTracker:
    """Keeps the trees up to date with the destinations of the roots."""

    def __init__(
        self,
        ways: Ways,
        mounts: MountTable,
        trees: Trees,
        joins: Joins,
        mount_points: MountPoints,
        exclusion: Exclusion,
        scans: Scans,
        output: Output,
        *,
        recursive: bool,
        one_file_system: bool,
    ) -> None:
        self.roots = Roots()
        self._ways = ways
        self._mounts = mounts
        self._trees = trees
        self._mount_points = mount_points
        self._scans = scans
        self._output = output
        self.lone = LoneRoots(ways, trees, scans, output)
        self._coverage = Coverage(
            self.roots, exclusion, recursive=recursive, one_file_system=one_file_system
        )
        self.nested = NestedRoots(
            self.roots, self.lone, ways, trees, joins, self._coverage, output
        )
        self._warnings = FileSystemWarnings(
            mounts, output, recursive=recursive, one_file_system=one_file_system
        )
        self._root_of: dict[Way, Root] = {}
        self._before_overflow: list[Root] = []  # what was there
        self._is_urgent = False  # an event concerns a root that stands alone
        self._to_settle = (*ways.unfinished(), self._before_overflow)

    # ---- roots -----------------------------------------------------------------

    def add(self, given: str, purpose: Purpose, *, missing_ok: bool) -> None:
        """Add a root.

        Raises:
            OSError: it leads to nothing, or may not be read, and that is not allowed;
                ENOSPC, the limit of watches.
        """
        text = given if given.startswith("/") else join(os.getcwd(), given)
        way = self._ways.follow(text)
        root = Root(given, way)
        self._root_of[way] = root
        self.roots.add(root)
        try:
            self.settle(purpose)
            to = way.destination
            if to.kind is Kind.NOTHING and not missing_ok:
                raise os_error(to.failure, given)  # a limit with its sysctl
            limit = self._ways.take_failure()
            if limit is not None:
                raise OSError(limit.errno, limit.strerror, given)
        except BaseException:
            self._discard(root)
            raise
        for inner in self.roots.inside(root):
            self._update(inner)
        self._warnings.warn_of_root(root)

    def remove(self, root: Root) -> None:
        """Remove a root; other roots keep their directories of its tree."""
        inside = self.roots.inside(root)
        self.roots.discard(root)
        for inner in inside:
            if inner.part_of is root:
                owner = root.owner()
                inner.part_of = self._coverage.cover(inner)
                if inner.part_of is None:
                    self.nested.take_out(owner, inner)
            elif self.nested.is_waiting(inner):
                self._update(inner)
            self.nested.note_alone(inner)
        self._discard(root)

    def _discard(self, root: Root) -> None:
        self.roots.discard(root)
        self._root_of.pop(root.way, None)
        self.lone.forget_top(root)
        self._ways.forget(root.way)
        self.nested.discard(root)

    def take_failure(self) -> OSError | None:
        """Take the error of a way that met the limit of watches."""
        return self._ways.take_failure()

    def failures(self) -> Collection[OSError]:
        """Return what `take_failure` has, kept up to date."""
        return self._ways.failures()

    def missing(self) -> list[str]:
        """Return the roots that lead to nothing, as they were given."""
        return [root.given for root in self.roots if self._is_missing(root)]

    def _is_missing(self, root: Root) -> bool:
        if root.part_of is not None:
            return not os.path.exists(root.way.text)
        return root.top is None and root.exists is False

    # ---- events ----------------------------------------------------------------

    def is_due(self) -> bool:
        """Return whether `settle` has something to do."""
        return self._ways.is_due()

    def is_urgent(self) -> bool:
        """Return whether to `settle` before the next event is followed.

        A root that is part of another's tree can wait for the end of a read, as the
        outer root reports its events. To resolve its way is to ask the disk, where the
        outer root may be gone, though the queue still has events of it.
        """
        return self._is_urgent

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is empty if nothing is to be found; it is kept up to date."""
        return *self._to_settle, *self.lone.unfinished()

    @property
    def watches(self) -> Container[int]:
        """The watches whose events `follow_event` has to be given."""
        return self._ways.watches

    def follow_event(self, event: Event) -> None:
        """Follow an event of one of the `watches`."""
        wd, mask, _, name = event
        for way in self._ways.entries(wd, name):
            root = self._root_of[way]
            if root.part_of is None:
                self.lone.follow_file(root, mask)
        for way in self._ways.follow_event(wd, mask, name):
            if self._root_of[way].part_of is None:
                self._is_urgent = True

    def awaits_name_in(self, wd: int) -> bool:
        """Return whether events of names in a directory can concern a root."""
        return self._ways.awaits_name_in(wd)

    # ---- what changes ----------------------------------------------------------

    def follow_mounts(self) -> None:
        """Follow the changes of the mount table."""
        for point, unmounted in self._mounts.changes().items():
            self._ways.recheck_below(point, unmounted=unmounted)
            for root in self.roots:
                if root.top is not None:
                    below = names_below(root.top.fs_path, point)
                    if below and join(root.top.fs_path, "/".join(below)) == point:
                        self._mount_points.remount(root.top, below, unmounted=unmounted)
                        self._warnings.warn_of_mount(root, point)

    def verify(self, top: Top) -> bool:
        """Return whether a root still leads to the directory that it led to."""
        root = self.lone.of_top(top)
        if root is not None:
            self._ways.recheck(root.way)
        self.settle()
        return top.status is not State.FORGOTTEN

    def resolve_below(self, path: str) -> None:
        """Report the end of the roots that stand alone below a directory that moves.

        Their own events come after those of the rename. A consumer that has followed
        the rename would look for them at the new path of the directory.
        """
        for root in self.roots.below(place_of(path)):
            if root.part_of is None:
                root.way.reason |= MOVE_SELF
                self._ways.recheck(root.way)
        self.settle()

    def settle(self, purpose: Purpose = Purpose.REPORT) -> None:
        """Report the changes of the roots whose ways have changed.

        Parameters:
            purpose: how to scan a root that was only just added.
        """
        self._is_urgent = False
        if not any(self._to_settle):
            return
        changed = [self._root_of[way] for way, _ in self._ways.settle()]
        changed.sort(key=lambda root: len(root.place))
        for root in reversed(changed):  # what goes, goes from below
            if root.part_of is None:
                self.lone.follow_way(root)
        for root in changed:
            self._update(root, purpose)
            root.way.reason = 0
        for root in self._before_overflow:
            if self._is_missing(root):
                self._output.report_always(DELETE_SELF, root.given)
        self._before_overflow.clear()

    def _update(self, root: Root, purpose: Purpose = Purpose.REPORT) -> None:
        outer = self._coverage.cover(root)
        fresh, root.fresh = root.fresh, False
        if outer is None:
            self.nested.wait_no_longer(root)
        if fresh and outer is not None and self.nested.is_hidden(root, outer):
            pass  # it stands alone until the outer tree reaches it
        elif root.part_of is not None or (fresh and outer is not None):
            if outer is None:
                self.nested.leave_outer(root)
            root.part_of = outer
        if root.part_of is None:
            self.lone.follow_way(root)
            if outer is None or not self.nested.join(root, outer):
                if fresh or next(self.roots.enclosing(root), None) is None:
                    self.lone.appear(root, purpose, announced=not fresh)
                else:
                    self.lone.return_later(root)
        self.nested.note_alone(root)

    # ---- the end -----------------------------------------------------------------

    def start_anew(self) -> None:
        """After an overflow: report it, forget everything, let it be found again."""
        self._trees.forget_all(self.tops())
        self.nested.clear()
        for root in self.roots:
            self._output.report(Q_OVERFLOW, root.given)
            if not self._is_missing(root):
                # It is scanned as if it had been added now.
                self._before_overflow.append(root)
                root.fresh = True
            self.lone.release_top(root)
            root.part_of = None
            root.exists = False
        self.lone.clear()
        self._ways.recheck_all()

    def tops(self) -> list[Top]:
        return self.lone.tops()

    def close(self) -> None:
        self.roots.clear()
        self._root_of.clear()
        self.lone.clear()
        self.nested.clear()
        self._before_overflow.clear()
        self._ways.close()
        self._mounts.close()
