"""Ask every question of every interpreter: python -m benchmarks --help."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyperf

from . import (
    bench_command,
    bench_drain,
    bench_one_event,
    bench_parse,
    bench_start,
    bench_stop_cost,
    bench_tree,
    bench_tree_load,
    bench_tree_memory,
    bench_tree_million,
    bench_wakeup,
    bench_watch,
    plot,
    report,
)
from .report import Results

MODULES = (
    bench_drain,
    bench_one_event,
    bench_parse,
    bench_watch,
    bench_wakeup,
    bench_start,
    bench_stop_cost,
    bench_tree,
    bench_tree_million,
    bench_tree_memory,
    bench_tree_load,
    bench_command,
)
QUESTIONS = {module.QUESTION.name: module for module in MODULES}
_ONLY_BY_NAME = {bench_tree_million.QUESTION.name}
_LONGEST_ANSWER = 900  # seconds
_ROOT = Path(__file__).parent.parent


class Interpreter:
    """A Python that has the libraries and pyperf installed."""

    def __init__(self, argument: str) -> None:
        path, _, self.note = argument.partition("=")
        self.path = os.path.abspath(path)
        self.label = self._run("-c", _SAY_LABEL).strip()

    def ask(self, question: str, fast: bool) -> Any:
        """Ask a question in a fresh process; return pyperf's suite."""
        module = Path(QUESTIONS[question].__file__ or "").stem
        with tempfile.TemporaryDirectory() as directory:
            answer = f"{directory}/answer.json"
            options = ["--fast"] if fast else []
            note = ["--note", self.note]
            self._run("-m", f"benchmarks.{module}", *options, *note, "--output", answer)
            return pyperf.BenchmarkSuite.load(answer)

    def _run(self, *arguments: str) -> str:
        command = [self.path, *arguments]
        return subprocess.run(
            command,
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=_LONGEST_ANSWER,
        ).stdout


_SAY_LABEL = "from benchmarks import interpreter; print(interpreter.label())"


def measure(
    question: str, interpreters: Sequence[Interpreter], fast: bool, directory: Path
) -> list[str]:
    """Ask all interpreters in turn, several times; write pyperf's JSON.

    Return what failed; what else was answered is kept.
    """
    failures = []
    suites: dict[str, Any] = {}
    for number in range(QUESTIONS[question].QUESTION.pace(fast).processes):
        for interpreter in interpreters:
            said = f"{question}, {interpreter.label}, process {number + 1}"
            print(said, end=" ", file=sys.stderr, flush=True)
            try:
                suite = interpreter.ask(question, fast)
            except (subprocess.SubprocessError, ValueError) as failure:
                print(failure, file=sys.stderr)
                failures.append(said)
                continue
            print(file=sys.stderr)
            if interpreter.label in suites:
                suites[interpreter.label].add_runs(suite)
            else:
                suites[interpreter.label] = suite
            path = json_path(directory, interpreter.label, question)
            path.parent.mkdir(parents=True, exist_ok=True)
            suites[interpreter.label].dump(str(path), compact=True, replace=True)
    return failures


def json_path(directory: Path, label: str, question: str) -> Path:
    folder = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")
    return directory / folder / f"{question}.json"


def write_report(
    labels: Sequence[str], directory: Path, fast: bool, failures: Sequence[str]
) -> str:
    """Write the table and the plot of all that was measured; return the table."""
    answers: dict[str, list[Results]] = {}
    for name in QUESTIONS:
        paths = [json_path(directory, label, name) for label in labels]
        found = [Results.load(name, str(path)) for path in paths if path.exists()]
        if found:
            answers[name] = found
    everything = [one for results in answers.values() for one in results]
    if not everything:
        raise SystemExit(f"nothing was measured yet in {directory}")
    parts = ["# What it costs\n", report.circumstances(everything)]
    if fast:
        parts.append("A `--fast` look: too rough to be quoted.\n")
    parts += [f"FAILED, and so not in here: {failure}.\n" for failure in failures]
    rows = report.ratios(everything)
    parts.append(report.ratio_table(rows))
    drained = answers.get("drain")
    if drained and draw(drained, directory / "drain.svg"):
        parts.append("![ns an event against the size of the queue](drain.svg)\n")
    for name, results in answers.items():
        parts.append(report.table(QUESTIONS[name].QUESTION, results))
    text = "\n".join(parts)
    (directory / "results.md").write_text(text)
    summary = {**report.machines_and_builds(everything), "ratios": rows}
    (directory / "results.json").write_text(json.dumps(summary, indent=1) + "\n")
    return text


def draw(drained: Sequence[Results], path: Path) -> bool:
    try:
        plot.draw(drained, str(path))
    except ImportError:
        print("no plot: matplotlib is not installed here", file=sys.stderr)
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure inotify_cffi beside other libraries, `os.read` and C.",
    )
    parser.add_argument("--fast", action="store_true", help="a rough look")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=QUESTIONS,
        metavar="QUESTION",
        help="ask these, or none, and take the other answers from the last time: "
        + ", ".join(QUESTIONS)
        + "; tree_million is asked only so",
    )
    parser.add_argument(
        "--interpreters",
        nargs="+",
        default=[sys.executable],
        metavar="PATH[=NOTE]",
        help="ask these instead of the running one; the note is told with the build",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="write there (default: benchmarks/results, with --fast build/benchmarks)",
    )
    options = parser.parse_args()
    place = "build/benchmarks" if options.fast else "benchmarks/results"
    directory: Path = options.output or _ROOT / place
    directory.mkdir(parents=True, exist_ok=True)
    interpreters = [Interpreter(argument) for argument in options.interpreters]
    labels = [interpreter.label for interpreter in interpreters]
    if len(set(labels)) < len(labels):
        parser.error(f"two interpreters of the same name: {', '.join(labels)}")
    questions = options.only
    if questions is None:
        questions = [name for name in QUESTIONS if name not in _ONLY_BY_NAME]
    failures = []
    for question in questions:
        failures += measure(question, interpreters, options.fast, directory)
    print(write_report(labels, directory, options.fast, failures))
    if failures:
        parser.exit(1, f"failed: {'; '.join(failures)}\n")


if __name__ == "__main__":
    main()
