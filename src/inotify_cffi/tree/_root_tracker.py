"""Following the roots: what each path leads to, and what of that is reported.

A root inside another's tree, reached by names alone, is part of that tree: the outer
root reports all that happens to it. It stands alone where the outer root does not see
it: behind a link or "..", under an excluded directory, on another file system, below
the entries of a watcher that is not recursive. Then the path is reported as a root,
and no more as an entry of the outer tree. Which of the two holds is decided anew
whenever the way to either of them changes.

A root that stood alone when an outer one came goes on alone until the outer scan has
reached the directory above it: what happens to it meanwhile was asked for, and must
not become part of the silence of that scan.
"""

from __future__ import annotations

import os
from collections.abc import Container
from typing import TYPE_CHECKING

from .._scanning import os_error
from . import _disk
from ._file_systems import missed_on
from ._masks import (
    CREATE,
    DELETE,
    DELETE_SELF,
    ISDIR,
    MOVED_FROM,
    MOVED_TO,
    Q_OVERFLOW,
)
from ._model import Directory, State, Top, join
from ._mounts import MountTable
from ._roots import Root, Roots, names_below, place_of
from ._scanner import Purpose
from ._ways import Destination, Kind, Way, Ways
from .events import LocalChangesOnlyWarning

if TYPE_CHECKING:
    from ..events import Event
    from ._output import Output
    from ._scans import Scans
    from ._trees import Trees


