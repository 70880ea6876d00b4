"""The README's commands, as sh runs them."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE

README = Path(__file__).parents[1] / "README.md"
# Stand-ins for what the commands run. (The real jq keeps its output for a pipe until it
# has a buffer of it.)
JQ = """
import json, sys
assert sys.argv[1:] == ["-r", ".path"]
for line in sys.stdin:
    print(json.loads(line)["path"])
"""
PROGRAMS = {
    "inotify-cffi": f'exec "{sys.executable}" -m inotify_cffi --ready-fd=2 "$@"',
    "jq": f'exec "{sys.executable}" -u -c {shlex.quote(JQ)} "$@"',
    "pytest": 'echo "tested with $*"',
    "process": 'echo "processed $*"',
}


def _commands() -> list[str]:
    section = README.read_text().partition("\n## The command\n")[2]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    assert found
    return found[1].splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder where the commands run, with the programs and paths they name."""
    (tmp_path / "bin").mkdir()
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    (tmp_path / "process").symlink_to("bin/process")
    for name in ("src", "tests", "spool", "incoming"):
        (tmp_path / name).mkdir()
    return tmp_path


@contextlib.contextmanager
def _running(command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run it with all that it starts, from when it watches until it is ended."""
    process = subprocess.Popen(
        ["sh", "-c", command.replace("/srv/incoming", str(folder / "incoming"))],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(PATIENCE, end)
    timer.start()
    with process:
        try:
            assert process.stderr
            while (line := process.stderr.readline()) != "ready\n":
                assert line
            yield process
        finally:
            timer.cancel()
            timer.join()
            end()


def _lines(process: subprocess.Popen[str], last: str) -> list[str]:
    """Return the lines that it prints, up to this one."""
    lines: list[str] = []
    assert process.stdout
    while not lines or lines[-1] != last:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line.rstrip("\n"))
    return lines


def test_all_are_tested() -> None:
    """The README has these commands, each of which is tested here."""
    assert len(_commands()) == 4


def test_a_tree(folder: Path) -> None:
    """The first command reports what is created in a tree, and written."""
    with _running(_commands()[0], folder) as running:
        (folder / "src" / "new").write_text("new")
        (folder / "src" / "sub").mkdir()
        (folder / "src" / "sub" / "below").mkdir()
        assert _lines(running, "src/sub/ CREATE,ISDIR below") == [
            "src/ CREATE new",
            "src/ CLOSE_WRITE,CLOSE new",
            "src/ CREATE,ISDIR sub",
            "src/sub/ CREATE,ISDIR below",
        ]


def test_paths_by_jq(folder: Path) -> None:
    """The JSON that it prints has the path as jq is asked for it."""
    with _running(_commands()[1], folder) as running:
        new = folder / "incoming" / "a\nb"
        new.mkdir()
        os.rename(new, folder / "incoming" / "c")
        assert _lines(running, str(folder / "incoming" / "c"))[-1]


def test_names_for_xargs(folder: Path) -> None:
    """A file is processed once it is written, or moved in, whatever its name."""
    with _running(_commands()[2], folder) as running:
        (folder / "new").write_text("new")
        os.rename(folder / "new", folder / "spool" / "moved in $(x) ' \"")
        (folder / "spool" / "written").write_text("new")
        assert _lines(running, "processed spool/written") == [
            "processed spool/moved in $(x) ' \"",
            "processed spool/written",
        ]


def test_a_glob_with_a_command(folder: Path) -> None:
    """A command runs once for files of the glob, and for no others."""
    with _running(_commands()[3], folder) as running:
        (folder / "src" / "notes.txt").write_text("new")
        for name in ("a.py", "b.py"):
            (folder / "tests" / name).write_text("new")
        lines = _lines(running, "tested with -q")
        assert not any("notes" in line for line in lines)
