"""Roots inside each other: each event once, none missing, no watch left.

All orders of adding, removing, renaming, deleting and making four nested roots are
enumerated: by default those of up to two operations, and a sample of the longer ones.

    ENUMERATE=5 python -m pytest -o faulthandler_timeout=0 \\
        tests/test_tree_nested_roots.py -k all_orders

enumerates up to five: 82,944 orders of five. An order takes some 2.5 ms of a CPU, and
waits ten times as long for the kernel. So 16 processes run them on tmpfs, or as many as
JOBS says.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from churn import in_words, kernel_watches, short_queue

from inotify_cffi import INotify, TreeEvent, TreeWatcher, flags, mask_str

ROOTS = ("a", "a/b", "a/b/c", "a/b/c/d")
ALL_UP_TO = int(os.environ.get("ENUMERATE", "2"))
JOBS = int(os.environ.get("JOBS", "16"))
TMPFS = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
LONGEST = 5
SAMPLE = 400
NOBODY = 65534
OPERATIONS = [
    (kind, root)
    for kind in ("add or remove", "move away or back", "delete or make")
    for root in range(len(ROOTS))
]
GONE = flags.DELETE_SELF | flags.MOVE_SELF
Steps = Sequence[tuple[str, int]]


class Scene:
    """A tree, a watcher with some roots in it, and a strict mirror of its events."""

    def __init__(self, top: Path, recursive: bool = True) -> None:
        self.top = top
        with short_queue(None):  # a churn beside this may want short queues
            self.watcher = TreeWatcher(missing_ok=True, recursive=recursive)
        self.recursive = recursive
        self.known: dict[str, bool] = {}
        self.wrong: list[str] = []
        self._make(0)

    def path(self, root: int) -> str:
        return f"{self.top}/{ROOTS[root]}"

    def step(self, kind: str, root: int) -> None:
        path = self.path(root)
        if kind == "add or remove":
            self.read()
            if path in self.watcher.roots:
                self.watcher.remove(path)
                self.read()
                real = self.real()
                self.known = {
                    known: is_directory
                    for known, is_directory in self.known.items()
                    if known in real
                }
            else:
                self.watcher.add(path)
                self.read()
                self.known = {**self.real(), **self.known}
        elif kind == "move away or back":
            if os.path.isdir(path):
                self._remove(f"{path}-moved")
                os.rename(path, f"{path}-moved")
            elif os.path.isdir(f"{path}-moved"):
                os.rename(f"{path}-moved", path)
        elif os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.isdir(os.path.dirname(path)):
            self._make(root)

    def _make(self, root: int) -> None:
        for each in ROOTS[root:]:
            os.mkdir(f"{self.top}/{each}")
            Path(f"{self.top}/{each}/file").touch()

    def _remove(self, path: str) -> None:
        if os.path.isdir(path):
            shutil.rmtree(path)

    def real(self) -> dict[str, bool]:
        """The roots and the paths below, each with whether it is a directory."""
        found = {}
        for root in self.watcher.roots:
            if _is_readable(root):
                found[root] = True
                for directory, directories, files in os.walk(root):
                    found.update({f"{directory}/{name}": True for name in directories})
                    found.update({f"{directory}/{name}": False for name in files})
                    if not self.recursive:
                        break
        return found

    def read(self) -> list[TreeEvent]:
        events = self.watcher.read(timeout=0)
        for event in events:
            self._apply(event)
        return events

    def _apply(self, event: TreeEvent) -> None:
        path, mask, old_path, _ = event
        if mask & flags.MOVED_TO:
            self._take(path, event, may_be_missing=True)
            moved = {path: bool(mask & flags.ISDIR)}
            if old_path is not None:
                for known, is_directory in self._take(old_path, event).items():
                    moved[path + known[len(old_path) :]] = is_directory
            self.known.update(moved)
        elif mask & (flags.DELETE | flags.MOVED_FROM | GONE):
            self._take(path, event)
        elif mask & flags.CREATE:
            if path in self.known:
                self._note(event, "is there already")
            self.known[path] = bool(mask & flags.ISDIR)
        elif path not in self.known:
            self._note(event, "is not there")

    def _take(
        self, path: str, event: TreeEvent, *, may_be_missing: bool = False
    ) -> dict[str, bool]:
        if path not in self.known and not may_be_missing:
            self._note(event, "is not there")
        taken = {
            known: is_directory
            for known, is_directory in self.known.items()
            if known == path
            or (known.startswith(path + "/") and self._is_of(path, known))
        }
        for known in taken:
            del self.known[known]
        return taken

    def _is_of(self, path: str, below: str) -> bool:
        """Whether what is below a path goes with it, and is not another root's."""
        roots = self.watcher.roots
        return self.recursive or (
            path in roots and os.path.dirname(below) == path and below not in roots
        )

    def _note(self, event: TreeEvent, why: str) -> None:
        self.wrong.append(
            f"{mask_str(event.mask)} {event.path[len(str(self.top)) :]} {why}"
        )

    def check(self) -> None:
        self.read()
        real = self.real()
        assert not self.wrong
        assert self.known == real
        directories = [path for path in real if _is_readable(path)]
        if not self.recursive:
            directories = [path for path in directories if path in self.watcher.roots]
        identities = {
            (status.st_dev, status.st_ino) for status in map(os.stat, directories)
        }
        assert kernel_watches(self.watcher) == sorted(identities)
        roots = self.watcher.roots
        unread = {*self.watcher.missing, *self.watcher.unreadable}.intersection(roots)
        assert unread == {root for root in roots if not _is_readable(root)}
        for directory in directories:
            Path(f"{directory}/probe").touch()
        created = [
            event.path
            for event in self.watcher.read(timeout=0)
            if event.mask & flags.CREATE
        ]
        assert sorted(created) == sorted(f"{one}/probe" for one in directories)
        for directory in directories:
            os.remove(f"{directory}/probe")
        self.watcher.read(timeout=0)


