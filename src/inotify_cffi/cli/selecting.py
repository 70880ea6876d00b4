"""What the command line leaves out."""

from __future__ import annotations

from .._posix_patterns import Pattern
from .filters import Filter
from .messages import PROGRAM, UsageError
from .options import Options


def fill_filter(options: Options) -> None:
    """Let the filter of the options leave out what they say.

    Raises:
        UsageError: an expression is none, or pathspec is not installed.
    """
    passes = options.passes
    for glob in options.globs:
        passes.add_glob(glob)
    if options.max_depth is not None:
        passes.limit_depth(options.max_depth)
    for name, expression in options.patterns:
        _add_pattern(passes, name, expression)
    if options.gitignore:
        from .gitignore import GitIgnore

        try:
            passes.ignore(GitIgnore(options.paths))
        except ImportError:
            raise UsageError(
                f"{PROGRAM}: --gitignore needs pathspec: "
                "pip install 'inotify-cffi[gitignore]'"
            ) from None


def _add_pattern(passes: Filter, name: str, expression: str) -> None:
    kind = name[2:].rstrip("i")
    try:
        pattern = Pattern(expression, ignore_case=name.endswith("i"))
    except ValueError as error:
        raise UsageError(f"Error in `{kind}' regular expression: {error}.") from None
    if kind == "exclude":
        passes.exclude(pattern)
    else:
        passes.include(pattern)
