"""The event of `syscalls`, in a module of its own.

`collections` takes half as long to import as all else that adding watches needs: it is
imported with the first event.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Event(NamedTuple):
        wd: int
        mask: int
        cookie: int
        len: int
        name: str

else:
    Event = namedtuple(
        "Event",
        ["wd", "mask", "cookie", "len", "name"],
        module="inotify_cffi.syscalls",
    )
    Event.__doc__ = (
        "An event, as `read_events` returns it and py-inotify has it, with ``len``."
    )
    Event.wd.__doc__ = "The watch descriptor; -1 for ``IN_Q_OVERFLOW``."
    Event.mask.__doc__ = "Bits of ``IN_*``, which are the kind of event."
    Event.cookie.__doc__ = "The number that both halves of a rename share; else 0."
    Event.len.__doc__ = "The length of the padded name, in bytes; 0 without a name."
    Event.name.__doc__ = "The name in the watched directory, decoded by `os.fsdecode`."
