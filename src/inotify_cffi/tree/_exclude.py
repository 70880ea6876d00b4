"""`exclude`: the paths that are left out, decided once for each.

A name is decided when it is first met: by a scan or by an event. The decision belongs
to the name in its directory and moves with the directory: a rename of a directory above
changes no decision. A rename of the thing itself makes a new name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol, Union

if TYPE_CHECKING:
    from ._model import Directory


class ExcludePath(str):
    """The path that `exclude` is asked about: a str that knows what is there."""

    __slots__ = ("is_directory",)

    is_directory: bool
    """Whether it is a directory."""


def _path(path: str, *, is_directory: bool) -> ExcludePath:
    made = ExcludePath(path)
    made.is_directory = is_directory
    return made


class GitignoreSpec(Protocol):
    """The methods of pathspec's ``PathSpec`` that are used here."""

    def match_file(self, file: str) -> bool: ...


ExcludeArgument = Union[Callable[[ExcludePath], object], GitignoreSpec]

Question = Callable[[str, str, bool], bool]  # path, relative path, is_directory


def question(exclude: Any) -> Question | None:
    """Return the function that calls `exclude`.

    Parameters:
        exclude: None; a callable that takes a path, such as ``re.compile(…).search``;
            or pathspec's ``PathSpec`` or its method ``match_file``, which get the path
            relative to the root, that of a directory with a slash at the end, as
            gitignore(5) means it.

    Raises:
        TypeError: it is none of these.
    """
    if exclude is None:
        return None
    matcher = _gitignore_matcher(exclude)
    if matcher is not None:
        return lambda path, relative, is_directory: bool(
            matcher(f"{relative}/" if is_directory else relative)
        )
    if not callable(exclude):
        raise TypeError(
            f"exclude={exclude!r} is not callable: TreeWatcher takes a function of "
            "a path, such as re.compile(...).search, or a pathspec.PathSpec; "
            "watch(..., ignore=...) takes globs"
        )
    return lambda path, relative, is_directory: bool(
        exclude(_path(path, is_directory=is_directory))
    )


def _gitignore_matcher(exclude: Any) -> Callable[[str], object] | None:
    """Return ``match_file`` of an object that looks like pathspec's PathSpec.

    pathspec is not imported here: a caller with such an object has imported it.
    """
    owner = exclude
    if getattr(exclude, "__name__", None) == "match_file":
        owner = getattr(exclude, "__self__", None)
    matcher = getattr(owner, "match_file", None)
    return matcher if callable(matcher) and hasattr(owner, "patterns") else None


class Exclude:
    """The decisions. Not thread-safe.

    A directory of the model that has no excluded name costs nothing here.
    """

    def __init__(self, exclude: Any) -> None:
        """See `question` for ``exclude`` and the TypeError."""
        self._ask = question(exclude)
        self._excluded: dict[Directory, set[str]] = {}
        # The decisions about the paths that lead from one root to another.
        self._on_ways: dict[str, bool] = {}
        self._failures: list[Exception] = []  # one at most

    def __bool__(self) -> bool:
        """Whether there is anything to ask."""
        return self._ask is not None

    def decide(
        self,
        parent: Directory,
        name: str,
        path: str,
        relative: str,
        *,
        is_directory: bool,
    ) -> bool:
        """Decide about a name that is met; return whether it is out.

        When `exclude` raises, the name is in, and `take_failure` has the exception.
        """
        self.forget_name(parent, name)
        out = self._on_ways.get(path)
        if out is None:
            out = self._asked(path, relative, is_directory=is_directory)
        if out:
            self._excluded.setdefault(parent, set()).add(name)
        return out

    def decide_on_way(self, path: str, relative: str, *, is_directory: bool) -> bool:
        """Decide about a path on the way from one root to another, once for all."""
        if self._ask is None:
            return False
        out = self._on_ways.get(path)
        if out is None:
            out = self._on_ways[path] = self._asked(
                path, relative, is_directory=is_directory
            )
        return out

    def _asked(self, path: str, relative: str, *, is_directory: bool) -> bool:
        if self._ask is None:
            return False
        try:
            return self._ask(path, relative, is_directory)
        except Exception as failure:
            if not self._failures:
                self._failures.append(failure)
            return False

    def take_failure(self) -> Exception | None:
        """Take the first exception that `exclude` has raised since the last call."""
        return self._failures.pop() if self._failures else None

    def failures(self) -> Collection[Exception]:
        """Return what `take_failure` has, kept up to date."""
        return self._failures

    def is_out(self, parent: Directory, name: str) -> bool:
        """Return whether it was decided that a name is out."""
        return name in self._excluded.get(parent, ())

    def forget_name(self, parent: Directory, name: str) -> bool:
        """Forget the decision about a name that is gone; return whether it was out."""
        names = self._excluded.get(parent)
        if names is None or name not in names:
            return False
        names.discard(name)
        if not names:
            del self._excluded[parent]
        return True

    def forget(self, directory: Directory) -> None:
        """Forget a directory that has left the model."""
        self._excluded.pop(directory, None)

    def inherit(self, heir: Directory, directory: Directory) -> None:
        """Give a directory the decisions of the one that it replaces."""
        names = self._excluded.pop(directory, None)
        if names is not None:
            self._excluded[heir] = names

    def forget_all(self) -> None:
        self._excluded.clear()
