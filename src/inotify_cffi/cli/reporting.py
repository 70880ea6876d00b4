"""From records to lines and the table."""

from __future__ import annotations

import os

from . import lines
from .messages import PROGRAM, Failure
from .output import Output, open_outfile, wants_colour
from .records import Q_OVERFLOW, READY, Record, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .lines import Format
    from .options import Options


class Reporter:
    """Writes records in the requested format.

    Parameters:
        options: what the command line asks for.
        say: writes a message.
        closed: the standard streams that were closed at the start.

    Raises:
        Failure: there is nowhere to write to, or strftime(3) refuses a format.
    """

    def __init__(
        self, options: Options, say: Callable[[str], None], closed: frozenset[int]
    ) -> None:
        self._outfile = options.outfile
        self._say = say
        self._out: Output | None = None
        self._format: Format | None = None
        if options.quiet < 2 and not (options.daemon and options.outfile is None):
            self._format = _format_of(options)
            self._out = self._open(closed)
        # Where no names of events are written, that of an overflow would look like
        # that of a path.
        if options.format is not None:
            self._shows_events = lines.shows_events(options.format)
        else:
            self._shows_events = options.json or options.csv or not options.null

    def _open(self, closed: frozenset[int]) -> Output:
        if self._outfile is not None:
            try:
                return Output(open_outfile(self._outfile))
            except OSError as error:
                where = lines.printable(self._outfile)
                raise Failure(
                    f"Failed to open output file {where}: {error.strerror}"
                ) from None
        if 1 in closed:
            raise Failure(f"{PROGRAM}: standard output is closed")
        return Output(1)

    @property
    def uses_standard_output(self) -> bool:
        """Whether records go there."""
        return self._out is not None and self._out.descriptor == 1

    def close(self) -> None:
        """Close the file of ``--outfile``."""
        if self._out is not None and self._out.descriptor != 1:
            os.close(self._out.descriptor)

    def report_ready(self) -> None:
        """Write the READY record."""
        self._write([Record("", "", READY, synthetic=True)])

    def report(self, records: list[Record]) -> None:
        """Write records.

        Raises:
            BrokenPipeError: nobody reads them.
            Failure: they cannot be written.
        """
        if self._shows_events and self._format is not None:
            self._write(records)
            return
        for record in records:
            if record.mask & Q_OVERFLOW:
                self._say(
                    f"{PROGRAM}: {lines.printable(path_of(record))}: the queue was "
                    "full, events are missing"
                )
        self._write([record for record in records if not record.mask & Q_OVERFLOW])

    def _write(self, records: list[Record]) -> None:
        if self._out is None or self._format is None:
            return
        try:
            self._out.write(list(map(self._format, records)))
        except BrokenPipeError:
            raise
        except OSError as error:
            where = self._outfile or "standard output"
            raise Failure(
                f"{PROGRAM}: {lines.printable(where)}: {error.strerror}"
            ) from None


def _format_of(options: Options) -> Format:
    end = options.end
    if options.json:
        from .json_lines import json_lines

        return json_lines(end)
    if options.csv:
        return lines.csv(end)
    if options.format is not None:
        try:
            return lines.printf(
                options.format + ("" if options.no_newline else end), options.timefmt
            )
        except ValueError as error:
            raise Failure(f"{PROGRAM}: --timefmt: {error}") from None
    if options.null:
        return lines.paths(end)
    if options.outfile is None and os.isatty(1):
        return lines.for_people(wants_colour(1))
    return lines.ordinary()
