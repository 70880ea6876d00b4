"""Warnings of file systems on which not every change is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._file_systems import missed_on
from ._model import join
from ._roots import Root, names_below
from ._way import Kind
from .events import LocalChangesOnlyWarning

if TYPE_CHECKING:
    from ._mounts import MountTable
    from ._output import Output


class FileSystemWarnings:
    """Warns of the file systems of the roots, and of those mounted below them.

    Parameters:
        mounts: the mount table.
        output: takes the warnings.
        recursive: whether mounts below a root are watched.
        one_file_system: whether those are left out.
    """

    def __init__(
        self,
        mounts: MountTable,
        output: Output,
        *,
        recursive: bool,
        one_file_system: bool,
    ) -> None:
        self._mounts = mounts
        self._output = output
        self._recursive = recursive
        self._one_file_system = one_file_system

    def warn_of_root(self, root: Root) -> None:
        """Warn of the file system of a root, and of those mounted below."""
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

    def warn_of_mount(self, root: Root, point: str) -> None:
        """Warn of a file system that was mounted in the tree of a root."""
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
