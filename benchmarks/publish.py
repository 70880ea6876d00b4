"""Write the documents' measured tables: python -m benchmarks.publish [--check].

From pyperf's files in benchmarks/results it generates the table in the README, the
plot beside them, and docs/performance.md, whose tables are pyperf's own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyperf

import benchmarks

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
OURS = "inotify_cffi"
# Okabe and Ito's, which people with colour blindness can distinguish.
COLOURS = {
    "C": "#000000",
    "os.read": "#888888",
    OURS: "#d55e00",
    "ctypes": "#0072b2",
    "inotify_simple": "#009e73",
    "asyncinotify": "#cc79a7",
    "watchdog": "#e69f00",
}
COLUMNS = (
    "C",
    OURS,
    "inotify_simple",
    "asyncinotify",
    "watchdog",
    "watchfiles",
    "inotifywait",
)
# The rows of the small table: text, benchmark, unit in seconds, digits.
ROWS = (
    ("an event, of 10,000 in the queue, ns", "drain: 10000 events", 1e-9, 0),
    ("a read that finds one event, ns", "one: default", 1e-9, 0),
    ("adding a watch, ns", "watch: add", 1e-9, 0),
    ("from an event to the end of the read, µs", "wakeup: blocked read", 1e-6, 0),
    ("200,000 files created in new directories: CPU s", "tree_load: CPU time", 1, 1),
    ("files of these known in the end", "tree_load: files known in the end", 1, 0),
)
PAGE = f"""\
# Performance

<!-- Written by `python -m benchmarks.publish`, from benchmarks/results. -->

To measure on your machine, in a clone of the repository:

```sh
pip install '.[bench]'
python -m benchmarks --help
```

![ns an event against the length of the queue](../benchmarks/results/drain.svg)

## How it is measured

{(benchmarks.__doc__ or "").partition("How it is measured:")[2].strip()}

