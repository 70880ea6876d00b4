"""Asks one question in one process: rounds, and pyperf's objects from them."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

import pyperf

from . import interpreter
from .contestants import CLOCK, Contestant
from .pace import Pace, pace


@dataclass(frozen=True)
class Case:
    """A row of the table: what all contestants are asked alike."""

    label: str
    contestants: Sequence[Contestant]
    loops: int = 1
    """How many times the work is done for each value."""
    inner: int = 1
    """How many events are in the work: a value is the time of one."""


Cases = Iterator[Case]
_UNITS_A_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3}


@dataclass(frozen=True)
class Question:
    name: str
    title: str
    cases: Callable[[Pace], Cases]
    unit: str
    """'ns', 'us' or 'ms', and of what; or what else is counted."""
    percentiles: tuple[int, ...] = ()
    """What the table shows instead of the median and the minimum."""
    notes: tuple[str, ...] = field(default=())
    """Who is not asked, and why; what the columns mean."""
    heavy_rounds: int = 0
    """How many values to take where each takes seconds: in one process."""

    def pace(self, fast: bool) -> Pace:
        return pace(fast, self.heavy_rounds)

    @property
    def is_of_time(self) -> bool:
        return self.unit.split()[0] in _UNITS_A_SECOND

    @property
    def units(self) -> float:
        """How many units are in what pyperf is given: a second, or one."""
        return _UNITS_A_SECOND.get(self.unit.split()[0], 1.0)


class _Times:
    def __init__(self) -> None:
        self.warmups: list[float] = []
        self.values: list[float] = []


def interleave(case: Case, pace: Pace) -> dict[str, _Times]:
    """Measure all contestants in turn, in another order each round."""
    order = list(case.contestants)
    times = {contestant.name: _Times() for contestant in order}
    shuffle = random.Random(case.label).shuffle
    for number in range(-pace.warmups, pace.rounds):
        shuffle(order)
        for contestant in order:
            measured = contestant.measure()
            kept = times[contestant.name]
            (kept.warmups if number < 0 else kept.values).extend(measured)
    return times


def benchmarks_of(question: Question, pace: Pace, note: str) -> list[Any]:
    """Return a pyperf.Benchmark for each contestant of each case."""
    facts = interpreter.facts(note)
    benchmarks = []
    for case in question.cases(pace):
        times = interleave(case, pace)
        clock = 0.0
        if CLOCK in times:
            clock = statistics.median(times.pop(CLOCK).values)
        for contestant in case.contestants:
            if contestant.name not in times:
                continue
            cost = clock if contestant.on_our_clock else 0.0

            def one(value: float, cost: float = cost, case: Case = case) -> float:
                value = max((value - cost) / case.inner, 0.1)  # pyperf takes no 0
                return round(value * 1e-9, 10) if question.is_of_time else value

            kept = times[contestant.name]
            run = pyperf.Run(
                [one(value) for value in kept.values],
                warmups=[(case.loops, one(value)) for value in kept.warmups],
                metadata={
                    **facts,
                    "name": f"{question.name}/{case.label}/{contestant.name}",
                    "unit": "second" if question.is_of_time else "integer",
                    "loops": case.loops,
                    "inner_loops": case.inner,
                },
                collect_metadata=False,
            )
            benchmarks.append(pyperf.Benchmark([run]))
        print(".", end="", file=sys.stderr, flush=True)
    return benchmarks


def main(question: Question) -> None:
    """Ask ``question`` here; write JSON for the runner, or print the table."""
    parser = argparse.ArgumentParser(description=question.title)
    parser.add_argument("--fast", action="store_true", help="a rough look")
    parser.add_argument("--note", default="", help="say this of the interpreter")
    parser.add_argument("--output", help="write pyperf's JSON there, print nothing")
    options = parser.parse_args()
    pace = question.pace(options.fast)
    suite = pyperf.BenchmarkSuite(benchmarks_of(question, pace, options.note))
    if options.output:
        suite.dump(options.output, compact=True, replace=True)
        return
    from .report import Results, table

    print(file=sys.stderr)
    print(table(question, [Results(question.name, suite)]))
