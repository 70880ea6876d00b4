"""What `TreeWatcher` gives out: its events and its warnings."""

from __future__ import annotations

from typing import NamedTuple


class UnreadableDirectoryWarning(UserWarning):
    """A directory cannot be read, so nothing in it is reported until it can be."""


class LocalChangesOnlyWarning(UserWarning):
    """A root is on a file system whose changes the kernel does not see, or sees
    only when this machine makes them."""


class TreeEvent(NamedTuple):
    """What happened to a path: see `TreeWatcher`."""

    path: str
    """The root as it was given, joined with what is below it. Bytes that are
    not text come back whole through `os.fsencode`."""
    mask: int
    """Bits of `flags` that say what happened."""
    old_path: str | None
    """Where it was before, for MOVED_TO of what was in the trees already; else
    None."""
    synthetic: bool
    """Found by a scan, not reported by the kernel."""
