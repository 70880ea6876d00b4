"""The paths that git ignores, by the library pathspec."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pathspec import GitIgnoreSpec

_FILE = ".gitignore"
_MOST_KNOWN = 10_000


class GitIgnore:
    """Knows what the .gitignore files leave out, of the roots and below them.

    Those above a root count up to the directory that holds .git. What was read of
    them is good until `refresh`.

    Parameters:
        roots: what is watched.
        git_directories: whether .git is left out, too.

    Raises:
        ImportError: pathspec is not installed.
    """

    def __init__(self, roots: Iterable[str], *, git_directories: bool = False) -> None:
        from pathspec import GitIgnoreSpec

        self._parse = GitIgnoreSpec.from_lines
        self._git_directories = git_directories
        self._specs: dict[str, GitIgnoreSpec | None] = {}
        self._answers: dict[str, bool] = {}
        self._tops = {os.path.abspath(root): _top(root) for root in roots}

    def ignores(self, path: str, *, is_directory: bool) -> bool:
        """Return whether git ignores a path, or a directory above it."""
        path = os.path.abspath(path)
        if path in self._tops:
            return False  # it was asked for by name
        above, _, name = path.rpartition("/")
        return (
            (self._git_directories and name == ".git")
            or (bool(above) and self._ignores_directory(above))
            or self._is_ignored(path, is_directory=is_directory)
        )

    def _ignores_directory(self, path: str) -> bool:
        answer = self._answers.get(path)
        if answer is None:
            if len(self._answers) > _MOST_KNOWN:
                self._answers.clear()
            answer = self._answers[path] = self.ignores(path, is_directory=True)
        return answer

    def _is_ignored(self, path: str, *, is_directory: bool) -> bool:
        """Check the files above a path, the nearest first, until one decides."""
        directory = path.rpartition("/")[0]
        while directory:
            spec = self._spec(directory)
            if spec is not None:
                relative = path[len(directory) + 1 :] + "/" * is_directory
                included = spec.check_file(relative).include
                if included is not None:
                    return bool(included)
            if directory in self._tops.values():
                break
            directory = directory.rpartition("/")[0]
        return False

    def _spec(self, directory: str) -> GitIgnoreSpec | None:
        if directory not in self._specs:
            self._specs[directory] = None
            try:
                with open(
                    f"{directory}/{_FILE}", encoding="utf-8", errors="surrogateescape"
                ) as file:
                    self._specs[directory] = self._parse(file)
            except OSError:
                pass
        return self._specs[directory]

    def refresh(self) -> None:
        """Read the files again where something is asked: they may have changed, or
        a directory that holds one was renamed."""
        self._specs.clear()
        self._answers.clear()


def _top(root: str) -> str:
    """Return the directory that holds .git, at or above a root; or the root."""
    path = top = os.path.abspath(root)
    while path:
        if os.path.lexists(f"{path}/.git"):
            return path
        path = path.rpartition("/")[0]
    return top
