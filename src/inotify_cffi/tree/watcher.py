"""`TreeWatcher`: the public API; threads, tasks, waiting."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _hints
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
        mask: the events to report: `flags`, combined with ``|``. By default CREATE,
            DELETE, MOVE, MODIFY, ATTRIB, CLOSE_WRITE, DELETE_SELF and MOVE_SELF.
            With UNMOUNT, an unmount below a root is reported as well.
        exclude: returns whether to leave out a path, with everything below it. An
            excluded directory costs no watch. It is a function of a path, such as
            ``re.compile(...).search``; the path is a str with the attribute
            ``is_directory``. Or it is a ``pathspec.PathSpec``, or its
            ``match_file``; these get the path below the root. It is called once for
            each name, when the name is first met, and not for roots. Its answer
            remains valid when a directory above is renamed. If the thing itself is
            renamed, its new name is decided anew: to an excluded name, it leaves the
            trees; from an excluded name, it comes from outside. If ``exclude``
            raises, the path is not left out, and the next `read` raises the first
            exception.
        initial: report what the roots hold already, as synthetic CREATEs.
        recursive: if False, report the names in a root, and nothing below them.
        one_file_system: leave out everything below a directory that is on another
            file system than its root, as ``find -xdev`` does. The directory itself
            is reported.
        missing_ok: accept a root that does not exist yet, or may not be read.

    Raises:
        OSError: a root does not exist, or may not be read: `FileNotFoundError`,
            `PermissionError` and so on, with its path, unless ``missing_ok``.
            FileNotFoundError: a path is empty.
            ENOSPC: the limit of watches, with the sysctl, its value and the number
            of watches that are needed.
        ValueError: ``mask`` is empty, or has bits that are not events.
        TypeError: ``mask`` is not an int; a path is not str, bytes or PathLike;
            ``exclude`` is not callable.

    Warns:
        LocalChangesOnlyWarning: a root, or a mount below one, is on a file system
            that is not known to be local, such as NFS or FUSE.
        UnreadableDirectoryWarning: a directory may not be read: see `unreadable`.

    **Roots.** A root is a path. `TreeWatcher` resolves it as the kernel does, through
    links and "..", and notices every change on the way. So a root may be deleted and
    created again, or be a link that is pointed elsewhere. The path of an event is the
    root as it was given, joined with the path below it:

    * DELETE_SELF, MOVE_SELF or UNMOUNT of a root: the path does not lead there any
      more, so everything below it is gone. This is reported once, for every mask.
      Then the root is `missing`, or leads to something else. For a root that is a
      file, DELETE or MOVED_FROM of its name is reported instead, for every mask.
    * A synthetic CREATE of a root, and of everything below it: the path leads to
      that now.

    `read` and iteration continue to wait when all roots are missing.

    A root inside another one, reached by names alone, is part of that one's tree:
    its events are reported once. Behind a link, "..", an excluded directory or
    another file system, it is a tree of its own. Two roots that lead to one
    directory by different paths are two trees.

    **Events.**

    * CREATE, DELETE, MODIFY and so on mean what inotify(7) says.
    * MOVED_TO with ``old_path``: renamed inside the trees, with everything below it.
      It replaces what was at ``path``.
    * MOVED_FROM: renamed to a place outside of the trees; it is gone, with
      everything below it.
    * MOVED_TO without ``old_path``: renamed into the trees from outside. If it is a
      directory, a synthetic CREATE for each thing in it follows.
    * Q_OVERFLOW, one for each root: events are missing. Forget everything below
      ``path``; synthetic CREATEs report what is there.
    * A synthetic CREATE: found by a scan. A scan reports what it finds if the mask
      asks for an event that may have been missed: for a file, any of CREATE,
      MOVED_TO, MODIFY, CLOSE_WRITE and ATTRIB; for a directory, CREATE or MOVED_TO.
      So the mask need not have CREATE.

    **Threads.** Every method may be called from any thread. **Signals.** `wake`
    and `close` may be called from a signal handler. **Forks.** The watcher belongs
    to the process that created it. In a forked child, `close` closes the copies of
    its descriptors, and every other method raises RuntimeError.

    **Descriptors.** One for the inotify instance, and one for the mount table. Two for
    each `read` or `aread` that waits; those of one wait are kept for the next. Two
    more for each `aread` that waits. Three from the first call of `fileno` on.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as root, TreeWatcher(root) as watcher:
    ...     os.makedirs(f"{root}/a/b")
    ...     [event.path[len(root) :] for event in watcher.read()]
    ['/a', '/a/b']
    """

    def __init__(
        self,
        *paths: _hints.Path,
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
        *paths: _hints.Path,
        **options: Any,
    ) -> _T:
        """Create a watcher in a task. Other tasks run meanwhile.

        Parameters:
            paths: as for the class.
            options: keyword arguments of the class.

        Returns:
            The watcher. All directories below its roots are watched.

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

    def add(self, path: _hints.Path) -> None:
        """Add a root. When this returns, all directories below it are watched.

        Its present content is not reported, unless the watcher was created with
        ``initial``. Every later event is reported.

        Parameters:
            path: as for the class. A root inside another is part of that one's
                tree: its events are reported once.

        Raises:
            OSError: as for the class. After ENOSPC, the directories within the
                limit are watched.
            ValueError: the watcher is closed.

        Warns:
            LocalChangesOnlyWarning: as for the class.
            UnreadableDirectoryWarning: as for the class.
        """
        self._inotify_cffi.add([os.fsdecode(path)])

    async def aadd(self, path: _hints.Path) -> None:
        """Add a root in a task: see `add`. Other tasks run meanwhile.

        Cancellation leaves the root added; the next read continues its scan.

        Parameters:
            path: as for `add`.

        Raises:
            OSError: as for `add`.
            ValueError: as for `add`.
            RuntimeError: no event loop is running.
        """
        await self._inotify_cffi.aadd(os.fsdecode(path))

    def remove(self, path: _hints.Path) -> None:
        """Remove a root, and the watches that only it needs.

        Parameters:
            path: a root, as it was given; slashes at its end do not matter.

        Raises:
            ValueError: ``path`` is not a root; the watcher is closed.
        """
        self._inotify_cffi.check()
        root = known_root(path, self._inotify_cffi.tracker.roots)
        if not self._inotify_cffi.remove(root):
            raise ValueError(f"{root!r} is not a root")

    def read(
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[TreeEvent]:
        """Return all events; wait for one if there is none.

        Parameters:
            timeout: how long to wait at most, in milliseconds. None or a
                negative number: wait until there is an event. 0: do not wait,
                and return every event caused by operations that completed
                before the call.
            read_delay: after a wait, how long to let more events gather after
                the first one, in milliseconds.

        Returns:
            The events, in order. An empty list if the timeout expires, `wake` is
            called, or another thread takes the events first.

        Raises:
            OSError: ENOSPC: the limit of watches, once for all directories beyond
                it. EMFILE and the like, as long as directories cannot be listed.
            ValueError: the watcher is closed, or is closed while this waits; an
                argument is not a number of milliseconds.
        """
        return self._inotify_cffi.read(timeout, read_delay)

    async def aread(
        self, timeout: float | None = None, read_delay: float | None = None
    ) -> list[TreeEvent]:
        """Await events: `read` for a task, under asyncio, uvloop or trio.

        It works in slices of some milliseconds. Other tasks run between two slices.
        It never waits for a thread. Cancellation loses nothing.

        Parameters:
            timeout: how long to wait at most, in milliseconds, as for `read`.
            read_delay: how long to let more events gather after the first one, in
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
        """Make every waiting `read` and `aread` return ``[]`` at once.

        If none waits, the next one that would have to wait returns ``[]`` instead,
        as with `INotify.wake`. This may be called from any thread, task or signal
        handler.
        """
        self._inotify_cffi.wake()

    def close(self) -> None:
        """Close the watcher, and remove all its watches.

        Every waiting `read` and `aread`, in any thread or task, raises ValueError
        at once, and every iteration ends. A second call does nothing.
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
        """Return the kernel's watches of this watcher: see `INotify.watches`.

        These are the directories of the trees, and the directories and links on the
        ways to the roots.

        Raises:
            ValueError: the watcher is closed.
        """
        return self._inotify_cffi.inotify.watches()

    def fileno(self) -> int:
        """Return a descriptor for an event loop of your own.

        It is readable whenever ``read(timeout=0)`` would return something, and
        sometimes when it would not. It is an epoll descriptor of the watcher: do
        nothing but wait for it. The first call creates it.

        The kernel shows a change of the mount table to one poll: `read` after each.

        Raises:
            ValueError: the watcher is closed.
            RuntimeError: in a forked child, as for every method; or select.epoll is
                missing, which gevent and eventlet remove.
        """
        return self._inotify_cffi.fileno()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        roots = "".join(f" {root!r}" for root in self._inotify_cffi.tracker.roots)
        return f"<{type(self).__name__}{state}{roots}>"

    def __next__(self) -> TreeEvent:
        """Wait for the next event and return it. Ends when the watcher is closed."""
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