def _is_readable(path: str) -> bool:
    """Return whether a path is a directory that this user may read."""
    return os.path.isdir(path) and os.access(path, os.R_OK, effective_ids=True)


class ClosingScene(Scene):
    """A scene of an ordinary user, who closes directories, and adds roots only.

    A closed directory may be searched, but not read. An outer tree that can read it at
    last reports a root as one of its names, too.
    """

    def step(self, kind: str, root: int) -> None:
        path = self.path(root)
        if kind == "close or open":
            if os.path.isdir(path):
                os.chmod(path, 0o311 if _is_readable(path) else 0o755)
        elif kind != "add or remove":
            if os.path.isdir(path) and kind == "delete or make":
                open_below(path)
            super().step(kind, root)
        elif path not in self.watcher.roots:
            super().step(kind, root)
            if path not in self.watcher.missing:
                self.known[path] = True

    def _remove(self, path: str) -> None:
        open_below(path)
        super()._remove(path)

    def _note(self, event: TreeEvent, why: str) -> None:
        if not (event.mask & flags.CREATE and event.path in self.watcher.roots):
            super()._note(event, why)

    def check(self) -> None:
        open_below(str(self.top))
        super().check()


def open_below(path: str) -> None:
    """Make a directory and all below it readable."""
    if os.path.isdir(path):
        os.chmod(path, 0o755)
    for directory, directories, _ in os.walk(path):
        for name in directories:  # before the walk goes into them
            os.chmod(f"{directory}/{name}", 0o755)


def run(
    top: Path,
    steps: Steps,
    *,
    recursive: bool = True,
    scene_class: type[Scene] = Scene,
) -> None:
    top.mkdir()
    scene = scene_class(top, recursive)
    try:
        with scene.watcher:
            for kind, root in steps:
                scene.step(kind, root)
            scene.check()
    except AssertionError:
        print("steps:", *[f"{kind} {ROOTS[root]}" for kind, root in steps], sep="\n ")
        raise
    finally:
        open_below(str(top))
        shutil.rmtree(top)


