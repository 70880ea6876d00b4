"""The command beyond inotifywait: JSON, trees, scripts that start and stop it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from commanding import COMMAND, PATIENCE, Running, finish, watched_below, watches_needed

from inotify_cffi.cli import output
from inotify_cffi.cli.paths import Paths
from inotify_cffi.cli.records import ALL_EVENTS
from inotify_cffi.cli.trees import Trees

if TYPE_CHECKING:
    from conftest import RunPython

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UNTEXT = os.fsdecode("é".encode() + b"\xff\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to watch, named ``d`` where the command runs."""
    (tmp_path / "d" / "sub").mkdir(parents=True)
    return tmp_path / "d"


def _objects(printed: bytes) -> list[dict[str, Any]]:
    assert printed.isascii()
    return [json.loads(line) for line in printed.splitlines()]


def _short(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["path"], one["events"], one["old_path"], one["synthetic"]


# ---- JSON ----------------------------------------------------------------------------


def test_json(watch: Callable[..., Running], root: Path) -> None:
    """An object a line, with these keys, and the kernel's names and cookie."""
    running = watch("-m", "--json", "-e", "create,move,close,attrib", "d")
    (root / "x").mkdir()
    (root / "x").rename(root / "y")
    root.chmod(0o700)
    (root / "last").touch()
    printed = _objects(running.until_printed(b"}\n") + running.until_printed(b"}\n"))
    while "CLOSE_WRITE" not in printed[-1]["events"]:
        printed += _objects(running.until_printed(b"}\n"))
    assert list(printed[0]) == [
        "path",
        "events",
        "old_path",
        "cookie",
        "synthetic",
        "time",
    ]
    assert [_short(one) for one in printed] == [
        ("d/x", ["CREATE", "ISDIR"], None, False),
        ("d/x", ["MOVED_FROM", "ISDIR"], None, False),
        ("d/y", ["MOVED_TO", "ISDIR"], None, False),
        ("d", ["ATTRIB", "ISDIR"], None, False),
        ("d/last", ["CREATE"], None, False),
        *([("d/last", ["ATTRIB"], None, False)] if len(printed) == 7 else []),
        ("d/last", ["CLOSE_WRITE"], None, False),
    ]
    assert printed[0]["cookie"] is None
    assert isinstance(printed[1]["cookie"], int)
    assert printed[1]["cookie"] == printed[2]["cookie"]
    times = [one["time"] for one in printed]
    assert all(RFC3339.fullmatch(time) for time in times)
    assert times == sorted(times)


def test_json_of_renames_in_a_tree(watch: Callable[..., Running], root: Path) -> None:
    """A rename inside a tree is one object, that says where it was before."""
    (root / "x").mkdir()
    running = watch("-mr", "--json", "-e", "create,move,delete", "d")
    (root / "x").rename(root / "sub" / "x")
    (root / "sub" / "x" / UNTEXT).mkdir()
    (root / "sub").rename(root.parent / "away")
    printed = _objects(b"".join(running.until_printed(b"}\n") for _ in range(3)))
    assert [_short(one) for one in printed] == [
        ("d/sub/x", ["MOVED_TO", "ISDIR"], "d/x", False),
        (f"d/sub/x/{UNTEXT}", ["CREATE", "ISDIR"], None, False),
        ("d/sub", ["MOVED_FROM", "ISDIR"], None, False),
    ]
    assert os.fsencode(printed[1]["path"]) == os.fsencode(f"d/sub/x/{UNTEXT}")
    assert {one["cookie"] for one in printed} == {None}


def test_json_of_a_rename_half_left_out(
    watch: Callable[..., Running], root: Path
) -> None:
    """If a filter leaves out one of the names, a rename is reported as a half."""
    (root / "a.txt").touch()
    running = watch("-mr", "--json", "-e", "move", "--include", r"\.txt$", "d")
    (root / "a.txt").rename(root / "a.bak")
    (root / "a.bak").rename(root / "sub" / "b.txt")
    (root / "sub" / "b.txt").rename(root / "c.txt")
    printed = _objects(b"".join(running.until_printed(b"}\n") for _ in range(3)))
    assert [_short(one) for one in printed] == [
        ("d/a.txt", ["MOVED_FROM"], None, False),
        ("d/sub/b.txt", ["MOVED_TO"], None, False),
        ("d/c.txt", ["MOVED_TO"], "d/sub/b.txt", False),
    ]


# ---- trees ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["--json", "--format=%w%f"])
def test_new_directories(watch: Callable[..., Running], root: Path, form: str) -> None:
    """Nothing that is created in new directories is lost, however fast it is."""
    running = watch("-mr", form, "-e", "create", "d")
    wanted = []
    for number in range(50):
        deep = root / f"{number}" / "b" / "c" / "d"
        deep.mkdir(parents=True)
        (deep / "file").touch()
        wanted += [deep.parents[2], deep.parents[1], deep.parents[0], deep]
        wanted.append(deep / "file")
    (root / "last").mkdir()
    wanted.append(root / "last")
    printed = []
    for line in [running.until_printed(b"\n") for _ in wanted]:
        text = line.decode().rstrip("\n")
        printed.append(json.loads(text)["path"] if form == "--json" else text)
    assert sorted(printed) == sorted(
        str(path.relative_to(root.parent)) for path in wanted
    )


def test_initial(watch: Callable[..., Running], root: Path) -> None:
    """--initial first reports the content, even if -e has only other events."""
    (root / "sub" / "file").touch()
    running = watch("-mr", "--json", "--initial", "--ready", "-e", "delete", "d")
    (root / "sub" / "file").unlink()
    printed = _objects(b"".join(running.until_printed(b"}\n") for _ in range(4)))
    assert [_short(one) for one in printed] == [
        ("d/sub", ["CREATE", "ISDIR"], None, True),
        ("d/sub/file", ["CREATE"], None, True),
        ("", ["READY"], None, True),
        ("d/sub/file", ["DELETE"], None, False),
    ]


EVENT_BEFORE_INITIAL = """
import os
from inotify_cffi.cli import main, running

start = running.start

def start_and_create(*arguments):
    source = start(*arguments)
    os.mkdir("d/new")
    return source

running.start = start_and_create
main(["-rq", "--initial", "-e", "create", "d"])
"""


def test_event_before_initial(tmp_path: Path, root: Path) -> None:
    """An event before the CREATEs of --initial ends the command after them."""
    finished = finish(
        cwd=tmp_path, command=[sys.executable, "-c", EVENT_BEFORE_INITIAL]
    )
    assert finished.stdout.splitlines() == [
        b"d/ CREATE,ISDIR sub",
        b"d/ CREATE,ISDIR new",
    ]
    assert (finished.stderr, finished.returncode) == (b"", 0)


def test_initial_is_not_the_event(watch: Callable[..., Running], root: Path) -> None:
    """The CREATEs of --initial are not the one event that ends the command."""
    running = watch("-r", "--initial", "-e", "create", "d")
    (root / "x").mkdir()
    printed, _, status = running.ended()
    assert printed == b"d/ CREATE,ISDIR sub\nd/ CREATE,ISDIR x\n"
    assert status == 0


def test_initial_shows_nothing_of_its_own(root: Path) -> None:
    """The command's own listing of directories is no event, and does not end it."""
    finished = finish("-qr", "--initial", "-t", "0.3", "d", cwd=root.parent)
    assert (finished.stdout, finished.returncode) == (b"d/ CREATE,ISDIR sub\n", 2)


def test_excluded_costs_no_watch(tmp_path: Path, root: Path) -> None:
    """A directory that an expression leaves out with all below it is not watched."""
    for path in ("skip/a/b", "keep/a", "out/a"):
        (root / path).mkdir(parents=True)
    arguments = ["-mr", "--exclude", "/skip", "d", "@d/out"]
    running = Running([*COMMAND, *arguments], tmp_path).until_said()
    assert watched_below(running.process.pid, root) == {
        root,
        root / "sub",
        root / "keep",
        root / "keep" / "a",
    }
    running.ended(signal.SIGTERM)


def test_exclude_that_looks_ahead(watch: Callable[..., Running], root: Path) -> None:
    """An expression that matches a directory, not what is in it, leaves that in."""
    running = watch("-mr", "-e", "create", "--exclude", "sub$", "d")
    (root / "sub" / "x").mkdir()
    assert running.until_printed(b"x\n") == b"d/sub/ CREATE,ISDIR x\n"


def test_left_out(watch: Callable[..., Running], root: Path) -> None:
    """@PATH leaves out a file too, and without -r."""
    (root / "a").touch()
    running = watch("-m", "-e", "attrib", "d", "@d/a")
    (root / "a").chmod(0o600)
    (root / "sub").chmod(0o700)
    assert running.until_printed(b"sub\n") == b"d/ ATTRIB,ISDIR sub\n"


def test_symbolic_link_to_a_directory(
    watch: Callable[..., Running], root: Path
) -> None:
    """A link to a directory is one: its names can be read from the line."""
    (root.parent / "link").symlink_to("d")
    running = watch("-m", "--format", "%w%f", "-e", "create", "link")
    (root / "x").mkdir()
    assert running.until_printed(b"\n") == b"link/x\n"


def test_file_followed_by_its_name(watch: Callable[..., Running], root: Path) -> None:
    """With -r a file that is replaced is still watched."""
    (root / "f").write_text("old")
    running = watch("-mr", "-e", "move,modify", "d/f")
    (root / "new").write_text("new")
    (root / "new").rename(root / "f")
    with open(root / "f", "a") as file:
        file.write("more")
    assert running.until_printed(b"MODIFY \n") == b"d/f MOVED_TO \nd/f MODIFY \n"


@pytest.mark.parametrize("recursive", [False, True])
def test_overflow(watch: Callable[..., Running], root: Path, recursive: bool) -> None:
    """An overflow is reported for each path; with -r, then the content is."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    other = root.parent / "other"
    other.mkdir()
    options = "-mr" if recursive else "-m"
    running = watch(options, "--json", "-e", "attrib,create", "d", "other")
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    for number in range(limit // 2 + 10):
        os.utime(root, (number, number))
        os.utime(other, (number, number))
    (root / "missed").mkdir()
    running.process.send_signal(signal.SIGCONT)
    lost: list[str] = []
    healed = not recursive
    while len(lost) < 2 or not healed:
        (one,) = _objects(running.until_printed(b"\n"))
        if one["events"] == ["Q_OVERFLOW"]:
            lost.append(one["path"])
        if one["path"] == "d/missed":
            assert one["synthetic"]
            healed = True
    assert lost == ["d", "other"]


# ---- scripts -------------------------------------------------------------------------


def test_null_records(watch: Callable[..., Running], root: Path) -> None:
    """-0 gives paths to xargs, whatever their names."""
    (root / "spool").mkdir()
    running = watch("-m", "-0", "-e", "create", "d")
    (root / UNTEXT).mkdir()
    (root / "last one").mkdir()
    printed = running.until_printed(b"last one\0", end=b"\0")
    assert printed == os.fsencode(f"d/{UNTEXT}\0d/last one\0")
    shown = subprocess.run(
        ["xargs", "-0", "-n1", "stat", "-c", "%F"],
        input=printed,
        cwd=root.parent,
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
    )
    assert shown.stdout == b"directory\n" * 2


@pytest.mark.parametrize("form", [["--format", "%f"], ["--csv"], ["--json"]])
def test_null_ends_other_records(
    watch: Callable[..., Running], root: Path, form: list[str]
) -> None:
    """With a form of records -0 says how they end."""
    running = watch("-0", *form, "-e", "create", "d")
    (root / "x").mkdir()
    printed, _, status = running.ended()
    assert printed.count(b"\0") == 1
    assert printed.endswith(b"\0")
    assert b"\n" not in printed
    assert status == 0


def test_ready_descriptor(tmp_path: Path, root: Path) -> None:
    """--ready-fd says "ready" once all is watched, and closes."""
    reading, writing = os.pipe()
    arguments = ["-q", "-e", "create", "--ready-fd", str(writing), "d"]
    running = Running([*COMMAND, *arguments], tmp_path, pass_fds=[writing])
    os.close(writing)
    with open(reading, "rb") as ready:
        assert ready.read() == b"ready\n"
    (root / "x").mkdir()
    assert running.ended() == (b"d/ CREATE,ISDIR x\n", b"", 0)


def test_ready_that_nobody_reads(tmp_path: Path, root: Path) -> None:
    """When nobody waits for readiness any more, nothing else changes."""
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ["-t", "1", "--ready-fd", str(writing), "d"]
    running = Running([*COMMAND, *arguments], tmp_path, pass_fds=[writing])
    os.close(writing)
    assert running.ended()[2] == 2


@pytest.mark.parametrize(
    ("form", "record"),
    [
        ([], b" READY \n"),
        (["--csv"], b"READY,\n"),
        (["--format", "%e %w%f"], b"READY \n"),
    ],
)
def test_ready_record(
    tmp_path: Path, root: Path, form: list[str], record: bytes
) -> None:
    """--ready prints a record before all others."""
    running = Running([*COMMAND, "-q", "--ready", *form, "d"], tmp_path)
    assert running.record() == record
    (root / "x").mkdir()
    assert running.ended()[2] == 0


EXECUTED = """
import json, os, sys
names = "PATH", "EVENTS", "OLD_PATH"
printed = {name: os.environ.get("INOTIFY_" + name) for name in names}
print(json.dumps([sys.argv[1:], printed]), flush=True)
"""


def test_exec(watch: Callable[..., Running], tmp_path: Path, root: Path) -> None:
    """--exec runs a command for each event, with no shell in between."""
    (tmp_path / "printed.py").write_text(EXECUTED)
    command = f"{sys.executable} printed.py '$HOME; x'  \"two words\""
    arguments = ["-mr", "--json", "-e", "create,move", "--exec", command, "d"]
    running = watch(*arguments, env={"INOTIFY_OLD_PATH": "of another event"})
    (root / UNTEXT).mkdir()
    (root / UNTEXT).rename(root / "y")
    lines = [running.until_printed(b"\n") for _ in range(4)]
    assert [json.loads(line) for line in lines[1::2]] == [
        [
            ["$HOME; x", "two words"],
            {"PATH": f"d/{UNTEXT}", "EVENTS": "CREATE,ISDIR", "OLD_PATH": None},
        ],
        [
            ["$HOME; x", "two words"],
            {"PATH": "d/y", "EVENTS": "MOVED_TO,ISDIR", "OLD_PATH": f"d/{UNTEXT}"},
        ],
    ]


@pytest.mark.parametrize(
    ("script", "end"),
    [("exit 3", b"exit status 3"), ("kill -9 $$", b"ended by signal 9")],
)
def test_exec_that_fails(
    watch: Callable[..., Running], root: Path, script: str, end: bytes
) -> None:
    """A command that fails is a line on standard error; the next event runs it."""
    running = watch("-m", "-e", "create", "--exec", f"sh -c '{script}'", "d")
    (root / "x").mkdir()
    (root / "y").mkdir()
    running.until_said((b"inotify-cffi: sh: " + end + b"\n") * 2)


@pytest.mark.parametrize("options", [[], ["--exec", "touch executed"]])
def test_quiet(tmp_path: Path, root: Path, options: list[str]) -> None:
    """-qq prints nothing, but ends at the event, and runs the command of --exec."""
    arguments = ["-qq", "--ready-fd=2", "-e", "create", *options, "d"]
    running = Running([*COMMAND, *arguments], tmp_path).until_said(b"ready\n")
    (root / "x").mkdir()
    assert running.ended() == (b"", b"ready\n", 0)
    assert (tmp_path / "executed").exists() == bool(options)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "there is no command"),
        ("no-such-command x", "no-such-command: command not found"),
        ("sh 'x", "No closing quotation"),
    ],
)
def test_exec_of_nothing(root: Path, command: str, reason: str) -> None:
    """A command that cannot be run is refused before anything is watched."""
    finished = finish("--exec", command, "d", cwd=root.parent)
    assert finished.stderr.decode() == f"inotify-cffi: --exec: {reason}\n"
    assert (finished.stdout, finished.returncode) == (b"", 1)


def test_outfile(tmp_path: Path, root: Path) -> None:
    """-o appends, and makes a file that only its owner may read."""
    for name in ("x", "y"):
        arguments = ["-e", "create", "-o", "d/../out", "d"]
        running = Running([*COMMAND, *arguments], tmp_path).until_said()
        (root / name).mkdir()
        assert running.ended()[::2] == (b"", 0)
    assert (tmp_path / "out").read_text() == "d/ CREATE,ISDIR x\nd/ CREATE,ISDIR y\n"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


# ---- the table -----------------------------------------------------------------------


def test_stats_beside_inotifywatch(
    watch: Callable[..., Running],
    tmp_path: Path,
    root: Path,
    until: Callable[[Callable[[], Any]], None],
) -> None:
    """--stats shows the table of inotifywatch, on standard error."""
    inotifywatch = shutil.which("inotifywatch")
    if inotifywatch is None:
        pytest.skip("inotifywatch (Debian: inotify-tools) is not installed")
    events = ["-e", "create,move,delete,attrib"]
    theirs = Running([inotifywatch, *events, "d", "d/sub"], tmp_path)
    theirs.until_said(b"now collecting statistics.\n")
    ours = watch("-m", "--stats", *events, "d", "d/sub")
    for name in ("x", "y", "sub/z"):
        (root / name).mkdir()
    (root / "x").rename(root / "sub" / "x")
    (root / "y").rmdir()
    ours.until_printed(b"d/ DELETE,ISDIR y\n")
    said = ours.ended(signal.SIGTERM)[1]
    # It sleeps when it has read all; a signal would end it before that.
    status = Path(f"/proc/{theirs.process.pid}/stat")
    until(lambda: status.read_text().rpartition(")")[2].split()[0] == "S")
    table = theirs.ended(signal.SIGINT)[0]
    assert table.startswith(b"total  moved_from  moved_to  create  delete  filename")
    assert said.split(b"Watches established.\n")[1].splitlines() == [
        line.rstrip() for line in table.splitlines()
    ]


def test_stats_of_nothing(root: Path) -> None:
    """Without an event there is no table."""
    finished = finish("--stats", "-t", "1", "d", cwd=root.parent)
    assert finished.stderr.endswith(b"No events occurred.\n")
    assert finished.returncode == 2


# ---- terminals -----------------------------------------------------------------------


class Terminal:
    """A terminal that a command may write to."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.openpty()

    def until(self, words: bytes) -> bytes:
        """Wait until these words are shown; return all that is, to then."""
        shown = b""
        while words not in shown:
            assert select.select([self._ours], [], [], PATIENCE)[0], shown
            shown += os.read(self._ours, 4096)
        return shown

    def close(self) -> None:
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal, closed afterwards."""
    terminal = Terminal()
    yield terminal
    terminal.close()


TERM = {"TERM": "xterm", "NO_COLOR": ""}


@pytest.mark.parametrize(
    ("env", "line"),
    [
        (TERM, b"d/ \x1b[32mCREATE,ISDIR\x1b[0m x\\x1b\\n\r\n"),
        ({**TERM, "NO_COLOR": "1"}, b"d/ CREATE,ISDIR x\\x1b\\n\r\n"),
        ({**TERM, "TERM": "dumb"}, b"d/ CREATE,ISDIR x\\x1b\\n\r\n"),
    ],
)
def test_terminal(
    watch: Callable[..., Running],
    root: Path,
    terminal: Terminal,
    env: dict[str, str],
    line: bytes,
) -> None:
    """On a terminal events have colours, and names do not command it."""
    watch("-m", "-e", "create", "d", stdout=terminal.theirs, env=env)
    (root / "x\x1b\n").mkdir()
    assert terminal.until(b"\n") == line


def test_colours(watch: Callable[..., Running], root: Path, terminal: Terminal) -> None:
    """Arrivals are green, losses are red, and changes are yellow."""
    events = "create,delete,attrib"
    watch("-m", "-e", events, "d", stdout=terminal.theirs, env=TERM)
    (root / "x").mkdir()
    (root / "x").chmod(0o700)
    (root / "x").rmdir()
    assert terminal.until(b"DELETE,ISDIR\x1b[0m x\r\n").splitlines() == [
        b"d/ \x1b[32mCREATE,ISDIR\x1b[0m x",
        b"d/ \x1b[33mATTRIB,ISDIR\x1b[0m x",
        b"d/ \x1b[31mDELETE,ISDIR\x1b[0m x",
    ]


@contextlib.contextmanager
def _on_terminal(
    terminal: Terminal, cwd: Path, code: str, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=terminal.theirs,
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


AT_ONCE = """
import inotify_cffi.cli.progress as progress
progress._PATIENCE = progress._PAUSE = progress._SHARE = 0
from inotify_cffi.cli import main
main(["-mr", "d"])
"""


def test_progress(tmp_path: Path, root: Path, terminal: Terminal) -> None:
    """A start that takes long says on a terminal how far it has come."""
    for number in range(30):
        for inner in range(30):
            (root / f"{number}" / f"{inner}" / "below").mkdir(parents=True)
    with _on_terminal(terminal, tmp_path, AT_ONCE, TERM) as process:
        shown = terminal.until(b"Watches established.")
        process.terminate()
    counts = [
        int(count) for count in re.findall(rb"\r(\d+) directories watched", shown)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] < 2000
    assert b"\r\x1b[KWatches established." in shown


def test_progress_of_a_short_start(
    tmp_path: Path, root: Path, terminal: Terminal
) -> None:
    """A start that does not take long says nothing of how far it has come."""
    code = AT_ONCE.replace("_SHARE = 0", "_SHARE = 3600")
    with _on_terminal(terminal, tmp_path, code, TERM) as process:
        shown = terminal.until(b"Watches established.")
        process.terminate()
    assert b"so far" not in shown
    assert b"\x1b" not in shown


def test_progress_without_a_terminal(tmp_path: Path, root: Path) -> None:
    """If standard error is no terminal, no progress is printed."""
    for number in range(100):
        (root / f"{number}").mkdir()
    command = [sys.executable, "-c", AT_ONCE]
    running = Running(command, tmp_path).until_said()
    assert b"directories" not in running.ended(signal.SIGTERM)[1]


def test_stats_with_rich(
    watch: Callable[..., Running], tmp_path: Path, root: Path, terminal: Terminal
) -> None:
    """On a terminal rich draws the table, where it is installed."""
    pytest.importorskip("rich")
    code = """
from inotify_cffi.cli import main
main(["-e", "create", "--stats", "d"])
"""
    with _on_terminal(terminal, tmp_path, code, TERM) as process:
        terminal.until(b"Watches established.\r\n")
        (root / "[x]").mkdir()
        assert process.wait(60) == 0
    shown = terminal.until("└".encode()).decode()
    assert re.search(
        "┃ *total ┃ *create ┃ *filename", re.sub("\x1b\\[[0-9;]*m", "", shown)
    )


def test_stats_without_rich(tmp_path: Path, root: Path, terminal: Terminal) -> None:
    """On a terminal the table is plain where rich is not installed."""
    code = """
import sys
sys.modules["rich"] = None
from inotify_cffi.cli import main
main(["-e", "create", "--stats", "d"])
"""
    with _on_terminal(terminal, tmp_path, code, TERM) as process:
        terminal.until(b"Watches established.\r\n")
        (root / "x").mkdir()
        shown = terminal.until(b"d/\r\n")
        assert process.wait(60) == 0
    assert shown == b"total  create  filename\r\n1      1       d/\r\n"


# ---- ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", ["-m", "-mr"])
def test_signals(
    watch: Callable[..., Running], root: Path, number: int, options: str
) -> None:
    """A signal ends it as it ends any program, and without a word."""
    printed, said, status = watch(options, "d").ended(number)
    assert (printed, status) == (b"", -number)
    assert said.endswith(b"Watches established.\n")


SIGNAL_BEFORE_WAIT = """
import os, signal
from inotify_cffi.cli.signals import Ended, Signals

signals = Signals()
signals.catch()
signals.open()
never, _ = os.pipe()
# A signal whose handler has nothing to raise: only the pipe can end the wait.
signal.signal(signal.SIGUSR1, lambda number, frame: None)
os.kill(os.getpid(), signal.SIGUSR1)
signals.wait([never], None)
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signals.wait([never], None)
except Ended as ended:
    print(ended.number == signal.SIGTERM)
signals.close()
"""


def test_signal_just_before_a_wait(run_python: RunPython) -> None:
    """A signal that came just before a wait ends it."""
    assert run_python(SIGNAL_BEFORE_WAIT) == "True\n"


MAIN_IN_A_PROGRAM = """
import gc
from inotify_cffi.cli import main

try:
    main(["--help"])
except SystemExit:
    print(gc.isenabled())
"""


def test_garbage_is_collected_after_main(run_python: RunPython) -> None:
    """A program that calls main, and goes on, has its garbage collected as before."""
    assert run_python(MAIN_IN_A_PROGRAM).endswith("\nTrue\n")


SIGNAL_IN_AN_IMPORT = """
import os, signal
from inotify_cffi.cli.signals import Ended, Signals

def import_module():
    file = open(os.devnull)
    os.kill(os.getpid(), signal.SIGTERM)
    file.close()

Signals().catch()
try:
    import_module()
except Ended as ended:
    print(ended.number == signal.SIGTERM)
"""


def test_signal_in_an_import(run_python: RunPython) -> None:
    """With -W error, too, nothing is said of a file that a signal leaves open."""
    assert run_python(SIGNAL_IN_AN_IMPORT) == "True\n"


@pytest.mark.parametrize("name", ["INT", "HUP"])
def test_ignored_signal(tmp_path: Path, root: Path, name: str) -> None:
    """A signal that was ignored at its start, as by nohup, stays so."""
    if name == "INT" and sys.implementation.name == "pypy":
        pytest.skip("PyPy catches SIGINT also where it was ignored")
    command = ["sh", "-c", f"trap '' {name}; exec \"$@\"", "sh", *COMMAND]
    running = Running([*command, "-m", "-e", "create", "d"], tmp_path).until_said()
    running.process.send_signal(signal.Signals[f"SIG{name}"])
    (root / "x").mkdir()
    assert running.until_printed(b"x\n") == b"d/ CREATE,ISDIR x\n"
    assert running.ended(signal.SIGTERM)[2] == -signal.SIGTERM


def test_signal_without_a_standard_stream(tmp_path: Path, root: Path) -> None:
    """A signal ends it also where there is no standard error."""
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND]
    running = Running([*command, "-m", "--ready", "d"], tmp_path)
    assert running.until_printed(b"\n") == b" READY \n"
    assert running.ended(signal.SIGTERM) == (b"", b"", -signal.SIGTERM)


def test_closed_pipe_where_its_signal_is_blocked(tmp_path: Path, root: Path) -> None:
    """If the signal cannot end it, the exit status is as a shell has it."""
    code = """
import signal
from inotify_cffi.cli import main
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
main(["-m", "d"])
"""
    running = Running([sys.executable, "-c", code], tmp_path).until_said()
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.stdout = None
    (root / "x").mkdir()
    assert running.ended()[2] == 128 + signal.SIGPIPE


def test_closed_pipe(watch: Callable[..., Running], root: Path) -> None:
    """Without a reader, it ends as SIGPIPE ends any program."""
    running = watch("-m", "d")
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.stdout = None
    (root / "x").mkdir()
    _, said, status = running.ended()
    assert status == -signal.SIGPIPE
    assert said == b"Setting up watches.\nWatches established.\n"


@pytest.mark.parametrize("where", ["outfile", "standard output"])
def test_full_disk(tmp_path: Path, root: Path, where: str) -> None:
    """If it cannot write, it prints one line and ends with status 1."""
    with open("/dev/full", "wb") as full:
        if where == "outfile":
            where, options = "/dev/full", ["-o", "/dev/full"]
            running = Running(
                [*COMMAND, "-mq", *options, "--ready-fd=2", "d"], tmp_path
            )
        else:
            arguments = ["-mq", "--ready-fd=2", "d"]
            running = Running([*COMMAND, *arguments], tmp_path, stdout=full.fileno())
        running.until_said(b"ready\n")
        (root / "x").mkdir()
        _, said, status = running.ended()
    full_disk = os.strerror(errno.ENOSPC)
    assert said.decode() == f"ready\ninotify-cffi: {where}: {full_disk}\n"
    assert status == 1


@pytest.mark.parametrize("options", ["-m", "-mr", "-mrq"])
def test_nothing_left(tmp_path: Path, root: Path, options: str) -> None:
    """When all that was watched is gone it says so, and ends with status 1."""
    arguments = [options, "-e", "delete_self,create", "--ready-fd=2", "d/sub"]
    running = Running([*COMMAND, *arguments], tmp_path).until_said(b"ready\n")
    (root / "sub").rmdir()
    printed, said, status = running.ended()
    assert printed == b"d/sub/ DELETE_SELF \n"
    assert said.endswith(b"ready\ninotify-cffi: nothing is left to watch\n")
    assert status == 1


@pytest.mark.parametrize("kind", ["paths", "trees"])
def test_nothing_left_to_read(root: Path, kind: str) -> None:
    """If nothing is left to watch, a read returns at once, without a wait."""
    sub = str(root / "sub")
    source: Paths | Trees = (
        Paths([sub], ALL_EVENTS, True, None)
        if kind == "paths"
        else Trees([sub], ALL_EVENTS, None)
    )
    source.establish()
    assert source.alive
    assert source.read() is None
    (root / "sub").rmdir()
    assert source.read()
    assert not source.alive
    assert source.read() == []
    source.close()


def test_end_of_what_is_left_out(tmp_path: Path, root: Path) -> None:
    """The end of an excluded path is not reported."""
    (root / "other").mkdir()
    arguments = ["-mq", "--exclude", "sub", "--ready-fd=2", "d/sub", "d/other"]
    running = Running([*COMMAND, *arguments], tmp_path).until_said(b"ready\n")
    (root / "sub").rmdir()
    (root / "other").rmdir()
    printed, _, status = running.ended()
    assert [line.split()[:2] for line in printed.splitlines()] == [
        [b"d/other/", b"DELETE_SELF"]
    ]
    assert status == 1


def test_undecodable_missing_path(tmp_path: Path) -> None:
    """A missing path that is no text is one line on standard error too."""
    finished = finish("-q", b"caf\xe9\n", cwd=tmp_path)
    assert finished.stderr == (
        b"Couldn't watch caf\\udce9\\n: No such file or directory\n"
    )
    assert (finished.stdout, finished.returncode) == (b"", 1)


@pytest.mark.parametrize("option", ["-q", "-qr"])
def test_watch_limit(
    tmp_path: Path, root: Path, user_namespace: list[str], option: str
) -> None:
    """The limit of watches is one line, which names the sysctl, and status 1."""
    limit = "echo 1 >/proc/sys/user/max_inotify_watches"
    command = [*user_namespace, "sh", "-c", f'{limit} && exec "$@"', "sh", *COMMAND]
    finished = finish(option, "d", "d/sub", cwd=tmp_path, command=command)
    said = finished.stderr.decode()
    assert re.fullmatch(
        r"Couldn't watch d\S*: .*user\.max_inotify_watches is 1 .*\n", said
    )
    assert (finished.stdout, finished.returncode) == (b"", 1)


def test_watch_limit_later(
    tmp_path: Path, root: Path, user_namespace: list[str]
) -> None:
    """When a new directory cannot be watched the command does not hide that."""
    arguments = ["-mr", "-e", "create", "d"]
    needed = watches_needed(*arguments, cwd=tmp_path)
    limit = f"echo {needed} >/proc/sys/user/max_inotify_watches"
    command = [*user_namespace, "sh", "-c", f'{limit} && exec "$@"', "sh", *COMMAND]
    running = Running([*command, *arguments], tmp_path).until_said()
    (root / "x").mkdir()
    _, said, status = running.ended()
    assert re.search(
        rf"\ninotify-cffi: d/x: .*user\.max_inotify_watches is {needed} .*\n$",
        said.decode(),
    )
    assert status == 1


def test_instance_limit(tmp_path: Path, root: Path, user_namespace: list[str]) -> None:
    """The limit of instances is one line, which names the sysctl, and status 1."""
    limit = "echo 0 >/proc/sys/user/max_inotify_instances"
    command = [*user_namespace, "sh", "-c", f'{limit} && exec "$@"', "sh", *COMMAND]
    finished = finish("-q", "d", cwd=tmp_path, command=command)
    assert re.fullmatch(
        r"Couldn't initialize inotify: .*user\.max_inotify_instances is 0 .*\n",
        finished.stderr.decode(),
    )
    assert (finished.stdout, finished.returncode) == (b"", 1)


NO_DESCRIPTORS = """
import os, resource, sys
from inotify_cffi.cli import main, running

start = running.start

def start_with_few(*arguments):
    free = os.dup(0)
    os.close(free)
    limit = free + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return start(*arguments)

running.start = start_with_few
main(["-rq", "-t", "0.1", "d"])
"""


def test_no_descriptors(tmp_path: Path, root: Path) -> None:
    """When a tree cannot be watched for lack of descriptors it says so."""
    command = [sys.executable, "-c", NO_DESCRIPTORS]
    statuses = []
    for more in range(10):
        finished = finish(str(more), cwd=tmp_path, command=command)
        statuses.append(finished.returncode)
        assert finished.stdout == b""
        if finished.returncode != 2:  # which says that all went well
            said = finished.stderr.decode()
            assert os.strerror(errno.EMFILE).lower() in said.lower()
            assert said.count("\n") == 1
    assert statuses[0] == 1
    assert statuses == sorted(statuses)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_without_standard_streams(root: Path, redirection: str) -> None:
    """With a standard stream closed there is no traceback, and nothing in its place."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND]
    finished = finish("-t", "1", "d", cwd=root.parent, command=command)
    assert b"Traceback" not in finished.stderr
    closed = ">&-" in redirection.split()
    assert finished.returncode == (1 if closed else 2)
    if redirection == ">&-":
        assert finished.stderr == b"inotify-cffi: standard output is closed\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-d"], "-o must be specified with -d."),
        (["--restart"], "--restart cannot be specified without --exec."),
        (["--kill-after", "1"], "--kill-after cannot be specified without --restart."),
        (["--max-depth", "1"], "--max-depth cannot be specified without --recursive."),
        (["-r", "--max-depth", "0"], "--max-depth: '0' is no number above 0"),
        (["--debounce", "x"], "--debounce: 'x' is not a number"),
        (["--for", "-1"], "--for: '-1' is not a number"),
        (["--glob", "!"], "--glob: '!' matches nothing"),
        (["--json", "--csv"], "--json and --csv or --format cannot both"),
        (["--initial"], "--initial cannot be specified without --recursive"),
        (["--ready-fd", "x"], "'x' is not a descriptor"),
        (["--ready-fd", "1000000"], "1000000 is not open"),
        (["-0", "--format=x", "--no-newline"], "--no-newline and --null cannot both"),
        (["--exclude", "a{2,1}"], "Error in `exclude' regular expression: Invalid"),
        (["--fromfile", "missing"], "missing: No such file or directory"),
        (["-q", "-o", "d"], "Failed to open output file d: Is a directory"),
        (["-q", "--ready-fd", "0"], "inotify-cffi: Bad file descriptor"),
    ],
)
def test_refused(root: Path, arguments: list[str], said: str) -> None:
    """An error is one line, and status 1."""
    finished = finish(*arguments, "d", cwd=root.parent)
    assert said in finished.stderr.decode()
    assert finished.stderr.count(b"\n") == 1
    assert (finished.stdout, finished.returncode) == (b"", 1)


