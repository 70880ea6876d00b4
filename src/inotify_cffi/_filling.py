"""Filling in what a tree holds, by listing it: a third of the time of events for it.

What is listed while the tree changes is the state of no moment. So this is for a
watcher that watches already, and holds if that has no event when all is listed.
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
    recursive: bool = True,
) -> bool:
    """List what is below the roots; return whether all could be listed.

    What may not be read is taken for empty, as a watcher does.

    Parameters:
        names: where nothing is noted yet but the roots.
        exclude: which paths are left out.
        only: which files are not; None: all are wanted.
        recursive: whether to list more than the roots.
    """
    for root in names.roots:
        if stat.S_ISDIR(os.stat(root).st_mode):
            directory = names.top.had(root)
            assert isinstance(directory, Directory)
            if not _fill(directory, root, exclude, only, recursive):
                return False
        else:
            names.set_root_file(root)
    return True


def _fill(
    top: Directory,
    path: str,
    exclude: Exclusion | None,
    only: Matcher | None,
    recursive: bool,
) -> bool:
    stack = [(top, path.rstrip("/"))]
    while stack:
        directory, path = stack.pop()
        note_inode(directory, path or "/")
        files = []
        below = {}
        try:
            with os.scandir(path or "/") as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        below[name] = Directory(directory, name)
                    else:
                        files.append(name)
        except PermissionError:
            continue
        except OSError:
            return False  # it has moved, or its path is too long
        if exclude is not None:
            files = exclude.remaining(path, files)
        if only is not None:
            files = only.matching(path, files)
        directory.set_file_names(files)
        for name, child in below.items():
            full = f"{path}/{name}"
            if exclude is None or not exclude(full):
                if directory.directories is None:
                    directory.directories = {}
                directory.directories[name] = child
                if recursive:
                    stack.append((child, full))
    return True


def note_inode(directory: Directory, path: str) -> None:
    """Note which directory it is, to know it again after an overflow."""
    try:
        directory.inode = os.stat(path).st_ino
    except OSError:
        directory.inode = 0
