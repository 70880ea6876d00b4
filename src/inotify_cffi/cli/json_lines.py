"""JSON lines: an object for each event."""

from __future__ import annotations

import json
import os
import sys
import time

from .records import Record, event_names, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_BILLION = 1_000_000_000


def json_lines(end: str = "\n") -> Callable[[Record], str]:
    """Return the function that makes a JSON object of a record.

    A name is read as UTF-8, in every locale. Bytes that are none are surrogates,
    which ASCII JSON can escape: it comes back whole through `json.loads` and
    ``encode("utf-8", "surrogateescape")``.
    """
    quote = json.dumps if sys.getfilesystemencoding() == "utf-8" else _quote_bytes
    clock = _Clock()
    events_of: dict[int, str] = {}

    # json.dumps of the whole takes about twice as long.
    def line(record: Record) -> str:
        mask = record.mask
        events = events_of.get(mask)
        if events is None:
            events = events_of[mask] = json.dumps(event_names(mask))
        old_path = record.old_path
        return (
            f'{{"path": {quote(path_of(record))}, "events": {events}, '
            f'"old_path": {"null" if old_path is None else quote(old_path)}, '
            f'"cookie": {record.cookie or "null"}, '
            f'"synthetic": {"true" if record.synthetic else "false"}, '
            f'"time": "{clock.now()}"}}{end}'
        )

    return line


def _quote_bytes(text: str) -> str:
    return json.dumps(os.fsencode(text).decode("utf-8", "surrogateescape"))


class _Clock:
    """The time as RFC 3339 has it: UTC, to the microsecond."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> str:
        second, rest = divmod(time.time_ns(), _BILLION)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{rest // 1000:06d}Z"
