"""Placing new and moved things, in an order in which the changes apply.

The directories above a thing are placed first. A thing that is in the way goes first:
to its own place or, if it is gone, by a deletion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ._change import Settings
from ._identities import Identities
from ._nodes import Directory, File, Place
from ._report import Report
from ._tasks import Tasks
from ._working_tree import NOTHING, Found, Node, WorkingTree


class Placement:
    """Turn the former state into the present one: see `run`.

    Parameters:
        identities: which directory is which.
        dirty: the directories of the present state in which something was touched.
        settings: what is held back, and how changes are reported.
        forgotten_files: files that are taken for two, as `Identities` does directories.
    """

    def __init__(
        self,
        identities: Identities,
        dirty: Iterable[Directory],
        settings: Settings,
        forgotten_files: set[File],
    ) -> None:
        self._identities = identities
        self._settings = settings
        self._tree = WorkingTree(identities)
        self._report = Report(self._tree, settings)
        self.changes = self._report.changes
        tasks = Tasks(identities, self._tree, dirty, settings, forgotten_files)
        self._places = tasks.places
        self._waiting = dict(tasks.places)
        self._origins = tasks.origins
        self._former = tasks.former
        # The survivors of a directory that is gone; and the reverse.
        self._inside: dict[Directory, dict[Node, None]] = {}
        self._gone_around: dict[Node, list[Directory]] = {}
        self.kept: set[File] = set()
        """The files held back whose former state stays reported."""
        self.to_forget: list[Node] = []
        """The things to forget. If there are any, the changes are of no use."""
        for node in self._waiting:
            self._note_gone_around(node)

    def run(self) -> None:
        """Find the changes, or the things to forget first."""
        self._delete_first()
        while self._waiting:
            self._place(next(iter(self._waiting)))
        for directory, name in self._former:
            entry = self._tree.get(directory, name)
            if self._tree.is_gone(entry):
                self._report.delete(directory, name, entry)

    # ---- removed directories, and their survivors ---------------------------------

    def _note_gone_around(self, node: Node) -> None:
        """Note a survivor for all removed directories above it."""
        place = self._former_place(node)
        while place is not None and self._identities.is_gone(place[0]):
            above = place[0]
            self._inside.setdefault(above, {})[node] = None
            self._gone_around.setdefault(node, []).append(above)
            place = self._identities.former_place(above)

    def _former_place(self, node: Node) -> Place | None:
        if isinstance(node, File):
            return self._origins.get(node)
        return None if node.is_new else self._identities.former_place(node)

    # ---- placing -----------------------------------------------------------------

    def _delete_first(self) -> None:
        """Delete the things that are gone and not replaced, before anything moves."""
        filled = set(self._waiting.values())
        for directory, name in self._former:
            entry = self._tree.get(directory, name)
            if (
                (directory, name) not in filled
                and self._tree.is_gone(entry)
                and not (isinstance(entry, Directory) and self._inside.get(entry))
            ):
                self._report.delete(directory, name, entry)

    def _place(self, first: Node) -> None:
        """Place a thing, and before it the things that it waits for."""
        stack: dict[Node, None] = {first: None}
        while stack:
            node = next(reversed(stack))
            blocker = self._blocker(node)
            if blocker is None:
                if node in self._waiting:
                    self._put(node)
                del stack[node]
            elif blocker in stack:
                nodes = list(stack)
                self._forget_one(nodes[nodes.index(blocker) :])
                stack = {first: None}  # the things that wait are different now
            else:
                stack[blocker] = None

    def _blocker(self, node: Node) -> Node | None:
        """Return the thing that has to be placed before this one."""
        if node not in self._waiting:
            return None
        directory, name = self._waiting[node]
        blocker = None
        above = directory
        while above is not self._identities.top:
            if above in self._waiting:
                blocker = above  # the outermost
            place = self._places.get(above) or self._identities.former_place(above)
            above = place[0]
        if blocker is not None:
            return blocker
        entry = self._tree.get(directory, name)
        if isinstance(entry, bool) or entry is node:
            return None
        if isinstance(entry, Directory) and self._tree.is_gone(entry):
            return next(iter(self._inside.get(entry, ())), None)
        return entry if entry in self._waiting else None

    def _put(self, node: Node) -> None:
        directory, name = self._waiting.pop(node)
        self._leave_gone(node)
        entry = self._tree.get(directory, name)
        if isinstance(entry, Directory) or (entry and isinstance(node, Directory)):
            self._report.delete(directory, name, entry)
            entry = NOTHING
        if isinstance(node, Directory):
            self._put_directory(node, directory, name)
        elif node in self._settings.held:
            if entry is not NOTHING:
                self.kept.add(node)
                self._tree.set(directory, name, node)
        else:
            self._put_file(node, directory, name, entry)

    def _put_directory(self, node: Directory, directory: Directory, name: str) -> None:
        if node.is_new:
            self._report.add_directory(directory, name)
        else:
            old_place = self._identities.former_place(node)
            self._report.move_directory(node, old_place, (directory, name))
            self._tree.set(*old_place, NOTHING)
        self._tree.set(directory, name, node)

    def _put_file(
        self, file: File, directory: Directory, name: str, entry: Found
    ) -> None:
        origin = self._origins.get(file)
        modified = file.modified
        if entry is file:
            pass
        elif origin is not None:
            self._report.move_file(origin, (directory, name))
            self._tree.set(*origin, NOTHING)
        elif entry is NOTHING:
            self._report.add_file(directory, name)
            modified = False
        else:
            modified = modified or not self._is_as_before(file, directory, name)
        self._tree.set(directory, name, file)
        if modified:
            self._report.modify(directory, name)

    def _is_as_before(self, file: File, directory: Directory, name: str) -> bool:
        if not file.found or self.to_forget:
            return False
        path = self._tree.path(directory, name)
        return self._settings.is_unchanged(path, directory)

    def _leave_gone(self, node: Node) -> None:
        for directory in self._gone_around.pop(node, ()):
            del self._inside[directory][node]

    # ---- cycles ------------------------------------------------------------------

    def _forget_one(self, cycle: Sequence[Node]) -> None:
        """Choose one of a cycle of waiting things; continue as if it were placed.

        So all cycles are found in one round, or most: each costs time for all changes.
        """
        node: Node | None = None
        fewest = 0
        for each in cycle:
            if isinstance(each, File):
                node = each
                break
            names = len(each.files) + len(each.directories or ())
            # A new directory is in nothing's way, so there are others in each cycle.
            if not each.is_new and (node is None or names < fewest):
                node, fewest = each, names
        assert node is not None
        self.to_forget.append(node)
        self._report.stop()
        self._waiting.pop(node)
        self._leave_gone(node)
        if isinstance(node, File):
            self._tree.forget_file(self._origins[node])
        else:
            self._tree.set(*self._identities.former_place(node), NOTHING)
