"""Who is timed: a library's statement, the clock itself, a C program."""

from __future__ import annotations

import contextlib
import gc
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Protocol

from .c_program import CProgram, compiled, running
from .events import Happening
from .libraries import Library, installed, watching
from .pace import calls_until_compiled
from .timed import EMPTY, Timed

CLOCK = "the clock itself"


class Contestant(Protocol):
    name: str
    on_our_clock: bool
    """Whether what the clock costs is to be taken off its times."""

    def measure(self) -> list[float]:
        """Return one or more times, in nanoseconds."""


class Statement:
    """Times a library's statement."""

    on_our_clock = True

    def __init__(
        self,
        library: type[Library],
        statement: str,
        happening: Happening,
        loops: int,
        prepare: Callable[[], object] = int,
        **options: bool,
    ) -> None:
        self.name = library.name
        self._library = library
        self._statement = statement
        self._happening = happening
        self._loops = loops
        self._prepare = prepare
        self._options = options
        self._timed: Timed | None = None

    def measure(self) -> list[float]:
        with watching(self._library, self._happening, **self._options) as instance:
            names, check = self.names(instance), self.checker(instance)
            if self._timed is None:
                self._timed = Timed(self._statement, names)
                calls = calls_until_compiled(self._happening.batch)
                self._timed.nanoseconds(calls, names, self._prepare, check)
            gc.collect()
            time = self._timed.nanoseconds(self._loops, names, self._prepare, check)
            return [time]

    def names(self, instance: Library) -> dict[str, Any]:
        return instance.names(self._happening.batch)

    def checker(self, instance: Library) -> Callable[[Any], object]:
        return bool


class Reading(Statement):
    """Times the reads that take what happened, each of all of it."""

    def __init__(
        self,
        library: type[Library],
        happening: Happening,
        loops: int,
        **options: bool,
    ) -> None:
        statement = library.read(happening.batch)
        super().__init__(library, statement, happening, loops, happening, **options)

    def checker(self, instance: Library) -> Callable[[Any], object]:
        def check(result: Any) -> None:
            count = instance.count(result)
            if count != self._happening.batch:
                raise RuntimeError(
                    f"{self.name} read {count} of {self._happening.batch} events"
                )

        return check


class Clock:
    """Times nothing, after the same things have happened."""

    name = CLOCK
    on_our_clock = True

    def __init__(self, loops: int, happening: Happening | None = None) -> None:
        self._loops = loops
        self._prepare: Callable[[], object] = happening or int
        self._calls = calls_until_compiled(happening.batch if happening else 1)
        self._timed = Timed(EMPTY, ())

    def measure(self) -> list[float]:
        self._timed.nanoseconds(self._calls, {}, self._prepare)
        self._calls = 0
        gc.collect()
        return [self._timed.nanoseconds(self._loops, {}, self._prepare)]


def readings(
    happening: Happening,
    loops: int,
    among: Iterable[type[Library]] | None = None,
    **options: bool,
) -> list[Contestant]:
    """Return the clock, and a reading for each library that is installed."""
    contestants: list[Contestant] = [Clock(loops, happening)]
    for library in installed() if among is None else among:
        contestants.append(Reading(library, happening, loops, **options))
    return contestants


class InC:
    """Has a C program answer; it takes off what its clock costs by itself."""

    on_our_clock = False

    def __init__(
        self, program: CProgram, command: str, *numbers: int, name: str = "C"
    ) -> None:
        self.name = name
        self._program = program
        self._command = command, numbers

    def measure(self) -> list[float]:
        command, numbers = self._command
        return self._program.ask(command, *numbers)


@contextlib.contextmanager
def answering(
    source: str, scratch: str, *arguments: str, pass_fds: Sequence[int] = ()
) -> Iterator[Callable[..., list[Contestant]]]:
    """Compile a C program and run it; yield what makes contestants of it.

    Where there is no compiler, there are none.
    """
    program = compiled(source, scratch)
    if program is None:
        yield lambda *_, **__: []
        return
    with running(program, *arguments, pass_fds=pass_fds) as process:

        def contestants(
            command: str, *numbers: int, name: str = "C"
        ) -> list[Contestant]:
            return [InC(process, command, *numbers, name=name)]

        yield contestants


@contextlib.contextmanager
def c_limit(scratch: str) -> Iterator[Callable[..., list[Contestant]]]:
    """`answering` for limit.c, in a directory of its own."""
    directory = tempfile.mkdtemp(dir=scratch)
    with answering("limit.c", scratch, directory) as contestants:
        yield contestants
