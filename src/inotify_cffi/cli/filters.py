"""Which paths are reported: patterns, globs, ``@path``, .gitignore and depth."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Callable, Protocol

    class Pattern(Protocol):
        def matches(self, path: str) -> bool: ...

        def matches_all_below(self, directory: str) -> bool: ...

    class Globs(Protocol):
        def matches(self, path: str, *, is_directory: bool) -> bool: ...

    class Ignored(Protocol):
        def ignores(self, path: str, *, is_directory: bool) -> bool: ...

        def refresh(self) -> None: ...


class Filter:
    """Which paths are left out.

    A path is reported when nothing that excludes matches it and, where there are
    patterns or globs that include, one of each kind does.

    Parameters:
        excludes: patterns of what is left out.
        includes: patterns; what none of them matches is left out.
        exclude_globs: match what is left out.
        include_globs: what they do not match is left out.
        ignored: says what is left out.
        is_too_deep: returns whether a path is too far below a root.
        without: paths that are left out, with all below them.
    """

    def __init__(
        self,
        *,
        excludes: Iterable[Pattern] = (),
        includes: Iterable[Pattern] = (),
        exclude_globs: Globs | None = None,
        include_globs: Globs | None = None,
        ignored: Ignored | None = None,
        is_too_deep: Callable[[str], bool] | None = None,
        without: Iterable[str] = (),
    ) -> None:
        self._excludes = list(excludes)
        self._includes = list(includes)
        self._exclude_globs = exclude_globs
        self._include_globs = include_globs
        self._ignored = ignored
        self._is_too_deep = is_too_deep
        self._without = frozenset(path.rstrip("/") or "/" for path in without)

    def refresh(self) -> None:
        """Forget what was read from the disk: events are read next."""
        if self._ignored is not None:
            self._ignored.refresh()

    @property
    def may_prune(self) -> bool:
        """Whether `prunes` may be true of anything."""
        return bool(
            self._excludes
            or self._without
            or self._exclude_globs is not None
            or self._ignored is not None
            or self._is_too_deep is not None
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
            and self._passes_others(path.rstrip("/") or "/", is_directory)
        )

    def prunes(self, path: str, is_directory: bool = True) -> bool:
        """Return whether nothing is reported of a path and of all below it.

        Parameters:
            path: without a slash at its end.
            is_directory: whether it may be one.
        """
        if path in self._without:
            return True
        if self._is_too_deep is not None and self._is_too_deep(path):
            return True
        for pattern in self._excludes:
            if pattern.matches_all_below(path + "/") and pattern.matches(path):
                return True
        return self._is_left_out(path, is_directory)

    def _is_without(self, path: str) -> bool:
        path = path.rstrip("/")
        while path:
            if path in self._without:
                return True
            path = path.rpartition("/")[0]
        return False

    def _passes_others(self, path: str, is_directory: bool) -> bool:
        globs = self._include_globs
        return (
            globs is None or globs.matches(path, is_directory=is_directory)
        ) and not self._is_left_out(path, is_directory)

    def _is_left_out(self, path: str, is_directory: bool) -> bool:
        globs, ignored = self._exclude_globs, self._ignored
        return (
            globs is not None and globs.matches(path, is_directory=is_directory)
        ) or (ignored is not None and ignored.ignores(path, is_directory=is_directory))