def orders(length: int) -> Iterator[Steps]:
    """All orders that begin with a root: without one nothing can be wrong."""
    for first in range(len(ROOTS)):
        for steps in itertools.product(OPERATIONS, repeat=length - 1):
            yield [("add or remove", first), *steps]


def run_all(top: str, length: int, share: int = 0, shares: int = 1) -> int:
    """Run the orders of a share of them; return how many these are."""
    count = 0
    for steps in itertools.islice(orders(length), share, None, shares):
        run(Path(top, f"{share}-{count}"), steps)
        count += 1
    return count


@pytest.mark.parametrize("length", range(1, ALL_UP_TO + 1))
def test_all_orders(length: int) -> None:
    """Whatever is done to nested roots, the mirror is the truth, and clean."""
    expected = len(ROOTS) * len(OPERATIONS) ** (length - 1)
    with tempfile.TemporaryDirectory(dir=TMPFS) as top:
        if length < 4:
            assert run_all(top, length) == expected
            return
        with ExitStack() as stack:
            shares = []
            for share in range(JOBS):
                arguments = [top, str(length), str(share), str(JOBS)]
                process = subprocess.Popen(
                    [sys.executable, __file__, *arguments],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                stack.enter_context(process)
                stack.callback(process.kill)
                shares.append(process)
            counts = [process.communicate()[0] for process in shares]
        assert not any(process.returncode for process in shares), "\n".join(counts)
        assert sum(map(int, counts)) == expected


@pytest.mark.parametrize("again", [0, 1])
def test_an_inner_root_returns_after_the_outer_one(tmp_path: Path, again: int) -> None:
    """A root that returns in a new directory outlives the end of the old one.

    Its path is resolved when the queue still has the deletion of the old directory,
    which the outer root reports.
    """
    steps = [
        ("add or remove", 3),
        ("move away or back", 2),
        ("add or remove", 0),
        ("delete or make", again),
        ("delete or make", again),
    ]
    run(tmp_path / "top", steps)


@pytest.mark.parametrize("again", [False, True])
def test_an_inner_root_ends_before_a_rename_above_it(
    tmp_path: Path, again: bool
) -> None:
    """A root that stands alone ends before the directory above it is elsewhere.

    So a consumer that follows the rename does not take the root along.
    """
    inner = tmp_path / "a" / "b" / "x"
    inner.mkdir(parents=True)
    with TreeWatcher(
        tmp_path / "a", inner, exclude=lambda path: path.endswith("/x")
    ) as watcher:
        (tmp_path / "a" / "b").rename(tmp_path / "a" / "z")
        if again:
            inner.mkdir(parents=True)
        lines = [in_words(event, str(tmp_path)) for event in watcher.read(timeout=0)]
        assert lines[:2] == ["MOVE_SELF /a/b/x", "MOVED_TO | ISDIR /a/z from /a/b"]
        assert lines[2:] == (
            ["CREATE | ISDIR /a/b", "CREATE | ISDIR /a/b/x, synthetic"] if again else []
        )
        assert watcher.missing == ([] if again else [str(inner)])


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "a/b", "a/c"])))
def test_no_event_is_missing_before_the_end_of_all(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """The outer root reports all events up to its end, whatever ended before it."""
    for name in ("a/b", "a/c"):
        (tmp_path / name).mkdir(parents=True)
    with TreeWatcher(*[tmp_path / root for root in order]) as watcher:
        (tmp_path / "a" / "b").rmdir()
        os.mknod(tmp_path / "a" / "file")
        (tmp_path / "a" / "c").rename(tmp_path / "a" / "d")
        (tmp_path / "a" / "d").rmdir()
        (tmp_path / "a" / "file").unlink()
        (tmp_path / "a").rmdir()
        lines = [in_words(event, str(tmp_path)) for event in watcher.read(timeout=0)]
        assert lines == [
            "DELETE | ISDIR /a/b",
            "CREATE /a/file",
            "MOVED_TO | ISDIR /a/d from /a/c",
            "DELETE | ISDIR /a/d",
            "DELETE /a/file",
            "DELETE_SELF /a",
        ]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of an ordinary user, whose rights this process has for the test."""
    place = Path(tempfile.mkdtemp())  # others may not reach what pytest has made
    is_superuser = os.geteuid() == 0
    if is_superuser:
        os.chown(place, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield place
    finally:
        if is_superuser:
            os.seteuid(0)
        shutil.rmtree(place)


def test_root_that_becomes_readable_just_now(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root whose rights change before that is watched for is not missing."""
    root = place / "root"
    root.mkdir(0)
    add_watch = INotify.add_watch
    refused: list[str] = []

    def add_and_change(inotify: INotify, path: str, mask: int) -> int:
        try:
            return add_watch(inotify, path, mask)
        except PermissionError:
            refused.append(path)
            root.chmod(0o700)
            raise

    monkeypatch.setattr(INotify, "add_watch", add_and_change)
    with TreeWatcher(root) as watcher:
        assert refused == [str(root)]
        assert watcher.missing == []
        (root / "d").mkdir()
        assert [event.path for event in watcher.read(timeout=0)] == [str(root / "d")]


@pytest.mark.filterwarnings("ignore::inotify_cffi.UnreadableDirectoryWarning")
@pytest.mark.parametrize(
    "order", [(0, 3), (3, 0), (2, 0), (0, 2, 3), (3, 2, 0)], ids=str
)
@pytest.mark.parametrize("closed", ROOTS[:3])
def test_an_inner_root_below_a_closed_directory(
    place: Path, closed: str, order: tuple[int, ...]
) -> None:
    """A root is watched below a directory that may be searched but not read.

    So it is for any order of adding. The outer tree has it when that directory can be
    read, and loses it with a new one that is closed.
    """
    scene = Scene(place)
    directory = f"{place}/{closed}"
    with scene.watcher:
        os.chmod(directory, 0o311)
        for root in order:
            scene.watcher.add(scene.path(root))
        scene.known = scene.real()
        for _ in range(2):
            scene.check()
            for rights in (0o311, 0o755, 0o755, 0o311):
                os.chmod(directory, 0o755)  # so that it can be removed
                scene.step("delete or make", ROOTS.index(closed))
                scene.step("delete or make", ROOTS.index(closed))
                os.chmod(directory, rights)
                scene.check()
        os.chmod(directory, 0o755)
        scene.check()


@pytest.mark.parametrize("recursive", [True, False], ids=["recursive", "flat"])
def test_some_longer_orders(tmp_path: Path, *, recursive: bool) -> None:
    """As above, drawn from the orders of three to five operations."""
    chance = random.Random(f"nested roots {recursive}")
    for number in range(SAMPLE):
        steps = [("add or remove", chance.randrange(len(ROOTS)))]
        steps += chance.choices(OPERATIONS, k=chance.randint(2, LONGEST - 1))
        run(tmp_path / str(number), steps, recursive=recursive)


@pytest.mark.filterwarnings("ignore::inotify_cffi.UnreadableDirectoryWarning")
def test_some_orders_with_closed_directories(place: Path) -> None:
    """As above, and drawn from orders that close and open directories, too."""
    chance = random.Random("closed directories")
    operations = [
        *OPERATIONS,
        *(("close or open", root) for root in (*range(len(ROOTS)), *range(len(ROOTS)))),
    ]
    for number in range(SAMPLE // 4):
        steps = [("add or remove", chance.randrange(len(ROOTS)))]
        steps += chance.choices(operations, k=chance.randint(3, 2 * LONGEST))
        run(place / str(number), steps, scene_class=ClosingScene)


if __name__ == "__main__":
    print(run_all(sys.argv[1], *map(int, sys.argv[2:])))
