"""`watch` and `awatch`: what has changed, batch by batch."""

from __future__ import annotations

import os
import threading
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Callable, NamedTuple, Union

from ._awaiting import running_backend
from ._batching import Batcher, Options
from ._beginning import Trees, begin
from ._change import Change
from ._filters import DEFAULT_IGNORE, Globs, Matcher, exclusion
from ._names import Names
from .events import flags, masks
from .mirror import Mirror
from .tree import TreeWatcher

if TYPE_CHECKING:
    from ._batching import Events, Steps

__all__ = ["DEFAULT_IGNORE", "AsyncBatches", "Batches", "Change", "awatch", "watch"]

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_LONGEST_WAIT = 3600.0  # seconds

_STRUCTURE = int(
    flags.CREATE | flags.DELETE | masks.MOVE | flags.DELETE_SELF | flags.MOVE_SELF
)
_MODIFY = int(flags.MODIFY)
_ATTRIB = int(flags.ATTRIB)
_CLOSE_WRITE = int(flags.CLOSE_WRITE)


class _Ended(NamedTuple):
    changes: list[Change] | None


class _Watching:
    """Everything that `Batches` and `AsyncBatches` have in common: all but the wait."""

    def __init__(
        self,
        *paths: Path,
        only: Globs | None,
        ignore: Globs | None,
        gitignore: bool,
        settle: float,
        at_most: float,
        timeout: float | None,
        complete: bool,
        initial: bool,
    ) -> None:
        for name, value in (("settle", settle), ("at_most", at_most)):
            _check(name, value)
        if timeout is not None:
            _check("timeout", timeout)
        roots = [os.fsdecode(path) for path in paths]
        matcher = None if only is None else Matcher(only, roots, "only")
        is_wanted = None if matcher is None else matcher.matches
        # Of a file that is complete, attributes are no change: what copies files sets
        # their times and modes when they have been closed.
        modifying = _MODIFY if complete else _MODIFY | _ATTRIB
        noted = modifying | (_CLOSE_WRITE if complete else 0)
        left_out = exclusion(roots, ignore, gitignore=gitignore)
        trees = Trees(roots, _STRUCTURE | noted, left_out, matcher)
        if initial:
            self.watcher, self._names = trees.watch(initial=True), Names(roots)
        else:
            self.watcher, self._names = begin(trees)
        self._names.track_content(noted, modifying, individually=complete)
        self._batcher = Batcher(
            self._names,
            Options(settle, at_most, timeout, complete, initial, is_wanted),
            self._is_over,
        )
        self._steps: Steps | None = None
        self._patience: float | None = None

    @property
    def mirror(self) -> Mirror:
        return Mirror.of(self._names)

    def next_wait(self) -> float | None:
        """Return how long to wait for events, in milliseconds."""
        if self._steps is None:
            self._steps = self._batcher.steps()
            self._patience = next(self._steps)
        return self._patience

    def take(self, events: Events) -> _Ended | None:
        """Continue with events; return the batch when it is complete."""
        steps = self._steps
        assert steps is not None
        self._steps = None
        try:
            self._patience = steps.send(events)
        except StopIteration as end:
            return _Ended(end.value)
        self._steps = steps
        return None

    def _is_over(self) -> bool:
        return not self.watcher.roots


class Batches:
    """The batches of `watch`: an iterator, and a context manager that closes it."""

    def __init__(self, watching: _Watching) -> None:
        self._watching = watching

    @property
    def watcher(self) -> TreeWatcher:
        """The `TreeWatcher` that this iterator reads. Do not read from it."""
        return self._watching.watcher

    @property
    def mirror(self) -> Mirror:
        """The names in the trees, as of the events that were read."""
        return self._watching.mirror

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._watching.watcher.closed

    def close(self) -> None:
        """End the iteration at once, even if another thread waits in it.

        This may be called from any thread and from a signal handler. A second call
        does nothing.
        """
        self._watching.watcher.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> list[Change]:
        """Wait for the next batch, and return it."""
        watching = self._watching
        ended = None
        try:
            while ended is None:
                ended = watching.take(watching.watcher.read(watching.next_wait()))
        except OSError:
            raise  # a limit: the watcher has lost nothing, and can be read again
        except BaseException as error:
            if isinstance(error, ValueError) and self.closed:
                raise StopIteration from None
            self.close()  # events may have been taken, and not been applied
            raise
        if ended.changes is None:
            self.close()
            raise StopIteration
        return ended.changes


