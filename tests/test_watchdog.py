"""inotify_cffi.watchdog: watchdog's Observer, over TreeWatcher."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import churn
import pytest
import scanned_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

watchdog_events = pytest.importorskip("watchdog.events")

from watchdog.events import (  # noqa: E402
    DirDeletedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import EventQueue, ObservedWatch  # noqa: E402

import inotify_cffi.watchdog  # noqa: E402
from inotify_cffi import TreeEvent, _last_state, flags  # noqa: E402
from inotify_cffi._names import Names  # noqa: E402
from inotify_cffi.watchdog import Observer, TreeEmitter  # noqa: E402

PATIENCE = 60
RUNS = int(os.environ.get("WATCHDOG_RUNS", "4"))


class Recorder(FileSystemEventHandler):  # type: ignore[misc, unused-ignore]
    """Keeps what it is given, and waits for a name."""

    def __init__(self) -> None:
        self.events: list[FileSystemEvent] = []
        self.seen: dict[str, threading.Event] = {}

    def on_any_event(self, event: FileSystemEvent) -> None:
        self.events.append(event)
        for path in (event.src_path, event.dest_path):
            name = os.path.basename(os.fsdecode(path or ""))
            self.seen.setdefault(name, threading.Event()).set()

    def wait_for(self, name: str) -> None:
        assert self.seen.setdefault(name, threading.Event()).wait(PATIENCE)

    def words(self, root: Path) -> list[str]:
        """The events of names, below a root; a directory has a slash."""
        found = []
        for event in self.events:
            if event.event_type in ("created", "deleted", "moved"):
                slash = "/" * event.is_directory
                path = os.fsdecode(event.src_path)[len(str(root)) :]
                words = f"{event.event_type} {path}{slash}"
                if event.event_type == "moved":
                    words += f" to {os.fsdecode(event.dest_path)[len(str(root)) :]}"
                found.append(words)
        return found


@contextlib.contextmanager
def running(observer: Observer) -> Iterator[None]:
    """As `with observer` of watchdog 7; watchdog 6 has none."""
    observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "d" / "e").mkdir(parents=True)
    (root / "d" / "e" / "f").touch()
    return root


@pytest.fixture
def recorder(root: Path) -> Iterator[Recorder]:
    recorder = Recorder()
    observer = Observer()
    observer.schedule(recorder, str(root), recursive=True)
    observer.start()
    yield recorder
    observer.stop()
    observer.join()


def _last(recorder: Recorder, root: Path) -> list[str]:
    (root / "last").touch()
    recorder.wait_for("last")
    return [words for words in recorder.words(root) if words != "created /last"]


def test_new_directories(recorder: Recorder, root: Path) -> None:
    """Every directory that makedirs made is reported, and what is in it."""
    for number in range(50):
        (root / f"n{number}" / "a" / "b").mkdir(parents=True)
        (root / f"n{number}" / "a" / "b" / f"leaf{number}").touch()
    for number in range(50):
        recorder.wait_for(f"leaf{number}")
    created = [words for words in _last(recorder, root) if "leaf" in words]
    assert len(created) == len(set(created)) == 50


def test_moves_below(recorder: Recorder, root: Path) -> None:
    """The content of a directory moves with it, as it was at the rename."""
    os.rename(root / "d", root / "x")
    os.rename(root / "x", root / "y")
    assert _last(recorder, root) == [
        "moved /d/ to /x",
        "moved /d/e/ to /x/e",
        "moved /d/e/f to /x/e/f",
        "moved /x/ to /y",
        "moved /x/e/ to /y/e",
        "moved /x/e/f to /y/e/f",
    ]


def test_left_the_tree(recorder: Recorder, root: Path, tmp_path: Path) -> None:
    """A rename out of the tree is a deletion of everything; back, a creation."""
    os.rename(root / "d", tmp_path / "d")
    os.rename(tmp_path / "d" / "e" / "f", tmp_path / "d" / "e" / "g")
    os.rename(tmp_path / "d", root / "back")
    recorder.wait_for("g")  # a scan finds it, perhaps after later events elsewhere
    assert _last(recorder, root) == [
        "deleted /d/e/f",
        "deleted /d/e/",
        "deleted /d/",
        "created /back/",
        "created /back/e/",
        "created /back/e/g",
    ]


def test_an_overflow_is_a_difference(root: Path) -> None:
    """After an overflow, what was missed is reported, and no more."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue")
    recorder = Recorder()
    blocked, go_on = threading.Event(), threading.Event()
    observer = Observer()
    with churn.short_queue(16):
        watch = observer.schedule(recorder, str(root), recursive=True)
        observer.start()
    (emitter,) = observer.emitters
    watcher: Any = vars(emitter)["_watcher"]  # nothing public holds it up
    read = watcher.read

    def slow(*arguments: Any, **options: Any) -> Any:
        blocked.set()
        assert go_on.wait(PATIENCE)
        return read(*arguments, **options)

    watcher.read = slow
    (root / "first").touch()
    assert blocked.wait(PATIENCE)
    for number in range(100):
        (root / f"passing{number}").touch()
        (root / f"passing{number}").unlink()
    shutil.rmtree(root / "d")
    (root / "n").touch()
    go_on.set()
    for name in ("n", "f", "e", "d"):
        recorder.wait_for(name)
    observer.unschedule(watch)
    observer.stop()
    observer.join()
    words = [words for words in recorder.words(root) if "passing" not in words]
    words.remove("created /first")
    assert sorted(words) == [
        "created /n",
        "deleted /d/",
        "deleted /d/e/",
        "deleted /d/e/f",
    ]