def test_no_paths(root: Path) -> None:
    """@ leaves out nothing, and an empty line of --fromfile names nothing."""
    for arguments, stdin in ((["@"], b""), (["--fromfile", "-"], b"\n@\n")):
        finished = finish(*arguments, cwd=root.parent, stdin=stdin)
        assert finished.stderr == b"No files specified to watch!\n"
        assert finished.returncode == 1


def test_fromfile_without_standard_input(root: Path) -> None:
    """--fromfile of a standard input that is closed is refused."""
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND]
    finished = finish("--fromfile", "-", cwd=root.parent, command=command)
    said = b"inotify-cffi: --fromfile: standard input is closed\n"
    assert (finished.stderr, finished.returncode) == (said, 1)


def test_timefmt_of_no_text(root: Path, run_python: RunPython) -> None:
    """A NUL in --timefmt, which only a caller of main can pass, is refused."""
    code = r"""
import contextlib, io
from inotify_cffi.cli import main
said = io.StringIO()
with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
    main(["--format", "%T", "--timefmt", "\0", "/"])
print(said.getvalue(), end="")
"""
    said = run_python(code)
    assert said.startswith("inotify-cffi: --timefmt: embedded null")
    assert said.count("\n") == 1


def test_warning_where_all_is_quiet() -> None:
    """With -qq a file system that hides changes is no line on standard error."""
    finished = finish("-qqr", "-t", "1", "/proc/self/task", cwd=Path("/"))
    assert (finished.stdout, finished.stderr, finished.returncode) == (b"", b"", 2)


