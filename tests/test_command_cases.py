"""Cases from scripts that call inotifywait, or other watchers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable

import churn
import pytest
from commanding import (
    COMMAND,
    Running,
    beside,
    finish,
    inotifywait,
    watched_below,
    watches_needed,
)

PYPY = sys.implementation.name == "pypy"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to watch, named ``d`` where the command runs."""
    (tmp_path / "d" / "sub").mkdir(parents=True)
    return tmp_path / "d"


def _ready(root: Path, *arguments: str | Path, **options: object) -> Running:
    """Start the command where ``root`` is in; return when it watches."""
    command = [*COMMAND, *arguments, "--ready-fd=2"]
    running = Running(command, root.parent, **options)  # type: ignore[arg-type]
    return running.until_said(b"ready\n")


# ---- what is no event, and what was asked for ---------------------------------------


@pytest.mark.parametrize("form", [["--format", "%w%f"], ["-0"]])
@pytest.mark.parametrize("recursive", [[], ["-r"]])
def test_overflow_does_not_look_like_a_path(
    root: Path, form: list[str], recursive: list[str]
) -> None:
    """If records have no names of events, an overflow is a message."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    running = _ready(root, "-mq", *recursive, *form, "-e", "attrib,create", "d")
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    for number in range(limit + 10):
        os.utime(root / ("sub" if number % 2 else "."), (number, number))
    running.process.send_signal(signal.SIGCONT)
    running.until_said(b"inotify-cffi: d: the queue was full, events are missing\n")
    printed, _, _ = running.ended(signal.SIGTERM)
    end = b"\0" if form == ["-0"] else b"\n"
    paths = printed.split(end)[:-1]
    # ATTRIB of d itself has the path d/ as well; but the two take turns.
    assert {*paths} <= {b"d/sub", b"d/"}
    assert paths.count(b"d/") <= paths.count(b"d/sub") + 1


def test_timeout_counts_what_was_asked_for(root: Path) -> None:
    """Events that are left out do not put off the end of -t."""
    writer = "while :; do touch d/other; sleep 0.1; done"
    with beside(writer, root.parent):
        arguments = ["-q", "-t", "1", "--include", "index", "d"]
        finished = finish(*arguments, cwd=root.parent)
    assert (finished.stdout, finished.stderr, finished.returncode) == (b"", b"", 2)


def test_events_before_a_limit(root: Path, user_namespace: list[str]) -> None:
    """Events before the limit of watches are reported before the command ends."""
    (root / "other").mkdir()
    arguments = ["-mrq", "-e", "create", "--format", "%f", "d"]
    needed = watches_needed(*arguments, cwd=root.parent)
    limit = f"echo {needed} >/proc/sys/user/max_inotify_watches"
    command = [*user_namespace, "sh", "-c", f'{limit} && exec "$@"', "sh", *COMMAND]
    running = Running([*command, *arguments, "--ready-fd=2"], root.parent)
    running.until_said(b"ready\n")
    running.process.send_signal(signal.SIGSTOP)
    os.waitpid(running.process.pid, os.WUNTRACED)
    for number in range(5):
        (root / f"f{number}").touch()
    (root / "new").mkdir()
    running.process.send_signal(signal.SIGCONT)
    printed, said, status = running.ended()
    assert printed.split()[:5] == [b"f0", b"f1", b"f2", b"f3", b"f4"]
    assert f"max_inotify_watches is {needed}" in said.decode()
    assert status == 1


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ("delete_self", b"d/sub/ DELETE_SELF \n"),
        ("delete_self,delete", b"d/ DELETE,ISDIR sub\n"),
        ("move_self", None),
    ],
)
def test_events_of_a_directory_itself(
    root: Path, events: str, line: bytes | None
) -> None:
    """Events of directories themselves are reported below a root as well."""
    running = _ready(root, "-qr", "-e", events, "d")
    if events == "move_self":
        (root / "sub").rename(root / "renamed")
        line = b"d/sub/ MOVE_SELF \n"
    else:
        (root / "sub").rmdir()
    assert running.ended()[::2] == (line, 0)


UNMOUNT = """
import subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "none", "d/sub"], check=True)
with subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE) as running:
    while b"established." not in running.stderr.readline():
        pass
    subprocess.run(["umount", "d/sub"], check=True)
