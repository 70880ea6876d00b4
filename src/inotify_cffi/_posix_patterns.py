"""POSIX extended regular expressions, by the C library's regcomp and regexec."""

from __future__ import annotations

import os

from ._inotify import ffi, lib

# glibc's regcomp recurses for each: 30,000 overflow the stack of 8 MiB.
_MOST_GROUPS = 1000
# Expressions that may match at the end of a text, but not if more follows. REG_NOTEOL
# handles `$`, and a word (`\>`, `\b`) cannot end behind a slash.
_LOOKING_AHEAD = (b"\\B", b"\\'")


class Pattern:
    """An extended regular expression as inotifywait matches it.

    It matches bytes, in the C locale, as inotifywait does in every locale: that never
    calls setlocale(3). Any thread may use it: regexec(3) is thread-safe, and the locale
    is set for the calling thread alone.

    Parameters:
        expression: it may match anywhere in a text.
        ignore_case: whether an ASCII letter matches in either case.

    Raises:
        ValueError: the expression is malformed: the text is that of regerror(3); it
            contains a NUL, or more than 1000 ``(``, for which regcomp(3) would overflow
            the stack.

    >>> Pattern(r"\\.(git|hg)$").matches("d/.git")
    True
    """

    def __init__(self, expression: str, *, ignore_case: bool = False) -> None:
        encoded = os.fsencode(expression)
        if b"\0" in encoded:
            raise ValueError("embedded null character")
        if encoded.count(b"(") > _MOST_GROUPS:
            raise ValueError(f"more than {_MOST_GROUPS} (")
        self._pattern = ffi.gc(ffi.new("struct pattern *"), lib.pattern_free)
        if lib.pattern_compile(self._pattern, encoded, ignore_case):
            raise ValueError(ffi.string(self._pattern.error).decode())
        self._looks_ahead = any(each in encoded for each in _LOOKING_AHEAD)

    def matches(self, path: str) -> bool:
        """Return whether something in a path matches.

        Parameters:
            path: the kernel's bytes, decoded by `os.fsdecode`.

        Raises:
            MemoryError: regexec(3) found no memory.
        """
        return self._matches(path, more_follows=False)

    def matches_all_below(self, directory: str) -> bool:
        """Return whether all paths match that begin with a directory's.

        False may mean that it is not known. An expression that matches the directory
        independently of its end matches every longer path as well.

        Parameters:
            directory: its path, with a slash at the end.

        Raises:
            MemoryError: as `matches`.
        """
        return not self._looks_ahead and self._matches(directory, more_follows=True)

    def _matches(self, path: str, *, more_follows: bool) -> bool:
        result = lib.pattern_matches(self._pattern, os.fsencode(path), more_follows)
        if result < 0:
            raise MemoryError(os.strerror(-result))
        return result == 1
