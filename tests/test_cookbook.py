"""Every recipe of the cookbook does what it says, and Ctrl-C ends it.

A recipe watches /srv/incoming, which is a folder of its own here.
"""

from __future__ import annotations

import configparser
import contextlib
import importlib.util
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

import inotify_cffi
from inotify_cffi import Batches

if TYPE_CHECKING:
    from conftest import Interrupt, RunPython, Start

PAGE = (Path(__file__).parents[1] / "docs" / "cookbook.md").read_text()
RECIPES = dict(
    re.findall(r"<!-- recipe: (\w+) -->\n```\w+\n(.*?)^```$", PAGE, re.M | re.S)
)


class Running:
    """A recipe that runs, with /srv in a folder of its own."""

    def __init__(
        self, process: subprocess.Popen[str], srv: Path, interrupt: Interrupt
    ) -> None:
        self.process = process
        self.srv = srv
        self._interrupt = interrupt

    def line(self) -> str:
        """Return the next line that it prints, with /srv as in the recipe."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        return line.replace(str(self.srv), "/srv")

    def lines(self, count: int) -> list[str]:
        return [self.line() for _ in range(count)]

    def interrupted(self) -> str:
        """End it as Ctrl-C does; return what it had printed."""
        self._interrupt(self.process)
        printed, errors = self.process.communicate()
        assert errors == "" or errors.rstrip().endswith("KeyboardInterrupt"), errors
        assert self.process.returncode in (0, -signal.SIGINT)
        return printed.replace(str(self.srv), "/srv")


Run = Callable[..., Running]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    """The folder that takes the place of /srv."""
    srv = tmp_path / "srv"
    for name in ("incoming", "done", "copy", "config"):
        (srv / name).mkdir(parents=True)
    return srv


@pytest.fixture
def run(
    start: Start,
    until_process_waits: Callable[[int, int], None],
    interrupt: Interrupt,
    srv: Path,
) -> Run:
    """The function that runs a recipe until it waits for so many instances."""

    def run(name: str, waits: int = 1, **replaced: str) -> Running:
        code = RECIPES[name].replace("/srv", str(srv))
        for old, new in replaced.items():
            assert old in code
            code = code.replace(old, new)
        program = srv.parent / f"recipe_{name}.py"
        program.write_text(code)
        process = start(sys.executable, "-u", "-W", "error", str(program))
        until_process_waits(process.pid, waits)
        return Running(process, srv, interrupt)

    return run


def test_every_recipe_is_run() -> None:
    """Each recipe has a test of its name, and each block of Python is a recipe."""
    tests = {name[5:] for name in globals() if name.startswith("test_")}
    assert tests >= RECIPES.keys()
    blocks = len(re.findall(r"^```python$", PAGE, re.M))
    assert blocks == len(RECIPES) - 1 + 2  # a unit; ship and work: test_command_redis


def test_drop(run: Run, srv: Path, until: Until) -> None:
    """The drop directory processes each file once, when it is complete."""
    (srv / "incoming" / "before").write_text("text")
    drop = run("drop")
    assert drop.line() == "before 4"
    with (srv / "incoming" / "slow").open("w") as slow:
        slow.write("half")
        slow.flush()
        (srv / "incoming" / "quick").write_text("quick")
        assert drop.line() == "quick 5"
        slow.write("whole")
    assert drop.line() == "slow 9"
    (srv / "incoming" / "upload.part").write_text("upload")
    (srv / "incoming" / "new").mkdir()
    (srv / "incoming" / "new" / "file").write_text("")
    assert drop.line() == "file 0"
    (srv / "incoming" / "upload.part").rename(srv / "incoming" / "upload")
    assert drop.line() == "upload 6"
    done = {"before", "slow", "quick", "file", "upload"}
    until(lambda: set(os.listdir(srv / "done")) == done)
    assert drop.interrupted() == ""
    assert os.listdir(srv / "incoming") == ["new"]


def test_drop_survives_a_restart(run: Run, srv: Path) -> None:
    """Files that arrive while the program is not running are processed at its start."""
    for size in range(1, 3):
        drop = run("drop") if size == 1 else None
        if drop is not None:
            drop.process.terminate()
            assert drop.process.communicate() == ("", "")
            assert drop.process.returncode == 0
        (srv / "incoming" / f"file{size}").write_text("x" * size)
    drop = run("drop")
    assert sorted(drop.lines(2)) == ["file1 1", "file2 2"]
    assert drop.interrupted() == ""


def test_reloader(run: Run, srv: Path) -> None:
    """The reloader restarts its program once for a burst of changes."""
    program = '"-c", "import time; print(\'started\', flush=True); time.sleep(600)"'
    reloader = run("reloader", **{'"-m", "http.server"': program})
    assert reloader.line() == "started"
    (srv / "incoming" / "text.txt").touch()
    for number in range(50):
        (srv / "incoming" / f"module{number}.py").touch()
    assert reloader.line() == "started"
    assert reloader.interrupted() == ""


def _tree(top: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(top)): path.read_text() if path.is_file() else None
        for path in top.rglob("*")
    }


def test_mirror(run: Run, srv: Path, until: Until) -> None:
    """The copy is what the tree is, through all that happens to it."""
    source, copy = srv / "incoming", srv / "copy"
    (source / "before").write_text("before")
    mirror = run("mirror")

    def same() -> bool:
        with contextlib.suppress(FileNotFoundError):
            return _tree(copy) == _tree(source)
        return False

    until(same)
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "file").write_text("text")
    (source / "before").rename(source / "a" / "after")
    until(same)
    (source / "a").rename(source / "z")
    (source / "z" / "b" / "file").write_text("other")
    until(same)
    shutil.rmtree(source / "z" / "b")
    (source / "z" / "after").unlink()
    until(same)
    assert _tree(copy) == {"z": None}
    assert mirror.interrupted() == ""


def test_tail(run: Run, srv: Path) -> None:
    """Appended data is printed, through rotation and truncation."""
    log = srv / "incoming" / "log"
    log.write_text("before\n")
    tail = run("tail")
    assert tail.line() == "before"
    with log.open("a") as file:
        file.write("appended\n")
        file.flush()
        assert tail.line() == "appended"
        log.rename(log.with_name("log.1"))
        log.write_text("new\n")
        assert tail.line() == "new"
    log.write_text("")
    log.write_text("x\n")
    assert tail.line() == "x"
    assert tail.interrupted() == ""


def test_config(run: Run, srv: Path) -> None:
    """A new configuration is loaded after an atomic save."""
    config = srv / "incoming" / "config.json"
    config.write_text('{"level": 1}')
    running = run("config")
    assert running.line() == "started with {'level': 1}"
    config.with_name("new").write_text('{"level": 2}')
    config.with_name("new").replace(config)
    assert running.line() == "changed to {'level': 2}"
    assert running.interrupted() == ""


def test_config_map(run: Run, srv: Path) -> None:
    """A new ConfigMap is loaded when Kubernetes exchanges its link."""
    volume = srv / "incoming"
    for number in (1, 2):
        (volume / f"..{number}").mkdir()
        (volume / f"..{number}" / "config.json").write_text(json.dumps(number))
    (volume / "..data").symlink_to("..1")
    (volume / "config.json").symlink_to("..data/config.json")
    running = run("config")
    assert running.line() == "started with 1"
    (volume / "..data_tmp").symlink_to("..2")
    (volume / "..data_tmp").rename(volume / "..data")
    shutil.rmtree(volume / "..1")
    assert running.line() == "changed to 2"
    assert running.interrupted() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_service(run: Run, srv: Path, number: signal.Signals) -> None:
    """The service follows both directories, and a signal ends it cleanly."""
    service = run("service", waits=2)
    (srv / "incoming" / "file").touch()
    assert service.line() == "upload added /srv/incoming/file"
    (srv / "config" / "file").touch()
    assert service.line() == "config added /srv/config/file"
    service.process.send_signal(number)
    assert service.process.communicate() == ("stopped\n", "")
    assert service.process.returncode == 0


def test_queue(run: Run, srv: Path) -> None:
    """The thread works on each path, and on what is left at Ctrl-C."""
    running = run("queue")
    for number in range(3):
        (srv / "incoming" / f"file{number}").touch()
    expected = [f"worked on /srv/incoming/file{number}" for number in range(3)]
    assert running.lines(3) == expected
    assert running.interrupted() == ""


def test_tasks(run: Run, srv: Path) -> None:
    """The task works on each path, and on what is left at Ctrl-C."""
    running = run("tasks")
    for number in range(3):
        (srv / "incoming" / f"file{number}").touch()
    expected = [f"worked on /srv/incoming/file{number}" for number in range(3)]
    assert running.lines(3) == expected
    assert running.interrupted() == ""


WRITTEN = 50_000
# At full speed, but behind the reader where other processes need the CPUs as well.
WRITE_AT_FULL_SPEED = """
import os, sys
os.nice(19)
for number in range(int(sys.argv[2])):
    path = f"{sys.argv[1]}/{number % 1000}"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