sys.exit(running.returncode)
"""


def test_unmount_below_a_root(root: Path, mount_namespace: list[str]) -> None:
    """An unmount below a root is reported if asked for, as inotifywait does."""
    ends = []
    for program in ([inotifywait()], COMMAND):
        command = [*mount_namespace, sys.executable, "-c", UNMOUNT, *program]
        arguments = ["-r", "-e", "unmount", "-t", "30", "d"]
        finished = finish(*arguments, cwd=root.parent, command=command)
        ends.append((finished.stdout, finished.returncode))
    assert ends[0] == ends[1] == (b"d/sub/ UNMOUNT,ISDIR \n", 0)


def test_a_path_given_twice(watch: Callable[..., Running], root: Path) -> None:
    """A path that is given relative and absolute is reported once, by its first name,
    as by inotifywait."""
    running = watch("-mr", "-e", "create", "--format", "%w%f", "./d", root)
    (root / "x").mkdir()
    (root / "last").mkdir()
    assert running.until_printed(b"last\n") == b"./d/x\n./d/last\n"


def test_costs_no_watch(root: Path) -> None:
    """A directory that expressions, globs or levels leave out costs no watch."""
    for path in (".git/objects/x", "build/x/y", "node_modules/x", "keep/a/b/c"):
        (root / path).mkdir(parents=True)
    kept = ["", "sub", "keep", "keep/a", "keep/a/b", "keep/a/b/c"]
    for arguments, left in (
        (["--exclude", r"(\.git/|\.git$)", "--exclude", "(build|node_modules)"], kept),
        (["--exclude", r"(^|/)(\.git|build|node_modules)(/|$)"], kept),
        (["--glob", "!.git", "--glob", "!build/", "--glob", "!node_modules"], kept),
        (["--exclude", "/[.bn]", "--max-depth", "2"], kept[:4]),
    ):
        running = _ready(root, "-mrq", *arguments, "d")
        watched = watched_below(running.process.pid, root)
        running.ended(signal.SIGTERM)
        assert watched == {root / path for path in left}, arguments


def test_expressions_and_globs(watch: Callable[..., Running], root: Path) -> None:
    """Several --exclude, and --include beside them, all count; and so do globs."""
    running = watch(
        "-mr", "-e", "create", "--format", "%f", "d",
        "--exclude", "^d/a", "--excludei", "B$", "--include", "x", "--includei", "LAST",
        "--glob", "*[xb]*", "--glob", "*last", "--glob", "!n*",
    )  # fmt: skip
    for name in ("ax", "xb", "x", "y", "nx", "sub/x2", "last"):
        (root / name).touch()
    assert running.until_printed(b"last\n") == b"x\nx2\nlast\n"


def test_max_depth(watch: Callable[..., Running], root: Path) -> None:
    """With --max-depth 2 what is in a directory of the root is the last."""
    running = watch("-mr", "--max-depth", "2", "-e", "create", "--format", "%w%f", "d")
    (root / "sub" / "a" / "b").mkdir(parents=True)
    (root / "new" / "a" / "b").mkdir(parents=True)
    printed = sorted(running.until_printed(b"\n") for _ in range(3))
    assert printed == [b"d/new\n", b"d/new/a\n", b"d/sub/a\n"]
    (root / "last").mkdir()
    assert running.until_printed(b"\n") == b"d/last\n"


def test_gitignore(watch: Callable[..., Running], root: Path) -> None:
    """--gitignore leaves out what git would, and reads a file that changed again."""
    pytest.importorskip("pathspec")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("*.log\nbuild/\n!keep.log\n/sub/only\n")
    (root / "sub" / ".gitignore").write_text("*.tmp\n!build/\n")
    (root / "build").mkdir()
    arguments = ["--gitignore", "-e", "create", "--format", "%w%f", "d/sub", "d"]
    running = watch("-mr", *arguments)
    names = [
        "a.log",
        "keep.log",
        "build/x",
        ".git/x",
        "sub/a.tmp",
        "sub/a.txt",
        "b.tmp",
    ]
    for name in [*names, "sub/only", "only"]:
        (root / name).touch()
    (root / "sub" / "build").mkdir()
    (root / "mark1").touch()
    assert running.until_printed(b"mark1\n").split() == [
        b"d/keep.log",
        b"d/sub/a.txt",
        b"d/b.tmp",
        b"d/only",
        b"d/sub/build",
        b"d/mark1",
    ]
    (root / ".gitignore").write_text("*.new\n")
    (root / "a.new").touch()
    (root / "b.log").touch()
    (root / "mark2").touch()
    assert running.until_printed(b"mark2\n").split() == [b"d/b.log", b"d/mark2"]


def test_gitignore_is_that_of_git(tmp_path: Path) -> None:
    """The command leaves out the paths that git check-ignore prints."""
    pytest.importorskip("pathspec")
    from inotify_cffi._gitignore import GitIgnore

    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    subprocess.run([git, "init", "-q", tmp_path], check=True)
    files = {
        ".gitignore": "*.log\n!keep.log\nbuild/\n/top\ndoc/*.txt\n**/deep/x\n#\n\\#a\n",
        "a/.gitignore": "!b.log\n*.c\nout\n",
        "a/b/.gitignore": "*\n!*.h\n!.gitignore\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = [
        f"{folder}{name}"
        for folder in ("", "a/", "a/b/", "doc/", "build/", "z/deep/", "a/out/")
        for name in ("a.log", "b.log", "keep.log", "top", "x", "x.c", "x.h", "a.txt",
                     "#a")
    ]  # fmt: skip
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    named = subprocess.run(
        [git, "check-ignore", *paths], cwd=tmp_path, stdout=subprocess.PIPE, check=False
    )
    git_ignore = GitIgnore([str(tmp_path)])
    ours = [
        path
        for path in paths
        if git_ignore.ignores(f"{tmp_path}/{path}", is_directory=False)
    ]
    assert ours == named.stdout.decode().split("\n")[:-1]


def test_gitignore_without_pathspec(root: Path) -> None:
    """Without pathspec --gitignore says what to install."""
    code = """
