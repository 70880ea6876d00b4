"""Linux inotify for Python, compiled against the real headers."""

from . import syscalls
from .events import Event, flags, mask_str, masks, parse_events
from .instance import INotify, Watch
from .tree import (
    LocalChangesOnlyWarning,
    TreeEvent,
    TreeWatcher,
    UnreadableDirectoryWarning,
)

__all__ = [
    "Event",
    "INotify",
    "LocalChangesOnlyWarning",
    "TreeEvent",
    "TreeWatcher",
    "UnreadableDirectoryWarning",
    "Watch",
    "flags",
    "mask_str",
    "masks",
    "parse_events",
    "syscalls",
]
