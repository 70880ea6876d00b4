"""The joins: the tree of a root becomes part of another one, or separate again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._model import Directory, Paths, State, Top

if TYPE_CHECKING:
    from ._exclusion import Exclusion
    from ._scans import Scans
    from ._trees import Trees
    from ._watches import Watches


class Joins:
    """Joins trees, and separates them. It reports nothing."""

    def __init__(
        self,
        trees: Trees,
        watches: Watches,
        scans: Scans,
        paths: Paths,
        exclusion: Exclusion,
    ) -> None:
        self._trees = trees
        self._watches = watches
        self._scans = scans
        self._paths = paths
        self._exclusion = exclusion

    def attach(self, top: Top, parent: Directory, name: str) -> None:
        """Make a tree part of another one."""
        if parent.child(name) is not None:
            self._trees.forget(top)
            return
        top.move(parent, name)
        self._scans.note_moved(top)
        self._paths.changed()

    def take_out(self, found: Directory, given: str, fs_path: str) -> Top:
        """Make a directory of a tree the top of a separate tree."""
        self._paths.changed()
        self._scans.note_moved(found)
        if isinstance(found, Top):
            found.stand_alone(given, fs_path)
            return found
        top = Top(given, fs_path)
        if found.state is State.WATCHED:
            self._trees.end_moves_below(found)
            for child in list((found.children or {}).values()):
                child.move(top, child.name)
            self._watches.assign(found.wd, top)
            self._scans.adopt(top, found.wd)
        else:
            self._scans.want(top)
        self._exclusion.inherit(top, found)
        self._trees.forget(found)
        return top
