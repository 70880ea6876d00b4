"""Ask every question of every interpreter: python -m benchmarks --help."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    import pyperf
except ImportError:
    sys.exit("python -m benchmarks needs pyperf: pip install '.[bench]'")

from . import (
    bench_changes,
    bench_command,
    bench_drain,
    bench_loop,
    bench_one_event,
    bench_start,
    bench_tree,
    bench_tree_load,
    bench_wakeup,
    bench_watch,
    harness,
)

QUESTIONS = {
    question.name: question
    for question in (
        bench_drain.QUESTION,
        bench_one_event.QUESTION,
        bench_watch.QUESTION,
        bench_wakeup.QUESTION,
        bench_start.QUESTION,
        bench_tree.QUESTION,
        bench_tree_load.QUESTION,
        bench_loop.QUESTION,
        bench_changes.QUESTION,
        bench_command.QUESTION,
        bench_tree.MILLION,
    )
}
_LONGEST_ANSWER = 900  # seconds
_ROOT = Path(__file__).parent.parent


def keep(suite: Any, path: Path, question: str, *, more: bool) -> None:
    """Put answers into a file: beside those it has (``more``), or in their place."""
    benchmarks = suite.get_benchmarks()
    if path.exists():
        for kept in pyperf.BenchmarkSuite.load(str(path)).get_benchmarks():
            if not kept.get_name().startswith(f"{question}: "):
                benchmarks.append(kept)
            elif more:
                suite.get_benchmark(kept.get_name()).add_runs(kept)
    benchmarks.sort(key=lambda benchmark: str(benchmark.get_name()))
    path.parent.mkdir(parents=True, exist_ok=True)
    pyperf.BenchmarkSuite(benchmarks).dump(str(path), compact=True, replace=True)


def folder_of(python: str) -> str:
    """Return the name of an interpreter's directory, such as 'cpython-3.11.2'."""
    code = "from benchmarks import harness; print(harness.interpreter())"
    said = subprocess.check_output([python, "-c", code], cwd=_ROOT, text=True)
    return re.sub(r"[^a-z0-9.]+", "-", said.lower()).strip("-")


def measure(
    question: str, pythons: dict[str, str], directory: Path, options: list[str]
) -> list[str]:
    """Ask all interpreters in turn, several times; return what failed."""
    failed = []
    fast = "--fast" in options
    for number in range(QUESTIONS[question].budget(fast=fast).processes):
        for folder, python in pythons.items():
            said = f"{question}, {folder}, process {number + 1}"
            print(said, end=" ", file=sys.stderr, flush=True)
            command = [python, "-m", "benchmarks", "--worker", *options]
            command += ["--more"] if number else []
            command += ["--only", question, "--output", str(directory / folder)]
            try:
                subprocess.run(command, cwd=_ROOT, check=True, timeout=_LONGEST_ANSWER)
                print(file=sys.stderr)
            except subprocess.SubprocessError as failure:
                print(f"FAILED: {failure}", file=sys.stderr)
                failed.append(said)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure inotify_cffi beside other libraries, `os.read` and C. Each"
        " interpreter needs: pip install '.[bench]'",
    )
    parser.add_argument("--fast", action="store_true", help="a rough measurement")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=QUESTIONS,
        default=[name for name in QUESTIONS if name != bench_tree.MILLION.name],
        metavar="QUESTION",
        help="measure only these, and keep the other results: "
        f"{', '.join(QUESTIONS)} (the last is measured only so)",
    )
    parser.add_argument(
        "--interpreters",
        nargs="+",
        default=[sys.executable],
        metavar="PYTHON",
        help="measure with these instead of the running one",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="default: benchmarks/results; with --fast, build/benchmarks",
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--more", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    place = "build/benchmarks" if options.fast else "benchmarks/results"
    directory: Path = (options.output or _ROOT / place).resolve()
    if options.worker:
        for name in options.only:
            budget = QUESTIONS[name].budget(fast=options.fast)
            for library, suite in harness.suites(QUESTIONS[name], budget).items():
                keep(suite, directory / f"{library}.json", name, more=options.more)
        return
    pythons = {folder_of(python): python for python in options.interpreters}
    failed = []
    for question in options.only:
        fast = ["--fast"] if options.fast else []
        failed += measure(question, pythons, directory, fast)
    for folder in pythons:
        at = directory / folder
        print(f"python -m pyperf compare_to --table {at}/{{inotify_cffi,C}}.json")
    if failed:
        parser.exit(1, f"failed: {'; '.join(failed)}\n")


if __name__ == "__main__":
    main()
