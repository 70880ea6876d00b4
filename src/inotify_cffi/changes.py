"""`watch` and `awatch`: what has changed, batch by batch."""

from __future__ import annotations

import os
import sys
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Union

from ._batching import Batcher, Options
from ._beginning import Trees, begin
from ._filters import DEFAULT_IGNORE, Globs, Matcher, exclusion
from ._names import Names
from ._net import Change
from .events import flags, masks
from .mirror import Mirror
from .tree import TreeWatcher

if TYPE_CHECKING:
    from ._batching import Events, Steps

__all__ = ["DEFAULT_IGNORE", "AsyncBatches", "Batches", "Change", "awatch", "watch"]

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_STRUCTURE = int(
    flags.CREATE | flags.DELETE | masks.MOVE | flags.DELETE_SELF | flags.MOVE_SELF
)
_MODIFY = int(flags.MODIFY)
_ATTRIB = int(flags.ATTRIB)
_CLOSE_WRITE = int(flags.CLOSE_WRITE)


class _Ended(NamedTuple):
    changes: list[Change] | None


class _Watching:
    """What `Batches` and `AsyncBatches` do, but for the waiting."""

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
        """Go on with events; return the batch when it is finished."""
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
        roots = getattr(self.watcher, "roots", None)
        return not (any(self._names.top.entries()) if roots is None else roots)


class Batches:
    """The batches of `watch`: an iterator, and a context manager that closes it."""

    def __init__(self, watching: _Watching) -> None:
        self._watching = watching

    @property
    def watcher(self) -> TreeWatcher:
        """The watcher below, which can be asked, but not be read from."""
        return self._watching.watcher

    @property
    def mirror(self) -> Mirror:
        """What is in the trees now, as far as it was read."""
        return self._watching.mirror

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._watching.watcher.closed

    def close(self) -> None:
        """End the iteration, also one that waits in another thread. Idempotent.

        May be called from any thread and from a signal handler.
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
        """Return the next batch; wait for it."""
        watching = self._watching
        ended = None
        try:
            while ended is None:
                ended = watching.take(watching.watcher.read(watching.next_wait()))
        except OSError:
            raise  # a limit: the watcher has lost nothing, and goes on
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
        """The watcher below, which can be asked, but not be read from.

        Raises:
            ValueError: it has not begun.
        """
        return self._watching.watcher

    @property
    def mirror(self) -> Mirror:
        """What is in the trees now, as far as it was read.

        Raises:
            ValueError: it has not begun.
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
        """End the iteration, also one that another task waits in. Idempotent."""
        self._closed = True
        if self._begun is not None:
            self._begun.watcher.close()

    async def __aenter__(self) -> AsyncBatches:
        """Begin: when this returns, all is watched."""
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
        """Return the next batch; wait for it. Cancelling it loses nothing."""
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
        """Begin, if that was not done; return None when it is closed."""
        if self._begun is None and not self._closed:
            # Listing a tree takes a while, and must not hold up the event loop.
            self._begun = await _in_thread(self._begin)
        if self._closed:
            self.close()
            return None
        return self._begun


async def _in_thread(begin: Callable[[], _Watching]) -> _Watching:
    """Begin in a thread; when this is cancelled, close what comes of it."""
    trio: Any = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            pass
        else:
            begun: _Watching = await trio.to_thread.run_sync(begin)
            return begun
    import asyncio

    future = asyncio.get_running_loop().run_in_executor(None, begin)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_close)
        raise


def _close(future: Any) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().watcher.close()


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
    """Watch trees, and iterate over what changes, in batches.

    A batch is the net difference between two states of the trees: what was created
    and deleted again is not in it; what was created and renamed is one ``"added"``,
    a chain of renames one ``"moved"``, a rename there and back nothing. Who applies
    the batches in their order, and the changes of each in theirs, to a copy of the
    trees as they were when this was called has the trees. No change can be left out.

    Parameters:
        paths: the roots: str, bytes or PathLike; directories, with all below them, or
            files, which are followed by their names. Links in them are not followed.
        only: a glob, or several, of the files asked for. Nothing is said of
            directories then; of the files in them, instead.
        ignore: globs of what is left out, a directory with all below it, at no cost.
            The default leaves out what version control, caches and editors make:
            `changes.DEFAULT_IGNORE`. None, or ``()``: nothing. A glob without a slash
            is of a name; one with a slash is of the path below the root, where ``**``
            is any number of directories. What is renamed from an ignored name to another is
            ``"added"``; the reverse is ``"deleted"``.
        gitignore: leave out what .gitignore files say, too: those in the trees, and
            those above them in the same repository. Needs pathspec, the extra
            ``gitignore``. They are read once, when something beside them is first met.
        settle: a batch ends when nothing has happened for this long: milliseconds.
        at_most: how long after its first event a batch ends at the latest, when
            something goes on happening: milliseconds.
        timeout: give an empty batch when there was none for this long, in
            milliseconds, and go on. None: never.
        complete: hold a new or modified file back until nobody has it open for
            writing. A change of attributes alone is no change then.
        initial: let the first batch be all that is there, as ``"added"``; it may be
            empty. Else what is there when this returns is known, and not said.

    Returns:
        An iterator of lists of `Change`. It ends when it is closed, or when no root
        is left; an exception ends it, too, but for OSError. It is for one thread;
        `Batches.close` is for any.

    Raises:
        OSError: as for `TreeWatcher`, also from the iteration.
        ValueError: a glob or a length of time is none.
        ImportError: pathspec is not installed.

    **Order.** A path is as it is at the end of the batch; an old path as it is after
    the changes before. A directory is added before what is in it, and deleted with
    all that is in it. What is moved replaces nothing but a file that replaces a file.
    Where things have changed places, one of them is said to be added.

    **Same or other.** What has been moved within the trees is the same. Of a file
    that took a name from another by being created or moved there, ``"modified"`` is
    said; of a directory, what is different in it. After an overflow a file is
    ``"modified"`` when its ctime is as late as the last batch. A directory is never
    modified: its own attributes are not said.

    **Complete.** The kernel is asked by a read lease (fcntl(2), F_SETLEASE), for which
    the file is opened; it is refused while anybody has the file open for writing.
    Where none can be had, as for another user's file without CAP_LEASE, or on a file
    system without leases, a file is complete when CLOSE_WRITE came after what was
    written; when no such event came since it was found, after a second without any.

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
    of its own, so that listing a large tree does not hold up the event loop; what is
    there then is known, and not said.

    Parameters:
        paths: as for `watch`, as all the others.

    Returns:
        An asynchronous iterator of lists of `Change`. When its task is cancelled,
        nothing is lost: it can be gone on with. It is for one task;
        `AsyncBatches.close` is for any.
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
    if not value >= 0:
        raise ValueError(f"{name} is no length of time: {value!r}")
