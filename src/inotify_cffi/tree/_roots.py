"""The roots: what was asked for, and which root is inside another's tree."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from . import _disk
from ._model import Directory, FileRoot, Root, State, join
from ._scanner import Purpose
from ._scans import Scans
from ._watches import Watches
from .events import LocalChangesOnlyWarning


class Roots:
    """The roots by their paths, as these were given."""

    def __init__(self, watches: Watches, scans: Scans) -> None:
        self._watches = watches
        self._scans = scans
        self._roots: dict[str, Root] = {}

    def __len__(self) -> int:
        return len(self._roots)

    def __contains__(self, path: str) -> bool:
        return path in self._roots

    def __iter__(self) -> Iterator[Root]:
        return iter(list(self._roots.values()))

    def get(self, path: str) -> Root | None:
        return self._roots.get(path)

    def add(self, path: str, purpose: Purpose) -> Root:
        """Add a root. It is unscanned, or part of another root's tree.

        Raises:
            OSError: there is nothing at the path.
        """
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
        root = Root(path) if is_directory else FileRoot(path)
        root.identity = _disk.identity(root.fs_path)
        self._roots[path] = root
        self._begin(root, purpose)
        for other in self:
            if isinstance(other, FileRoot) and self.enclosing(other) is not None:
                self._watches.release(other.wd, other)
                self._scans.enclose(other)
        return root

    def remove(self, root: Root) -> bool:
        """Remove a root; what other roots have of its tree stays theirs.

        Returns:
            Whether its directories have to be forgotten now. They have not where
            they are part of another root's tree.
        """
        inside = [other for other in self if self.enclosing(other) is root]
        is_part = root.parent is not None or self.enclosing(root) is not None
        self.discard(root)
        if is_part:
            return False
        for other in inside:
            self._take_out(root, other)
        return True

    def discard(self, root: Root) -> None:
        """Remove a root, if it is one still."""
        if self._roots.get(root.given) is root:
            del self._roots[root.given]

    def renew(self) -> None:
        """Replace each root by one that nothing is known of, and that is unscanned."""
        for path, root in self._roots.items():
            new = self._roots[path] = type(root)(path)
            new.fs_path = root.fs_path  # whatever the working directory is now
            new.identity = _disk.identity(new.fs_path)
        for new in self:
            self._begin(new, Purpose.REPORT)

    def clear(self) -> None:
        self._roots.clear()

    def enclosing(self, root: Root) -> Root | None:
        """Return the root in whose tree a root is, by the words of its path."""
        for path, other in self._roots.items():
            if (
                other is not root
                and not isinstance(other, FileRoot)
                and root.given.startswith(join(path, ""))
            ):
                return other
        return None

    def _begin(self, root: Root, purpose: Purpose) -> None:
        if self.enclosing(root) is None:
            self._scans.want(root, purpose)
        else:
            self._scans.enclose(root)

    def _take_out(self, outer: Root, inner: Root) -> None:
        """Make a tree of its own of a root that is part of another's."""
        found = _locate(outer, inner)
        if found is inner:
            inner.stand_alone()
        elif found is not None and found.state is State.WATCHED:
            for child in list((found.children or {}).values()):
                child.move(inner, child.name)
            self._watches.assign(found.wd, inner)
            self._scans.adopt(inner, found.wd)
        else:
            self._scans.want(inner)


def _locate(outer: Root, inner: Root) -> Directory | None:
    """Return what is known at a root's path in another root's tree."""
    found: Directory | None = outer
    for name in inner.given[len(outer.given) :].strip("/").split("/"):
        found = found.child(name) if found else None
    return found


def file_system_warning(root: Root) -> Warning | None:
    """Return the warning for a root whose changes the kernel does not all see."""
    kind = _disk.kind_of_file_system(root.fs_path)
    if kind in _disk.NO_CHANGES:
        seen = "no change at all"
    elif kind is not None and kind.partition(".")[0] in _disk.LOCAL_CHANGES_ONLY:
        seen = "only the changes that this machine makes"
    else:
        return None
    return LocalChangesOnlyWarning(
        f"{root.given!r} is on {kind}, where the kernel sees {seen}"
    )
