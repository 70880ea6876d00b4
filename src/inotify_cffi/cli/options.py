"""The command line, which is inotifywait's: getopt_long(3) and not argparse, which
takes a value that begins with a dash for an option (``-t -1``, ``--format -%f``)."""

from __future__ import annotations

import os
import sys

from .. import syscalls
from .messages import PROGRAM, HelpWanted, UsageError
from .records import ALL_EVENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHORT = "mrhcdsPq0t:fo:e:"
_LONG = [
    "help",
    "event=",
    "monitor",
    "quiet",
    "timeout=",
    "filename",
    "recursive",
    "csv",
    "daemon",
    "syslog",
    "no-dereference",
    "format=",
    "no-newline",
    "timefmt=",
    "fromfile=",
    "outfile=",
    "exclude=",
    "excludei=",
    "include=",
    "includei=",
    "json",
    "initial",
    "null",
    "ready",
    "ready-fd=",
    "exec=",
    "stats",
    "version",
    "debounce=",
    "for=",
    "gitignore",
    "glob=",
    "kill-after=",
    "max-depth=",
    "now",
    "one-file-system",
    "restart",
    "shell",
]
_SWITCHES = {
    "-d": "daemon",
    "-s": "syslog",
    "-m": "monitor",
    "-r": "recursive",
    "-c": "csv",
    "-P": "no_dereference",
    "-0": "null",
    "--monitor": "monitor",
    "--recursive": "recursive",
    "--csv": "csv",
    "--no-dereference": "no_dereference",
    "--null": "null",
    "--json": "json",
    "--initial": "initial",
    "--no-newline": "no_newline",
    "--ready": "ready",
    "--stats": "stats",
    "--daemon": "daemon",
    "--syslog": "syslog",
    "--gitignore": "gitignore",
    "--now": "now",
    "--one-file-system": "one_file_system",
    "--restart": "restart",
    "--shell": "shell",
}
_TEXTS = {
    "--format": "format",
    "--timefmt": "timefmt",
    "--exec": "exec",
}
_PATTERNS = ("--exclude", "--excludei", "--include", "--includei")
# The events of reading a file, as a command that is run for it may do.
_OF_READING = syscalls.IN_ACCESS | syscalls.IN_OPEN | syscalls.IN_CLOSE_NOWRITE
_DEBOUNCE_OF_RESTART = 0.05  # seconds: an editor saves a file within a few milliseconds


