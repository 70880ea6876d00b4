"""The command that `--exec` runs: signals, restarts, quiet, and names that bite."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Callable

import pytest
from commanding import COMMAND, PATIENCE, Running, beside, finish

from inotify_cffi import flags, watch
from inotify_cffi.cli.gathering import Gatherer
from inotify_cffi.cli.jobs import Command
from inotify_cffi.cli.options import Options
from inotify_cffi.cli.records import Record, path_of
from inotify_cffi.cli.trees import Trees
from inotify_cffi.cli.watching import Watch

# Says that it runs, and what signal ends it. A process of a shell loses a signal
# between its fork and its exec: sleep, which may be left over, holds no pipe.
JOB = """
trap 'echo got INT; kill $!; exit 3' INT
trap 'echo got TERM; kill $!; exit 4' TERM
sleep 60 >/dev/null 2>&1 & echo started; wait
"""
ATTRIB = ["-e", "attrib", "--format", "%f"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to watch, named ``d`` where the command runs."""
    (tmp_path / "d" / "sub").mkdir(parents=True)
    return tmp_path / "d"


def record(path: str, mask: int = flags.CREATE, old_path: str | None = None) -> Record:
    return Record("", path, int(mask), old_path=old_path)


# ---- signals -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [[], ["--restart"]])
def test_signal_while_the_command_runs(
    watch: Callable[..., Running],
    root: Path,
    number: signal.Signals,
    options: list[str],
) -> None:
    """A running command gets the signal and is waited for; then that ends all."""
    arguments = ["-m", *options, "-qq", "--shell", "--exec", JOB, *ATTRIB]
    running = Running([*COMMAND, *arguments, "--ready-fd=2", "d"], root.parent)
    running.until_said(b"ready\n")
    root.chmod(0o700)
    assert running.until_printed(b"\n") == b"started\n"
    printed, _, status = running.ended(number)
    assert printed == f"got {number.name[3:]}\n".encode()
    assert status == -number


def test_each_signal_is_given_on(root: Path) -> None:
    """A command that passes over the first signal gets the second one, too."""
    job = """
    trap 'echo once' TERM; trap 'echo twice; exit 0' INT
    echo started; while :; do sleep 0.1; done
    """
    arguments = ["-m", "-qq", "--shell", "--exec", job, *ATTRIB, "--ready-fd=2", "d"]
    running = Running([*COMMAND, *arguments], root.parent).until_said(b"ready\n")
    root.chmod(0o700)
    running.until_printed(b"started\n")
    running.process.send_signal(signal.SIGTERM)
    running.until_printed(b"once\n")
    assert running.ended(signal.SIGINT)[::2] == (b"twice\n", -signal.SIGTERM)


CTRL_C = r"""
import os, pty, signal, sys
process, terminal = pty.fork()
if not process:
    os.execvp(sys.argv[1], sys.argv[1:])
shown = b""
def until(words):
    global shown
    while words not in shown:
        shown += os.read(terminal, 4096)
until(b"ready\r\n")
os.chmod("d", 0o700)
until(b"started\r\n")
# Two that come at once are one: the command shall have the terminal's first.
os.kill(process, signal.SIGSTOP)
os.write(terminal, b"\x03")
until(b"got INT\r\n")
os.kill(process, signal.SIGCONT)
try:
    until(b"never")
except OSError:
    pass
_, status = os.waitpid(process, 0)
print(shown.count(b"got INT"), os.WTERMSIG(status))
"""


COUNT_INT = """
import signal, time
got = []
def handle(number, frame):
    got.append(number)
    print("got INT", flush=True)
signal.signal(signal.SIGINT, handle)
print("started", flush=True)
while not got:
    time.sleep(0.01)
time.sleep(1)
"""


