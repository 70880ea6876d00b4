"""The command ends by a signal at whatever step it comes, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commanding import PATIENCE
from interrupting import FIRST, Ended, Run

if TYPE_CHECKING:
    from conftest import RunPython

PYPY = sys.implementation.name == "pypy"
RUNS = 40 if PYPY else 80
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
LASTS = ["--now", "--exec", "sleep 1000"]
RESTART = ["--restart", "--debounce", "1"]
MANNERS = {
    "paths": ["-m"],
    "paths, to a file": ["-m", "-o", "out"],
    "trees": ["-mr"],
    "JSON": ["-mr", "--json", "--initial", "--glob", "*"],
    "counts": ["-mrqq", "--stats"],
    "debounce": ["-mr", "--debounce", "1"],
    "exec": ["-m", "--exec", "true {}"],
    "exec of what lasts": ["-mr", *LASTS],
    "debounced exec": ["-mr", "--debounce", "1", "--exec", "true {}"],
    "restart": [*RESTART, "--exec", "true"],
    "restart of what lasts": ["-r", *RESTART, *LASTS],
    "restart of a shell": [*RESTART, "--now", "--shell", "--exec", "sleep 1000 & wait"],
    "daemon": ["-dr", "-o", "out"],
    "daemon with exec": ["-d", *LASTS],
}
RECORD = re.compile(
    rb"d/ (ATTRIB|CREATE),ISDIR (s\d)?|\{.*\}|total .*|\d+ .* d/|No .*\."
)
MESSAGE = re.compile(
    rb"Setting up watches\.(  Beware: since -r was given, this may take a while!)?"
    rb"|Watches established\."
    rb"|inotify-cffi: (sleep|true|sh): ended by signal (1|2|15)"
)


class Runs:
    """Makes runs of the command, and does them."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._count = 0

    def make(
        self,
        manner: str,
        in_background: bool,
        step: int = 0,
        signals: tuple[int, ...] = (signal.SIGTERM,),
        together: bool = False,
    ) -> Run:
        """Return a run in a folder of its own."""
        folder = self._top / str(self._count)
        self._count += 1
        (folder / "work" / "d").mkdir(parents=True)
        (folder / "tmp").mkdir()
        given = MANNERS[manner]
        # While --exec waits for the end of a command, changes do not end its wait.
        changes = 6 if "--restart" in given or "--now" not in given else 0
        arguments = [*given, "-e", "attrib,create", "d"]
        return Run(
            str(folder), arguments, changes, step, signals, together, in_background
        )

    def do(self, runs: Sequence[Run]) -> list[Ended]:
        """Do runs, one after another."""
        program = str(Path(__file__).parent / "interrupting.py")
        done = subprocess.run(
            [sys.executable, "-c", FIRST, "-W", "error", program],
            input="".join(f"{run.line()}\n" for run in runs),
            stdout=subprocess.PIPE,
            text=True,
            timeout=10 * PATIENCE,
            check=True,
        )
        return [Ended.from_line(line) for line in done.stdout.splitlines()]


def _ways() -> Iterator[tuple[str, bool]]:
    """Yield manners, and whether the steps are those of the background process."""
    for manner, arguments in MANNERS.items():
        yield manner, False
        if _is_daemon(arguments):
            yield manner, True


def _is_daemon(arguments: Sequence[str]) -> bool:
    return arguments[0].startswith("-d")


def _steps_at_waits(run: Run) -> list[int]:
    return [int(step) for step in Path(run.folder, "steps").read_text().split()]


def _faults(run: Run, ended: Ended) -> Iterator[str]:
    """Yield each fault in the end of a run."""
    daemon = _is_daemon(run.arguments)
    if ended.killed:
        yield "it, or what it left, did not end"
    if ended.left and not daemon and "--shell" not in run.arguments:
        yield "it did not wait for the end of what it ran"
    # As a second signal ends it at once, or comes first, either may end it.
    by = set(run.signals)
    statuses = by | {0, *(128 + number << 8 for number in by)} if daemon else by
    if ended.status not in statuses:
        yield f"its status is {ended.status}"
    # Nobody reads that it is ready, if the starter was ended.
    if daemon and not {*ended.others} <= {*by, signal.SIGPIPE}:
        yield f"the status of the background process is {ended.others}"
    yield from _faults_of_files(Path(run.folder))


def _faults_of_files(folder: Path) -> Iterator[str]:
    work = folder / "work"
    for path, expected in [
        (folder / "said", MESSAGE),
        (folder / "printed", RECORD),
        (work / "out", RECORD),
    ]:
        text = path.read_bytes() if path.exists() else b""
        *lines, rest = text.split(b"\n")
        if rest or not all(map(expected.fullmatch, lines)):
            yield f"{path.name}: {text.decode()}"
    left = {*os.listdir(work), *os.listdir(folder / "tmp")} - {"d", "out"}
    if left:
        yield f"it left {left}"


@pytest.mark.parametrize("seed", [5])
def test_signal_at_any_step(tmp_path: Path, seed: int) -> None:
    """A signal ends the command at any step, in imports and handlers as well.

    It ends by that signal, without a word of Python, with what it ran, and with whole
    lines. It leaves no process and no file.
    """
    chance = random.Random(seed)
    runs = Runs(tmp_path)
    counted = {way: runs.make(*way) for way in _ways()}
    done = [*zip(counted.values(), runs.do([*counted.values()]))]
    steps = {way: _steps_at_waits(run) for way, run in counted.items()}
    drawn = []
    for way in chance.choices([*counted], k=RUNS):
        established, end = steps[way][0], steps[way][-1]
        first, last = chance.choice([(1, established), (established, end + 20)])
        signals = tuple(chance.sample(SIGNALS, chance.choice([1, 1, 2])))
        step, together = chance.randint(first, last), chance.random() < 0.5
        drawn.append(runs.make(*way, step, signals, together))
    done += zip(drawn, runs.do(drawn))
    faults = [
        f"{run.line()}: {fault}" for run, ended in done for fault in _faults(run, ended)
    ]
    assert not faults, "\n".join(faults)
    assert len(done) == len(counted) + RUNS


ENDED_BEFORE = """
import os, sys
from inotify_cffi.cli.jobs import Command
from inotify_cffi.cli.restarting import Restarter
from inotify_cffi.cli.signals import Signals

signals = Signals()
signals.open()
signals.guard()
restarter = Restarter(Command("true", False), signals, print, kill_after=60.0)
restarter.run_now()
signals.wait([], None)  # which its SIGCHLD ends
signals.wait = None  # no SIGCHLD will end another one
restarter.stop(1)
signals.close()
"""


def test_command_that_had_ended(run_python: RunPython) -> None:
    """A command that has ended, whose SIGCHLD was taken, is not waited for.

    No step of the command can be hit between the two: these are its parts.
    """
    assert run_python(ENDED_BEFORE) == ""
