"""From paths to the directories of a mirror, and back."""

from __future__ import annotations

from collections.abc import Sequence

from ._change import join
from ._nodes import Directory, File

_MOST_KNOWN = 4096  # directories whose path is kept


class Paths:
    """The roots, and the places of paths below them."""

    def __init__(self, roots: Sequence[str]) -> None:
        self.top = Directory(None, "")
        self.top.files = set()  # the names of roots have slashes
        self.known: dict[str, Directory] = {}
        """Directories by their paths; clear it when a directory moves."""
        # The roots, by their paths without the slash at the end.
        self._roots: dict[str, str] = {}
        for root in sorted(roots, key=len):
            if self._root_of(root) is None:
                self._roots[root.rstrip("/")] = root
                self.top.fold(root, Directory(self.top, root))

    @property
    def roots(self) -> list[str]:
        """The roots that are not in another's tree."""
        return list(self._roots.values())

    def root(self, path: str) -> str | None:
        """Return a root as it was given, for its path."""
        return self._roots.get(path.rstrip("/"))

    def _root_of(self, path: str) -> str | None:
        """Return the root of a path, without the slash at the end."""
        if path.rstrip("/") in self._roots:
            return path.rstrip("/")
        for root in self._roots:
            if path.startswith(root + "/"):
                return root
        return None

    def locate(self, path: str) -> tuple[Directory, str]:
        """Return the directory of a path, and the name in it.

        Raises:
            ValueError: there is no such directory.
        """
        root = self._root_of(path)
        if root is None:
            raise ValueError(f"{path!r} is below none of {list(self._roots.values())}")
        if path.rstrip("/") == root:
            return self.top, self._roots[root]
        directory = self.top.get(self._roots[root])
        *names, name = path[len(root) + 1 :].split("/")
        for each in names:
            if not isinstance(directory, Directory):
                break
            directory = directory.get(each)
        if not isinstance(directory, Directory):
            raise ValueError(f"{path!r} is in no directory of the mirror")
        if len(self.known) > _MOST_KNOWN:
            self.known.clear()
        if root or len(self._roots) == 1:  # else "" may be before a relative root, too
            self.known[path.rpartition("/")[0]] = directory
        return directory, name

    def find_directory(self, path: str) -> Directory | None:
        """Return the directory of a path below a root, if there is one."""
        try:
            directory, _ = self.locate(path)
        except ValueError:
            return None
        return None if directory is self.top else directory

    def entry(self, path: str) -> Directory | File | bool:
        """Return the directory at a path; True for a file, False for nothing."""
        try:
            directory, name = self.locate(path)
        except ValueError:
            return False
        return directory.get(name)

    def path(self, directory: Directory, name: str) -> str:
        """Return the path of a name."""
        names = [name]
        while directory is not self.top:
            names.append(directory.name)
            assert directory.parent is not None
            directory = directory.parent
        root = names.pop()
        return join(root, "/".join(reversed(names))) if names else root

    def is_there(self, directory: Directory | None) -> bool:
        """Whether a directory is still in the trees."""
        while directory is not None:
            if directory is self.top:
                return True
            directory = directory.parent
        return False