def test_ctrl_c_reaches_the_command_once(root: Path) -> None:
    """The terminal gives a Ctrl-C to both, so the command gets no second one."""
    (root.parent / "job.py").write_text(COUNT_INT)
    arguments = ["-m", "-q", "--exec", f"{sys.executable} job.py", *ATTRIB]
    program = [sys.executable, "-c", CTRL_C, *COMMAND, *arguments, "--ready-fd=2", "d"]
    ended = subprocess.run(
        program, cwd=root.parent, stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert ended.stdout == b"1 2\n"


# ---- what is run ---------------------------------------------------------------------

NASTY = ["$(touch x)", "; rm -r .", "`touch x`", "-rf", "a b", "'", '"', "\n", "*"]


@pytest.mark.parametrize("option", ["shell", "words"])
@pytest.mark.parametrize("debounce", [[], ["--debounce", "200"]])
def test_names_are_never_obeyed(root: Path, option: str, debounce: list[str]) -> None:
    """Whatever a name is, a command gets it as an argument, and no shell reads it."""
    show = "import sys; print(*map(ascii, sys.argv[1:]), sep=chr(10))"
    how = (
        ["--shell", "--exec", f"'{sys.executable}' -c '{show}' \"$@\""]
        if option == "shell"
        else ["--exec", f"{sys.executable} -c '{show}' {{}}"]
    )
    arguments = ["-m", "-qq", *how, *debounce, "-e", "create", "--ready-fd=2", "d"]
    running = Running([*COMMAND, *arguments], root.parent).until_said(b"ready\n")
    for name in NASTY:
        (root / name).touch()
    printed = [running.until_printed(b"\n").decode().rstrip("\n") for _ in NASTY]
    running.ended(signal.SIGTERM)
    assert printed == [ascii(f"d/{name}") for name in NASTY]
    assert sorted(os.listdir(root.parent)) == ["d"]
    assert sorted(os.listdir(root)) == sorted([*NASTY, "sub"])


def test_place_in_a_word() -> None:
    """{} within a word is the path as well; of several paths there are as many."""
    command = Command("/bin/echo --file={} x", shell=False)
    assert command.words_for(["a", "b c"]) == [
        "/bin/echo",
        "--file=a",
        "--file=b c",
        "x",
    ]
    # In the text of a shell {} has a meaning already.
    assert Command("echo {}", shell=True).words_for(["a"])[-2:] == ["sh", "a"]


def test_more_paths_than_arguments() -> None:
    """Paths beyond the limit of arguments go to another run; none is dropped."""
    records = [record("x" * 200 + str(number)) for number in range(2000)]
    runs = list(Command("echo {}", shell=False).runs(records))
    assert [one for run in runs for one in run] == records
    assert 1 < len(runs) < 10
    assert list(Command("echo", shell=False).runs(records)) == [records]


def test_script_without_an_interpreter(
    watch: Callable[..., Running], root: Path
) -> None:
    """A script without #! is run by sh, as execvp(3) does."""
    script = root.parent / "script"
    script.write_text('echo "ran $1"\n')
    script.chmod(0o755)
    running = watch("-m", *ATTRIB, "--exec", "./script {}", "d")
    root.chmod(0o700)
    assert running.until_printed(b"ran d\n") == b"\nran d\n"
    root.chmod(0o755)
    assert running.until_printed(b"ran d\n") == b"\nran d\n"


def test_command_that_cannot_be_started(
    watch: Callable[..., Running], root: Path
) -> None:
    """A command that is gone for a while does not end the watch."""
    script = root.parent / "script"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    running = watch("-m", *ATTRIB, "--exec", "./script", "d")
    script.rename(root.parent / "away")
    root.chmod(0o700)
    running.until_said(b"inotify-cffi: ./script: No such file or directory\n")
    (root.parent / "away").rename(script)
    root.chmod(0o755)
    assert running.until_printed(b"ran\n") == b"\n\nran\n"


def test_reading_does_not_count(watch: Callable[..., Running], root: Path) -> None:
    """Without -e a command that only reads what is watched does not run itself."""
    running = watch("-m", "--shell", "--exec", "ls d >out; echo ran $1", "d")
    (root / "x").mkdir()
    assert running.until_printed(b"ran d/x\n") == b"d/ CREATE,ISDIR x\nran d/x\n"
    (root / "y").mkdir()
    assert running.until_printed(b"ran d/y\n") == b"d/ CREATE,ISDIR y\nran d/y\n"


def test_overflow_runs_nothing(watch: Callable[..., Running], root: Path) -> None:
    """An overflow has no path: no command is run for it."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    (root / "f").touch()
    arguments = ["-m", "-e", "attrib", "--debounce", "10", "--format", "%w%f", "d"]
    running = watch(*arguments, "--shell", "--exec", 'printf "ran for %s\\n" "$@"')
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    for number in range(limit // 2 + 10):
        os.utime(root / "f", (number, number))
        os.utime(root / "sub", (number, number))
    running.process.send_signal(signal.SIGCONT)
    running.until_said(b"inotify-cffi: d: the queue was full, events are missing\n")
    (root / "last").touch()
    (root / "last").chmod(0o700)
    printed = running.until_printed(b"d/last\n")
    assert {*printed.splitlines()} <= {b"d/f", b"d/sub", b"d/last"} | {
        b"ran for d/f",
        b"ran for d/sub",
        b"ran for d/last",
    }


# ---- restart -------------------------------------------------------------------------


def test_restart(root: Path) -> None:
    """A change ends what runs, with all that it has started, and starts it again."""
    job = """
    trap '' HUP
    (trap 'echo child got TERM; exit' TERM; echo "started for '$1'"
     while :; do sleep 0.1; done) & wait
    """
    arguments = ["--restart", "--now", "-qq", "--shell", "--exec", job, "-e", "create"]
    running = Running([*COMMAND, *arguments, "--ready-fd=2", "d"], root.parent)
    running.until_said(b"ready\n")
    assert running.until_printed(b"\n") == b"started for ''\n"
    (root / "x").mkdir()
    printed = running.until_printed(b"started for 'd/x'\n").splitlines()
    assert b"child got TERM" in printed + running.ended(signal.SIGTERM)[0].splitlines()


def test_kill_after(root: Path) -> None:
    """A command that ignores SIGTERM is killed after the time of --kill-after."""
    job = "trap '' TERM; echo started; while :; do sleep 0.1; done"
    arguments = ["--restart", "--now", "--kill-after", "0.2", "--shell", "--exec", job]
    running = Running([*COMMAND, "-m", *arguments, *ATTRIB, "d"], root.parent)
    running.until_printed(b"started\n")
    root.chmod(0o700)
    running.until_printed(b"started\n")
    _, said, status = running.ended(signal.SIGTERM)
    killed = b"sh: still runs 0.2 s after it got a signal to end; killed\n"
    assert said.count(killed) == 2
    assert status == -signal.SIGTERM


_SIGNAL_IN_A_FINALIZER = """
import gc, os, signal
from inotify_cffi.cli.signals import Ended, Signals

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):  # the handler runs between two of these
            pass