"""
SLOW = {
    "queue": "waiting and waiting.pop().readline(); print(",
    "tasks": "waiting and await asyncio.to_thread(waiting.pop().readline); print(",
}


@pytest.mark.parametrize("recipe", SLOW)
def test_slow_work(recipe: str, run: Run, srv: Path) -> None:
    """Nothing overflows while one works and another process writes at full speed."""
    longest = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if longest < 16_384:
        pytest.skip(f"max_queued_events is {longest}, and 16,384 by default")
    # Its first path keeps it until a line is in its standard input. It cannot be
    # slower, and no time has to be guessed.
    running = run(
        recipe,
        **{
            "from inotify_cffi": "import sys\nwaiting = [sys.stdin]\nfrom inotify_cffi",
            "print(": SLOW[recipe],
        },
    )
    command = [sys.executable, "-c", WRITE_AT_FULL_SPEED, str(srv / "incoming")]
    subprocess.run([*command, str(WRITTEN)], check=True)
    assert running.process.stdin is not None
    running.process.stdin.write("go on\n")
    running.process.stdin.flush()
    # An overflow would be an event of the root.
    expected = [f"worked on /srv/incoming/{number % 1000}" for number in range(WRITTEN)]
    assert running.lines(WRITTEN) == expected
    assert running.interrupted() == ""


def test_fork(run: Run, srv: Path) -> None:
    """A child that closes its copy takes neither events nor watches."""
    running = run("fork")
    (srv / "incoming" / "file").touch()
    assert running.line() == "file"
    assert running.interrupted() == ""


def test_pool(run: Run, srv: Path) -> None:
    """The workers get the paths of complete files."""
    (srv / "incoming" / "before").write_text("text")
    running = run("pool", waits=2)  # the pool's own thread polls as well
    assert running.line() == "/srv/incoming/before 4"
    (srv / "incoming" / "new").write_text("x")
    assert running.line() == "/srv/incoming/new 1"
    assert running.interrupted() == ""


def test_gunicorn(srv: Path) -> None:
    """The hook of gunicorn starts a thread that follows the directory."""
    names: dict[str, Any] = {}
    exec(RECIPES["gunicorn"].replace("/srv", str(srv)), names)
    opened: queue.SimpleQueue[Batches] = queue.SimpleQueue()
    logged: queue.SimpleQueue[int] = queue.SimpleQueue()

    def watch(path: str) -> Batches:
        batches: Batches = inotify_cffi.watch(path)
        opened.put(batches)
        return batches

    names["watch"] = watch  # the thread has to end here, and not with the process
    before = set(threading.enumerate())
    log = types.SimpleNamespace(info=lambda text, count: logged.put(count))
    names["post_worker_init"](types.SimpleNamespace(log=log))
    batches = opened.get(timeout=60)
    (thread,) = set(threading.enumerate()) - before
    (srv / "incoming" / "file").touch()
    assert logged.get(timeout=60) == 1
    batches.close()
    thread.join(60)


@pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="gevent is not installed"
)
def test_gevent(
    start: Start,
    srv: Path,
    until_watching: Callable[[int, int], None],
    interrupt: Interrupt,
) -> None:
    """A greenlet waits in gevent's loop."""
    code = RECIPES["gevent"].replace("/srv", str(srv))
    process = start(sys.executable, "-u", "-c", code)
    until_watching(process.pid, 1)
    (srv / "incoming" / "file").touch()
    running = Running(process, srv, interrupt)
    assert running.line() == "file"
    assert running.interrupted() == ""


