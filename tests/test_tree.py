"""TreeWatcher: what its events mean."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import churn
import pytest
import stepwise
from waiting import take_kept_wake, waits

from inotify_cffi import INotify, TreeEvent, TreeWatcher, flags, mask_str, masks
from inotify_cffi.tree import _disk
from inotify_cffi.tree._model import Top

if TYPE_CHECKING:
    from conftest import InThread, RunPython

PATIENCE = 60_000  # milliseconds
Until = Callable[[Callable[[], Any]], None]


@pytest.fixture
def in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans are made in steps: a test can get between them."""
    stepwise.install(monkeypatch)


@pytest.fixture
def until_blocked(until: Until) -> Callable[[TreeWatcher], None]:
    """The function that returns once a read of the watcher waits."""
    return lambda watcher: until(lambda: waits(watcher._inotify_cffi.inotify))


def _fill(directory: Path) -> None:
    """Make a directory that holds a file and a directory with a file."""
    (directory / "sub").mkdir(parents=True)
    (directory / "file").touch()
    (directory / "sub" / "file").touch()


FILLED = ["/file", "/sub", "/sub/file"]


def _paths(events: list[TreeEvent], root: Path) -> list[str]:
    return [event.path[len(str(root)) :] for event in events]


# ---- creation and content --------------------------------------------------------


def test_a_file(consumer: churn.Consumer, top: Path) -> None:
    """Events of a file are reported as inotify has them."""
    (top / "file").write_text("text")
    (top / "file").chmod(0o600)
    (top / "file").unlink()
    assert consumer.lines() == [
        "CREATE /file",
        "MODIFY /file",
        "CLOSE_WRITE /file",
        "ATTRIB /file",
        "DELETE /file",
    ]


def test_a_directory(consumer: churn.Consumer, top: Path) -> None:
    """An event of a directory is reported once, with ISDIR."""
    (top / "d").mkdir()
    assert consumer.lines() == ["CREATE | ISDIR /d"]
    (top / "d").chmod(0o700)
    assert consumer.lines() == ["ATTRIB | ISDIR /d"]
    (top / "d").rmdir()
    assert consumer.lines() == ["DELETE | ISDIR /d"]


def test_the_root_itself(consumer: churn.Consumer, top: Path) -> None:
    """A change of the root's attributes is reported with the root as the path."""
    top.chmod(0o700)
    assert consumer.watcher.read(timeout=0) == [
        TreeEvent(str(top), flags.ATTRIB | flags.ISDIR, None, False)
    ]


def test_without_a_name(consumer: churn.Consumer, top: Path) -> None:
    """Events of an open file without a name are not reported."""
    (top / "d").mkdir()
    consumer.read()
    for directory in (top, top / "d"):
        with open(directory / "file", "w") as file:
            (directory / "file").unlink()
            file.write("text")
    assert consumer.lines() == [
        "CREATE /file",
        "DELETE /file",
        "CREATE /d/file",
        "DELETE /d/file",
    ]


@pytest.mark.parametrize("depth", [9, 120])
def test_deep_directories(consumer: churn.Consumer, top: Path, depth: int) -> None:
    """mkdir -p reports each directory once, from above, and a file at its end."""
    names = [f"{number}" for number in range(depth)]
    deepest = top.joinpath(*names)
    deepest.mkdir(parents=True)
    (deepest / "file").touch()
    events = consumer.read()
    expected = ["/" + "/".join(names[: end + 1]) for end in range(depth)]
    assert _paths(events, top) == [*expected, f"{expected[-1]}/file"]
    assert [event.synthetic for event in events] == [False] + [True] * depth
    (deepest / "later").touch()
    assert consumer.lines() == [
        f"CREATE {expected[-1]}/later",
        f"CLOSE_WRITE {expected[-1]}/later",
    ]


def test_made_deeper_between_reads(consumer: churn.Consumer, top: Path) -> None:
    """When the read returns, all reported directories are watched."""
    deeper = top
    for _ in range(20):
        deeper = deeper / "d"
        deeper.mkdir()
        (event,) = consumer.read()
        assert event == (str(deeper), flags.CREATE | flags.ISDIR, None, False)


def test_reported_once(consumer: churn.Consumer, top: Path) -> None:
    """A file that a scan found is not reported again when its event comes."""
    process = subprocess.Popen(
        ["sh", "-c", 'for i in $(seq 500); do mkdir "$0/$i"; : > "$0/$i/f"; done', top]
    )
    paths: list[str] = []
    while process.poll() is None:
        paths += _paths(consumer.read(timeout=10), top)
    paths += _paths(consumer.read(), top)
    directories = [path for path in paths if path.count("/") == 1]
    assert directories == [f"/{number}" for number in range(1, 501)]
    files = [path for path in paths if path.count("/") == 2]
    assert sorted(set(files)) == sorted(f"/{number}/f" for number in range(1, 501))


def test_gone_before_it_was_seen(consumer: churn.Consumer, top: Path) -> None:
    """For a directory that is gone again, only the kernel's events are reported."""
    _fill(top / "d")
    subprocess.run(["rm", "-r", top / "d"], check=True)
    assert consumer.lines() == ["CREATE | ISDIR /d", "DELETE | ISDIR /d"]


def test_removed_walk(consumer: churn.Consumer, top: Path) -> None:
    """A removed tree is reported from below, each path once."""
    _fill(top / "d")
    consumer.read()
    subprocess.run(["rm", "-r", top / "d"], check=True)
    events = consumer.read()
    assert sorted(_paths(events, top)) == ["/d", *(f"/d{path}" for path in FILLED)]
    assert events[-1].path == str(top / "d")
    assert all(event.mask & flags.DELETE for event in events)


# ---- renames ----------------------------------------------------------------------


def test_rename_a_file(consumer: churn.Consumer, top: Path) -> None:
    """A rename inside the tree is one event with both paths."""
    (top / "d").mkdir()
    (top / "old").touch()
    consumer.read()
    (top / "old").rename(top / "new")
    assert consumer.lines() == ["MOVED_TO /new from /old"]
    (top / "new").rename(top / "d" / "new")
    assert consumer.lines() == ["MOVED_TO /d/new from /new"]


def test_rename_a_directory(consumer: churn.Consumer, top: Path) -> None:
    """A rename of a directory is one event, and all in it has its new path at once."""
    _fill(top / "old")
    (top / "e").mkdir()
    consumer.read()
    (top / "old").rename(top / "e" / "new")
    (top / "e" / "new" / "sub" / "file").unlink()
    (top / "e").rename(top / "f")
    (top / "f" / "new" / "file").unlink()
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /e/new from /old",
        "DELETE /e/new/sub/file",
        "MOVED_TO | ISDIR /f from /e",
        "DELETE /f/new/file",
    ]


def test_queued_before_the_rename(consumer: churn.Consumer, top: Path) -> None:
    """Events queued before the rename of a directory are reported at its old path."""
    (top / "old").mkdir()
    consumer.read()
    os.mknod(top / "old" / "before")
    (top / "old").rename(top / "new")
    os.mknod(top / "new" / "after")
    assert consumer.lines() == [
        "CREATE /old/before",
        "MOVED_TO | ISDIR /new from /old",
        "CREATE /new/after",
    ]


def test_rename_over(consumer: churn.Consumer, top: Path) -> None:
    """A rename onto something is one event: it replaces it, with all below it."""
    for name in ("a", "b"):
        (top / name).touch()
        (top / f"{name}d").mkdir()
    (top / "ad" / "sub").mkdir()
    consumer.read()
    (top / "a").rename(top / "b")
    (top / "ad").rename(top / "bd")
    assert consumer.lines() == [
        "MOVED_TO /b from /a",
        "MOVED_TO | ISDIR /bd from /ad",
    ]
    (top / "bd" / "sub" / "deeper").mkdir()
    assert consumer.lines() == ["CREATE | ISDIR /bd/sub/deeper"]


def test_rename_before_it_was_seen(consumer: churn.Consumer, top: Path) -> None:
    """A directory renamed before its scan is reported at both names, then scanned."""
    _fill(top / "old")
    (top / "old").rename(top / "new")
    lines = consumer.lines()
    assert lines[:2] == ["CREATE | ISDIR /old", "MOVED_TO | ISDIR /new from /old"]
    assert sorted(lines[2:]) == [
        "CREATE /new/file, synthetic",
        "CREATE /new/sub/file, synthetic",
        "CREATE | ISDIR /new/sub, synthetic",
    ]


