"""From the command line to the exit status."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time

from . import lines, output
from .options import PROGRAM, HelpWanted, Options, UsageError, parse
from .output import say
from .records import Q_OVERFLOW, READY, Record
from .sources import ALL_EVENTS, Paths, Trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    from .executing import Executor
    from .lines import Format
    from .signals import Bell
    from .stats import Stats

    Source = Union[Paths, Trees]

CAME, FAILED, TIMED_OUT = 0, 1, 2
_LONGEST = 2_000_000  # seconds: poll(2) takes milliseconds in an int


class _Failure(Exception):
    """What ends the command; the text is what to say."""


def run(arguments: list[str], bell: Bell) -> int:
    """Do what the command line says; return the exit status.

    Parameters:
        bell: waits, and is rung by signals.

    Raises:
        BrokenPipeError: nobody reads what is told.
    """
    try:
        options = parse(arguments)
        for remark in options.remarks:
            say(remark)
        with _Command(options, bell) as command:
            return command.run()
    except HelpWanted as wanted:
        output.write_all(1, str(wanted).encode())
        return CAME
    except (UsageError, _Failure) as failure:
        say(str(failure))
    except BrokenPipeError:
        raise
    except OSError as error:
        say(f"{PROGRAM}: {_describe(error)}")
    return FAILED


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        return reason
    return f"{lines.printable(os.fsdecode(error.filename))}: {reason}"


class _Command:
    def __init__(self, options: Options, bell: Bell) -> None:
        self._options = options
        self._bell = bell
        self._asked = options.events or ALL_EVENTS
        self._silent = options.quiet >= 2
        self._out = 1
        self._source: Source | None = None
        self._stats: Stats | None = None
        self._executor: Executor | None = None
        self._format: Format | None = None

    def __enter__(self) -> _Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()
        if self._stats is not None:
            self._stats.show()
        if self._out != 1:
            os.close(self._out)

    def run(self) -> int:
        self._prepare()
        source = self._establish()
        options = self._options
        timeout = None
        if options.initial:
            found = source.read() or []
            self._tell(found)
            if not options.monitor and any(not one.synthetic for one in found):
                return self._status(next(one for one in found if not one.synthetic))
        self._tell_ready()
        if options.timeout < 0:
            raise _Failure("Negative timeout specified - abort!")
        if options.timeout > 0:
            timeout = min(options.timeout, _LONGEST)
        while True:
            records = self._read(source, timeout)
            if records is None:
                return TIMED_OUT
            if not options.monitor and records:
                self._tell(records[:1])
                return self._status(records[0])
            self._tell(records)
            if not source.alive:
                raise _Failure(f"{PROGRAM}: nothing is left to watch")

    def _read(self, source: Source, timeout: int | None) -> list[Record] | None:
        """Return what happened: None when ``timeout`` seconds ran out."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            records = source.read()
            if records is not None:
                return records
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._bell.wait(source.fileno(), left)

    def _prepare(self) -> None:
        """Make ready all that can fail before anything is watched."""
        options = self._options
        if not self._silent:
            self._format = self._make_format()
        if options.exec is not None:
            from .executing import Executor

            try:
                self._executor = Executor(options.exec)
            except ValueError as error:
                raise _Failure(f"{PROGRAM}: --exec: {error}") from None
        if options.outfile is not None:
            try:
                self._out = output.open_outfile(options.outfile)
            except OSError as error:
                raise _Failure(
                    f"Failed to open output file {_describe(error)}"
                ) from None
        elif sys.stdout is None and not self._silent:
            raise _Failure(f"{PROGRAM}: standard output is closed")

    def _make_format(self) -> Format:
        options = self._options
        end = options.end
        if options.json:
            from .json_lines import json_lines

            return json_lines(end)
        if options.csv:
            return lines.csv(end)
        if options.format is not None:
            try:
                return lines.printf(
                    options.format + ("" if options.no_newline else end),
                    options.timefmt,
                )
            except ValueError as error:
                raise _Failure(f"{PROGRAM}: --timefmt: {error}") from None
        if options.null:
            return lines.paths(end)
        if options.outfile is None and os.isatty(1):
            return lines.for_people(output.wants_colour(1))
        return lines.ordinary()

    def _establish(self) -> Source:
        options = self._options
        if not options.quiet:
            beware = "  Beware: since -r was given, this may take a while!"
            say(f"Setting up watches.{beware if options.recursive else ''}")
        try:
            source = self._open_source()
        except OSError as error:
            raise _Failure(f"Couldn't initialize inotify: {error.strerror}") from None
        self._source = source
        try:
            if isinstance(source, Trees) and self._shows_progress():
                self._establish_with_progress(source)
            else:
                source.establish()
        except OSError as error:
            if error.filename is None or error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise _Failure(f"Couldn't watch {_describe(error)}") from None
        if options.stats:
            from .stats import Stats

            self._stats = Stats()
        return source

    def _open_source(self) -> Source:
        options = self._options
        if not options.recursive:
            follow = not options.no_dereference
            return Paths(options.paths, self._asked, follow, options.passes)
        import warnings

        # Whatever -W says: a warning is a message here, and each is said once.
        warnings.simplefilter("always")
        warnings.showwarning = self._say_warning
        return Trees(
            options.paths,
            self._asked,
            options.passes,
            options.initial,
            whole_renames=options.json,
            counted=self._shows_progress(),
        )

    def _shows_progress(self) -> bool:
        return not self._options.quiet and sys.stderr is not None and os.isatty(2)

    def _say_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        if not self._silent:
            say(f"{PROGRAM}: {lines.printable(str(message))}")

    @staticmethod
    def _establish_with_progress(source: Trees) -> None:
        from .progress import Progress

        def write(text: str) -> None:
            print(text, end="", file=sys.stderr, flush=True)

        progress = Progress(source.fileno(), write)
        try:
            source.establish(progress.go_on)
        finally:
            progress.end()

    def _tell_ready(self) -> None:
        options = self._options
        if not options.quiet:
            say("Watches established.")
        if options.ready and self._format is not None:
            ready = Record("", "", READY, 0, None, True, True)
            self._write(self._format(ready))
        if options.ready_fd is not None:
            with contextlib.suppress(BrokenPipeError):  # nobody waits for it
                output.write_all(options.ready_fd, b"ready\n")
            if options.ready_fd > 2:
                os.close(options.ready_fd)

    def _tell(self, records: list[Record]) -> None:
        told = [one for one in records if one.asked or one.mask & Q_OVERFLOW]
        if not told:
            return
        if self._stats is not None:
            for record in told:
                self._stats.count(record)
        if self._executor is None:
            if self._format is not None:
                self._write("".join(map(self._format, told)))
            return
        for record in told:
            if self._format is not None:
                self._write(self._format(record))
            self._executor.run(record)

    def _write(self, text: str) -> None:
        try:
            output.write_all(self._out, os.fsencode(text))
        except BrokenPipeError:
            raise
        except OSError as error:
            where = self._options.outfile or "standard output"
            raise _Failure(
                f"{PROGRAM}: {lines.printable(where)}: {error.strerror}"
            ) from None

    def _status(self, record: Record) -> int:
        return CAME if record.asked else FAILED
