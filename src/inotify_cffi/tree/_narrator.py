"""Telling a tree truly: from the kernel's events to what happened to which path.

The kernel tells of each watched directory what happens in it, exactly and in
order. What it cannot tell is what happened in a directory before its watch was
there, so that has to be looked up; and the disk shows the present, while the
queue is still telling the past. Everything here serves to join the two without a
seam:

* A directory that has been told of, but not looked at, is *hollow*.
* Looking is: watch it, list it, then make a *mark* in the queue (the IGNORED of
  a watch that is added and removed), and read the queue up to that. Until then,
  the events of the directory itself are laid by; this is its *window*.
* At the end of the window the look is either *valid* or not. It is when nothing
  in the window moved or removed the directory, or one above it: then its path
  led to it at the time, as every directory above it is watched. If not, the look
  is dropped and taken again; nothing of it has been told.
* What is renamed into the directory meanwhile, from a place that the consumer
  knows, is told at once where the rest of the window, which is in the same read,
  leaves the look valid; from then on all that happens to that name is.
* The list, with the events of the window applied to it, is what the directory
  held at the end of the window. Whatever took a name away or brought one was
  queued before (the lock that a change holds until its event is queued is the
  lock that listing takes), so a directory found in it has left its old place.

The first half of a rename waits for its second. Both are queued under the locks
of both directories; so another event of the same directory, or the moved
directory's own MOVE_SELF, shows that there is no second half, and listing the
directory once, which waits for the lock, makes sure of it. No time is involved.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, NamedTuple

from ..events import Event, flags
from . import _disk
from ._picture import Directory, FileRoot, Picture, Root, join

if TYPE_CHECKING:
    from ..instance import INotify

# Plain numbers: the & of an IntEnum member costs five times as much.
_CREATE = int(flags.CREATE)
_DELETE = int(flags.DELETE)
_MOVED_FROM = int(flags.MOVED_FROM)
_MOVED_TO = int(flags.MOVED_TO)
_STRUCTURAL = _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO
_ATTRIB = int(flags.ATTRIB)
_DELETE_SELF = int(flags.DELETE_SELF)
_MOVE_SELF = int(flags.MOVE_SELF)
_UNMOUNT = int(flags.UNMOUNT)
_Q_OVERFLOW = int(flags.Q_OVERFLOW)
_IGNORED = int(flags.IGNORED)
_ISDIR = int(flags.ISDIR)

DEFAULT_MASK = (
    _STRUCTURAL
    | _ATTRIB
    | _DELETE_SELF
    | _MOVE_SELF
    | int(flags.MODIFY)
    | int(flags.CLOSE_WRITE)
)
_NEEDED = _STRUCTURAL | _ATTRIB | _DELETE_SELF | _MOVE_SELF
# MASK_ADD always: without it the kernel clears the mask of a watch that is there
# already before it sets the new one, and an event of that instant is lost.
_HOW = int(flags.ONLYDIR | flags.MASK_ADD | flags.EXCL_UNLINK)
_NO_LINKS = int(flags.DONT_FOLLOW)

# Only directories are watched, so nothing else waits for the events of this.
_NO_DIRECTORY = "/dev/null"

# Directories in one look: the more, the fewer reads of the queue, which cost next to
# nothing; but the longer the window, the more looks a rename makes invalid.
_LOOKS_AT_ONCE = 16

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})


class UnreadableDirectoryWarning(UserWarning):
    """A directory cannot be read, so nothing in it is told until it can be."""


class LocalChangesOnlyWarning(UserWarning):
    """A root is on a file system whose changes the kernel does not see, or sees
    only when this machine makes them."""


class TreeEvent(NamedTuple):
    """What happened to a path: see `TreeWatcher`."""

    path: str
    """The root as it was given, joined with what is below it. Bytes that are
    not text come back whole through `os.fsencode`."""
    mask: int
    """Bits of `flags` that say what happened."""
    old_path: str | None
    """Where it was before, for MOVED_TO of what was in the trees already; else
    None."""
    synthetic: bool
    """Found by looking, not told by the kernel."""


class _Half:
    """The first half of a rename, waiting for its second."""

    __slots__ = (
        "child",
        "cookie",
        "ghost",
        "is_directory",
        "name",
        "parent",
        "second_is_laid_by",
        "suspect",
        "waited_for",
    )

    def __init__(
        self, parent: Directory, name: str, cookie: int, is_directory: bool
    ) -> None:
        self.parent = parent
        self.name = name
        self.cookie = cookie
        self.is_directory = is_directory
        self.child = parent.child(name)
        # The consumer does not have what is renamed (see _suspect_exchange).
        self.ghost = is_directory != (self.child is not None)
        self.second_is_laid_by = False
        self.suspect = False  # may be the second rename of an exchange
        self.waited_for = False


class _Undecided:
    """A rename of a directory that may be the second of an exchange.

    Whose MOVE_SELF comes next tells: the directory's own, or that of another.
    """

    __slots__ = ("content", "half", "mask", "name", "parent", "waited_for")

    def __init__(self, half: _Half, parent: Directory, name: str, mask: int) -> None:
        self.half = half
        self.parent = parent
        self.name = name
        self.mask = mask
        self.content: list[int] = []  # what happened to it since: masks
        self.waited_for = False


class _View:
    """What a look found, and the events since."""

    __slots__ = ("directory", "failure", "laid_by", "names", "silent", "told")

    def __init__(
        self,
        directory: Directory,
        silent: bool,
        names: dict[str, bool],
        failure: OSError | None = None,
    ) -> None:
        self.directory = directory
        self.silent = silent
        self.names = names
        self.failure = failure
        self.laid_by: list[Event] = []
        self.told: set[str] = set()  # the names of which the consumer knows


class Narrator:
    """One tree or several, told from one inotify instance. Not thread-safe."""

    def __init__(
        self, inotify: INotify, mask: int, exclude: Callable[[str], bool] | None
    ) -> None:
        self._inotify = inotify
        self._wanted = mask | _Q_OVERFLOW | _UNMOUNT
        self._watched_for = mask | _NEEDED | _HOW
        self._exclude = exclude
        self.roots: dict[str, Root] = {}
        self.told: list[TreeEvent] = []
        self.warnings: list[Warning] = []
        self._picture = Picture()
        # Hollow directories, each with whether to look silently. `_later` are
        # those created after the present call began; it need not wait for them.
        self._hollow: dict[Directory, bool] = {}
        self._later: dict[Directory, bool] = {}
        self._views: dict[Directory, _View] = {}
        self._moved: set[Directory] = set()  # since the views were opened
        self._mark = 0  # the wd whose IGNORED ends their windows
        self._ahead: Sequence[Event] = ()  # the events of their windows
        self._moving: set[Directory] | None = None  # in these, once looked for
        self._drops = 0
        self._halves: dict[int, list[_Half]] = {}
        self._half_of: dict[Directory, _Half] = {}
        self._undecided: list[_Undecided] = []
        # The name that the last structural event of a directory brought, when that
        # was MOVED_TO; and whether another directory was there.
        self._arrived: dict[Directory, tuple[str, bool]] = {}
        # Those where one was, each with whether that rename has finished.
        self._replaced: dict[Directory, bool] = {}
        self._over_directory = False
        # Names that may exist though the consumer has them not; and what a look
        # found there.
        self._doubts: set[tuple[Directory, str]] = set()
        self._found: dict[tuple[Directory, str], bool | None] = {}
        self._unreadable: set[Directory] = set()
        self._beyond_limit: set[Directory] = set()
        self._unmounted: set[Directory] = set()
        self._dead: set[Directory] = set()  # their watch is gone; DELETE will come
        self._strays: set[int] = set()  # watches that nobody in the picture has
        self._leaving: set[int] = set()  # removed; IGNORED will come
        self._overflowed = False
        self._interrupted = False

    def close(self) -> None:
        """Let the memory of the picture go: its directories refer to each other."""
        for root in self.roots.values():
            for directory in list(root.with_all_below()):
                directory.parent = directory.children = None
        self.roots.clear()
        self._picture.forget_all_watches()
        self._forget_what_waits()

    def _forget_what_waits(self) -> None:
        for state in (self._hollow, self._later, self._views, self._halves):
            state.clear()
        self._half_of.clear()
        self._undecided.clear()
        self._found.clear()
        self._doubts.clear()
        self._arrived.clear()
        self._replaced.clear()
        for some in (self._unreadable, self._beyond_limit, self._unmounted, self._dead):
            some.clear()
        self._picture.paths_changed()

    # ---- roots ---------------------------------------------------------------

    def add_root(self, path: str, silent: bool) -> None:
        """Add a root, hollow; the next `advance` looks at it."""
        if path in self.roots:
            return
        is_directory = stat.S_ISDIR(os.stat(path).st_mode)
        root = self.roots[path] = self._new_root(path, is_directory)
        self._warn_of_file_system(root)
        if self._root_around(root) is None:
            self._hollow[root] = silent
        for other in self.roots.values():
            if isinstance(other, FileRoot) and other.wd and self._root_around(other):
                self._let_go(other)

    def remove_root(self, path: str) -> None:
        """Remove a root; what other roots have of its tree stays theirs."""
        root = self.roots[path]
        within = [
            other for other in self.roots.values() if self._root_around(other) is root
        ]
        del self.roots[path]
        if root.parent is not None or self._root_around(root) is not None:
            return  # it is part of another's tree
        for other in within:
            self._take_out(root, other)
        self._drop(root)

    def _take_out(self, outer: Root, inner: Root) -> None:
        """Make a tree of its own of a root that is part of another's."""
        found: Directory | None = outer
        for name in inner.given[len(outer.given) :].strip("/").split("/"):
            found = found.child(name) if found else None
        if found is inner:
            inner.detach()
            inner.name = inner.given
        elif found is not None and found.wd and found not in self._views:
            wd = found.wd
            for child in list((found.children or {}).values()):
                child.move(inner, child.name)
            self._picture.own(inner, wd)
        else:
            self._hollow[inner] = False

    @staticmethod
    def _new_root(given: str, is_directory: bool) -> Root:
        root = Root(given) if is_directory else FileRoot(given)
        root.identity = _disk.identity(root.place)
        return root

    # ---- from one call to the next -------------------------------------------

    def advance(self) -> None:
        """Tell all that was caused by what had returned before this call."""
        if self._interrupted:
            self._start_anew()
        self._interrupted = True  # until the end shows that it was not
        failure = self._advance()
        self._interrupted = False
        if failure is not None:
            raise failure

    def _advance(self) -> OSError | None:
        first = True
        failure = None
        while True:
            batch = self._inotify.read(timeout=0)
            self._follow(batch)
            self._end_windows()
            self._end_halves()
            self._look_behind_mounts()
            if first or not self._hollow:
                if self.told and not first and self._inotify.wait_readable(0):
                    return failure  # the rest is the next call's
                self._hollow.update(self._later)
                self._later.clear()
            first = False
            if self._overflowed:
                # While an overflow is in the queue, the kernel tells no other: events
                # behind it may have gaps. All these are in the next read at the latest,
                # and must not be taken for what followed a look.
                self._overflowed = False
                continue
            try:
                looked = self._look()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    return error
                failure = error
                looked = True
            if not looked and not self._tidy(quiet=not batch):
                return failure

    def _tidy(self, quiet: bool) -> bool:
        """When the queue is empty, let go of what nobody needs.

        Returns:
            Whether the queue has to be read again.
        """
        if not (self._strays or self._dead or self._leaving):
            return False
        if not quiet:
            return True
        self._leaving.clear()  # an overflow may have swallowed their IGNORED
        self._later.update(dict.fromkeys(self._dead, False))
        self._dead.clear()
        for wd in self._strays:
            self._remove_watch(wd)
        self._strays.clear()
        return bool(self._later)

    # ---- looking ---------------------------------------------------------------

    def _look(self) -> bool:
        """Look at some of what is hollow or in doubt; return whether there was any."""
        # What waits for its second half is between two places.
        self._moved = {half.child for half in self._half_of.values() if half.child}
        looked = self._wait_for_renames()
        for doubt in self._doubts:
            looked = self._look_for_doubted(*doubt) or looked
        above: Directory | None = None
        place_above = ""
        for _ in range(min(len(self._hollow), _LOOKS_AT_ONCE)):
            looked = True
            directory, silent = self._hollow.popitem()
            parent = directory.parent
            if parent is None or parent is not above:
                above = parent
                place = self._picture.place(directory)
                place_above = os.path.dirname(place)
            else:  # walking up once for all neighbours
                place = join(place_above, directory.name)
            try:
                self._views[directory] = self._look_at(directory, place, silent)
            except OSError as failure:
                if failure.errno == errno.ENOSPC:
                    self._raise_limit(directory, failure)
                self._hollow[directory] = silent
                raise
        if looked:
            self._make_mark()
        return looked

    def _make_mark(self) -> None:
        """Queue an event that comes after all that the looks can have seen."""
        try:
            self._mark = self._inotify.add_watch(_NO_DIRECTORY, _DELETE_SELF)
            self._inotify.rm_watch(self._mark)
        except OSError:
            self._mark = 0  # then the windows are longer: they end with the read

    def _look_for_doubted(self, parent: Directory, name: str) -> bool:
        half = self._half_of.get(parent)
        if parent.root is None or (half is not None and half.name == name):
            return False
        if any(
            (rename.half.parent, rename.half.name) == (parent, name)
            for rename in self._undecided
        ):
            return False
        try:
            found = _disk.find(self._picture.place(parent), name)
        except OSError as failure:
            if failure.errno in _disk.NO_MEANS:
                raise
            return False  # it cannot be asked now, and stays in doubt
        if found is None:
            self._let_its_way_finish(parent)
        self._found[parent, name] = found
        return True

    def _let_its_way_finish(self, directory: Directory) -> None:
        """Return when every change of a directory above has queued its events.

        A path leads elsewhere, or nowhere, a moment before the event of that is
        queued.
        """
        for above in directory.with_all_above():
            if above is not directory:
                _disk.let_changes_finish(self._picture.place(above))

    def _look_at(self, directory: Directory, place: str, silent: bool) -> _View:
        try:
            if len(place) > _disk.SURELY_SHORT or isinstance(directory, Root):
                with _disk.reachable(place) as path:
                    return self._watch_and_list(directory, path, silent)
            return self._watch_and_list(directory, place, silent)
        except OSError as failure:
            if failure.errno == errno.ENOSPC or failure.errno in _disk.NO_MEANS:
                raise
            self._let_its_way_finish(directory)
            return _View(directory, silent, {}, failure)

    def _watch_and_list(self, directory: Directory, path: str, silent: bool) -> _View:
        if isinstance(directory, Root) and directory.parent is None:
            wd = self._inotify.add_watch(path, self._watched_for)
        else:
            wd = self._inotify.add_watch(path, self._watched_for | _NO_LINKS)
        self._strays.add(wd)  # until the listing has succeeded, too
        if isinstance(directory, FileRoot):
            kind = _disk.find(path, directory.base)
            names = {} if kind is None else {directory.base: kind}
        else:
            names = _disk.directories(path) if silent else _disk.listing(path)
        if self._picture.owners(wd):  # it may be what just was exchanged for this
            self._let_its_way_finish(directory)
        self._strays.discard(wd)
        self._dead.discard(directory)  # what was watched before was another
        self._picture.own(directory, wd)
        return _View(directory, silent, names)

    def _wait_for_renames(self) -> bool:
        waiting = [half for half in self._half_of.values() if not half.waited_for]
        looked = bool(waiting)
        for half in waiting:
            _disk.let_changes_finish(self._picture.place(half.parent))
            half.waited_for = True
        for rename in self._undecided:
            if rename.parent.root is not None and not rename.waited_for:
                _disk.let_changes_finish(self._picture.place(rename.parent))
                looked = True
            rename.waited_for = True
        for directory in self._replaced:  # what is in it is in the picture, too
            _disk.let_changes_finish(self._picture.place(directory))
            self._replaced[directory] = looked = True
        return looked

    def _raise_limit(self, directory: Directory, failure: OSError) -> None:
        """Raise ENOSPC with the number of directories wanted; go on without them."""
        unwatched = {directory: False, **self._hollow, **self._later}
        self._hollow.clear()
        self._later.clear()
        self._beyond_limit.update(unwatched)
        wanted = len(self._picture) + _disk.count_directories(
            [self._picture.place(without) for without in self._beyond_limit]
        )
        raise OSError(
            errno.ENOSPC,
            f"{failure.strerror}; these trees have {wanted} directories to watch",
            self._picture.path(directory),
        ) from None

    # ---- the end of a window ---------------------------------------------------

    def _end_windows(self) -> None:
        views, self._views = self._views, {}
        self._ahead, self._moving = (), None
        drops = self._drops
        for directory, view in views.items():
            if self._drops != drops and directory.root is None:
                self._let_go(directory)
            elif self._moved and not self._moved.isdisjoint(directory.with_all_above()):
                self._let_go(directory)
                self._hollow[directory] = view.silent
            elif view.failure is not None:
                self._end_failed_look(view, view.failure)
            elif directory.wd == 0:  # its watch is gone already
                self._hollow[directory] = view.silent
            else:
                self._unreadable.discard(directory)
                self._end_window(view)
        for half in self._half_of.values():
            half.second_is_laid_by = False
        if self._doubts or self._found:
            self._end_doubts()

    def _end_failed_look(self, view: _View, failure: OSError) -> None:
        directory = view.directory
        if failure.errno not in _NOT_THERE:
            if directory not in self._unreadable:
                self._unreadable.add(directory)
                self.warnings.append(
                    UnreadableDirectoryWarning(
                        f"waiting to read {self._picture.path(directory)!r}: "
                        f"{failure.strerror}; nothing in it is told until then"
                    )
                )
            return
        # All above it is where it should be, and yet it is not there: either the
        # root is at that path no longer, or the file system tells no events.
        root = directory.root
        assert root is not None
        if directory is root:
            self._lose_root(root, _DELETE_SELF)
        elif _disk.identity(root.place) != root.identity:
            self._lose_root(root, _MOVE_SELF)
        else:
            self._tell(_DELETE | _ISDIR, self._picture.path(directory), synthetic=True)
            self._drop(directory)

    def _end_window(self, view: _View) -> None:
        directory = view.directory
        names = view.names
        content: dict[str, list[int]] = {}
        told: set[str] = set()
        for event in view.laid_by:
            _, mask, cookie, name = event
            if name in view.told:
                continue  # it was before the name was told of
            if name in told:
                self._follow_entry(directory, mask, cookie, name)
            elif (
                mask & _MOVED_TO
                and cookie in self._halves
                and not isinstance(directory, FileRoot)
            ):
                told.add(name)
                self._follow_entry(directory, mask, cookie, name)
            elif mask & (_CREATE | _MOVED_TO):
                names[name] = bool(mask & _ISDIR)
                content.pop(name, None)
            elif mask & (_DELETE | _MOVED_FROM):
                # Of the other kind, it is what was exchanged for this one.
                if names.get(name) == bool(mask & _ISDIR):
                    del names[name]
                    content.pop(name, None)
            else:
                content.setdefault(name, []).append(mask)
        for name in told | view.told:
            names.pop(name, None)
        self._tell_found(directory, names, content, view.silent)

    def _tell_found(
        self,
        directory: Directory,
        names: dict[str, bool],
        content: dict[str, list[int]],
        silent: bool,
    ) -> None:
        if silent and self._exclude is None and len(self.roots) == 1:
            for name, is_directory in names.items():  # the start of most watchers
                if is_directory:
                    self._hollow[directory.add(name)] = True
            return
        for name, is_directory in names.items():
            self._take_doubt(directory, name)
            if silent and not is_directory:
                continue
            path = self._path(directory, name)
            if self._exclude is not None and self._exclude(path):
                continue
            if not silent:
                mask = _CREATE | _ISDIR if is_directory else _CREATE
                self._tell(mask, path, synthetic=True)
            if is_directory and not isinstance(directory, FileRoot):
                inner = self.roots.get(path)
                if inner is not None and inner.parent is None and inner.wd:
                    inner.move(directory, name)
                    self._picture.paths_changed()
                else:
                    self._hollow[directory.add(name)] = silent
            for mask in content.get(name, ()):
                self._tell(mask, path)

    def _end_doubts(self) -> None:
        found, self._found = self._found, {}
        for (parent, name), kind in found.items():
            if (
                parent.root is not None
                and parent not in self._hollow
                and self._moved.isdisjoint(parent.with_all_above())
                and self._take_doubt(parent, name)
                and parent.child(name) is None
                and kind is not None
            ):
                self._tell_found(parent, {name: kind}, {}, silent=False)
        for doubt in list(self._doubts):
            parent, _ = doubt
            if parent.root is None or parent in self._hollow:
                self._doubts.discard(doubt)  # whoever looks there will see

    # ---- following the kernel's events -----------------------------------------

    def _follow(self, batch: Sequence[Event]) -> None:
        owners_of = self._picture.owners
        self._ahead = batch
        for event in batch:
            wd, mask, cookie, name = event
            if wd == -1:
                self._start_anew()
                self._overflowed = True
                continue
            if self._leaving and wd in self._leaving:
                if mask & _IGNORED:
                    self._leaving.discard(wd)
                continue
            if mask & _IGNORED:
                if wd == self._mark:
                    self._end_windows()
                    self._end_halves()
                else:
                    self._lose_watch(wd)
                continue
            if self._unmounted and not mask & _UNMOUNT:
                self._look_behind_mounts()
            if self._undecided:
                self._decide(wd, mask)
            for directory in owners_of(wd):
                self._over_directory = False
                if directory.wd != wd:
                    pass  # following the event for another owner has dropped it
                elif not name:
                    self._follow_self(directory, mask)
                elif isinstance(directory, FileRoot) and name != directory.base:
                    pass
                elif directory in self._views and not self._is_told(directory, event):
                    self._views[directory].laid_by.append(event)
                    if mask & _MOVED_TO:
                        for half in self._halves.get(cookie, ()):
                            half.second_is_laid_by = True
                    self._suspect_exchange(directory, mask, name)
                elif isinstance(directory, FileRoot):
                    self._tell(mask, directory.given)
                else:
                    self._follow_entry(directory, mask, cookie, name)
                    if directory in self._views:
                        self._over_directory = True  # for all that is known
                    self._suspect_exchange(directory, mask, name)

    def _is_told(self, directory: Directory, event: Event) -> bool:
        """Whether an event of a window's own directory can be told at once."""
        view = self._views[directory]
        if (
            event.mask & _MOVED_TO
            and event.cookie in self._halves
            and view.failure is None
            and not isinstance(directory, FileRoot)
            and self._stays_where_it_is(directory)
        ):
            view.told.add(event.name)
        return event.name in view.told

    def _stays_where_it_is(self, directory: Directory) -> bool:
        """Whether nothing in the window moves or removes it, or one above it."""
        if self._moving is None:
            self._moving = set()
            for wd, mask, _, name in self._ahead:
                if mask & _IGNORED and wd == self._mark:
                    break
                if wd == -1:
                    self._moving.update(self.roots.values())
                    break
                for owner in self._picture.owners(wd):
                    if not name and mask & (
                        _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
                    ):
                        self._moving.add(owner)
                    elif mask & _STRUCTURAL:
                        child = owner.child(name)
                        if child is not None:
                            self._moving.add(child)
        above = set(directory.with_all_above())
        return self._moving.isdisjoint(above) and self._moved.isdisjoint(above)

    def _suspect_exchange(self, parent: Directory, mask: int, name: str) -> None:
        """Doubt that a name is gone when it left right after something came to it.

        That is what an exchange (RENAME_EXCHANGE) of two names looks like, too: the
        kernel tells it as two renames, under the locks of both directories. But in
        an exchange the name is there in the end. And of two directories that were
        exchanged, it cannot be told which one is where.
        """
        if not mask & _STRUCTURAL:
            return
        arrived = self._arrived.pop(parent, None)
        self._replaced.pop(parent, None)
        if mask & _MOVED_TO and parent.root is not None:
            self._arrived[parent] = name, self._over_directory
            if self._over_directory:
                self._replaced[parent] = False
        elif mask & _MOVED_FROM and arrived is not None and arrived[0] == name:
            half = self._half_of.get(parent)
            if half is not None and half.ghost:
                return  # the consumer still has what came
            if half is not None and half.child is not None and half.child.wd:
                half.suspect = arrived[1]
            if not isinstance(parent, FileRoot):
                self._doubts.add((parent, name))

    def _follow_self(self, directory: Directory, mask: int) -> None:
        """Follow an event of a directory's own watch, about itself."""
        if mask & _UNMOUNT:
            self._unmounted.add(directory)
        if isinstance(directory, Root) and directory.parent is None:
            if mask & (_DELETE_SELF | _MOVE_SELF | _UNMOUNT):
                self._lose_root(directory, mask)
            elif not isinstance(directory, FileRoot):
                self._tell(mask, directory.given)
        elif mask & _MOVE_SELF and directory.parent is not None:
            half = self._half_of.get(directory.parent)
            if (
                half is not None
                and half.child is directory
                and not half.second_is_laid_by
            ):
                self._leave(half)
        if mask & _ATTRIB:
            self._try_unreadable()

    def _follow_entry(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> None:
        path = self._path(parent, name)
        if mask & _STRUCTURAL:
            waiting = self._half_of.get(parent)
            if waiting is not None and not (
                mask & _MOVED_TO and waiting.cookie == cookie
            ):
                self._leave(waiting)
        if self._exclude is not None and self._exclude(path):
            if mask & _MOVED_TO:
                half = self._take_half(cookie, parent)
                if half is not None:
                    self._leave(half)
            return
        if mask & _CREATE:
            self._forget_name(parent, name)
            self._tell(mask, path)
            if mask & _ISDIR:
                self._later[parent.add(name)] = False
        elif mask & _DELETE:
            child = parent.child(name)
            if child is not None:
                self._end_halves_below(child)
            if not self._take_doubt(parent, name):
                self._tell(mask, path)
            if child is not None:
                self._drop(child)
        elif mask & _MOVED_FROM:
            self._follow_first_half(parent, mask, cookie, name)
        elif mask & _MOVED_TO:
            self._follow_second_half(parent, mask, cookie, name, path)
        else:
            if self._doubts and self._is_there(parent, name):
                self._tell_found(parent, {name: bool(mask & _ISDIR)}, {}, silent=False)
            for rename in self._undecided:
                if (rename.parent, rename.name) == (parent, name):
                    rename.content.append(mask)
                    break
            else:
                self._tell(mask, path)
            if mask & _ATTRIB and mask & _ISDIR:
                self._try_unreadable()

    def _follow_first_half(
        self, parent: Directory, mask: int, cookie: int, name: str
    ) -> None:
        half = _Half(parent, name, cookie, bool(mask & _ISDIR))
        if self._take_doubt(parent, name):
            half.ghost = True
        if half.child is not None:
            self._moved.add(half.child)
        self._halves.setdefault(cookie, []).append(half)
        self._half_of[parent] = half

    def _follow_second_half(
        self, parent: Directory, mask: int, cookie: int, name: str, path: str
    ) -> None:
        doubted = self._take_doubt(parent, name)
        half = self._take_half(cookie, parent)
        victim = parent.child(name)
        if half is not None and victim is half.child:
            victim = None
        self._over_directory = victim is not None or doubted
        if victim is not None:
            self._end_halves_below(victim)
        if half is None or half.ghost:
            if victim is not None:
                self._drop(victim)
            self._tell(mask, path)
            if mask & _ISDIR:
                self._later[parent.add(name)] = False
            return
        if half.suspect:
            self._undecided.append(_Undecided(half, parent, name, mask))
            return
        self._follow_rename(half, parent, name, mask)

    def _follow_rename(
        self, half: _Half, parent: Directory, name: str, mask: int
    ) -> None:
        child, victim = half.child, parent.child(name)
        if child is not None and child in parent.with_all_above():
            self._start_anew()  # cannot be: what it is based on is wrong
            return
        old_path = self._path(half.parent, half.name)
        if victim is not None and victim is not child:
            self._drop(victim)
        if child is not None:
            child.move(parent, name)
            self._moved.add(child)
            self._picture.paths_changed()
        self._tell(mask, self._path(parent, name), old_path)

    def _decide(self, wd: int, mask: int) -> None:
        """Let an event of the queue decide what is undecided."""
        for rename in list(self._undecided):
            child = rename.half.child
            if rename not in self._undecided:
                continue
            if child is not None and mask & _MOVE_SELF and child.wd == wd:
                self._undecided.remove(rename)
                if rename.parent.root is None:
                    self._leave(rename.half)
                else:
                    self._follow_rename(
                        rename.half, rename.parent, rename.name, rename.mask
                    )
                    self._tell_content(rename)
            elif mask & _STRUCTURAL and wd in (rename.parent.wd, rename.half.parent.wd):
                self._end_exchange(rename)

    def _end_exchange(self, rename: _Undecided) -> None:
        """It was another directory that moved; the one that came stays."""
        self._undecided.remove(rename)
        parent, name = rename.parent, rename.name
        self._take_doubt(rename.half.parent, rename.half.name)
        if parent.root is not None and parent.child(name) is None:
            self._tell(rename.mask, self._path(parent, name))
            self._hollow[parent.add(name)] = False
            self._tell_content(rename)

    def _tell_content(self, rename: _Undecided) -> None:
        for mask in rename.content:
            self._tell(mask, self._path(rename.parent, rename.name))

    def _take_half(self, cookie: int, parent: Directory) -> _Half | None:
        """Take the first half with this cookie; of the same root, if it can be."""
        halves = self._halves.get(cookie)
        if not halves:
            return None
        root = parent.root
        half = next((half for half in halves if half.parent.root is root), halves[0])
        self._forget_half(half)
        return half

    def _forget_half(self, half: _Half) -> None:
        halves = self._halves.get(half.cookie, [])
        if half in halves:
            halves.remove(half)
            if not halves:
                del self._halves[half.cookie]
        if self._half_of.get(half.parent) is half:
            del self._half_of[half.parent]

    def _leave(self, half: _Half) -> None:
        """Tell that what a half names has left: there is no second half."""
        self._forget_half(half)
        if half.ghost or half.parent.root is None:
            return
        if half.child is not None:
            self._end_halves_below(half.child)
        mask = _MOVED_FROM | _ISDIR if half.is_directory else _MOVED_FROM
        self._tell(mask, self._path(half.parent, half.name))
        if half.child is not None:
            self._drop(half.child)

    def _end_halves_below(self, top: Directory) -> None:
        """Before a directory goes, end what waits in it: nothing can follow."""
        for half in list(self._half_of.values()):
            if top in half.parent.with_all_above():
                self._leave(half)

    def _end_halves(self) -> None:
        for half in list(self._half_of.values()):
            if half.waited_for:
                self._leave(half)
        for rename in list(self._undecided):
            if rename.waited_for:
                self._end_exchange(rename)
        for directory, finished in list(self._replaced.items()):
            if finished:  # and it was no exchange
                del self._replaced[directory]
                self._arrived[directory] = self._arrived[directory][0], False

    def _take_doubt(self, parent: Directory, name: str) -> bool:
        """Return whether there was a doubt about a name; there is none any more."""
        self._found.pop((parent, name), None)  # what was seen is past
        if (parent, name) not in self._doubts:
            return False
        self._doubts.discard((parent, name))
        return True

    def _is_there(self, parent: Directory, name: str) -> bool:
        """Let an event of something's content end the doubt about its name."""
        half = self._half_of.get(parent)
        if parent.child(name) is not None or (half is not None and half.name == name):
            return False  # the consumer still has it
        return self._take_doubt(parent, name)

    def _try_unreadable(self) -> None:
        for directory in self._unreadable:
            self._later[directory] = False

    # ---- leaving the picture ---------------------------------------------------

    def _forget_name(self, parent: Directory, name: str) -> None:
        """Make room for a creation; there is something only if an event is missing."""
        self._take_doubt(parent, name)
        child = parent.child(name)
        if child is not None:
            self._end_halves_below(child)
            self._tell(_DELETE | _ISDIR, self._path(parent, name), synthetic=True)
            self._drop(child)

    def _drop(self, top: Directory) -> None:
        """Forget a directory and all below it, and remove their watches."""
        self._drops += 1
        for directory in list(top.with_all_below()):
            self._hollow.pop(directory, None)
            self._later.pop(directory, None)
            self._views.pop(directory, None)
            self._unreadable.discard(directory)
            self._beyond_limit.discard(directory)
            self._dead.discard(directory)
            self._unmounted.discard(directory)
            self._arrived.pop(directory, None)
            self._replaced.pop(directory, None)
            half = self._half_of.get(directory)
            if half is not None:
                self._forget_half(half)
            wd = directory.wd
            if self._picture.disown(directory):
                self._remove_watch(wd)
            if isinstance(directory, Root):
                directory.lost = True
                self.roots.pop(directory.given, None)
        top.detach()
        self._picture.paths_changed()

    def _let_go(self, directory: Directory) -> None:
        """Take its watch from a directory; the watch may be another's."""
        wd = directory.wd
        if self._picture.disown(directory):
            self._strays.add(wd)

    def _remove_watch(self, wd: int) -> None:
        try:
            self._inotify.rm_watch(wd)
        except OSError:
            return  # EINVAL: gone already; its IGNORED is on the way or was told
        self._leaving.add(wd)  # only once: the kernel gives no number again

    def _lose_watch(self, wd: int) -> None:
        """Follow IGNORED: the kernel has removed a watch."""
        self._strays.discard(wd)
        for directory in self._picture.owners(wd):
            if directory not in self._unmounted:
                self._dead.add(directory)
        self._picture.forget_watch(wd)

    def _lose_root(self, root: Root, mask: int) -> None:
        self._tell(mask & ~_ISDIR, root.given)
        self._drop(root)

    def _look_behind_mounts(self) -> None:
        """After an unmount, show what the mount had hidden."""
        unmounted, self._unmounted = self._unmounted, set()
        for directory in unmounted:
            parent, name = directory.parent, directory.name
            if directory.root is None or parent is None or parent in unmounted:
                continue
            self._forget_name(parent, name)
            self._tell(_CREATE | _ISDIR, self._path(parent, name), synthetic=True)
            self._later[parent.add(name)] = False

    def _start_anew(self) -> None:
        """After an overflow: tell it, forget everything, look at all roots again."""
        self._drops += 1
        self._strays |= self._picture.forget_all_watches()
        self._forget_what_waits()
        for given, root in list(self.roots.items()):
            root.lost = True  # and all below it with it
            new = self._new_root(given, not isinstance(root, FileRoot))
            self.roots[given] = new
            self._tell(_Q_OVERFLOW, given)
            if self._root_around(new) is None:
                self._hollow[new] = False

    # ---- words -----------------------------------------------------------------

    def _path(self, parent: Directory, name: str) -> str:
        if isinstance(parent, FileRoot):
            return parent.given
        return join(self._picture.path(parent), name)

    def _tell(
        self,
        mask: int,
        path: str,
        old_path: str | None = None,
        synthetic: bool = False,
    ) -> None:
        if mask & self._wanted:
            self.told.append(TreeEvent(path, mask, old_path, synthetic))
        elif old_path is not None and self._wanted & _MOVED_FROM:
            self.told.append(
                TreeEvent(old_path, _MOVED_FROM | mask & _ISDIR, None, False)
            )

    def _root_around(self, root: Root) -> Root | None:
        """Return the root in whose tree a root is, by the words of its path."""
        for path, other in self.roots.items():
            if (
                other is not root
                and not isinstance(other, FileRoot)
                and root.given.startswith(join(path, ""))
            ):
                return other
        return None

    def _warn_of_file_system(self, root: Root) -> None:
        kind = _disk.kind_of_file_system(root.place)
        if kind in _disk.NO_CHANGES:
            seen = "no change at all"
        elif kind is not None and kind.partition(".")[0] in _disk.LOCAL_CHANGES_ONLY:
            seen = "only the changes that this machine makes"
        else:
            return
        self.warnings.append(
            LocalChangesOnlyWarning(
                f"{root.given!r} is on {kind}, where the kernel sees {seen}"
            )
        )
