"""Measures one question in one process: rounds, and pyperf's objects from them."""

from __future__ import annotations

import contextlib
import platform
import random
import statistics
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Callable

import pyperf

from .candidates import CLOCK, COMPILES, Candidate

# pyperf's metadata that names a host or a path, or says nothing of speed.
_PRIVATE = ("hostname", "mem_max_rss", "python_config_args", "python_executable")
_LIBRARIES = "inotify-cffi inotify-simple asyncinotify watchdog watchfiles cffi"


@dataclass(frozen=True)
class Budget:
    """How long to measure."""

    processes: int
    rounds: int
    """How many values each process takes."""
    warmups: int
    """How many rounds before these are thrown away."""
    events: int
    """About how many events make a value."""

    def loops(self, batch: int = 1) -> int:
        """Return how many times to read ``batch`` events for one value."""
        return max(1, self.events // batch)


@dataclass(frozen=True)
class Case:
    """A question for all candidates: one benchmark for each."""

    label: str
    candidates: Sequence[Candidate]
    loops: int = 1
    """How many times the work is done for each value."""
    inner: int = 1
    """How many events are in the work: a value is the time of one."""
    unit: str = "second"
    """As pyperf has it; candidates give nanoseconds for "second"."""

    def value(self, measured: float, cost: float) -> float:
        """Return what pyperf is given, which takes no 0, for what was measured."""
        value = (measured - cost) / self.inner
        if self.unit == "second":
            return round(max(value, 0.1) * 1e-9, 10)
        return max(round(value), 1)


@dataclass(frozen=True)
class Question:
    name: str
    cases: Callable[[Budget], Iterator[Case]]
    heavy_rounds: int = 0
    """How many values to take where each takes seconds: in one process."""

    def budget(self, *, fast: bool) -> Budget:
        if self.heavy_rounds:
            return Budget(1, 1 if fast else self.heavy_rounds, 0 if fast else 1, 1)
        if fast:
            return Budget(1, 5, 1 + COMPILES, 1500)
        return Budget(2, 12, 2 + COMPILES, 3000)


def interpreter() -> str:
    """Return a name such as 'CPython 3.11.2' or 'PyPy 7.3.11 (Python 3.9.16)'."""
    version = platform.python_version()
    if sys.implementation.name == "pypy":
        return "PyPy {}.{}.{} (Python {})".format(
            *sys.implementation.version[:3], version
        )
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{platform.python_implementation()} {version}{threads}"


def _metadata() -> dict[str, Any]:
    """Return pyperf's metadata, without what names a host or a path, and ours."""
    facts: dict[str, Any] = pyperf.Run([1.0]).get_metadata()
    for name in _PRIVATE:
        facts.pop(name, None)
    versions = []
    for library in _LIBRARIES.split():
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{library} {metadata.version(library)}")
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    optimized = sys.implementation.name == "pypy" or "--enable-opt" in options
    return {
        **facts,
        "interpreter": interpreter(),
        "libraries": ", ".join(versions),
        "python_build": "optimized" if optimized else "no --enable-optimizations",
    }


def interleave(case: Case, budget: Budget) -> dict[str, list[list[float]]]:
    """Measure all candidates in turn, in another order each round.

    Return the warm-ups and the values of each, by its name.
    """
    order = list(case.candidates)
    measured: dict[str, list[list[float]]] = {each.name: [[], []] for each in order}
    shuffle = random.Random(case.label).shuffle
    for number in range(-budget.warmups, budget.rounds):
        shuffle(order)
        for candidate in order:
            measured[candidate.name][number >= 0].extend(candidate.measure())
    return measured


def suites(question: Question, budget: Budget) -> dict[str, Any]:
    """Return a pyperf.BenchmarkSuite for each candidate, by its name."""
    facts = _metadata()
    benchmarks: dict[str, list[Any]] = {}
    for case in question.cases(budget):
        measured = interleave(case, budget)
        clock = 0.0
        if CLOCK in measured:
            clock = statistics.median(measured.pop(CLOCK)[1])
        for candidate in case.candidates:
            if candidate.name not in measured:
                continue

            cost = clock if candidate.on_our_clock else 0.0
            warmups, values = (
                [case.value(each, cost) for each in measured_ones]
                for measured_ones in measured[candidate.name]
            )
            run = pyperf.Run(
                values,
                warmups=[(case.loops, value) for value in warmups],
                metadata={
                    **facts,
                    "name": f"{question.name}: {case.label}",
                    "unit": case.unit,
                    "loops": case.loops,
                    "inner_loops": case.inner,
                },
                collect_metadata=False,
            )
            benchmarks.setdefault(candidate.name, []).append(pyperf.Benchmark([run]))
        print(".", end="", file=sys.stderr, flush=True)
    return {name: pyperf.BenchmarkSuite(each) for name, each in benchmarks.items()}
