"""The exclusion: the names that `exclude` leaves out."""

from __future__ import annotations

from ._exclude import Exclude
from ._masks import CREATE, DELETE, ISDIR, MOVED_FROM, MOVED_TO
from ._model import Directory, Paths


class Exclusion:
    """Asks `exclude` about the names in directories of the model."""

    def __init__(self, exclude: Exclude, paths: Paths) -> None:
        self._exclude = exclude
        self._excludes = bool(exclude)
        self._paths = paths

    def __bool__(self) -> bool:
        """Whether anything can be left out."""
        return self._excludes

    def excludes(self, parent: Directory, name: str, mask: int) -> bool:
        """Return whether an event concerns an excluded name.

        A name is decided when it is first met: when it comes.
        """
        if not self._excludes:
            return False
        if mask & (CREATE | MOVED_TO):
            return self.decide(parent, name, is_directory=bool(mask & ISDIR))
        if mask & (DELETE | MOVED_FROM):
            return self._exclude.forget_name(parent, name)
        return self._exclude.is_out(parent, name)

    def excludes_on_way(self, path: str, below: str, *, is_directory: bool) -> bool:
        """Return whether a path on the way from one root to another is left out."""
        return self._exclude.decide_on_way(path, below, is_directory=is_directory)

    def decide(self, parent: Directory, name: str, *, is_directory: bool) -> bool:
        """Decide about a new name; return whether it is left out."""
        return self._exclude.decide(
            parent,
            name,
            self._paths.entry_path(parent, name),
            self._paths.below_top(parent, name),
            is_directory=is_directory,
        )

    def inherit(self, heir: Directory, directory: Directory) -> None:
        """Give a directory the decisions of the one that it replaces."""
        self._exclude.inherit(heir, directory)

    def forget(self, directory: Directory) -> None:
        """Forget a directory that has left the model."""
        self._exclude.forget(directory)

    def forget_all(self) -> None:
        self._exclude.forget_all()
