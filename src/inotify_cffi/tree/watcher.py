"""`TreeWatcher`: the public API; threads, tasks, waiting."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from . import _masks
from ._arguments import check_paths, checked_mask, known_root
from ._closing import Closing
from ._engine import Engine
from .events import TreeEvent

if TYPE_CHECKING:
    from ..instance import Watch
    from ._exclude import ExcludeArgument as Exclude

_T = TypeVar("_T", bound="TreeWatcher")


class TreeWatcher(Closing):
    """Watch whole trees. Apply its events to a copy, and the copy matches the disk.

    Parameters:
        paths: the roots: str, bytes or PathLike; directories or files, or links to
            them. More can be added.
        mask: what is reported: `flags`, or'ed. By default CREATE, DELETE, MOVE,
            MODIFY, ATTRIB, CLOSE_WRITE, DELETE_SELF and MOVE_SELF. UNMOUNT asks for
            that of a directory below a root as well.
        exclude: what to leave out, with all below it; it costs no watch. A function
            of a path, such as ``re.compile(...).search``; the path is a str with
            the attribute ``is_directory``. Or a ``pathspec.PathSpec``, or its
            ``match_file``: these get the path below the root. It is asked once, when
            a name is first met, and not about roots. What was decided holds while a
            directory above is renamed; what is renamed itself is a new name, so to
            an excluded name it leaves the trees, and from one it comes from outside.
            What it raises leaves the next `read`, the first of several; the path is
            not left out.
        initial: report what the roots hold already, as synthetic CREATEs.
        recursive: if False, the names in a root are reported, and nothing below.
        one_file_system: leave out what is below a directory on another file system
            than its root, as ``find -xdev`` does. The directory is reported.
        missing_ok: let a root lead to nothing for now, or to what may not be read.

    Raises:
        OSError: a root leads to nothing, or may not be read: `FileNotFoundError`,
            `PermissionError` and so on, with its path, unless ``missing_ok``.
            ENOSPC, the limit of watches, with the sysctl, its value and how many are
            wanted.
        ValueError: ``mask`` is empty, or asks for what cannot be reported.
        TypeError: ``mask`` is no int; a path is neither str, bytes nor PathLike;
            ``exclude`` cannot be called.

    Warns:
        LocalChangesOnlyWarning: a root, or a mount below one, is on a file system
            that is not known to be local, such as NFS or FUSE.
        UnreadableDirectoryWarning: a directory may not be read: see `unreadable`.

    **Roots.** A root is a path, followed by its name: it is resolved as the kernel
    resolves it, through links and "..", and what changes on the way is noticed. So a
    root may be deleted and made again, or be a link that is pointed elsewhere. Its
    events have the path as it was given, whatever that leads to:

    * DELETE_SELF, MOVE_SELF or UNMOUNT of a root: the path leads there no longer, so
      all below it is gone. It is reported once, for every mask, and the root is
      `missing` then, or leads to something else. The name of a root that is a file
      is reported instead, as DELETE or MOVED_FROM, also for every mask.
    * A synthetic CREATE of a root, and of all below it: it leads to that now.

    `read` waits and iteration goes on, whatever becomes of the roots.

    A root inside another one, reached by names alone, is part of that one's tree:
    what happens there is reported once. Behind a link, "..", an excluded directory
    or another file system, it is a tree of its own. Two roots that lead to one
    directory by different paths are two trees.

    **Events.**

    * CREATE, DELETE, MODIFY and so on: as inotify(7) has them.
    * MOVED_TO with ``old_path``: renamed inside the trees, with all below it. It
      replaces what was at ``path``.
    * MOVED_FROM: renamed to somewhere outside; gone, with all below it.
    * MOVED_TO without ``old_path``: came from outside. For a directory, a
      synthetic CREATE for each thing in it follows.
    * Q_OVERFLOW, one for each root: events are missing. Forget what was known
      below ``path``; synthetic CREATEs report all that is there.
    * A synthetic CREATE: found by a scan. What a scan finds is reported when
      something may have been missed that the mask asks for: a file for any of
      CREATE, MOVED_TO, MODIFY, CLOSE_WRITE and ATTRIB, a directory for CREATE or
      MOVED_TO. So the mask need not have CREATE.

    **Threads.** Every method may be called from any thread. **Signals.** `wake`
    and `close` may be called from a signal handler. **Forks.** In a forked child,
    every method but `close` raises RuntimeError, as the watcher is the parent's;
    `close` closes the copies of its descriptors.

    **Descriptors.** One for the inotify instance, one for the mount table, one more
    while a read waits, and two from the first call of `fileno` on.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as root, TreeWatcher(root) as watcher:
    ...     os.makedirs(f"{root}/a/b")
    ...     [event.path[len(root) :] for event in watcher.read()]
    ['/a', '/a/b']
    """

    def __init__(
        self,
        *paths: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        mask: int = _masks.DEFAULT,
        exclude: Exclude | None = None,
        initial: bool = False,
        recursive: bool = True,
        one_file_system: bool = False,
        missing_ok: bool = False,
    ) -> None:
        check_paths(paths)
        # The only attribute, so that a subclass may have all other names.
        self._inotify_cffi = Engine(
            checked_mask(mask),
            exclude,
            initial=initial,
            recursive=recursive,
            one_file_system=one_file_system,
            missing_ok=missing_ok,
        )
        try:
            self._inotify_cffi.add(map(os.fsdecode, paths))
        except BaseException:
            self._inotify_cffi.close()
            raise

    @classmethod
    async def acreate(
        cls: type[_T],
        *paths: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        **options: Any,
    ) -> _T:
        """Create a watcher in a task, and let other tasks run meanwhile.

        Parameters:
            paths: as for the class.
            options: keyword arguments of the class.

        Returns:
            The watcher, whose roots are watched to their last directories.

        Raises:
            OSError: as for the class.
            ValueError: as for the class.
            RuntimeError: no event loop is running.
        """
        watcher = cls(**options)
        try:
            for path in paths:
                await watcher.aadd(path)
        except BaseException:
            watcher.close()
            raise
        return watcher

    def add(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Add a root. It is watched, to its last directory, when this returns.

        What it holds already is not reported, unless ``initial`` was asked for.
        What happens from then on is, here and below the other roots.

        Parameters:
            path: as for the class. A root inside another is part of that one's
                tree: what happens in it is reported once.

        Raises:
            OSError: as for the class. After ENOSPC this watches what it could.
            ValueError: the watcher is closed.

        Warns:
            LocalChangesOnlyWarning: as for the class.
            UnreadableDirectoryWarning: as for the class.
        """
        self._inotify_cffi.add([os.fsdecode(path)])

    async def aadd(
        self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]
    ) -> None:
        """Add a root in a task, and let other tasks run meanwhile: see `add`.

        Cancelling it leaves the root added; whoever reads goes on with its scan.

        Parameters:
            path: as for `add`.

        Raises:
            OSError: as for `add`.
            ValueError: as for `add`.
            RuntimeError: no event loop is running.
        """
        await self._inotify_cffi.aadd(os.fsdecode(path))

    def remove(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        """Remove a root, and the watches that only it needs.

        Parameters:
            path: a root, as it was given; slashes at its end do not matter.

        Raises:
            ValueError: it is no root; the watcher is closed.
        """
        self._inotify_cffi.check()
        root = known_root(path, self._inotify_cffi.tracker.roots)
        if not self._inotify_cffi.remove(root):
            raise ValueError(f"{root!r} is not a root")

    def read(
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[TreeEvent]:
        """Return what happened; wait for an event if there is none.

        Parameters:
            timeout: how long to wait at most, in milliseconds. None or a
                negative number: until there is an event. 0: do not wait, and
                return every event caused by operations that completed before
                the call.
            read_delay: after a wait, how long to wait for more events to
                gather after the first one, in milliseconds.

        Returns:
            The events, in order. An empty list if the timeout expires, `wake` is
            called, or another thread takes the events first.

        Raises:
            OSError: ENOSPC, the limit of watches, once for what is beyond it;
                EMFILE and the like while directories cannot be listed.
            ValueError: the watcher is closed, or is closed while this waits; an
                argument is not a number of milliseconds.
        """
        return self._inotify_cffi.read(timeout, read_delay)

    async def aread(
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[TreeEvent]:
        """Await events: `read` for a task, under asyncio, uvloop or trio.

        It works in slices of some milliseconds, between which other tasks run, and
        never waits for a thread. Cancelling it loses nothing.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `read`.
            read_delay: how long to go on waiting after the first event, in
                milliseconds, as for `read`.

        Returns:
            The events, as `read` returns them.

        Raises:
            OSError: as for `read`.
            ValueError: as for `read`.
            RuntimeError: no event loop is running.
        """
        return await self._inotify_cffi.aread(timeout, read_delay)

    def wake(self) -> None:
        """Let every `read` and `aread` that waits return ``[]`` at once.

        Where none waits, the next one that would have to wait returns ``[]``
        instead: as `INotify.wake` does. May be called from any thread, task or
        signal handler.
        """
        self._inotify_cffi.wake()

    def close(self) -> None:
        """Close the watcher; all its watches go with it.

        A `read` or `aread` that waits, in whatever thread or task, raises
        ValueError at once, and iteration ends: as `INotify.close` does. Closing
        again does nothing.
        """
        self._inotify_cffi.close()

    @property
    def roots(self) -> list[str]:
        """The roots, as they were given, in the order in which they were added."""
        return self._inotify_cffi.tracker.roots

    @property
    def missing(self) -> list[str]:
        """The roots that lead to nothing, as of the events that were read."""
        return self._inotify_cffi.tracker.missing

    @property
    def unreadable(self) -> list[str]:
        """The directories below the roots that may not be read, by their paths."""
        return self._inotify_cffi.tracker.unreadable

    def watches(self) -> list[Watch]:
        """Return what the kernel watches for this watcher: see `INotify.watches`.

        Besides the directories of the trees, that are the directories and links on
        the ways to the roots.

        Raises:
            ValueError: the watcher is closed.
        """
        return self._inotify_cffi.inotify.watches()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._inotify_cffi.inotify.closed

    def fileno(self) -> int:
        """Return a descriptor for an event loop of one's own.

        It is readable whenever ``read(timeout=0)`` would return something, and may
        be so when it would not. It is an epoll descriptor of the watcher: wait for
        it, and do nothing else with it. It is made by the first call of this.

        Raises:
            ValueError: the watcher is closed.
            RuntimeError: as for every method, in a forked child.
        """
        return self._inotify_cffi.fileno()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        roots = "".join(f" {root!r}" for root in self._inotify_cffi.tracker.roots)
        return f"<{type(self).__name__}{state}{roots}>"

    def __enter__(self: _T) -> _T:
        self._inotify_cffi.check()
        return self

    def __next__(self) -> TreeEvent:
        """Return the next event; wait for it. Ends when it is closed."""
        try:
            return self._inotify_cffi.next()
        except ValueError:
            if self.closed:
                raise StopIteration from None
            raise

    async def __anext__(self) -> TreeEvent:
        try:
            return await self._inotify_cffi.anext()
        except ValueError:
            if self.closed:
                raise StopAsyncIteration from None
            raise