def test_rename_out(consumer: churn.Consumer, top: Path, tmp_path: Path) -> None:
    """A rename out of the tree is MOVED_FROM; the directory is not watched any more."""
    _fill(top / "d")
    (top / "f").touch()
    consumer.read()
    (top / "d").rename(tmp_path / "d")
    (top / "f").rename(tmp_path / "f")
    (tmp_path / "d" / "sub" / "later").touch()
    assert consumer.lines() == ["MOVED_FROM | ISDIR /d", "MOVED_FROM /f"]
    (tmp_path / "d" / "sub" / "later").unlink()
    assert consumer.lines() == []
    assert len(churn.kernel_watches(consumer.watcher)) == 1


def test_rename_in(consumer: churn.Consumer, top: Path, tmp_path: Path) -> None:
    """A rename into the tree is MOVED_TO; everything below follows."""
    _fill(tmp_path / "d")
    (tmp_path / "d").rename(top / "e")
    first, *others = consumer.lines()
    assert first == "MOVED_TO | ISDIR /e"
    assert sorted(others) == [
        "CREATE /e/file, synthetic",
        "CREATE /e/sub/file, synthetic",
        "CREATE | ISDIR /e/sub, synthetic",
    ]
    (tmp_path / "f").touch()
    (tmp_path / "f").rename(top / "e" / "sub" / "g")
    assert consumer.lines() == ["MOVED_TO /e/sub/g"]


@pytest.mark.parametrize("read_between", [True, False])
def test_rename_out_and_in(
    consumer: churn.Consumer, top: Path, tmp_path: Path, read_between: bool
) -> None:
    """A directory that left, changed and came back is reported with its new content."""
    _fill(top / "d")
    consumer.read()
    (top / "d").rename(tmp_path / "d")
    (tmp_path / "d" / "sub").rename(tmp_path / "d" / "other")
    lines = consumer.lines() if read_between else []
    (tmp_path / "d").rename(top / "d")
    first, second, *others = lines + consumer.lines()
    assert (first, second) == ("MOVED_FROM | ISDIR /d", "MOVED_TO | ISDIR /d")
    assert sorted(others) == [
        "CREATE /d/file, synthetic",
        "CREATE /d/other/file, synthetic",
        "CREATE | ISDIR /d/other, synthetic",
    ]


def test_others_do_not_wait(
    consumer: churn.Consumer, top: Path, tmp_path: Path
) -> None:
    """The next read reports the rename out of the tree, and all later events."""
    (top / "d").mkdir()
    (top / "f").touch()
    consumer.read()
    (top / "f").rename(tmp_path / "f")
    os.mknod(top / "d" / "g")
    assert sorted(consumer.lines()) == ["CREATE /d/g", "MOVED_FROM /f"]


@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
def test_leaving_wakes_a_read(
    consumer: churn.Consumer,
    top: Path,
    tmp_path: Path,
    in_thread: InThread,
    until_blocked: Callable[[TreeWatcher], None],
    kind: Callable[[Path], None],
) -> None:
    """A read that waits returns what left, though nothing else ever happens."""
    kind(top / "it")
    consumer.read()
    result = in_thread(lambda: consumer.read(timeout=None))
    until_blocked(consumer.watcher)
    (top / "it").rename(tmp_path / "it")
    (event,) = result()
    assert event.path == str(top / "it")
    assert event.mask & ~flags.ISDIR == flags.MOVED_FROM


RENAMER = """
import os, sys
for count in sys.stdin:
    for number in range(int(count)):
        os.rename("a/x", "b/x")
        os.rename("b/x", "a/x")
"""


@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
def test_every_rename_is_one_event(
    consumer: churn.Consumer, top: Path, kind: Callable[[Path], None]
) -> None:
    """However the reads fall, the two halves of a rename are one event."""
    (top / "a").mkdir()
    (top / "b").mkdir()
    kind(top / "a" / "x")
    consumer.read()
    rounds, count = 20, 500  # two rounds at once do not fill the queue
    events: list[TreeEvent] = []
    command = [sys.executable, "-S", "-c", RENAMER]
    with subprocess.Popen(command, cwd=top, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number in range(rounds):
            process.stdin.write(b"%d\n" % count)
            process.stdin.flush()
            while len(events) < number * 2 * count:
                reported = consumer.read(timeout=60_000)
                assert reported
                events += reported
    events += consumer.read()
    assert len(events) == rounds * 2 * count
    assert [event.old_path for event in events[1:]] == [
        event.path for event in events[:-1]
    ]


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("moment", ["add_watch", "wait_readable"])
@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
@pytest.mark.parametrize(
    "again",
    [
        True,
        False,
    ],
)
def test_rename_into_what_is_looked_at(
    consumer: churn.Consumer,
    top: Path,
    moment: str,
    kind: Callable[[Path], None],
    again: bool,
) -> None:
    """A rename into a directory that is just being listed is one event."""
    kind(top / "old")
    consumer.read()
    (top / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify
    function = getattr(inotify, moment)
    calls = iter(range(1000))

    def and_rename(*arguments: Any, **options: Any) -> Any:
        """Before the queue is looked at, or after the watch: its window is open."""
        result = function(*arguments, **options) if moment == "add_watch" else None
        if next(calls) == 0:
            (top / "old").rename(top / "d" / "new")
            if again:
                kind(top / "old")
        return result if moment == "add_watch" else function(*arguments, **options)

    vars(inotify)[moment] = and_rename
    lines = [line.replace(" | ISDIR", "") for line in consumer.lines()]
    assert "MOVED_TO /d/new from /old" in lines
    assert "MOVED_FROM /old" not in lines


# ---- initial ----------------------------------------------------------------------


def test_initial(top: Path) -> None:
    """With initial, the content is reported first, from above, as synthetic."""
    for name in ("d", "e"):
        _fill(top / name)
    with churn.Consumer(top, initial=True) as consumer:
        events = consumer.read()
        assert sorted(_paths(events, top)) == sorted(
            f"/{name}{path}" for name in ("d", "e") for path in ["", *FILLED]
        )
        assert all(event.synthetic for event in events)
        assert {mask_str(event.mask) for event in events} == {
            "CREATE",
            "CREATE | ISDIR",
        }


def test_not_initial(top: Path) -> None:
    """Without initial, the content is not reported; later events are."""
    _fill(top / "d")
    with churn.Consumer(top) as consumer:
        assert consumer.read() == []
        (top / "d" / "sub" / "file").unlink()
        assert consumer.lines() == ["DELETE /d/sub/file"]


@pytest.mark.parametrize("initial", [True, False])
def test_no_gap_at_the_start(top: Path, initial: bool) -> None:
    """Events while a root is added are reported or in its content, in any order."""
    process = subprocess.Popen(
        ["sh", "-c", 'for i in $(seq 300); do mkdir -p "$0/$i/a/b"; done', top]
    )
    while not (top / "20").exists():
        assert process.poll() is None
    with TreeWatcher(top, initial=initial) as watcher:
        reported = {event.path for event in watcher.read(timeout=0)}
        assert process.wait() == 0
        reported |= {event.path for event in watcher.read(timeout=0)}
        assert len(churn.kernel_watches(watcher)) == 901
        for directory, names, _ in os.walk(top):
            # Without initial, the content at the return is not reported.
            assert not initial or reported >= {f"{directory}/{name}" for name in names}
        (top / "300" / "a" / "b" / "c").mkdir()
        assert len(watcher.read(timeout=0)) == 1


# ---- mask -------------------------------------------------------------------------


def _all_sorts(top: Path, outside: Path) -> None:
    (top / "d" / "e").mkdir(parents=True)
    (top / "f").write_text("text")
    (top / "f").rename(top / "g")
    (top / "g").chmod(0o600)
    (top / "g").rename(outside / "g")
    (outside / "g").rename(top / "d" / "h")
    (top / "d" / "h").unlink()
    (top / "d").rename(top / "i")
    (top / "i" / "e").rmdir()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (flags.CREATE, ["/d", "/f", "/d/e"]),
        (flags.DELETE, ["/d/h", "/i/e"]),
        (flags.MODIFY, ["/f"]),
        (flags.CLOSE_WRITE, ["/f"]),
        (flags.ATTRIB, ["/g"]),
        (flags.MOVED_FROM, ["/f", "/g", "/d"]),
        (flags.MOVED_TO, ["/g", "/d/h", "/i"]),
        (flags.DELETE_SELF | flags.MOVE_SELF, []),
        (flags.DELETE | flags.CLOSE_WRITE, ["/f", "/d/h", "/i/e"]),
    ],
)
def test_mask(top: Path, tmp_path: Path, wanted: int, expected: list[str]) -> None:
    """Events outside of the mask are not reported, though the watcher needs them."""
    with TreeWatcher(top, mask=wanted) as watcher:
        _all_sorts(top, tmp_path)
        events = watcher.read(timeout=0)
        (top / "n").mkdir()
        events += watcher.read(timeout=0)
        assert all(event.mask & wanted for event in events)
        assert all(not event.mask & ~wanted & ~flags.ISDIR for event in events)
        paths = set(_paths(events, top)) - {"/n"}
        # e was renamed with d before anybody looked.
        assert {path.replace("/i/e", "/d/e") for path in paths} <= {
            path.replace("/i/e", "/d/e") for path in expected
        }
        assert len(churn.kernel_watches(watcher)) == 3


