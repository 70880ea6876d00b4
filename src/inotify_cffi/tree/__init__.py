"""`TreeWatcher`: whole trees, told truly."""

from ._narrator import LocalChangesOnlyWarning, TreeEvent, UnreadableDirectoryWarning
from .watcher import TreeWatcher

__all__ = [
    "LocalChangesOnlyWarning",
    "TreeEvent",
    "TreeWatcher",
    "UnreadableDirectoryWarning",
]
