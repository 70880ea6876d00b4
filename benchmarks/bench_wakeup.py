"""How long after an event does a blocked read return?

The reader asks another process for an event and blocks. The writer, the same C
program for all, waits until it surely has, and writes its time into a file in the
watched directory, which makes the event. The reader reads its own clock, and then the
file. Both clocks are CLOCK_MONOTONIC. Where the reader was late to block, the sample
is taken again. A spinner of SCHED_IDLE keeps each core awake, so that the software is
measured, and not how long the machine takes to wake a core.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from types import FunctionType

from . import libraries
from .candidates import COMPILES, Candidate, in_c, needed_program
from .harness import Budget, Case, Question
from .workloads import Write, scratch_directory

_SAMPLES = 25  # for each library in each round
_SURELY_ASLEEP = 50_000  # nanoseconds
# PyPy compiles a function after 1619 calls, and branches of it soon after.
_WAITS_UNTIL_COMPILED = 4000 if COMPILES else 0


class Sleeper:
    on_our_clock = False

    def __init__(self, library: type[libraries.Library], write: Write, go: int) -> None:
        self.name = library.name
        self._library = library
        self._write = write
        self._go = go
        self._first = _WAITS_UNTIL_COMPILED
        # PyPy compiles a loop for the types that it meets first. The libraries that
        # share a loop with another would begin each round in the interpreter.
        code = _delays.__code__.replace()
        self._delays = FunctionType(code, _delays.__globals__)

    def measure(self) -> list[float]:
        with libraries.watching(self._library, self._write) as instance:
            self._samples(instance, self._first)
            self._first = 0
            return self._samples(instance, _SAMPLES)

    def _samples(self, instance: libraries.Library, count: int) -> list[float]:
        samples: list[float] = self._delays(instance, self._write.fd, self._go, count)
        if len(samples) < count:
            raise RuntimeError(f"{self.name} does not block in time: a busy machine?")
        return samples


def _delays(instance: libraries.Library, file: int, go: int, count: int) -> list[float]:
    """Return how long after an event each wait ended, in nanoseconds."""
    samples: list[float] = []
    for _ in range(20 * count):
        os.write(go, b"x")
        entered = time.monotonic_ns()
        instance.wait()
        woken = time.monotonic_ns()
        sent = int.from_bytes(os.pread(file, 8, 0), "little")
        if sent - entered > _SURELY_ASLEEP:
            samples.append(woken - sent)
            if len(samples) == count:
                break
    return samples


@contextlib.contextmanager
def running_writer(path: str, scratch: str) -> Iterator[int]:
    """Run the writer; yield the descriptor that takes a byte for each event."""
    program = needed_program(tempfile.mkdtemp(dir=scratch))
    asked, go = os.pipe()
    with subprocess.Popen([program, "--write", path], stdin=asked):
        os.close(asked)
        try:
            yield go
        finally:
            os.close(go)  # ends the writer


@contextlib.contextmanager
def cores_awake(scratch: str) -> Iterator[None]:
    """Run a spinner on each core, which gives way to everybody else."""
    program = needed_program(tempfile.mkdtemp(dir=scratch))
    with contextlib.ExitStack() as stack:
        # One that is not ours is refused; PyPy does not say which are.
        for core in range(os.cpu_count() or 1):
            command = [program, "--spin", str(core)]
            stack.callback(stack.enter_context(subprocess.Popen(command)).kill)
        yield


def cases(budget: Budget) -> Iterator[Case]:
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        stack.enter_context(cores_awake(scratch))
        write = stack.enter_context(Write(scratch))
        go = stack.enter_context(running_writer(write.path, scratch))
        c = stack.enter_context(in_c(scratch, write.directory, str(go), pass_fds=[go]))
        candidates: list[Candidate] = [
            Sleeper(library, write, go) for library in libraries.installed()
        ]
        yield Case("blocked read", candidates + c("wake", _SAMPLES))


QUESTION = Question("wakeup", cases)
