"""The tables, in Markdown, from what pyperf's files hold."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyperf

from . import bench_stop_cost as stop
from .harness import Question

_FIRST_COLUMNS = (
    "C",
    "os.read",
    "inotify_cffi",
    "ctypes",
    "inotify_simple",
    "asyncinotify",
    "watchdog",
)


_NOTHING = "-"


class Results:
    """What one interpreter answered to one question."""

    def __init__(self, question: str, suite: Any) -> None:
        self.question = question
        self.benchmarks: dict[tuple[str, str], Any] = {}
        for benchmark in suite.get_benchmarks():
            _, case, name = benchmark.get_name().split("/")
            self.benchmarks[case, name] = benchmark
        self.facts: dict[str, Any] = suite.get_metadata()
        # Not suite.get_dates(), which adds up all values: some are no seconds.
        began = [
            datetime.fromisoformat(str(run.get_metadata()["date"]))
            for benchmark in suite.get_benchmarks()
            for run in benchmark.get_runs()
        ]
        self.dates: tuple[Any, Any] = min(began), max(began)

    @classmethod
    def load(cls, question: str, path: str) -> Results:
        return cls(question, pyperf.BenchmarkSuite.load(path))

    @property
    def interpreter(self) -> str:
        return str(self.facts["interpreter"])

    def cases(self) -> list[str]:
        return list(dict.fromkeys(case for case, _ in self.benchmarks))

    def contestants(self) -> list[str]:
        names = dict.fromkeys(name for _, name in self.benchmarks)
        first = [name for name in _FIRST_COLUMNS if name in names]
        return first + [name for name in names if name not in first]


def table(question: Question, results: Sequence[Results]) -> str:
    """Return a row for each case and interpreter, a column for each contestant."""
    everyone = dict.fromkeys(name for one in results for name in one.contestants())
    columns = [name for name in _FIRST_COLUMNS if name in everyone]
    columns += [name for name in everyone if name not in columns]
    rows = []
    for one in results:
        for case in one.cases():
            cells = [_cell(question, one, case, name) for name in columns]
            rows.append([one.interpreter, case, *cells])
    shown = " / ".join(f"p{rank}" for rank in question.percentiles)
    lines = [f"### {question.title}", ""]
    lines += [f"In {question.unit}: {shown or 'the median (and the minimum)'}.", ""]
    lines += _markdown(["interpreter", "", *columns], rows)
    if question.notes:
        lines += ["", *(f"- {note}" for note in question.notes)]
    return "\n".join(lines) + "\n"


def _cell(question: Question, results: Results, case: str, name: str) -> str:
    benchmark = results.benchmarks.get((case, name))
    if benchmark is None:
        return _NOTHING

    def number(measured: float) -> str:
        value = measured * question.units
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"

    if question.percentiles:
        ranks = question.percentiles
        return " / ".join(number(benchmark.percentile(rank)) for rank in ranks)
    return f"{number(benchmark.median())} ({number(min(benchmark.get_values()))})"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


@dataclass(frozen=True)
class Ratio:
    """What the project holds itself to: the most that a ratio may be."""

    label: str
    question: str
    case: str
    names: tuple[str, ...]
    most: dict[str, float]
    """By the interpreter's implementation."""

    def of(self, *values: float) -> float:
        ours, theirs = values
        return ours / theirs

    def values(self, results: Results) -> list[list[float]]:
        """Return what each contestant measured, round by round."""
        benchmarks = [results.benchmarks.get((self.case, name)) for name in self.names]
        return [list(one.get_values()) for one in benchmarks if one is not None]


class StopCost(Ratio):
    """A read over the same without what makes it one that can be stopped."""

    def of(self, *values: float) -> float:
        ours, theirs, guarded, bare = values
        return ours / (theirs - (guarded - bare))


class Amount(Ratio):
    """Not a ratio: as many units."""

    def of(self, *values: float) -> float:
        return values[0]


def _both(most: float) -> dict[str, float]:
    return {"cpython": most, "pypy": most}