def test_pipe_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that somebody made non-blocking is waited for when it is full."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    read = []
    poll = select.poll

    def read_and_poll() -> select.poll:
        read.append(os.read(reading, 1 << 20))
        return poll()

    monkeypatch.setattr(select, "poll", read_and_poll)
    output.write_all(writing, b"last")
    assert os.read(reading, 1 << 20)[-4:] == b"last"
    assert len(read) == 1
    os.close(reading)
    os.close(writing)


def test_negative_timeout(root: Path) -> None:
    """A negative timeout only tries whether all can be watched, as in inotifywait 4."""
    finished = finish("-t", "-1", "d", cwd=root.parent)
    assert finished.stderr.endswith(b"Negative timeout specified - abort!\n")
    assert finished.returncode == 1


def test_longest_timeout(watch: Callable[..., Running], root: Path) -> None:
    """A timeout longer than poll(2) takes waits all the same."""
    running = watch("-t", str(2**63 - 1), "-e", "create", "d")
    (root / "x").mkdir()
    assert running.ended()[::2] == (b"d/ CREATE,ISDIR x\n", 0)


UNREADABLE = """
import ctypes, getopt, importlib, os, pkgutil, sys
from inotify_cffi import TreeWatcher, cli
from inotify_cffi.cli import main
# The other user need not be able to read the place of the installation.
for module in pkgutil.iter_modules(cli.__path__):
    importlib.import_module(f"inotify_cffi.cli.{module.name}")
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # so that /proc/self may be read
main(sys.argv[1:])
"""


