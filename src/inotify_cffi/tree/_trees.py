"""The trees as the consumer knows them: a change is made and reported in one step."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from . import _disk
from ._masks import (
    CREATE,
    DELETE,
    DELETE_SELF,
    ISDIR,
    MOVE_SELF,
    MOVED_FROM,
    Q_OVERFLOW,
)
from ._model import Directory, FileRoot, Paths, Root, State
from ._moves import Arrived, Decision, Exchanged, Left, Moved
from ._output import Output
from ._renames import Renames
from ._roots import Roots
from ._scanner import Purpose, Scan
from ._scans import Scans
from ._unverified import UnverifiedNames
from ._watches import Watches
from .events import UnreadableDirectoryWarning

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
_NO_CONTENT: Mapping[str, list[int]] = {}


class Trees:
    """Keeps the model in step with what is reported.

    Each method makes one change to the model, lets the parts that keep something
    of it know, and reports the change.
    """

    def __init__(
        self,
        watches: Watches,
        scans: Scans,
        renames: Renames,
        unverified: UnverifiedNames,
        roots: Roots,
        paths: Paths,
        output: Output,
    ) -> None:
        self._watches = watches
        self._scans = scans
        self._renames = renames
        self._unverified = unverified
        self._paths = paths
        self._output = output
        self._roots = roots

    # ---- names -----------------------------------------------------------------

    def lose_root(self, root: Root, mask: int) -> None:
        """The root's own directory is gone, or is elsewhere."""
        self._output.report(mask & ~ISDIR, root.given)
        self.forget(root)

    def create(self, parent: Directory, name: str, mask: int) -> None:
        """Something was created."""
        self._make_room(parent, name)
        self._appear(parent, name, mask)

    def delete(self, parent: Directory, name: str, mask: int) -> None:
        """Something was deleted."""
        child = parent.child(name)
        if child is not None:
            self.end_moves_below(child)
        if not self._unverified.take(parent, name):
            self._output.report(mask, self._paths.entry_path(parent, name))
        if child is not None:
            self.forget(child)

    def apply(self, decision: Decision) -> None:
        """Make a change that was decided on."""
        if isinstance(decision, Left):
            self._leave(decision)
        elif isinstance(decision, Moved):
            self._move(decision)
        elif isinstance(decision, Arrived):
            victim = decision.parent.child(decision.name)
            if victim is not None:
                self.forget(victim)
            self._appear(*decision)
        elif isinstance(decision, Exchanged):
            self._stay(decision)

    def end_moves_below(self, top: Directory) -> None:
        """Before a directory goes, end what waits in it: nothing can follow."""
        for left in self._renames.below(top):
            self._leave(left)

    def adds_plainly(self) -> bool:
        """Return whether nothing can come of what is found silently but directories."""
        return not self._output.excludes_some() and len(self._roots) == 1

    def found(
        self,
        directory: Directory,
        names: Mapping[str, bool],
        content: Mapping[str, list[int]] = _NO_CONTENT,
        *,
        silent: bool = False,
    ) -> None:
        """Add what was found in a directory.

        Parameters:
            directory: the directory.
            names: the names, each with whether it is a directory.
            content: masks of what happened to the names since.
            silent: whether the consumer is not to be given the names.
        """
        for name, is_directory in names.items():
            self._unverified.take(directory, name)
            if silent and not is_directory:
                continue
            path = self._paths.entry_path(directory, name)
            if self._output.excluded(path):
                continue
            if not silent:
                mask = CREATE | ISDIR if is_directory else CREATE
                self._output.report(mask, path, synthetic=True)
            if is_directory and not isinstance(directory, FileRoot):
                self._attach(directory, name, path, silent=silent)
            for mask in content.get(name, ()):
                self._output.report(mask, path)

    def scan_failed(self, scan: Scan, failure: OSError) -> None:
        """A directory could not be scanned, though no event says why."""
        directory = scan.directory
        path = self._paths.report_path(directory)
        if failure.errno not in _NOT_THERE:
            if self._scans.fail(scan):
                warning = UnreadableDirectoryWarning(
                    f"waiting to read {path!r}: {failure.strerror}; "
                    "nothing in it is reported until then"
                )
                self._output.warn(warning)
            return
        # All above it is where it should be, and yet it is not there: either the
        # root is at that path no longer, or the file system reports no events.
        root = directory.root
        assert root is not None
        if directory is root:
            self.lose_root(root, DELETE_SELF)
        elif _disk.identity(root.fs_path) != root.identity:
            self.lose_root(root, MOVE_SELF)
        else:
            self._output.report(DELETE | ISDIR, path, synthetic=True)
            self.forget(directory)

    def show_mount_points(self) -> None:
        """After an unmount, show what the mount had hidden."""
        for directory in list(self._scans.unmounted()):
            parent, name = directory.parent, directory.name
            if directory.status is not State.UNMOUNTED or parent is None:
                continue  # an earlier turn of this loop has forgotten it
            if parent.status is not State.UNMOUNTED:
                self._make_room(parent, name)
                self._appear(parent, name, CREATE | ISDIR, synthetic=True)

    def _make_room(self, parent: Directory, name: str) -> None:
        """Before a creation; there is something only if an event is missing."""
        self._unverified.take(parent, name)
        child = parent.child(name)
        if child is not None:
            self.end_moves_below(child)
            path = self._paths.entry_path(parent, name)
            self._output.report(DELETE | ISDIR, path, synthetic=True)
            self.forget(child)

    def _appear(
        self, parent: Directory, name: str, mask: int, *, synthetic: bool = False
    ) -> None:
        path = self._paths.entry_path(parent, name)
        self._output.report(mask, path, synthetic=synthetic)
        if mask & ISDIR:
            self._scans.want(parent.add(name), next_call=True)

    def _attach(self, parent: Directory, name: str, path: str, *, silent: bool) -> None:
        """Add a directory that was found, which may be a root already."""
        root = self._roots.get(path)
        if root is not None and root.parent is None and root.wd:
            root.move(parent, name)
            self._paths.changed()
        else:
            purpose = Purpose.SILENT if silent else Purpose.REPORT
            self._scans.want(parent.add(name), purpose)

    def _leave(self, decision: Left) -> None:
        move = decision.move
        if move.source_unknown or move.parent.root is None:
            return
        if move.child is not None:
            self.end_moves_below(move.child)
        mask = MOVED_FROM | ISDIR if move.is_directory else MOVED_FROM
        self._output.report(mask, self._paths.entry_path(move.parent, move.name))
        if move.child is not None:
            self.forget(move.child)

    def _move(self, decision: Moved) -> None:
        move, parent, name, mask, content = decision
        child, victim = move.child, parent.child(name)
        if child is not None and child in parent.ancestors():
            self.start_anew()  # cannot be: what it is based on is wrong
            return
        old_path = self._paths.entry_path(move.parent, move.name)
        if victim is not None and victim is not child:
            self.forget(victim)
        if child is not None:
            child.move(parent, name)
            self._scans.note_moved(child)
            self._paths.changed()
        path = self._paths.entry_path(parent, name)
        self._output.report(mask, path, old_path)
        for later in content:
            self._output.report(later, path)

    def _stay(self, decision: Exchanged) -> None:
        """Another directory moved; the one that came stays, and gets its name."""
        move, parent, name, mask, content = decision
        self._unverified.take(move.parent, move.name)
        if parent.root is None or parent.child(name) is not None:
            return
        path = self._paths.entry_path(parent, name)
        self._output.report(mask, path)
        self._scans.want(parent.add(name))
        for later in content:
            self._output.report(later, path)

    # ---- the end ---------------------------------------------------------------

    def forget(self, top: Directory) -> None:
        """Let a directory, and all below it, leave the model, with their watches."""
        for directory in list(top.walk()):
            wd = directory.wd
            self._scans.forget(directory)
            self._renames.forget(directory)
            self._watches.release(wd, directory)
            if isinstance(directory, Root):
                self._roots.discard(directory)
        top.detach()
        self._paths.changed()

    def start_anew(self) -> None:
        """After an overflow: report it, forget everything, scan all roots again."""
        self._forget_all()
        self._roots.renew()
        for root in self._roots:
            self._output.report(Q_OVERFLOW, root.given)

    def close(self) -> None:
        """Let the memory of the model go."""
        self._forget_all()
        self._roots.clear()

    def _forget_all(self) -> None:
        for root in self._roots:
            for directory in list(root.walk()):
                self._scans.forget(directory)
                directory.isolate()
        self._watches.forget_all()
        self._scans.forget_all()
        self._renames.forget_all()
        self._unverified.forget_all()
        self._paths.changed()
