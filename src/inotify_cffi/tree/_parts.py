"""The parts that follow the events of one watcher, and how they are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._exclude import Exclude
from ._exclusion import Exclusion
from ._joins import Joins
from ._masks import EXCL_UNLINK
from ._model import Paths
from ._mount_points import MountPoints
from ._mounts import MountTable
from ._output import Output
from ._queue import queue_length
from ._renames import Renames
from ._root_tracker import RootTracker
from ._scanner import Scanner
from ._scans import Scans
from ._trees import Trees
from ._unverified import UnverifiedNames
from ._watches import Watches
from ._ways import Ways

if TYPE_CHECKING:
    from ..instance import INotify


class Parts(NamedTuple):
    """The parts that an event can concern."""

    paths: Paths
    output: Output
    watches: Watches
    scanner: Scanner
    scans: Scans
    renames: Renames
    unverified: UnverifiedNames
    trees: Trees
    exclusion: Exclusion
    mounts: MountTable
    mount_points: MountPoints
    roots: RootTracker


def make_parts(
    inotify: INotify,
    mask: int,
    exclude: Exclude,
    *,
    recursive: bool,
    one_file_system: bool,
) -> Parts:
    """Make the parts of a watcher without roots."""
    paths = Paths()
    output = Output(mask)
    watches = Watches(inotify, mask, queue_length())
    scanner = Scanner(
        watches, paths, list_files=bool(exclude), one_file_system=one_file_system
    )
    scans = Scans(scanner, watches, paths, recursive=recursive)
    renames = Renames()
    unverified = UnverifiedNames()
    exclusion = Exclusion(exclude, paths)
    trees = Trees(watches, scans, renames, unverified, paths, output, exclusion)
    mounts = MountTable(inotify)
    mount_points = MountPoints(trees, watches, scans, paths, output)
    roots = RootTracker(
        Ways(watches, mask | EXCL_UNLINK),
        mounts,
        trees,
        Joins(trees, watches, scans, paths, exclusion),
        mount_points,
        exclusion,
        scans,
        output,
        recursive=recursive,
        one_file_system=one_file_system,
    )
    return Parts(
        paths,
        output,
        watches,
        scanner,
        scans,
        renames,
        unverified,
        trees,
        exclusion,
        mounts,
        mount_points,
        roots,
    )
