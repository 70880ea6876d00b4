"""What does the first instance cost a program that has just started?

Each value is a new process. `import and open`: the time inside it for importing the
library and opening the first instance. `whole process`: from the start of the
interpreter to its end, beside a process that does nothing, and a C program.
inotify_simple and asyncinotify search for the C library with
`ctypes.util.find_library`, which may run programs. watchdog has no statement that
does the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from . import libraries
from .candidates import Candidate, compiled
from .harness import Budget, Case, Question
from .workloads import scratch_directory

_STATEMENTS = {
    "inotify_cffi": "import inotify_cffi; inotify = inotify_cffi.INotify()",
    "ctypes": "import ctypes_inotify; inotify = ctypes_inotify.INotify()",
    "inotify_simple": "import inotify_simple; inotify = inotify_simple.INotify()",
    "asyncinotify": "import asyncinotify; inotify = asyncinotify.Inotify()",
}
_INSIDE = """\
import sys, time
sys.path.append({here!r})
start = time.perf_counter_ns()
{statement}
print(time.perf_counter_ns() - start)
inotify.close()
"""
_HERE = os.path.dirname(__file__)


class Process:
    """A process, which prints how long a statement took, or which is timed itself."""

    on_our_clock = False

    def __init__(self, name: str, *command: str, prints: bool = False) -> None:
        self.name = name
        self._command = command
        self._prints = prints

    def measure(self) -> list[float]:
        start = time.perf_counter_ns()
        printed = subprocess.check_output(self._command)
        return [float(printed) if self._prints else time.perf_counter_ns() - start]


def cases(budget: Budget) -> Iterator[Case]:
    names = {library.name for library in libraries.installed()} & _STATEMENTS.keys()
    python = sys.executable, "-c"
    inside: list[Candidate] = []
    path = f"import sys; sys.path.append({_HERE!r}); "
    wholes: list[Candidate] = [Process("nothing", *python, path)]
    for name in sorted(names):
        statement = _STATEMENTS[name]
        code = _INSIDE.format(here=_HERE, statement=statement)
        inside.append(Process(name, *python, code, prints=True))
        wholes.append(Process(name, *python, f"{path}{statement}; inotify.close()"))
    yield Case("import and open", inside)
    with scratch_directory() as scratch:
        program = compiled(scratch)
        if program is not None:
            wholes.append(Process("C", program, "--start"))
        yield Case("whole process", wholes)


QUESTION = Question("start", cases)