class Options:
    """The values of the options; times are in seconds."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.without: list[str] = []
        self.events = 0
        self.timeout = 0.0
        self.total: float | None = None
        self.debounce: float | None = None
        self.quiet = 0
        self.monitor = False
        self.recursive = False
        self.no_dereference = False
        self.initial = False
        self.csv = False
        self.json = False
        self.null = False
        self.format: str | None = None
        self.no_newline = False
        self.timefmt: str | None = None
        self.fromfile: str | None = None
        self.outfile: str | None = None
        self.exec: str | None = None
        self.shell = False
        self.restart = False
        self.kill_after: float | None = None
        self.now = False
        self.daemon = False
        self.syslog = False
        self.gitignore = False
        self.globs: list[str] = []
        self.max_depth: int | None = None
        self.one_file_system = False
        self.stats = False
        self.ready = False
        self.ready_fd: int | None = None
        self.patterns: list[tuple[str, str]] = []

    @property
    def selects(self) -> bool:
        """Whether paths are left out."""
        return bool(
            self.patterns
            or self.without
            or self.globs
            or self.gitignore
            or self.max_depth is not None
        )

    @property
    def end(self) -> str:
        """The end of a record."""
        return "\0" if self.null else "\n"


def parse(arguments: list[str], closed: frozenset[int] = frozenset()) -> Options:
    """Parse the command line.

    Parameters:
        arguments: what is behind the name of the command.
        closed: the standard streams that were closed at the start.

    Raises:
        UsageError: it cannot be followed.
        HelpWanted: it asks for help.
        OSError: the file of ``--fromfile`` cannot be read.
    """
    options = Options()
    given, paths = _split(arguments)
    for name, value in given:
        _take(options, name, value)
    if options.ready_fd in closed:
        raise UsageError(f"{PROGRAM}: --ready-fd: {options.ready_fd} is not open")
    _check(options)
    _complete(options)
    _take_paths(options, paths)
    return options


def _split(arguments: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    # For its few messages getopt imports gettext, and that re: a tenth of the time
    # to "Watches established." Without it they are the same, in English.
    modules: dict[str, object] = sys.modules  # type: ignore[assignment]
    without_gettext = "gettext" not in modules
    if without_gettext:
        modules["gettext"] = None
    try:
        import getopt
    except ImportError:  # from Python 3.15 on it cannot do without
        pass
    finally:
        if without_gettext:
            del modules["gettext"]
    import getopt

    try:
        return getopt.gnu_getopt(arguments, _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UsageError(
            f"{PROGRAM}: {error.msg}; --help shows what there is"
        ) from None


def _complete(options: Options) -> None:
    """Set what an option implies, and what depends on others by default."""
    options.monitor = options.monitor or options.restart or options.daemon
    options.syslog = options.syslog or options.daemon
    if options.restart and options.debounce is None:
        options.debounce = _DEBOUNCE_OF_RESTART
    if not options.events:
        options.events = ALL_EVENTS
        if options.exec is not None:
            options.events &= ~_OF_READING


def _take(options: Options, name: str, value: str) -> None:
    if name in _SWITCHES:
        setattr(options, _SWITCHES[name], True)
    elif name in _TEXTS:
        setattr(options, _TEXTS[name], value)
    elif name in _PATTERNS:
        options.patterns.append((name, value))
    elif name in ("-q", "--quiet"):
        options.quiet += 1
    elif name in ("-h", "--help"):
        from .usage import HELP

        raise HelpWanted(HELP)
    elif name == "--version":
        from importlib.metadata import version

        raise HelpWanted(f"{PROGRAM} {version('inotify-cffi')}\n")
    elif name in ("-f", "--filename"):
        raise UsageError(
            "The '--filename' option no longer exists: what it enabled is on."
        )
    else:
        from .values import value_of

        _set(options, *value_of(name, value))


def _set(options: Options, attribute: str, value: Any) -> None:
    if attribute == "events":
        options.events |= value
    elif attribute == "globs":
        options.globs.append(value)
    elif attribute in ("outfile", "fromfile") and getattr(options, attribute):
        raise UsageError(f"Multiple --{attribute} options given.")
    else:
        setattr(options, attribute, value)


def _check(options: Options) -> None:
    """Refuse contradicting options, in inotifywait's words and order."""
    layout = options.format
    recursive_alone = {
        "--initial": options.initial,
        "--max-depth": options.max_depth is not None,
        "--one-file-system": options.one_file_system,
    }
    exec_alone = {
        "--shell": options.shell,
        "--restart": options.restart,
        "--now": options.now,
    }
    refusals = [
        (
            layout is not None and options.csv,
            "-c and --format cannot both be specified.",
        ),
        (
            options.json and (options.csv or layout is not None),
            "--json and --csv or --format cannot both be specified.",
        ),
        (
            layout is None and options.no_newline,
            "--no-newline cannot be specified without --format.",
        ),
        (
            options.null and options.no_newline,
            "--no-newline and --null cannot both be specified.",
        ),
        (
            layout is None and options.timefmt is not None,
            "--timefmt cannot be specified without --format.",
        ),
        (
            layout is not None and "%T" in layout and options.timefmt is None,
            "%T is in --format string, but --timefmt was not specified.",
        ),
        (
            layout == "" and options.no_newline,
            "Something is wrong with your format string.",
        ),
        (
            options.daemon and options.outfile is None and options.exec is None,
            "-o must be specified with -d.",
        ),
        (
            options.kill_after is not None and not options.restart,
            "--kill-after cannot be specified without --restart.",
        ),
        *(
            (given and not there, f"{name} cannot be specified without {needed}.")
            for there, needed, names in (
                (options.recursive, "--recursive", recursive_alone),
                (options.exec is not None, "--exec", exec_alone),
            )
            for name, given in names.items()
        ),
    ]
    for refused, words in refusals:
        if refused:
            raise UsageError(words)


def _take_paths(options: Options, paths: list[str]) -> None:
    for path in [*_read_paths(options.fromfile), *paths]:
        if path.startswith("@"):
            if path != "@":
                options.without.append(path[1:])
        elif path:
            options.paths.append(path)
    if not options.paths:
        raise UsageError("No files specified to watch!")


def _read_paths(name: str | None) -> list[str]:
    if name is None:
        return []
    if name != "-":
        with open(name, "rb") as file:
            data = file.read()
    elif sys.stdin is None:
        raise UsageError(f"{PROGRAM}: --fromfile: standard input is closed")
    else:
        data = sys.stdin.buffer.read()
    return [os.fsdecode(line) for line in data.split(b"\n")]
