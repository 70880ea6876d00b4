"""The scenarios of inotify-tools' own shell tests (its directory t), for this command.

Theirs sleep until they may act; these wait until the command says that it watches.
Theirs use --daemon for what -o and & do here.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from commanding import COMMAND, Running, finish


def _start(cwd: Path, *arguments: str | Path) -> Running:
    return Running([*COMMAND, *arguments], cwd).until_said()


def test_no_event_occurred(tmp_path: Path) -> None:
    """inotifywait-no-event-occured.t: status 2 when the time runs out."""
    (tmp_path / "file").touch()
    finished = finish("--quiet", "--timeout", "1", "file", cwd=tmp_path)
    assert (finished.stdout, finished.stderr) == (b"", b"")
    assert finished.returncode == 2


def test_csv_of_a_directory(tmp_path: Path) -> None:
    """inotifywait-csv-watched-dir.t: the directory, then the name."""
    (tmp_path / "test-file").touch()
    running = _start(tmp_path, "--csv", "--event", "ATTRIB", tmp_path)
    (tmp_path / "test-file").chmod(0o777)
    assert running.ended()[::2] == (f"{tmp_path}/,ATTRIB,test-file\n".encode(), 0)


def test_csv_of_a_file(tmp_path: Path) -> None:
    """inotifywait-csv-watched-file.t: the file, and no name."""
    file = tmp_path / "test-file"
    file.touch()
    running = _start(tmp_path, "--csv", "--event", "ATTRIB", file)
    file.chmod(0o777)
    assert running.ended()[::2] == (f"{file},ATTRIB,\n".encode(), 0)


def test_format_of_a_directory(tmp_path: Path) -> None:
    """inotifywait-format-watched-dir.t: %w ends with a slash, %f is the name."""
    (tmp_path / "test-file").touch()
    layout = ["--format", "%w %f %e"]
    running = _start(tmp_path, *layout, "-e", "ATTRIB", tmp_path)
    (tmp_path / "test-file").chmod(0o777)
    assert running.ended()[::2] == (f"{tmp_path}/ test-file ATTRIB\n".encode(), 0)


def test_format_of_a_file(tmp_path: Path) -> None:
    """inotifywait-format-watched-file.t: %w is the file, %f nothing."""
    file = tmp_path / "test-file"
    file.touch()
    running = _start(tmp_path, "--format", "%w %f %e", "-e", "ATTRIB", file)
    file.chmod(0o777)
    assert running.ended()[::2] == (f"{file}  ATTRIB\n".encode(), 0)


def test_no_dereference_ignores_the_file(tmp_path: Path) -> None:
    """inotifywait-no-dereference-ignore-symlinked-file.t: no event of its target."""
    (tmp_path / "test").touch()
    (tmp_path / "test-symlink").symlink_to("test")
    running = _start(tmp_path, "--no-dereference", "--timeout", "1", "test-symlink")
    (tmp_path / "test").chmod(0o777)
    assert running.ended()[::2] == (b"", 2)


def test_no_dereference_tells_of_the_link(tmp_path: Path) -> None:
    """inotifywait-no-dereference-respond-to-symlink-event.t: those of the link."""
    (tmp_path / "test").touch()
    (tmp_path / "test-symlink").symlink_to("test")
    running = _start(tmp_path, "--no-dereference", "test-symlink")
    os.utime(tmp_path / "test-symlink", (1, 1), follow_symlinks=False)
    assert running.ended()[::2] == (b"test-symlink ATTRIB \n", 0)


@pytest.mark.parametrize("options", ["-m", "-mr"])
def test_cookie(tmp_path: Path, options: str) -> None:
    """inotifywait-format-option-cookie.t: 0 for a single event, one for a rename."""
    events = ["--event", "create", "--event", "moved_to", "--event", "moved_from"]
    layout = ["--format", "%c %e %w%f"]
    running = _start(tmp_path, options, *layout, *events, tmp_path)
    (tmp_path / "test-file-src").touch()
    (tmp_path / "test-file-src").rename(tmp_path / "test-file-dst")
    printed = running.until_printed(b"dst\n").decode().splitlines()
    running.ended(signal.SIGTERM)
    cookies, rest = zip(*(line.split(" ", 1) for line in printed))
    assert rest == (
        f"CREATE {tmp_path}/test-file-src",
        f"MOVED_FROM {tmp_path}/test-file-src",
        f"MOVED_TO {tmp_path}/test-file-dst",
    )
    assert cookies[0] == "0"
    assert cookies[1] == cookies[2] != "0"


def test_null_in_the_format(tmp_path: Path) -> None:
    """inotifywait-format-option-null.t: %0 is a NUL, and nothing is cut off there."""
    (tmp_path / "file").touch()
    layout = ["--format", "%w%0%f%0%e", "--no-newline"]
    running = _start(tmp_path, *layout, "-e", "attrib", ".")
    (tmp_path / "file").chmod(0o777)
    assert running.ended()[::2] == (b"./\0file\0ATTRIB", 0)


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        (r"\.txt$", {"root/A/B/test.txt", "root/A/B/subdir/nested.txt"}),
        (
            r".*\.(txt|log)$",
            {
                "root/A/B/test.txt",
                "root/A/B/info.log",
                "root/A/B/subdir/nested.txt",
                "root/A/B/subdir/data.log",
            },
        ),
    ],
)
def test_include_in_new_directories(
    tmp_path: Path, expression: str, printed: set[str]
) -> None:
    """inotifywait-recursive-include.t, -multiple-includes.t: directories that the
    expression does not match are watched, and not reported."""
    directory = tmp_path / "root" / "A" / "B"
    directory.mkdir(parents=True)
    arguments = ["--include", expression, "-e", "CREATE", "--format", "%w%f", "root"]
    running = _start(tmp_path, "--monitor", "--recursive", *arguments)
    (directory / "test.dat").touch()
    (directory / "test.txt").touch()
    (directory / "info.log").touch()
    (directory / "subdir").mkdir()
    for name in ("nested.txt", "data.log", "nested.dat"):
        (directory / "subdir" / name).touch()
    lines = {running.until_printed(b"\n").decode().rstrip("\n") for _ in printed}
    rest = running.ended(signal.SIGTERM)[0]
    assert lines == printed
    assert rest == b""


@pytest.mark.parametrize("option", ["--quiet", "--monitor"])
def test_relative_outfile(tmp_path: Path, option: str) -> None:
    """inotifywait-daemon-logs-to-relative-paths.t: a relative path is one of -o."""
    (tmp_path / "test-file").touch()
    arguments = ["--event", "ATTRIB", "--timeout", "1", f"{tmp_path}/test-file"]
    command = [*COMMAND, option, "--ready-fd=2", "--outfile", "log", *arguments]
    running = Running(command, tmp_path).until_said(b"ready\n")
    (tmp_path / "test-file").chmod(0o777)
    assert running.ended()[2] == (2 if option == "--monitor" else 0)
    assert (tmp_path / "log").read_text() == f"{tmp_path}/test-file ATTRIB \n"


def test_fromfile_with_many_files(tmp_path: Path) -> None:
    """inotifywait-fromfile-stdin.t: thousands of files from standard input."""
    files = [tmp_path / f"test-file-{number}" for number in range(2600)]
    for file in files:
        file.touch()
    (tmp_path / "list").write_text("".join(f"{file}\n" for file in files))
    with open(tmp_path / "list") as listed:
        command = [*COMMAND, "--event", "ATTRIB", "--fromfile", "-"]
        running = Running(command, tmp_path, stdin=listed.fileno()).until_said()
    files[-1].chmod(0o777)
    assert running.ended()[::2] == (f"{files[-1]} ATTRIB \n".encode(), 0)
