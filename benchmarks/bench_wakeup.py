"""How long after an event does a blocked read return?

The reader asks another process for an event and blocks. The writer, the same C
program for all, waits until it surely has, writes what time it is into a file in
the watched directory, and thereby makes the event. The reader looks at its own
clock, and then at what is in the file. Both clocks are CLOCK_MONOTONIC. Where
the reader was late to block, the sample is taken again.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator

from . import libraries
from .c_program import compiled
from .contestants import Contestant, answering
from .events import Write, scratch_directory
from .harness import Case, Cases, Question, main
from .pace import Pace, waits_until_compiled

_SAMPLES = 25  # for each library in each round
_SURELY_ASLEEP = 50_000  # nanoseconds


class Sleeper:
    on_our_clock = False

    def __init__(self, library: type[libraries.Library], write: Write, go: int) -> None:
        self.name = library.name
        self._library = library
        self._write = write
        self._go = go
        self._warm = False

    def measure(self) -> list[float]:
        with libraries.watching(self._library, self._write) as instance:
            if not self._warm:
                self._samples(instance, waits_until_compiled())
                self._warm = True
            return self._samples(instance, _SAMPLES)

    def _samples(self, instance: libraries.Library, count: int) -> list[float]:
        samples: list[float] = []
        for _ in range(20 * count):
            os.write(self._go, b"x")
            entered = time.monotonic_ns()
            instance.wait()
            woken = time.monotonic_ns()
            sent = int.from_bytes(os.pread(self._write.fd, 8, 0), "little")
            if sent - entered > _SURELY_ASLEEP:
                samples.append(woken - sent)
                if len(samples) == count:
                    break
        if len(samples) < count:
            raise RuntimeError(f"{self.name} does not block in time: a busy machine?")
        return samples


@contextlib.contextmanager
def running_writer(path: str, scratch: str) -> Iterator[int]:
    """Run the writer; yield the descriptor that takes a byte for each event."""
    program = compiled("limit.c", tempfile.mkdtemp(dir=scratch))
    if program is None:
        raise RuntimeError("the writer is in C: there is no compiler")
    asked, go = os.pipe()
    with subprocess.Popen([program, "--write", path], stdin=asked):
        os.close(asked)
        try:
            yield go
        finally:
            os.close(go)  # ends the writer


def cases(pace: Pace) -> Cases:
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(scratch_directory())
        write = stack.enter_context(Write(scratch))
        go = stack.enter_context(running_writer(write.path, scratch))
        limit = stack.enter_context(
            answering("limit.c", scratch, write.directory, str(go), pass_fds=[go])
        )
        contestants: list[Contestant] = [
            Sleeper(library, write, go) for library in libraries.installed()
        ]
        contestants += limit("wake", _SAMPLES)
        yield Case("blocked read", contestants)


QUESTION = Question(
    name="wakeup",
    title="From an event to the end of the read that waited for it",
    unit="us",
    cases=cases,
    percentiles=(50, 90, 99),
)

if __name__ == "__main__":
    main(QUESTION)
