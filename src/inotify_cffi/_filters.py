"""Which paths `watch` leaves out, and which files it reports."""

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
    "*.pyc",
    "*.pyo",
    "*.pyd",
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
_WILD = re.compile(r"[*?\[]")
_LAST_WILD = re.compile(r"[*?\]]")


class Matcher:
    """Whether a path, or the last name in it, matches one of several globs.

    A glob without a slash is matched with the name; one with a slash with the path
    below the root, where ``**`` stands for any number of directories.
    """

    def __init__(self, globs: Globs, roots: Sequence[str], argument: str) -> None:
        given = _as_tuple(globs, argument)
        for glob in given:
            if not isinstance(glob, str) or not glob.strip("/"):
                raise ValueError(f"{argument}: {glob!r} is not a glob of a path")
        names = [glob for glob in given if "/" not in glob]
        self._plain = frozenset(glob for glob in names if not _WILD.search(glob))
        wild = [glob for glob in names if _WILD.search(glob)]
        # Most names match nothing. Two calls show this for most of them; matching all
        # globs takes ten times as long.
        starts = {glob: _WILD.split(glob)[0] for glob in wild}
        ends = {glob: _LAST_WILD.split(glob)[-1] for glob in wild}
        self._starts = tuple({start for start in starts.values() if start})
        self._ends = tuple({ends[glob] for glob in wild if not starts[glob]})
        self._match = re.compile("|".join(map(fnmatch.translate, wild))).match
        self._has_wild = bool(wild)
        self._paths = [glob.strip("/").split("/") for glob in given if "/" in glob]
        self._roots = [root.rstrip("/") + "/" for root in roots]

    def matches(self, path: str) -> bool:
        """Whether a path matches."""
        name = path[path.rfind("/") + 1 :]
        if name in self._plain or (
            (name.startswith(self._starts) or name.endswith(self._ends))
            and self._has_wild
            and self._match(name)
        ):
            return True
        if not self._paths:
            return False
        names = below(path, self._roots).split("/")
        return any(_path_matches(names, glob) for glob in self._paths)

    def matching(self, directory: str, names: list[str]) -> list[str]:
        """Return which of the names in a directory match."""
        if self._paths:
            return [name for name in names if self.matches(f"{directory}/{name}")]
        plain, starts, ends = self._plain, self._starts, self._ends
        return [
            name
            for name in names
            if name in plain
            or (
                (name.startswith(starts) or name.endswith(ends))
                and self._has_wild
                and self._match(name)
            )
        ]


def below(path: str, roots: Sequence[str]) -> str:
    """Return a path relative to its innermost root."""
    inside = [len(root) for root in roots if path.startswith(root)]
    return path[max(inside) :] if inside else path


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
    """Whether git ignores a path, by the .gitignore files in the trees and above.

    A file is read once, when the first path in its directory is met.
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
        """Return the directories whose .gitignore files count, outer ones first."""
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
    """Return the repository of a root; the root itself if it is in none."""
    directory = os.path.abspath(root)
    while True:
        if os.path.exists(os.path.join(directory, ".git")):
            return directory
        above = os.path.dirname(directory)
        if above == directory:
            return os.path.abspath(root)
        directory = above


class Exclusion:
    """Whether a path is left out: by globs, and by .gitignore files."""

    def __init__(self, ignore: Matcher | None, gitignore: GitIgnore | None) -> None:
        self._ignore = ignore
        self._gitignore = gitignore
        self._known: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        """Whether a path is left out."""
        answer = self._known.get(path)
        if answer is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            answer = self._known[path] = (
                self._ignore is not None and self._ignore.matches(path)
            ) or (self._gitignore is not None and self._gitignore.ignores(path))
        return answer

    def remaining(self, directory: str, names: list[str]) -> list[str]:
        """Return which names of files in a directory are not left out."""
        if self._ignore is not None:
            left_out = set(self._ignore.matching(directory, names))
            if left_out:
                names = [name for name in names if name not in left_out]
        if self._gitignore is None:
            return names
        return [name for name in names if not self(f"{directory}/{name}")]


def exclusion(
    roots: Sequence[str], ignore: Globs | None, *, gitignore: bool
) -> Exclusion | None:
    """Return the function that decides what is left out; None: nothing is."""
    globs = None if ignore is None else _as_tuple(ignore, "ignore")
    matcher = Matcher(globs, roots, "ignore") if globs else None
    git = GitIgnore(roots) if gitignore else None
    return Exclusion(matcher, git) if matcher or git else None


def _as_tuple(globs: Globs, argument: str) -> tuple[str, ...]:
    """Return one glob, or several, as a tuple.

    Raises:
        TypeError: they are neither.
    """
    try:
        return (globs,) if isinstance(globs, str) else tuple(globs)
    except TypeError:
        raise TypeError(
            f"{argument} must be a glob or an iterable of globs, not {globs!r}"
        ) from None
