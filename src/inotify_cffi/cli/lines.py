"""inotifywait's lines: the ordinary one, CSV, and `--format`; and records for xargs."""

from __future__ import annotations

import time

from .records import EventWords, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

    Format = Callable[[Record], str]

_GREEN, _RED, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


def ordinary(end: str = "\n") -> Format:
    """Return the function that makes ``WATCHED EVENTS NAME`` of a record."""
    words = EventWords()
    return lambda record: f"{record.watched} {words[record.mask]} {record.name}{end}"


def for_people(coloured: bool) -> Format:
    """Return the function that makes the ordinary line, for a terminal.

    A name may hold what a terminal obeys; that is shown as an escape.
    """
    words = EventWords()

    def line(record: Record) -> str:
        events = words[record.mask]
        if coloured:
            events = f"{_colour(events)}{events}{_PLAIN}"
        watched, name = printable(record.watched), printable(record.name)
        return f"{watched} {events} {name}\n"

    return line


def _colour(events: str) -> str:
    if events.startswith(("CREATE", "MOVED_TO")):
        return _GREEN
    if events.startswith(("DELETE", "MOVED_FROM", "UNMOUNT", "Q_OVERFLOW")):
        return _RED
    return _YELLOW


def printable(text: str) -> str:
    """Return text as one line that a terminal only shows.

    >>> printable("a\\nb\\x1b\\udce9")
    'a\\\\nb\\\\x1b\\\\udce9'
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def paths(end: str) -> Format:
    """Return the function that makes only the path, for ``xargs -0``."""
    return lambda record: record.watched + record.name + end


def csv(end: str = "\n") -> Format:
    """Return the function that makes a line of comma-separated values."""
    words = EventWords()

    def line(record: Record) -> str:
        watched = _csv_field(record.watched)
        events = _csv_field(words[record.mask])
        comma = "," if watched else ""
        return f"{watched}{comma}{events},{_csv_field(record.name)}{end}"

    return line


def _csv_field(text: str) -> str:
    """Return a field as inotifywait has it: the `csv` module would not quote spaces.

    >>> [_csv_field(text) for text in ("a b", " a", 'a"b', "CREATE,ISDIR")]
    ['a b', '" a"', '"a""b"', '"CREATE,ISDIR"']
    """
    special = '"' in text or "," in text or "\n" in text
    if special or text.startswith(" ") or text.endswith(" "):
        return '"' + text.replace('"', '""') + '"'
    return text


def printf(layout: str, time_layout: str | None) -> Format:
    """Return the function that makes a record of ``--format``: see inotifywait(1).

    Parameters:
        layout: ``%w %f %e %Xe %T %c %0 %n %%``; any other % is itself.
        time_layout: for %T, as strftime(3) has it.

    Raises:
        ValueError: ``time_layout`` holds a NUL, or strftime does not take it.
    """
    # Whether Python's strftime takes a NUL is a question of its version.
    if "\0" in (time_layout or ""):
        raise ValueError("embedded null character")
    time.strftime(time_layout or "")
    makers = [_maker(token, time_layout or "") for token in _tokens(layout)]
    if len(makers) == 1:
        return makers[0]
    return lambda record: "".join([make(record) for make in makers])


def shows_events(layout: str) -> bool:
    """Return whether ``--format`` shows the names of events.

    >>> [shows_events(layout) for layout in ("%w%f", "%e", "%:e", "%%e")]
    [False, True, True, False]
    """
    return any(token[0] == "%" and token[-1] == "e" for token in _tokens(layout))


def _tokens(layout: str) -> Iterator[str]:
    """Divide ``--format`` into conversions, which begin with %, and text."""
    at = 0
    while at < len(layout):
        if layout[at] != "%":
            end = layout.find("%", at)
            end = len(layout) if end < 0 else end
        else:
            letter = layout[at + 1 : at + 2]
            known = letter in _CONVERSIONS or letter in ("e", "T")
            end = at + 2 + (not known and layout[at + 2 : at + 3] == "e")
        yield layout[at:end]
        at = end


def _maker(token: str, time_layout: str) -> Format:
    letter = token[1:2]
    if token[0] != "%":
        return _constant(token)
    if token[-1] == "e":
        return _events(letter if len(token) == 3 else ",")
    if letter == "T":
        return _now(time_layout)
    return _CONVERSIONS.get(letter) or _constant(token)


def _constant(text: str) -> Format:
    return lambda record: text


def _events(separator: str) -> Format:
    words = EventWords(separator)
    return lambda record: words[record.mask]


def _now(layout: str) -> Format:
    return lambda record: time.strftime(layout)


_CONVERSIONS: dict[str, Format] = {
    "w": lambda record: record.watched,
    "f": lambda record: record.name,
    "c": lambda record: f"{record.cookie:x}",
    "%": _constant("%"),
    "0": _constant("\0"),
    "n": _constant("\n"),
}
