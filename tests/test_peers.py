"""The table of docs/comparison.md, cell by cell, as far as a program can test it.

Each peer runs as its users would run it, in a process of its own that is stopped
while the tree changes: so what it makes of the changes is no question of luck.
Installed by the extra `peers`; a peer of another version than the table is dated
with is skipped, and so is pyinotify where it cannot be imported.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

import pytest

if TYPE_CHECKING:
    from conftest import Start

CHECKOUT = Path(__file__).parents[1]

# Each prints ["ready"], then [what, path, old path] for each event, as JSON.
PROGRAMS = {
    "inotify-cffi": """
        from inotify_cffi import TreeWatcher, mask_str
        with TreeWatcher(*paths) as watcher:
            report("ready")
            for event in watcher:
                report(mask_str(event.mask), event.path, event.old_path)
        """,
    "inotify_simple": """
        from inotify_simple import INotify, flags, masks
        inotify = INotify()
        watched = {inotify.add_watch(path, masks.ALL_EVENTS): path for path in paths}
        report("ready")
        while True:
            for event in inotify.read():
                what = " ".join(flag.name for flag in flags.from_mask(event.mask))
                report(what, join(watched.get(event.wd, ""), event.name))
        """,
    "asyncinotify": """
        from pathlib import Path
        from asyncinotify import Inotify, Mask, RecursiveInotify
        every = Mask(0xFFF)
        with RecursiveInotify() as inotify:
            for path in map(Path, paths):
                if path.is_dir():
                    inotify.add_recursive_watch(path, every)
                else:
                    inotify.add_watch(path, every)
            report("ready")
            for event in inotify:
                report(str(event.mask), str(event.path))
        """,
    "watchdog": """
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer
        class Handler(FileSystemEventHandler):
            def on_any_event(self, event):
                report(event.event_type, event.src_path, event.dest_path or None)
        observer = Observer()
        for path in paths:
            observer.schedule(Handler(), path, recursive=True)
        observer.start()
        report("ready")
        observer.join()
        """,
    "pyinotify": """
        import pyinotify
        class Handler(pyinotify.ProcessEvent):
            def process_IN_Q_OVERFLOW(self, event):
                self.process_default(event)
            def process_default(self, event):
                old = getattr(event, "src_pathname", None)
                report(event.maskname, getattr(event, "pathname", None), old)
        manager = pyinotify.WatchManager()
        notifier = pyinotify.Notifier(manager, Handler())
        for path in paths:
            manager.add_watch(path, pyinotify.ALL_EVENTS, rec=True, auto_add=True)
        report("ready")
        notifier.loop()
        """,
    "watchfiles": """
        from watchfiles import watch
        first = True
        for changes in watch(*paths, yield_on_timeout=True, rust_timeout=100):
            if first:
                report("ready")
                first = False
            in_order = sorted(changes, key=lambda change: "beacon" in change[1])
            for change, path in in_order:
                report(change.name, path)
        """,
}
PRELUDE = """
import json, sys
from os.path import join
paths = sys.argv[1:]
def report(*words):
    sys.stdout.write(json.dumps(words) + "\\n")
    sys.stdout.flush()
"""


class Reported(NamedTuple):
    """A peer's report of an event."""

    what: str
    path: str
    old_path: str | None


