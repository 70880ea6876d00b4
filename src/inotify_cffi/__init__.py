"""Linux inotify for Python, compiled against the real headers."""

from . import syscalls
from .events import Event, flags, mask_str, masks, parse_events
from .instance import INotify, Watch

__all__ = [
    "Event",
    "INotify",
    "Watch",
    "flags",
    "mask_str",
    "masks",
    "parse_events",
    "syscalls",
]