The small tables below show medians. The long ones are pyperf's: they show means, and
by how much a library is faster or slower than inotify_cffi. `python -m pyperf stats`
shows the spread of each value. Lower is better, except for "files known".
"""

Suites = dict[str, dict[str, Any]]  # benchmarks by library and name


def load(folder: Path) -> Suites:
    found: Suites = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem != OURS):
        benchmarks = pyperf.BenchmarkSuite.load(str(path)).get_benchmarks()
        found[path.stem] = {each.get_name(): each for each in benchmarks}
    return found


def circumstances(suites: Suites) -> str:
    benchmarks = list(suites[OURS].values())
    facts = benchmarks[0].get_metadata()
    runs = [run.get_metadata() for each in benchmarks for run in each.get_runs()]
    dates = sorted({str(run["date"])[:10] for run in runs})
    days = " to ".join({dates[0]: 0, dates[-1]: 0})
    loads = [float(run["load_avg_1min"]) for run in runs if "load_avg_1min" in run]
    return (
        f"{facts['interpreter']} (`{facts['python_build']}`), {facts['libraries']}; "
        f"{facts.get('cpu_model_name', 'unknown CPU')}, {facts['cpu_count']} CPUs, "
        f"{facts['platform']}; {days}; load average {min(loads):.1f} to "
        f"{max(loads):.1f}."
    )


def small_table(suites: Suites) -> str:
    """Return the most important medians, a column for each library."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---|" + "---:|" * len(COLUMNS)]
    for text, name, unit, digits in ROWS:
        found = [suites.get(library, {}).get(name) for library in COLUMNS]
        cells = [
            f"{each.median() / unit:,.{digits}f}" if each else "-" for each in found
        ]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pyperf_tables(suites: Suites) -> str:
    """Return pyperf's comparisons: a table for each set of libraries."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in suites[OURS]:
        libraries = tuple(each for each in suites if name in suites[each])
        groups.setdefault(libraries, []).append(name)
    tables = []
    for libraries, names in groups.items():
        if len(libraries) == 1:
            for name in names:
                alone = suites[OURS][name]
                tables.append(f"{name}: {alone.format_value(alone.mean())}\n")
            continue
        with tempfile.TemporaryDirectory() as scratch:
            for library in libraries:
                each = [suites[library][name] for name in names]
                pyperf.BenchmarkSuite(each).dump(f"{scratch}/{library}.json")
            compare = [sys.executable, "-m", "pyperf", "compare_to", "--table"]
            files = [f"{library}.json" for library in libraries]
            tables.append(
                subprocess.check_output(
                    [*compare, "--table-format=md", *files], cwd=scratch, text=True
                )
            )
    return "\n".join(tables)


def draw(results: list[Suites], path: Path) -> None:
    """Draw what an event costs by the length of the queue, as SVG."""
    import matplotlib  # slow, and not needed to check

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = OURS  # the same ids each time
    matplotlib.rcParams["svg.fonttype"] = "none"  # text, not outlines
    from matplotlib import pyplot, ticker

    size = 1.5 + 4 * len(results), 4.5
    figure, row = pyplot.subplots(
        1, len(results), figsize=size, sharey=True, squeeze=False
    )
    for axes, suites in zip(row[0], results):
        for library, colour in COLOURS.items():
            drained = {
                int(name.split()[1]): each.median() * 1e9
                for name, each in suites.get(library, {}).items()
                if name.startswith("drain: ")
            }
            width = 2.2 if library == OURS else 1.2
            points = zip(*sorted(drained.items()))
            axes.loglog(*points, ".-", label=library, color=colour, linewidth=width)
        for axis, ticks in (
            (axes.xaxis, [1, 16, 256, 4096]),
            (axes.yaxis, [100, 200, 500, 1000, 2000, 5000, 10000]),
        ):
            axis.set_major_locator(ticker.FixedLocator(ticks))
            axis.set_major_formatter(ticker.StrMethodFormatter("{x:.0f}"))
            axis.set_minor_locator(ticker.NullLocator())
        facts = next(iter(suites[OURS].values())).get_metadata()
        axes.set_title(facts["interpreter"], fontsize=10)
        axes.set_xlabel("events in the queue")
        axes.grid(linewidth=0.3)
    row[0][0].set_ylabel("ns an event (median)")
    figure.legend(*row[0][0].get_legend_handles_labels(), loc="upper center", ncols=7)
    figure.tight_layout(rect=(0, 0, 1, 0.92))
    figure.savefig(path, format="svg", metadata={"Date": None})


def texts(results: dict[str, Suites]) -> dict[Path, str]:
    """Return the README and the page of performance, with these results."""
    page = [PAGE]
    for suites in results.values():
        facts = next(iter(suites[OURS].values())).get_metadata()
        page += [
            f"## {facts['interpreter']}\n",
            f"{circumstances(suites)}\n",
            f"Medians:\n\n{small_table(suites)}\n",
            f"Means:\n\n{pyperf_tables(suites)}",
        ]
    newest = [suites for name, suites in results.items() if name[0] == "c"][-1]
    block = [circumstances(newest), small_table(newest)]
    readme = ROOT / "README.md"
    before, start, rest = readme.read_text().partition("<!-- results -->\n")
    end = rest.index("<!-- end of results -->")
    return {
        readme: before + start + "\n\n".join(block) + "\n" + rest[end:],
        ROOT / "docs" / "performance.md": "\n".join(page),
    }


def main() -> None:
    folders = sorted(path for path in RESULTS.iterdir() if path.is_dir())
    results = {folder.name: load(folder) for folder in folders}
    written = texts(results)
    if sys.argv[1:] == ["--check"]:
        stale = [
            path.name for path, text in written.items() if path.read_text() != text
        ]
        sys.exit(f"python -m benchmarks.publish changes {stale}" if stale else 0)
    draw(list(results.values()), RESULTS / "drain.svg")
    for path, text in written.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