class AsyncBatches:
    """The batches of `awatch`: an asynchronous iterator and context manager."""

    def __init__(self, begin: Callable[[], _Watching]) -> None:
        self._begin = begin
        self._begun: _Watching | None = None
        self._closed = False

    @property
    def watcher(self) -> TreeWatcher:
        """The `TreeWatcher` that this iterator reads. Do not read from it.

        Raises:
            ValueError: the watch has not begun.
        """
        return self._watching.watcher

    @property
    def mirror(self) -> Mirror:
        """The names in the trees, as of the events that were read.

        Raises:
            ValueError: the watch has not begun.
        """
        return self._watching.mirror

    @property
    def _watching(self) -> _Watching:
        if self._begun is None:
            raise ValueError("the watch has not begun: use async with")
        return self._begun

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def close(self) -> None:
        """End the iteration at once, even if another task waits in it.

        A second call does nothing.
        """
        self._closed = True
        if self._begun is not None:
            self._begun.watcher.close()

    async def __aenter__(self) -> AsyncBatches:
        """Begin to watch. When this returns, everything is watched."""
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> AsyncBatches:
        return self

    async def __anext__(self) -> list[Change]:
        """Wait for the next batch, and return it. Cancellation loses nothing."""
        watching = await self._start()
        if watching is None:
            raise StopAsyncIteration
        ended = None
        try:
            while ended is None:
                events = await watching.watcher.aread(watching.next_wait())
                ended = watching.take(events)
        except ValueError:
            if watching.watcher.closed:
                raise StopAsyncIteration from None
            self.close()
            raise
        if ended.changes is None:
            self.close()
            raise StopAsyncIteration
        return ended.changes

    async def _start(self) -> _Watching | None:
        """Begin if this has not begun yet; return None if it is closed."""
        if self._begun is None and not self._closed:
            # Listing a tree takes a while, and must not block the event loop.
            self._begun = await _Beginning(self._begin).begun()
        if self._closed:
            self.close()
            return None
        return self._begun


class _Beginning(threading.Thread):
    """Begins to watch in a thread, for a task of any event loop."""

    def __init__(self, begin: Callable[[], _Watching]) -> None:
        super().__init__(name="inotify_cffi.awatch", daemon=True)
        self._begin = begin
        self._lock = threading.Lock()
        self._is_awaited = True
        self._begun: _Watching | None = None
        self._error: BaseException | None = None
        # The one end is the task's, the other the thread's, whose end closes it.
        self._task_end, self._thread_end = os.pipe()

    def run(self) -> None:
        begun = None
        try:
            begun = self._begin()
        except BaseException as error:
            self._error = error
        with self._lock:
            self._begun = begun
            if begun is not None and not self._is_awaited:
                begun.watcher.close()
        os.close(self._thread_end)

    async def begun(self) -> _Watching:
        """Begin; when this is cancelled, close what comes of it."""
        self.start()
        try:
            while self.is_alive() and self._begun is None and self._error is None:
                await running_backend().readable(self._task_end, _LONGEST_WAIT)
        except BaseException:
            with self._lock:
                self._is_awaited = False
                if self._begun is not None:
                    self._begun.watcher.close()
            raise
        finally:
            os.close(self._task_end)
        self.join()
        if self._error is not None:
            raise self._error
        assert self._begun is not None
        return self._begun


