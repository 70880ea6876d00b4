"""Linux inotify for Python, compiled against the real headers."""

from . import syscalls
from .events import Event, flags, mask_str, masks, parse_events
from .instance import INotify, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .changes import AsyncBatches, Batches, awatch, watch
    from .mirror import Change, Mirror
    from .tree import (
        LocalChangesOnlyWarning,
        TreeEvent,
        TreeWatcher,
        UnreadableDirectoryWarning,
    )
else:
    # Who only watches directories does not pay for importing trees.
    _MODULES = {
        "AsyncBatches": "changes",
        "Batches": "changes",
        "Change": "mirror",
        "LocalChangesOnlyWarning": "tree",
        "Mirror": "mirror",
        "TreeEvent": "tree",
        "TreeWatcher": "tree",
        "UnreadableDirectoryWarning": "tree",
        "awatch": "changes",
        "watch": "changes",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


__all__ = [
    "AsyncBatches",
    "Batches",
    "Change",
    "Event",
    "INotify",
    "LocalChangesOnlyWarning",
    "Mirror",
    "TreeEvent",
    "TreeWatcher",
    "UnreadableDirectoryWarning",
    "Watch",
    "awatch",
    "flags",
    "mask_str",
    "masks",
    "parse_events",
    "syscalls",
    "watch",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
