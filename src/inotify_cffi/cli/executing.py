"""`--exec`: a command for records."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import time

from .records import Q_OVERFLOW, Record, event_names, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Callable

    from .signals import Signals

_PLACE = "{}"
# Of the words that paths make: what xargs takes, far from what exec(2) can.
_MOST_BYTES = 131072


class Command:
    """What ``--exec`` was given.

    Parameters:
        text: words, quoted as a shell has them; or with ``shell`` what sh is given.
        shell: whether sh runs it. Paths are its arguments then, and never part of
            the text, where what is in a name would be obeyed.

    Raises:
        ValueError: it is no command; the text says why.
    """

    def __init__(self, text: str, shell: bool) -> None:
        self._words = ["/bin/sh", "-c", text, "sh"] if shell else shlex.split(text)
        self._shell = shell
        if not text.strip() or not self._words:
            raise ValueError("there is no command")
        if shutil.which(self._words[0]) is None:
            raise ValueError(f"{self._words[0]}: command not found")
        self.name = "sh" if shell else self._words[0]
        self._takes_paths = shell or any(_PLACE in word for word in self._words)

    def runs(self, records: list[Record]) -> Iterator[list[Record]]:
        """Divide records into those that one run can take."""
        if not self._takes_paths:
            yield records
            return
        places = max(1, sum(word.count(_PLACE) for word in self._words))
        run: list[Record] = []
        size = 0
        for record in records:
            needed = places * (len(os.fsencode(path_of(record))) + 1)
            if run and size + needed > _MOST_BYTES:
                yield run
                run, size = [], 0
            run.append(record)
            size += needed
        yield run

    def start(
        self, records: list[Record], session: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start it.

        Parameters:
            records: what it is run for; the first is in its environment.
            session: whether it gets a session of its own, so that it can be ended
                with all that it starts.

        Raises:
            OSError: it cannot be started.
        """
        words = self.words_for([path_of(record) for record in records])
        environment = _environment(records)
        stdin = _no_input()
        try:
            return self._start(words, environment, session, stdin)
        finally:
            if stdin >= 0:
                os.close(stdin)

    def _start(
        self, words: list[str], environment: dict[str, str], session: bool, stdin: int
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                words, env=environment, start_new_session=session, stdin=stdin
            )
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        # A script without #!: execvp(3) and every shell give it to sh.
        path = shutil.which(words[0]) or words[0]
        return subprocess.Popen(
            ["/bin/sh", path, *words[1:]],
            env=environment,
            start_new_session=session,
            stdin=stdin,
        )

    def words_for(self, paths: list[str]) -> list[str]:
        """Return the words of a run for these paths."""
        if self._shell:
            return [*self._words, *paths]
        filled: list[str] = []
        for word in self._words:
            if _PLACE in word:
                filled += [word.replace(_PLACE, path) for path in paths]
            else:
                filled.append(word)
        return filled


def _environment(records: list[Record]) -> dict[str, str]:
    environment = os.environ.copy()
    for name in ("INOTIFY_PATH", "INOTIFY_EVENTS", "INOTIFY_OLD_PATH"):
        environment.pop(name, None)
    if records:
        first = records[0]
        environment["INOTIFY_PATH"] = path_of(first)
        environment["INOTIFY_EVENTS"] = ",".join(event_names(first.mask))
        if first.old_path is not None:
            environment["INOTIFY_OLD_PATH"] = first.old_path
    return environment


def _no_input() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # in a chroot without devices
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.close(writing)
        return reading


def _events_of(records: Iterable[Record]) -> list[Record]:
    """Return the records of events: an overflow is none, and has no path."""
    return [record for record in records if not record.mask & Q_OVERFLOW]


class Executor:
    """Runs the command for one record after another, and waits for each end.

    Parameters:
        command: what to run.
        signals: those that end this are given to the command first.
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
        """Run it for no record.

        Raises:
            Ended: a signal came meanwhile; the command has got it, and has ended.
        """
        self._run([])

    def run(self, records: list[Record]) -> None:
        """Run it for these records: once, if its arguments can take them.

        Raises:
            Ended: as `run_now`.
        """
        events = _events_of(records)
        if events:
            for each in self._command.runs(events):
                self._run(each)

    def seconds_left(self) -> float | None:
        """Return after how long to call `attend`, or None."""
        return None

    def attend(self) -> None:
        """Nothing: what it runs has ended when `run` returns."""

    def stop(self, number: int) -> None:
        """Nothing: as `attend`."""

    def _run(self, records: list[Record]) -> None:
        self._signals.hold()
        try:
            process = self._command.start(records)
            while process.poll() is None:
                for number in self._signals.take_held():
                    if not _came_from_keyboard(number):
                        process.send_signal(number)
                self._signals.wait([], None)
            _say_end(self._command, process.returncode, self._say)
        except OSError as error:
            self._say(f"inotify-cffi: {self._command.name}: {error.strerror}")
        finally:
            self._signals.release()


class Restarter:
    """Runs the command, and when there are new records ends it and runs it again.

    It has a session of its own, so that a signal reaches what it started, too.

    Parameters:
        command: what to run.
        signals: wait.
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
        """Start it for no record."""
        self._signals.hold()
        try:
            self._start([])
        finally:
            self._signals.release()

    def run(self, records: list[Record]) -> None:
        """End what runs, and start it for these records when it has ended."""
        events = _events_of(records)
        if not events:
            return
        self._signals.hold()
        try:
            if self._process is None:
                self._start(events)
                return
            if self._waiting is None:
                self._end(signal.SIGTERM)
            self._waiting = [*(self._waiting or []), *events]
        finally:
            self._signals.release()

    def seconds_left(self) -> float | None:
        """Return after how long to call `attend`, or None."""
        if self._kill_at is None:
            return None
        return max(0.0, self._kill_at - time.monotonic())

    def attend(self) -> None:
        """Do what is due: note that it ended, start it again, or kill it."""
        if self._process is not None:
            self._signals.hold()
            try:
                self._attend()
            finally:
                self._signals.release()

    def _attend(self) -> None:
        # Signals are held wherever Popen's methods run: an exception between two
        # steps of `poll` leaves its lock taken, and it would say for ever that the
        # command still runs.
        process = self._process
        if process is None:
            return
        if process.poll() is None:
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
            _say_end(self._command, process.returncode, self._say)
        else:
            self._start(waiting)

    def stop(self, number: int) -> None:
        """End what runs by a signal, and wait for that.

        Parameters:
            number: the first signal; after some time SIGKILL follows.
        """
        self._signals.hold()
        if self._process is not None:
            self._waiting = None
            self._end(number)
        while self._process is not None:
            self._signals.wait([], self.seconds_left())
            for number in self._signals.take_held():
                self._send(number)
            self._attend()

    def _start(self, records: list[Record]) -> None:
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


def _say_end(command: Command, status: int, say: Callable[[str], None]) -> None:
    if status < 0:
        say(f"inotify-cffi: {command.name}: ended by signal {-status}")
    elif status > 0:
        say(f"inotify-cffi: {command.name}: exit status {status}")


def _came_from_keyboard(number: int) -> bool:
    """Return whether the terminal has given a signal to the command as well.

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
