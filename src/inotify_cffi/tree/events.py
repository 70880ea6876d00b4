"""`TreeWatcher`'s events and warnings."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..events import flags as _flags
from ..events import mask_str
from . import _masks


class UnreadableDirectoryWarning(UserWarning):
    """A directory cannot be read, so nothing in it is reported until it can be."""


class LocalChangesOnlyWarning(UserWarning):
    """A root is on a file system whose changes the kernel does not see, or sees
    only when this machine makes them."""


class TreeEvent(NamedTuple):
    """An event of a path: see `TreeWatcher`.

    >>> from inotify_cffi import TreeEvent, flags
    >>> event = TreeEvent("a/x", flags.MOVED_TO | flags.ISDIR, "b")
    >>> event
    TreeEvent('a/x', MOVED_TO|ISDIR, old_path='b')
    >>> event.moved, event.created, event.is_directory, flags.ISDIR in event.flags
    (True, False, True, True)
    >>> path, mask, old_path, synthetic = event
    """

    path: str
    mask: int
    old_path: Optional[str] = None  # noqa: UP045 # Python 3.9 cannot evaluate `|`
    synthetic: bool = False

    @property
    def flags(self) -> list[_flags]:
        """The flags of the mask, in their order, to be asked with ``in``."""
        return _flags.from_mask(self.mask)

    @property
    def is_directory(self) -> bool:
        """Whether it is about a directory (ISDIR)."""
        return self.mask & _masks.ISDIR != 0

    @property
    def created(self) -> bool:
        """Whether something was created (CREATE). See also `moved_in`."""
        return self.mask & _masks.CREATE != 0

    @property
    def deleted(self) -> bool:
        """Whether something was deleted (DELETE). See also `moved_out`."""
        return self.mask & _masks.DELETE != 0

    @property
    def modified(self) -> bool:
        """Whether the content of a file was changed (MODIFY)."""
        return self.mask & _masks.MODIFY != 0

    @property
    def written(self) -> bool:
        """Whether a file that was open for writing was closed (CLOSE_WRITE)."""
        return self.mask & _masks.CLOSE_WRITE != 0

    @property
    def attributes_changed(self) -> bool:
        """Whether times, owner, permissions or the like were changed (ATTRIB)."""
        return self.mask & _masks.ATTRIB != 0

    @property
    def moved(self) -> bool:
        """Whether it was renamed within the trees (MOVED_TO, with ``old_path``)."""
        return self.mask & _masks.MOVED_TO != 0 and self.old_path is not None

    @property
    def moved_in(self) -> bool:
        """Whether it was renamed into the trees (MOVED_TO, without ``old_path``)."""
        return self.mask & _masks.MOVED_TO != 0 and self.old_path is None

    @property
    def moved_out(self) -> bool:
        """Whether it was renamed to a place outside of the trees (MOVED_FROM)."""
        return self.mask & _masks.MOVED_FROM != 0

    @property
    def overflowed(self) -> bool:
        """Whether events are missing below ``path``, to be forgotten (Q_OVERFLOW)."""
        return self.mask & _masks.Q_OVERFLOW != 0

    def __repr__(self) -> str:
        text = f"{self.path!r}, {mask_str(self.mask).replace(' ', '')}"
        if self.old_path is not None:
            text += f", old_path={self.old_path!r}"
        if self.synthetic:
            text += ", synthetic=True"
        return f"TreeEvent({text})"


# The docstring of a field is an attribute of its descriptor.
TreeEvent.path.__doc__ = """The root as it was given, joined with what is below it.
    Bytes that are not text come back whole through `os.fsencode`."""
TreeEvent.mask.__doc__ = "Bits of `flags`, which are the kind of event."
TreeEvent.old_path.__doc__ = """The path before, for MOVED_TO of what was in the trees
    already; else None."""
TreeEvent.synthetic.__doc__ = (
    "Whether a scan found it, and the kernel reported nothing."
)
