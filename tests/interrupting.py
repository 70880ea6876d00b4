"""Runs the command many times, and sends it signals at given steps.

A step is the begin or the end of a function, be it Python's or C's. So any step can be
hit without a clock, in imports, too; hence this program imports next to nothing itself.

The command is ``python -c FIRST interrupting.py``. Standard input has a `Run` per line.
Standard output has the `Ended` of each run as a line.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Callable, NoReturn

# Makes this process the parent of every process that a run leaves behind:
# PR_SET_CHILD_SUBREAPER of prctl(2), which outlasts execve(2).
FIRST = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
_PATIENCE = 30  # seconds


class Run:
    """One run of the command.

    Parameters:
        folder: has ``work/d``, which is watched, and ``tmp``; gets the files
            ``printed``, ``said``, and ``steps``: the numbers of the steps at which the
            command began to wait, if it got its signals at the last one only.
        arguments: of the command.
        changes: how many changes are made in ``d``, one before each wait; before the
            next wait the signals are sent.
        step: they are sent at this step; 0: at none.
        signals: one or two.
        together: whether two are sent at once; else the second is sent at a wait.
        in_background: whether the steps are those of the process that ``-d`` forks.
    """

    def __init__(
        self,
        folder: str,
        arguments: list[str],
        changes: int,
        step: int = 0,
        signals: tuple[int, ...] = (signal.SIGTERM,),
        together: bool = False,
        in_background: bool = False,
    ) -> None:
        self.folder = folder
        self.arguments = arguments
        self.changes = changes
        self.step = step
        self.signals = signals
        self.together = together
        self.in_background = in_background

    def line(self) -> str:
        """Return what `from_line` takes."""
        signals = " ".join(f"{number:d}" for number in self.signals)
        numbers = [self.changes, self.step, signals]
        switches = [int(self.together), int(self.in_background)]
        fields = [self.folder, *numbers, *switches, *self.arguments]
        return "\t".join(map(str, fields))

    @classmethod
    def from_line(cls, line: str) -> Run:
        folder, changes, step, signals, *rest = line.split("\t")
        together, in_background, *arguments = rest
        return cls(
            folder,
            arguments,
            int(changes),
            int(step),
            tuple(map(int, signals.split())),
            together == "1",
            in_background == "1",
        )


class Ended:
    """What was seen of the end of a run.

    Parameters:
        status: of the command, as waitpid(2) returns it.
        left: whether a process that it had started was running at its end.
        killed: whether a process had to be killed, as it did not end.
        others: the statuses of the processes that were left.
    """

    def __init__(
        self, status: int = 0, left: bool = False, killed: bool = False, *others: int
    ) -> None:
        self.status = status
        self.left = left
        self.killed = killed
        self.others = others

    def line(self) -> str:
        """Return what `from_line` takes."""
        fields = [self.status, int(self.left), int(self.killed), *self.others]
        return " ".join(map(str, fields))

    @classmethod
    def from_line(cls, line: str) -> Ended:
        status, left, killed, *others = map(int, line.split())
        return cls(status, bool(left), bool(killed), *others)


class _Strike:
    """Sends this process the signals of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sent = 0
        self._counts = not run.in_background
        self._steps = 0
        self._at_waits: list[int] = []
        os.register_at_fork(after_in_child=self._enter_background)

    def _enter_background(self) -> None:
        self._counts = not self._counts

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if not self._counts:
            return
        self._steps += 1
        if self._steps == self._run.step and not self._sent:
            sys.setprofile(None)
            self._send()

    def _send(self) -> None:
        count = len(self._run.signals) if self._run.together else 1
        numbers = self._run.signals[self._sent : self._sent + count]
        self._sent += len(numbers)
        for number in numbers:
            os.kill(os.getpid(), number)

    def before_wait(self) -> None:
        """Change something; or send signals, if all is changed or one was sent."""
        done = len(self._at_waits)
        self._at_waits.append(self._steps)
        if self._sent:
            self._send()
        elif done == self._run.changes:
            with open(f"{self._run.folder}/steps", "w") as file:
                file.write(" ".join(map(str, self._at_waits)))
            self._send()
        elif done % 2:
            os.chmod("d", 0o700 + done)
        else:
            os.mkdir(f"d/s{done}")


class _Poll:
    """A `select.poll` that does something before each wait."""

    def __init__(self, poll: select.poll, before_wait: Callable[[], None]) -> None:
        self.register = poll.register
        self._poll = poll.poll
        self._before_wait = before_wait

    def poll(self, milliseconds: float | None = None) -> object:
        self._before_wait()
        return self._poll(milliseconds)


def _start(run: Run) -> NoReturn:
    """Be the command."""
    os.setsid()  # so that no SIGINT is taken for a Ctrl-C that others got as well
    for descriptor, name in ((1, "printed"), (2, "said")):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened = os.open(f"{run.folder}/{name}", flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ["TMPDIR"] = f"{run.folder}/tmp"
    os.chdir(f"{run.folder}/work")
    # Python's own handler of SIGINT raises KeyboardInterrupt until the command has set
    # its own; and under nohup SIGHUP is ignored, which the command leaves so.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    strike = _Strike(run)
    poll = select.poll
    select.poll = lambda: _Poll(poll(), strike.before_wait)  # type: ignore
    from inotify_cffi.cli import main

    if sys.implementation.name == "pypy":
        # PyPy's compiler crashes under sys.setprofile (seen in 7.3.11).
        import_module("pypyjit").set_param("off")
    sys.setprofile(strike)
    try:
        main(run.arguments)
    finally:
        sys.setprofile(None)


class _Stuck(Exception):
    """A process did not end in time."""


def _raise_stuck(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stuck


def _wait_for_all(process: int) -> Ended:
    """Wait for a run, and for all that it leaves."""
    ended = Ended()
    options = 0
    while True:
        signal.alarm(_PATIENCE)
        try:
            one, status = os.waitpid(-1, options)
        except ChildProcessError:
            return ended
        except _Stuck:
            ended.killed = True
            _kill_children()
            continue
        finally:
            signal.alarm(0)
        if one == process:
            ended.status = status
            options = os.WNOHANG
        elif one:
            ended.others += (status,)
        else:  # something runs
            ended.left = True
            options = 0


def _kill_children() -> None:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
        if int(parent) == os.getpid():
            os.kill(int(name), signal.SIGKILL)


def main() -> None:
    signal.signal(signal.SIGALRM, _raise_stuck)
    for line in sys.stdin.read().splitlines():
        process = os.fork()
        if not process:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            _start(Run.from_line(line))
        ended = _wait_for_all(process)
        print(ended.line(), flush=True)
        if ended.killed:
            return  # others may take as long


if __name__ == "__main__":
    main()