class Peer:
    """A peer that watches: one process."""

    def __init__(
        self, process: subprocess.Popen[str], name: str, barrier: Path
    ) -> None:
        self.process = process
        self.name = name
        self.barrier = barrier
        self._numbers = count()
        assert process.stdout is not None
        self.stdout = process.stdout

    def until_ready(self) -> None:
        if self.name == "inotifywait":
            assert self.process.stderr is not None
            while "established" not in (line := self.process.stderr.readline()):
                assert line, "it ended"
        else:
            assert self.stdout.readline() == '["ready"]\n', self.process.communicate()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def reported(self) -> list[Reported]:
        """All its reports of earlier events."""
        first = next(self._numbers)
        seen = threading.Event()

        def light_beacons() -> None:
            # The queue may be full of earlier events: wait until one is reported.
            number = first
            while not seen.is_set():
                (self.barrier / f"beacon{number}").touch()
                number = next(self._numbers)
                seen.wait(0.1)

        lighting = threading.Thread(target=light_beacons)
        lighting.start()
        found = []
        try:
            for line in self.stdout:
                event = self._parse(line)
                beacon = re.search(r"/beacon(\d+)$", event.path)
                if beacon and int(beacon.group(1)) >= first:
                    break
                if not beacon:
                    found.append(event)
        finally:
            seen.set()
            lighting.join()
        return found

    def _parse(self, line: str) -> Reported:
        if self.name == "inotifywait":
            what, _, path = line.rstrip("\n").partition(" ")
            return Reported(what, path, None)
        what, path, old_path = [*json.loads(line), None, None][:3]
        return Reported(what, path or "", old_path)


@pytest.fixture
def watch(start: Start) -> Callable[..., Peer]:
    """The function that lets a peer watch paths, and returns once it does."""

    def watch(name: str, barrier: Path, *paths: Path) -> Peer:
        if name == "inotify_simple" and barrier not in paths:
            paths = (*paths, barrier)  # it watches no tree
        peer = Peer(start(*_command(name, *paths)), name, barrier)
        peer.until_ready()
        return peer

    return watch


def _command(name: str, *paths: Path) -> list[str]:
    arguments = [str(path) for path in paths]
    if name == "inotifywait":
        return [name, "-m", "-r", "--format", "%e %w%f", *arguments]
    program = PRELUDE + textwrap.dedent(PROGRAMS[name])
    return [sys.executable, "-u", "-W", "ignore", "-c", program, *arguments]


# ---- the probes ----------------------------------------------------------------


