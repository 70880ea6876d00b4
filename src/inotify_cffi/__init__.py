"""Linux inotify for Python, compiled against the real headers."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import syscalls

    __version__: str
    from .changes import AsyncBatches, Batches, awatch, watch
    from .events import Event, flags, mask_str, masks, parse_events
    from .instance import INotify, Watch
    from .mirror import Change, Mirror
    from .tree import (
        LocalChangesOnlyWarning,
        TreeEvent,
        TreeWatcher,
        UnreadableDirectoryWarning,
    )

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

_MODULES = {
    "changes": ["AsyncBatches", "Batches", "awatch", "watch"],
    "events": ["Event", "flags", "mask_str", "masks", "parse_events"],
    "instance": ["INotify", "Watch"],
    "mirror": ["Change", "Mirror"],
    "tree": [
        "LocalChangesOnlyWarning",
        "TreeEvent",
        "TreeWatcher",
        "UnreadableDirectoryWarning",
    ],
}


if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> object:
        # Names are imported when they are first used: unused modules cost nothing. And
        # `python -m inotify_cffi` has to remove the current directory from sys.path
        # before anything is imported.
        for module, names in _MODULES.items():
            if name in names:
                imported = __import__(f"{__name__}.{module}", fromlist=[name])
                found = getattr(imported, name)
                globals()[name] = found
                return found
        if name == "__version__":
            from importlib.metadata import version

            return version("inotify-cffi")
        if name == "syscalls":
            return __import__(f"{__name__}.syscalls", fromlist=[name])
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(
        {"__version__", *__all__, *(name for name in globals() if name[:2] == "__")}
    )
