"""Which paths `watch` leaves out, and which files it reports."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from typing import Union

from ._gitignore import GitIgnore

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


class Glob:
    """A glob of paths: ``*``, ``?``, ``[a-z]``, ``[!a]``, and ``**`` for directories.

    With a slash in it, but at its end, it is matched with the path below the root;
    else with the last name. With a slash at its end it matches only directories.

    >>> [Glob("x/**/*.py").matches(path) for path in ("x/a.py", "x/y/a.py", "y/a.py")]
    [True, True, False]
    >>> [Glob("x/").matches("y/x", is_directory=kind) for kind in (True, False)]
    [True, False]
    """

    def __init__(self, glob: str) -> None:
        self.only_directories = glob.endswith("/")
        glob = glob.rstrip("/") if self.only_directories else glob
        self._is_path = "/" in glob
        self._parts = [
            None if part == "**" else re.compile(fnmatch.translate(part)).match
            for part in glob.lstrip("/").split("/")
        ]

    def matches(self, below_root: str, *, is_directory: bool = False) -> bool:
        """Whether a path matches that is written as it is below its root."""
        if self.only_directories and not is_directory:
            return False
        names = below_root.split("/") if self._is_path else [_last_name(below_root)]
        # Which parts of the glob the names so far lead to: so the cost is that of
        # their product, however many ** there are.
        states = self._skip({0})
        for name in names:
            after = set()
            for state in states:
                if state < len(self._parts):
                    match = self._parts[state]
                    if match is None:
                        after.add(state)
                    elif match(name):
                        after.add(state + 1)
            states = self._skip(after)
        return len(self._parts) in states

    def _skip(self, states: set[int]) -> set[int]:
        """Let each ``**`` stand for no name as well."""
        skipped = set(states)
        for state in states:
            while state < len(self._parts) and self._parts[state] is None:
                state += 1
                skipped.add(state)
        return skipped


class Matcher:
    """Whether a path, or the last name in it, matches one of several globs.

    A glob without a slash is matched with the name; one with a slash as `Glob` does.

    Parameters:
        globs: the globs.
        roots: what is watched; globs are matched with what is below these.
        argument: where the globs were given, for messages.

    Raises:
        ValueError: one is empty.
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
        self._paths = [Glob(glob) for glob in given if "/" in glob]
        self._roots = [root.rstrip("/") + "/" for root in roots]

    def matches(self, path: str, *, is_directory: bool | None = None) -> bool:
        """Whether a path matches.

        Parameters:
            path: without a slash at its end.
            is_directory: None: find out, where a glob depends on it.
        """
        name = _last_name(path)
        if name in self._plain or (
            (name.startswith(self._starts) or name.endswith(self._ends))
            and self._has_wild
            and self._match(name)
        ):
            return True
        if not self._paths:
            return False
        if is_directory is None:
            asks = any(glob.only_directories for glob in self._paths)
            is_directory = asks and is_one(path)
        relative = below(path, self._roots)
        return any(
            glob.matches(relative, is_directory=is_directory) for glob in self._paths
        )

    def matching(self, directory: str, names: list[str]) -> list[str]:
        """Return which of the names of files in a directory match."""
        if self._paths:
            return [
                name
                for name in names
                if self.matches(f"{directory}/{name}", is_directory=False)
            ]
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


def _last_name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def below(path: str, roots: Sequence[str]) -> str:
    """Return a path relative to its innermost root.

    For a root itself, that is its last name.

    Parameters:
        path: without a slash at its end.
        roots: each with a slash at its end.
    """
    if path + "/" in roots:
        return _last_name(path)
    inside = [len(root) for root in roots if path.startswith(root)]
    return path[max(inside) :] if inside else path


def is_one(path: str) -> bool:
    """Whether a path is a directory's: as what was read of it says, or the disk."""
    is_directory = getattr(path, "is_directory", None)
    if is_directory is None:
        return os.path.isdir(path) and not os.path.islink(path)
    return bool(is_directory)


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
            ) or self._is_ignored_by_git(path)
        return answer

    def _is_ignored_by_git(self, path: str) -> bool:
        return self._gitignore is not None and self._gitignore.ignores(
            path, is_directory=is_one(path)
        )

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
    git = _git_ignore(roots) if gitignore else None
    return Exclusion(matcher, git) if matcher or git else None


def _git_ignore(roots: Sequence[str]) -> GitIgnore:
    try:
        return GitIgnore(roots)
    except ImportError as error:
        raise ImportError(
            "gitignore=True needs pathspec: pip install 'inotify-cffi[gitignore]'"
        ) from error


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