class RootTracker:
    """Keeps the trees in step with what the roots lead to."""

    def __init__(
        self,
        ways: Ways,
        mounts: MountTable,
        trees: Trees,
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
        self._scans = scans
        self._output = output
        self._recursive = recursive
        self._one_file_system = one_file_system
        self._root_of: dict[Way, Root] = {}
        # Roots that stand alone until an outer scan reaches them, by their places.
        self._waiting: dict[str, Root] = {}
        # Roots that stand alone inside another's tree, by their places.
        self._alone_inside: dict[str, Root] = {}
        self._root_of_top: dict[Top, Root] = {}
        self._perhaps_empty: dict[Top, None] = {}
        self._before_overflow: list[Root] = []  # what was there

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
            self._raise_limit(given)
        except BaseException:
            self._discard(root)
            raise
        for inner in self.roots.inside(root):
            self._update(inner)
        self._warn_of_file_systems(root)

    def remove(self, root: Root) -> None:
        """Remove a root; what other roots have of its tree stays theirs."""
        inside = self.roots.inside(root)
        self.roots.discard(root)
        for inner in inside:
            if inner.part_of is root:
                owner = root.owner()
                inner.part_of = self._cover(inner)
                if inner.part_of is None:
                    self._take_out(owner, inner)
            elif inner.place in self._waiting:
                self._update(inner)
            self._note_alone(inner)
        self._discard(root)

    def _discard(self, root: Root) -> None:
        self.roots.discard(root)
        self._root_of.pop(root.way, None)
        self._forget_top(root)
        self._ways.forget(root.way)
        for places in (self._waiting, self._alone_inside):
            if places.get(root.place) is root:
                del places[root.place]

    def _raise_limit(self, given: str) -> None:
        failure, self._ways.failure = self._ways.failure, None
        if failure is not None:
            raise OSError(failure.errno, failure.strerror, given)

    def take_failure(self) -> OSError | None:
        """Take the error of a way that met the limit of watches."""
        failure, self._ways.failure = self._ways.failure, None
        return failure

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
                self._follow_file(root, mask)
        self._ways.follow_event(wd, mask, name)

    def _follow_file(self, root: Root, mask: int) -> None:
        if mask & ISDIR:
            return  # another thing has its name now: `settle` finds that
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
            self._perhaps_empty[directory] = None

    def expect_removals(self) -> None:
        """Watch the directories above roots that are empty, which could be removed."""
        for top in self._perhaps_empty:
            root = self._root_of_top.get(top)
            if root is not None and self._scans.is_empty(top):
                self._ways.expect_removal(root.way)
        self._perhaps_empty.clear()

    # ---- what changes ----------------------------------------------------------

    def follow_mounts(self) -> None:
        """Follow what has come or gone in the mount table."""
        for point, unmounted in self._mounts.changes().items():
            self._ways.recheck_below(point, unmounted=unmounted)
            for root in self.roots:
                if root.top is not None:
                    below = names_below(root.top.fs_path, point)
                    if below and join(root.top.fs_path, "/".join(below)) == point:
                        self._trees.remount(root.top, below)
                        self._warn_of_mount(root, point)

    def verify(self, top: Top) -> bool:
        """Return whether a root still leads to the directory that it led to."""
        root = self._root_of_top.get(top)
        if root is not None:
            self._ways.recheck(root.way)
        self.settle()
        return top.status is not State.FORGOTTEN

    def settle(self, purpose: Purpose = Purpose.REPORT) -> None:
        """Report what has become of the roots whose ways have changed.

        Parameters:
            purpose: how to scan a root that was only just added.
        """
        changed = [self._root_of[way] for way, _ in self._ways.settle()]
        changed.sort(key=lambda root: len(root.place))
        for root in reversed(changed):  # what goes, goes from below
            if root.part_of is None:
                self._follow_way(root)
        for root in changed:
            self._update(root, purpose)
            root.way.reason = 0
        for root in self._before_overflow:
            if self._is_missing(root):
                self._output.report_always(DELETE_SELF, root.given)
        self._before_overflow.clear()

    def _update(self, root: Root, purpose: Purpose = Purpose.REPORT) -> None:
        outer = self._cover(root)
        fresh, root.fresh = root.fresh, False
        if outer is None and self._waiting.get(root.place) is root:
            del self._waiting[root.place]
        if root.part_of is not None or (fresh and outer is not None):
            if outer is None:
                self._leave_outer(root)
            root.part_of = outer
        if root.part_of is None:
            self._follow_way(root)
            if outer is None or not self._join(root, outer):
                self._appear(root, purpose, announced=not fresh)
        self._note_alone(root)

    def _follow_way(self, root: Root) -> None:
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
        self._forget_top(root)
        root.exists = False

    def _forget_top(self, root: Root) -> None:
        top = self._release_top(root)
        if top is not None:
            self._trees.forget(top)

    def _release_top(self, root: Root) -> Top | None:
        top, root.top = root.top, None
        if top is not None:
            self._root_of_top.pop(top, None)
            self._perhaps_empty.pop(top, None)
        return top

    def _give_top(self, root: Root, top: Top) -> None:
        root.top = top
        self._root_of_top[top] = root
        self._perhaps_empty[top] = None

    def _appear(self, root: Root, purpose: Purpose, *, announced: bool) -> None:
        """Report what a root that stands alone leads to now, if that is new."""
        to = root.way.destination
        if to.kind is Kind.NOTHING or root.top is not None or root.exists is not False:
            return
        root.at = to.wd, to.name
        is_directory = to.kind is Kind.DIRECTORY
        if announced or (purpose is Purpose.REPORT and not is_directory):
            self._output.report_found(root.given, is_directory=is_directory)
            root.announced = True
        if is_directory:
            top = Top(root.given, to.path)
            self._give_top(root, top)
            self._scans.want(top, Purpose.REPORT if announced else purpose)
        else:
            root.exists = True

    # ---- roots inside others ---------------------------------------------------

    def _cover(self, root: Root) -> Root | None:
        """Return the root of whose tree a root is part, the nearest of several."""
        for outer in self.roots.enclosing(root):
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
            if self._trees.excludes_root(place, below, is_directory=is_directory):
                return True
        return self._one_file_system and not _disk.same_device(outer.path, inner.path)

    def _locate(self, owner: Root, place: str) -> Directory | None:
        found: Directory | None = owner.top
        for name in names_below(owner.place, place):
            found = found.child(name) if found else None
        return found

    def _join(self, root: Root, outer: Root) -> bool:
        """Make a root part of another's tree, or let it wait for that.

        Returns:
            Whether it is part of it now.
        """
        owner = outer.owner()
        above = root.place.rpartition("/")[0]
        if root.place == outer.place:
            self._waiting.pop(root.place, None)
            root.part_of = outer
            self._forget_top(root)
            root.exists = False
            return True
        parent = self._locate(owner, above or "/")
        if parent is None or parent.state is not State.WATCHED:
            if owner.top is None:  # it leads to nothing, so there is no scan
                root.part_of = outer
                return True
            self._waiting[root.place] = root
            return False
        self._adopt(root, outer, parent)
        return True

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
            outer = self._cover(root)
            if outer is not None:
                if root.top is not None and not (silent or root.announced):
                    self._output.report_found(root.place, is_directory=True)
                self._adopt(root, outer, directory)
            else:
                self._waiting.pop(root.place, None)
            self._note_alone(root)

    def _adopt(self, root: Root, outer: Root, parent: Directory) -> None:
        self._waiting.pop(root.place, None)
        name = root.place.rpartition("/")[2]
        was_there = root.top is not None or root.exists is not False
        top = self._release_top(root)
        if top is not None:
            self._trees.attach(top, parent, name)
        elif not was_there and root.way.destination.kind is not Kind.NOTHING:
            self._trees.verify_name(parent, name)
        root.exists = False
        root.part_of = outer

    def _take_out(self, owner: Root, inner: Root) -> None:
        """Make a root stand alone whose outer root is removed."""
        to = inner.way.destination
        inner.at = to.wd, to.name
        found = self._locate(owner, inner.place)
        if found is not None:
            if found is owner.top:
                self._release_top(owner)
            top = self._trees.take_out(found, inner.given, to.path)
            self._give_top(inner, top)
            self._ways.recheck(inner.way)
        elif to.kind is Kind.DIRECTORY:
            self._appear(inner, Purpose.REPORT, announced=True)
        elif to.kind is Kind.FILE:
            inner.exists = None

    def _leave_outer(self, root: Root) -> None:
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

    def _note_alone(self, root: Root) -> None:
        alone = root.part_of is None and root.place not in self._waiting
        if alone and next(self.roots.enclosing(root), None) is not None:
            self._alone_inside[root.place] = root
        elif self._alone_inside.get(root.place) is root:
            del self._alone_inside[root.place]

    def is_root_of_its_own(self, path: str) -> bool:
        """Return whether a path is reported as a root, and not as an entry."""
        return bool(self._alone_inside) and place_of(path) in self._alone_inside

    def has_exceptions(self) -> bool:
        """Return whether a name that is found may be that of a root."""
        return bool(self._alone_inside or self._waiting)

    # ---- file systems ------------------------------------------------------------

    def _warn_of_file_systems(self, root: Root) -> None:
        to = root.way.destination
        mount = self._mounts.at(to.path)
        seen = {mount.kind} if mount is not None else set()
        if mount is not None:
            self._warn_of_kind(root.given, mount.kind)
        if to.kind is not Kind.DIRECTORY or not self._recursive:
            return
        for inner in self._mounts.below(to.path):
            if inner.kind not in seen and not self._one_file_system:
                seen.add(inner.kind)
                below = names_below(to.path, inner.point)
                self._warn_of_kind(join(root.place, "/".join(below)), inner.kind)

    def _warn_of_mount(self, root: Root, point: str) -> None:
        mount = self._mounts.at(point)
        if mount is not None and mount.point == point and self._recursive:
            below = names_below(root.way.destination.path, point)
            self._warn_of_kind(join(root.place, "/".join(below)), mount.kind)

    def _warn_of_kind(self, path: str, kind: str) -> None:
        missed = missed_on(kind)
        if missed is not None:
            self._output.warn(
                LocalChangesOnlyWarning(f"{path!r} is on {kind}: {missed}")
            )

    # ---- the end -----------------------------------------------------------------

    def start_anew(self) -> None:
        """After an overflow: report it, forget everything, let it be found again."""
        self._trees.forget_all(self.tops())
        self._waiting.clear()
        self._alone_inside.clear()
        self._perhaps_empty.clear()
        for root in self.roots:
            self._output.report(Q_OVERFLOW, root.given)
            if not self._is_missing(root):
                # It is scanned as if it had been added now.
                self._before_overflow.append(root)
                root.fresh = True
            self._release_top(root)
            root.part_of = None
            root.exists = False
        self._ways.recheck_all()

    def tops(self) -> list[Top]:
        return list(self._root_of_top)

    def close(self) -> None:
        self.roots.clear()
        for state in (
            self._root_of,
            self._root_of_top,
            self._perhaps_empty,
            self._waiting,
            self._alone_inside,
        ):
            state.clear()
        self._before_overflow.clear()
        self._mounts.close()
