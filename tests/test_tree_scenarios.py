"""TreeWatcher through what people do with trees, held against the real tree."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import churn
import pytest

from inotify_cffi import INotify, flags, mask_str

Run = Callable[..., None]


@pytest.fixture
def root(top: Path) -> Path:
    """The tree that is watched."""
    return top


@pytest.fixture(params=["all the while", "afterwards"])
def run(request: pytest.FixtureRequest, consumer: churn.Consumer) -> Run:
    """The function that runs a command, while the consumer reads or before it does."""

    def run(*command: str | Path, cwd: Path | None = None) -> None:
        process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while request.param == "all the while" and process.poll() is None:
            consumer.read(timeout=10)
        assert process.wait() == 0
        consumer.check()

    return run


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of some hundred files and directories, six deep."""
    sources = tmp_path_factory.mktemp("sources")
    for names in itertools.product("abc", repeat=4):
        directory = sources.joinpath(*names)
        directory.mkdir(parents=True)
        for name in ("one", "two"):
            (directory / name).write_text("".join(names))
    (sources / "link").symlink_to("a/b")
    (sources / "a" / "b" / "up").symlink_to("../..")
    os.link(sources / "a" / "b" / "c" / "a" / "one", sources / "b" / "hard")
    return sources


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a branch for each of twelve trees."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    repository = tmp_path_factory.mktemp("repository")

    def git(*arguments: str) -> None:
        name = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *name, *arguments], cwd=repository, check=True)

    git("init", "--quiet", "--initial-branch=branch0")
    for number in range(12):
        if number:
            git("checkout", "--quiet", "-b", f"branch{number}")
            subprocess.run(
                ["git", "rm", "-r", "--quiet", f"d{number % 3}"],
                cwd=repository,
                check=True,
            )
        for name, count in itertools.product(range(3), range(5)):
            directory = repository / f"d{name}" / f"{number * count % 7}" / "deep"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / f"file{count}").write_text(f"{number}\n" * 50)
        git("add", "--all")
        git("commit", "--quiet", "--message", f"commit {number}")
    return repository


def test_copy(run: Run, root: Path, sources: Path) -> None:
    """After cp -a into the tree and within it, and rm -r, the mirror matches."""
    run("cp", "-a", sources, root / "copy")
    run("cp", "-a", root / "copy", root / "again")
    run("rm", "-r", root / "copy")


def test_copy_many(run: Run, root: Path, sources: Path) -> None:
    """After copies and removals by several processes, the mirror matches."""
    script = """
        for i in 1 2 3; do
            (cp -a "$0" "$1/$i" && cp -a "$1/$i" "$1/$i.copy" && rm -r "$1/$i") &
        done
        wait
    """
    run("sh", "-c", script, sources, root)


def test_unpack(run: Run, root: Path, sources: Path, tmp_path: Path) -> None:
    """After tar x, also over existing files, the mirror matches."""
    archive = tmp_path / "archive.tar"
    subprocess.run(["tar", "-c", "-f", archive, "-C", sources, "."], check=True)
    for how in ("--keep-old-files", "--recursive-unlink", "--overwrite"):
        run("tar", "-x", "-f", archive, "-C", root, how)


def test_git(run: Run, root: Path, repository: Path) -> None:
    """After git clone and checkouts of many branches, the mirror matches."""
    clone = root / "clone"
    run("git", "clone", "--quiet", repository, clone)
    for number in range(11, -1, -1):
        run("git", "checkout", "--quiet", f"branch{number}", cwd=clone)
    checkouts = (
        "for i in 3 7 1 9 5 11 0; do git checkout --quiet branch$i || exit 1; done"
    )
    run("sh", "-c", checkouts, cwd=clone)
    run("git", "gc", "--quiet", "--prune=now", cwd=clone)
    run("git", "worktree", "add", "--quiet", root / "worktree", "branch4", cwd=clone)
    run("git", "stash", "--quiet", cwd=clone)


# ---- renames ------------------------------------------------------------------------


def _fill(directory: Path) -> None:
    (directory / "sub" / "deeper").mkdir(parents=True)
    (directory / f"in {directory.name}").touch()


def _probe(consumer: churn.Consumer) -> None:
    """Assert that the consumer is right, and that each directory has its path."""
    consumer.check()
    assert churn.probe(consumer) == []


@pytest.mark.parametrize("kind", ["file", "directory"])
@pytest.mark.parametrize("seen", [True, False], ids=["seen", "not seen"])
def test_chain(consumer: churn.Consumer, root: Path, kind: str, seen: bool) -> None:
    """A is renamed to B, to C, and a new A to B: each step is reported."""
    for name in ("first", "second"):
        if kind == "file":
            (root / name).touch()
        else:
            _fill(root / name)
    if seen:
        consumer.read()
    for old, new in [("first", "b"), ("b", "c"), ("second", "b"), ("c", "d")]:
        (root / old).rename(root / new)
    events = [event for event in consumer.read() if event.old_path is not None]
    assert [
        churn.in_words(event, str(root)).replace(" | ISDIR", "") for event in events
    ] == [
        "MOVED_TO /b from /first",
        "MOVED_TO /c from /b",
        "MOVED_TO /b from /second",
        "MOVED_TO /d from /c",
    ]
    _probe(consumer)


