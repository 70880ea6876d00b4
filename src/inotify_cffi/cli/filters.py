"""Which paths are reported: patterns, globs, ``@path``, .gitignore and depth."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class Pattern(Protocol):
        def matches(self, path: str) -> bool: ...

        def matches_all_below(self, directory: str) -> bool: ...

    class Ignored(Protocol):
        def __call__(self, path: str, is_directory: bool) -> bool: ...

        def refresh(self) -> None: ...


class Filter:
    """What is left out.

    A path is reported when no pattern or glob that excludes matches it and, where
    there are patterns or globs that include, one of each kind does.
    """

    def __init__(self) -> None:
        self._excludes: list[Pattern] = []
        self._includes: list[Pattern] = []
        self._exclude_globs: list[Glob] = []
        self._include_globs: list[Glob] = []
        self._ignored: Ignored | None = None
        self._depth: int | None = None
        self._without: frozenset[str] = frozenset()
        self._roots: frozenset[str] = frozenset()

    def exclude(self, pattern: Pattern) -> None:
        """Leave out what the pattern matches."""
        self._excludes.append(pattern)

    def include(self, pattern: Pattern) -> None:
        """Leave out what none of the patterns given here matches."""
        self._includes.append(pattern)

    def add_glob(self, glob: str) -> None:
        """Leave out what no glob matches; or, with ``!`` before it, what it does.

        Parameters:
            glob: with a slash in it, it is held against the path below what is
                watched; else against the last name of the path.
        """
        if glob.startswith("!"):
            self._exclude_globs.append(Glob(glob[1:]))
        else:
            self._include_globs.append(Glob(glob))

    def ignore(self, ignored: Ignored) -> None:
        """Leave out what this returns true for."""
        self._ignored = ignored

    def refresh(self) -> None:
        """Ask anew what was remembered of the disk: events are read next."""
        if self._ignored is not None:
            self._ignored.refresh()

    def limit_depth(self, levels: int) -> None:
        """Leave out what is more than so many levels below a root."""
        self._depth = levels

    def leave_out(self, paths: Iterable[str]) -> None:
        """Leave out paths, with all below them."""
        self._without |= {path.rstrip("/") or "/" for path in paths}

    def set_roots(self, paths: Iterable[str]) -> None:
        """Say what is watched: levels and globs are counted from there."""
        self._roots = frozenset(path.rstrip("/") or "/" for path in paths)

    @property
    def passes_all(self) -> bool:
        return not (self._includes or self._include_globs or self.may_prune)

    @property
    def may_prune(self) -> bool:
        """Whether `prunes` may be true of anything."""
        return bool(
            self._excludes
            or self._exclude_globs
            or self._without
            or self._ignored is not None
            or self._depth is not None
        )

    def __call__(self, path: str, is_directory: bool = False) -> bool:
        """Return whether events of a path are reported.

        Parameters:
            path: as inotifywait has it: for the watched directory itself with
                a slash at the end.
            is_directory: whether it is one, for globs that end with a slash.
        """
        is_directory = is_directory or path.endswith("/")
        return (
            not any(pattern.matches(path) for pattern in self._excludes)
            and (
                not self._includes or any(each.matches(path) for each in self._includes)
            )
            and not (self._without and self._is_without(path))
            and self._passes_globs(path, is_directory)
            and not self._is_ignored(path, is_directory)
        )

    def prunes(self, path: str, is_directory: bool = True) -> bool:
        """Return whether nothing is reported of a path and of all below it.

        Parameters:
            path: without a slash at its end.
            is_directory: whether it may be one.
        """
        if path in self._without:
            return True
        if self._depth is not None and _levels(self._below_root(path)) > self._depth:
            return True
        for pattern in self._excludes:
            if pattern.matches_all_below(path + "/") and pattern.matches(path):
                return True
        if self._exclude_globs:
            relative = self._below_root(path)
            for glob in self._exclude_globs:
                if glob.matches(relative, is_directory):
                    return True
        return self._is_ignored(path, is_directory)

    def _is_without(self, path: str) -> bool:
        path = path.rstrip("/")
        while path:
            if path in self._without:
                return True
            path = path.rpartition("/")[0]
        return False

    def _is_ignored(self, path: str, is_directory: bool) -> bool:
        return self._ignored is not None and self._ignored(
            path.rstrip("/"), is_directory
        )

    def _passes_globs(self, path: str, is_directory: bool) -> bool:
        if not (self._exclude_globs or self._include_globs):
            return True
        relative = self._below_root(path)
        for glob in self._exclude_globs:
            if glob.matches(relative, is_directory):
                return False
        return not self._include_globs or any(
            glob.matches(relative, is_directory) for glob in self._include_globs
        )

    def _below_root(self, path: str) -> str:
        """Return what is behind the root in a path; for a root, its own last name."""
        path = path.rstrip("/")
        above = path
        while above not in self._roots:
            above, slash, _ = above.rpartition("/")
            if not slash:
                return path  # below "." or "/" as it was given, or below nothing
        return path[len(above) :].strip("/") or path.rpartition("/")[2]


def _levels(relative: str) -> int:
    return relative.count("/") + 1


class Glob:
    """A pattern as shells have it: ``*``, ``?``, ``[a-z]``, ``[!a]``; and ``**``.

    With a slash in it, but at its end, it is held against the path below what is
    watched; else against the last name. With a slash at its end it is only for
    directories.

    >>> [Glob("*.py").matches(path, False) for path in ("a.py", "x/a.py", "a.pyc")]
    [True, True, False]
    >>> [Glob("x/**/*.py").matches(path, False) for path in ("x/a.py", "x/y/a.py")]
    [True, True]
    >>> [Glob("x/*.py").matches(path, False) for path in ("x/a.py", "x/y/a.py")]
    [True, False]
    """

    def __init__(self, glob: str) -> None:
        import fnmatch
        import re

        self._only_directories = glob.endswith("/")
        glob = glob.strip("/") if self._only_directories else glob.lstrip("/")
        self._whole = "/" in glob
        self._parts = [
            None if part == "**" else re.compile(fnmatch.translate(part)).match
            for part in glob.split("/")
        ]

    def matches(self, relative: str, is_directory: bool) -> bool:
        """Return whether it matches a path.

        Parameters:
            relative: the path below what is watched.
            is_directory: whether that is a directory.
        """
        if self._only_directories and not is_directory:
            return False
        names = relative.split("/") if self._whole else [relative.rpartition("/")[2]]
        # Which parts of the glob what was seen of the path leads to: so the cost is
        # that of their product, however many ** there are.
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
