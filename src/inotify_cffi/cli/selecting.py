"""The filters of the command line."""

from __future__ import annotations

from .filters import Filter
from .messages import PROGRAM, UsageError
from .options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from .._filters import Matcher
    from .._gitignore import GitIgnore
    from .filters import Pattern


def make_filter(options: Options) -> Filter:
    """Return the filter of the options.

    Raises:
        UsageError: an expression is none, or pathspec is not installed.
    """
    roots = options.paths
    depth = options.max_depth
    # A path that is asked for by name is watched, whatever is left out.
    asked = {path.rstrip("/") or "/" for path in roots}
    return Filter(
        excludes=_patterns(options, "exclude"),
        includes=_patterns(options, "include"),
        exclude_globs=_matcher(
            [glob[1:] for glob in options.globs if glob[0] == "!"], roots
        ),
        include_globs=_matcher(
            [glob for glob in options.globs if glob[0] != "!"], roots
        ),
        ignored=_git_ignore(roots) if options.gitignore else None,
        is_too_deep=None if depth is None else _deeper_than(depth, roots),
        without=[
            path for path in options.without if (path.rstrip("/") or "/") not in asked
        ],
    )


def _patterns(options: Options, kind: str) -> list[Pattern]:
    from .. import _posix_patterns

    made: list[Pattern] = []
    for name, expression in options.patterns:
        if name.rstrip("i") != f"--{kind}":
            continue
        try:
            made.append(
                _posix_patterns.Pattern(expression, ignore_case=name.endswith("i"))
            )
        except ValueError as error:
            raise UsageError(
                f"Error in `{kind}' regular expression: {error}."
            ) from None
    return made


def _matcher(globs: list[str], roots: Sequence[str]) -> Matcher | None:
    if not globs:
        return None
    from .._filters import Matcher

    return Matcher(globs, roots, "--glob")


def _git_ignore(roots: Sequence[str]) -> GitIgnore:
    from .._gitignore import GitIgnore

    try:
        return GitIgnore(roots, git_directories=True)
    except ImportError:
        raise UsageError(
            f"{PROGRAM}: --gitignore needs pathspec: "
            "pip install 'inotify-cffi[gitignore]'"
        ) from None


def _deeper_than(levels: int, roots: Sequence[str]) -> Callable[[str], bool]:
    from .._filters import below

    tops = [root.rstrip("/") + "/" for root in roots]
    return lambda path: below(path, tops).count("/") >= levels