def test_there_and_back(consumer: churn.Consumer, root: Path) -> None:
    """A directory that is renamed and renamed back is reported with both renames."""
    _fill(root / "a")
    (root / "d").mkdir()
    consumer.read()
    for _ in range(3):
        (root / "a").rename(root / "d" / "b")
        (root / "d" / "b").rename(root / "a")
    assert consumer.lines() == 3 * [
        "MOVED_TO | ISDIR /d/b from /a",
        "MOVED_TO | ISDIR /a from /d/b",
    ]
    _probe(consumer)


def test_swap_by_three_renames(consumer: churn.Consumer, root: Path) -> None:
    """Two directories that exchange names through a third one are reported so."""
    for name in ("a", "b"):
        _fill(root / name)
    consumer.read()
    for _ in range(5):
        (root / "a").rename(root / "t")
        (root / "b").rename(root / "a")
        (root / "t").rename(root / "b")
        assert consumer.lines() == [
            "MOVED_TO | ISDIR /t from /a",
            "MOVED_TO | ISDIR /a from /b",
            "MOVED_TO | ISDIR /b from /t",
        ]
    _probe(consumer)


KINDS = list(itertools.product(["file", "directory"], repeat=2))
PLACES = [("", ""), ("p", ""), ("", "p"), ("p", "q"), ("p", "p/inner")]


@pytest.mark.parametrize("kinds", KINDS, ids="/".join)
@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("seen", ["both", "one", "none"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_exchange(
    consumer: churn.Consumer,
    root: Path,
    kinds: tuple[str, str],
    places: tuple[str, str],
    seen: str,
    times: int,
) -> None:
    """After RENAME_EXCHANGE the mirror matches, whatever was scanned before."""
    ends = [root / place / name for place, name in zip(places, "xy")]
    for number, (end, kind) in enumerate(zip(ends, kinds)):
        end.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            end.touch()
        else:
            _fill(end)
        if seen == "both" or (seen == "one" and number == 0):
            consumer.read()
    consumer.halves_are_sure = False
    for _ in range(times):
        churn.exchange(*ends)
    _probe(consumer)
    churn.exchange(*ends)
    _probe(consumer)


@pytest.mark.parametrize("kinds", KINDS, ids="/".join)
def test_exchange_with_outside(
    consumer: churn.Consumer, root: Path, tmp_path: Path, kinds: tuple[str, str]
) -> None:
    """In an exchange with an outside path, one thing leaves and the other comes."""
    ends = [root / "x", tmp_path / "y"]
    for end, kind in zip(ends, kinds):
        if kind == "file":
            end.touch()
        else:
            _fill(end)
    consumer.read()
    for _ in range(3):
        churn.exchange(*ends)
        events = consumer.read()
        assert [mask_str(event.mask & ~flags.ISDIR) for event in events[:2]] == [
            "MOVED_FROM",
            "MOVED_TO",
        ]
    churn.exchange(*ends)
    churn.exchange(*ends)
    _probe(consumer)


@pytest.mark.parametrize("read_between", [True, False])
def test_replaced_by_another(
    consumer: churn.Consumer, root: Path, tmp_path: Path, read_between: bool
) -> None:
    """A directory that makes room for another of its name leaves nothing behind."""
    _fill(root / "d")
    for number in range(5):
        _fill(tmp_path / f"new{number}")
    consumer.read()
    for number in range(5):
        (root / "d").rename(tmp_path / f"old{number}")
        (tmp_path / f"new{number}").rename(root / "d")
        if read_between:
            consumer.check()
    subprocess.run(["rm", "-r", root / "d"], check=True)
    _fill(root / "d")
    _probe(consumer)


@pytest.mark.parametrize("read_between", [True, False])
def test_recreated(consumer: churn.Consumer, root: Path, read_between: bool) -> None:
    """A directory that is deleted and made again, repeatedly, is reported each time."""
    lines: list[str] = []
    for _ in range(50):
        (root / "d").mkdir()
        if read_between:
            lines += consumer.lines()
        (root / "d").rmdir()
        lines += consumer.lines()
    assert lines == 50 * ["CREATE | ISDIR /d", "DELETE | ISDIR /d"]
    (root / "d" / "e").mkdir(parents=True)
    _probe(consumer)


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "not seen"])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_child_of_a_deleted_parent(
    consumer: churn.Consumer, root: Path, tmp_path: Path, seen: bool, inside: bool
) -> None:
    """A directory that left its parent before that was deleted lives on."""
    _fill(root / "parent" / "child")
    if seen:
        consumer.read()
    new = (root if inside else tmp_path) / "moved"
    (root / "parent" / "child").rename(new)
    (root / "parent").rmdir()
    (new / "later").mkdir()
    _probe(consumer)
    new.rename(root / "parent")
    _probe(consumer)


