"""TreeWatcher when the tree changes in the midst of a look, or of two events.

What another process does at such a moment is done here by the step that comes
just before or after it.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Protocol

import churn
import pytest
import stepwise

from inotify_cffi import Event, INotify, TreeWatcher, flags
from inotify_cffi._scanning import BulkScanner, Found, WatchedWay
from inotify_cffi.tree import _disk
from inotify_cffi.tree._model import Directory
from inotify_cffi.tree._watches import Watches

if TYPE_CHECKING:
    from conftest import RunPython

TESTS = Path(__file__).parent
ISDIR = flags.ISDIR
Batches = Sequence[Sequence[Event]]


@pytest.fixture
def root(top: Path) -> Path:
    """The tree that is watched."""
    return top


class AfterListing(Protocol):
    def __call__(self, directory: Path, change: Callable[[], object]) -> None: ...


@pytest.fixture
def in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans are made in steps: a test can get between them."""
    stepwise.install(monkeypatch)


@pytest.fixture
def after_listing(monkeypatch: pytest.MonkeyPatch, in_steps: None) -> AfterListing:
    """The function that lets a change follow the next listing of a directory.

    So the change is in the window of the directory: before its mark.
    """

    def after_listing(directory: Path, change: Callable[[], object]) -> None:
        listing = _disk.listing

        def list_and_change(path: str) -> dict[str, bool]:
            names = listing(path)
            if path == str(directory):
                monkeypatch.setattr(_disk, "listing", listing)
                change()
            return names

        monkeypatch.setattr(_disk, "listing", list_and_change)

    return after_listing


def _deal(consumer: churn.Consumer, deal: Callable[[list[Event]], Batches]) -> None:
    """Let the next read that takes events give them in several, as `deal` has it.

    A read takes what is queued; another processor may be about to queue the rest.
    """
    inotify = consumer.watcher._inotify_cffi.inotify
    read, wait_readable = inotify.read, inotify.wait_readable
    dealt: list[list[Event]] = []

    def read_in_parts(*arguments: Any, **options: Any) -> list[Event]:
        events = read(*arguments, **options)
        if not dealt:
            if not events:
                return events
            dealt.extend(list(batch) for batch in deal(events))
        else:
            dealt[-1] += events
        batch = dealt.pop(0)
        if not dealt:
            vars(inotify)["read"] = read
        return batch

    def is_queued(timeout: int) -> bool:
        return bool(dealt) or wait_readable(timeout)

    vars(inotify)["read"] = read_in_parts
    vars(inotify)["wait_readable"] = is_queued


def _change_late(
    consumer: churn.Consumer,
    monkeypatch: pytest.MonkeyPatch,
    locked: Path,
    change: Callable[[], object],
) -> None:
    """Change something, and queue it when `locked` was listed, or a read later.

    So it is when another processor is at it: the names are others already, and the
    locks are held until the events are in the queue.
    """
    inotify = consumer.watcher._inotify_cffi.inotify
    read, wait_readable = inotify.read, inotify.wait_readable
    finish = _disk.let_changes_finish
    queued = read(timeout=0)
    change()
    late = read(timeout=0)

    def let_changes_finish(place: str) -> None:
        finish(place)
        if place == str(locked):
            queued.extend(late)
            late.clear()

    def read_late(*arguments: Any, **options: Any) -> list[Event]:
        events = [*queued, *read(*arguments, **options), *late]
        queued.clear()
        vars(inotify)["read"] = read
        monkeypatch.setattr(_disk, "let_changes_finish", finish)
        return events

    def is_queued(timeout: int) -> bool:
        return bool(queued) or wait_readable(timeout)

    monkeypatch.setattr(_disk, "let_changes_finish", let_changes_finish)
    vars(inotify)["read"] = read_late
    vars(inotify)["wait_readable"] = is_queued


def _before_the_end(consumer: churn.Consumer, change: Callable[[], object]) -> None:
    """Let a change be in the window of the next scan: it ends at a fence then."""
    inotify = consumer.watcher._inotify_cffi.inotify

    def wait_readable(timeout: int) -> bool:
        del vars(inotify)["wait_readable"]
        change()
        return inotify.wait_readable(timeout)

    vars(inotify)["wait_readable"] = wait_readable


def _at(events: list[Event], mask: int, name: str = "") -> int:
    """Where the first event of a kind, of a name, is."""
    return next(
        at
        for at, event in enumerate(events)
        if event.mask & mask and event.name == name
    )


def _remove(path: Path) -> None:
    subprocess.run(["rm", "-r", path], check=True)


# ---- between a listing and its mark -------------------------------------------------


Change = Callable[[Path], object]
IN_A_WINDOW: dict[str, tuple[list[Change], list[str]]] = {
    "created": (
        [lambda d: os.mkdir(d / "new")],
        ["CREATE | ISDIR /d/new, synthetic"],
    ),
    "created and deleted": (
        [lambda d: os.mkdir(d / "new"), lambda d: os.rmdir(d / "new")],
        [],
    ),
    "changed": ([lambda d: os.chmod(d / "file", 0o600)], ["ATTRIB /d/file"]),
    "renamed": (
        [lambda d: os.rename(d / "file", d / "new")],
        ["-CREATE /d/file, synthetic", "CREATE /d/new, synthetic"],
    ),
    "deleted": ([lambda d: os.unlink(d / "file")], ["-CREATE /d/file, synthetic"]),
    "changed and deleted": (
        [lambda d: os.chmod(d / "file", 0o600), lambda d: os.unlink(d / "file")],
        ["-CREATE /d/file, synthetic"],
    ),
    "changed, deleted and created": (
        [
            lambda d: os.chmod(d / "file", 0o600),
            lambda d: os.unlink(d / "file"),
            lambda d: os.mknod(d / "file"),
        ],
        [],
    ),
    "left": (
        [lambda d: os.rename(d / "sub", d.parent.parent / "outside")],
        ["-CREATE | ISDIR /d/sub, synthetic"],
    ),
    "came": (
        [lambda d: os.rename(d.parent.parent / "other", d / "new")],
        ["CREATE /d/new, synthetic"],
    ),
    "exchanged": (
        [lambda d: churn.exchange(d / "file", d / "sub")],
        [
            "-CREATE /d/file, synthetic",
            "-CREATE | ISDIR /d/sub, synthetic",
            "CREATE | ISDIR /d/file, synthetic",
            "CREATE /d/sub, synthetic",
        ],
    ),
}


@pytest.mark.parametrize("case", IN_A_WINDOW)
def test_change_in_a_window(
    consumer: churn.Consumer,
    root: Path,
    tmp_path: Path,
    after_listing: AfterListing,
    case: str,
) -> None:
    """A change before the fence is reported as if the scan had listed its result."""
    changes, lines = IN_A_WINDOW[case]
    os.mknod(tmp_path / "other")
    (root / "d" / "sub").mkdir(parents=True)
    os.mknod(root / "d" / "file")
    after_listing(root / "d", lambda: [change(root / "d") for change in changes])
    first, *reported = consumer.lines()
    assert first == "CREATE | ISDIR /d"
    expected = {"CREATE /d/file, synthetic", "CREATE | ISDIR /d/sub, synthetic"}
    expected -= {line[1:] for line in lines if line[0] == "-"}
    expected |= {line for line in lines if line[0] != "-"}
    assert sorted(reported) == sorted(expected)


