"""The effects of simple events, which most events are: files with untouched names.

These take a third of the time that `Edits` takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Optional

from ._nodes import MODIFIED, NEW, REPLACED, SHARED, Directory, File
from ._paths import Paths
from ._touched import Touched
from .events import flags

if TYPE_CHECKING:
    from .tree import TreeEvent

    Rest = Optional[tuple[TreeEvent, Optional[Directory], str]]

# Plain numbers: the & of an IntEnum member costs five times as much.
_CREATE = int(flags.CREATE)
_DELETE = int(flags.DELETE)
_MODIFY = int(flags.MODIFY)
_MOVED_TO = int(flags.MOVED_TO)

_MISSING = False
_UNKNOWN = "\0"  # no path begins with it
# The state of an untouched file after an event of this mask.
_SIMPLY: dict[int, File | None] = {_CREATE: NEW, _DELETE: None}


class SimpleEdits:
    """Follows runs of simple events.

    Parameters:
        paths: where directories are.
        touched: notes which directories are touched.
    """

    def __init__(self, paths: Paths, touched: Touched) -> None:
        self._paths = paths
        self._known = paths.known
        self._touched = touched
        self._simply = _SIMPLY
        self._renamed = _MOVED_TO

    def note_content(self, modifying: int, *, individually: bool) -> None:
        """From now on, note the events that modify files: see `Edits.note_content`."""
        self._simply, self._renamed = {}, 0  # each file is an object of its own
        if not individually:
            self._simply = {**dict.fromkeys(_bits(modifying), MODIFIED), **_SIMPLY}
            self._renamed = _MOVED_TO

    def follow(self, events: Iterator[TreeEvent]) -> Rest:
        """Follow events until one is not simple.

        Returns:
            That event, with its directory, if that is known, and the name in it; None:
            all are followed.
        """
        simply, renamed = self._simply, self._renamed
        prefix = _UNKNOWN
        # All is in this loop: a call of a function for each event takes 0.1 us.
        for event in events:
            path, mask, old_path, synthetic = event
            # Most events are in the directory of the last one.
            name = path.removeprefix(prefix)
            if not name or name == path or "/" in name:
                above, _, name = path.rpartition("/")
                known = self._known.get(above) or self._paths.find_directory(path)
                if known is None or not name or not (mask in simply or mask == renamed):
                    return event, known, name
                prefix, directory = f"{above}/", known
                touched, files = self._touched.names(known), known.files
                are_many = type(files) is set
                below = directory.directories or ()
            if old_path is None:
                if mask not in simply or synthetic or name in below:
                    return event, directory, name
                if name not in touched:
                    touched[name] = simply[mask]
                elif mask != _MODIFY or touched[name] not in SHARED:
                    return event, directory, name
            elif (
                mask == renamed
                and (old_name := old_path.removeprefix(prefix)) != old_path
                and old_name not in touched
                and name not in touched
                and name not in below
                and (
                    old_name in files and name not in files
                    if are_many
                    else directory.had_alone(old_name, name)
                )
            ):
                touched[old_name] = None
                touched[name] = old_name
                # Many names are a set once one was asked for.
                are_many = are_many or type(files := directory.files) is set
            elif mask != renamed or not self._move(directory, name, old_path):
                return event, directory, name
        return None

    def _move(self, directory: Directory, name: str, old_path: str) -> bool:
        """Move a file to a free name, or a new file over another.

        Nearly all renames are of these kinds, or within a directory; `Edits.move` takes
        three times as long for them.

        Returns:
            Whether the rename is of these kinds; if not, nothing was done.
        """
        above, _, old_name = old_path.rpartition("/")
        old_directory = self._known.get(above) or self._paths.find_directory(old_path)
        if old_directory is None or not old_name:
            return False
        old_touched = self._touched.names(old_directory)
        file = old_touched.get(old_name, _MISSING)
        touched = self._touched.names(directory)
        other = touched.get(name, _MISSING)
        if other is _MISSING or other is MODIFIED:  # which may have lost its name
            other = directory.had(name)
        if file is NEW:
            if other is False:
                touched[name] = NEW
            elif other is True or other is REPLACED:
                touched[name] = REPLACED
            else:
                return False
            del old_touched[old_name]
            return True
        if file is not _MISSING or other or not old_directory.had_file(old_name):
            return False
        place = old_directory, old_name
        is_free = other is False or not directory.had(name)
        touched[name] = place if is_free else File(place)
        old_touched[old_name] = None
        return True


def _bits(mask: int) -> list[int]:
    return [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]
