"""The mount points: the reports of mounts and unmounts inside a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._masks import CREATE, ISDIR
from ._model import Directory, Paths, State, Top
from ._watches import Watches, is_at_its_path

if TYPE_CHECKING:
    from ._output import Output
    from ._scans import Scans
    from ._trees import Trees


class MountPoints:
    """Keeps the trees up to date with the mounts in them."""

    def __init__(
        self,
        trees: Trees,
        watches: Watches,
        scans: Scans,
        paths: Paths,
        output: Output,
    ) -> None:
        self._trees = trees
        self._watches = watches
        self._scans = scans
        self._paths = paths
        self._output = output

    def remount(self, top: Top, names: Sequence[str], *, unmounted: bool) -> None:
        """Follow a mount or unmount at a directory of a tree: scan it again.

        The mount table changes before the kernel queues UNMOUNT. So UNMOUNT is reported
        here: when its event comes, the watch has no owner any more.
        """
        found: Directory | None = top
        for name in names:
            found = found.child(name) if found else None
        if found is None or found.parent is None:
            return
        self._scans.note_moved(found)
        if found.state is State.BY_NAME:
            self._scans.want(found, next_call=True)
        elif found.state is State.WATCHED and not is_at_its_path(
            found, self._watches, self._paths
        ):
            parent, name = found.parent, found.name
            if unmounted:
                self._output.report_unmount(self._paths.report_path(found))
            self._trees.vanish(parent, name)
            self._trees.appear(parent, name, CREATE | ISDIR, synthetic=True)

    def show(self) -> None:
        """After an unmount, scan the directory that the mount had hidden."""
        for directory in list(self._scans.unmounted()):
            parent, name = directory.parent, directory.name
            if directory.status is not State.UNMOUNTED or parent is None:
                continue  # an earlier turn of this loop has forgotten it
            if parent.status is not State.UNMOUNTED:
                self._trees.vanish(parent, name)
                self._trees.appear(parent, name, CREATE | ISDIR, synthetic=True)