def test_moved_out_and_removed(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """Changes of a directory that has left the tree are not reported."""
    _fill(root / "d")
    consumer.read()
    (root / "d").rename(tmp_path / "d")
    assert consumer.lines() == ["MOVED_FROM | ISDIR /d"]
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
    _fill(tmp_path / "d")
    assert consumer.lines() == []


def test_prefix_pair(consumer: churn.Consumer, root: Path) -> None:
    """A directory whose name begins as another's does is not that one."""
    for name in ("a", "ab", "a b"):
        _fill(root / name)
    consumer.read()
    (root / "a").rename(root / "abc")
    (root / "ab" / "sub" / "deeper").rmdir()
    (root / "abc" / "sub" / "deeper").rmdir()
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /abc from /a",
        "DELETE | ISDIR /ab/sub/deeper",
        "DELETE | ISDIR /abc/sub/deeper",
    ]
    subprocess.run(["rm", "-r", root / "abc"], check=True)
    _probe(consumer)


def test_explicit_watch_inside(consumer: churn.Consumer, root: Path) -> None:
    """A root, or another instance's watch, inside a tree changes nothing of it."""
    _fill(root / "d")
    consumer.read()
    with INotify() as other:
        other.add_watch(root / "d", flags.CREATE)
        consumer.watcher.add(root / "d")
        (root / "d" / "new").mkdir()
        assert consumer.lines() == ["CREATE | ISDIR /d/new"]
        assert len(other.read(timeout=0)) == 1
    consumer.watcher.remove(root / "d")
    (root / "d").rename(root / "e")
    assert consumer.lines() == ["MOVED_TO | ISDIR /e from /d"]
    _probe(consumer)


# ---- files --------------------------------------------------------------------------


def test_unnamed_file(consumer: churn.Consumer, root: Path) -> None:
    """A file that gets its name only when it is complete is reported as created."""
    libc = ctypes.CDLL(None, use_errno=True)
    unnamed = getattr(os, "O_TMPFILE", 0o20000000 | os.O_DIRECTORY)  # PyPy has none
    try:
        fd = os.open(root, unnamed | os.O_WRONLY, 0o600)
    except OSError as error:
        pytest.skip(f"no O_TMPFILE here: {error}")
    os.write(fd, b"text")
    name = f"/proc/self/fd/{fd}".encode()
    follow_links = 0x400
    assert not libc.linkat(-100, name, -100, os.fsencode(root / "f"), follow_links)
    os.close(fd)
    assert "CREATE /f" in consumer.lines()


def test_hard_links(consumer: churn.Consumer, root: Path, tmp_path: Path) -> None:
    """A hard link is a name like others; a rename onto one's own is nothing."""
    (root / "a").touch()
    os.link(root / "a", root / "b")
    os.link(root / "a", tmp_path / "outside")
    assert consumer.lines() == ["CREATE /a", "CLOSE_WRITE /a", "CREATE /b"]
    os.rename(root / "a", root / "b")
    os.rename(root / "a", root / "a")
    assert consumer.lines() == []
    (root / "a").unlink()
    assert consumer.lines() == ["DELETE /a"]


def test_file_instead_of_directory(consumer: churn.Consumer, root: Path) -> None:
    """A name that is a directory and a file by turns is reported each time."""
    for _ in range(20):
        _fill(root / "x")
        subprocess.run(["rm", "-r", root / "x"], check=True)
        (root / "x").touch()
        consumer.check()
        (root / "x").unlink()
    _fill(root / "x")
    _probe(consumer)


def test_many_kinds_of_files(consumer: churn.Consumer, root: Path) -> None:
    """Pipes, sockets and the like are names like others."""
    os.mkfifo(root / "pipe")
    code = "import socket, sys; socket.socket(socket.AF_UNIX).bind('socket')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=root, check=True)
    assert consumer.lines() == ["CREATE /pipe", "CREATE /socket"]


def _names(count: int) -> Sequence[str]:
    return [f"{number:0200}" for number in range(count)]


def test_many_files(consumer: churn.Consumer, root: Path) -> None:
    """All of many long names are reported, by events and by a scan."""
    (root / "d").mkdir()
    for name in _names(1000):
        os.mknod(root / "d" / name)
    assert len(consumer.read()) == 1001
    for name in _names(1000):
        os.unlink(root / "d" / name)
    assert len(consumer.read()) == 1000