def test_mask_below(top: Path) -> None:
    """The mask holds for new directories, too, and for renamed ones."""
    with TreeWatcher(top, mask=flags.CLOSE_WRITE) as watcher:
        (top / "d" / "e").mkdir(parents=True)
        assert watcher.read(timeout=0) == []
        (top / "d").rename(top / "f")
        (top / "f" / "e" / "file").write_text("text")
        assert watcher.read(timeout=0) == [
            TreeEvent(f"{top}/f/e/file", flags.CLOSE_WRITE, None, False)
        ]


@pytest.mark.parametrize(("kind", "isdir"), [(os.mknod, 0), (os.mkdir, flags.ISDIR)])
def test_half_of_a_rename(top: Path, kind: Callable[[Path], None], isdir: int) -> None:
    """A mask with one half of renames reports that half of each."""
    kind(top / "a")
    with TreeWatcher(top, mask=flags.MOVED_FROM) as watcher:
        (top / "a").rename(top / "b")
        (event,) = watcher.read(timeout=0)
        assert event == (f"{top}/a", flags.MOVED_FROM | isdir, None, False)


@pytest.mark.parametrize("mask", [0, flags.ISDIR, flags.Q_OVERFLOW, flags.ONESHOT, -1])
def test_bad_mask(top: Path, mask: int) -> None:
    """A mask that asks for what is no event is refused."""
    with pytest.raises(ValueError, match="mask"):
        TreeWatcher(top, mask=mask)


def test_everything(top: Path) -> None:
    """Asked for everything, the watcher does not go on hearing its own looks."""
    with TreeWatcher(top, mask=masks.ALL_EVENTS) as watcher:
        _fill(top / "d")
        for _ in range(10):
            if not watcher.read(timeout=0):
                break
        assert watcher.read(timeout=0) == []


# ---- exclude ------------------------------------------------------------------------


@pytest.fixture
def excluding(top: Path) -> Iterator[churn.Consumer]:
    """A consumer without the paths that are called .git or end in .tmp."""

    def exclude(path: str) -> bool:
        return path.endswith((".tmp", "/.git"))

    _fill(top / ".git")
    left_out = [top / ".git", top / "d" / ".git", top / "new.tmp", top / "d.tmp"]
    with churn.Consumer(top, left_out=left_out, exclude=exclude) as consumer:
        yield consumer


def test_exclude(excluding: churn.Consumer, top: Path) -> None:
    """An excluded directory costs no watch; nothing of it or below it is reported."""
    assert len(churn.kernel_watches(excluding.watcher)) == 1
    (top / ".git" / "sub" / "file").unlink()
    (top / "new.tmp").touch()
    (top / "d" / ".git").mkdir(parents=True)
    (top / "d" / ".git" / "file").touch()
    assert excluding.lines() == ["CREATE | ISDIR /d"]
    (top / "d" / ".git" / "file").unlink()
    assert excluding.lines() == []
    assert len(churn.kernel_watches(excluding.watcher)) == 2


def test_exclude_and_initial(top: Path) -> None:
    """Excluded paths are not reported at the start either."""
    _fill(top / "d")
    _fill(top / "e")
    options: Any = {"initial": True, "exclude": lambda path: path == f"{top}/d"}
    with churn.Consumer(top, left_out=[top / "d"], **options) as consumer:
        assert sorted(_paths(consumer.read(), top)) == [
            "/e",
            "/e/file",
            "/e/sub",
            "/e/sub/file",
        ]


def test_exclude_every_other(top: Path) -> None:
    """Other paths are reported, independently of excluded ones beside them."""
    for number in range(20):
        _fill(top / f"{number}")

    def exclude(path: str) -> bool:
        return path.endswith(("1", "3", "5", "7", "9"))

    with TreeWatcher(top, initial=True, exclude=exclude) as watcher:
        reported = _paths(watcher.read(timeout=0), top)
    assert sorted(reported) == sorted(
        f"/{number}{path}" for number in range(0, 20, 2) for path in ("", *FILLED)
    )


