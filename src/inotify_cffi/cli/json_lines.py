"""JSON lines: an object for each event."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from .records import Record, event_names, path_of

_BILLION = 1_000_000_000


def json_lines(end: str = "\n") -> Callable[[Record], str]:
    """Return what makes a JSON object of a record.

    A name that is not text comes back whole through `json.loads` and
    `os.fsencode`: its bytes are surrogates, which ASCII JSON can escape.
    """
    quote = json.dumps
    clock = _Clock()
    events_of: dict[int, str] = {}

    # json.dumps of the whole takes about twice as long.
    def line(record: Record) -> str:
        mask = record.mask
        events = events_of.get(mask)
        if events is None:
            events = events_of[mask] = quote(event_names(mask))
        old_path = record.old_path
        return (
            f'{{"path": {quote(path_of(record))}, "events": {events}, '
            f'"old_path": {"null" if old_path is None else quote(old_path)}, '
            f'"cookie": {record.cookie or "null"}, '
            f'"synthetic": {"true" if record.synthetic else "false"}, '
            f'"time": "{clock.now()}"}}{end}'
        )

    return line


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
