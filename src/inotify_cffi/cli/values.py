"""The values of options."""

from __future__ import annotations

import errno
import os

from .. import syscalls
from .messages import PROGRAM, UsageError
from .records import ALL_EVENTS, EVENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Options

_EVENTS = {
    **EVENTS,
    "CLOSE": syscalls.IN_CLOSE,
    "MOVE": syscalls.IN_MOVE,
    "ALL_EVENTS": ALL_EVENTS,
    "ONESHOT": syscalls.IN_ONESHOT,
}
_LONGEST = 2**63 - 1  # a C long


def _take_events(options: Options, value: str) -> None:
    options.events |= parse_events(value)


def _take_timeout(options: Options, value: str) -> None:
    options.timeout = _seconds(value)


def _take_total(options: Options, value: str) -> None:
    options.total = _positive("--for", value)


def _take_debounce(options: Options, value: str) -> None:
    options.debounce = _positive("--debounce", value) / 1000


def _take_kill_after(options: Options, value: str) -> None:
    options.kill_after = _positive("--kill-after", value)


def _take_max_depth(options: Options, value: str) -> None:
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise UsageError(f"{PROGRAM}: --max-depth: '{value}' is no number above 0")
    options.max_depth = int(value)


def _take_ready_fd(options: Options, value: str) -> None:
    options.ready_fd = _descriptor(value)


def _take_glob(options: Options, value: str) -> None:
    if not value.lstrip("!"):
        raise UsageError(f"{PROGRAM}: --glob: '{value}' matches nothing")
    options.globs.append(value)


def _take_outfile(options: Options, value: str) -> None:
    if options.outfile is not None:
        raise UsageError("Multiple --outfile options given.")
    options.outfile = value


def _take_fromfile(options: Options, value: str) -> None:
    if options.fromfile is not None:
        raise UsageError("Multiple --fromfile options given.")
    options.fromfile = value


def parse_events(text: str) -> int:
    """Return the mask for names of events with commas between.

    Raises:
        UsageError: one is no event.

    >>> parse_events("Create,move") == syscalls.IN_CREATE | syscalls.IN_MOVE
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


def _seconds(text: str) -> float:
    """Return what ``--timeout`` gives: inotifywait's words where it is no number."""
    digits = text.lstrip(" \t\n\v\f\r")
    digits = digits[1:] if digits[:1] in ("+", "-") else digits
    if not _is_decimal(digits):
        what = (
            f"'{text}' is not a valid timeout value."
            if text
            else ("The provided value is not a valid timeout value.")
        )
        raise UsageError(f"{what}\nPlease specify a long int value.")
    if "." in digits:
        return float(text)
    if int(text) > _LONGEST or int(text) < -_LONGEST - 1:
        raise UsageError(
            "Something went wrong with the timeout value you provided.\n"
            f"{os.strerror(errno.ERANGE)}"
        )
    return int(text)


def _positive(name: str, text: str) -> float:
    if not _is_decimal(text):
        raise UsageError(f"{PROGRAM}: {name}: '{text}' is not a number")
    return min(float(text), _LONGEST)


def _is_decimal(text: str) -> bool:
    """Return whether text is digits, perhaps with one point."""
    digits = text.replace(".", "", 1)
    return digits.isascii() and digits.isdigit()


def _descriptor(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{PROGRAM}: --ready-fd: '{text}' is not a descriptor")
    number = int(text)
    try:
        os.fstat(number)
    except (OSError, OverflowError):
        raise UsageError(f"{PROGRAM}: --ready-fd: {text} is not open") from None
    return number


TAKERS = {
    "-e": _take_events,
    "--event": _take_events,
    "-t": _take_timeout,
    "--timeout": _take_timeout,
    "-o": _take_outfile,
    "--outfile": _take_outfile,
    "--fromfile": _take_fromfile,
    "--for": _take_total,
    "--debounce": _take_debounce,
    "--kill-after": _take_kill_after,
    "--max-depth": _take_max_depth,
    "--ready-fd": _take_ready_fd,
    "--glob": _take_glob,
}