@pytest.mark.skipif(
    importlib.util.find_spec("watchdog") is None, reason="watchdog is not installed"
)
def test_observer(run: Run, srv: Path) -> None:
    """watchdog's handlers get the events of a tree."""
    running = run("observer")
    (srv / "incoming" / "a" / "b").mkdir(parents=True)
    (srv / "incoming" / "a" / "b" / "file").touch()
    created = [f"/srv/incoming/{path}" for path in ("a", "a/b", "a/b/file")]
    assert running.lines(3) == created
    (srv / "incoming" / "a" / "b" / "file").rename(srv / "incoming" / "file")
    assert running.line() == "/srv/incoming/a/b/file is now /srv/incoming/file"
    assert running.interrupted() == ""


def test_huge(run: Run, srv: Path) -> None:
    """Excluded directories are not reported, and cost no watch."""
    for name in ("node_modules", "src"):
        (srv / "incoming" / name / "below").mkdir(parents=True)
    running = run("huge")
    (srv / "incoming" / "node_modules" / "file").touch()
    (srv / "incoming" / "src" / "below" / "file").touch()
    assert running.line() == "/srv/incoming/src/below/file"
    assert running.interrupted() == ""


# Mounts that nobody else sees: a bind mount, and an overlay over two layers.
MOUNTS = """
    import os, subprocess, sys
    from inotify_cffi import INotify, flags
    os.chdir(sys.argv[1])
    for name in ("lower", "upper", "work", "merged", "bound", "other"):
        os.mkdir(name)
    open("lower/file", "w").close()
    layers = "lowerdir=lower,upperdir=upper,workdir=work"
    for command in (
        ["mount", "-t", "overlay", "-o", layers, "none", "merged"],
        ["mount", "--bind", "bound", "other"],
    ):
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
            sys.exit(print("cannot mount"))
    with INotify() as inotify:
        inotify.add_watch("merged", flags.MODIFY | flags.CREATE)
        file = inotify.add_watch("merged/file", flags.MODIFY)
        inotify.add_watch("other", flags.CREATE)
        with open("merged/file", "a") as lower:
            lower.write("x")
        print(*sorted(event.wd == file for event in inotify.read(timeout=0)))
        open("upper/new", "w").close()
        print(inotify.read(timeout=0))
        open("bound/new", "w").close()
        print(*[event.name for event in inotify.read(timeout=0)])
    """


