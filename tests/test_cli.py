"""The command: python -m inotify_cffi PATH..."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

if TYPE_CHECKING:
    from conftest import RunPython, Start

COMMAND = [sys.executable, "-W", "error", "-m", "inotify_cffi"]
UntilWatching = Callable[[int, int], None]


class Running:
    """The command while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def lines(self, count: int) -> list[str]:
        """The next lines that it prints."""
        assert self.process.stdout is not None
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def end(self) -> tuple[str, str, int]:
        """What it printed yet, to standard error, and its exit status."""
        output, errors = self.process.communicate()
        return output, errors, self.process.returncode

    def interrupt(self) -> tuple[str, str, int]:
        self.process.send_signal(signal.SIGINT)
        return self.end()


@pytest.fixture
def watch(start: Start, until_watching: UntilWatching) -> Callable[..., Running]:
    """The function that starts the command, and returns when it watches."""

    def watch(*paths: str | Path, watches: int | None = None) -> Running:
        process = start(*COMMAND, *paths)
        until_watching(process.pid, len(paths) if watches is None else watches)
        return Running(process)

    return watch


def _finish(
    *arguments: str | bytes | Path, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, *COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_line_for_each_event(watch: Callable[..., Running], tmp_path: Path) -> None:
    """Each event is a line at once: its path, then what happened."""
    running = watch(tmp_path)
    (tmp_path / "folder").mkdir()
    assert running.lines(1) == [f"{tmp_path}/folder CREATE | ISDIR"]
    (tmp_path / "folder").rename(tmp_path / "other")
    assert running.lines(2) == [
        f"{tmp_path}/folder MOVED_FROM | ISDIR",
        f"{tmp_path}/other MOVED_TO | ISDIR",
    ]
    (tmp_path / "file").touch()
    assert running.lines(3) == [
        f"{tmp_path}/file CREATE",
        f"{tmp_path}/file OPEN",
        f"{tmp_path}/file CLOSE_WRITE",
    ]
    running.interrupt()


def test_several_paths(watch: Callable[..., Running], tmp_path: Path) -> None:
    """Each event has the path that was given: of a folder with the name, of a file."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    file = tmp_path / "file"
    file.touch()
    running = watch(*folders, file)
    (folders[1] / "name").mkdir()
    (folders[0] / "name").mkdir()
    file.chmod(0o600)
    assert running.lines(3) == [
        f"{folders[1]}/name CREATE | ISDIR",
        f"{folders[0]}/name CREATE | ISDIR",
        f"{file} ATTRIB",
    ]
    running.interrupt()


def test_slashes_at_the_end(watch: Callable[..., Running], tmp_path: Path) -> None:
    """A slash at the end of a path makes no difference."""
    running = watch(f"{tmp_path}/")
    (tmp_path / "folder").mkdir()
    tmp_path.chmod(0o700)
    assert running.lines(2) == [
        f"{tmp_path}/folder CREATE | ISDIR",
        f"{tmp_path} ATTRIB | ISDIR",
    ]
    running.interrupt()


def test_interrupted(watch: Callable[..., Running], tmp_path: Path) -> None:
    """Ctrl-C ends the command without a word, as a signal does."""
    assert watch(tmp_path).interrupt() == ("", "", 128 + signal.SIGINT)


def test_all_is_gone(watch: Callable[..., Running], tmp_path: Path) -> None:
    """When nothing is left to watch the command ends."""
    folder = tmp_path / "folder"
    folder.mkdir()
    running = watch(folder)
    folder.rmdir()
    lines = f"{folder} DELETE_SELF\n{folder} IGNORED\n"
    assert running.end() == (lines, "", 0)


@pytest.mark.parametrize("order", [1, -1])
def test_missing_path(tmp_path: Path, order: int) -> None:
    """A path that is missing is one line on standard error, and status 1."""
    missing = str(tmp_path / "missing")
    finished = _finish(*[str(tmp_path), missing][::order])
    assert finished.stderr == f"inotify-cffi: {missing}: No such file or directory\n"
    assert (finished.stdout, finished.returncode) == ("", 1)


def test_undecodable_missing_path(tmp_path: Path) -> None:
    """A missing path that is no text is one line on standard error too."""
    finished = _finish(os.fsencode(tmp_path / "caf") + b"\xe9")
    assert finished.stderr == (
        f"inotify-cffi: {tmp_path}/caf\\xe9: No such file or directory\n"
    )
    assert (finished.stdout, finished.returncode) == ("", 1)


def test_undecodable_names(watch: Callable[..., Running], tmp_path: Path) -> None:
    """A byte of a name that is no text is shown in hexadecimal."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    running = watch(folder)
    (folder / os.fsdecode("été".encode() + b"\xff")).mkdir()
    assert running.lines(1) == [f"{tmp_path}/caf\\xe9/été\\xff CREATE | ISDIR"]
    running.interrupt()


def test_names_of_several_lines(watch: Callable[..., Running], tmp_path: Path) -> None:
    """A name with a line feed in it still makes one line."""
    running = watch(tmp_path)
    (tmp_path / "first\nsecond").mkdir()
    (tmp_path / "other").mkdir()
    first, second = running.lines(2)
    assert re.fullmatch(r".*first.*second CREATE \| ISDIR", first)
    assert second == f"{tmp_path}/other CREATE | ISDIR"
    running.interrupt()


def test_closed_pipe(watch: Callable[..., Running], tmp_path: Path) -> None:
    """When nobody reads what it prints the command ends without a word."""
    running = watch(tmp_path)
    assert running.process.stdout is not None
    running.process.stdout.close()
    (tmp_path / "folder").mkdir()
    assert running.process.wait(60) == 128 + signal.SIGPIPE
    assert running.process.stderr is not None
    assert running.process.stderr.read() == ""
    running.process.stdout = None


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_without_standard_streams(tmp_path: Path, redirection: str) -> None:
    """With a standard stream closed a missing path is still status 1, no traceback."""
    redirected = ["sh", "-c", f'exec "$@" {redirection}', "sh"]
    finished = _finish(tmp_path / "missing", prefix=redirected)
    assert "Traceback" not in finished.stderr
    assert (finished.stdout, finished.returncode) == ("", 1)


def test_full_disk(start: Start, until_watching: UntilWatching, tmp_path: Path) -> None:
    """Where nothing can be written it is one line on standard error, and status 1."""
    process = start("sh", "-c", 'exec "$@" >/dev/full', "sh", *COMMAND, tmp_path)
    until_watching(process.pid, 1)
    (tmp_path / "folder").mkdir()
    _, errors = process.communicate()
    assert errors == "inotify-cffi: No space left on device\n"
    assert process.returncode == 1


def test_overflow(watch: Callable[..., Running], tmp_path: Path) -> None:
    """A queue that was full is told, and not as an event of a path."""
    with open("/proc/sys/fs/inotify/max_queued_events") as sysctl:
        limit = int(sysctl.read())
    (tmp_path / "file").touch()
    running = watch(tmp_path)
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    for number in range(limit // 2 + 10):
        os.utime(tmp_path, (number, number))
        os.utime(tmp_path / "file", (number, number))
    running.process.send_signal(signal.SIGCONT)
    (last,) = running.lines(limit + 1)[limit:]
    assert "Q_OVERFLOW" in last
    assert "/" not in last
    running.interrupt()


def test_help() -> None:
    """--help says what the command does; nothing to watch is a usage error."""
    finished = _finish("--help")
    assert finished.stdout.startswith("usage: inotify-cffi")
    assert (finished.stderr, finished.returncode) == ("", 0)
    finished = _finish()
    assert finished.stderr.startswith("usage: inotify-cffi")
    assert (finished.stdout, finished.returncode) == ("", 2)


def test_main_is_only_run_as_main(run_python: RunPython) -> None:
    """Importing the module that runs the command runs nothing."""
    assert run_python("import inotify_cffi.__main__") == ""
