"""The command line, which is inotifywait's: getopt_long(3) and not argparse, which
takes a value that begins with a dash for an option (``-t -1``, ``--format -%f``)."""

from __future__ import annotations

import errno
import getopt
import os
import sys

from .. import flags, masks
from .filters import Filter

PROGRAM = "inotify-cffi"

HELP = """\
Usage: inotify-cffi [OPTION]... PATH...
Tell what happens to files and directories: inotifywait's options and lines,
trees without gaps, JSON.

What is watched:
  PATH                   a file or a directory
  @PATH                  leave this out, with all below it
  --fromfile FILE        read more PATHs and @PATHs, one a line; `-': stdin
  -r, --recursive        watch whole trees: nothing in a new directory is lost,
                         renames are followed, a file is followed by its name
  -P, --no-dereference   watch a symbolic link itself
  --initial              with -r: tell first, as CREATE, what is there already

What is told:
  -e, --event EVENT      only this; again, or a list with commas, for more
  --exclude PATTERN      not of paths that match this POSIX extended regular
  --excludei PATTERN     expression; -i: whatever the case of letters
  --include PATTERN      only of paths that match
  --includei PATTERN

How it is told:
  --format FORMAT        %w watched  %f name  %e events  %Xe with X between them
                         %T time  %c cookie  %0 NUL  %n line feed  %% percent
  --timefmt FORMAT       of %T, as strftime(3) has it
  --no-newline           nothing at the end of --format
  -c, --csv              comma-separated values
  --json                 a JSON object a line: path, events, old_path, cookie,
                         synthetic, time
  -0, --null             end each record with NUL; it is the path alone, unless
                         --format, --csv or --json is given: for xargs -0
  -o, --outfile FILE     append to FILE instead of standard output
  --exec COMMAND         run COMMAND for each event, without a shell, one after
                         the other, with INOTIFY_PATH, INOTIFY_EVENTS and, of a
                         rename, INOTIFY_OLD_PATH in its environment
  --stats                a table at the end, on standard error
  -q, --quiet            no messages but errors; -qq: no events either

When it starts and ends:
  -m, --monitor          go on after the first event
  -t, --timeout SECONDS  end when nothing happens for so long; 0: never
  --ready                tell a record READY, of no path, when all is watched
  --ready-fd N           write "ready" to descriptor N, and close it, then
  -h, --help             show this
  --version              show the version

Events: access modify attrib close_write close_nowrite close open moved_to
  moved_from move move_self create delete delete_self unmount; and always
  Q_OVERFLOW: events are missing. With -r, CREATEs tell what is there then.

Exit status:
  0  an event came that was asked for
  1  an error, or nothing is left to watch
  2  the time of --timeout ran out
  A signal (Ctrl-C, SIGTERM, a closed pipe) ends it as it ends any program.

Examples:
  inotify-cffi -e close_write upload && echo 'the first upload is here'
  inotify-cffi -mrq --json -e create,move,delete /srv/incoming | jq -r .path
  inotify-cffi -mq -0 -e close_write,moved_to spool | xargs -0 -n1 ./process
"""

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
]
_SWITCHES = {
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
}
_EVENTS = {
    **{flag.name: int(flag) for flag in flags.from_mask(masks.ALL_EVENTS)},
    **{mask.name: int(mask) for mask in masks},
    # These inotifywait accepts, too.
    "UNMOUNT": int(flags.UNMOUNT),
    "Q_OVERFLOW": int(flags.Q_OVERFLOW),
    "IGNORED": int(flags.IGNORED),
    "ISDIR": int(flags.ISDIR),
    "ONESHOT": int(flags.ONESHOT),
}
_LONGEST = 2**63 - 1  # a C long


class UsageError(Exception):
    """The command line cannot be followed; the text is what to say."""


class HelpWanted(Exception):
    """Only help, or the version, is wanted; the text is what to show."""


class Options:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.without: list[str] = []
        self.events = 0
        self.timeout = 0
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
        self.stats = False
        self.ready = False
        self.ready_fd: int | None = None
        self.patterns: dict[str, str] = {}
        self.passes = Filter(None, False, False)
        self.remarks: list[str] = []

    @property
    def end(self) -> str:
        """What ends a record."""
        return "\0" if self.null else "\n"


