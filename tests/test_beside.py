"""Each job that the documents show beside other libraries is done by each program."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

if TYPE_CHECKING:
    from conftest import Start

PAGE = (Path(__file__).parents[1] / "docs" / "beside.md").read_text()
JOBS = {
    (job, library): code
    for job, library, code in re.findall(
        r"<!-- job: (\w+) (\w+) -->\n```python\n(.*?)^```$", PAGE, re.M | re.S
    )
}
OURS, WATCHFILES, WATCHDOG = LIBRARIES = ("inotify_cffi", "watchfiles", "watchdog")

Run = Callable[[str, str], "subprocess.Popen[str]"]
Until = Callable[[Callable[[], object]], None]


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    """The folder that takes the place of /srv."""
    srv = tmp_path / "srv"
    for name in ("incoming", "copy"):
        (srv / name).mkdir(parents=True)
    return srv


@pytest.fixture
def run(start: Start, until: Until, srv: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The function that runs a program until it watches."""
    # What is restarted says so, where systemctl would be.
    systemctl = srv.parent / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text('#!/bin/sh\necho "$@"\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")

    def run(job: str, library: str) -> subprocess.Popen[str]:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
        program = srv.parent / f"{job}_{library}.py"
        program.write_text(JOBS[job, library].replace("/srv", str(srv)))
        process = start(sys.executable, "-u", str(program))
        inode = f"ino:{(srv / 'incoming').stat().st_ino:x} "
        until(lambda: inode in _watches(process.pid))
        return process

    return run


def _watches(process: int) -> str:
    """Return what the kernel lists of the watches of a process."""
    found = ""
    for fdinfo in Path(f"/proc/{process}/fdinfo").iterdir():
        try:
            found += fdinfo.read_text()
        except FileNotFoundError:
            continue  # closed meanwhile
    return found


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def test_every_program_is_run() -> None:
    """Each job is there for each library, and ours have five lines at most."""
    jobs = {job for job, _ in JOBS}
    assert JOBS.keys() == {(job, library) for job in jobs for library in LIBRARIES}
    assert jobs == {"drop", "reload", "sync"}
    assert PAGE.count("```python") == len(JOBS)
    for job in jobs:
        assert sum(map(bool, JOBS[job, OURS].splitlines())) <= 5  # not the empty ones


def test_drop(run: Run, srv: Path) -> None:
    """Ours reports a file when both of its writers have closed it."""
    (srv / "incoming" / "before").touch()
    process = run("drop", OURS)
    assert _line(process) == f"complete {srv}/incoming/before"
    with open(srv / "incoming" / "slow", "w") as slow:
        with open(srv / "incoming" / "slow", "a"):
            slow.write("half")
            slow.flush()
        (srv / "incoming" / "other").touch()
        assert _line(process) == f"complete {srv}/incoming/other"
    assert _line(process) == f"complete {srv}/incoming/slow"


def test_drop_of_watchfiles(run: Run, srv: Path) -> None:
    """watchfiles reports a file that is still being written."""
    process = run("drop", WATCHFILES)
    with open(srv / "incoming" / "slow", "w") as slow:
        slow.write("half")
        slow.flush()
        assert _line(process) == f"changed {srv}/incoming/slow"


def test_drop_of_watchdog(run: Run, srv: Path) -> None:
    """watchdog reports a file when the first of its writers has closed it."""
    process = run("drop", WATCHDOG)
    with open(srv / "incoming" / "slow", "w"):
        with open(srv / "incoming" / "slow", "a"):
            pass
        assert _line(process) == f"closed {srv}/incoming/slow"
    assert _line(process) == f"closed {srv}/incoming/slow"
    os.rename(srv / "incoming" / "slow", srv / "incoming" / "moved")
    assert _line(process) == f"moved {srv}/incoming/moved"


@pytest.mark.parametrize("library", LIBRARIES)
def test_reload(library: str, run: Run, srv: Path) -> None:
    """The server is started, and restarted when a Python file has changed."""
    process = run("reload", library)
    assert _line(process) == "restart server"
    (srv / "incoming" / "module.py").write_text("pass")
    assert _line(process) == "restart server"


@pytest.mark.parametrize("library", LIBRARIES)
def test_sync(library: str, run: Run, srv: Path, until: Until) -> None:
    """The copy has what was there, then what came, and no more what went."""
    if not shutil.which("rsync"):
        pytest.skip("there is no rsync")
    (srv / "incoming" / "before").touch()
    run("sync", library)
    copied = srv / "copy" / "before"
    until(copied.exists)
    (srv / "incoming" / "before").unlink()
    (srv / "incoming" / "file").write_text("text")
    until(lambda: not copied.exists() and (srv / "copy" / "file").exists())
