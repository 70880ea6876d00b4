"""inotifywait and this command, side by side: the same steps, the same lines."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Callable, NamedTuple

import pytest
from commanding import COMMAND, Running, finish, inotifywait

Step = Callable[[], object]
# What no step and no listing of a directory causes by itself.
QUIET_EVENTS = "create,delete,modify,attrib,move,close_write"
LAST = b"last-one"


class Outcome(NamedTuple):
    printed: bytes
    said: bytes
    status: int


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """The function that makes the same directory again, and enters it."""

    def make(name: str) -> Path:
        place = tmp_path / name
        (place / "d" / "sub").mkdir(parents=True)
        (place / "o").mkdir()
        for file in ("f", "d/g"):
            (place / file).write_text("here\n")
        os.symlink("f", place / "lf")
        os.symlink("d", place / "ld")
        monkeypatch.chdir(place)
        return place

    return make


def _play(
    program: list[str], arguments: Iterable[str], steps: Iterable[Step], place: Path
) -> Outcome:
    """Start it, take the steps, and stop it once it reported ``last-one``."""
    running = Running([*program, *arguments], place).until_said()
    for step in steps:
        step()
    printed = b""
    while LAST not in printed:
        line = running.record()
        if not line:
            break
        printed += line
    rest, said, status = running.ended(signal.SIGTERM)
    return Outcome(printed + rest, said, status)


def _both(
    scene: Callable[[str], Path], arguments: list[str], steps: list[Step]
) -> tuple[Outcome, Outcome]:
    theirs = _play([inotifywait()], arguments, steps, scene("theirs"))
    ours = _play(COMMAND, arguments, steps, scene("ours"))
    return theirs, ours


def touch(path: str) -> Step:
    return lambda: Path(path).touch()


def mkdir(path: str) -> Step:
    return lambda: Path(path).mkdir()


def rename(old: str, new: str) -> Step:
    return lambda: os.rename(old, new)


def remove(path: str) -> Step:
    return lambda: Path(path).unlink()


def rmdir(path: str) -> Step:
    return lambda: Path(path).rmdir()


def chmod(path: str, mode: int = 0o700) -> Step:
    return lambda: Path(path).chmod(mode)


def write(path: str) -> Step:
    def append() -> None:
        with open(path, "a") as file:
            file.write("more\n")

    return append


def read(path: str) -> Step:
    return lambda: Path(path).read_bytes()


def listing(path: str) -> Step:
    return lambda: os.listdir(path)


TWO: Step = lambda: (mkdir("d/x")(), mkdir("d/y")())  # noqa: E731
END = mkdir("d/last-one")
AWKWARD = ["a,b", "a b", 'a"b', " a", "x ", "p\nq", "é", os.fsdecode(b"\xff\xfe")]
EVERYTHING: list[Step] = [
    mkdir("d/x"),
    touch("d/y"),
    write("d/y"),
    read("d/g"),
    chmod("d/g"),
    rename("d/y", "d/z"),
    rename("d/z", "o/z"),
    rename("o/z", "d/z"),
    remove("d/z"),
    rmdir("d/x"),
    listing("d"),
    chmod("d"),
    END,
]
FORMAT = "[%w|%f|%e|%:e|%%|%x|%we|%ee]"


def _merged(printed: bytes) -> list[bytes]:
    """Return the lines without repetition: the kernel merges equal neighbours, or
    does not when the first has been read already."""
    return [line for line, _ in itertools.groupby(printed.splitlines())]


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (["-m", "d"], EVERYTHING),
        (["-m", "d/"], EVERYTHING),
        (["-m", "./d", "d"], EVERYTHING),
        (["d", "-m"], EVERYTHING),
        (["-m", "--format", FORMAT, "d"], EVERYTHING),
        (["-m", "--format", "%T %;e%f", "--timefmt", "at", "d"], EVERYTHING),
        (["-m", "--form=%w%f%", "d"], EVERYTHING),
        (["-m", "--format=%f%n", "--no-newline", "d"], EVERYTHING),
        (["-m", "--format", "%c %e %f", "-e", "create", "d"], EVERYTHING),
        (["-mc", "d"], EVERYTHING),
        (
            ["-m", "--csv", "-ecreate", "d"],
            [*(touch(f"d/{name}") for name in AWKWARD), END],
        ),
        (["-m", "-e", "create", "d"], [*(touch(f"d/{name}") for name in AWKWARD), END]),
        (["-m", "-e", "create,Delete", "--event", "MOVE", "d"], EVERYTHING),
        (["-me", "close", "--event=create", "d"], EVERYTHING),
        (["-m", "-e", "all_events", "d"], EVERYTHING),
        (["-m", "-e", "create,", "d"], EVERYTHING),
        (["-m", "--exclude", "/[xy]$", "d"], EVERYTHING),
        (["-m", "--exclude", "^d/[[:alpha:]]$", "d"], EVERYTHING),
        (["-m", "--excludei", "/[XY]$", "d"], EVERYTHING),
        (["-m", "--include", "(z|last-one)$", "d"], EVERYTHING),
        (["-m", "--includei", "LAST|Z", "d"], EVERYTHING),
        (
            ["-m", "f", "d", "o"],
            [write("f"), read("f"), chmod("f"), touch("o/a"), touch("d/a"), END],
        ),
        (["-m", "f", "d"], [rename("f", "h"), END]),
        (["-m", "f", "d"], [remove("f"), END]),
        (["-m", "-c", "f", "d"], [chmod("f"), END]),
        (["-m", "--format", "%w-%f-%e", "f", "d"], [chmod("f"), END]),
        (["-m", "lf", "d"], [chmod("f"), END]),
        (["-m", "-P", "lf", "d"], [chmod("f"), END]),
        (["-m", "-e", "create", "-e", "delete_self", "o", "d"], [rmdir("o"), END]),
        (["-mqq", "-e", "create", "-t", "1", "d"], []),
        (["-m", "-r", "-e", QUIET_EVENTS, "d"], EVERYTHING),
        (["-mr", "-e", QUIET_EVENTS, "--csv", "d/"], EVERYTHING),
        (["-mr", "-e", QUIET_EVENTS, "--format", FORMAT, "./d"], EVERYTHING),
        (
            ["-mr", "-e", QUIET_EVENTS, "d", "o"],
            [
                touch("d/sub/a"),
                rename("d/sub/a", "o/a"),
                rename("o/a", "d/a"),
                rename("d/sub", "o/sub"),
                touch("o/sub/b"),
                write("o/sub/b"),
                remove("o/sub/b"),
                rmdir("o/sub"),
                END,
            ],
        ),
        (
            ["-mr", "-e", QUIET_EVENTS, "--exclude", r"\.tmp$", "d"],
            [touch("d/a.tmp"), touch("d/sub/b.tmp"), touch("d/sub/c"), END],
        ),
        (
            ["-mr", "-e", QUIET_EVENTS, "--include", r"\.txt$|last", "d"],
            [touch("d/a.tmp"), touch("d/sub/b.txt"), touch("d/sub/c"), END],
        ),
        (
            ["-mr", "-e", "create", "d", "@d/sub"],
            [touch("d/sub/a"), touch("d/b"), END],
        ),
        (
            ["-mr", "-e", "create", "d", "@d/sub/"],
            [touch("d/sub/a"), touch("d/b"), END],
        ),
        (["-mr", "-e", "create", "ld"], [touch("d/a"), touch("d/sub/a"), END]),
        (
            ["-mr", "-e", "create,attrib,modify", "d", "f"],
            [chmod("f"), write("f"), END],
        ),
    ],
)
def test_same_lines(
    scene: Callable[[str], Path], arguments: list[str], steps: list[Step]
) -> None:
    """For the same steps, both have the same output, messages and exit status."""
    if "-mqq" in arguments:  # which says nothing, so nothing can be waited for
        theirs = finish(*arguments, cwd=scene("theirs"), command=[inotifywait()])
        ours = finish(*arguments, cwd=scene("ours"))
        assert (ours.stdout, ours.stderr, ours.returncode) == (
            theirs.stdout,
            theirs.stderr,
            theirs.returncode,
        )
        return
    theirs_, ours_ = _both(scene, arguments, steps)
    assert _merged(ours_.printed) == _merged(theirs_.printed)
    assert (ours_.said, ours_.status) == (theirs_.said, theirs_.status)


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (["d"], mkdir("d/x")),
        (["-r", "d"], mkdir("d/x")),
        (["-e", "create", "d"], mkdir("d/x")),
        (["-e", "delete", "f"], remove("f")),
        (["-e", "delete_self", "f"], remove("f")),
        (["-e", "move_self", "f"], rename("f", "h")),
        (["-e", "delete", "o"], rmdir("o")),
        (["-r", "-e", "delete", "o"], rmdir("o")),
        (["-r", "-e", "delete_self", "o"], rmdir("o")),
        (["-r", "-e", "delete_self", "f"], remove("f")),
        (["-e", "ignored", "o"], rmdir("o")),
        (["-c", "-e", "attrib", "f"], chmod("f")),
        (["-P", "lf"], lambda: os.utime("lf", follow_symlinks=False)),
        (
            ["--include", "y", "-e", "create", "d"],
            TWO,
        ),
        (
            ["--exclude", "x", "-e", "create", "d"],
            TWO,
        ),
        (["-t", "30", "-e", "create", "d"], mkdir("d/x")),
    ],
)
def test_same_first_event(
    scene: Callable[[str], Path], arguments: list[str], step: Step
) -> None:
    """Without -m both end after the same event, with the same status."""
    outcomes = []
    for program in ([inotifywait()], COMMAND):
        place = scene(os.path.basename(program[0]))
        running = Running([*program, *arguments], place).until_said()
        step()
        outcomes.append(running.ended())
    printed, said, status = outcomes[0]
    if printed.endswith(b"DELETE_SELF \n") and "-r" in arguments and "f" in arguments:
        printed = printed.replace(
            b"DELETE_SELF", b"DELETE"
        )  # of the name: see the README
    assert outcomes[1] == (printed, said, status)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-t", "1", "d"],
        ["-m", "-t", "1", "d"],
        ["-q", "--timeout=1", "d"],
        ["-r", "-t", "1", "d"],
        ["-e", "isdir", "-t", "1", "d"],
        ["-q", "-t", " +1", "-e", "", "d"],
        ["-r", "-t", "1", "@d", "d"],
        ["--fromfile", "list", "-t", "1"],
        ["--fromfile=-", "-t", "1"],
        ["-t", "x", "d"],
        ["-t", "", "d"],
        ["-t", "1_0", "d"],
        ["-t", "99999999999999999999", "d"],
        ["-e", "foo", "d"],
        ["-e", "create,foo", "d"],
        [],
        ["@d", "-t", "1"],
        ["missing"],
        ["-m", "d", "missing"],
        ["-r", "missing"],
        ["-c", "--format", "%w", "d"],
        ["--no-newline", "d"],
        ["--timefmt", "%s", "d"],
        ["--format", "%T", "d"],
        ["--format", "", "--no-newline", "d"],
        ["-o", "a", "-o", "b", "d"],
        ["--fromfile", "a", "--fromfile", "b", "d"],
        ["-o", "missing/out", "-t", "1", "d"],
        ["--bogus", "d"],
        ["-Z", "d"],
        ["-e"],
        ["--monitor=3", "d"],
        ["--in", "x", "d"],
        ["-f", "d"],
        ["--exclude", "(", "d"],
        ["--include", "[", "d"],
    ],
    ids=" ".join,
)
def test_same_end_without_an_event(
    scene: Callable[[str], Path], arguments: list[str]
) -> None:
    """A timeout and a mistake end both with the same status, without output."""
    ends = []
    for program in ([inotifywait()], COMMAND):
        place = scene(os.path.basename(program[0]))
        (place / "list").write_text("d\nf\n")
        ends.append(finish(*arguments, cwd=place, command=program, stdin=b"d\n@f\n\n"))
    theirs, ours = ends
    assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)
    assert b"Traceback" not in ours.stderr
    assert bool(ours.stderr) == bool(theirs.stderr)
    # What getopt says, and where inotifywait gives no reason, may be in other words.
    other_words = {
        "-Z",
        "--bogus",
        "--monitor=3",
        "--in",
        "-f",
        "missing/out",
        "(",
        "[",
    }
    if arguments != ["-e"] and not other_words & set(arguments):
        assert ours.stderr == theirs.stderr


def test_cookies_pair(scene: Callable[[str], Path]) -> None:
    """%c is 0 for what is no rename, and one number for both halves, as there."""
    steps = [touch("d/a"), rename("d/a", "d/b"), rename("d/b", "d/c"), END]
    layout = ["--format", "%c %e %f", "-e", "create,move", "d"]
    for arguments in (["-m", *layout], ["-mr", *layout]):
        for name in ("theirs", "ours"):
            program = [inotifywait()] if name == "theirs" else COMMAND
            place = scene(name + arguments[0])
            printed = _play(program, arguments, steps, place).printed.splitlines()
            cookies = [line.split()[0] for line in printed]
            assert cookies[0] == cookies[-1] == b"0"
            assert cookies[1] == cookies[2] != cookies[3] == cookies[4]
            assert all(int(cookie, 16) for cookie in cookies[1:5])
