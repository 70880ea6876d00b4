"""What does the first instance cost a program that has just started?

Every value is a fresh process. `import and open`: the time inside it for
importing the library and opening the first instance. `whole process`: from
starting the interpreter to its end, beside a process that does nothing, and a C
program.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from . import libraries
from .c_program import compiled
from .contestants import Contestant
from .events import scratch_directory
from .harness import Case, Cases, Question, main
from .pace import Pace

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


class Inside:
    """Asks a process how long a statement took it."""

    on_our_clock = False

    def __init__(self, name: str) -> None:
        self.name = name
        code = _INSIDE.format(here=_HERE, statement=_STATEMENTS[name])
        self._command = [sys.executable, "-c", code]

    def measure(self) -> list[float]:
        return [float(subprocess.check_output(self._command))]


class Whole:
    """Times a process from its start to its end."""

    on_our_clock = False

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._command = command

    def measure(self) -> list[float]:
        start = time.perf_counter_ns()
        subprocess.run(self._command, check=True)
        return [time.perf_counter_ns() - start]


def cases(pace: Pace) -> Cases:
    names = [library.name for library in libraries.installed()]
    names = [name for name in names if name in _STATEMENTS]
    yield Case("import and open", [Inside(name) for name in names])
    path = f"import sys; sys.path.append({_HERE!r}); "
    wholes: list[Contestant] = [
        Whole(
            name, [sys.executable, "-c", f"{path}{_STATEMENTS[name]}; inotify.close()"]
        )
        for name in names
    ]
    wholes.append(Whole("nothing", [sys.executable, "-c", path]))
    with scratch_directory() as scratch:
        program = compiled("limit.c", scratch)
        if program is not None:
            wholes.append(Whole("C", [program, "--start"]))
        yield Case("whole process", wholes)


QUESTION = Question(
    name="start",
    title="Import and the first instance, in a fresh process",
    unit="ms",
    cases=cases,
    notes=(
        "inotify_simple and asyncinotify look for the C library with "
        "`ctypes.util.find_library`, which may run programs.",
        "watchdog opens its instance in a thread of its observer: there is no "
        "statement that does the same.",
    ),
)

if __name__ == "__main__":
    main(QUESTION)
