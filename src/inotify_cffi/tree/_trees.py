"""The trees as the consumer knows them: a change is made and reported in one step."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping

from ._exclusion import Exclusion
from ._masks import DELETE, ISDIR, MOVED_FROM
from ._model import Directory, Paths, Top
from ._moves import Arrived, Decision, Exchanged, Left, Moved
from ._output import Output
from ._renames import Renames
from ._scan import Purpose, Scan
from ._scans import Scans
from ._unverified import UnverifiedNames
from ._watches import Watches, is_at_its_path
from .events import UnreadableDirectoryWarning

_NO_CONTENT: Mapping[str, list[int]] = {}


class Trees:
    """Keeps the model and the reported events consistent.

    Each method makes one change to the model, informs the parts that keep data about
    it, and reports the change.
    """

    def __init__(
        self,
        watches: Watches,
        scans: Scans,
        renames: Renames,
        unverified: UnverifiedNames,
        paths: Paths,
        output: Output,
        exclusion: Exclusion,
    ) -> None:
        self._watches = watches
        self._scans = scans
        self._renames = renames
        self._unverified = unverified
        self._paths = paths
        self._output = output
        self._exclusion = exclusion
        self._impossible: list[Moved] = []

    # ---- changes ---------------------------------------------------------------

    def create(self, parent: Directory, name: str, mask: int) -> None:
        """Follow a creation."""
        self.vanish(parent, name)
        self.appear(parent, name, mask)

    def delete(self, parent: Directory, name: str, mask: int) -> None:
        """Follow a deletion."""
        child = parent.child(name)
        if child is not None:
            self.end_moves_below(child)
        if not self._unverified.take(parent, name):
            self._output.report(mask, self._paths.entry_path(parent, name))
        if child is not None:
            self.forget(child)

    def apply(self, decision: Decision) -> None:
        """Apply a decision."""
        if isinstance(decision, Left):
            self._leave(decision)
        elif isinstance(decision, Moved):
            self._move(decision)
        elif isinstance(decision, Arrived):
            victim = decision.parent.child(decision.name)
            if victim is not None:
                self.forget(victim)
            self.appear(*decision)
        elif isinstance(decision, Exchanged):
            self._stay(decision)

    def take_wrong(self) -> bool:
        """Return whether an event showed that the model is wrong, once."""
        is_wrong = bool(self._impossible)
        self._impossible.clear()
        return is_wrong

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is empty if the model is right; it is kept up to date."""
        return (self._impossible,)

    def end_moves_below(self, top: Directory) -> None:
        """Before a directory goes, end its pending moves: nothing can follow."""
        for left in self._renames.below(top):
            self._leave(left)

    def adds_plainly(self) -> bool:
        """Return whether only the directories of a silent scan matter."""
        return not self._exclusion

    def found(
        self,
        directory: Directory,
        names: Mapping[str, bool],
        content: Mapping[str, list[int]] = _NO_CONTENT,
        *,
        silent: bool = False,
    ) -> None:
        """Add the names that were found in a directory.

        Parameters:
            directory: the directory.
            names: the names, each with whether it is a directory.
            content: masks of what happened to the names since.
            silent: whether the names are not reported.
        """
        if directory.children:
            names = self._without_known(directory, names)
        purpose = Purpose.SILENT if silent else Purpose.REPORT
        is_unsure = self._exclusion or directory in self._unverified.directories()
        if not (silent or content or is_unsure):
            self._output.report_all_found(self._paths.report_path(directory), names)
            for name, is_directory in names.items():
                if is_directory:
                    self._scans.want(directory.add(name), purpose)
            return
        for name, is_directory in names.items():
            self._unverified.take(directory, name)
            if self._exclusion and self._exclusion.decide(
                directory, name, is_directory=is_directory
            ):
                continue
            if not silent:
                path = self._paths.entry_path(directory, name)
                self._output.report_found(path, is_directory=is_directory)
                for mask in content.get(name, ()):
                    self._output.report(mask, path)
            if is_directory:
                self._scans.want(directory.add(name), purpose)

    def _without_known(
        self, directory: Directory, names: Mapping[str, bool]
    ) -> dict[str, bool]:
        """Leave out the directories that the consumer has already.

        A rename brings them into a directory that is being scanned. When that scan is
        not valid, the next one finds them as well.
        """
        unknown = dict(names)
        for name, is_directory in names.items():
            child = directory.child(name)
            if child is None:
                continue
            if is_directory and (
                not child.wd or is_at_its_path(child, self._watches, self._paths)
            ):
                del unknown[name]
            else:
                self.vanish(directory, name)
        return unknown

    def scan_failed(self, scan: Scan, failure: OSError) -> None:
        """Follow a directory that exists but could not be scanned."""
        if failure.errno == errno.EXDEV:
            self._scans.keep_by_name(scan.directory)
        elif self._scans.fail(scan):
            path = self._paths.report_path(scan.directory)
            warning = UnreadableDirectoryWarning(
                f"waiting to read {path!r}: {failure.strerror}; "
                "nothing in it is reported until then"
            )
            self._output.warn(warning)

    def verify_name(self, parent: Directory, name: str) -> None:
        """Have a name checked on the disk when the queue is empty."""
        self._unverified.add(parent, name)

    def vanish(self, parent: Directory, name: str) -> None:
        """Report the deletion of a directory that is gone without an event.

        Before a creation, there is one only if an event is missing.
        """
        self._unverified.take(parent, name)
        child = parent.child(name)
        if child is not None:
            self.end_moves_below(child)
            path = self._paths.entry_path(parent, name)
            self._output.report(DELETE | ISDIR, path, synthetic=True)
            self.forget(child)

    def appear(
        self, parent: Directory, name: str, mask: int, *, synthetic: bool = False
    ) -> None:
        """Report the present owner of a name; have it scanned if it is a directory."""
        path = self._paths.entry_path(parent, name)
        self._output.report(mask, path, synthetic=synthetic)
        if mask & ISDIR:
            self._scans.want(parent.add(name), next_call=True)

    def _leave(self, decision: Left) -> None:
        move = decision.move
        if move.source_unknown or move.parent.top is None:
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
            self._impossible.append(decision)
            return
        old_path = self._paths.entry_path(move.parent, move.name)
        if victim is not None and victim is not child:
            self.forget(victim)
        if child is not None:
            child.move(parent, name)
            self._scans.note_moved(child)
            self._paths.changed(child)
        path = self._paths.entry_path(parent, name)
        self._output.report(mask, path, old_path)
        for later in content:
            self._output.report(later, path)

    def _stay(self, decision: Exchanged) -> None:
        """Follow an exchange: the other directory moved; this one gets its name."""
        move, parent, name, mask, content = decision
        self._unverified.take(move.parent, move.name)
        if parent.top is None or parent.child(name) is not None:
            return
        path = self._paths.entry_path(parent, name)
        self._output.report(mask, path)
        self._scans.want(parent.add(name))
        for later in content:
            self._output.report(later, path)

    # ---- the end ---------------------------------------------------------------

    def forget(self, top: Directory) -> None:
        """Remove a directory and all below it from the model, with their watches."""
        # A tree that leaves may be big, and all of it leaves at once: an event loop is
        # held meanwhile. So most directories, which have a watch and no more, are
        # forgotten together.
        directories = top.walk()
        self._watches.release_all(self._scans.forget(directories))
        self._renames.forget(directories)
        if self._exclusion:
            for directory in directories:
                self._exclusion.forget(directory)
        top.detach()
        self._paths.changed(top)

    def forget_all(self, tops: Iterable[Top]) -> None:
        """Forget everything; the watches stay until it is known which are needed."""
        for top in tops:
            directories = top.walk()
            self._scans.forget(directories)
            for directory in directories:
                directory.isolate()
        self._watches.forget_all()
        self._scans.forget_all()
        self._renames.forget_all()
        self._unverified.forget_all()
        self._exclusion.forget_all()
        self._paths.changed()