def test_creation_at_the_start(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories that come during the scan of a root, in any order, are watched."""
    wait_readable = INotify.wait_readable

    def create_first(inotify: INotify, timeout: int) -> bool:
        monkeypatch.setattr(INotify, "wait_readable", wait_readable)
        for name in ("a", "b"):
            os.mknod(top / f"{name}.file")
            (top / name).mkdir()
        return wait_readable(inotify, timeout)

    monkeypatch.setattr(INotify, "wait_readable", create_first)
    with TreeWatcher(top, exclude=lambda path: False) as watcher:
        assert len(churn.kernel_watches(watcher)) == 3
        assert watcher.read(timeout=0) == []


@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
def test_rename_to_what_is_left_out(
    excluding: churn.Consumer, top: Path, kind: Callable[[Path], None]
) -> None:
    """A rename to an excluded name leaves the tree."""
    kind(top / "d")
    (top / "e").mkdir()
    excluding.read()
    (top / "d").rename(top / "d.tmp")
    os.mknod(top / "e" / "later")
    first, second = excluding.lines()
    assert first.replace(" | ISDIR", "") == "MOVED_FROM /d"
    assert second == "CREATE /e/later"
    (top / "e" / "later").unlink()
    (top / "e").rmdir()
    excluding.read()
    assert len(churn.kernel_watches(excluding.watcher)) == 1


def test_rename_from_what_is_left_out(excluding: churn.Consumer, top: Path) -> None:
    """A rename from an excluded name is new, with everything below it."""
    _fill(top / "d.tmp")
    (top / "new.tmp").touch()
    (top / "d.tmp").rename(top / "d")
    (top / "new.tmp").rename(top / "new")
    first, second, *others = excluding.lines()
    assert (first, second) == ("MOVED_TO | ISDIR /d", "MOVED_TO /new")
    assert len(others) == 3


def test_rename_in_to_what_is_left_out(
    excluding: churn.Consumer, top: Path, tmp_path: Path
) -> None:
    """A rename from outside to an excluded name is not reported."""
    _fill(tmp_path / "d")
    (tmp_path / "d").rename(top / "d.tmp")
    assert excluding.lines() == []
    assert len(churn.kernel_watches(excluding.watcher)) == 1


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_exclude_that_fails(top: Path, kind: type[Exception]) -> None:
    """An exception of exclude comes out of one read; nothing is lost by it."""
    failures = [kind("exclude failed")]

    def exclude(path: str) -> bool:
        if failures and path.endswith("/bad"):
            raise failures.pop()
        return False

    with churn.Consumer(top, exclude=exclude) as consumer:
        (top / "good").mkdir()
        (top / "bad").mkdir()
        (top / "late").mkdir()
        with pytest.raises(kind, match="exclude failed"):
            consumer.read()
        (top / "bad" / "inner").mkdir()
        assert consumer.lines() == [
            "CREATE | ISDIR /good",
            "CREATE | ISDIR /bad",
            "CREATE | ISDIR /late",
            "CREATE | ISDIR /bad/inner",
        ]


# ---- files as roots -----------------------------------------------------------------


@pytest.fixture
def file_root(top: Path) -> Iterator[tuple[TreeWatcher, Path]]:
    """A watcher of one file, and the file."""
    file = top / "file"
    file.write_text("text")
    with TreeWatcher(file) as watcher:
        yield watcher, file
        assert len(churn.kernel_watches(watcher)) == len({*map(str, [top])})


def _words(watcher: TreeWatcher) -> list[str]:
    return [mask_str(event.mask) for event in watcher.read(timeout=0)]


def test_file_root(file_root: tuple[TreeWatcher, Path]) -> None:
    """A file that is a root is reported with its path; its neighbours are not."""
    watcher, file = file_root
    (file.parent / "file2").write_text("text")
    (file.parent / "d").mkdir()
    file.write_text("more")
    file.chmod(0o600)
    events = watcher.read(timeout=0)
    assert {event.path for event in events} == {str(file)}
    words = [mask_str(event.mask) for event in events]
    assert words[-2:] == ["CLOSE_WRITE", "ATTRIB"]
    assert set(words[:-2]) == {"MODIFY"}


def test_atomic_save(file_root: tuple[TreeWatcher, Path]) -> None:
    """A file that is replaced by another, again and again, stays followed."""
    watcher, file = file_root
    for _ in range(3):
        new = file.with_suffix(".new")
        new.write_text("text")
        new.rename(file)
        assert _words(watcher) == ["MOVED_TO"]
        file.chmod(0o600)
        assert _words(watcher) == ["ATTRIB"]


def test_file_root_comes_and_goes(file_root: tuple[TreeWatcher, Path]) -> None:
    """A file that is deleted or renamed and made again stays followed."""
    watcher, file = file_root
    file.unlink()
    assert _words(watcher) == ["DELETE"]
    file.touch()
    assert _words(watcher)[0] == "CREATE"
    file.rename(file.with_name("other"))
    assert _words(watcher) == ["MOVED_FROM"]
    file.with_name("other").chmod(0o600)
    assert _words(watcher) == []
    file.with_name("other").rename(file)
    assert _words(watcher) == ["MOVED_TO"]


def test_file_root_initial(top: Path) -> None:
    """With initial, a file that is a root is reported as a synthetic CREATE."""
    (top / "file").touch()
    (top / "other").touch()
    with TreeWatcher(top / "file", initial=True) as watcher:
        assert watcher.read(timeout=0) == [
            TreeEvent(f"{top}/file", flags.CREATE, None, True)
        ]


def test_two_files_in_one_directory(top: Path) -> None:
    """Two files of one directory share a watch, and each is reported."""
    files = [top / "a", top / "b"]
    for file in files:
        file.touch()
    with TreeWatcher(*files) as watcher:
        files[0].chmod(0o600)
        files[1].chmod(0o600)
        assert [event.path for event in watcher.read(timeout=0)] == list(
            map(str, files)
        )
        assert len(churn.kernel_watches(watcher)) == 1
        watcher.remove(files[0])
        files[0].chmod(0o644)
        files[1].unlink()
        assert [event.path for event in watcher.read(timeout=0)] == [str(files[1])]
        watcher.remove(files[1])
        assert churn.kernel_watches(watcher) == []


def test_file_root_without_its_directory(top: Path) -> None:
    """A file whose directory is deleted is missing, and comes back with it."""
    (top / "d").mkdir()
    (top / "d" / "file").touch()
    with TreeWatcher(top / "d" / "file") as watcher:
        subprocess.run(["rm", "-r", top / "d"], check=True)
        assert _words(watcher) == ["DELETE"]
        assert watcher.missing == watcher.roots
        (top / "d").mkdir()
        assert watcher.read(timeout=0) == []
        (top / "d" / "file").touch()
        assert _words(watcher)[0] == "CREATE"
        assert watcher.missing == []


def test_directory_of_a_file_root(file_root: tuple[TreeWatcher, Path]) -> None:
    """Events of a file's directory are not reported for the file."""
    watcher, file = file_root
    file.parent.chmod(0o711)
    assert watcher.read(timeout=0) == []


def test_missing_file(top: Path) -> None:
    """A root that does not exist is refused."""
    with pytest.raises(FileNotFoundError) as refused:
        TreeWatcher(top / "missing")
    assert str(refused.value.filename) == f"{top}/missing"


def test_file_root_in_a_tree(top: Path) -> None:
    """A file that is a root and in another root's tree is reported once."""
    (top / "file").touch()
    for roots in ([top, top / "file"], [top / "file", top]):
        with TreeWatcher(*roots) as watcher:
            (top / "file").chmod(0o600)
            assert _words(watcher) == ["ATTRIB"]


# ---- several roots ------------------------------------------------------------------


def test_several_roots(tmp_path: Path) -> None:
    """Several trees are reported; a rename from one to another is one event."""
    for name in ("a", "ab"):
        _fill(tmp_path / name)
    with churn.Consumer(tmp_path / "a", tmp_path / "ab") as consumer:
        (tmp_path / "a" / "sub").rename(tmp_path / "ab" / "new")
        (tmp_path / "ab" / "new" / "file").unlink()
        moved, deleted = consumer.read()
        assert (moved.path, moved.old_path) == (
            f"{tmp_path}/ab/new",
            f"{tmp_path}/a/sub",
        )
        assert deleted.path == f"{tmp_path}/ab/new/file"


@pytest.mark.parametrize("order", [("", "/d"), ("/d", ""), ("/d", "/d/sub", "")])
@pytest.mark.parametrize("initial", [True, False])
def test_nested_roots(top: Path, order: tuple[str, ...], initial: bool) -> None:
    """The content of a nested root is reported once."""
    _fill(top / "d")
    with TreeWatcher(*[f"{top}{path}" for path in order], initial=initial) as watcher:
        reported = _paths(watcher.read(timeout=0), top)
        if initial:
            expected = {"/d", *(f"/d{path}" for path in FILLED)}
            # A root that stood alone is reported again as part of the outer one.
            assert set(reported) == expected
            assert order[0] or sorted(reported) == sorted(expected)
        else:
            assert reported == []
        (top / "d" / "sub" / "file").unlink()
        (top / "d" / "sub").rename(top / "new")
        assert [churn.in_words(event, str(top)) for event in watcher.read(0)] == [
            "DELETE /d/sub/file",
            "MOVED_TO | ISDIR /new from /d/sub",
        ]
        assert len(churn.kernel_watches(watcher)) == 3


def test_inner_root_that_moves(top: Path) -> None:
    """Events of a root in another root's tree are reported once, by the outer one."""
    _fill(top / "d")
    with TreeWatcher(top / "d", top) as watcher:
        (top / "d").chmod(0o700)
        (top / "d").rename(top / "e")
        (top / "e" / "sub" / "file").unlink()
        assert [churn.in_words(event, str(top)) for event in watcher.read(0)] == [
            "ATTRIB | ISDIR /d",
            "MOVED_TO | ISDIR /e from /d",
            "DELETE /e/sub/file",
        ]
        assert len(churn.kernel_watches(watcher)) == 3


def test_remove_the_outer_root(top: Path) -> None:
    """A root inside another stays when that one is removed."""
    _fill(top / "d")
    with TreeWatcher(top, top / "d") as watcher:
        watcher.remove(top)
        (top / "other").mkdir()
        (top / "d" / "sub" / "file").unlink()
        assert _paths(watcher.read(timeout=0), top) == ["/d/sub/file"]
        assert len(churn.kernel_watches(watcher)) == 2


def test_remove_the_outer_root_that_came_later(top: Path) -> None:
    """A root that became part of another's tree is one of its own again after that."""
    _fill(top / "d")
    with TreeWatcher(top / "d", top) as watcher:
        watcher.remove(top)
        (top / "other").mkdir()
        (top / "d" / "sub" / "file").unlink()
        assert _paths(watcher.read(timeout=0), top) == ["/d/sub/file"]
        assert len(churn.kernel_watches(watcher)) == 2


def test_remove_the_outer_root_that_left_it_out(top: Path) -> None:
    """A root that the outer one leaves out is a tree of its own."""
    _fill(top / "d")
    with TreeWatcher(top, top / "d", exclude=lambda path: path == f"{top}/d") as both:
        assert len(churn.kernel_watches(both)) == 3
        (top / "d" / "sub" / "file").unlink()
        (top / "e").mkdir()
        assert _paths(both.read(timeout=0), top) == ["/d/sub/file", "/e"]
        both.remove(top)
        (top / "d" / "sub").rmdir()
        assert _paths(both.read(timeout=0), top) == ["/d/sub"]
        assert len(churn.kernel_watches(both)) == 1


def test_remove_the_inner_root(top: Path) -> None:
    """A tree stays whole when a root inside it is removed."""
    _fill(top / "d")
    with churn.Consumer(top) as consumer:
        consumer.watcher.add(top / "d")
        consumer.watcher.remove(top / "d")
        (top / "d" / "sub" / "file").unlink()
        assert consumer.lines() == ["DELETE /d/sub/file"]


def test_one_directory_by_three_names(top: Path, tmp_path: Path) -> None:
    """A tree is reported under the remaining roots when one of them is removed."""
    names = [f"{tmp_path}/{name}" for name in ("one", "two", "three")]
    for name in names:
        os.symlink(top, name)
    with TreeWatcher(*names) as watcher:
        for going in names:
            os.mknod(top / os.path.basename(going))
            reported = {
                os.path.dirname(event.path) for event in watcher.read(timeout=0)
            }
            assert reported == set(watcher._inotify_cffi.tracker.roots)
            watcher.remove(going)
        assert churn.kernel_watches(watcher) == []


def test_one_directory_by_two_names(top: Path, tmp_path: Path) -> None:
    """A tree that is a root under two names is reported under both."""
    (tmp_path / "link").symlink_to(top)
    with churn.Consumer(top, tmp_path / "link") as consumer:
        consumer.halves_are_sure = False
        (top / "d").mkdir()
        events = consumer.read()
        assert {event.path for event in events} == {f"{top}/d", f"{tmp_path}/link/d"}
        (top / "d").rename(top / "e")
        events = consumer.read()
        assert {(event.old_path, event.path) for event in events} == {
            (f"{top}/d", f"{top}/e"),
            (f"{tmp_path}/link/d", f"{tmp_path}/link/e"),
        }


def test_add_and_remove(tmp_path: Path) -> None:
    """Roots come and go; what is added is watched to its last directory."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    with TreeWatcher(tmp_path / "a") as watcher:
        watcher.add(tmp_path / "b")
        watcher.add(tmp_path / "b")
        assert len(churn.kernel_watches(watcher)) == 4
        (tmp_path / "b" / "sub" / "file").unlink()
        assert _paths(watcher.read(timeout=0), tmp_path) == ["/b/sub/file"]
        watcher.remove(tmp_path / "b")
        assert len(churn.kernel_watches(watcher)) == 2
        (tmp_path / "b" / "sub").rmdir()
        (tmp_path / "a" / "file").unlink()
        assert _paths(watcher.read(timeout=0), tmp_path) == ["/a/file"]
        with pytest.raises(ValueError, match="is not a root"):
            watcher.remove(tmp_path / "b")


def test_add_what_is_not_there(consumer: churn.Consumer, top: Path) -> None:
    """A root that cannot be added leaves the watcher as it was."""
    with pytest.raises(FileNotFoundError):
        consumer.watcher.add(top / "missing")
    (top / "d").mkdir()
    assert consumer.lines() == ["CREATE | ISDIR /d"]


def test_add_keeps_what_happened(tmp_path: Path) -> None:
    """Earlier events of other roots are reported when a root is added."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    with TreeWatcher(tmp_path / "a") as watcher:
        (tmp_path / "a" / "file").unlink()
        watcher.add(tmp_path / "b")
        assert _paths(watcher.read(timeout=0), tmp_path) == ["/a/file"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("fenced", [False, True])
def test_add_swallows_nothing(tmp_path: Path, slash: str, fenced: bool) -> None:
    """Events while a root is added are reported, after the window of its scan.

    The window ends at a fence, or where the queue is found empty.
    """
    for name in ("a", "b", "bc"):
        (tmp_path / name).mkdir()
    with TreeWatcher(tmp_path / "a", tmp_path / "bc") as watcher:
        inotify = watcher._inotify_cffi.inotify

        def change() -> None:
            for name in ("a", "b", "bc"):
                os.mknod(tmp_path / name / "file")
            (tmp_path / "b").chmod(0o700)

        def wait_readable(timeout: int) -> bool:
            del vars(inotify)["wait_readable"]
            if fenced:
                os.mknod(tmp_path / "a" / "before")
                vars(inotify)["rm_watch"] = make_fence
                return inotify.wait_readable(timeout)
            is_readable = inotify.wait_readable(timeout)
            change()
            return is_readable

        def make_fence(wd: int) -> None:
            del vars(inotify)["rm_watch"]
            inotify.rm_watch(wd)
            change()

        vars(inotify)["wait_readable"] = wait_readable
        watcher.add(f"{tmp_path}/b{slash}")
        assert not {"wait_readable", "rm_watch"} & vars(inotify).keys()
        assert _paths(watcher.read(timeout=0), tmp_path) == [
            *(["/a/before"] if fenced else []),
            "/a/file",
            "/b/file",
            "/bc/file",
            f"/b{slash}",
        ]


def test_add_with_initial(tmp_path: Path) -> None:
    """With initial, the content of an added root is reported."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    with TreeWatcher(tmp_path / "a", initial=True) as watcher:
        assert len(watcher.read(timeout=0)) == 3
        watcher.add(tmp_path / "b")
        events = watcher.read(timeout=0)
        assert sorted(_paths(events, tmp_path)) == [f"/b{path}" for path in FILLED]
        assert all(event.synthetic for event in events)


def test_remove_with_events_queued(tmp_path: Path) -> None:
    """Events before the removal of a root are reported; it can be added again."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    with churn.Consumer(tmp_path / "a", tmp_path / "b") as consumer:
        for _ in range(3):
            (tmp_path / "b" / "new").mkdir()
            (tmp_path / "b" / "new").rmdir()
            consumer.watcher.remove(tmp_path / "b")
            consumer.watcher.add(tmp_path / "b")
            (tmp_path / "b" / "sub" / "more").mkdir()
            (tmp_path / "b" / "sub" / "more").rmdir()
            assert len(consumer.read()) == 4


# ---- paths --------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [str, os.fsencode, Path])
def test_kinds_of_paths(top: Path, convert: Callable[[Path], Any]) -> None:
    """A root may be str, bytes or PathLike; reported paths are str."""
    with TreeWatcher(convert(top)) as watcher:
        (top / "d").mkdir()
        assert watcher.read(timeout=0) == [
            TreeEvent(f"{top}/d", flags.CREATE | flags.ISDIR, None, False)
        ]
        watcher.remove(convert(top))


@pytest.mark.parametrize("given", ["top", "./top", "top/", "top/../top"])
def test_root_as_given(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """Paths begin with the root as it was given, wherever the process goes then."""
    monkeypatch.chdir(tmp_path)
    with TreeWatcher(given) as watcher:
        monkeypatch.chdir("/")
        (top / "d" / "e").mkdir(parents=True)
        (top / "d" / "e").rename(top / "f")
        paths = [event.path for event in watcher.read(timeout=0)]
        assert paths[:1] == [os.path.join(given, "d")]
        (top / "f" / "g").mkdir()
        (event,) = watcher.read(timeout=0)
        assert event.path == os.path.join(given, "f", "g")


def test_undecodable_names(consumer: churn.Consumer, top: Path) -> None:
    """Names that are no text come back whole through os.fsencode."""
    old, new = os.fsencode(top) + b"/\xff", os.fsencode(top) + b"/new\n\xe9"
    os.mkdir(old)
    os.mkdir(old + b"/\xfe")
    assert [os.fsencode(event.path) for event in consumer.read()] == [
        old,
        old + b"/\xfe",
    ]
    os.rename(old, new)
    os.rmdir(new + b"/\xfe")
    moved, deleted = consumer.read()
    assert [os.fsencode(path) for path in (moved.path, moved.old_path or "")] == [
        new,
        old,
    ]
    assert os.fsencode(deleted.path) == new + b"/\xfe"


@pytest.mark.parametrize("name", [b"\xff root", b"ro\not"])
def test_undecodable_root(tmp_path: Path, name: bytes) -> None:
    """A root's name may be any bytes."""
    root = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(root)
    with TreeWatcher(root) as watcher:
        os.mkdir(root + b"/d")
        (event,) = watcher.read(timeout=0)
        assert os.fsencode(event.path) == root + b"/d"


# ---- links and mounts ---------------------------------------------------------------


def test_symbolic_links(consumer: churn.Consumer, top: Path, tmp_path: Path) -> None:
    """Symbolic links are reported as entries; they are not followed."""
    _fill(tmp_path / "target")
    (top / "link").symlink_to(tmp_path / "target")
    (top / "file link").symlink_to(tmp_path / "target" / "file")
    assert consumer.lines() == ["CREATE /link", "CREATE /file link"]
    (tmp_path / "target" / "file").write_text("text")
    (top / "link").rename(top / "other")
    assert consumer.lines() == ["MOVED_TO /other from /link"]
    (top / "other").unlink()
    assert consumer.lines() == ["DELETE /other"]


@pytest.mark.parametrize("initial", [True, False])
def test_loops_of_links(top: Path, initial: bool) -> None:
    """Links that lead to themselves or upwards are names like others."""
    (top / "d").mkdir()
    for name in ("a", "b"):
        (top / "d" / name).symlink_to(top)
    (top / "self").symlink_to(top / "self")
    with churn.Consumer(top, initial=initial) as consumer:
        (top / "d" / "late").symlink_to(top / "d")
        consumer.check()
        assert len(churn.kernel_watches(consumer.watcher)) == 2


def test_root_that_is_a_link(top: Path, tmp_path: Path) -> None:
    """A root that is a symbolic link is the directory that it leads to."""
    (tmp_path / "link").symlink_to(top)
    _fill(top / "d")
    with churn.Consumer(tmp_path / "link") as consumer:
        (top / "d" / "sub" / "file").unlink()
        assert consumer.lines() == ["DELETE /d/sub/file"]


def test_a_link_instead_of_a_directory(
    consumer: churn.Consumer, top: Path, tmp_path: Path
) -> None:
    """A directory that became a link before it was listed is not followed."""
    _fill(tmp_path / "target")
    for _ in range(3):
        (top / "d").mkdir()
        (top / "d").rmdir()
        (top / "d").symlink_to(tmp_path / "target")
        assert consumer.lines() == [
            "CREATE | ISDIR /d",
            "DELETE | ISDIR /d",
            "CREATE /d",
        ]
        (top / "d").unlink()
        consumer.read()


BIND_MOUNTS = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
import churn
root = sys.argv[2]
os.makedirs(f"{root}/a/loop")
os.makedirs(f"{root}/b/c")
for source, target in [(root, f"{root}/a/loop"), (f"{root}/b", f"{root}/a/loop/b/c")]:
    subprocess.run(["mount", "--rbind", source, target], check=True)
with churn.Consumer(root, initial=True) as consumer:
    consumer.halves_are_sure = False
    consumer.check()
    os.mkdir(f"{root}/b/new")
    consumer.check()
    os.mkdir(f"{root}/b/new/below")
    os.rename(f"{root}/b/new", f"{root}/new")
    consumer.check()
    os.makedirs(f"{root}/x/y/z")
    consumer.check()
"""


def test_loops_of_mounts(
    run_python: RunPython, mount_namespace: list[str], top: Path
) -> None:
    """A tree that is mounted within itself is reported under each of its paths."""
    run_python(BIND_MOUNTS, Path(__file__).parent, top, prefix=mount_namespace)


# ---- waiting ------------------------------------------------------------------------


def test_barrier(consumer: churn.Consumer, top: Path) -> None:
    """read(timeout=0) returns every event of earlier operations, however deep."""
    for number in range(200):
        deep = top / f"{number}" / "a" / "b"
        deep.mkdir(parents=True)
        os.mknod(deep / "file")
        assert str(deep / "file") in [event.path for event in consumer.read()]


def test_times(consumer: churn.Consumer, top: Path) -> None:
    """read waits for its timeout, and for events that gather meanwhile."""
    assert consumer.read(timeout=1) == []
    assert consumer.watcher.read(timeout=1, read_delay=1) == []
    os.mknod(top / "a")
    assert consumer.lines(timeout=-1) == ["CREATE /a"]
    os.mknod(top / "b")
    (event,) = consumer.watcher.read(timeout=PATIENCE, read_delay=0)
    consumer.mirror.apply(event)


@pytest.mark.parametrize("timeout", [None, -1, PATIENCE])
def test_wake(
    consumer: churn.Consumer,
    in_thread: InThread,
    until_blocked: Callable[[TreeWatcher], None],
    timeout: float | None,
) -> None:
    """wake() lets a read that waits return nothing."""
    result = in_thread(lambda: consumer.read(timeout=timeout))
    until_blocked(consumer.watcher)
    consumer.watcher.wake()
    assert result() == []


def test_wake_is_kept(consumer: churn.Consumer) -> None:
    """wake() where none waits ends the next wait."""
    consumer.watcher.wake()
    assert consumer.read(timeout=None) == []


def test_close(
    top: Path, in_thread: InThread, until_blocked: Callable[[TreeWatcher], None]
) -> None:
    """close() ends a read that waits; a closed watcher says that it is."""
    watcher = TreeWatcher(top)
    assert not watcher.closed
    result = in_thread(lambda: watcher.read())
    until_blocked(watcher)
    watcher.close()
    with pytest.raises(ValueError, match="closed"):
        result()
    assert watcher.closed
    watcher.close()
    uses: list[Callable[[], object]] = [
        watcher.read,
        lambda: watcher.add(top),
        watcher.fileno,
        lambda: asyncio.run(watcher.aread()),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()
    watcher.wake()
    assert list(watcher) == []


def test_close_while_another_reads(top: Path, in_thread: InThread) -> None:
    """close() does not wait for a read that is at work; that one finds it closed."""
    asked, closed = threading.Event(), threading.Event()

    def exclude(path: str) -> bool:
        asked.set()
        return not closed.wait(PATIENCE / 1000)

    watcher = TreeWatcher(top, exclude=exclude)
    os.mkdir(top / "d")
    result = in_thread(lambda: watcher.read(timeout=0))
    assert asked.wait(PATIENCE / 1000)
    watcher.close()
    closed.set()
    with pytest.raises(ValueError, match="closed"):
        result()
    assert not watcher._inotify_cffi.tracker.roots


def test_read_in_the_midst_of_a_read(top: Path) -> None:
    """A read in a signal handler, which interrupts another read, returns nothing."""
    reported: list[list[TreeEvent]] = []

    def exclude(path: str) -> bool:
        reported.append(watcher.read(timeout=0))
        return False

    with TreeWatcher(top, exclude=exclude) as watcher:
        os.mkdir(top / "d")
        reported.append(watcher.read(timeout=0))
    assert [_paths(events, top) for events in reported] == [[], ["/d"]]


def test_iteration(
    top: Path,
    in_thread: InThread,
    until: Until,
    until_blocked: Callable[[TreeWatcher], None],
) -> None:
    """Iteration gives each event, goes on after wake(), and ends at close()."""
    reported: list[str] = []
    reads: list[list[TreeEvent]] = []

    def record(*arguments: Any) -> list[TreeEvent]:
        reads.append(read(*arguments))
        return reads[-1]

    with TreeWatcher(top) as watcher:
        read = watcher._inotify_cffi.read
        vars(watcher._inotify_cffi)["read"] = record
        result = in_thread(lambda: reported.extend(event.path for event in watcher))
        until_blocked(watcher)
        watcher.wake()
        until(lambda: reads == [[]])
        os.mknod(top / "a")
        os.mknod(top / "b")
        until(lambda: len(reported) == 2)
        watcher.close()
        result()
    assert reported == [f"{top}/a", f"{top}/b"]


def test_iteration_raises_other_errors(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a closed watcher ends an iteration; any other error is raised there."""

    def refuse(is_over: object) -> None:
        raise ValueError("refused")

    async def iterate() -> None:
        async for _ in refusing:
            pass

    with TreeWatcher(top) as refusing:
        monkeypatch.setattr(refusing._inotify_cffi.tracker, "advance", refuse)
        with pytest.raises(ValueError, match="refused"):
            next(refusing)
        with pytest.raises(ValueError, match="refused"):
            asyncio.run(iterate())


def test_async_iteration_goes_on_after_wake(top: Path) -> None:
    """An async for goes on after wake()."""

    async def main() -> str:
        with TreeWatcher(top) as watcher:
            waits = watcher._inotify_cffi.inotify.await_readable
            wakes = iter([True])

            async def wake_and_wait(timeout: float | None = None) -> bool:
                if timeout != 0:
                    if next(wakes, False):
                        watcher.wake()
                    else:
                        os.mknod(top / "file")
                return await waits(timeout)

            vars(watcher._inotify_cffi.inotify)["await_readable"] = wake_and_wait
            event = await watcher.__anext__()
            assert next(wakes, None) is None
            return event.path

    assert asyncio.run(asyncio.wait_for(main(), 60)) == f"{top}/file"


def test_async_iteration_goes_on_without_a_root(top: Path) -> None:
    """An async for waits until what the last root leads to is there again."""

    async def main() -> list[str]:
        words = []
        with TreeWatcher(top) as watcher:
            top.rmdir()
            async for event in watcher:
                words.append(mask_str(event.mask))
                if event.mask & flags.CREATE:
                    break
                asyncio.get_running_loop().call_later(0.01, top.mkdir)
        return words

    assert asyncio.run(asyncio.wait_for(main(), 60)) == [
        "DELETE_SELF",
        "CREATE | ISDIR",
    ]


def test_a_disk_that_does_not_answer(top: Path) -> None:
    """A missing directory counts as one."""
    (top / "sub").mkdir()
    gone = str(top / "gone")
    assert _disk.count_directories([str(top), gone]) == 3


def test_a_name_that_another_has() -> None:
    """A directory that leaves the model does not take its name's new owner along."""
    top = Top("top", "/top")
    old, new = top.add("name"), top.add("name")
    old.detach()
    assert top.child("name") is new


def test_iteration_and_read(consumer: churn.Consumer, top: Path) -> None:
    """The next read returns the events that an iteration took and left."""
    os.mknod(top / "a")
    os.mknod(top / "b")
    first = next(consumer.watcher)
    assert first.path == f"{top}/a"
    consumer.mirror.apply(first)
    assert consumer.lines() == ["CREATE /b"]


def test_asyncio(top: Path) -> None:
    """aread() awaits what happens; async for gives each event and ends at close()."""

    async def main() -> list[str]:
        with TreeWatcher(top) as watcher:
            assert await watcher.aread(timeout=0) == []
            assert await watcher.aread(timeout=1) == []
            task = asyncio.ensure_future(watcher.aread())
            await asyncio.sleep(0)
            (top / "d").mkdir()
            reported = [event.path for event in await task]
            task = asyncio.ensure_future(watcher.aread())
            await asyncio.sleep(0)
            watcher.wake()
            assert await task == []
            os.mknod(top / "d" / "e")
            os.mknod(top / "d" / "f")
            async for event in watcher:
                reported.append(event.path)
                if event.path.endswith("f"):
                    watcher.close()
            with pytest.raises(ValueError, match="closed"):
                await watcher.aread()
            return reported

    assert asyncio.run(main()) == [f"{top}/{path}" for path in ("d", "d/e", "d/f")]


def test_cancelled(consumer: churn.Consumer, top: Path) -> None:
    """A task that is cancelled while it waits loses no event."""

    async def main() -> None:
        for number in range(20):
            task = asyncio.ensure_future(consumer.watcher.aread())
            for _ in range(number % 4):
                await asyncio.sleep(0)
            os.mknod(top / f"{number}")
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                for event in await task:
                    consumer.mirror.apply(event)

    asyncio.run(main())
    consumer.check()


def test_trio(top: Path) -> None:
    """Under trio, aread() and async for are the same."""
    trio = pytest.importorskip("trio")

    async def main() -> list[str]:
        reported: list[str] = []
        with TreeWatcher(top) as watcher:

            async def follow() -> None:
                async for event in watcher:
                    reported.append(event.path)
                    watcher.close()

            assert await watcher.aread(timeout=1) == []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow)
                await trio.lowlevel.checkpoint()
                (top / "d").mkdir()
        return reported

    reported: list[str] = trio.run(main)
    assert reported == [f"{top}/d"]


SELECT_WRITER = """
import random, sys
sys.path.insert(0, sys.argv[1])
import churn
writer = churn.Writer(sys.argv[2], sys.argv[3], seed=int(sys.argv[4]))
writer.run(seconds=0.7)
open(f"{sys.argv[2]}/last", "w").close()
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_select(top: Path, tmp_path: Path, seed: int) -> None:
    """A program that reads only after select() gets every event."""
    (tmp_path / "outside").mkdir()
    code = [sys.executable, "-c", SELECT_WRITER, str(Path(__file__).parent)]
    with churn.Consumer(top) as consumer:
        consumer.halves_are_sure = False
        descriptors = [consumer.watcher.fileno()]
        process = subprocess.Popen([*code, top, tmp_path / "outside", str(seed)])
        last = False
        while not last:
            readable = select.select(descriptors, [], [], PATIENCE / 1000)[0]
            assert readable, "there are events, but the descriptor is not readable"
            last = any(event.path == f"{top}/last" for event in consumer.read())
        assert process.wait() == 0
        while select.select(descriptors, [], [], 0)[0]:
            consumer.read()
        assert not churn.difference(
            consumer.mirror.trees[str(top)], churn.real_tree(str(top))
        )


# ---- threads ------------------------------------------------------------------------


def test_add_while_another_waits(
    top: Path,
    tmp_path: Path,
    in_thread: InThread,
    until_blocked: Callable[[TreeWatcher], None],
) -> None:
    """A waiting read returns events of a root that another thread adds meanwhile."""
    (tmp_path / "new").mkdir()
    with TreeWatcher(top) as watcher:
        result = in_thread(watcher.read)
        until_blocked(watcher)
        watcher.add(tmp_path / "new")
        (tmp_path / "new" / "d").mkdir()
        assert [event.path for event in result()] == [f"{tmp_path}/new/d"]


def test_add_with_initial_while_another_waits(
    top: Path,
    tmp_path: Path,
    in_thread: InThread,
    until_blocked: Callable[[TreeWatcher], None],
) -> None:
    """A waiting read returns the content of a root that another thread adds."""
    _fill(tmp_path / "new")
    with TreeWatcher(top, initial=True) as watcher:
        result = in_thread(watcher.read)
        until_blocked(watcher)
        watcher.add(tmp_path / "new")
        assert sorted(_paths(result(), tmp_path)) == [f"/new{path}" for path in FILLED]


def test_remove_while_another_waits(
    top: Path,
    tmp_path: Path,
    in_thread: InThread,
    until_blocked: Callable[[TreeWatcher], None],
) -> None:
    """A read goes on waiting without a root, until another thread adds one."""
    with TreeWatcher(top) as watcher:
        result = in_thread(watcher.read)
        until_blocked(watcher)
        watcher.remove(top)
        assert watcher.read(timeout=1) == []
        watcher.add(tmp_path)
        os.mknod(tmp_path / "file")
        assert [event.path for event in result()] == [f"{tmp_path}/file"]


def test_remove_of_one_root_of_two_while_another_waits(
    tmp_path: Path,
    in_thread: InThread,
    until_blocked: Callable[[TreeWatcher], None],
) -> None:
    """A read that waits goes on waiting when there is another root."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with TreeWatcher(tmp_path / "a", tmp_path / "b") as watcher:
        result = in_thread(watcher.read)
        until_blocked(watcher)
        wakes: list[None] = []
        vars(watcher._inotify_cffi.inotify)["wake"] = lambda: wakes.append(None)
        watcher.remove(tmp_path / "b")
        assert not wakes
        os.mknod(tmp_path / "a" / "file")
        assert [event.path for event in result()] == [f"{tmp_path}/a/file"]


def test_no_wake_where_none_waits(tmp_path: Path) -> None:
    """However reads ended, the events of an add wake no later read."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    with TreeWatcher(initial=True) as watcher:
        assert watcher.read(timeout=1) == []
        assert asyncio.run(watcher.aread(timeout=1)) == []
        watcher.add(tmp_path / "a")
        assert len(watcher.read()) == 3
        assert watcher.read(timeout=0) == []
        assert watcher.read(timeout=1) == []
        watcher.wake()
        assert watcher.read() == []
        watcher.wake()
        assert asyncio.run(watcher.aread()) == []
        assert asyncio.run(watcher.aread(timeout=1)) == []
        os.mknod(tmp_path / "a" / "new")
        assert next(watcher).path == f"{tmp_path}/a/new"
        watcher.add(tmp_path / "b")
        assert len(watcher.read(timeout=0)) == 3
        assert not take_kept_wake(watcher._inotify_cffi.inotify)


def _let_it_wait_again(watcher: TreeWatcher, change: Path, until: Until) -> None:
    until(lambda: waits(watcher._inotify_cffi.inotify))
    change.chmod(0o600)
    until(lambda: not select.select([watcher], [], [], 0)[0])
    until(lambda: waits(watcher._inotify_cffi.inotify))


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_read_goes_on_waiting(
    top: Path, in_thread: InThread, until: Until, timeout: float | None
) -> None:
    """An event outside of the mask ends no wait."""
    os.mknod(top / "file")
    with TreeWatcher(top, mask=flags.CREATE) as watcher:
        result = in_thread(lambda: watcher.read(timeout))
        _let_it_wait_again(watcher, top / "file", until)
        os.mknod(top / "new")
        assert [event.path for event in result()] == [f"{top}/new"]


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_aread_goes_on_waiting(top: Path, until: Until, timeout: float | None) -> None:
    """An event outside of the mask ends no wait of a task either."""
    os.mknod(top / "file")
    with TreeWatcher(top, mask=flags.CREATE) as watcher:

        async def wait() -> list[TreeEvent]:
            loop = asyncio.get_running_loop()
            change = loop.run_in_executor(
                None, _let_it_wait_again, watcher, top / "file", until
            )
            task = loop.create_task(watcher.aread(timeout))
            await change
            assert not task.done()
            os.mknod(top / "new")
            return await task

        assert [event.path for event in asyncio.run(wait())] == [f"{top}/new"]


def test_remove_does_not_end_the_next_wait(tmp_path: Path, in_thread: InThread) -> None:
    """After a root was removed, a read waits for what happens in the others."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with TreeWatcher(tmp_path / "a", tmp_path / "b") as watcher:
        watcher.remove(tmp_path / "b")
        result = in_thread(watcher.read)
        os.mknod(tmp_path / "a" / "file")
        assert [event.path for event in result()] == [f"{tmp_path}/a/file"]


def test_add_loses_no_wait(top: Path, tmp_path: Path, in_thread: InThread) -> None:
    """A read that was about to wait returns the events that an add() took."""
    (tmp_path / "new").mkdir()
    with TreeWatcher(top) as watcher:
        for number in range(200):
            reading = threading.Event()

            def read(reading: threading.Event = reading) -> list[TreeEvent]:
                reading.set()
                return watcher.read()

            result = in_thread(read)
            reading.wait()
            os.mknod(top / f"{number}")
            watcher.add(tmp_path / "new")
            assert [event.path for event in result()] == [f"{top}/{number}"]
            take_kept_wake(watcher._inotify_cffi.inotify)
            watcher.remove(tmp_path / "new")


def test_threads(top: Path, tmp_path: Path, in_thread: InThread, until: Until) -> None:
    """Every method may be called from any thread at any time."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside").mkdir()
    writer = churn.Writer(str(top), str(tmp_path / "outside"), seed=5)
    stop = threading.Event()
    watcher = TreeWatcher(top)
    mirror = churn.Mirror(str(top), str(tmp_path / "a"), str(tmp_path / "b"))

    def read() -> int:
        count = 0
        with contextlib.suppress(ValueError):
            while True:
                events = watcher.read(timeout=PATIENCE)
                count += len(events)
                for event in events:
                    mirror.apply(event)
        return count

    def add_and_remove() -> int:
        rounds = 0
        while not stop.is_set():
            for name in ("a", "b"):
                watcher.add(tmp_path / name)
                watcher.wake()
                watcher.remove(tmp_path / name)
            rounds += 1
        return rounds

    reader, changer = in_thread(read), in_thread(add_and_remove)
    writer.run(1.0)
    stop.set()
    assert changer() > 0
    until(lambda: not watcher._inotify_cffi.inotify.wait_readable(0))
    until(
        watcher._inotify_cffi._worker.turn.is_free
    )  # the thread that took the last has them
    until(lambda: waits(watcher._inotify_cffi.inotify))
    assert not churn.difference(mirror.trees[str(top)], churn.real_tree(str(top)))
    watcher.close()
    assert reader() > 0
    assert mirror.unclean == []


def test_two_readers(top: Path, in_thread: InThread) -> None:
    """Two threads that read share what happens; each event goes to one."""
    with TreeWatcher(top, mask=flags.CREATE) as watcher:

        def read_until_woken() -> list[str]:
            reported: list[str] = []
            while True:
                events = watcher.read()
                reported += [event.path for event in events]
                if not events or f"{top}/last" in reported:
                    watcher.wake()
                    return reported

        results = [in_thread(read_until_woken) for _ in range(2)]
        expected = [f"{top}/{number}" for number in range(500)]
        for path in expected:
            os.mkdir(path)
        os.mknod(top / "last")
        reported = [path for result in results for path in result()]
        reported += [event.path for event in watcher.read(timeout=0)]
        assert sorted(reported) == sorted([*expected, f"{top}/last"])


# ---- the rest ----------------------------------------------------------------------


def test_no_root(top: Path) -> None:
    """A watcher without a root waits as any other does."""
    with TreeWatcher() as watcher:
        assert watcher.read(timeout=1) == []
        assert asyncio.run(watcher.aread(timeout=1)) == []
        watcher.wake()
        assert watcher.read() == []
        assert watcher.roots == watcher.missing == []
        assert watcher.watches() == []
        watcher.add(top)
        (top / "d").mkdir()
        assert len(watcher.read()) == 1


def test_failed_start(top: Path, tmp_path: Path) -> None:
    """A watcher that cannot be made leaves nothing open."""
    with pytest.raises(FileNotFoundError) as refused:
        TreeWatcher(top, tmp_path / "missing")
    assert refused.value.errno == errno.ENOENT


def test_iteration_leaves_events_to_who_waits(
    top: Path, in_thread: InThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read() about to wait returns the events that an iteration took and left."""
    with TreeWatcher(top, mask=flags.CREATE) as watcher:
        wait = watcher._inotify_cffi.inotify.wait_readable
        given: list[str] = []

        def iterate_and_wait(*arguments: float | None) -> bool:
            monkeypatch.undo()
            for name in "ab":
                os.mknod(top / name)
            given.append(in_thread(lambda: next(watcher))().path)
            return wait(*arguments)

        monkeypatch.setattr(
            watcher._inotify_cffi.inotify, "wait_readable", iterate_and_wait
        )
        given += [event.path for event in watcher.read(timeout=60_000)]
        assert given == [f"{top}/a", f"{top}/b"]


def test_iteration_leaves_events_to_tasks(
    top: Path, in_thread: InThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does an aread() about to wait."""
    with TreeWatcher(top, mask=flags.CREATE) as watcher:
        wait = watcher._inotify_cffi.inotify.await_readable
        given: list[str] = []

        async def iterate_and_wait(timeout: float | None = None) -> bool:
            if timeout != 0:
                monkeypatch.undo()
                for name in "ab":
                    os.mknod(top / name)
                given.append(in_thread(lambda: next(watcher))().path)
            return await wait(timeout)

        monkeypatch.setattr(
            watcher._inotify_cffi.inotify, "await_readable", iterate_and_wait
        )
        given += [event.path for event in asyncio.run(watcher.aread(60_000))]
        assert given == [f"{top}/a", f"{top}/b"]


def test_iteration_beside_reads(top: Path, in_thread: InThread, until: Until) -> None:
    """Threads that iterate and that read share all events, each in order."""
    batches: list[list[str]] = []
    expected = [f"{top}/{number:04}" for number in range(1000)]
    with TreeWatcher(top, mask=flags.CREATE) as watcher:

        def iterate() -> None:
            for event in watcher:
                batches.append([event.path])

        def read() -> None:
            with contextlib.suppress(ValueError):
                while True:
                    batches.append([event.path for event in watcher.read()])

        for way in (iterate, read, iterate, read):
            in_thread(way)
        for path in expected:
            os.mknod(path)
        until(lambda: sum(map(len, batches)) >= len(expected))
    assert all(batch == sorted(batch) for batch in batches)
    assert sorted(path for batch in batches for path in batch) == expected


@pytest.mark.parametrize("arguments", [(math.nan,), (0, math.nan), (0, -1)])
def test_no_length_of_time(top: Path, arguments: tuple[float, ...]) -> None:
    """A timeout that is not a number of milliseconds is refused at once."""
    with TreeWatcher(top) as watcher:
        with pytest.raises(ValueError, match="must"):
            watcher.read(*arguments)
        with pytest.raises(ValueError, match="must"):
            asyncio.run(watcher.aread(math.nan))


@pytest.mark.usefixtures("in_steps")
def test_look_at_another_directory_that_goes(
    consumer: churn.Consumer, top: Path
) -> None:
    """A path that led elsewhere while it was looked at is looked at once more."""
    (top / "a").mkdir()
    consumer.read()
    os.makedirs(top / "a" / "d" / "below")
    add_watch = consumer.watcher._inotify_cffi.inotify.add_watch

    def lead_elsewhere(path: Any, mask: int) -> int:
        other = top / "a" / "d"
        if (top / "b").exists():
            if other.exists():  # it has been listed
                other.rmdir()
        elif path == f"{top}/a/d":
            (top / "a").rename(top / "b")
            os.makedirs(other)
        return add_watch(path, mask)

    vars(consumer.watcher._inotify_cffi.inotify)["add_watch"] = lead_elsewhere
    assert consumer.lines() == [
        "CREATE | ISDIR /a/d",
        "MOVED_TO | ISDIR /b from /a",
        "CREATE | ISDIR /a",
        "CREATE | ISDIR /b/d/below, synthetic",
    ]
    (top / "a" / "x").mkdir()
    assert consumer.lines() == ["CREATE | ISDIR /a/x"]