_FLOOR = ("inotify_cffi", "os.read")
_SIMPLE = ("inotify_cffi", "inotify_simple")
_STOPPABLE = (stop.STOPPABLE, stop.UNSTOPPABLE, stop.GUARDED, stop.BARE)
RATIOS = (
    Ratio(
        "10,000 events drained / os.read",
        "drain",
        "10000",
        _FLOOR,
        {"cpython": 1.85, "pypy": 1.4},
    ),
    Ratio(
        "10,000 events drained / inotify_simple",
        "drain",
        "10000",
        _SIMPLE,
        {"cpython": 0.5},
    ),
    Ratio("one event / os.read", "one", "default", _FLOOR, {"cpython": 2.1}),
    Ratio(
        "one event / inotify_simple",
        "one",
        "default",
        _SIMPLE,
        {"cpython": 0.72, "pypy": 0.75},
    ),
    Ratio(
        "add_watch / inotify_simple",
        "watch",
        "add",
        _SIMPLE,
        {"cpython": 0.9, "pypy": 0.35},
    ),
    Ratio(
        "import and open / inotify_simple",
        "start",
        "import and open",
        _SIMPLE,
        _both(0.5),
    ),
    StopCost(
        "one event / the same, unstoppable", "stop_cost", "1", _STOPPABLE, _both(1.05)
    ),
    StopCost(
        "256 events / the same, unstoppable",
        "stop_cost",
        "256",
        _STOPPABLE,
        _both(1.05),
    ),
    Ratio(
        "100,000 directories watched / inotifywait",
        "tree",
        "100,000",
        ("inotify_cffi", "inotifywait"),
        _both(1.0),
    ),
    Amount(
        "memory of a watched directory, bytes",
        "tree_memory",
        "100,000",
        ("inotify_cffi",),
        _both(300),
    ),
    Amount(
        "files known after 200,000 creations",
        "tree_load",
        "files known in the end",
        ("inotify_cffi",),
        {},
    ),
)


def ratios(results: Sequence[Results]) -> list[dict[str, Any]]:
    """Return the ratios, what is wanted of them, and whether it is reached."""
    rows = []
    for ratio in RATIOS:
        for one in results:
            if one.question != ratio.question:
                continue
            values = ratio.values(one)
            if len(values) < len(ratio.names):
                continue
            median = statistics.median(ratio.of(*of_round) for of_round in zip(*values))
            most = ratio.most.get(one.facts["python_implementation"])
            rows.append(
                {
                    "ratio": ratio.label,
                    "interpreter": one.interpreter,
                    "median": round(median, 3),
                    "of minima": round(ratio.of(*map(min, values)), 3),
                    "at most": most,
                    "met": None if most is None else median <= most,
                }
            )
    return rows


def ratio_table(rows: Sequence[dict[str, Any]]) -> str:
    head = ["", "interpreter", "median of all rounds", "of minima", "wanted", "met"]
    words = {None: _NOTHING, True: "met", False: "**not met**"}
    cells = [
        [
            row["ratio"],
            row["interpreter"],
            f"{row['median']:.2f}",
            f"{row['of minima']:.2f}",
            _NOTHING if row["at most"] is None else f"at most {row['at most']:.2f}",
            words[row["met"]],
        ]
        for row in rows
    ]
    lines = ["### inotify_cffi, and what is wanted of it", "", *_markdown(head, cells)]
    return "\n".join(lines) + "\n"


def machines_and_builds(results: Sequence[Results]) -> dict[str, Any]:
    return {
        "machines": list(dict.fromkeys(machine(one) for one in results)),
        "builds": {
            one.interpreter: {
                "build": one.facts["build"],
                "libraries": one.facts["libraries"],
            }
            for one in results
        },
    }


def circumstances(results: Sequence[Results]) -> str:
    """Name the machine, the kernel, the dates and each interpreter's build."""
    first = min(one.dates[0] for one in results)
    last = max(one.dates[1] for one in results)
    machines = dict.fromkeys(machine(one) for one in results)
    lines = [f"Measured from {first:%Y-%m-%d %H:%M} to {last:%H:%M} on"]
    lines += [f"{'; '.join(machines)}.", _busyness(results), ""]
    builds: dict[str, str] = {}
    for one in results:
        text = f"- {one.interpreter}: {one.facts['build']}; {one.facts['libraries']}"
        builds.setdefault(one.interpreter, text)
    return "\n".join([*lines, *builds.values()]) + "\n"


def _busyness(results: Sequence[Results]) -> str:
    loads = [
        run.get_metadata().get("load_avg_1min", 0.0)
        for one in results
        for benchmark in one.benchmarks.values()
        for run in benchmark.get_runs()
    ]
    return (
        f"The load average was {min(loads):.1f} to {max(loads):.1f}; on a machine that "
        "does nothing else it is about 1."
    )


def machine(results: Results) -> str:
    facts = results.facts
    processor = facts.get("cpu_model_name", facts["machine"])
    return (
        f"{processor}, {facts['cpu_count']} CPUs, {facts['kernel']} {facts['machine']}"
    )
