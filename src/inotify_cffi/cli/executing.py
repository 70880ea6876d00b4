"""`--exec`: the command is run for one record after another."""

from __future__ import annotations

import os
import signal

from .jobs import events_of, say_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .jobs import Command
    from .records import Record
    from .signals import Signals


class Executor:
    """Runs the command for one record after another, and waits for each end.

    Parameters:
        command: what to run.
        signals: `Signals.guard` was called. Those that end this are given to the
            command first.
        say: says how it ended.
    """

    def __init__(
        self, command: Command, signals: Signals, say: Callable[[str], None]
    ) -> None:
        self._command = command
        self._signals = signals
        self._say = say
        signals.watch_children()

    def run_now(self) -> None:
        """Run the command without a record.

        Raises:
            Ended: a signal came meanwhile; the command has got it, and has ended.
        """
        self._run([])

    def run(self, records: list[Record]) -> None:
        """Run it for these records: once, if its arguments can take them.

        Raises:
            Ended: as `run_now`.
        """
        events = events_of(records)
        if events:
            for each in self._command.runs(events):
                self._run(each)

    def seconds_left(self) -> float | None:
        """Return the time until `attend` has to be called, or None."""
        return None

    def attend(self) -> None:
        """Do nothing: the command has ended when `run` returns."""

    def stop(self, number: int) -> None:
        """Do nothing: the command has ended when `run` returns."""

    def _run(self, records: list[Record]) -> None:
        self._signals.check()
        try:
            process = self._command.start(records)
            while process.poll() is None:
                for number in self._signals.take_held():
                    if not _came_from_keyboard(number):
                        process.send_signal(number)
                self._signals.wait([], None)
            say_end(self._command, process.returncode, self._say)
        except OSError as error:
            self._say(f"inotify-cffi: {self._command.name}: {error.strerror}")
        self._signals.check()


def _came_from_keyboard(number: int) -> bool:
    """Return whether the terminal has sent a signal to the command as well.

    Ctrl-C goes to all of the foreground. (A SIGINT that somebody sent to this
    process alone, in the foreground of a terminal, is taken for one, too.)
    """
    if number != signal.SIGINT:
        return False
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
