"""The net difference between two states of a tree, as changes that apply in order.

Both states are in the same directories: what they held at the last difference, and,
laid over that, what was touched since. A directory is the same in both when it is
the same object, wherever it has moved to; a file that has moved says where it was.

A tree is made of the former one by *placing* each thing that is new, or elsewhere,
at its place: first the directories above it. What is in the way goes first: to its
own place, or, when it is no more, by being deleted. Where such things wait for each
other, as two names do that were exchanged, one of them is taken for another: what it
was is deleted, and what it is is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, NamedTuple, Union

from ._nodes import FOUND, MODIFIED, NEW, REPLACED, Directory, File, Place

Node = Union[Directory, File]
# What has a name: True is a file that nothing is known of, False is nothing.
Found = Union[Node, bool]
_NOTHING = False


class Change(NamedTuple):
    """A change of one path. Apply changes in their order."""

    kind: str
    """One of ``"added"`` (a file, or a directory, whose content is added by changes of
    its own), ``"modified"`` (a file has other content or attributes, or is another
    file), ``"deleted"`` (gone, with everything below it) and ``"moved"`` (from
    ``old_path``, with everything below it; a file may replace a file)."""
    path: str
    """The path at the end of the batch. It is the root as it was given, joined with
    what is below it."""
    old_path: str | None
    """The path before this change, for ``"moved"``; else None."""
    is_directory: bool
    """Whether it is a directory."""


_new = tuple.__new__  # as Change does, in half of the time


class Settings(NamedTuple):
    """What the difference has to be asked about, and how it is said."""

    held: frozenset[File] = frozenset()
    """Files not to be said anything of yet."""
    is_unchanged: Callable[[str, Directory], bool] = lambda path, was_in: False
    """Whether the file at a path, which a scan found, is what was there before."""
    files_only: bool = False
    files_moved: bool = True


def join(path: str, name: str) -> str:
    return f"{path}{name}" if path.endswith("/") else f"{path}/{name}"


class Difference:
    """Find the changes, once: see `find`."""

    def __init__(
        self, top: Directory, dirty: Iterable[Directory], settings: Settings
    ) -> None:
        self._top = top
        self._dirty = list(dirty)
        self._settings = settings
        self._changes: list[Change] = []
        self._alive: dict[Directory, bool] = {top: True}
        # What is not where it was: where it is to be; and those that wait.
        self._places: dict[Node, Place] = {}
        self._waiting: dict[Node, None] = {}
        self._survivors: dict[Place, File] = {}
        # What survives of a directory that is gone; and the reverse.
        self._inside: dict[Directory, dict[Node, None]] = {}
        self._dead_around: dict[Node, list[Directory]] = {}
        # The tree as it is after the changes so far, where that is not what it was.
        self._now: dict[Directory, dict[str, Found]] = {}
        # A directory that another one, at the same path, goes on as.
        self._became: dict[Directory, Directory] = {}
        self._was: dict[Directory, Directory] = {}
        self._graves: list[Place] = []
        self._buried_first: list[tuple[Directory, Change]] = []
        self._forgotten: set[Directory] = set()
        self.kept: set[File] = set()
        """Of the files that are held back, those of which a former state is said."""

    def find(self) -> list[Change]:
        """Return the changes, in the order in which they apply."""
        alive = [each for each in self._dirty if self._is_alive(each)]
        if self._find_simple(alive):
            return self._changes
        self._changes.clear()
        for directory in alive:
            self._collect(directory)
        for node in self._waiting:
            self._note_survivor(node)
        self._bury_first()
        while self._waiting:
            self._place(next(iter(self._waiting)))
        for directory, name in self._graves:
            self._bury(directory, name)
        for directory in self._forgotten:
            directory.is_new = False
        first = [
            change
            for directory, change in self._buried_first
            if self._forgotten.isdisjoint(self._above(directory))
        ]
        return first + self._changes

    def _find_simple(self, alive: list[Directory]) -> bool:
        """Find the changes where nothing is in another's way.

        Most batches are of this kind, and this takes a tenth of the time.
        """
        if self._settings.held or self._top in alive:
            return False
        said: list[Change] = []
        left = self._left_places(alive) if self._settings.files_moved else set()
        paths = {each: self._path(each, "") for each in alive}
        for directory in sorted(alive, key=paths.__getitem__):  # outer ones first
            rest = self._say_plain(directory, paths[directory], said)
            for name in rest:
                if not self._say_simply(directory, name, left, paths, said):
                    return False
        self._changes += said
        return True

    def _say_plain(
        self, directory: Directory, before: str, said: list[Change]
    ) -> list[str]:
        """Say what most changes are; return the names that are left."""
        touched = directory.touched or {}
        new = [name for name, entry in touched.items() if entry is NEW]
        modified = [name for name, entry in touched.items() if entry is MODIFIED]
        said += [_new(Change, ("added", before + n, None, False)) for n in new]
        said += [_new(Change, ("modified", before + n, None, False)) for n in modified]
        if len(new) + len(modified) == len(touched):
            return []
        return [
            name
            for name, entry in touched.items()
            if entry is not NEW and entry is not MODIFIED
        ]

    def _left_places(self, alive: list[Directory]) -> set[Place]:
        """Return from where files have moved."""
        return {
            entry.origin
            for directory in alive
            for name, entry in (directory.touched or {}).items()
            if type(entry) is File
            and entry.origin is not None
            and entry.origin != (directory, name)
        }

    def _say_simply(
        self,
        directory: Directory,
        name: str,
        left: set[Place],
        paths: dict[Directory, str],
        said: list[Change],
    ) -> bool:
        assert directory.touched is not None
        node = directory.touched[name]
        path = paths[directory] + name
        if left and (directory, name) in left:
            return node is None
        if node is None:
            return self._say_simply_deleted(directory, name, path)
        if node is FOUND or node is REPLACED:
            kind = "added" if node is FOUND else "modified"
            said.append(Change(kind, path, None, is_directory=False))
            return True
        if directory.had(name) and node.origin != (directory, name):
            return False  # something is in the way
        if isinstance(node, Directory):
            if node.is_new and not self._settings.files_only:
                said.append(Change("added", path, None, is_directory=True))
            return node.is_new
        return self._say_simply_of_file(node, path, paths, said)

    def _say_simply_deleted(self, directory: Directory, name: str, path: str) -> bool:
        gone = directory.directories and directory.directories.get(name)
        if not gone:
            self._changes.append(_new(Change, ("deleted", path, None, False)))
        elif self._settings.files_only or self._is_alive(gone):
            return False
        else:
            self._changes.append(Change("deleted", path, None, is_directory=True))
        return True

    def _say_simply_of_file(
        self, file: File, path: str, paths: dict[Directory, str], said: list[Change]
    ) -> bool:
        if file.origin is None:
            said.append(Change("added", path, None, is_directory=False))
            return True
        above, old_name = file.origin
        if above not in paths:
            return False  # where it was is deleted, or goes on as another directory
        old_path = paths[above] + old_name
        if old_path != path:
            said.append(_new(Change, ("moved", path, old_path, False)))
        if file.modified:
            said.append(Change("modified", path, None, is_directory=False))
        return True

    # ---- what there is to do -----------------------------------------------------

    def _is_alive(self, directory: Directory) -> bool:
        way = []
        above: Directory | None = directory
        while above is not None and above not in self._alive:
            way.append(above)
            above = above.parent
        alive = above is not None and self._alive[above]
        for each in way:
            self._alive[each] = alive
        return alive

    def _collect(self, directory: Directory) -> None:
        assert directory.touched is not None
        for name in directory.touched:
            entry = directory.own(name)
            if directory.had(name):
                self._graves.append((directory, name))
            if entry is None:
                continue
            if isinstance(entry, File):
                origin = self._origin_of_file(entry)
                if origin is not None:
                    self._survivors[origin] = entry
            elif not entry.is_new and entry.origin in (None, (directory, name)):
                continue
            self._places[entry] = directory, name
            self._waiting[entry] = None

    def _origin_of_file(self, file: File) -> Place | None:
        origin = file.origin
        if file in self._settings.held and origin is not None:
            # It is where it was, or it is another file, of which nothing is said yet.
            above, name = origin
            if above.get(name) is not file:
                file.origin = None
        return file.origin

    def _note_survivor(self, node: Node) -> None:
        """Note of all directories that are gone that this was in them."""
        origin = node.origin
        above = origin[0] if origin is not None else None
        while above is not None and not self._is_alive(above):
            self._inside.setdefault(above, {})[node] = None
            self._dead_around.setdefault(node, []).append(above)
            origin = above.origin
            above = origin[0] if origin is not None else above.parent

    def _bury_first(self) -> None:
        """Say of what is gone before anything is said to have moved."""
        for directory, name in self._graves:
            if directory.touched is None or directory.touched[name] is not None:
                continue
            gone = directory.had(name)
            if self._is_dead(directory, name, gone) and not self._inside.get(
                gone  # type: ignore[arg-type]
            ):
                before = len(self._changes)
                self._delete(directory, name, gone)
                for change in self._changes[before:]:
                    self._buried_first.append((directory, change))
                del self._changes[before:]

    # ---- the tree as it is after the changes so far --------------------------------

    def _get(self, directory: Directory, name: str) -> Found:
        now = self._now.get(directory)
        if now is not None and name in now:
            return now[name]
        was = self._was.get(directory, directory)
        if was is directory and directory.is_new:
            return False
        entry = was.had(name)
        return self._survivors.get((was, name), entry) if entry is True else entry

    def _set(self, directory: Directory, name: str, node: Found) -> None:
        self._now.setdefault(directory, {})[name] = node

    def _place_now(self, node: Directory) -> Place:
        """Where a directory is at present."""
        if node in self._waiting or not self._is_alive(node):
            if node.origin is not None:
                above, name = node.origin
            else:
                assert node.parent is not None
                above, name = node.parent, node.name
        else:
            assert node.parent is not None
            above, name = node.parent, node.name
        return self._became.get(above, above), name

    def _path(self, directory: Directory, name: str) -> str:
        names = [name]
        while directory is not self._top:
            directory, name = self._place_now(directory)
            names.append(name)
        root = names.pop()
        names.reverse()
        return join(root, "/".join(names)) if names else root

    def _is_dead(self, directory: Directory, name: str, entry: Found) -> bool:
        if isinstance(entry, Directory):
            return not self._is_alive(entry)
        if entry is True:
            was = self._was.get(directory, directory)
            return (was, name) not in self._survivors
        return False

    def _above(self, directory: Directory | None) -> list[Directory]:
        above = []
        while directory is not None:
            above.append(directory)
            directory = directory.parent
        return above

    # ---- placing -------------------------------------------------------------------

    def _place(self, first: Node) -> None:
        stack: dict[Node, None] = {first: None}
        while stack:
            node = next(reversed(stack))
            blocker = self._blocker(node)
            if blocker is None:
                if self._waiting.pop(node, False) is None:
                    self._put(node)
                del stack[node]
            elif blocker in stack:
                nodes = list(stack)
                self._forget_one(nodes[nodes.index(blocker) :])
                stack = {first: None}  # who waits for whom is different now
            else:
                stack[blocker] = None

    def _blocker(self, node: Node) -> Node | None:
        """Return what has to be placed before this can be."""
        if node not in self._waiting:
            return None
        directory, name = self._places[node]
        for above in reversed(self._above(directory)):
            if above in self._waiting:
                return above
        entry = self._get(directory, name)
        if isinstance(entry, bool) or entry is node:
            return None
        if isinstance(entry, File) or self._is_alive(entry):
            return entry
        if isinstance(node, Directory) and node.is_new:
            return None
        return next(iter(self._inside.get(entry, ())), None)

    def _put(self, node: Node) -> None:
        directory, name = self._places[node]
        entry = self._get(directory, name)
        self._leave_dead(node)
        if isinstance(node, File):
            self._put_file(node, directory, name, entry)
        elif entry is not node:
            self._put_directory(node, directory, name, entry)

    def _put_file(
        self, file: File, directory: Directory, name: str, entry: Found
    ) -> None:
        if file in self._settings.held:
            self._hold(file, directory, name, entry)
            return
        if entry is not file:
            if isinstance(entry, Directory):
                self._delete(directory, name, entry)
                entry = _NOTHING
            self._bring_file(file, directory, name, entry)
            self._set(directory, name, file)
        if file.modified and (file.origin is not None or entry is True):
            self._say("modified", self._path(directory, name))

    def _hold(self, file: File, directory: Directory, name: str, entry: Found) -> None:
        if entry is not file and file.origin is not None:
            self._forget_file(file)
        if isinstance(entry, Directory):
            self._delete(directory, name, entry)
        elif entry is not _NOTHING:
            self.kept.add(file)

    def _bring_file(
        self, file: File, directory: Directory, name: str, entry: Found
    ) -> None:
        if file.origin is not None:
            self._move_file(file, directory, name)
        elif entry is _NOTHING:
            self._say("added", self._path(directory, name))
        elif not self._is_as_before(file, directory, name):
            file.modified = True

    def _move_file(self, file: File, directory: Directory, name: str) -> None:
        assert file.origin is not None
        old_directory, old_name = file.origin
        old_directory = self._became.get(old_directory, old_directory)
        old_path = self._path(old_directory, old_name)
        self._set(old_directory, old_name, _NOTHING)
        self._changes.append(
            Change("moved", self._path(directory, name), old_path, is_directory=False)
        )

    def _is_as_before(self, file: File, directory: Directory, name: str) -> bool:
        if not file.found or file.modified:
            return False
        was = self._was.get(directory, directory)
        return self._settings.is_unchanged(self._path(directory, name), was)

    def _put_directory(
        self, node: Directory, directory: Directory, name: str, entry: Found
    ) -> None:
        if isinstance(entry, Directory) and node.is_new:
            self._go_on_as(entry, node)
        else:
            if entry is not False:
                self._delete(directory, name, entry)
            if node.is_new:
                self._say_of_directory("added", self._path(directory, name))
            else:
                self._move_directory(node, directory, name)
        self._set(directory, name, node)

    def _go_on_as(self, entry: Directory, node: Directory) -> None:
        """Take a directory for the one that was at the same path: names decide."""
        self._became[entry] = node
        self._was[node] = entry
        # What has been moved out of the old one is not in the new one, either.
        self._now[node] = self._now.pop(entry, {})
        for name in entry.file_names():
            self._graves.append((node, name))
        for name in entry.directories or ():
            self._graves.append((node, name))

    def _move_directory(self, node: Directory, directory: Directory, name: str) -> None:
        assert node.origin is not None
        above, old_name = node.origin
        above = self._became.get(above, above)
        old_path = self._path(above, old_name)
        path = self._path(directory, name)
        self._set(above, old_name, _NOTHING)
        if self._settings.files_only:
            for below in self._files_below(node):
                self._changes.append(
                    Change("moved", path + below, old_path + below, is_directory=False)
                )
        else:
            self._changes.append(Change("moved", path, old_path, is_directory=True))

    def _leave_dead(self, node: Node) -> None:
        for directory in self._dead_around.pop(node, ()):
            self._inside[directory].pop(node, None)

    # ---- deleting ------------------------------------------------------------------

    def _bury(self, directory: Directory, name: str) -> None:
        entry = self._get(directory, name)
        if self._is_dead(directory, name, entry):
            now = directory.get(name)
            if not (isinstance(now, File) and now in self._settings.held):
                self._delete(directory, name, entry)

    def _delete(self, directory: Directory, name: str, entry: Found) -> None:
        path = self._path(directory, name)
        if not isinstance(entry, Directory):
            self._say("deleted", path)
        elif self._settings.files_only:
            for below in self._files_below(entry):
                self._say("deleted", path + below)
        else:
            self._say_of_directory("deleted", path)
        self._set(directory, name, _NOTHING)

    def _say(self, kind: str, path: str) -> None:
        """Say something of a file."""
        self._changes.append(Change(kind, path, None, is_directory=False))

    def _say_of_directory(self, kind: str, path: str) -> None:
        if not self._settings.files_only:
            self._changes.append(Change(kind, path, None, is_directory=True))

    def _files_below(self, directory: Directory) -> Iterable[str]:
        """Yield the paths of the files below a directory, as it is at present."""
        stack = [(directory, "")]
        while stack:
            above, path = stack.pop()
            was = self._was.get(above, above)
            names: dict[str, None] = {}
            if was is not above or not above.is_new:
                names.update(dict.fromkeys(was.file_names()))
                names.update(dict.fromkeys(was.directories or ()))
            names.update(dict.fromkeys(self._now.get(above, ())))
            for name in names:
                entry = self._get(above, name)
                if isinstance(entry, Directory):
                    stack.append((entry, f"{path}/{name}"))
                elif entry is not False:
                    yield f"{path}/{name}"

    # ---- cycles --------------------------------------------------------------------

    def _forget_one(self, cycle: list[Node]) -> None:
        """Take one of those that wait for each other for another thing."""
        files = [node for node in cycle if isinstance(node, File)]
        if files:
            self._forget_file(files[0])
            return
        candidates = [node for node in cycle if isinstance(node, Directory)]
        self._forget_directory(
            min(
                (each for each in candidates if not each.is_new),
                key=lambda each: len(each.files) + len(each.directories or ()),
            )
        )

    def _forget_file(self, file: File) -> None:
        assert file.origin is not None
        self._leave_dead(file)
        del self._survivors[file.origin]
        file.origin = None
        file.modified = False

    def _forget_directory(self, forgotten: Directory) -> None:
        """Take a directory for a new one; what has not left it goes with the old."""
        above, name = self._place_now(forgotten)
        self._leave_dead(forgotten)
        stack = [(forgotten, above, name)]
        moved: dict[Place, Node] = {
            node.origin: node for node in self._waiting if node.origin is not None
        }
        while stack:
            directory, above, name = stack.pop()
            dead = Directory(above, name)
            self._alive[dead] = False
            if self._alive.get(above, True):
                self._set(above, name, dead)
            else:
                above.fold(name, dead)
            for each in self._names_now(directory):
                below = self._bury_below(directory, each, dead, moved)
                if below is not None:
                    stack.append((below, dead, each))
            self._make_new(directory)
        for node in self._waiting:
            if node.origin is not None and not self._is_alive(node.origin[0]):
                self._note_survivor(node)

    def _bury_below(
        self,
        directory: Directory,
        name: str,
        dead: Directory,
        moved: dict[Place, Node],
    ) -> Directory | None:
        """Let what a name was be in a dead directory; return a directory to divide."""
        entry = self._get(directory, name)
        survivor = moved.get((directory, name))
        if entry is _NOTHING:
            return None
        if survivor is not None:
            self._survivors.pop((directory, name), None)
            survivor.origin = dead, name
            if isinstance(survivor, File):
                self._survivors[dead, name] = survivor
            dead.fold(name, survivor)
        elif not isinstance(entry, Directory):
            dead.fold(name, File(None))
            if directory.get(name) is True:
                self._add_again(directory, name)
        elif self._is_alive(entry):
            return entry
        else:
            entry.origin = dead, name
            dead.fold(name, entry)
        return None

    def _names_now(self, directory: Directory) -> list[str]:
        names = dict.fromkeys(directory.file_names())
        names.update(dict.fromkeys(directory.directories or ()))
        names.update(dict.fromkeys(self._now.get(directory, ())))
        return list(names)

    def _add_again(self, directory: Directory, name: str) -> None:
        file = File(None)
        self._places[file] = directory, name
        self._waiting[file] = None

    def _make_new(self, directory: Directory) -> None:
        assert directory.parent is not None
        directory.is_new = True
        directory.origin = None
        self._forgotten.add(directory)
        self._now.pop(directory, None)
        self._places[directory] = directory.parent, directory.name
        self._waiting[directory] = None