def watch(
    *paths: Path,
    only: Globs | None = None,
    ignore: Globs | None = DEFAULT_IGNORE,
    gitignore: bool = False,
    settle: float = 50,
    at_most: float = 1000,
    timeout: float | None = None,
    complete: bool = False,
    initial: bool = False,
) -> Batches:
    """Watch trees, and iterate over batches of changes.

    A batch is the net difference between two states of the trees. What was created and
    deleted again is not in it. What was created and then renamed is one ``"added"``. A
    chain of renames is one ``"moved"``, and a rename there and back is nothing. Apply
    the batches in order to a copy of the trees as they were at the call, and the copy
    always matches the disk. No change of a batch can be left out.

    Parameters:
        paths: the roots: str, bytes or PathLike. A directory is watched with everything
            below it; a file is followed by its name. Links in a tree are not followed.
        only: a glob, or several: report only files whose names match. Batches then have
            no directories; a directory that comes or goes is reported by its files.
        ignore: a glob, or several: leave out what matches, a directory with everything
            below it. That costs no watch. The default, `changes.DEFAULT_IGNORE`, leaves
            out what version control, caches and editors create. None or ``()`` leaves
            out nothing. A glob without a slash is matched with the name; one with a
            slash with the path below the root, where ``**`` matches any number of
            directories. A rename from an ignored name to another is ``"added"``; the
            reverse is ``"deleted"``.
        gitignore: also leave out what git ignores, by the .gitignore files in the trees
            and in the directories above them in the same repository. Each file is read
            once, when the first path beside it is met. Needs pathspec, the extra
            ``gitignore``.
        settle: a batch ends when nothing has happened for this time, in milliseconds.
        at_most: a batch ends at the latest this time after its first event, in
            milliseconds, even if the tree is still busy.
        timeout: return an empty batch, and continue, if there was none for this time,
            in milliseconds. None: wait without a limit.
        complete: hold back a new or modified file while anybody has it open for
            writing. A change of its attributes alone is then not reported.
        initial: the first batch is everything that is there, as ``"added"``. It may be
            empty. Without it, the content at the call is known, and not reported.

    Returns:
        An iterator of lists of `Change`. It ends when it is closed, when no root is
        left, or with an exception other than OSError. One thread may use it;
        `Batches.close` may be called from any thread.

    Raises:
        OSError: as for `TreeWatcher`, also during the iteration.
        ValueError: a glob is malformed, or a time is not a number of milliseconds.
        ImportError: pathspec is not installed.

    **Order.** ``path`` is the path at the end of the batch; ``old_path`` is the path
    after the changes before this one. A directory is added before its content, and
    deleted with its content. A move replaces nothing, except a file that replaces a
    file. When two things exchange their places, one of them is reported as added.

    **Modified.** A file is modified when its content or attributes changed, or when
    another file took its name. A directory is never modified: changes of its own
    attributes are not reported. After an overflow, and where a directory was listed
    again, a file is modified if its ctime is not earlier than the last batch, or in
    the same tick of the clock (some milliseconds). A file that was renamed over another
    one and back is modified: the kernel reports an exchange of the two
    (RENAME_EXCHANGE) in the same way.

    **Reading files.** A batch describes a state. The file at a path may change before
    you read it; then a later batch reports it again. It may be gone for a moment: it,
    or a directory above it, is renamed and then renamed back. No batch reports that; so
    try again after the next batch. To keep a copy of the content, copy a file again
    after it has moved.

    **Complete.** The kernel refuses a read lease (fcntl(2), F_SETLEASE) while anybody
    has the file open for writing; the file is opened to ask for it. Where no lease can
    be had, such as for another user's file without CAP_LEASE, or on a file system
    without leases, a file is complete when CLOSE_WRITE came after the last write; if no
    such event came since the file was found, after a second without events.

    >>> import os, tempfile
    >>> root = tempfile.mkdtemp()
    >>> with watch(root) as batches:
    ...     os.makedirs(f"{root}/a/b")
    ...     os.rename(f"{root}/a", f"{root}/c")
    ...     for change in next(batches):
    ...         print(change.kind, change.path.replace(root, ""))
    added /c
    added /c/b
    """
    return Batches(
        _Watching(
            *paths,
            only=only,
            ignore=ignore,
            gitignore=gitignore,
            settle=settle,
            at_most=at_most,
            timeout=timeout,
            complete=complete,
            initial=initial,
        )
    )


def awatch(
    *paths: Path,
    only: Globs | None = None,
    ignore: Globs | None = DEFAULT_IGNORE,
    gitignore: bool = False,
    settle: float = 50,
    at_most: float = 1000,
    timeout: float | None = None,
    complete: bool = False,
    initial: bool = False,
) -> AsyncBatches:
    """Watch trees for a task, under asyncio, uvloop or trio: see `watch`.

    It begins with ``async with``, or with the first step of ``async for``, in a thread
    of its own, so that listing a large tree does not block the event loop. The content
    at that time is known, and not reported.

    Parameters:
        paths: as for `watch`, like all other parameters.

    Returns:
        An asynchronous iterator of lists of `Change`. Cancellation loses nothing; the
        iteration can be continued. One task may use it; `AsyncBatches.close` may be
        called from any task.
    """
    return AsyncBatches(
        partial(
            _Watching,
            *paths,
            only=only,
            ignore=ignore,
            gitignore=gitignore,
            settle=settle,
            at_most=at_most,
            timeout=timeout,
            complete=complete,
            initial=initial,
        )
    )


def _check(name: str, value: float) -> None:
    try:
        is_length = value >= 0
    except TypeError:
        given = type(value).__name__
        raise TypeError(
            f"{name} must be a number of milliseconds, not {given}"
        ) from None
    if not is_length:
        raise ValueError(
            f"{name} must be a number of milliseconds, 0 or more, not {value!r}"
        )
