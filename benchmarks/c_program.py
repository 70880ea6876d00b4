"""C programs compiled on the spot, which answer as the libraries do."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

_SOURCES = Path(__file__).parent


def compiler() -> str | None:
    return shutil.which(os.environ.get("CC", "cc"))


def compiled(source: str, directory: str) -> str | None:
    """Compile a file of this directory; None where there is no compiler."""
    cc = compiler()
    if cc is None:
        return None
    program = f"{directory}/{Path(source).stem}"
    subprocess.run(
        [cc, "-O2", "-pthread", "-o", program, str(_SOURCES / source)], check=True
    )
    return program


class CProgram:
    """A process that times what a line of its input says, and answers in ns."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, command: str, *numbers: int) -> list[float]:
        commands, answers = self._pipes()
        print(command, *numbers, file=commands, flush=True)
        answer = answers.readline().split()
        if not answer:
            raise RuntimeError(f"the C program ended at {command} {numbers}")
        return [float(value) for value in answer]

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


@contextlib.contextmanager
def running(
    program: str, *arguments: str, pass_fds: Sequence[int] = ()
) -> Iterator[CProgram]:
    """Run a compiled program until the end of the block."""
    with subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=pass_fds,
        text=True,
    ) as process:  # its end closes the pipes, and the program ends with its input
        yield CProgram(process)
