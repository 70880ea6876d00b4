"""A scan in steps that a test can get between.

C watches and lists many directories in one call, in which no test can change anything.
Here each step is a call of its own, which a test may replace. What C does in its steps
is tested by itself, in test_scanning.py. No test compares the two.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING

from inotify_cffi import flags
from inotify_cffi._scanning import NO_DIRECTORY, NOT_REACHED, Found
from inotify_cffi.tree import _disk
from inotify_cffi.tree._watches import Watches

if TYPE_CHECKING:
    import pytest

_ENDS_ALL = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def scan(
    watches: Watches,
    paths: Sequence[str],
    *,
    descend: bool,
    only_directories: bool,
    limit: int,
    milliseconds: float,
) -> Found:
    """Do what `Watches.scan` does, without descending."""
    mask = watches._mask | flags.DONT_FOLLOW
    results = [NOT_REACHED] * len(paths)
    found = Found([0] * len(paths), results, [], [], [], left_out=True)
    for index, path in enumerate(paths[:limit]):
        try:
            found.wds[index] = watches._inotify.add_watch(path, mask)
            names = (_disk.directories if only_directories else _disk.listing)(path)
        except OSError as failure:
            found.results[index] = failure.errno or errno.EIO
            if failure.errno in _ENDS_ALL:
                break
            continue
        found.results[index] = 0
        if names:
            found.names.extend(names)
            found.wds.extend([0] * len(names))
            found.results.extend(
                NOT_REACHED if is_directory else NO_DIRECTORY
                for is_directory in names.values()
            )
            found.group_of.append(index)
            found.group_end.append(len(found.wds))
    return found


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all scans be made in steps until the test ends."""
    monkeypatch.setattr(Watches, "scan", scan)
