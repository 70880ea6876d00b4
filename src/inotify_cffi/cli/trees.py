"""Records of whole trees."""

from __future__ import annotations

import os

from .. import TreeWatcher
from .wording import Wording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from .. import TreeEvent
    from .filters import Filter
    from .records import Record


class Trees:
    """Whole trees: `TreeWatcher`.

    Parameters:
        paths: the roots. One that was given before, be it relative and then
            absolute, is reported by the name that it was first given by.
        mask: what is asked for.
        passes: what is reported; None: all.
        initial: report first what is there.
        whole_renames: report a rename inside the trees as one record with
            ``old_path``, not as the two that inotifywait has.
        recursive: watch what is below directories, too.
        one_file_system: watch nothing that is mounted below a root.
    """

    def __init__(
        self,
        paths: Sequence[str],
        mask: int,
        passes: Filter | None,
        *,
        initial: bool = False,
        whole_renames: bool = False,
        recursive: bool = True,
        one_file_system: bool = False,
    ) -> None:
        self._paths = _different(paths)
        self._passes = passes
        self._initial = initial
        self._recursive = recursive
        self._one_file_system = one_file_system
        self._lost = False  # a root, which may have come back
        self._go_on: Callable[[], None] | None = None
        self._failure: OSError | None = None
        self._watcher: TreeWatcher | None = None
        directories = [path for path in self._paths if os.path.isdir(path)]
        self._wording = Wording(
            mask,
            set(self._paths).difference(directories),
            directories,
            passes,
            initial=initial,
            whole_renames=whole_renames,
        )

    def fileno(self) -> int:
        assert self._watcher is not None
        return self._watcher.fileno()

    def establish(self, go_on: Callable[[], None] | None = None) -> None:
        """Watch the trees.

        Parameters:
            go_on: called again and again while that goes on.

        Raises:
            OSError: one cannot be watched, with its path; or, without a path,
                EMFILE, ENFILE or ENOMEM: the text says which limit it was.
        """
        self._go_on = go_on
        passes = self._passes
        if passes is not None:
            passes.refresh()
        # Without an exclude the watcher starts faster.
        asks = go_on is not None or (passes is not None and passes.may_prune)
        self._watcher = TreeWatcher(
            *self._paths,
            mask=self._wording.needed,
            exclude=self._excludes if asks else None,
            initial=self._initial,
            recursive=self._recursive,
            one_file_system=self._one_file_system,
        )
        self._go_on = None

    def _excludes(self, path: str) -> bool:
        is_directory = getattr(path, "is_directory", True)
        if self._go_on is not None:
            self._go_on()
        return self._passes is not None and self._passes.prunes(path, is_directory)

    @property
    def alive(self) -> bool:
        """Whether anything is left to watch.

        What was lost may come back, if something else is watched meanwhile. A file
        may be made again in its directory.
        """
        if self._watcher is None or not self._lost:
            return True
        missing = self._watcher.missing
        return len(missing) < len(self._watcher.roots) or any(
            os.path.isdir(os.path.dirname(path) or ".")
            for path in missing
            if self._wording.is_of_file(path)
        )

    def read(self) -> list[Record] | None:
        """Return the records of new events, without waiting; None if there are none.

        Raises:
            OSError: a directory cannot be watched or listed; what was read before
                that has been returned.
        """
        if not self.alive:
            return []
        events = self._read_events()
        if not events:
            return None
        wording = self._wording
        if not self._lost:
            self._lost = any(
                wording.ends_root(event) or wording.is_of_file(event.path)
                for event in events
            )
        return wording.records(events)

    def _read_events(self) -> list[TreeEvent]:
        assert self._watcher is not None
        if self._passes is not None:
            self._passes.refresh()
        if self._failure is None:
            try:
                return self._watcher.read(timeout=0)
            except OSError as error:
                self._failure = error
            try:
                events = self._watcher.read(timeout=0)  # what precedes the failure
            except OSError:
                events = []
            if events:
                return events
        raise self._failure

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()


def _different(paths: Sequence[str]) -> list[str]:
    """Return the paths without duplicates."""
    first: dict[str, str] = {}
    for path in paths:
        first.setdefault(os.path.abspath(path), path)
    return list(first.values())
