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
        print(f"inotify-cffi: {_describe(error)}", file=sys.stderr)
        status = 1
    sys.exit(status)


def _describe(error: OSError) -> str:
    if error.filename is None:
        return str(error.strerror)
    return f"{_printable(error.filename)}: {error.strerror}"


def _printable(path: str) -> str:
    return os.fsencode(path).decode(sys.stdout.encoding, "backslashreplace")


def _print_events(inotify: INotify, paths: list[str]) -> None:
    watched: dict[int, str] = {}
    for path in paths:
        watched[inotify.add_watch(path, masks.ALL_EVENTS)] = path
    for event in inotify:
        path = os.path.join(watched.get(event.wd, ""), event.name)
        print(_printable(path.rstrip("/") or "/"), mask_str(event.mask), flush=True)
        if event.mask & flags.IGNORED:
            watched.pop(event.wd, None)
            if not watched:
                return
