"""Scanning: a batch of directories is watched and listed, here and nowhere else."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from .._scanning import NOT_REACHED, os_error
from . import _disk
from ._batch import Batch
from ._model import Directory, Kind, Paths, join
from ._scan import Purpose, Scan, Wanted

if TYPE_CHECKING:
    from ._watches import Watches


class Reach(NamedTuple):
    """How far one call goes."""

    directories: int
    milliseconds: float
    descend: bool


class Outcome(NamedTuple):
    """The result of a call."""

    scans: list[Scan]
    unreached: list[Wanted]  # in their order
    failures: list[OSError]  # ENOSPC, or the means to scan are missing; one at most
    batches: list[Batch]


_Located = tuple[Wanted, str]  # a named one takes thrice as long to make


def _ends_all(failure: OSError) -> bool:
    """Return whether any other directory would meet the same failure."""
    return failure.errno == errno.ENOSPC or failure.errno in _disk.NO_MEANS


class Scanner:
    """Asks the disk, in an order that the algorithm can rely on.

    Parameters:
        watches: adds the watches.
        paths: know where the directories are.
        list_files: list files even where nothing is reported: `exclude` is asked
            about them when they are first met.
        one_file_system: neither watch nor list what is on another file system than
            the top of its tree: EXDEV.
    """

    def __init__(
        self,
        watches: Watches,
        paths: Paths,
        *,
        list_files: bool = False,
        one_file_system: bool = False,
    ) -> None:
        self._watches = watches
        self._paths = paths
        self._list_files = list_files
        self._one_file_system = one_file_system
        # What was listed here since the queue was read: the events of that, OPEN and
        # the like, are queued before the fence.
        self._listed: set[Directory] = set()
        self._empty: dict[Directory, bool] = {}  # roots: whether their scan said so

    def has_listed(self, directory: Directory | None) -> bool:
        """Return whether this listed a directory since the last fence."""
        return directory in self._listed

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is to be forgotten at a fence; it is kept up to date."""
        return self._listed, self._empty

    def forget_listed(self) -> None:
        """Follow the fence: whatever is opened from here on, others open."""
        self._listed.clear()

    def scan_all(self, wanted: Sequence[Wanted], reach: Reach) -> Outcome:
        """Watch directories, list them, and go on with what is in them.

        Parameters:
            wanted: the directories, either all SILENT or none.
            reach: how far to go.
        """
        outcome = Outcome([], [], [], [])
        located = [*self._with_paths(wanted)]
        if not any(map(self._is_single, located)):
            self._scan_together(located, outcome, reach)
            return outcome
        for is_single, group in groupby(located, self._is_single):
            if outcome.unreached:
                outcome.unreached.extend(wanted for wanted, _ in group)
            elif is_single:
                self._scan_singly([*group], outcome)
            else:
                self._scan_together([*group], outcome, reach)
        return outcome

    def _is_single(self, located: _Located) -> bool:
        """Return whether something is to be done before a directory is watched."""
        return self._one_file_system or len(located[1]) > _disk.SURELY_SHORT

    def _with_paths(self, wanted: Iterable[Wanted]) -> Iterator[_Located]:
        above: Directory | None = None
        fs_path = path_above = ""
        for each in wanted:
            directory, _ = each
            self._listed.add(directory)
            parent = directory.parent
            if parent is None or parent is not above:
                above = parent
                path_above = ""
                fs_path = self._paths.fs_path(directory)
            else:  # walking up once for all neighbours
                path_above = path_above or os.path.dirname(fs_path)
                fs_path = join(path_above, directory.name)
            yield each, fs_path

    def _scan_singly(self, located: Sequence[_Located], outcome: Outcome) -> None:
        for number, ((directory, purpose), fs_path) in enumerate(located):
            try:
                outcome.scans.append(self._scan(directory, fs_path, purpose))
            except OSError as failure:
                outcome.failures.append(failure)
                outcome.unreached.extend(wanted for wanted, _ in located[number:])
                break

    def _scan_together(
        self,
        located: Sequence[_Located],
        outcome: Outcome,
        reach: Reach,
    ) -> None:
        silent = self._is_silent(located[0][0][1])
        found = self._watches.scan(
            [fs_path for _, fs_path in located],
            descend=reach.descend,
            only_directories=silent,
            limit=reach.directories,
            milliseconds=reach.milliseconds,
        )
        given = [directory for (directory, _), _ in located]
        batch = Batch(found, given, only_directories=silent)
        outcome.batches.append(batch)
        for index, (wanted, fs_path) in enumerate(located):
            scan = None
            if not outcome.failures:
                try:
                    scan = self._scan_of(batch, index, wanted, fs_path)
                except OSError as failure:
                    outcome.failures.append(failure)
            if scan is None:
                _, wd = batch.result(index)
                self._watches.keep([wd, *batch.wds_below(index)])
                outcome.unreached.append(wanted)
            else:
                outcome.scans.append(scan)

    def _scan_of(
        self, batch: Batch, index: int, wanted: Wanted, fs_path: str
    ) -> Scan | None:
        """Return the scan of a given directory; None where it was not reached.

        Raises:
            OSError: any other directory would meet the same.
        """
        number, wd = batch.result(index)
        if number in (NOT_REACHED, errno.EINTR):
            return None
        failure = os_error(number, fs_path) if number else None
        if failure is not None and _ends_all(failure):
            raise failure
        scan = self._found(wanted, wd, batch.names(index), failure)
        scan.batch, scan.index = batch, index
        return scan

    def find(self, directory: Directory, name: str) -> Kind | None:
        """Return what has a name; None where that cannot be asked now.

        Raises:
            OSError: EMFILE and the like: the means to ask are missing.
        """
        self._listed.add(directory)
        try:
            is_directory = _disk.find(self._paths.fs_path(directory), name)
        except OSError as failure:
            if failure.errno in _disk.NO_MEANS:
                raise
            return None
        if is_directory is None:
            self._wait_for_path(directory)
            return Kind.NOTHING
        return Kind.DIRECTORY if is_directory else Kind.OTHER

    def note_empty(self, scans: Iterable[Scan]) -> None:
        """Note which roots are empty or not, by scans that have just ended."""
        for scan in scans:
            if scan.directory.parent is None:
                is_empty = scan.found_nothing()
                if is_empty is not None:
                    self._empty[scan.directory] = is_empty

    def forget_empty(self) -> None:
        """Forget them, as more of the queue is read."""
        self._empty.clear()

    def is_empty(self, directory: Directory) -> bool:
        """Return whether there are no names in a directory."""
        known = self._empty.get(directory)
        if known is not None:
            return known
        self._listed.add(directory)
        return _disk.is_empty(self._paths.fs_path(directory))

    def wait_for_changes(self, directory: Directory) -> None:
        """Return when every change of a directory so far has queued its events."""
        self._listed.add(directory)
        _disk.let_changes_finish(self._paths.fs_path(directory))

    def count(self, directories: Iterable[Directory]) -> int:
        """Count directories and all below them, as far as they can be read."""
        directories = list(directories)
        self._listed.update(directories)
        return _disk.count_directories([*map(self._paths.fs_path, directories)])

    def _scan(self, directory: Directory, fs_path: str, purpose: Purpose) -> Scan:
        try:
            with _disk.reachable(fs_path) as path:
                return self._watch_and_list(directory, path, purpose)
        except OSError as failure:
            if _ends_all(failure):
                raise
            return self._found((directory, purpose), 0, {}, failure)

    def _watch_and_list(
        self, directory: Directory, path: str, purpose: Purpose
    ) -> Scan:
        if self._one_file_system:
            self._refuse_other_file_system(directory, path)
        wd = self._watches.add(path)
        if self._is_silent(purpose):
            names = _disk.directories(path)
        else:
            names = _disk.listing(path)
        return self._found((directory, purpose), wd, names)

    def _found(
        self,
        wanted: Wanted,
        wd: int,
        names: dict[str, bool],
        failure: OSError | None = None,
    ) -> Scan:
        directory, purpose = wanted
        if failure is not None:
            self._watches.keep([wd])
            self._wait_for_path(directory)
            return Scan(directory, purpose, 0, {}, failure)
        if self._watches.owners(wd):  # it may be what was just exchanged for this
            self._wait_for_path(directory)
        self._watches.assign(wd, directory)
        return Scan(directory, purpose, wd, names)

    def _is_silent(self, purpose: Purpose) -> bool:
        """Return whether nobody asks about files."""
        return purpose is Purpose.SILENT and not self._list_files

    @staticmethod
    def _refuse_other_file_system(directory: Directory, path: str) -> None:
        device = os.lstat(path).st_dev
        top = directory.top
        if directory is top:
            top.device = device
        elif top is not None and device != top.device:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)

    def _wait_for_path(self, directory: Directory) -> None:
        """Return when every change of a directory above has queued its events.

        A path leads elsewhere, or nowhere, a moment before the event of that is
        queued.
        """
        for above in directory.ancestors():
            if above is not directory:
                self.wait_for_changes(above)
