"""What a watch leaves out, and what it is only about: globs, and .gitignore files."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, Callable, Union

Globs = Union[str, Iterable[str]]

DEFAULT_IGNORE: tuple[str, ...] = (
    # version control
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    ".jj",
    "CVS",
    "_darcs",
    # caches, and what tools install
    "__pycache__",
    "*.py[cod]",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".tox",
    ".nox",
    ".venv",
    "node_modules",
    # editors: swap files, backup files, and what an atomic save renames
    "*~",
    ".*.sw?",
    ".#*",
    "#*#",
    "4913",
    ".*.kate-swp",
    "*___jb_???___",
    ".goutputstream-*",
    ".idea",
    "flycheck_*",
    # file managers and file systems
    ".DS_Store",
    ".nfs????????????????????????",
)
"""The names that `watch` ignores: version control, caches, and editors' files."""

_MOST_KNOWN = 10_000


class Matcher:
    """Whether a path, or the last name in it, matches any of some globs.

    A glob without a slash is matched with the name; one with a slash with the path
    below the root, where ``**`` stands for any number of directories.
    """

    def __init__(self, globs: Globs, roots: Sequence[str], argument: str) -> None:
        names = [globs] if isinstance(globs, str) else list(globs)
        for glob in names:
            if not isinstance(glob, str) or not glob.strip("/"):
                raise ValueError(f"{argument}: {glob!r} is no glob of a name or path")
        self._plain = frozenset(
            glob for glob in names if not re.search(r"[*?\[/]", glob)
        )
        patterns = [
            fnmatch.translate(glob)
            for glob in names
            if "/" not in glob and glob not in self._plain
        ]
        self._match = re.compile("|".join(patterns)).match if patterns else _never
        self._paths = [glob.strip("/").split("/") for glob in names if "/" in glob]
        self._roots = [root.rstrip("/") + "/" for root in roots]

    def matches(self, path: str) -> bool:
        name = path[path.rfind("/") + 1 :]
        if name in self._plain or self._match(name):
            return True
        if not self._paths:
            return False
        names = below(path, self._roots).split("/")
        return any(_path_matches(names, glob) for glob in self._paths)


def below(path: str, roots: Sequence[str]) -> str:
    """Return a path as it is below the innermost root that it is in."""
    inside = [len(root) for root in roots if path.startswith(root)]
    return path[max(inside) :] if inside else path


def _never(name: str) -> None:
    return None


def _path_matches(names: Sequence[str], glob: Sequence[str]) -> bool:
    if not glob:
        return not names
    if glob[0] == "**":
        rest = glob[1:]
        return any(_path_matches(names[n:], rest) for n in range(len(names) + 1))
    return (
        bool(names)
        and fnmatch.fnmatchcase(names[0], glob[0])
        and _path_matches(names[1:], glob[1:])
    )


class GitIgnore:
    """What the .gitignore files of the trees, and of those around them, leave out.

    A file is read once, when something in its directory is first met.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        try:
            import pathspec
        except ImportError as error:
            raise ImportError(
                "gitignore=True needs pathspec: pip install 'inotify-cffi[gitignore]'"
            ) from error
        self._read_lines: Callable[[Iterable[str]], Any]
        self._read_lines = pathspec.GitIgnoreSpec.from_lines
        self._specs: dict[str, Any] = {}
        self._tops = {os.path.abspath(root): _top(root) for root in roots}

    def ignores(self, path: str) -> bool:
        full = os.path.abspath(path)
        is_directory = getattr(path, "is_directory", None)
        if is_directory is None:
            is_directory = os.path.isdir(path) and not os.path.islink(path)
        ignored = False
        for directory in self._directories(full):
            spec = self._spec(directory)
            if spec is not None:
                relative = os.path.relpath(full, directory) + "/" * bool(is_directory)
                include = spec.check_file(relative).include
                ignored = ignored if include is None else include
        return ignored

    def _directories(self, full: str) -> list[str]:
        """Return the directories whose .gitignore counts: outer ones first."""
        inside = [
            top for root, top in self._tops.items() if full.startswith(root + "/")
        ]
        directories = []
        directory = os.path.dirname(full)
        while inside and len(directory) >= len(min(inside, key=len)):
            directories.append(directory)
            if directory == os.path.dirname(directory):
                break
            directory = os.path.dirname(directory)
        return directories[::-1]

    def _spec(self, directory: str) -> Any:
        if directory not in self._specs:
            try:
                with open(
                    os.path.join(directory, ".gitignore"), errors="surrogateescape"
                ) as lines:
                    self._specs[directory] = self._read_lines(lines.read().splitlines())
            except OSError:
                self._specs[directory] = None
        return self._specs[directory]


def _top(root: str) -> str:
    """Return the repository that a root is in; the root where it is in none."""
    directory = os.path.abspath(root)
    while True:
        if os.path.exists(os.path.join(directory, ".git")):
            return directory
        above = os.path.dirname(directory)
        if above == directory:
            return os.path.abspath(root)
        directory = above


def exclude(
    roots: Sequence[str], ignore: Globs | None, gitignore: bool
) -> Callable[[str], bool] | None:
    """Return the function that says what is left out; None: nothing is."""
    asked: list[Callable[[str], bool]] = []
    if ignore is not None and ignore != () and ignore != []:
        asked.append(Matcher(ignore, roots, "ignore").matches)
    if gitignore:
        asked.append(GitIgnore(roots).ignores)
    if not asked:
        return None
    known: dict[str, bool] = {}

    def excluded(path: str) -> bool:
        answer = known.get(path)
        if answer is None:
            if len(known) > _MOST_KNOWN:
                known.clear()
            answer = known[path] = any(ask(path) for ask in asked)
        return answer

    return excluded
