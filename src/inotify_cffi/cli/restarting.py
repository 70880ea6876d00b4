"""`--exec` with `--restart`: the running command is ended, and run again."""

from __future__ import annotations

import os
import signal
import time

from .jobs import events_of, say_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Callable

    from .jobs import Command
    from .records import Record
    from .signals import Signals


class Restarter:
    """Runs the command, and when there are new records ends it and runs it again.

    It has a session of its own, so that a signal reaches what it started, too.

    Parameters:
        command: what to run.
        signals: wait; `Signals.guard` was called.
        say: says how it ended.
        kill_after: after so many seconds what got SIGTERM gets SIGKILL.
    """

    def __init__(
        self,
        command: Command,
        signals: Signals,
        say: Callable[[str], None],
        kill_after: float,
    ) -> None:
        self._command = command
        self._signals = signals
        self._say = say
        self._kill_after = kill_after
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[Record] | None = None
        self._kill_at: float | None = None
        signals.watch_children()

    def run_now(self) -> None:
        """Start the command without a record."""
        self._start([])

    def run(self, records: list[Record]) -> None:
        """End the command, and start it for these records after its end."""
        events = events_of(records)
        if not events:
            return
        if self._process is None:
            self._start(events)
            return
        if self._waiting is None:
            self._end(signal.SIGTERM)
        self._waiting = [*(self._waiting or []), *events]

    def seconds_left(self) -> float | None:
        """Return the time until `attend` has to be called, or None."""
        if self._kill_at is None:
            return None
        return max(0.0, self._kill_at - time.monotonic())

    def attend(self) -> None:
        """Do the work that is due: note the end, start it again, or kill it."""
        process = self._process
        if process is None:
            return
        if not self._has_ended(process):
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._kill_at = None
                self._say(
                    f"inotify-cffi: {self._command.name}: still runs "
                    f"{self._kill_after:g} s after it got a signal to end; killed"
                )
                self._send(signal.SIGKILL)
            return
        self._process = self._kill_at = None
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            say_end(self._command, process.returncode, self._say)
        else:
            self._start(waiting)

    def _has_ended(self, process: subprocess.Popen[bytes]) -> bool:
        """Return whether what runs has ended; if it was to end, all that it started
        gets SIGTERM as well: a shell lets SIGINT pass by what it has in the background.
        """
        if process.poll() is None:
            return False
        if self._kill_at is not None:
            # While anything is left in the group, its number is nobody else's.
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                pass
        return True

    def stop(self, number: int) -> None:
        """End the command by a signal, and wait for its end.

        Parameters:
            number: the first signal; after some time SIGKILL follows.
        """
        if self._process is not None:
            self._waiting = None
            self._end(number)
            # It may have ended before, and the wait that this signal has interrupted
            # has taken its SIGCHLD.
            self.attend()
        while self._process is not None:
            self._signals.wait([], self.seconds_left())
            for number in self._signals.take_held():
                self._send(number)
            self.attend()

    def _start(self, records: list[Record]) -> None:
        self._signals.check()
        run = next(self._command.runs(records))  # it is run once, whatever is left
        try:
            self._process = self._command.start(run, session=True)
        except OSError as error:
            self._say(f"inotify-cffi: {self._command.name}: {error.strerror}")

    def _end(self, number: int) -> None:
        self._kill_at = time.monotonic() + self._kill_after
        self._send(number)

    def _send(self, number: int) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, number)
