"""complete=True: a file is said when nobody has it open for writing."""

from __future__ import annotations

import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

from inotify_cffi import Batches, Change, watch

if TYPE_CHECKING:
    from conftest import InThread

FILES = int(os.environ.get("COMPLETE_FILES", "300"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def batches(root: Path) -> Iterator[Batches]:
    """A watch whose empty batches say that nothing was complete for a while."""
    with watch(root, complete=True, settle=1, timeout=100) as batches:
        yield batches


def _said(changes: list[Change], root: Path) -> list[tuple[str, str]]:
    return [(change.kind, change.path[len(str(root)) + 1 :]) for change in changes]


def _next(batches: Batches) -> list[Change]:
    """The next batch that is not empty."""
    while not (changes := next(batches)):
        pass
    return changes


def test_slow_upload(root: Path, batches: Batches) -> None:
    """An upload into a new directory is said when it has ended."""
    (root / "new").mkdir()
    with open(root / "new" / "upload", "w") as file:
        file.write("half")
        file.flush()
        assert _said(_next(batches), root) == [("added", "new")]
        assert next(batches) == []
        file.write("whole")
    assert _said(_next(batches), root) == [("added", "new/upload")]
    assert next(batches) == []


def test_two_writers(root: Path, batches: Batches) -> None:
    """A file that two write is said when both have closed it."""
    with open(root / "log", "a") as one:
        with open(root / "log", "a") as other:
            other.write("other")
        assert next(batches) == []
        one.write("one")
    assert _said(_next(batches), root) == [("added", "log")]
    assert next(batches) == []


def test_modified(root: Path) -> None:
    """A file that was there is said to be modified when it is complete."""
    (root / "file").write_text("former")
    with watch(root, complete=True, settle=1, timeout=100) as batches:
        with open(root / "file", "a") as file:
            file.write("more")
            file.flush()
            assert next(batches) == []
        assert _said(_next(batches), root) == [("modified", "file")]
        os.utime(root / "file")
        assert next(batches) == []  # attributes alone are no change


def test_renamed_at_the_end(root: Path, batches: Batches) -> None:
    """A download that is renamed at its end is said once, by its last name."""
    with open(root / "x.part", "w") as file:
        file.write("half")
        file.flush()
        assert next(batches) == []
        (root / "x.part").rename(root / "x")
        assert next(batches) == []
    assert _said(_next(batches), root) == [("added", "x")]
    assert next(batches) == []


def test_found_by_a_scan(root: Path, tmp_path: Path, batches: Batches) -> None:
    """A file that comes with its directory is reported when it is complete."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "done").touch()
    with open(tmp_path / "d" / "file", "w") as file:
        (tmp_path / "d").rename(root / "d")
        said = _said(_next(batches), root)
        assert sorted(said) == [("added", "d"), ("added", "d/done")]
        file.write("text")
    assert _said(_next(batches), root) == [("added", "d/file")]


def test_there_at_the_start(root: Path) -> None:
    """With initial, what is being written is not in the first batch."""
    (root / "done").touch()
    with (
        open(root / "file", "w") as file,
        watch(root, complete=True, initial=True, settle=1) as batches,
    ):
        assert _said(next(batches), root) == [("added", "done")]
        file.close()
        assert _said(next(batches), root) == [("added", "file")]


def test_closed_by_another_name(root: Path, tmp_path: Path, batches: Batches) -> None:
    """A file whose closing gives no event here is said, too."""
    with open(tmp_path / "outside", "w") as file:
        os.link(tmp_path / "outside", root / "file")
        assert next(batches) == []
        file.write("text")
    assert _said(_next(batches), root) == [("added", "file")]


def test_a_nameless_file(root: Path, batches: Batches) -> None:
    """A file that was given its name while it was open (O_TMPFILE) is said, too."""
    try:
        fd = os.open(root, os.O_TMPFILE | os.O_WRONLY)
    except (AttributeError, OSError):
        pytest.skip("there are no nameless files here")
    try:
        os.write(fd, b"text")
        # With the descriptor of a directory it is linkat(2), which can follow links.
        top = os.open("/", os.O_RDONLY)
        try:
            os.link(f"proc/self/fd/{fd}", root / "file", src_dir_fd=top)
        finally:
            os.close(top)
        assert next(batches) == []
    finally:
        os.close(fd)
    assert _said(_next(batches), root) == [("added", "file")]


def test_deleted_before_it_was_complete(root: Path, batches: Batches) -> None:
    """An incomplete file is never reported; a reported file is reported as gone."""
    with open(root / "file", "w") as file:
        file.write("text")
        file.flush()
        assert next(batches) == []
        (root / "file").unlink()
        assert next(batches) == []
    (root / "other").touch()
    assert _said(_next(batches), root) == [("added", "other")]
    with open(root / "other", "a") as file:
        file.write("text")
        file.flush()
        assert next(batches) == []
        (root / "other").unlink()
        assert _said(_next(batches), root) == [("deleted", "other")]


def test_renamed_while_it_is_written(root: Path, batches: Batches) -> None:
    """A file written during its rename is gone from the former name at once."""
    (root / "a").touch()
    assert _said(_next(batches), root) == [("added", "a")]
    with open(root / "a", "a") as file:
        file.write("text")
        file.flush()
        (root / "a").rename(root / "b")
        assert _said(_next(batches), root) == [("deleted", "a")]
    assert _said(_next(batches), root) == [("added", "b")]


def test_links_and_pipes(root: Path, batches: Batches) -> None:
    """Anything but a regular file is always complete."""
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("nowhere")
    said = _said(_next(batches), root)
    assert sorted(said) == [("added", "link"), ("added", "pipe")]


WATCH_AS_ANOTHER = """
import os, sys
from inotify_cffi import watch
with watch(sys.argv[1], complete=True, settle=1, timeout=1) as batches:
    next(batches)  # so that all is imported while it may be
os.setuid(65534)
with watch(sys.argv[1], complete=True, settle=1) as batches:
    print("ready", flush=True)
    for changes in batches:
        for change in changes:
            print(change.kind, os.path.basename(change.path), flush=True)
"""


def test_without_a_lease(start: Callable[..., Any]) -> None:
    """Another user's file is complete at CLOSE_WRITE, or when nothing comes of it."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    with tempfile.TemporaryDirectory() as directory:  # tmp_path is for this user alone
        os.chmod(directory, 0o755)
        root = Path(directory, "root")
        root.mkdir()
        _watch_as_another(root, start)


def _watch_as_another(root: Path, start: Callable[..., Any]) -> None:
    process = start(sys.executable, "-c", WATCH_AS_ANOTHER, str(root))
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    with open(root / "slow", "w") as file:
        file.write("half")
        file.flush()
        (root / "other").write_text("text")
        assert process.stdout.readline() == "added other\n"
    assert process.stdout.readline() == "added slow\n"
    outside = root.parent / "linked"
    outside.write_text("text")
    os.link(outside, root / "linked")
    assert process.stdout.readline() == "added linked\n"


def test_cp_and_rsync(root: Path, tmp_path: Path) -> None:
    """Each file that cp -r and rsync copy is reported once, complete, by its name."""
    source = tmp_path / "source"
    for number in range(5):
        (source / f"d{number}").mkdir(parents=True)
        for name in ("a", "b"):
            (source / f"d{number}" / name).write_text("text" * 10_000)
    commands = [["cp", "-r", str(source), str(root / "cp")]]
    if shutil.which("rsync"):
        commands.append(["rsync", "-a", f"{source}/", str(root / "rsync")])
    with watch(root, complete=True, only=["a", "b"], settle=1, timeout=500) as batches:
        for command in commands:
            subprocess.run(command, check=True)
        said: list[tuple[str, str]] = []
        while changes := next(batches):
            said += _said(changes, root)
            for change in changes:
                assert Path(change.path).stat().st_size == 40_000
    assert sorted(said) == sorted(
        ("added", f"{os.path.basename(command[-1])}/d{number}/{name}")
        for command in commands
        for number in range(5)
        for name in ("a", "b")
    )


SIZE = 64


class Writers:
    """Five kinds of writers; a file is complete when it has SIZE bytes of "x"."""

    def __init__(self, root: Path, outside: Path, count: int) -> None:
        self.root = root
        self.outside = outside
        self.count = count
        self.chance = random.Random(count)

    def run(self) -> None:
        kinds = [self.slow, self.several, self.found, self.renamed, self.sparse]
        for number in range(self.count):
            directory = self.root / f"d{number // 50}"
            directory.mkdir(exist_ok=True)
            kinds[number % len(kinds)](directory / f"file{number}")

    def slow(self, path: Path) -> None:
        with open(path, "wb", buffering=0) as file:
            for _ in range(4):
                file.write(b"x" * (SIZE // 4))
                self.pause()

    def several(self, path: Path) -> None:
        with open(path, "ab", buffering=0) as one, open(path, "ab") as other:
            one.write(b"x" * (SIZE // 2))
            self.pause()
            other.write(b"x" * (SIZE // 2))

    def found(self, path: Path) -> None:
        made = self.outside / path.name
        made.mkdir()
        with open(made / "inner", "wb", buffering=0) as file:
            file.write(b"x" * (SIZE // 2))
            made.rename(path)
            self.pause()
            file.write(b"x" * (SIZE // 2))

    def renamed(self, path: Path) -> None:
        part = path.with_name(path.name + ".part")
        with open(part, "wb", buffering=0) as file:
            file.write(b"x" * (SIZE // 2))
            self.pause()
            file.write(b"x" * (SIZE // 2))
        part.rename(path)

    def sparse(self, path: Path) -> None:
        with open(path, "wb", buffering=0) as file:
            file.truncate(SIZE)
            for offset in (SIZE // 2, 0):
                file.seek(offset)
                file.write(b"x" * (SIZE // 2))
                self.pause()

    def pause(self) -> None:
        if self.chance.random() < 0.1:
            threading.Event().wait(0.003)


def test_many_writers(root: Path, tmp_path: Path, in_thread: InThread) -> None:
    """None of many files is said early, none twice, and none is missing."""
    outside = tmp_path / "outside"
    outside.mkdir()
    with watch(
        root, complete=True, ignore="*.part", settle=1, at_most=20, timeout=1000
    ) as batches:
        wait = in_thread(Writers(root, outside, FILES).run)
        said: collections.Counter[str] = collections.Counter()
        early = []
        done = False
        while True:
            changes = next(batches)
            if not changes and done:
                break
            for change in changes:
                if not change.is_directory:
                    said[change.path] += 1
                    if Path(change.path).read_bytes() != b"x" * SIZE:
                        early.append(change)
            done = done or len(said) == FILES
        wait()
    assert early == []
    assert len(said) == FILES
    assert [path for path, times in said.items() if times != 1] == []