def parse(arguments: list[str]) -> Options:
    """Parse the command line.

    Raises:
        UsageError: it cannot be followed.
        HelpWanted: it asks for help.
        OSError: the file of ``--fromfile`` cannot be read.
    """
    try:
        given, paths = getopt.gnu_getopt(arguments, _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UsageError(
            f"{PROGRAM}: {error.msg}; --help tells what there is"
        ) from None
    options = Options()
    repeated: dict[str, int] = {}
    for name, value in given:
        repeated[name] = repeated.get(name, 0) + 1
        _take(options, name, value)
    for name in ("--exclude", "--excludei", "--include", "--includei"):
        if repeated.get(name, 0) > 1:
            options.remarks.append(
                f"{name}: only the last option will be taken into consideration."
            )
    _check(options)
    options.passes = _filter(options)
    _take_paths(options, paths)
    return options


def _take(options: Options, name: str, value: str) -> None:
    if name in _SWITCHES:
        setattr(options, _SWITCHES[name], True)
    elif name in ("-q", "--quiet"):
        options.quiet += 1
    elif name in ("-e", "--event"):
        options.events |= parse_events(value)
    elif name in ("-t", "--timeout"):
        options.timeout = _seconds(value)
    elif name in ("--format", "--timefmt", "--exec"):
        setattr(options, name[2:], value)
    elif name in ("--exclude", "--excludei", "--include", "--includei"):
        options.patterns[name] = value
    elif name in ("-o", "--outfile", "--fromfile"):
        name = "outfile" if name == "-o" else name[2:]
        if getattr(options, name) is not None:
            raise UsageError(f"Multiple --{name} options given.")
        setattr(options, name, value)
    elif name == "--ready-fd":
        options.ready_fd = _descriptor(value)
    elif name in ("-h", "--help"):
        raise HelpWanted(HELP)
    elif name == "--version":
        from importlib.metadata import version

        raise HelpWanted(f"{PROGRAM} {version('inotify-cffi')}\n")
    elif name in ("-f", "--filename"):
        raise UsageError(
            "The '--filename' option no longer exists: what it enabled is on."
        )
    else:
        raise UsageError(
            f"{PROGRAM}: {name} is not there: start this in the background, with "
            "--outfile, or as a service, whose messages go to the journal"
        )


def parse_events(text: str) -> int:
    """Return the mask for names of events with commas between.

    Raises:
        UsageError: one is no event.

    >>> parse_events("Create,move") == flags.CREATE | masks.MOVE
    True
    """
    mask = 0
    for word in text.split(",") if text else ():
        if word == "":  # so does inotifywait: the list asks for nothing then
            return 0
        if word.upper() not in _EVENTS or not word.isascii():
            raise UsageError(
                f"'{text}' is not a valid event!  Run with the '--help' option to "
                "see a list of events."
            )
        mask |= _EVENTS[word.upper()]
    return mask


def _seconds(text: str) -> int:
    digits = text.lstrip(" \t\n\v\f\r")
    digits = digits[1:] if digits[:1] in ("+", "-") else digits
    if not (digits.isascii() and digits.isdigit()):
        what = (
            f"'{text}' is not a valid timeout value."
            if text
            else ("The provided value is not a valid timeout value.")
        )
        raise UsageError(f"{what}\nPlease specify a long int value.")
    if int(text) > _LONGEST or int(text) < -_LONGEST - 1:
        raise UsageError(
            "Something went wrong with the timeout value you provided.\n"
            f"{os.strerror(errno.ERANGE)}"
        )
    return int(text)


def _descriptor(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{PROGRAM}: --ready-fd: '{text}' is not a descriptor")
    number = int(text)
    try:
        os.fstat(number)
    except (OSError, OverflowError):
        raise UsageError(f"{PROGRAM}: --ready-fd: {text} is not open") from None
    return number


def _check(options: Options) -> None:
    """Refuse what does not go together, in inotifywait's words and order."""
    given = options.patterns
    layout = options.format
    for refused, words in (
        (
            "--exclude" in given and "--excludei" in given,
            "--exclude and --excludei cannot both be specified.",
        ),
        (
            "--include" in given and "--includei" in given,
            "--include and --includei cannot both be specified.",
        ),
        (len(given) > 1, "include and exclude regexp cannot both be specified."),
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
            options.initial and not options.recursive,
            "--initial cannot be specified without --recursive.",
        ),
    ):
        if refused:
            raise UsageError(words)


def _filter(options: Options) -> Filter:
    if not options.patterns:
        return options.passes
    from .posix_regex import translate

    ((name, expression),) = options.patterns.items()
    kind = name[2:].rstrip("i")
    try:
        pattern, heedless = translate(expression, ignore_case=name.endswith("i"))
    except ValueError as error:
        raise UsageError(f"Error in `{kind}' regular expression: {error}.") from None
    return Filter(pattern, kind == "include", heedless)


def _take_paths(options: Options, paths: list[str]) -> None:
    for path in [*_read_paths(options.fromfile), *paths]:
        if path.startswith("@"):
            if path != "@":
                options.without.append(path[1:])
        elif path:
            options.paths.append(path)
    if not options.paths:
        raise UsageError("No files specified to watch!")
    # What is asked for by name is watched, whatever is left out.
    asked = {path.rstrip("/") or "/" for path in options.paths}
    options.passes.leave_out(
        path for path in options.without if (path.rstrip("/") or "/") not in asked
    )


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
