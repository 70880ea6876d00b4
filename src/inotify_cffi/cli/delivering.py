"""The destinations of records: output, counts, and a command."""

from __future__ import annotations

from .messages import PROGRAM, Failure
from .reporting import Reporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Union

    from .executing import Executor
    from .options import Options
    from .records import Record
    from .restarting import Restarter
    from .signals import Signals
    from .stats import Stats

    Runner = Union[Executor, Restarter]

_KILL_AFTER = 10.0  # seconds


class Delivery:
    """Do what the options want done for records.

    Parameters:
        options: what the command line asks for.
        signals: end what is done, and are given to the command that runs.
        say: writes a message.
        closed: the standard streams that were closed at the start.

    Raises:
        Failure: there is nowhere to write to, or nothing that can be run.
    """

    def __init__(
        self,
        options: Options,
        signals: Signals,
        say: Callable[[str], None],
        closed: frozenset[int],
    ) -> None:
        self._signals = signals
        self._gathers = options.debounce is not None
        self._runner: Runner | None = None
        if options.exec is not None:
            self._runner = _make_runner(options.exec, options, signals, say)
        self._reporter = Reporter(options, say, closed)
        self._stats: Stats | None = None
        to_error = self._reporter.uses_standard_output or 1 in closed
        self._stats_to = 2 if to_error else 1

    def count(self) -> None:
        """Count records from here on."""
        from .stats import Stats

        self._stats = Stats()

    def report_ready(self) -> None:
        """Write the READY record."""
        self._reporter.report_ready()

    def run_now(self) -> None:
        """Run the command without a record."""
        if self._runner is not None:
            self._runner.run_now()

    def deliver(self, records: list[Record]) -> None:
        """Write records, count them, and run the command for them.

        Raises:
            BrokenPipeError: nobody reads them.
            Failure: they cannot be written.
            Ended: a signal came; the command that ran has ended.
        """
        if self._stats is not None:
            for record in records:
                self._stats.count(record)
        if self._runner is None:
            self._reporter.report(records)
        elif self._gathers:
            self._deliver(self._runner, records)
        else:
            for record in records:
                self._deliver(self._runner, [record])

    def _deliver(self, runner: Runner, records: list[Record]) -> None:
        with self._signals.raising:
            self._reporter.report(records)
        runner.run(records)

    def seconds_left(self) -> float | None:
        """Return the time until `attend` has to be called, or None."""
        return None if self._runner is None else self._runner.seconds_left()

    def attend(self) -> None:
        """Do the work that is due while nothing happens."""
        if self._runner is not None:
            self._runner.attend()

    def close(self, number: int) -> None:
        """End what runs, show what was counted, close the file that was written.

        Parameters:
            number: the signal that what runs is ended by.
        """
        if self._runner is not None:
            self._runner.stop(number)
        self._signals.release()
        if self._stats is not None:
            self._stats.show(self._stats_to)
        self._reporter.close()


def _make_runner(
    text: str, options: Options, signals: Signals, say: Callable[[str], None]
) -> Runner:
    from .jobs import Command

    try:
        command = Command(text, options.shell)
    except ValueError as error:
        raise Failure(f"{PROGRAM}: --exec: {error}") from None
    signals.guard()
    if options.restart:
        from .restarting import Restarter

        kill_after = options.kill_after
        if kill_after is None:
            kill_after = _KILL_AFTER
        return Restarter(command, signals, say, kill_after)
    from .executing import Executor

    return Executor(command, signals, say)