signals = Signals()
signals.catch()
signals.open()
Finalized()
gc.collect()
try:
    signals.wait([], 30.0)
except Ended as ended:
    print("ended by", ended.number)
"""


def test_signal_in_a_finalizer() -> None:
    """A signal ends the command also where Python ignores what is raised, and without
    a word of that.

    It was lost in `Popen.__del__` of a command that --restart had ended. In an import
    it may come in a callback of a weak reference.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SIGNAL_IN_A_FINALIZER],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"ended by 15\n", b"")


def test_restart_of_what_has_ended(root: Path) -> None:
    """A command that ended by itself is started again at the next change only."""
    arguments = ["--restart", "--now", "-qq", "--shell", "--exec", "echo ran; exit 5"]
    running = Running(
        [*COMMAND, *arguments, "-e", "attrib", "--for", "1.5", "d"], root.parent
    )
    running.until_said(b"sh: exit status 5\n")
    root.chmod(0o700)
    printed, said, status = running.ended()
    assert printed == b"ran\n" * 2
    assert said == b"inotify-cffi: sh: exit status 5\n" * 2
    assert status == 0


def test_now(root: Path) -> None:
    """--now runs the command at the start, without a path."""
    arguments = ["-t", "0.3", "--now", "--exec", "echo ran {} .", "-e", "create", "d"]
    finished = finish(*arguments, cwd=root.parent)
    assert (finished.stdout, finished.returncode) == (b"ran .\n", 2)


# ---- quiet ---------------------------------------------------------------------------


@contextlib.contextmanager
def _stopped(running: Running) -> Iterator[None]:
    """While it is stopped all that happens gathers in its queue."""
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    yield
    running.process.send_signal(signal.SIGCONT)


