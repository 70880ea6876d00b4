"""Running the command, and inotifywait beside it, for the tests of the command."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Union

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "inotify_cffi"]
PATIENCE = 60  # seconds
Argument = Union[str, bytes, "os.PathLike[str]"]


class Running:
    """A command that watches; `ended` waits for its end."""

    def __init__(
        self,
        command: Sequence[Argument],
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        stdout: int = subprocess.PIPE,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        self.messages = b""
        self._unread = b""
        self._end: tuple[bytes, bytes, int] | None = None
        self._timer = threading.Timer(PATIENCE, self.process.kill)
        self._timer.start()

    def until_said(self, words: bytes = b"Watches established.\n") -> Running:
        """Wait until it said these words on standard error."""
        while words not in self.messages:
            said = _read(self.process.stderr)
            assert said, self.ended()
            self.messages += said
        return self

    def record(self, end: bytes = b"\n") -> bytes:
        """Wait for the next record of its output, or for its end; return it."""
        while end not in self._unread:
            printed = _read(self.process.stdout)
            if not printed:
                break
            self._unread += printed
        record, end, self._unread = self._unread.partition(end)
        return record + end

    def until_printed(self, words: bytes, end: bytes = b"\n") -> bytes:
        """Wait for a record that ends so; return the output up to it."""
        printed = b""
        while not printed.endswith(words):
            more = self.record(end)
            assert more, (printed, self.ended())
            printed += more
        return printed

    def ended(self, by: int | None = None) -> tuple[bytes, bytes, int]:
        """Its further output, its messages and its exit status."""
        if self._end is not None:
            return self._end
        if by is not None:
            self.process.send_signal(by)
        try:
            # Longer than the timer: what still holds the pipes then is left over.
            printed, said = self.process.communicate(timeout=2 * PATIENCE)
        finally:
            self._timer.cancel()
            self._timer.join()
        printed = self._unread + (printed or b"")
        self._end = printed, self.messages + said, self.process.returncode
        return self._end


def _read(pipe: IO[bytes] | None) -> bytes:
    """Return what is next in a pipe, or nothing at its end.

    The timer ends the command, but not what it ran; that holds the pipe open as well.
    """
    assert pipe is not None
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    assert poll.poll(2000 * PATIENCE), "nothing came, and something holds the pipe"
    return os.read(pipe.fileno(), 65536)


@contextlib.contextmanager
def beside(script: str, cwd: Path) -> Iterator[None]:
    """Let sh run a script that never ends, and end it."""
    with subprocess.Popen(["sh", "-c", script], cwd=cwd) as process:
        try:
            yield
        finally:
            process.kill()


def finish(
    *arguments: Argument,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    command: Sequence[Argument] = COMMAND,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@functools.cache
def _version_of(program: str) -> str:
    said = subprocess.run(
        [program, "--help"], capture_output=True, timeout=PATIENCE, check=False
    )
    return said.stdout.decode().partition("\n")[0]


def inotifywait() -> str:
    """Return its path; skip the test where there is none, or another version."""
    found = shutil.which("inotifywait")
    if found is None:
        pytest.skip("inotifywait (Debian: inotify-tools) is not installed")
    # Later ones differ, also from each other: with --include some report no directory.
    if not _version_of(found).startswith("inotifywait 3.22."):
        pytest.skip(f"{_version_of(found)} is not 3.22, which is compared with")
    return found


def _descriptors(process: int) -> Iterator[str]:
    """Yield what the kernel says of the descriptors of a process."""
    for fdinfo in Path(f"/proc/{process}/fdinfo").iterdir():
        try:
            text = fdinfo.read_text()
        except FileNotFoundError:
            continue  # a file that was imported is closed by now
        yield text


def watches_needed(*arguments: Argument, cwd: Path) -> int:
    """Return how many watches the command needs until all is watched."""
    running = Running([*COMMAND, *arguments, "--ready-fd=2"], cwd)
    running.until_said(b"ready\n")
    count = 0
    for text in _descriptors(running.process.pid):
        count += text.count("inotify wd:")
    running.ended(signal.SIGTERM)
    return count


def watched_below(process: int, top: Path) -> set[Path]:
    """Return which directories a process watches, of ``top`` and all below it."""
    watched: set[int] = set()
    for text in _descriptors(process):
        lines = text.splitlines()
        fields = [line.split() for line in lines if line.startswith("inotify wd:")]
        watched |= {int(inode[4:], 16) for _, _, inode, *_ in fields}
    found = {Path(directory) for directory, _, _ in os.walk(top)}
    return {directory for directory in found if directory.stat().st_ino in watched}
