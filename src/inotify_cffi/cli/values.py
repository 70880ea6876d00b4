"""The values of options."""

from __future__ import annotations

import errno
import os

from .. import syscalls
from .messages import PROGRAM, UsageError
from .records import ALL_EVENTS, EVENTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_EVENTS = {
    **EVENTS,
    "CLOSE": syscalls.IN_CLOSE,
    "MOVE": syscalls.IN_MOVE,
    "ALL_EVENTS": ALL_EVENTS,
    "ONESHOT": syscalls.IN_ONESHOT,
}
_LONGEST = 2**63 - 1  # a C long


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


def _timeout(text: str) -> float:
    """Return the value of ``--timeout``; errors have inotifywait's words."""
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


def _number(text: str) -> float:
    """Return the number of an option of this command's own: seconds or milliseconds."""
    if not _is_decimal(text):
        raise UsageError(f"'{text}' is not a number")
    return min(float(text), _LONGEST)


def _milliseconds(text: str) -> float:
    return _number(text) / 1000


def _levels(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(f"'{text}' is no number above 0")
    return int(text)


def _glob(text: str) -> str:
    if not text.lstrip("!").strip("/"):
        raise UsageError(f"'{text}' matches nothing")
    return text


def _is_decimal(text: str) -> bool:
    """Return whether text is digits, perhaps with one point."""
    digits = text.replace(".", "", 1)
    return digits.isascii() and digits.isdigit()


def _descriptor(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"'{text}' is not a descriptor")
    number = int(text)
    try:
        os.fstat(number)
    except (OSError, OverflowError):
        raise UsageError(f"{text} is not open") from None
    return number


# The attribute of `Options` that an option sets, and what makes the value of a text.
_SET: dict[str, tuple[str, Callable[[str], object]]] = {
    "--timeout": ("timeout", _timeout),
    "--outfile": ("outfile", str),
    "--fromfile": ("fromfile", str),
    "--event": ("events", parse_events),
}
_SET_OF_OUR_OWN: dict[str, tuple[str, Callable[[str], object]]] = {
    "--for": ("total", _number),
    "--debounce": ("debounce", _milliseconds),
    "--kill-after": ("kill_after", _number),
    "--max-depth": ("max_depth", _levels),
    "--ready-fd": ("ready_fd", _descriptor),
    "--glob": ("globs", _glob),
}
_SHORT = {"-t": "--timeout", "-o": "--outfile", "-e": "--event"}


def value_of(name: str, text: str) -> tuple[str, object]:
    """Return the attribute of `Options` that an option sets, and its value.

    Raises:
        UsageError: the text is no such value.
    """
    name = _SHORT.get(name, name)
    if name in _SET:
        attribute, make = _SET[name]
        return attribute, make(text)
    attribute, make = _SET_OF_OUR_OWN[name]
    try:
        return attribute, make(text)
    except UsageError as error:
        raise UsageError(f"{PROGRAM}: {name}: {error}") from None