def _vim_save(path: Path) -> None:
    """Save as vim does with backups: a trial file, a rename, a new file, a deletion."""
    trial = path.parent / "4913"
    trial.touch()
    trial.unlink()
    backup = path.parent / f"{path.name}~"
    path.rename(backup)
    path.write_text("new\n")
    path.chmod(0o644)
    backup.unlink()


@pytest.mark.parametrize("options", [[], ["-r"], ["-r", "--json"]])
def test_a_save_is_one_run(root: Path, options: list[str]) -> None:
    """A save by vim runs the command once, and so do 50 files saved at once."""
    (root / "f").touch()
    arguments = ["-m", *options, "--debounce", "300", "--shell", "-e",
                 "create,delete,move,modify,close_write",
                 "--exec", 'echo "ran $#"', "-qq", "--ready-fd=2", "d"]  # fmt: skip
    running = Running([*COMMAND, *arguments], root.parent).until_said(b"ready\n")
    with _stopped(running):
        _vim_save(root / "f")
    # (Without --json both halves of a rename are records of their own.)
    assert running.until_printed(b"\n") in (b"ran 1\n", b"ran 2\n")
    with _stopped(running):
        for number in range(50):
            (root / f"{number}").write_text("text")
    assert running.until_printed(b"\n") == b"ran 50\n"
    assert running.ended(signal.SIGTERM)[0] == b""


def test_debounce_of_records(watch: Callable[..., Running], root: Path) -> None:
    """Without -m the first quiet ends it, and all that was gathered is reported."""
    running = watch(
        "-r", "--debounce", "300", "--csv", "-e", "create,modify,delete", "d"
    )
    with _stopped(running):
        (root / "x").write_text("x")
        (root / "y").write_text("y")
        (root / "x").write_text("more")
        (root / "z").touch()
        (root / "z").unlink()
    printed, _, status = running.ended()
    assert [line.split(b",")[-1] for line in printed.splitlines()] == [b"y", b"x"]
    assert status == 0


def test_debounce_is_bounded(root: Path) -> None:
    """A path that keeps changing is reported after ten times the time."""
    writer = "while :; do touch d/a; sleep 0.05; done"
    with beside(writer, root.parent):
        finished = finish(
            "-r", "--debounce", "200", "-e", "attrib", "--json", "d", cwd=root.parent
        )
    assert finished.stdout.count(b"\n") == 1
    assert finished.returncode == 0


class _BusyMachine:
    """A source whose reads find these names, or nothing; after each, time passes."""

    alive = True

    def __init__(self, found: list[tuple[list[str], float]]) -> None:
        self._found = iter(found)
        self.now = 0.0

    def read(self) -> list[Record] | None:
        names, seconds = next(self._found)
        self.now += seconds
        return [record(name) for name in names] or None

    def fileno(self) -> int:
        return -1


@pytest.mark.parametrize(
    ("found", "batches"),
    [
        # What had happened before the clock was read, however late that was.
        (
            [(["a"], 0), ([], 9), (["b"], 0), ([], 9), (["c"], 0), ([], 9), ([], 0)],
            [["a", "b", "c"]],
        ),
        # What never rests is reported after ten times the time.
        ([*([(["a"], 0.3)] * 60), ([], 9), ([], 0)], [["a"]] * 2),
    ],
)
def test_quiet_of_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch,
    found: list[tuple[list[str], float]],
    batches: list[list[str]],
) -> None:
    """It was quiet when a read after that time has found nothing."""
    source = _BusyMachine(found)
    monkeypatch.setattr("time.monotonic", lambda: source.now)
    options = Options()
    options.monitor = True
    options.debounce = 1.0
    delivered: list[list[str]] = []
    delivery = SimpleNamespace(
        attend=lambda: None,
        seconds_left=lambda: None,
        deliver=lambda records: delivered.append([one.name for one in records]),
    )
    signals = SimpleNamespace(
        raising=contextlib.nullcontext(), wait=lambda descriptors, seconds: None
    )
    watching = Watch(options, source, delivery, signals)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        watching.run()
    assert delivered == batches


def test_what_waits_is_reported_at_the_end(root: Path) -> None:
    """When the time is over, what still waits is reported."""
    arguments = ["-m", "--debounce", "100000", "--for", "1.5", "-e", "create", "d"]
    running = Running([*COMMAND, *arguments], root.parent).until_said()
    (root / "x").mkdir()
    assert running.ended()[::2] == (b"d/ CREATE,ISDIR x\n", 0)


