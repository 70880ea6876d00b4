"""`TreeWatcher`: whole trees, reported truly."""

from .events import LocalChangesOnlyWarning, TreeEvent, UnreadableDirectoryWarning
from .watcher import TreeWatcher

__all__ = [
    "LocalChangesOnlyWarning",
    "TreeEvent",
    "TreeWatcher",
    "UnreadableDirectoryWarning",
]