def test_not_recursive(root: Path) -> None:
    """Without recursive, only what is in the directory itself is reported."""
    recorder = Recorder()
    observer = Observer()
    observer.schedule(recorder, str(root))
    with running(observer):
        (root / "d" / "n").touch()
        (root / "d" / "e" / "f").rename(root / "f")
        assert _last(recorder, root) == ["created /f"]


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_paths_as_given(root: Path, kind: Callable[[Path], Any]) -> None:
    """Paths are bytes where the scheduled one is, and else str."""
    recorder = Recorder()
    observer = Observer()
    observer.schedule(recorder, kind(root), recursive=True)
    observer.start()
    (root / "n").touch()
    recorder.wait_for("n")
    observer.stop()
    observer.join()
    expected = bytes if kind is os.fsencode else str
    assert {type(event.src_path) for event in recorder.events} == {expected}


def test_root_is_deleted(root: Path) -> None:
    """When the root is deleted, that is reported, and its emitter ends."""
    recorder = Recorder()
    observer = Observer()
    observer.schedule(recorder, str(root), recursive=True)
    observer.start()
    (emitter,) = observer.emitters
    shutil.rmtree(root)
    recorder.wait_for("root")
    emitter.join(PATIENCE)
    assert not emitter.is_alive()
    observer.stop()
    observer.join()
    assert DirDeletedEvent(str(root)) in recorder.events


def test_full_events(root: Path, tmp_path: Path) -> None:
    """With full events, what leaves and what comes are moves with one path."""
    recorder = Recorder()
    observer = Observer(generate_full_events=True)
    observer.schedule(recorder, str(root), recursive=True)
    with running(observer):
        os.rename(root / "d" / "e" / "f", tmp_path / "f")
        os.rename(tmp_path / "f", root / "g")
        recorder.wait_for("f")
        recorder.wait_for("g")
    paths = [
        (event.src_path, event.dest_path)
        for event in recorder.events
        if event.event_type == "moved"
    ]
    # A move is held back, in case it ends at another place in the tree.
    assert sorted(paths) == [("", str(root / "g")), (str(root / "d" / "e" / "f"), "")]


def test_event_filter(root: Path) -> None:
    """Only the events that are asked for are reported."""
    recorder = Recorder()
    observer = Observer()
    kinds = [watchdog_events.FileClosedEvent, watchdog_events.FileMovedEvent]
    observer.schedule(recorder, str(root), recursive=True, event_filter=kinds)
    with running(observer):
        (root / "n").write_text("text")
        os.rename(root / "n", root / "m")
        recorder.wait_for("m")
    found = [event.event_type for event in recorder.events]
    assert found == ["closed", "moved"]


def test_links_are_not_followed(root: Path) -> None:
    """follow_symlink=True is refused, and says what to do."""
    observer = Observer()
    observer.start()
    try:
        with pytest.raises((NotImplementedError, TypeError), match="follow_symlink"):
            observer.schedule(Recorder(), str(root), follow_symlink=True)
    finally:
        observer.stop()
        observer.join()


class Reads:
    """What an emitter takes for a watcher: the results of its reads are given."""

    closed = False

    def __init__(self) -> None:
        self.left: list[list[TreeEvent]] = []

    def add(self, events: list[TreeEvent], chance: random.Random) -> None:
        """Add events, which some reads return together."""
        while events:
            length = chance.randint(1, len(events))
            self.left.append(events[:length])
            events = events[length:]

    def read(self, timeout: float | None = None) -> list[TreeEvent]:
        return self.left.pop(0) if self.left else []


class Emitted:
    """The paths that an emitter has reported; each that goes has to be there."""

    def __init__(self, reads: Reads) -> None:
        self.there: set[str] = set()
        self._events = EventQueue()
        watch = ObservedWatch(scanned_model.ROOT, recursive=True)
        self._emitter = TreeEmitter(self._events, watch)
        with pytest.MonkeyPatch.context() as patch:
            start = reads, Names([scanned_model.ROOT])
            patch.setattr(inotify_cffi.watchdog, "begin", lambda trees: start)
            self._emitter.on_thread_start()

    def follow(self) -> None:
        self._emitter.queue_events(0)
        while not self._events.empty():
            event, _ = self._events.get()
            if event.event_type == "created":
                self.there.add(event.src_path)
            elif event.event_type in ("deleted", "moved"):
                assert event.src_path in self.there, event
                self.there.discard(event.src_path)
                if event.event_type == "moved":
                    self.there.add(event.dest_path)


