"""From the command line to the exit status."""

from __future__ import annotations

import errno
import os
import sys
import time

from . import lines
from .messages import PROGRAM, Failure, HelpWanted, UsageError, say
from .options import Options, parse
from .output import write_all
from .records import Q_OVERFLOW, Record
from .reporting import Reporter
from .signals import Ended
from .sources import Paths, Trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Union

    from .background import Background
    from .executing import Executor, Restarter
    from .gathering import Gatherer
    from .signals import Signals
    from .stats import Stats

    Source = Union[Paths, Trees]

CAME, FAILED, TIMED_OUT = 0, 1, 2
_LONGEST = 2_000_000  # seconds: poll(2) takes milliseconds in an int
_KILL_AFTER = 10.0
_SIGTERM = 15


def run(
    arguments: list[str], signals: Signals, closed: frozenset[int] = frozenset()
) -> int:
    """Do what the command line says; return the exit status.

    Parameters:
        arguments: what is behind the name of the command.
        signals: what a wait ends by, and what ends the command.
        closed: the standard streams that were closed at the start.

    Raises:
        BrokenPipeError: nobody reads what is reported.
        Ended: a signal came.
    """
    command: _Command | None = None
    try:
        options = parse(arguments, closed)
        if options.selects:
            from .selecting import fill_filter

            fill_filter(options)
        background = _start_background() if options.daemon else None
        signals.open()
        command = _Command(options, signals, closed, background)
        with command:
            return command.run()
    except HelpWanted as wanted:
        write_all(1, str(wanted).encode())
        return CAME
    except BrokenPipeError:
        raise
    except (UsageError, Failure) as failure:
        text = str(failure)
    except OSError as error:
        text = f"{PROGRAM}: {_describe(error)}"
    except ImportError as error:  # where no more descriptors may be open
        text = f"{PROGRAM}: {error}"
    (command.complain if command else say)(text)
    return FAILED


def _start_background() -> Background:
    from .background import Background

    return Background.start()


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        return reason
    return f"{lines.printable(os.fsdecode(error.filename))}: {reason}"


class _Countdown:
    """A time that runs out.

    Parameters:
        seconds: how long it takes; None: for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = None if seconds is None else min(seconds, _LONGEST)
        self.restart()

    def restart(self) -> None:
        """Let it take as long from now on."""
        if self._seconds is not None:
            self._end = time.monotonic() + self._seconds

    def seconds_left(self) -> float | None:
        """Return how long it still takes: nothing when it has run out."""
        if self._seconds is None:
            return None
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether it has run out."""
        return self.seconds_left() == 0.0