def test_unreadable_directory(tmp_path: Path) -> None:
    """A directory that may not be read is a line on standard error, not the end."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o777)
        (Path(root) / "locked").mkdir()
        if os.geteuid() == 0:
            os.chown(f"{root}/locked", 65534, 65534)
        os.chmod(f"{root}/locked", 0)
        command = [sys.executable, "-W", "error", "-c", UNREADABLE]
        finished = finish("-qr", "-t", "1", root, cwd=Path("/"), command=command)
        os.chmod(f"{root}/locked", 0o700)
    said = finished.stderr.decode()
    assert re.fullmatch(r"inotify-cffi: waiting to read .*/locked': .*\n", said)
    assert finished.returncode == 2


# ---- help ----------------------------------------------------------------------------


def test_help() -> None:
    """--help shows every option, in groups, the statuses, and three examples."""
    from inotify_cffi.cli import options
    from inotify_cffi.cli.usage import HELP

    shown = finish("--help", cwd=Path("/"))
    assert (shown.stderr, shown.returncode) == (b"", 0)
    assert shown.stdout.decode() == HELP
    for name in {name.rstrip("=") for name in options._LONG} - {"filename"}:
        assert re.search(f"^  .*--{name}\\b", HELP, re.M), name
    examples = HELP.partition("Examples:\n")[2].splitlines()
    assert [line.split()[0] for line in examples] == ["inotify-cffi"] * 4
    assert all(len(line) <= 80 for line in HELP.splitlines())


def _options_in(text: str) -> dict[str, set[str]]:
    """The options that text names: each long one with its short one and value."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        # Of --help: what stands before two spaces; of the table: the first cell.
        if line.startswith("|"):
            named = line.split("|")[1].replace("`", "")
        else:
            named = re.split("  +", line.strip())[0]
        value = ""
        for short, name, given in re.findall(
            r"(?:(-\w), )?--([\w-]+)(?: ([A-Z]+))?", named
        ):
            value = given or value
            found[name] = {short, value} - {""}
    return found