def test_an_overflow_after_many_reads() -> None:
    """An overflow is followed also when another one was just followed for long."""

    def read(name: str, mask: int, *, synthetic: bool = False) -> list[TreeEvent]:
        path = f"{scanned_model.ROOT}{name}"
        return [TreeEvent(path, int(mask), None, synthetic)]

    reads = Reads()
    emitted = Emitted(reads)
    overflow = read("", flags.Q_OVERFLOW)
    found = read("/a", flags.CREATE, synthetic=True)
    reads.left = [read("/a", flags.CREATE), [*overflow, *found]]
    reads.left += [read("/a", flags.MODIFY)] * 19 + [overflow]
    while reads.left:
        emitted.follow()
    assert emitted.there == set()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 20]))
def test_scans_and_overflows(seed: int, most_reads: int) -> None:
    """Each event applies, however scans, overflows and reads lie to each other."""
    chance = random.Random(seed)
    model = scanned_model.Model(chance)
    reads = Reads()
    emitted = Emitted(reads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_last_state, "_MOST_READS", most_reads)
        for _ in scanned_model.operations(model, chance):
            reads.add(model.take(is_complete=False), chance)
            if chance.random() < 0.3:
                emitted.follow()
        reads.add(model.take(is_complete=True), chance)
        while reads.left:
            emitted.follow()
    assert emitted.there == set(scanned_model.paths(model.tree.known()))


def paths_below(root: str) -> set[str]:
    return {
        os.path.join(above, name)
        for above, directories, files in os.walk(root)
        for name in directories + files
    }


class Consumer(FileSystemEventHandler):  # type: ignore[misc, unused-ignore]
    """Applies the events to a set of paths, and notes those that do not apply."""

    def __init__(self, root: str) -> None:
        self.paths = paths_below(root)
        self.unclean: list[str] = []
        self.changed = threading.Condition()

    def wait_for_paths(self, paths: set[str]) -> None:
        """Wait until it has these, and no others; give up after a while."""
        with self.changed:
            self.changed.wait_for(lambda: self.paths == paths, PATIENCE)

    def dispatch(self, event: FileSystemEvent) -> None:
        with self.changed:
            self.apply(event)
            self.changed.notify_all()

    def apply(self, event: FileSystemEvent) -> None:
        if event.event_type == "created":
            self.paths.add(os.fsdecode(event.src_path))
        elif event.event_type in ("deleted", "moved"):
            if event.src_path not in self.paths:
                self.unclean.append(str(event))
            self.paths.discard(os.fsdecode(event.src_path))
            if event.event_type == "moved":
                self.paths.add(os.fsdecode(event.dest_path))


class GatedWriter(churn.Writer):
    """Begins when the other end of a pipe is closed."""

    def __init__(
        self, root: str, outside: str, seed: int, gate: tuple[int, int]
    ) -> None:
        super().__init__(root, outside, seed)
        self.gate = gate

    def run(self, seconds: float) -> None:
        os.close(self.gate[1])
        os.read(self.gate[0], 1)
        super().run(seconds)


# pytest-xdist has threads of its own, and on 3.15 the warning is raised by fork().
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("seed", range(RUNS))
def test_churn(tmp_path: Path, seed: int) -> None:
    """A consumer of a tree that changes at full speed ends with the true tree."""
    root, outside = str(tmp_path / "root"), str(tmp_path / "outside")
    os.mkdir(root)
    os.mkdir(outside)
    gate = os.pipe()
    writers = [
        GatedWriter(root, outside, 2 * seed + number, gate) for number in range(2)
    ]
    for _ in range(20):
        writers[0].make_deep()
    # A process with threads is not safely forked, so that is done before there are any.
    pids = [churn.start_writer(each, 0.3, False) for each in writers]
    os.close(gate[0])
    consumer = Consumer(root)
    chance = random.Random(seed)
    shorten = os.access(churn.MAX_QUEUED_EVENTS, os.W_OK) and chance.random() < 0.5
    observer = Observer()
    observer.schedule(consumer, root, recursive=True)
    try:
        if shorten:
            with churn.short_queue(chance.choice((64, 256))):
                observer.start()
        else:
            observer.start()
    finally:
        os.close(gate[1])
    try:
        statuses = [os.waitpid(pid, 0)[1] for pid in pids]
        # The first half of a rename may be held back, and what a scan found may come
        # later than what is newer: no event says which is the last.
        consumer.wait_for_paths(paths_below(root))
    finally:
        observer.stop()
        observer.join()
    assert statuses == [0, 0]
    assert consumer.unclean == []
    assert consumer.paths == paths_below(root)
