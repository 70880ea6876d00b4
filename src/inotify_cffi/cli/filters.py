"""Which paths are told: `--exclude`, `--include` and ``@path``."""

from __future__ import annotations

import re
from collections.abc import Iterable


class Filter:
    """What is left out.

    Parameters:
        pattern: what paths are held against, or None.
        keep: whether those that match are kept, or those that do not.
        heedless: whether what begins with a match matches, too.
    """

    def __init__(
        self,
        pattern: re.Pattern[str] | None,
        keep: bool,
        heedless: bool,
    ) -> None:
        self._search = pattern.search if pattern else None
        self._keep = keep
        self._prunes = pattern is not None and not keep and heedless
        self._without: frozenset[str] = frozenset()

    def leave_out(self, paths: Iterable[str]) -> None:
        """Leave out paths, with all below them."""
        self._without |= {path.rstrip("/") or "/" for path in paths}

    @property
    def passes_all(self) -> bool:
        return self._search is None and not self._without

    def __call__(self, path: str) -> bool:
        """Return whether events of a path are told.

        Parameters:
            path: as inotifywait has it: for the watched directory itself with
                a slash at the end.
        """
        if self._search and (self._search(path) is not None) != self._keep:
            return False
        return not self._without or not self._is_without(path)

    def prunes(self, path: str) -> bool:
        """Return whether nothing is told of a path and of all that may be below."""
        if self._prunes and self._search and self._search(path) is not None:
            return True
        return path in self._without

    @property
    def may_prune(self) -> bool:
        return self._prunes or bool(self._without)

    def _is_without(self, path: str) -> bool:
        path = path.rstrip("/")
        while path:
            if path in self._without:
                return True
            path = path.rpartition("/")[0]
        return False