def test_table_of_options() -> None:
    """--help, the documents' table and the parser have the same options."""
    from inotify_cffi.cli import options
    from inotify_cffi.cli.usage import HELP

    page = (Path(__file__).parents[1] / "docs" / "command.md").read_text()
    table = _options_in("\n".join(re.findall(r"^\| `.*$", page, re.M)))
    shown = _options_in("\n".join(re.findall(r"^  (?=-).*$", HELP, re.M)))
    taken = {name.rstrip("="): name.endswith("=") for name in options._LONG}
    del taken["filename"]
    assert shown.keys() == table.keys() == taken.keys()
    assert shown == table
    for name, takes_value in taken.items():
        has_value = any(not each.startswith("-") for each in shown[name])
        assert has_value is takes_value, name
    short = {each for of in shown.values() for each in of if each.startswith("-")}
    assert short == {f"-{each}" for each in options._SHORT.replace(":", "")} - {"-f"}


def test_version() -> None:
    """--version shows that of the distribution."""
    from importlib.metadata import version

    shown = finish("--version", cwd=Path("/"))
    assert shown.stdout.decode() == f"inotify-cffi {version('inotify-cffi')}\n"


def test_light_start(run_python: RunPython) -> None:
    """Modules for one option are imported for that option only."""
    code = """
        import sys
        before = set(sys.modules)
        from inotify_cffi.cli.options import parse
        import inotify_cffi.cli.running
        parse(["/"])
        heavy = {"argparse", "json", "re", "enum", "subprocess", "typing", "signal"}
        heavy |= {f"inotify_cffi.{name}" for name in ("tree", "instance", "events")}
        print(sorted(heavy & set(sys.modules) - before))
        """
    assert run_python(code) == "[]\n"


def test_main_is_only_run_as_main(run_python: RunPython) -> None:
    """Importing the module that runs the command runs nothing."""
    assert run_python("import inotify_cffi.__main__") == ""
