"""The command: ``python -m inotify_cffi PATH...`` prints a line for each event."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from . import INotify, flags, mask_str, masks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Watch the paths given, print their events, until Ctrl-C.

    Exits with 1 and one line on standard error for a path that cannot be
    watched.
    """
    parser = argparse.ArgumentParser(
        prog="inotify-cffi",
        description="Print a line for each event of the paths, until Ctrl-C.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="what to watch")
    paths = parser.parse_args(arguments).paths
    try:
        with INotify() as inotify:
            _print_events(inotify, paths)
        status = 0
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except BrokenPipeError:
        # Python flushes standard output once more at exit: let that succeed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if sys.stderr is not None:  # else print() would take standard output
            print(f"inotify-cffi: {_describe(error)}", file=sys.stderr)
        status = 1
    sys.exit(status)


def _describe(error: OSError) -> str:
    if error.filename is None:
        return str(error.strerror)
    return f"{_printable(error.filename)}: {error.strerror}"


def _printable(path: str) -> str:
    """Return a path as one line that can be written, whatever is in it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = os.fsencode(path).decode(encoding, "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _print_events(inotify: INotify, paths: list[str]) -> None:
    watched: dict[int, str] = {}
    for path in paths:
        watched[inotify.add_watch(path, masks.ALL_EVENTS)] = path
    for event in inotify:
        words = [mask_str(event.mask)]
        if event.wd in watched:
            path = os.path.join(watched[event.wd], event.name)
            words.insert(0, _printable(path.rstrip("/") or "/"))
        print(*words, flush=True)
        if event.mask & flags.IGNORED:
            watched.pop(event.wd, None)
            if not watched:
                return