class _Command:
    """What runs, from the options to its end."""

    def __init__(
        self,
        options: Options,
        signals: Signals,
        closed: frozenset[int],
        background: Background | None,
    ) -> None:
        self._options = options
        self._signals = signals
        self._closed = closed
        self._background = background
        self._say: Callable[[str], None] = say
        self._came = False  # an event that was asked for
        self._reporter: Reporter | None = None
        self._source: Source | None = None
        self._stats: Stats | None = None
        self._runner: Executor | Restarter | None = None
        self._gatherer: Gatherer | None = None
        if options.syslog:
            from .messages import syslog_writer

            self._say = syslog_writer()

    def complain(self, text: str) -> None:
        """Say why it ends: to who started it as well, while that one waits."""
        if self._background is not None:
            say(text)
        self._say(text)

    def __enter__(self) -> _Command:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._source is not None:
            self._source.close()
        if self._runner is not None:
            self._runner.stop(error.number if isinstance(error, Ended) else _SIGTERM)
        if self._stats is not None and self._reporter is not None:
            to_error = self._reporter.uses_standard_output or 1 in self._closed
            self._stats.show(2 if to_error else 1)
        if self._reporter is not None:
            self._reporter.close()

    def run(self) -> int:
        self._prepare()
        source = self._establish()
        if self._options.initial:
            status = self._take_initial(source)
            if status is not None:
                return status
        self._report_ready()
        if self._options.timeout < 0:
            raise Failure("Negative timeout specified - abort!")
        if self._runner is not None and self._options.now:
            self._runner.run_now()
        return self._watch(source)

    # ---- before it starts ------------------------------------------------------------

    def _prepare(self) -> None:
        """Make ready all that can fail before anything is watched."""
        options = self._options
        if options.exec is not None:
            self._runner = self._make_runner(options.exec)
        if options.debounce is not None:
            from .gathering import Gatherer

            self._gatherer = Gatherer(options.debounce)
        self._reporter = Reporter(options, self._say, self._closed)

    def _make_runner(self, text: str) -> Executor | Restarter:
        from .executing import Command, Executor, Restarter

        options = self._options
        try:
            command = Command(text, options.shell)
        except ValueError as error:
            raise Failure(f"{PROGRAM}: --exec: {error}") from None
        if not options.restart:
            return Executor(command, self._signals, self._say)
        kill_after = options.kill_after
        if kill_after is None:
            kill_after = _KILL_AFTER
        return Restarter(command, self._signals, self._say, kill_after)

    def _establish(self) -> Source:
        options = self._options
        if not options.quiet:
            beware = "  Beware: since -r was given, this may take a while!"
            self._say(f"Setting up watches.{beware if options.recursive else ''}")
        try:
            source = self._source = self._open_source()
            if isinstance(source, Trees) and self._shows_progress():
                self._establish_with_progress(source)
            else:
                source.establish()
        except OSError as error:
            if error.filename is None:
                raise Failure(
                    f"Couldn't initialize inotify: {error.strerror}"
                ) from None
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise Failure(f"Couldn't watch {_describe(error)}") from None
        if options.stats:
            from .stats import Stats

            self._stats = Stats()
        return source

    def _open_source(self) -> Source:
        options = self._options
        if not options.recursive:
            follow = not options.no_dereference
            return Paths(options.paths, options.events, follow, options.passes)
        import warnings

        # Whatever -W says: a warning of ours is a message here, and said each time;
        # what Python itself finds is not for who runs a command.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = self._say_warning
        return Trees(
            options.paths,
            options.events,
            options.passes,
            options.initial,
            whole_renames=options.json,
            recursive=options.max_depth != 1,
            one_file_system=options.one_file_system,
        )

    def _shows_progress(self) -> bool:
        options = self._options
        return not (options.quiet or options.syslog) and (
            sys.stderr is not None and os.isatty(2)
        )

    def _say_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        if self._options.quiet < 2:
            self._say(f"{PROGRAM}: {lines.printable(str(message))}")

    @staticmethod
    def _establish_with_progress(source: Trees) -> None:
        from .progress import Progress

        def write(text: str) -> None:
            print(text, end="", file=sys.stderr, flush=True)

        progress = Progress(write)
        try:
            source.establish(progress.go_on)
        finally:
            progress.end()

    def _take_initial(self, source: Source) -> int | None:
        """Report what is there. An event that came meanwhile may be the only one."""
        found = source.read() or []
        self._deliver(_asked(found))
        if self._options.monitor:
            return None
        events = [record for record in found if not record.synthetic]
        return _status(events[0]) if events else None

    def _report_ready(self) -> None:
        options = self._options
        if not options.quiet:
            self._say("Watches established.")
        if options.ready and self._reporter is not None:
            self._reporter.report_ready()
        if options.ready_fd is not None:
            try:
                write_all(options.ready_fd, b"ready\n")
            except BrokenPipeError:  # nobody waits for it
                pass
            if options.ready_fd > 2:
                os.close(options.ready_fd)
        if self._background is not None:
            background, self._background = self._background, None
            background.go_on()

    # ---- while it watches ------------------------------------------------------------

    def _watch(self, source: Source) -> int:
        idle = _Countdown(self._options.timeout or None)
        total = _Countdown(self._options.total)
        while True:
            records = source.read()
            if records is not None:
                status = self._take(records, idle)
                if status is None and not source.alive:
                    status = self._take_gathered()
                    if status is None:
                        raise Failure(f"{PROGRAM}: nothing is left to watch")
            else:
                status = self._attend(idle, total)
                if status is None:
                    self._signals.wait(
                        [source.fileno()], self._seconds_left(idle, total)
                    )
            if status is not None:
                return status

    def _take(self, records: list[Record], idle: _Countdown) -> int | None:
        """Report records; return the exit status, if it ends now."""
        monitor = self._options.monitor
        if not monitor and self._gatherer is None:
            del records[1:]
        asked = _asked(records)
        if asked:
            idle.restart()
            self._came = True
        if self._gatherer is not None:
            self._gatherer.add(asked)
            return None
        self._deliver(asked)
        return None if monitor or not records else _status(records[0])

    def _attend(self, idle: _Countdown, total: _Countdown) -> int | None:
        """Do what is due while nothing happens; return the status, if it ends now."""
        if self._runner is not None:
            self._runner.attend()
        if self._gatherer is not None and self._gatherer.seconds_left() == 0.0:
            status = self._take_gathered()
            if status is not None:
                return status
        if not (idle.over or total.over):
            return None
        status = self._take_gathered()
        if status is not None:
            return status
        return CAME if self._came and not idle.over else TIMED_OUT

    def _take_gathered(self) -> int | None:
        """Report what was gathered; return the exit status, if that ends it."""
        records = [] if self._gatherer is None else self._gatherer.take()
        self._deliver(records)
        return CAME if records and not self._options.monitor else None

    def _seconds_left(self, idle: _Countdown, total: _Countdown) -> float | None:
        limited = [
            one.seconds_left()
            for one in (idle, total, self._gatherer, self._runner)
            if one is not None
        ]
        return min((one for one in limited if one is not None), default=None)

    def _deliver(self, records: list[Record]) -> None:
        """Report records, count them, and run the command for them."""
        if not records:
            return
        if self._stats is not None:
            for record in records:
                self._stats.count(record)
        assert self._reporter is not None
        if self._runner is None:
            self._reporter.report(records)
        elif self._gatherer is not None:
            self._reporter.report(records)
            self._runner.run(records)
        else:
            for record in records:
                self._reporter.report([record])
                self._runner.run([record])


def _asked(records: list[Record]) -> list[Record]:
    """Return what was asked for, and what is reported always."""
    return [record for record in records if record.asked or record.mask & Q_OVERFLOW]


def _status(record: Record) -> int:
    return CAME if record.asked else FAILED