def whole_trees(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    peer = watch(name, tree / "barrier", tree)
    (tree / "folder" / "below" / "file").touch()
    return any(reported.path.endswith("/below/file") for reported in peer.reported())


def mkdir_p(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    peer = watch(name, tree / "barrier", tree)
    with peer.stopped():
        (tree / "a" / "b" / "c").mkdir(parents=True)
        (tree / "a" / "b" / "c" / "file").touch()
    reported = {reported.path for reported in peer.reported() + peer.reported()}
    return reported >= {
        str(tree / each) for each in ("a", "a/b", "a/b/c", "a/b/c/file")
    }


def rename(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    peer = watch(name, tree / "barrier", tree)
    (tree / "file").rename(tree / "folder" / "renamed")
    names = {str(tree / "file"), str(tree / "folder" / "renamed")}
    return any(
        {reported.path, reported.old_path} == names for reported in peer.reported()
    )


def renamed_directory(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    peer = watch(name, tree / "barrier", tree)
    (tree / "folder").rename(tree / "renamed")
    peer.reported()
    (tree / "renamed" / "below" / "file").touch()
    reported = {
        reported.path
        for reported in peer.reported()
        if reported.path.endswith("below/file")
    }
    return reported == {str(tree / "renamed" / "below" / "file")}


def moved_out(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    peer = watch(name, tree / "barrier", tree)
    outside = tree.with_name("outside")
    (tree / "folder").rename(outside)
    peer.reported()
    peer.reported()
    (outside / "below" / "file").touch()
    return not any(reported.path.endswith("below/file") for reported in peer.reported())


def _overflow(watch: Callable[..., Peer], name: str, tree: Path) -> list[Reported]:
    with open("/proc/sys/fs/inotify/max_queued_events") as sysctl:
        limit = int(sysctl.read())
    peer = watch(name, tree / "barrier", tree)
    with peer.stopped():
        for number in range(limit // 2 + 1):
            os.mknod(tree / f"file{number}")
            os.unlink(tree / f"file{number}")
        (tree / "lost").mkdir()
    return peer.reported() + peer.reported()


def overflow_is_reported(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    overflow = ("Q_OVERFLOW", "16384")
    return any(
        word in reported.what
        for reported in _overflow(watch, name, tree)
        for word in overflow
    )


def listed_again(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    return any(
        reported.path.endswith("/lost") for reported in _overflow(watch, name, tree)
    )


def atomic_save(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    file = tree / "file"
    peer = watch(name, tree / "barrier", file, tree / "barrier")
    (tree / "new").write_text("new")
    (tree / "new").replace(file)
    peer.reported()
    found = []
    for _ in range(3):
        with file.open("a") as opened:
            opened.write("more")
        found += peer.reported()
    return any(reported.path == str(file) for reported in found)


def close_on_exec(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    process = Path("/proc") / str(watch(name, tree / "barrier", tree).process.pid)
    (number,) = [
        fd.name for fd in (process / "fd").iterdir() if "inotify" in os.readlink(fd)
    ]
    (octal,) = re.findall(r"flags:\s*(\d+)", (process / "fdinfo" / number).read_text())
    return bool(int(octal, 8) & os.O_CLOEXEC)


def no_threads(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    peer = watch(name, tree / "barrier", tree)
    return len(os.listdir(f"/proc/{peer.process.pid}/task")) == 1


def py_typed(watch: Callable[..., Peer], name: str, tree: Path) -> bool:
    # Not by what the distribution lists: one that is installed in place lists none.
    spec = importlib.util.find_spec(name.replace("-", "_"))
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("py.typed").is_file()


PROBES = {
    "Types (`py.typed`)": py_typed,
    "Watches whole trees": whole_trees,
    "Reports everything that `mkdir -p` created": mkdir_p,
    "Reports a rename with both names": rename,
    "Right paths after a directory is renamed": renamed_directory,
    "Forgets what is moved out of the tree": moved_out,
    "Reports that events were lost": overflow_is_reported,
    "After lost events, reports what is there": listed_again,
    "Follows a file through an atomic save": atomic_save,
    "Close-on-exec": close_on_exec,
    "Starts no thread": no_threads,
}


def _table() -> dict[str, dict[str, str]]:
    """The table: for each row the cells, by the name of the column."""
    text = (CHECKOUT / "docs" / "comparison.md").read_text()
    table = text[text.index("<!-- peers -->") :].split("\n\n")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]
    return {row[0]: dict(zip(rows[0][1:], row[1:])) for row in rows[2:]}


def _columns() -> list[str]:
    return list(next(iter(_table().values())))


@pytest.mark.parametrize("row", PROBES)
@pytest.mark.parametrize("column", _columns())
def test_cell(
    column: str, row: str, watch: Callable[..., Peer], tmp_path: Path
) -> None:
    """A cell of the table says yes where the peer does it, and no where not."""
    name, version = column.split()
    cell = _table()[row][column]
    if cell == "\N{EN DASH}":
        pytest.skip("it does not apply")
    _skip_unless_installed(name, version)
    tree = tmp_path / "tree"
    (tree / "folder" / "below").mkdir(parents=True)
    (tree / "barrier").mkdir()
    (tree / "file").touch()
    assert cell.split()[0].strip(",") == (
        "yes" if PROBES[row](watch, name, tree) else "no"
    )


def _skip_unless_installed(name: str, version: str) -> None:
    if name == "inotifywait":
        if shutil.which(name) is None:
            pytest.skip("inotify-tools are not installed")
        printed = subprocess.run(
            [name, "--help"], capture_output=True, text=True, check=False
        )
        installed = printed.stdout.split()[1]
    else:
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
    if installed != version:
        pytest.skip(f"the table is about {name} {version}, this is {installed}")
    if name == "pyinotify" and sys.version_info >= (3, 12):
        pytest.skip("pyinotify imports asyncore, which Python 3.12 has not")
