"""Linux inotify for Python, compiled against the real headers."""

from . import syscalls
from .events import Event, flags, mask_str, masks, parse_events
from .instance import INotify, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tree import (
        LocalChangesOnlyWarning,
        TreeEvent,
        TreeWatcher,
        UnreadableDirectoryWarning,
    )
else:

    def __getattr__(name: str) -> object:
        # Who only watches directories does not pay for importing trees.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import tree

        return getattr(tree, name)


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


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
