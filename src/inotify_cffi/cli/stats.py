"""The table of `--stats`: how many events of which kind there were where."""

from __future__ import annotations

import os
import sys
from collections import Counter

from .lines import printable
from .records import EVENTS, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

# inotifywatch's order: it has MOVE_SELF beside the other renames.
_COUNTED = [name for name in EVENTS if name not in ("IGNORED", "ISDIR", "MOVE_SELF")]
_COUNTED.insert(_COUNTED.index("CREATE"), "MOVE_SELF")


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
            (watched, [_count(counts, EVENTS[name]) for name in _COUNTED])
            for watched, counts in self._counts.items()
        ]
        table.sort(key=lambda row: (-sum(row[1]), row[0]))
        came = [
            column
            for column in range(len(_COUNTED))
            if any(numbers[column] for _, numbers in table)
        ]
        kinds = [_COUNTED[column].lower() for column in came]
        rows = [["total", *kinds, "filename"]]
        for watched, numbers in table:
            shown = [str(numbers[column]) for column in came]
            rows.append([str(sum(numbers)), *shown, printable(watched)])
        return rows

    def show(self, descriptor: int) -> None:
        """Write the table: with rich on a terminal.

        Parameters:
            descriptor: 1 for standard output, 2 for standard error.
        """
        stream = sys.stdout if descriptor == 1 else sys.stderr
        if stream is None:
            return
        if not self._counts:
            print("No events occurred.", file=stream, flush=True)
            return
        rows = self.rows()
        if os.isatty(descriptor):
            try:
                _show_rich(rows, stream)
                return
            except ImportError:
                pass
        print("\n".join(plain(rows)), file=stream, flush=True)


def _count(counts: Counter[int], flag: int) -> int:
    return sum(count for mask, count in counts.items() if mask & flag)


def plain(rows: list[list[str]]) -> list[str]:
    """Return the lines of the table as inotifywatch lays it out."""
    widths = [max(map(len, column)) + 2 for column in zip(*rows)]
    widths[-1] = 0
    return [
        "".join(field.ljust(width) for field, width in zip(row, widths)) for row in rows
    ]


def _show_rich(rows: list[list[str]], stream: TextIO) -> None:
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
    Console(file=stream).print(table)
