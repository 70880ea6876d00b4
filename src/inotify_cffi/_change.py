"""`Change`, and the settings of a difference."""

from __future__ import annotations

from typing import Callable, NamedTuple

from ._nodes import Directory, File


class Change(NamedTuple):
    """A change of one path. Apply changes in their order."""

    kind: str
    """One of ``"added"`` (a file, or a directory, whose content is added by changes of
    its own), ``"modified"`` (a file has other content or attributes, or is another
    file), ``"deleted"`` (gone, with everything below it) and ``"moved"`` (from
    ``old_path``, with everything below it; a file may replace a file)."""
    path: str
    """The path at the end of the batch. It is the root as it was given, joined with
    what is below it."""
    old_path: str | None
    """The path before this change, for ``"moved"``; else None."""
    is_directory: bool
    """Whether it is a directory."""


class Settings(NamedTuple):
    """The questions that a difference asks, and the form of its report."""

    held: frozenset[File] = frozenset()
    """Files that must not be reported yet."""
    is_unchanged: Callable[[str, Directory], bool] = lambda path, was_in: False
    """Whether the file at a path, which a scan found, is the same as before."""
    files_only: bool = False


def join(path: str, name: str) -> str:
    """Return the path of a name in a directory, whose path may be a root's: ``/``."""
    return f"{path}{name}" if path.endswith("/") else f"{path}/{name}"
