"""The plot: ns an event against the number of events in a queue."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from .report import Results, machine

# Told apart by people who see colours differently, too (Okabe and Ito's).
_COLOURS = {
    "C": "#000000",
    "os.read": "#888888",
    "inotify_cffi": "#d55e00",
    "ctypes": "#0072b2",
    "inotify_simple": "#009e73",
    "asyncinotify": "#cc79a7",
    "watchdog": "#e69f00",
}
_TICKS = (100, 200, 500, 1000, 2000, 5000, 10000)


def draw(results: Sequence[Results], path: str) -> None:
    """Draw a panel for each interpreter, a line for each library, as SVG."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "inotify_cffi"  # the same ids each time
    matplotlib.rcParams["svg.fonttype"] = "none"  # text, not outlines
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, row = pyplot.subplots(
        1,
        len(results),
        figsize=(1.5 + 4 * len(results), 5.2),
        sharey=True,
        squeeze=False,
    )
    for axes, one in zip(row[0], results):
        _panel(axes, one)
    row[0][0].set_ylabel("ns an event (median)")
    handles: dict[str, Any] = {}
    for axes in row[0]:
        handles.update(zip(*reversed(axes.get_legend_handles_labels())))
    figure.legend(
        handles.values(), handles.keys(), loc="upper center", ncols=7, frameon=False
    )
    builds = [f"{one.interpreter}: {one.facts['build']}" for one in results]
    date = f"{results[0].dates[1]:%Y-%m-%d}"
    caption = "\n".join([f"{machine(results[0])}, {date}", *builds])
    figure.text(0.01, 0.01, caption, fontsize=6, verticalalignment="bottom")
    figure.tight_layout(rect=(0, 0.04 + 0.02 * len(builds), 1, 0.93))
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _panel(axes: Any, results: Results) -> None:
    for name in results.contestants():
        points = [
            (int(case), results.benchmarks[case, name].median() * 1e9)
            for case in results.cases()
            if (case, name) in results.benchmarks
        ]
        axes.plot(
            *zip(*points),
            label=name,
            color=_COLOURS.get(name),
            marker="o",
            markersize=3,
            linewidth=2.2 if name == "inotify_cffi" else 1.2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    _ticks(axes.xaxis, [int(case) for case in results.cases()])
    _ticks(axes.yaxis, _TICKS)
    axes.set_title(results.interpreter, fontsize=10)
    axes.set_xlabel("events in the queue")
    axes.tick_params(labelsize=8)
    axes.grid(True, linewidth=0.3)


def _ticks(axis: Any, ticks: Sequence[int]) -> None:
    axis.set_major_locator(_ticker().FixedLocator(ticks))
    axis.set_major_formatter(_ticker().StrMethodFormatter("{x:.0f}"))
    axis.set_minor_locator(_ticker().NullLocator())


def _ticker() -> Any:
    return importlib.import_module("matplotlib.ticker")