import sys
sys.modules["pathspec"] = None
from inotify_cffi.cli import main
main(["--gitignore", "d"])
"""
    finished = finish(cwd=root.parent, command=[sys.executable, "-c", code])
    assert finished.stderr.startswith(b"inotify-cffi: --gitignore needs pathspec: pip ")
    assert finished.returncode == 1


@pytest.mark.parametrize("length", [1, 8, 16, 17, 128])
def test_short_queue(root: Path, length: int) -> None:
    """Our own listing of directories does not overflow a short queue for ever, where
    its events were asked for."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root can make a short queue")
    for number in range(100):
        (root / f"{number}" / "b" / "c").mkdir(parents=True)
    with churn.short_queue(length):
        running = _ready(root, "-qqr", "-t", "1", "d")
    assert running.ended() == (b"", b"ready\n", 2)


def test_queue_without_room(root: Path) -> None:
    """With a queue of no events -r says so and ends: all would be overflows."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root can make a short queue")
    with churn.short_queue(0):
        finished = finish("-qr", "-t", "1", "d", cwd=root.parent)
    assert b"fs.inotify.max_queued_events is 0; increase it" in finished.stderr
    assert finished.returncode == 1


# ---- time ----------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0.2", ".2", "+0.20"])
def test_timeout_of_less_than_a_second(root: Path, seconds: str) -> None:
    """-t takes parts of a second."""
    finished = finish("-q", "-t", seconds, "d", cwd=root.parent)
    assert (finished.stdout, finished.stderr, finished.returncode) == (b"", b"", 2)


def test_total_time(root: Path) -> None:
    """--for ends it whatever happens: 0 when something did, and 2 else."""
    assert finish("-mq", "--for", "0.2", "d", cwd=root.parent).returncode == 2
    writer = "while :; do touch d/other; sleep 0.05; done"
    with beside(writer, root.parent):
        finished = finish("-mqr", "--for", "1", "-e", "attrib", "d", cwd=root.parent)
    assert b"ATTRIB other" in finished.stdout
    assert finished.returncode == 0


@pytest.mark.parametrize("recursive", [[], ["-r"]])
def test_total_time_without_rest(root: Path, recursive: list[str]) -> None:
    """--for ends it where each line that it writes is another event for it."""
    arguments = ["-mq", *recursive, "-o", "d/log", "--for", "0.5", "-e", "modify", "d"]
    running = _ready(root, *arguments)
    (root / "x").write_text("1")
    assert running.ended()[2] == 0
    assert b"MODIFY log" in (root / "log").read_bytes()


@pytest.mark.parametrize("options", [["-qq"], ["-o", "out"], []])
def test_where_the_table_goes(root: Path, options: list[str]) -> None:
    """The table is on standard output when no records go there."""
    running = _ready(root, "-m", *options, "--stats", "-e", "create", "d")
    (root / "x").mkdir()
    if not options:
        running.until_printed(b"x\n")
    printed, said, _ = running.ended(signal.SIGTERM)
    shown = (printed if options else said).decode()
    assert re.search(r"^(total +create +filename|No events occurred\.)$", shown, re.M)


# ---- syslog, background --------------------------------------------------------------

SYSLOG = r"""
import os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "none", "/dev"], check=True)
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
ended = subprocess.run(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
log.setblocking(False)
try:
    while True:
        print(log.recv(4096).decode().rstrip("\n\0"))
except BlockingIOError:
    pass
print(ended.returncode, ended.stdout)
"""


def _with_syslog(
    program: list[str], arguments: list[str], cwd: Path, mount_namespace: list[str]
) -> list[str]:
    """Run a program where it finds a system log, and no other device."""
    command = [*mount_namespace, sys.executable, "-c", SYSLOG, *program]
    finished = finish(*arguments, cwd=cwd, command=command)
    if finished.returncode:
        pytest.skip(f"no mount here: {finished.stderr.decode()}")
    return [
        # The time, and the number of the process.
        re.sub(r"^<\d+>.*? (\S+)\[\d+\]", r"\1", line)
        for line in finished.stdout.decode().splitlines()
    ]


@pytest.mark.parametrize(
    "arguments",
    [["-s", "-t", "1", "d"], ["-sq", "-t", "1", "d"], ["-s", "d/missing"]],
)
def test_syslog(root: Path, mount_namespace: list[str], arguments: list[str]) -> None:
    """-s writes messages to the system's log, as inotifywait does."""
    theirs = _with_syslog([inotifywait()], arguments, root.parent, mount_namespace)
    ours = _with_syslog(COMMAND, arguments, root.parent, mount_namespace)
    assert [line.replace("inotify-cffi", "inotifywait") for line in ours] == theirs


def test_without_devices(root: Path, mount_namespace: list[str]) -> None:
    """Without /dev/null, as in a chroot, all works."""
    for arguments in (["-t", "0.2"], ["-r", "-t", "0.2"], ["-t", "1", "--now", "--exec",
                                                           "cat"]):  # fmt: skip
        shell = 'mount -t tmpfs none /dev && exec "$@" <&-'
        command = [*mount_namespace, "sh", "-c", shell, "sh", *COMMAND]
        finished = finish(*arguments, "-q", "d", cwd=root.parent, command=command)
        assert (finished.stdout, finished.stderr) == (b"", b"")
        assert finished.returncode == 2


def test_daemon(root: Path, until: Callable[[Callable[[], object]], None]) -> None:
    """-d ends with status 0 when all is watched, and goes on in the background."""
    show = "import os; print(os.getppid(), os.getsid(0))"
    arguments = ["-d", "-r", "-e", "create", "-o", "out", "--format", "%w%f"]
    finished = finish(
        *arguments, "--for", "30", "--exec", f"{sys.executable} -c '{show}'", "d",
        cwd=root.parent,
    )  # fmt: skip
    assert (finished.stdout, finished.returncode) == (b"", 0)
    (root / "x").mkdir()
    (root / "sub" / "y").mkdir()
    out = root.parent / "out"
    until(lambda: out.read_text() == "d/x\nd/sub/y\n")
    processes = [
        int(process)
        for process in os.listdir("/proc")
        if process.isdigit() and _works_in(process, root.parent)
    ]
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # one that --exec ran
            os.kill(process, signal.SIGTERM)
    assert processes
    until(lambda: not any(_works_in(str(each), root.parent) for each in processes))


def _works_in(process: str, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and os.readlink(f"/proc/{process}/cwd") == str(folder)
    return False


def test_daemon_that_cannot_start(root: Path) -> None:
    """When not all can be watched, -d says so and ends with status 1."""
    finished = finish("-d", "-o", "out", "d", "missing", cwd=root.parent)
    assert b"Couldn't watch missing: No such file or directory\n" in finished.stderr
    assert (finished.stdout, finished.returncode) == (b"", 1)


# ---- the environment -----------------------------------------------------------------

# Where `os.fsdecode` is not UTF-8.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "env", [ASCII, {"LC_ALL": "C.UTF-8"}, {"LC_ALL": "de_DE.ISO-8859-1"}]
)
def test_json_in_any_locale(root: Path, env: dict[str, str]) -> None:
    """JSON has the UTF-8 of a name, and the bytes of what is none, in any locale."""
    if subprocess.run([sys.executable, "-c", ""], env=env, check=False).returncode:
        pytest.skip("this Python starts in no locale that is not installed")
    running = _ready(root, "-mq", "--json", "-e", "create", "d", env=env)
    for name in ("café".encode(), b"caf\xe9"):
        os.mkdir(os.path.join(os.fsencode(root), name))
        printed = json.loads(running.until_printed(b"\n"))["path"]
        assert printed == "d/" + name.decode("utf-8", "surrogateescape")
        os.rmdir(os.path.join(os.fsencode(root), name))
    running.ended(signal.SIGTERM)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_ready_fd_that_is_not_open(root: Path, number: int) -> None:
    """A descriptor that was not open at the start is refused, whatever this opens."""
    arguments = ["-mq", "-e", "create", "--ready-fd", str(number), "d"]
    finished = finish(*arguments, cwd=root.parent)
    said = f"inotify-cffi: --ready-fd: {number} is not open\n".encode()
    assert (finished.stdout, finished.stderr, finished.returncode) == (b"", said, 1)


def test_ready_fd_that_is_closed(root: Path) -> None:
    """A standard stream that is closed is none either."""
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND]
    finished = finish("--ready-fd", "0", "d", cwd=root.parent, command=command)
    assert finished.stderr == b"inotify-cffi: --ready-fd: 0 is not open\n"
    assert finished.returncode == 1


