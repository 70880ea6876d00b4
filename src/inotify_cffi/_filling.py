"""Listing the content of a tree: this takes a third of the time of events for it.

A listing of a changing tree may be a state that the tree never had. So this is for a
watcher that watches already, and is valid if that has no event after the listing.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ._nodes import Directory

if TYPE_CHECKING:
    from ._filters import Exclusion, Matcher
    from ._names import Names


def fill(
    names: Names,
    exclude: Exclusion | None,
    only: Matcher | None,
    *,
    recursive: bool = True,
) -> bool:
    """List everything below the roots; return whether all could be listed.

    A directory that may not be read counts as empty, as in a watcher.

    Parameters:
        names: has only the roots so far; the names are added to it.
        exclude: returns whether a path is left out.
        only: which files to add; None: all.
        recursive: whether to list more than the roots.
    """
    for root in names.roots:
        if not stat.S_ISDIR(os.stat(root).st_mode):
            names.set_root_file(root)
            continue
        top = names.top.had(root)
        assert isinstance(top, Directory)
        path = root.rstrip("/")
        if not _list(top, path, exclude, only):
            return False
        # No paths are kept: those of all directories would be a seventh of the memory
        # of a tree, which the process would not give back.
        stack = [(path, top.subdirectories())] if recursive else []
        while stack:
            above, directories = stack[-1]
            for directory in directories:
                path = f"{above}/{directory.name}"
                if not _list(directory, path, exclude, only):
                    return False
                if directory.directories:
                    stack.append((path, directory.subdirectories()))
                    break
            else:
                stack.pop()
    return True


def _list(
    directory: Directory, path: str, exclude: Exclusion | None, only: Matcher | None
) -> bool:
    """List a directory; return whether that was possible."""
    note_inode(directory, path or "/")
    try:
        below, files = _names_in(path or "/")
    except PermissionError:
        return True
    except OSError:
        return False  # it has moved, or its path is too long
    if exclude is not None:
        files = exclude.remaining(path, files)
        below = [name for name in below if not exclude(f"{path}/{name}")]
    if only is not None:
        files = only.matching(path, files)
    directory.set_file_names(files)
    if below:
        directory.directories = {name: Directory(directory, name) for name in below}
    return True


def _names_in(path: str) -> tuple[list[str], list[str]]:
    """Return the names of the directories in a directory, and of the files."""
    directories = []
    files = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
            else:
                files.append(entry.name)
    return directories, files


def note_inode(directory: Directory, path: str) -> None:
    """Note a directory's identity, to recognise it after an overflow."""
    try:
        directory.inode = os.stat(path).st_ino
    except OSError:
        directory.inode = 0
