"""The table of `--stats`: how many events of which kind there were where."""

from __future__ import annotations

import os
import sys
from collections import Counter

from .. import flags
from .lines import printable
from .output import say
from .records import Record

_COUNTED = [
    flags.ACCESS,
    flags.MODIFY,
    flags.ATTRIB,
    flags.CLOSE_WRITE,
    flags.CLOSE_NOWRITE,
    flags.OPEN,
    flags.MOVED_FROM,
    flags.MOVED_TO,
    flags.MOVE_SELF,
    flags.CREATE,
    flags.DELETE,
    flags.DELETE_SELF,
    flags.UNMOUNT,
    flags.Q_OVERFLOW,
]


class Stats:
    """Counts events, as inotifywatch does."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[int]] = {}

    def count(self, record: Record) -> None:
        counts = self._counts.get(record.watched)
        if counts is None:
            counts = self._counts[record.watched] = Counter()
        counts[record.mask] += 1

    def rows(self) -> list[list[str]]:
        """Return the table, its head first; kinds that did not come are left out."""
        table = [
            (watched, [_count(counts, flag) for flag in _COUNTED])
            for watched, counts in self._counts.items()
        ]
        table.sort(key=lambda row: (-sum(row[1]), row[0]))
        came = [
            column
            for column in range(len(_COUNTED))
            if any(numbers[column] for _, numbers in table)
        ]
        kinds = [_COUNTED[column].name.lower() for column in came]
        rows = [["total", *kinds, "filename"]]
        for watched, numbers in table:
            shown = [str(numbers[column]) for column in came]
            rows.append([str(sum(numbers)), *shown, printable(watched)])
        return rows

    def show(self) -> None:
        """Write the table to standard error: with rich on a terminal."""
        if not self._counts:
            say("No events occurred.")
            return
        rows = self.rows()
        if os.isatty(2):
            try:
                _show_rich(rows)
                return
            except ImportError:
                pass
        for line in plain(rows):
            say(line)


def _count(counts: Counter[int], flag: int) -> int:
    return sum(count for mask, count in counts.items() if mask & flag)


def plain(rows: list[list[str]]) -> list[str]:
    """Return the lines of the table as inotifywatch lays it out."""
    widths = [max(map(len, column)) + 2 for column in zip(*rows)]
    widths[-1] = 0
    return [
        "".join(field.ljust(width) for field, width in zip(row, widths)) for row in rows
    ]


def _show_rich(rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    head, *body = rows
    table = Table()
    for title in head[:-1]:
        table.add_column(title, justify="right")
    table.add_column(head[-1], overflow="fold")
    for row in body:
        table.add_row(*row[:-1], Text(row[-1]))
    Console(file=sys.stderr).print(table)