@pytest.mark.usefixtures("in_steps")
def test_look_at_what_is_just_being_exchanged(
    consumer: churn.Consumer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is watched already is not taken for the one that is new."""
    consumer.halves_are_sure = False
    (root / "old").mkdir()
    os.mknod(root / "old" / "file")
    consumer.read()
    (root / "new").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify

    def exchange_and_watch(path: str, mask: int) -> int:
        del vars(inotify)["add_watch"]
        exchange = partial(churn.exchange, root / "new", root / "old")
        _change_late(consumer, monkeypatch, root, exchange)
        return inotify.add_watch(path, mask)

    vars(inotify)["add_watch"] = exchange_and_watch
    assert consumer.lines() == [
        "CREATE | ISDIR /new",
        "MOVED_TO | ISDIR /old from /new",
        "MOVED_TO | ISDIR /new from /old",
        "CREATE /new/file, synthetic",
        "CREATE | ISDIR /old, synthetic",
    ]


@pytest.mark.usefixtures("in_steps")
def test_deletion_before_a_listing(consumer: churn.Consumer, root: Path) -> None:
    """A file that is deleted before it was listed is not reported, nor its deletion."""
    (root / "d").mkdir()
    for name in ("file", "other"):
        os.mknod(root / "d" / name)
    inotify = consumer.watcher._inotify_cffi.inotify

    def watch_and_delete(path: str, mask: int) -> int:
        del vars(inotify)["add_watch"]
        wd = inotify.add_watch(path, mask)
        (root / "d" / "file").unlink()
        return wd

    vars(inotify)["add_watch"] = watch_and_delete
    assert consumer.lines() == ["CREATE | ISDIR /d", "CREATE /d/other, synthetic"]


def test_renames_into_a_window(
    consumer: churn.Consumer, root: Path, after_listing: AfterListing
) -> None:
    """Each rename into a directory before its fence is one event."""
    for name in ("one", "two", "three"):
        os.mknod(root / name)
    consumer.read()
    (root / "d").mkdir()

    def change() -> None:
        (root / "one").rename(root / "d" / "one")
        # The name that the rename replaces was not reported.
        os.mknod(root / "d" / "two")
        (root / "two").rename(root / "d" / "two")
        (root / "three").rename(root / "d" / "three")
        (root / "d" / "three").unlink()
        os.mknod(root / "d" / "four")

    after_listing(root / "d", change)
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO /d/one from /one",
        "MOVED_TO /d/two from /two",
        "MOVED_TO /d/three from /three",
        "DELETE /d/three",
        "CREATE /d/four, synthetic",
    ]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
def test_rename_into_a_window_that_is_not_valid(
    consumer: churn.Consumer,
    root: Path,
    after_listing: AfterListing,
    kind: Callable[[Path], None],
    late: bool,
) -> None:
    """A file renamed into a directory that moves before its fence is found there."""
    consumer.halves_are_sure = False
    kind(root / "old")
    (root / "gone").mkdir()
    consumer.read()
    (root / "d").mkdir()

    def change() -> None:
        (root / "old").rename(root / "d" / "new")
        (root / "gone").rmdir()  # its IGNORED is not the mark
        (root / "d").rename(root / "e")
        if late:
            _deal(consumer, hold_back)

    def hold_back(events: list[Event]) -> Batches:
        (*_, at) = [
            at for at, event in enumerate(events) if event.mask & flags.MOVE_SELF
        ]
        return events[:at], events[at:]

    after_listing(root / "d", change)
    assert [line.replace(" | ISDIR", "") for line in consumer.lines()] == [
        "CREATE /d",
        "MOVED_FROM /old",
        "DELETE /gone",
        "MOVED_TO /e from /d",
        "CREATE /e/new, synthetic",
    ]


@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
def test_rename_into_a_window_that_only_seems_not_valid(
    consumer: churn.Consumer,
    root: Path,
    after_listing: AfterListing,
    kind: Callable[[Path], None],
) -> None:
    """Also when a MOVE_SELF is late, a rename into what is looked at is one event."""
    (root / "a").mkdir()
    kind(root / "old")
    consumer.read()
    (root / "a" / "d").mkdir()
    (root / "a").rename(root / "b")

    def change() -> None:
        (root / "old").rename(root / "b" / "d" / "new")
        (root / "b" / "d" / "new").chmod(0o700)

    after_listing(root / "b" / "d", change)

    def hold_back(events: list[Event]) -> Batches:
        at = _at(events, flags.MOVE_SELF)
        return events[:at], events[at:]

    _deal(consumer, hold_back)
    lines = [line.replace(" | ISDIR", "") for line in consumer.lines()]
    assert lines[:2] == ["CREATE /a/d", "MOVED_TO /b from /a"]
    assert lines[2:] == ["MOVED_TO /b/d/new from /old", "ATTRIB /b/d/new"]


def test_rename_through_a_window(
    consumer: churn.Consumer, root: Path, after_listing: AfterListing
) -> None:
    """A rename into a directory and on, before its fence, is two renames."""
    os.mknod(root / "old")
    consumer.read()
    (root / "d").mkdir()

    def change() -> None:
        (root / "old").rename(root / "d" / "new")
        (root / "d").chmod(0o700)  # leaves the directory where it is
        (root / "d" / "new").rename(root / "last")

    after_listing(root / "d", change)
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO /d/new from /old",
        "ATTRIB | ISDIR /d",
        "MOVED_TO /last from /d/new",
    ]


def test_rename_through_a_window_before_the_directory_moves(
    consumer: churn.Consumer, root: Path
) -> None:
    """A move of a directory after its fence does not concern the time before."""
    os.mknod(root / "old")
    consumer.read()
    (root / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify

    def make_fence(wd: int) -> None:
        del vars(inotify)["rm_watch"]
        inotify.rm_watch(wd)
        (root / "d").rename(root / "e")

    def in_the_window() -> None:
        (root / "old").rename(root / "d" / "new")
        (root / "d" / "new").rename(root / "last")
        vars(inotify)["rm_watch"] = make_fence

    _before_the_end(consumer, in_the_window)
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO /d/new from /old",
        "MOVED_TO /last from /d/new",
        "MOVED_TO | ISDIR /e from /d",
    ]


def test_new_directory_through_a_window(
    consumer: churn.Consumer, root: Path, after_listing: AfterListing
) -> None:
    """A new directory that goes into another new one and out again is followed."""
    inotify = consumer.watcher._inotify_cffi.inotify

    def change() -> None:
        (root / "m").rename(root / "n" / "m")  # when nothing watches it yet
        (root / "n" / "m").rename(root / "m")

    def make_fence(wd: int) -> None:
        del vars(inotify)["rm_watch"]
        inotify.rm_watch(wd)
        (root / "n").rmdir()

    vars(inotify)["rm_watch"] = make_fence
    after_listing(root / "n", change)
    (root / "m").mkdir()
    (root / "n").mkdir()
    assert consumer.lines() == [
        "CREATE | ISDIR /m",
        "CREATE | ISDIR /n",
        "MOVED_TO | ISDIR /n/m from /m",
        "MOVED_TO | ISDIR /m from /n/m",
        "DELETE | ISDIR /n",
    ]


@pytest.mark.usefixtures("in_steps")
def test_rename_to_where_a_root_was(root: Path, tmp_path: Path) -> None:
    """A directory renamed to a former root's place has left; MOVE_SELF may be late."""
    other = tmp_path / "other"
    other.mkdir()
    os.mknod(other / "old")
    (tmp_path / "next" / "d").mkdir(parents=True)
    with churn.Consumer(root, other) as consumer:
        consumer.halves_are_sure = False
        (root / "d").mkdir()
        inotify = consumer.watcher._inotify_cffi.inotify

        def late(events: list[Event]) -> Batches:
            # The root's rename needs no lock that the other one holds.
            at = _at(events, flags.MOVE_SELF)
            events.insert(_at(events, flags.MOVED_TO, "new"), events.pop(at))
            return [events]

        def watch_another(path: str, mask: int) -> int:
            del vars(inotify)["add_watch"]
            root.rename(tmp_path / "elsewhere")
            (tmp_path / "next").rename(root)
            wd = inotify.add_watch(path, mask)
            (other / "old").rename(root / "d" / "new")
            _deal(consumer, late)
            return wd

        vars(inotify)["add_watch"] = watch_another
        # What happened since the first of them began may be left to the second.
        events = [*consumer.read(), *consumer.read()]
        # The file is found in the root that is there now, before or behind its event.
        assert sorted((event.path, event.mask) for event in events) == sorted(
            [
                (f"{root}/d", flags.CREATE | ISDIR),
                (str(root), flags.MOVE_SELF),
                (str(root), flags.CREATE | ISDIR),
                (f"{root}/d", flags.CREATE | ISDIR),
                (f"{other}/old", flags.MOVED_FROM),
                (f"{root}/d/new", flags.CREATE),
            ]
        )


def test_overflow_in_a_window(
    consumer: churn.Consumer, root: Path, after_listing: AfterListing
) -> None:
    """If the queue overflows before a fence, no rename into the window is reported."""
    for name in ("old", "busy"):
        os.mknod(root / name)
    consumer.read()
    (root / "d").mkdir()

    def change() -> None:
        (root / "old").rename(root / "d" / "new")
        for _ in range(int(Path(churn.MAX_QUEUED_EVENTS).read_text()) // 2 + 1):
            os.chmod(root / "busy", 0o600)
            os.chmod(root / "d", 0o700)

    after_listing(root / "d", change)
    lines = consumer.lines()
    assert lines[0] == "CREATE | ISDIR /d"
    assert [line for line in lines if "old" in line] == []
    after = lines[lines.index("Q_OVERFLOW") + 1 :]
    assert sorted(after) == [
        "CREATE /busy, synthetic",
        "CREATE /d/new, synthetic",
        "CREATE | ISDIR /d, synthetic",
    ]


def test_file_that_comes_and_goes_unread(root: Path) -> None:
    """Events of a file root before it was found are not reported again."""
    file = root / "file"
    with TreeWatcher(file, missing_ok=True) as watcher:
        os.mknod(file)
        file.unlink()
        assert watcher.read(timeout=0) == []
        os.mknod(file)
        (event,) = watcher.read(timeout=0)
        assert event == (str(file), flags.CREATE, None, True)
        file.unlink()
        os.mknod(file)
        events = watcher.read(timeout=0)
        assert [event.mask for event in events][:2] == [flags.DELETE, flags.CREATE]


def test_read_ends_while_things_go_on(consumer: churn.Consumer, root: Path) -> None:
    """A read ends though there is a new directory each time it looks."""
    (root / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify
    read, numbers = inotify.read, iter(range(100))

    def read_and_go_on(*arguments: Any, **options: Any) -> list[Event]:
        events = read(*arguments, **options)
        (root / f"{next(numbers)}").mkdir()
        return events

    vars(inotify)["read"] = read_and_go_on
    assert consumer.lines() == ["CREATE | ISDIR /d", "CREATE | ISDIR /0"]
    vars(inotify)["read"] = read


def test_change_after_a_fence(consumer: churn.Consumer, root: Path) -> None:
    """Events of a directory behind its fence are reported as the kernel queues them."""
    (root / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify

    def make_fence(wd: int) -> None:
        del vars(inotify)["rm_watch"]
        inotify.rm_watch(wd)
        os.mknod(root / "d" / "file")
        (root / "d" / "file").unlink()

    vars(inotify)["rm_watch"] = make_fence
    _before_the_end(consumer, lambda: os.mknod(root / "first"))
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "CREATE /first",
        "CREATE /d/file",
        "DELETE /d/file",
    ]


def test_change_after_the_queue_was_empty(consumer: churn.Consumer, root: Path) -> None:
    """Where the queue is empty after a scan, the scan is right, and needs no fence."""
    (root / "d").mkdir()
    os.mknod(root / "d" / "before")
    inotify = consumer.watcher._inotify_cffi.inotify

    def find_empty(timeout: int) -> bool:
        del vars(inotify)["wait_readable"]
        assert not inotify.wait_readable(timeout)
        os.mknod(root / "d" / "file")
        (root / "d" / "file").unlink()
        return False

    vars(inotify)["rm_watch"] = None  # there is no fence: this would raise
    vars(inotify)["wait_readable"] = find_empty
    assert consumer.lines() == ["CREATE | ISDIR /d", "CREATE /d/before, synthetic"]
    assert "wait_readable" not in vars(inotify)
    assert consumer.lines() == ["CREATE /d/file", "DELETE /d/file"]
    del vars(inotify)["rm_watch"]


@pytest.mark.usefixtures("in_steps")
def test_how_directories_are_watched(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No watch is added without MASK_ADD, as that would lose events, or ONLYDIR."""
    needed = flags.MASK_ADD | flags.ONLYDIR
    without: list[str] = []
    watched: list[str] = []
    add_watch = INotify.add_watch
    watch_way = BulkScanner.watch_way

    def note(inotify: INotify, path: str, mask: int) -> int:
        (watched if mask & needed == needed else without).append(path)
        return add_watch(inotify, path, mask)

    def note_way(bulk: BulkScanner, path: str, mask: int, last_mask: int) -> WatchedWay:
        is_safe = mask & last_mask & needed == needed
        above = map(str, list(Path(path).parents)[:-1])
        (watched if is_safe else without).extend([path, *above])
        return watch_way(bulk, path, mask, last_mask)

    monkeypatch.setattr(INotify, "add_watch", note)
    monkeypatch.setattr(BulkScanner, "watch_way", note_way)
    with TreeWatcher(root) as watcher:
        (root / "d").mkdir()
        wait_readable = watcher._inotify_cffi.inotify.wait_readable

        def change(timeout: int) -> bool:
            (root / "d").chmod(0o700)
            return wait_readable(timeout)

        vars(watcher._inotify_cffi.inotify)["wait_readable"] = change
        watcher.read(timeout=0)
    assert watched[-2:] == [str(root), f"{root}/d"]
    assert set(watched[:-2]) == {str(root), *map(str, list(root.parents)[:-1])}
    assert set(without) == {"/dev/null"}  # only for the fence, and alone in that


# ---- where a look fails -------------------------------------------------------------


@contextmanager
def _no_descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_no_descriptors_to_look(root: Path) -> None:
    """EMFILE where a directory cannot be listed is raised; the next read lists it."""
    with churn.Consumer(root) as consumer:
        (root / "a" / "b").mkdir(parents=True)
        with (
            _no_descriptors(),
            pytest.raises(OSError, match=os.strerror(errno.EMFILE)) as refused,
        ):
            consumer.read()
        assert refused.value.errno == errno.EMFILE
        assert consumer.lines() == [
            "CREATE | ISDIR /a",
            "CREATE | ISDIR /a/b, synthetic",
        ]


def test_no_descriptors_to_wait_for_a_rename(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """EMFILE where a rename has to be waited for is raised; the next read waits."""
    os.mknod(root / "file")
    consumer.read()
    (root / "file").rename(tmp_path / "file")
    with _no_descriptors(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        consumer.read()
    assert consumer.lines() == ["MOVED_FROM /file"]


@pytest.mark.usefixtures("in_steps")
def test_no_descriptors_to_wait_where_a_directory_is_not(
    consumer: churn.Consumer, root: Path
) -> None:
    """EMFILE where it has to be found out whether a directory is gone is raised."""
    consumer.halves_are_sure = False
    (root / "a" / "b").mkdir(parents=True)
    inotify = consumer.watcher._inotify_cffi.inotify
    add_watch = inotify.add_watch
    watched: list[str] = []

    def rename_and_watch(path: str, mask: int) -> int:
        if not watched:
            (root / "a").rename(root / "c")
        watched.append(path)
        return add_watch(path, mask)

    vars(inotify)["add_watch"] = rename_and_watch
    with _no_descriptors(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        consumer.read()
    assert watched == [f"{root}/a"]
    assert consumer.lines() == [
        "CREATE | ISDIR /a",
        "MOVED_TO | ISDIR /c from /a",
        "CREATE | ISDIR /c/b, synthetic",
    ]
    del vars(inotify)["add_watch"]


def test_directory_that_leaves_when_it_could_not_be_listed(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """The watch of a directory that could not be listed goes when that leaves."""
    (root / "a").mkdir()
    with _no_descriptors(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        consumer.read()
    assert len(churn.kernel_watches(consumer.watcher)) == 2
    (root / "a").rename(tmp_path / "a")
    assert consumer.lines() == ["CREATE | ISDIR /a", "MOVED_FROM | ISDIR /a"]
    assert len(churn.kernel_watches(consumer.watcher)) == 1


@pytest.mark.usefixtures("in_steps")
@pytest.mark.parametrize("listed", [False, True])
def test_look_at_another_directory_that_leaves(
    consumer: churn.Consumer,
    root: Path,
    tmp_path: Path,
    after_listing: AfterListing,
    listed: bool,
) -> None:
    """The watch of what was looked at instead of a directory goes when that leaves."""
    (tmp_path / "other").mkdir()
    (root / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify

    def leave() -> None:
        (root / "d").rename(tmp_path / "other")

    def watch_another(path: str, mask: int) -> int:
        del vars(inotify)["add_watch"]
        (root / "d").rename(root / "e")
        (tmp_path / "other").rename(root / "d")
        wd = inotify.add_watch(path, mask)
        if listed:
            after_listing(root / "d", leave)
        else:
            leave()
        return wd

    vars(inotify)["add_watch"] = watch_another
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO | ISDIR /e from /d",
        "MOVED_TO | ISDIR /d",
        "MOVED_FROM | ISDIR /d",
    ]


def _directories() -> int:
    return sum(isinstance(one, Directory) for one in gc.get_objects())


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy does not count references"
)
def test_close_leaves_no_garbage(root: Path) -> None:
    """Directories refer to each other, but what is closed needs no collector."""
    (root / "a" / "b").mkdir(parents=True)
    gc.collect()
    gc.disable()
    try:
        before = _directories()
        with TreeWatcher(root):
            assert _directories() == before + 3
        assert _directories() == before
    finally:
        gc.enable()


def _objects() -> int:
    """Count the objects of this package's classes."""
    package = INotify.__module__.partition(".")[0]
    # What a class defines as __module__ need not be a str.
    modules = [str(type(one).__module__) for one in gc.get_objects()]
    return sum(module.startswith(package) for module in modules)


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy does not count references"
)
def test_a_closed_watcher_is_no_garbage(root: Path) -> None:
    """All of a closed watcher is freed with the last reference, its ways as well."""
    (root / "link").symlink_to(".")
    (root / "file").touch()
    paths = [root, root / "link" / "file", root / "missing"]
    gc.collect()
    gc.disable()
    try:
        before = _objects()
        for _ in range(2):  # the first one may leave what is kept for the next
            watcher = TreeWatcher(*paths, missing_ok=True)
            os.mknod(root / "new")
            assert watcher.read(timeout=0)
            assert _objects() > before
            watcher.close()
            os.unlink(root / "new")
            del watcher
        assert _objects() == before
    finally:
        gc.enable()


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy does not show what it keeps"
)
def test_close_lets_go_of_what_could_not_be_listed(root: Path) -> None:
    """A closed watcher keeps no directory that was to be scanned."""
    gc.collect()
    before = _directories()
    watcher = TreeWatcher(root)
    (root / "a").mkdir()
    with _no_descriptors(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        watcher.read(timeout=0)
    watcher.close()
    gc.collect()
    assert _directories() == before


def test_watch_that_is_lost(consumer: churn.Consumer, root: Path) -> None:
    """A directory whose watch is gone, though it is there, is looked at again."""
    (root / "d").mkdir()
    consumer.read()
    # The public API takes no watch away that is needed.
    followed = consumer.watcher._inotify_cffi.tracker._roots.roots.get(str(root))
    assert followed is not None
    top = followed.top
    assert top is not None
    directory = top.child("d")
    assert directory is not None
    consumer.watcher._inotify_cffi.inotify.rm_watch(directory.wd)
    os.mknod(root / "d" / "file")
    assert consumer.lines() == ["CREATE /d/file, synthetic"]


def test_root_that_could_not_be_listed(root: Path, tmp_path: Path) -> None:
    """The watch of a root that could not be listed goes when that is removed."""
    other = tmp_path / "other"
    other.mkdir()
    with churn.Consumer(root) as consumer:
        with _no_descriptors(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            consumer.watcher.add(other)
        assert len(churn.kernel_watches(consumer.watcher)) == 2
        consumer.watcher.remove(other)
        assert consumer.read() == []
        assert len(churn.kernel_watches(consumer.watcher)) == 1


def test_no_means_to_ask_for_a_name(
    consumer: churn.Consumer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOMEM where a name is in doubt is raised; the next read asks for it again."""
    consumer.halves_are_sure = False
    for name in ("x", "y"):
        os.mknod(root / name)
    consumer.read()
    churn.exchange(root / "x", root / "y")

    def find(directory: str, name: str) -> bool | None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), directory)

    with monkeypatch.context() as patch:
        patch.setattr(_disk, "find", find)
        with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
            consumer.read()
    assert consumer.lines() == [
        "MOVED_TO /y from /x",
        "MOVED_TO /x from /y",
        "CREATE /y, synthetic",
    ]


def test_two_directories_of_a_root_that_is_elsewhere(
    root: Path, tmp_path: Path
) -> None:
    """A root that was renamed from above is gone once, however many looks fail."""
    (tmp_path / "above").mkdir()
    root.rename(tmp_path / "above" / "root")
    with TreeWatcher(tmp_path / "above" / "root") as watcher:
        (tmp_path / "above").rename(tmp_path / "beyond")
        for name in ("one", "two"):
            (tmp_path / "beyond" / "root" / name).mkdir()
        masks = [event.mask for event in watcher.read(timeout=0)]
        assert masks == [flags.MOVE_SELF]
        assert churn.kernel_watches(watcher) == []


def test_look_beside_a_root_that_is_elsewhere(root: Path, tmp_path: Path) -> None:
    """A directory that is scanned while its root is found gone is still reported."""
    (tmp_path / "above").mkdir()
    gone = tmp_path / "above" / "root"
    gone.mkdir()
    with churn.Consumer(root, gone) as consumer:
        (tmp_path / "above").rename(tmp_path / "beyond")
        for path in (root / "first", tmp_path / "beyond" / "root" / "d", root / "last"):
            path.mkdir()
        for name in ("first", "last"):
            os.mknod(root / name / "file")
        paths = [event.path for event in consumer.read()]
        assert set(paths[:3]) == {f"{root}/first", str(gone), f"{root}/last"}
        assert sorted(paths[3:]) == [f"{root}/first/file", f"{root}/last/file"]


MOUNTS = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
import churn
from inotify_cffi import TreeWatcher, flags
from inotify_cffi.tree import _disk, _watches
from inotify_cffi.tree._model import Directory
import stepwise

_watches.Watches.scan = stepwise.scan
root = sys.argv[2]

def run(*command):
    subprocess.run(command, check=True)

def after_listing(directory, change):
    listing = _disk.listing
    def list_and_change(path):
        names = listing(path)
        if path == directory:
            _disk.listing = listing
            change()
        return names
    _disk.listing = list_and_change
"""

MOUNTS_CASES = {
    "a mount hides what was created": """
os.mkdir(f"{root}/a")
with churn.Consumer(root) as consumer:
    consumer.mirror.unmounts = True
    os.mkdir(f"{root}/a/hidden")
    run("mount", "-t", "tmpfs", "none", f"{root}/a")
    lines = consumer.lines()
    assert lines == [
        "CREATE | ISDIR /a/hidden",
        "DELETE | ISDIR /a, synthetic",
        "CREATE | ISDIR /a, synthetic",
    ]
    run("umount", f"{root}/a")
    os.rmdir(f"{root}/a/hidden")
    consumer.watcher.read(timeout=0)
""",
    "an unmount takes what is being looked at": """
os.mkdir(f"{root}/a")
run("mount", "-t", "tmpfs", "none", f"{root}/a")
with churn.Consumer(root) as consumer:
    consumer.mirror.unmounts = True
    os.makedirs(f"{root}/a/d/below")
    after_listing(f"{root}/a/d", lambda: run("umount", f"{root}/a"))
    lines = consumer.lines()
    assert lines == [
        "CREATE | ISDIR /a/d",
        "DELETE | ISDIR /a, synthetic",
        "CREATE | ISDIR /a, synthetic",
    ], lines
""",
    "a directory leaves within which its root is mounted": """
os.makedirs(f"{root}/a/loop")
run("mount", "--bind", root, f"{root}/a/loop")
with TreeWatcher(root) as watcher:
    os.rename(f"{root}/a", f"{root}-elsewhere")
    os.mkdir(f"{root}/new")
    read = watcher._inotify_cffi.inotify.read
    def read_late(timeout):
        # Another processor may be about to queue its MOVE_SELF.
        return sorted(read(timeout), key=lambda event: event.mask == flags.MOVE_SELF)
    vars(watcher._inotify_cffi.inotify)["read"] = read_late
    reported = [churn.in_words(event, root) for event in watcher.read(timeout=0)]
    assert reported == [
        "MOVED_FROM | ISDIR /a/loop/a",
        "MOVED_FROM | ISDIR /a",
        "CREATE | ISDIR /new",
    ], reported
    assert len(churn.kernel_watches(watcher)) == 2
""",
}


@pytest.mark.parametrize("case", MOUNTS_CASES)
def test_mounts(
    run_python: RunPython, mount_namespace: list[str], root: Path, case: str
) -> None:
    """Content that a mount hides is reported gone, without an event, and only once."""
    run_python(MOUNTS + MOUNTS_CASES[case], TESTS, root, prefix=mount_namespace)


NO_WATCH_FOR_A_MARK = (
    MOUNTS
    + """
os.mknod(f"{root}/old")
with churn.Consumer(root) as consumer:
    os.mkdir(f"{root}/d")
    with open("/proc/sys/user/max_inotify_watches", "w") as limit:
        limit.write(str(1 + root.count("/")))  # with those above the root
    after_listing(f"{root}/d", lambda: os.rename(f"{root}/old", f"{root}/d/new"))
    lines = consumer.lines()
    assert lines == ["CREATE | ISDIR /d", "MOVED_TO /d/new from /old"], lines
"""
)


def test_no_watch_for_a_mark(
    run_python: RunPython, user_namespace: list[str], root: Path
) -> None:
    """If the limit leaves no watch for a mark, a rename is still one event."""
    run_python(NO_WATCH_FOR_A_MARK, TESTS, root, prefix=user_namespace)


# ---- reads that end in the midst ----------------------------------------------------


def _after(consumer: churn.Consumer, mask: int, name: str) -> None:
    """Let the next read that takes events end behind the first of a kind."""

    def split(events: list[Event]) -> Batches:
        at = _at(events, mask, name) + 1
        return events[:at], events[at:]

    _deal(consumer, split)


@pytest.mark.parametrize("kind", [os.mknod, os.mkdir])
def test_read_that_ends_between_two_halves(
    consumer: churn.Consumer, root: Path, kind: Callable[[Path], None]
) -> None:
    """Two halves of a rename are one event, also when two reads bring them."""
    kind(root / "old")
    consumer.read()
    (root / "old").rename(root / "new")
    _after(consumer, flags.MOVED_FROM, "old")
    (line,) = consumer.lines()
    assert line.replace(" | ISDIR", "") == "MOVED_TO /new from /old"


def test_read_that_ends_before_what_leaves_is_sure(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """A directory has left when its MOVE_SELF comes, before what happened then."""
    for name in ("d", "e"):
        (root / name).mkdir()
    consumer.read()
    (root / "d").rename(tmp_path / "d")
    os.mknod(root / "e" / "file")
    _after(consumer, flags.MOVED_FROM, "d")
    assert consumer.lines() == ["MOVED_FROM | ISDIR /d", "CREATE /e/file"]


def test_change_between_two_halves(consumer: churn.Consumer, root: Path) -> None:
    """A directory that changes between the halves of its rename has not left."""
    (root / "d").mkdir()
    consumer.read()
    (root / "d").rename(root / "e")
    (root / "e").chmod(0o700)

    def change_first(events: list[Event]) -> Batches:
        # No lock of a rename keeps others from changing attributes.
        at = _at(events, flags.ATTRIB)
        events.insert(_at(events, flags.MOVED_TO, "e"), events.pop(at))
        return [events]

    _deal(consumer, change_first)
    assert consumer.lines() == ["MOVED_TO | ISDIR /e from /d", "ATTRIB | ISDIR /e"]


def test_read_that_ends_within_an_exchange(
    consumer: churn.Consumer, root: Path
) -> None:
    """Two directories change places, also when two reads bring the two renames."""
    consumer.halves_are_sure = False
    for name in ("x", "y"):
        (root / name).mkdir()
        os.mknod(root / name / name)
    consumer.read()
    churn.exchange(root / "x", root / "y")
    _after(consumer, flags.MOVED_TO, "y")
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /y from /x",
        "MOVED_TO | ISDIR /x",
        "CREATE /x/y, synthetic",
    ]


def test_read_that_ends_before_a_rename_is_sure(
    consumer: churn.Consumer, root: Path
) -> None:
    """A directory that moves on from where it replaced one is followed."""
    for name in ("x", "y"):
        (root / name).mkdir()
    os.mknod(root / "x" / "file")
    consumer.read()
    (root / "x").rename(root / "y")
    (root / "y").rename(root / "z")
    _after(consumer, flags.MOVED_TO, "z")
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /y from /x",
        "MOVED_TO | ISDIR /z from /y",
    ]


def test_rename_over_and_on_of_what_is_not_watched_yet(
    consumer: churn.Consumer, root: Path
) -> None:
    """A directory that replaced another is followed, even if no event reports it."""
    (root / "y").mkdir()
    consumer.read()
    (root / "x").mkdir()
    os.mknod(root / "x" / "file")
    (root / "x").rename(root / "y")
    (root / "y").rename(root / "z")
    assert consumer.lines() == [
        "CREATE | ISDIR /x",
        "MOVED_TO | ISDIR /y from /x",
        "MOVED_TO | ISDIR /z from /y",
        "CREATE /z/file, synthetic",
    ]


def test_rename_over_and_on_of_what_is_to_be_looked_at_again(
    consumer: churn.Consumer, root: Path
) -> None:
    """A directory that replaced another after a look was dropped is followed."""
    (root / "y").mkdir()
    consumer.read()
    (root / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify

    def make_fence(wd: int) -> None:
        del vars(inotify)["rm_watch"]
        inotify.rm_watch(wd)
        (root / "e").rename(root / "y")
        (root / "y").rename(root / "z")

    def in_the_window() -> None:
        (root / "d").rename(root / "e")
        vars(inotify)["rm_watch"] = make_fence

    _before_the_end(consumer, in_the_window)
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO | ISDIR /e from /d",
        "MOVED_TO | ISDIR /y from /e",
        "MOVED_TO | ISDIR /z from /y",
    ]


@pytest.mark.usefixtures("in_steps")
def test_read_that_ends_as_what_is_looked_at_leaves(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """Names listed in another directory are not reported for the one before it."""
    (tmp_path / "other").mkdir()
    os.mknod(tmp_path / "other" / "file")
    (root / "d").mkdir()
    inotify = consumer.watcher._inotify_cffi.inotify

    def watch_and_replace(path: str, mask: int) -> int:
        del vars(inotify)["add_watch"]
        wd = inotify.add_watch(path, mask)
        (root / "d").rename(root / "e")
        (tmp_path / "other").rename(root / "d")
        _after(consumer, flags.MOVED_FROM, "d")
        return wd

    vars(inotify)["add_watch"] = watch_and_replace
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO | ISDIR /e from /d",
        "MOVED_TO | ISDIR /d",
        "CREATE /d/file, synthetic",
    ]


# ---- exchanges, and what looks like one ---------------------------------------------


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda root: os.unlink(root / "y"), []),
        (
            lambda root: os.chmod(root / "y", 0o600),
            ["CREATE /y, synthetic", "ATTRIB /y"],
        ),
        (
            lambda root: os.chmod(root / "x", 0o600),
            ["ATTRIB /x", "CREATE /y, synthetic"],
        ),
        (lambda root: os.rename(root / "y", root / "z"), ["MOVED_TO /z"]),
    ],
)
def test_change_after_an_exchange_of_files(
    consumer: churn.Consumer,
    root: Path,
    change: Callable[[Path], None],
    lines: list[str],
) -> None:
    """After an exchange of two files, an event of one is reported in its order."""
    consumer.halves_are_sure = False
    for name in ("x", "y"):
        os.mknod(root / name)
    consumer.read()
    churn.exchange(root / "x", root / "y")
    change(root)
    assert consumer.lines() == ["MOVED_TO /y from /x", "MOVED_TO /x from /y", *lines]


def test_doubt_in_a_directory_that_just_moves(
    consumer: churn.Consumer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is not there as its directory is being moved is asked for again."""
    consumer.halves_are_sure = False
    (root / "p").mkdir()
    for name in ("x", "y"):
        os.mknod(root / "p" / name)
    consumer.read()
    churn.exchange(root / "p" / "x", root / "p" / "y")
    find = _disk.find

    def move_and_find(directory: str, name: str) -> bool | None:
        monkeypatch.setattr(_disk, "find", find)
        rename = (root / "p").rename
        _change_late(consumer, monkeypatch, root, lambda: rename(root / "q"))
        return find(directory, name)

    monkeypatch.setattr(_disk, "find", move_and_find)
    assert consumer.lines() == [
        "MOVED_TO /p/y from /p/x",
        "MOVED_TO /p/x from /p/y",
        "MOVED_TO | ISDIR /q from /p",
        "CREATE /q/y, synthetic",
    ]


def test_change_within_an_exchange_of_files(
    consumer: churn.Consumer, root: Path
) -> None:
    """Events between the two renames of an exchange do not hide it."""
    consumer.halves_are_sure = False
    for name in ("x", "y", "z"):
        os.mknod(root / name)
    consumer.read()
    churn.exchange(root / "x", root / "y")
    (root / "z").chmod(0o600)

    def change_first(events: list[Event]) -> Batches:
        # The lock of a directory keeps nobody from changing what is in its files.
        events.insert(_at(events, flags.MOVED_TO, "y") + 1, events.pop())
        return [events]

    _deal(consumer, change_first)
    assert consumer.lines() == [
        "MOVED_TO /y from /x",
        "ATTRIB /z",
        "MOVED_TO /x from /y",
        "CREATE /y, synthetic",
    ]


@pytest.mark.parametrize("other", ["a", "z"])
def test_leaving_after_an_exchange_of_files(
    consumer: churn.Consumer, root: Path, tmp_path: Path, other: str
) -> None:
    """A name that leaves says nothing of another that was exchanged before."""
    consumer.halves_are_sure = False
    for name in ("x", "y", other):
        os.mknod(root / name)
    consumer.read()
    churn.exchange(root / "x", root / "y")
    (root / other).rename(tmp_path / other)
    (root / "y").chmod(0o600)
    assert consumer.lines() == [
        "MOVED_TO /y from /x",
        "MOVED_TO /x from /y",
        "CREATE /y, synthetic",
        "ATTRIB /y",
        f"MOVED_FROM /{other}",
    ]


@pytest.mark.usefixtures("in_steps")
def test_exchange_with_what_is_looked_at(
    consumer: churn.Consumer, root: Path, after_listing: AfterListing
) -> None:
    """A directory exchanged for an unreported one is reported at its new place."""
    consumer.halves_are_sure = False
    (root / "a" / "in_a").mkdir(parents=True)
    consumer.read()
    (root / "d" / "x" / "in_x").mkdir(parents=True)
    after_listing(root / "d", lambda: churn.exchange(root / "a", root / "d" / "x"))
    assert consumer.lines() == [
        "CREATE | ISDIR /d",
        "MOVED_TO | ISDIR /d/x from /a",
        "MOVED_TO | ISDIR /a",
        "CREATE | ISDIR /a/in_x, synthetic",
    ]


def test_change_after_an_exchange_with_a_new_directory(
    consumer: churn.Consumer, root: Path
) -> None:
    """A directory that was exchanged for an unwatched one is reported once."""
    consumer.halves_are_sure = False
    (root / "y").mkdir()
    consumer.read()
    (root / "x" / "in_x").mkdir(parents=True)
    churn.exchange(root / "x", root / "y")
    (root / "y").chmod(0o700)
    assert consumer.lines() == [
        "CREATE | ISDIR /x",
        "MOVED_TO | ISDIR /y from /x",
        "MOVED_TO | ISDIR /x from /y",
        "CREATE | ISDIR /y, synthetic",
        "ATTRIB | ISDIR /y",
        "CREATE | ISDIR /y/in_x, synthetic",
    ]


def test_change_after_an_exchange_with_outside(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """Events of a thing that replaced another are reported in their order."""
    for path in (tmp_path / "other", root / "y"):
        os.mknod(path)
    consumer.read()
    churn.exchange(tmp_path / "other", root / "y")
    (root / "y").chmod(0o600)
    assert consumer.lines() == [
        "MOVED_TO /y",
        "ATTRIB /y",
        "MOVED_FROM /y",
        "CREATE /y, synthetic",
    ]


def test_change_after_an_exchange_of_directories(
    consumer: churn.Consumer, root: Path
) -> None:
    """After an exchange of two directories, the one that came stays."""
    consumer.halves_are_sure = False
    for name in ("a", "x", "y", "z"):
        (root / name).mkdir()
    consumer.read()
    churn.exchange(root / "x", root / "y")
    for name in ("a", "y", "z"):
        (root / name).chmod(0o700)
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /y from /x",
        "ATTRIB | ISDIR /a",
        "ATTRIB | ISDIR /y",
        "ATTRIB | ISDIR /z",
        "MOVED_TO | ISDIR /x",
    ]


def test_other_renames_after_an_exchange(consumer: churn.Consumer, root: Path) -> None:
    """Which of two directories moved, no MOVE_SELF of a third one says."""
    consumer.halves_are_sure = False
    for path in ("before/z", "x", "y", "after/z"):  # so are their watches numbered
        (root / path).mkdir(parents=True)
        consumer.read()
    churn.exchange(root / "x", root / "y")
    for name in ("before", "after"):
        (root / name / "z").rename(root / name / "new")
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /y from /x",
        "MOVED_TO | ISDIR /before/new from /before/z",
        "MOVED_TO | ISDIR /after/new from /after/z",
        "MOVED_TO | ISDIR /x",
    ]


def test_change_of_what_came_by_an_exchange(
    consumer: churn.Consumer, root: Path
) -> None:
    """Events of a directory whose rename is ambiguous are reported after it."""
    consumer.halves_are_sure = False
    for name in ("x", "y"):
        (root / name).mkdir()
    consumer.read()
    churn.exchange(root / "x", root / "y")
    (root / "x").chmod(0o700)
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /y from /x",
        "MOVED_TO | ISDIR /x",
        "ATTRIB | ISDIR /x",
    ]


def test_exchange_and_the_directory_around_it_leaves(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """An exchange in a directory that leaves next is not reported."""
    consumer.halves_are_sure = False
    for name in ("x", "y"):
        (root / "p" / name).mkdir(parents=True)
    consumer.read()
    churn.exchange(root / "p" / "x", root / "p" / "y")
    (root / "p").rename(tmp_path / "outside")
    assert consumer.lines() == [
        "MOVED_TO | ISDIR /p/y from /p/x",
        "MOVED_FROM | ISDIR /p",
    ]


def test_doubt_in_a_directory_that_goes(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """Whether a name is still there is not asked of a directory that is gone."""
    (root / "p").mkdir()
    os.mknod(tmp_path / "file")
    consumer.read()
    (tmp_path / "file").rename(root / "p" / "file")
    (root / "p" / "file").rename(tmp_path / "file")
    (root / "p").rmdir()
    assert consumer.lines() == [
        "MOVED_TO /p/file",
        "MOVED_FROM /p/file",
        "DELETE | ISDIR /p",
    ]
    assert (
        not consumer.watcher._inotify_cffi.tracker._unverified
    )  # else it would be asked for ever


def test_rename_into_a_root_that_goes_meanwhile(root: Path, tmp_path: Path) -> None:
    """A directory renamed into a root that is gone before the decision has left."""
    other = tmp_path / "other"
    other.mkdir()
    with churn.Consumer(root, other) as consumer:
        consumer.halves_are_sure = False
        for name in ("x", "y"):
            (root / name).mkdir()
        consumer.read()
        (root / "x").rename(root / "y")
        (root / "y").rename(other / "z")
        other.rename(tmp_path / "elsewhere")

        def root_first(events: list[Event]) -> Batches:
            # The root's rename needs no lock that the first one holds.
            at = _at(events, flags.MOVED_TO, "z") + 1
            assert events[at].mask & events[at + 1].mask & flags.MOVE_SELF
            events[at], events[at + 1] = events[at + 1], events[at]
            return [events]

        _deal(consumer, root_first)
        events = [(event.path, event.mask & ~ISDIR) for event in consumer.read()]
        assert events == [
            (str(root / "y"), flags.MOVED_TO),
            (str(other), flags.MOVE_SELF),
            (str(root / "y"), flags.MOVED_FROM),
        ]


# ---- first halves in what goes ------------------------------------------------------


def test_what_left_before_its_directory_was_replaced(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """A file that left a directory is reported before another takes its place."""
    for name in ("d", "new"):
        (root / name).mkdir()
    os.mknod(root / "d" / "file")
    consumer.read()
    (root / "d" / "file").rename(tmp_path / "file")
    (root / "new").rename(root / "d")
    assert consumer.lines() == [
        "MOVED_FROM /d/file",
        "MOVED_TO | ISDIR /d from /new",
    ]


def test_what_left_before_its_directory_went(
    consumer: churn.Consumer, root: Path, tmp_path: Path
) -> None:
    """A file that left a directory is reported before the directory's end."""
    for name in ("d", "e", "f"):
        (root / name).mkdir()
        os.mknod(root / name / "file")
    consumer.read()
    for name in ("d", "e", "f"):
        (root / name / "file").rename(tmp_path / name)
    (root / "d").rmdir()
    (root / "f").rename(tmp_path / "elsewhere")
    assert consumer.lines() == [
        "MOVED_FROM /d/file",
        "DELETE | ISDIR /d",
        "MOVED_FROM /f/file",
        "MOVED_FROM | ISDIR /f",
        "MOVED_FROM /e/file",
    ]


def test_root_that_goes_between_two_halves(root: Path, tmp_path: Path) -> None:
    """A rename from a root that has just gone is one from outside."""
    other = tmp_path / "other"
    other.mkdir()
    os.mknod(root / "file")
    with churn.Consumer(root, other) as consumer:
        (root / "file").rename(other / "file")
        root.rename(tmp_path / "elsewhere")

        def root_first(events: list[Event]) -> Batches:
            # The root's rename needs no lock that the first one holds.
            at = _at(events, flags.MOVED_TO, "file")
            assert events[at + 1].mask & flags.MOVE_SELF
            events[at], events[at + 1] = events[at + 1], events[at]
            return [events]

        _deal(consumer, root_first)
        # The root's end is found on the way to it, behind the rename.
        assert [tuple(event)[:3] for event in consumer.read()] == [
            (f"{other}/file", flags.MOVED_TO, f"{root}/file"),
            (str(root), flags.MOVE_SELF, None),
        ]


# ---- events that cannot be ----------------------------------------------------------


@pytest.mark.parametrize("over", [True, False])
def test_directory_that_moves_below_itself(
    consumer: churn.Consumer, root: Path, over: bool
) -> None:
    """If an event must be missing, that is an overflow, and all is reported anew."""
    consumer.halves_are_sure = False
    (root / "x" / "p").mkdir(parents=True)
    consumer.read()
    (root / "x" / "p").rename(root / "p")
    if over:
        (root / "p" / "z").mkdir()
    (root / "x").rename(root / "p" / "z")
    _deal(consumer, lambda events: [[event for event in events if event.name != "p"]])
    lines = consumer.lines()
    assert lines[-3:] == [
        "Q_OVERFLOW",
        "CREATE | ISDIR /p, synthetic",
        "CREATE | ISDIR /p/z, synthetic",
    ]
    assert churn.probe(consumer) == []


def test_directory_that_moves_below_itself_under_two_names(
    root: Path, tmp_path: Path
) -> None:
    """If one event would decide for two roots, both are reported anew."""
    (tmp_path / "link").symlink_to(root)
    (root / "x" / "p").mkdir(parents=True)
    (root / "y").mkdir()
    with churn.Consumer(root, tmp_path / "link") as consumer:
        consumer.halves_are_sure = False
        (root / "x" / "p").rename(root / "p")
        (root / "x").rename(root / "y")
        (root / "y").rename(root / "p" / "z")
        _deal(consumer, lambda events: [[one for one in events if one.name != "p"]])
        overflows = [
            event for event in consumer.read() if event.mask & flags.Q_OVERFLOW
        ]
        assert [event.path for event in overflows] == [str(root), f"{tmp_path}/link"]


# ---- windows, and the ways to roots --------------------------------------------------


def test_file_renamed_under_the_watch_of_a_way(
    root: Path, in_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is created and renamed before a scan has its last name alone.

    The directory has a watch before it is scanned: a way to a missing root needs it.
    """
    scan = Watches.scan

    def rename_and_scan(
        watches: Watches, paths: Sequence[str], **options: Any
    ) -> Found:
        if str(root / "d") in paths:
            os.mknod(root / "d" / "old")
            (root / "d" / "old").rename(root / "d" / "new")
        return scan(watches, paths, **options)

    # The moment between the watch of the way and that of the scan.
    monkeypatch.setattr(Watches, "scan", rename_and_scan)
    with TreeWatcher(root, root / "d" / "missing", missing_ok=True) as watcher:
        (root / "d").mkdir()
        assert _lines(watcher, root) == [
            "CREATE | ISDIR /d",
            "CREATE /d/new, synthetic",
        ]


def test_rename_into_a_window_whose_scan_is_made_again(
    root: Path, after_listing: AfterListing
) -> None:
    """A directory renamed into a window is reported once if the scan is made again.

    The link in the path of the root is made anew in the window, and leads to the same
    directory. So nothing that the queue has of the directory tells that in advance.
    """
    (root / "known" / "k" / "below").mkdir(parents=True)
    (root / "real").mkdir()
    link, new = root / "link", root / "new"

    def change() -> None:
        (root / "known" / "k").rename(root / "real" / "k")
        new.symlink_to("real")
        new.replace(link)

    with TreeWatcher(root / "known", link, missing_ok=True) as watcher:
        link.symlink_to("real")
        after_listing(root / "real", change)
        assert _lines(watcher, root) == [
            "CREATE | ISDIR /link, synthetic",
            "MOVED_TO | ISDIR /link/k from /known/k",
        ]
        (root / "real" / "k" / "below" / "x").mkdir()
        assert _lines(watcher, root) == ["CREATE | ISDIR /link/k/below/x"]


def _lines(watcher: TreeWatcher, root: Path) -> list[str]:
    return [churn.in_words(event, str(root)) for event in watcher.read(timeout=0)]