def test_mounts_of_containers(
    run_python: RunPython, mount_namespace: list[str], tmp_path: Path
) -> None:
    """Events through an overlay, also at a copy-up, and through a bind mount."""
    printed = run_python(MOUNTS, tmp_path, prefix=mount_namespace)
    if printed == "cannot mount\n":
        pytest.skip("there is no overlayfs here")
    assert printed == "False True\n[]\nnew\n"


def test_unit(tmp_path: Path) -> None:
    """systemd accepts the unit, and it runs the drop directory."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(RECIPES["unit"])
    assert parser["Service"]["ExecStart"].endswith("drop.py")
    assert "/srv/incoming" in parser["Service"]["ReadWritePaths"]
    if analyze := shutil.which("systemd-analyze"):
        unit = tmp_path / "drop.service"
        text = RECIPES["unit"].replace("/opt/drop/.venv/bin/python", sys.executable)
        unit.write_text(text)
        checked = subprocess.run(
            [analyze, "verify", "--man=no", unit],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "drop.service" not in checked.stderr


def test_only_public_names() -> None:
    """Recipes use only what is public."""
    for code in RECIPES.values():
        names = set(re.findall(r"from inotify_cffi import (.*)", code))
        assert set(", ".join(names).split(", ")) - {""} <= {*inotify_cffi.__all__}
        assert set(re.findall(r"inotify_cffi\.(\w+)", code)) <= {"watchdog"}