@pytest.mark.parametrize("option", ["-q", "-qr"])
@pytest.mark.parametrize("limit", [4, 5, 6])
def test_few_descriptors(root: Path, option: str, limit: int) -> None:
    """With too few descriptors it prints one line, and ends with status 1."""
    limited = ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh"]
    probe = "import inotify_cffi.syscalls"
    interpreter = [*limited, sys.executable, "-W", "error"]
    python = finish("-c", probe, cwd=root, command=interpreter)
    if python.returncode or python.stderr:
        pytest.skip("Python itself needs more")
    command = [*limited, *COMMAND]
    finished = finish(option, "-t", "0.2", "d", cwd=root.parent, command=command)
    if finished.returncode != 2:
        assert b"Traceback" not in finished.stderr
        assert finished.stderr.count(b"\n") == 1
        assert finished.returncode == 1


@pytest.mark.parametrize(
    "module", ["signal", "enum", "collections", "getopt", "select", "json", "errno"]
)
def test_modules_in_the_current_directory(root: Path, module: str) -> None:
    """python -m inotify_cffi imports nothing that lies in the current directory."""
    (root / f"{module}.py").write_text(
        "import os; os.write(2, b'imported'); raise SystemExit(1)\n"
    )
    probe = finish("-m", "inotify_cffi.no_such", cwd=root, command=[sys.executable])
    if b"imported" in probe.stderr:
        pytest.skip("Python itself imports it before")
    finished = finish("-q", "-t", "0.2", "--json", ".", cwd=root)
    assert (finished.stdout, finished.stderr, finished.returncode) == (b"", b"", 2)


def test_records_in_a_shared_pipe(root: Path) -> None:
    """Two that write to one pipe tear no line, however slow the reader is."""
    other = root.parent / "other"
    other.mkdir()
    reading, writing = os.pipe()
    arguments = ["-mq", "-e", "create", "--format", "%f"]
    with churn.short_queue(None):  # for who tests with one changes the machine's
        running = [
            _ready(root, *arguments, folder, stdout=writing)
            for folder in ("d", "other")
        ]
    os.close(writing)
    names = [f"{number:04}" + "x" * 60 for number in range(1000)]
    for each in running:
        each.process.send_signal(signal.SIGSTOP)
        os.waitpid(each.process.pid, os.WUNTRACED)
    for name in names:
        (root / name).touch()
        (other / name).touch()
    for each in running:
        each.process.send_signal(signal.SIGCONT)
    printed = b""
    with open(reading, "rb", buffering=0) as pipe:
        while printed.count(b"\n") < 2 * len(names):
            assert select.select([pipe], [], [], 60)[0]
            more = pipe.read(999)
            assert more, [each.ended() for each in running]
            printed += more
        for each in running:
            each.ended(signal.SIGTERM)
    assert sorted(printed.decode().split()) == sorted(2 * names)