def _gathered(*records: Record) -> list[tuple[str, int, str | None]]:
    gatherer = Gatherer(1)
    gatherer.add(list(records))
    return [(one.name, one.mask, one.old_path) for one in gatherer.take()]


def test_gathering() -> None:
    """There is one record for a path, with all its events; what came and went has
    none, what was renamed twice has its first old path."""
    create, delete, modify = int(flags.CREATE), int(flags.DELETE), int(flags.MODIFY)
    moved = int(flags.MOVED_TO)
    assert _gathered(record("a", create), record("a", modify)) == [
        ("a", create | modify, None)
    ]
    assert _gathered(record("a", create), record("a", delete)) == []
    assert _gathered(record("a", delete), record("a", create)) == [
        ("a", create | delete, None)
    ]
    assert _gathered(record("b", moved, "a"), record("c", moved, "b")) == [
        ("c", moved, "a")
    ]
    assert _gathered(record("a", create), record("b", moved, "a")) == [
        ("b", create | moved, None)
    ]
    # A rename may have replaced what was there before.
    assert _gathered(record("t", create), record("f", moved, "t"), record("f", delete))
    overflow = int(flags.Q_OVERFLOW)
    assert _gathered(record("a", modify), record("a", overflow)) == [
        ("a", overflow, None),
        ("a", modify, None),
    ]


def test_gathering_below_a_renamed_directory() -> None:
    """What is gathered below a directory goes along with it, and what was renamed and
    then deleted is deleted at its first path."""
    create, delete, modify = int(flags.CREATE), int(flags.DELETE), int(flags.MODIFY)
    directory, moved = int(flags.ISDIR), int(flags.MOVED_TO)
    left = int(flags.MOVED_FROM)
    gatherer = Gatherer(1)
    gatherer.add(
        [
            Record("d/a/", "f", create),
            Record("d/a/", "", modify),
            Record("d/", "b", moved | directory, old_path="d/a"),
        ]
    )
    assert [(one.watched, one.name, one.mask) for one in gatherer.take()] == [
        ("d/b/", "f", create),
        ("d/", "b", modify | moved | directory),
    ]
    assert _gathered(record("a/f", modify), record("a", left | directory)) == [
        ("a", left | directory, None)
    ]
    assert _gathered(record("b", moved, "a"), record("b", delete)) == [
        ("a", delete, None)
    ]
    assert gatherer.take() == []
    assert gatherer.seconds_left() is None


def _change_something(top: Path, chance: random.Random) -> None:
    """Create, write, rename or delete a file, or make or remove a directory.

    No rename replaces anything.
    """
    paths = sorted(top.rglob("*"))
    folders = [top, *(path for path in paths if path.is_dir())]
    target = chance.choice(folders) / chance.choice("abcd")
    what = chance.choice(["write", "mkdir", "rename", "delete"])
    with contextlib.suppress(OSError):  # a directory into itself, or not empty
        if what == "write":
            target.write_text(str(chance.random()))
        elif what == "mkdir":
            target.mkdir()
        elif paths and what == "rename" and (path := chance.choice(paths)).is_file():
            if not target.exists():
                path.rename(target)
        elif paths:
            path = chance.choice(paths)
            path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("seed", range(40))
def test_gathering_beside_watch(tmp_path: Path, seed: int) -> None:
    """Whatever `watch` reports as the net change of a tree is a record of its path."""
    chance = random.Random(seed)
    for _ in range(10):
        _change_something(tmp_path, chance)
    asked = int(flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO)
    trees = Trees([str(tmp_path)], asked | int(flags.MODIFY), None, whole_renames=True)
    trees.establish()
    with watch(tmp_path, ignore=None, timeout=100) as batches:
        for _ in range(30):
            _change_something(tmp_path, chance)
        changes = next(batches)
    gatherer = Gatherer(1)
    gatherer.add(trees.read() or [])
    trees.close()
    records = {path_of(record): record for record in gatherer.take()}
    assert {change.path for change in changes} <= records.keys()
    for change in changes:
        one = records[change.path]
        if change.kind == "moved":
            assert one.mask & flags.MOVED_TO
        elif change.kind == "deleted":
            assert one.mask & (flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO)
