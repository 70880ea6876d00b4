"""How long does the command take to its first line, and for each of very many?

`to the first line`: from the start of the program, over the message that it watches,
to the line of the event that is made then. `a line`: the program is stopped while
events are queued, half as many as the queue holds, and continued; until the last line
is read; and again, until there were 200,000 events. inotifywait has no JSON.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .candidates import Candidate
from .harness import Budget, Case, Question
from .workloads import scratch_directory

_EVENTS = 200_000
_AT_ONCE = 8_000  # half of what the queue holds by default


class _Running:
    """A program that watches ``directory``, from its start to its end."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        self._process = subprocess.Popen(
            [*command, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out = self._process.stdout.fileno()
        said = b""
        while b"Watches established." not in said:
            more = os.read(self._process.stderr.fileno(), 4096)
            if not more:
                raise RuntimeError(f"{command[0]} has ended: {said!r}")
            said += more

    def read_lines(self, count: int) -> None:
        while count > 0:
            printed = os.read(self._out, 1 << 20)
            if not printed:
                raise RuntimeError("the program has ended")
            count -= printed.count(b"\n")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


class FirstLine:
    """Times a program from its start to its first line."""

    on_our_clock = False

    def __init__(self, name: str, command: Sequence[str], directory: Path) -> None:
        self.name = name
        self._command = command
        self._directory = directory

    def measure(self) -> list[float]:
        start = time.perf_counter_ns()
        running = _Running(self._command, self._directory)
        os.utime(self._directory)
        running.read_lines(1)
        taken = time.perf_counter_ns() - start
        running.end()
        return [taken]


class Lines(FirstLine):
    """Times a program while it prints what was queued when it was stopped."""

    def measure(self) -> list[float]:
        # In turn, since the kernel merges equal neighbours.
        files = [self._directory / name for name in ("one", "other")]
        for file in files:
            file.touch()
        running = _Running(self._command, self._directory)
        taken = 0
        for _ in range(_EVENTS // _AT_ONCE):
            running.stop()
            for number in range(_AT_ONCE):
                os.utime(files[number % 2])
            start = time.perf_counter_ns()
            running.go_on()
            running.read_lines(_AT_ONCE)
            taken += time.perf_counter_ns() - start
        running.end()
        return [taken / _EVENTS]


def cases(budget: Budget) -> Iterator[Case]:
    programs = {"inotify_cffi": [sys.executable, "-m", "inotify_cffi"]}
    if theirs := shutil.which("inotifywait"):
        programs["inotifywait"] = [theirs]
    with scratch_directory() as scratch:
        for kind, label, *options in (
            (FirstLine, "to the first line"),
            (FirstLine, "to the first line with -r", "-r"),
            (Lines, "a line"),
            (Lines, "a line with -r", "-r"),
            (Lines, "a line of JSON", "--json"),
        ):
            arguments = ["-m", "-e", "attrib", *options]
            candidates: list[Candidate] = [
                kind(name, [*program, *arguments], Path(scratch))
                for name, program in programs.items()
                if name == "inotify_cffi" or "--json" not in options
            ]
            yield Case(label, candidates)


QUESTION = Question("command", cases, heavy_rounds=5)
