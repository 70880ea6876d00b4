"""Watching everything that was requested, and reporting that it is watched."""

from __future__ import annotations

import errno
import os
import sys

from . import lines
from .messages import PROGRAM, Failure
from .output import write_all
from .paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    from .filters import Filter
    from .messages import Messages
    from .options import Options
    from .trees import Trees

    Source = Union[Paths, Trees]


def start(options: Options, passes: Filter | None, messages: Messages) -> Source:
    """Watch the paths.

    Parameters:
        options: what the command line asks for.
        passes: what is reported; None: all.
        messages: where messages go.

    Raises:
        Failure: a path cannot be watched.
        OSError: too many files are open.
    """
    if not options.quiet:
        beware = "  Beware: since -r was given, this may take a while!"
        messages.say(f"Setting up watches.{beware if options.recursive else ''}")
    try:
        if options.recursive:
            return _start_trees(options, passes, messages)
        follow = not options.no_dereference
        paths = Paths(options.paths, options.events, follow, passes)
        paths.establish()
        return paths
    except OSError as error:
        if error.filename is None:
            raise Failure(f"Couldn't initialize inotify: {error.strerror}") from None
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise Failure(f"Couldn't watch {describe(error)}") from None


def _start_trees(options: Options, passes: Filter | None, messages: Messages) -> Trees:
    import warnings

    from .trees import Trees

    def say_warning(message: Warning | str, *_: object, **__: object) -> None:
        if options.quiet < 2:
            messages.say(f"{PROGRAM}: {lines.printable(str(message))}")

    # Whatever -W says: a warning of ours is a message here, and said each time;
    # what Python itself finds is not for who runs a command.
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", UserWarning)
    warnings.showwarning = say_warning
    trees = Trees(
        options.paths,
        options.events,
        passes,
        initial=options.initial,
        whole_renames=options.json,
        recursive=options.max_depth != 1,
        one_file_system=options.one_file_system,
    )
    if options.quiet or options.syslog or sys.stderr is None or not os.isatty(2):
        trees.establish()
    else:
        _establish_with_progress(trees)
    return trees


def _establish_with_progress(trees: Trees) -> None:
    from .progress import Progress

    def write(text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)

    progress = Progress(write)
    try:
        trees.establish(progress.go_on)
    finally:
        progress.end()


def write_ready(descriptor: int) -> None:
    """Write to the descriptor of ``--ready-fd`` that all watches are in place."""
    try:
        write_all(descriptor, b"ready\n")
    except BrokenPipeError:  # nobody waits for it
        pass
    if descriptor > 2:
        os.close(descriptor)


def describe(error: OSError) -> str:
    """Return the path and the reason of an error, as one line."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return reason
    return f"{lines.printable(os.fsdecode(error.filename))}: {reason}"
