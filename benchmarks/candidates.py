"""The candidates: a library's statement, the clock itself, a C program."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Callable, Protocol

from .libraries import Library, installed, watching
from .workloads import Workload

CLOCK = "the clock itself"
COMPILES = sys.implementation.name == "pypy"
_LOOP = """\
def timed(loops, clock, prepare, check, {names}):
    nanoseconds = 0
    for _ in range(loops):
        prepare()
        result = None
        start = clock()
{statement}
        nanoseconds += clock() - start
        check(result)
    return nanoseconds
"""


def _calls_until_compiled(batch: int) -> int:
    """Return how often to run a loop before anything is measured.

    PyPy compiles a loop after 1039 passes, and branches of it soon after. Until then
    a read costs it about 10 us more, which matters little to a large batch.
    """
    return 1500 if COMPILES and batch <= 256 else 0


class Candidate(Protocol):
    name: str
    on_our_clock: bool
    """Whether the clock's own time is to be subtracted."""

    def measure(self) -> list[float]:
        """Return one or more values, times in nanoseconds."""


class _Timed:
    """A loop around one statement, compiled for it alone.

    The statement leaves its result in ``result``, which ``check`` is given and which
    is freed only in the next pass, before the clock starts.
    """

    on_our_clock = True

    def __init__(self, loops: int, batch: int, prepare: Callable[[], object]) -> None:
        self._loops = loops
        self._prepare = prepare
        self._first_calls = _calls_until_compiled(batch)
        self._timed: Any = None

    def _time(
        self,
        statement: str = "pass",
        names: dict[str, Any] | None = None,
        check: Callable[[Any], object] = bool,
    ) -> list[float]:
        names = names or {}
        if self._timed is None:
            indented = textwrap.indent(statement, " " * 8)
            source = _LOOP.format(names=", ".join(names), statement=indented)
            namespace: dict[str, Any] = {}
            exec(compile(source, f"<{statement}>", "exec"), namespace)
            self._timed = namespace["timed"]
            self._timed(
                self._first_calls, perf_counter_ns, self._prepare, check, **names
            )
        gc.collect()
        total = self._timed(self._loops, perf_counter_ns, self._prepare, check, **names)
        return [total / self._loops]


class Clock(_Timed):
    """Times nothing, after the same work."""

    name = CLOCK

    def __init__(self, loops: int, workload: Workload | None = None) -> None:
        super().__init__(loops, workload.batch if workload else 1, workload or int)

    def measure(self) -> list[float]:
        return self._time()


class Statement(_Timed):
    """Times a library's statement, each time after ``prepare``."""

    def __init__(
        self,
        library: type[Library],
        statement: str,
        workload: Workload,
        loops: int,
        prepare: Callable[[], object] = int,
        expect: int | None = None,
        **options: bool,
    ) -> None:
        super().__init__(loops, workload.batch, prepare)
        self.name = library.name
        self._library = library
        self._statement = statement
        self._workload = workload
        self._expect = expect
        self._options = options

    def measure(self) -> list[float]:
        with watching(self._library, self._workload, **self._options) as instance:

            def check(result: Any) -> None:
                if (count := instance.count(result)) != self._expect:
                    raise RuntimeError(f"{self.name}: {count} of {self._expect} events")

            names = instance.names(self._workload.batch)
            checked = bool if self._expect is None else check
            return self._time(self._statement, names, checked)


def readings(
    workload: Workload,
    loops: int,
    among: Iterable[type[Library]] | None = None,
    **options: bool,
) -> list[Candidate]:
    """Return the clock, and a reading of all events for each installed library."""
    candidates: list[Candidate] = [Clock(loops, workload)]
    for library in installed() if among is None else among:
        read, batch = library.read(workload.batch), workload.batch
        candidates.append(
            Statement(library, read, workload, loops, workload, batch, **options)
        )
    return candidates


# ---- C -------------------------------------------------------------------------------


class _InC:
    """Has a C program answer, which subtracts its own clock."""

    name = "C"
    on_our_clock = False

    def __init__(
        self, process: subprocess.Popen[str], command: str, *numbers: int
    ) -> None:
        self._process = process
        self._command = command, *numbers

    def measure(self) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*self._command, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"the C program ended at {self._command}")
        return [float(value) for value in answer]


def compiled(directory: str) -> str | None:
    """Compile c_program.c; None where there is no compiler."""
    cc = shutil.which(os.environ.get("CC", "cc"))
    if cc is None:
        return None
    program = f"{directory}/c_program"
    source = Path(__file__).with_name("c_program.c")
    subprocess.run([cc, "-O2", "-o", program, source], check=True)
    return program


def needed_program(directory: str) -> str:
    """Compile c_program.c for what only it can do."""
    program = compiled(directory)
    if program is None:
        raise SystemExit("trees and wake-ups are made in C: there is no compiler")
    return program


@contextlib.contextmanager
def in_c(
    scratch: str, *arguments: str, pass_fds: Sequence[int] = ()
) -> Iterator[Callable[..., list[Candidate]]]:
    """Run the C program; yield the function that makes a candidate of a command.

    Where there is no compiler, it makes none.
    """
    program = compiled(scratch)
    if program is None:
        yield lambda *_: []
        return
    command = [program, *(arguments or [tempfile.mkdtemp(dir=scratch)])]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=pass_fds,
        text=True,
    ) as process:  # its end closes the pipes, and the program ends with its input
        yield lambda command, *numbers: [_InC(process, command, *numbers)]
