"""The masks that the tree works with, as plain numbers.

The ``&`` of an IntEnum member costs five times as much as that of an int.
"""

from __future__ import annotations

from ..events import flags

CREATE = int(flags.CREATE)
DELETE = int(flags.DELETE)
MOVED_FROM = int(flags.MOVED_FROM)
MOVED_TO = int(flags.MOVED_TO)
ATTRIB = int(flags.ATTRIB)
MODIFY = int(flags.MODIFY)
CLOSE_WRITE = int(flags.CLOSE_WRITE)
DELETE_SELF = int(flags.DELETE_SELF)
MOVE_SELF = int(flags.MOVE_SELF)
UNMOUNT = int(flags.UNMOUNT)
Q_OVERFLOW = int(flags.Q_OVERFLOW)
IGNORED = int(flags.IGNORED)
ISDIR = int(flags.ISDIR)

# The events that change the names in a directory.
STRUCTURAL = CREATE | DELETE | MOVED_FROM | MOVED_TO
# The events that a listing of a directory causes, ours as well.
LISTING = int(flags.OPEN | flags.ACCESS | flags.CLOSE_NOWRITE)
# The events of the queue itself, and not of the watched directory.
CONTROL = Q_OVERFLOW | IGNORED

# The events that `TreeWatcher` reports by default.
DEFAULT = STRUCTURAL | ATTRIB | DELETE_SELF | MOVE_SELF | MODIFY | CLOSE_WRITE
# A scan reports what it finds where the mask asks for any of these.
DIRECTORY_FOUND = CREATE | MOVED_TO
FILE_FOUND = DIRECTORY_FOUND | ATTRIB | MODIFY | CLOSE_WRITE
# The events that the watcher itself needs, whatever it reports.
NEEDED = STRUCTURAL | ATTRIB | DELETE_SELF | MOVE_SELF
# MASK_ADD always: without it the kernel clears the mask of a watch that is there
# already before it sets the new one, and an event of that instant is lost.
MASK_ADD = int(flags.MASK_ADD)
HOW = int(flags.ONLYDIR | flags.MASK_ADD | flags.EXCL_UNLINK)
EXCL_UNLINK = int(flags.EXCL_UNLINK)
DONT_FOLLOW = int(flags.DONT_FOLLOW)
