"""Churn a tree at random, and compare TreeWatcher's events with the real tree.

    python tests/churn.py --all --runs 200
    python tests/churn.py --manner overflow --writers 3 --seconds 2 --seed 7
    python tests/churn.py --all --exchanges  # one operation in eight is an exchange

A strict mirror applies each event to a copy of the tree. An event that does
not apply is *unclean*; a copy that differs from the tree once the queue is
empty is *untrue*. A rename with both halves in the queue has to be one
event; the kernel's watches have to be those of the directories that are there;
and a file made in each directory at last has to be reported at its path. The seed of
a run that fails is printed, and repeats the writers' operations.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Optional, Union

from inotify_cffi import Event, TreeEvent, TreeWatcher, flags, mask_str, masks

MANNERS = ("full", "pauses", "stopped", "overflow")
# The table of --all: manner and number of writers.
TABLE = [("full", 1), ("pauses", 1), ("full", 3), ("stopped", 2), ("overflow", 2)]
MAX_QUEUED_EVENTS = "/proc/sys/fs/inotify/max_queued_events"
# Any file that all processes of the machine see, to take turns with.
_TURNSTILE = "/proc/sys/fs/inotify/max_user_watches"
# Set while a process above this one, or this one, keeps the queues long: its pid.
HELD_ABOVE = "CHURN_LONG_QUEUES"
GONE = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT

SHOWS_EXCL_UNLINK = tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 19)

Tree = dict[str, Optional["Tree"]]  # directories are dicts, files None
Path = Union[str, "os.PathLike[str]"]

_libc = ctypes.CDLL(None, use_errno=True)
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


def exchange(one: Path, other: Path) -> None:
    """Let two names change places, in one step: renameat2(2)."""
    names = os.fsencode(one), os.fsencode(other)
    if _libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one, None, other)


class Mirror:
    """A consumer's copy of some trees, and the events that did not apply to it."""

    def __init__(self, *roots: str) -> None:
        self.trees: dict[str, Tree] = {root: {} for root in roots}
        self.gone: set[str] = set()  # roots that lead to nothing
        self.unclean: list[str] = []
        self.overflows = 0
        self.events = 0
        # A file may be written to under the name that it just lost, where one
        # process writes and another renames.
        self.names_are_sure = True
        # An unmount takes all below it with one synthetic DELETE.
        self.unmounts = False

    def apply(self, event: TreeEvent) -> None:
        self.events += 1
        if event.path in self.trees or event.path in self.gone:
            self._apply_to_root(event)
            return
        above, name = self._find(event, event.path)
        if above is None:
            return
        mask = event.mask
        kind: Tree | None = {} if mask & flags.ISDIR else None
        if mask & flags.CREATE:
            if name in above:
                self._note(event, "is there already")
            above[name] = kind
        elif mask & (flags.DELETE | flags.MOVED_FROM):
            self._take(event, above, name, kind)
        elif mask & flags.MOVED_TO:
            if event.old_path is not None:
                old_above, old_name = self._find(event, event.old_path)
                if old_above is None:
                    return
                kind = self._take(event, old_above, old_name, kind)
            above[name] = kind
        elif name not in above and self.names_are_sure and name[0] != "#":
            self._note(event, "is not there")  # O_TMPFILE has such a name: #123

    def _apply_to_root(self, event: TreeEvent) -> None:
        if event.mask & flags.Q_OVERFLOW:
            if event.path in self.trees:
                self.trees[event.path] = {}
            self.overflows += 1
        elif event.mask & GONE:
            if self.trees.pop(event.path, None) is None:
                self._note(event, "is gone already")
            self.gone.add(event.path)
        elif event.mask & flags.CREATE and event.synthetic and event.path in self.gone:
            self.gone.discard(event.path)
            self.trees[event.path] = {}
        elif event.mask & (flags.CREATE | flags.DELETE | masks.MOVE):
            self._note(event, "is a root")

    def _take(
        self, event: TreeEvent, above: Tree, name: str, kind: Tree | None
    ) -> Tree | None:
        if name not in above:
            self._note(event, "is not there" if event.old_path is None else "was not")
            return kind
        taken = above.pop(name)
        if (taken is None) != (kind is None):
            self._note(event, "is of the other kind")
        elif event.mask & flags.DELETE and taken and not self._may_unmount(event):
            self._note(event, f"is not empty: {list(taken)[:3]}")
        return taken

    def _may_unmount(self, event: TreeEvent) -> bool:
        return self.unmounts and event.synthetic

    def _find(self, event: TreeEvent, path: str) -> tuple[Tree | None, str]:
        root = next((root for root in self.trees if path.startswith(root + "/")), None)
        if root is None:
            self._note(event, "is outside the roots")
            return None, ""
        *names, name = path[len(root) + 1 :].split("/")
        above = self.trees[root]
        for step in names:
            below = above.get(step)
            if below is None:
                self._note(event, f"is below {step!r}, which was not reported")
                return None, ""
            above = below
        return above, name

    def _note(self, event: TreeEvent, why: str) -> None:
        self.unclean.append(f"{mask_str(event.mask)} {event}: {why}")


def real_tree(path: str, left_out: frozenset[str] = frozenset()) -> Tree:
    """The real tree. ``left_out`` are paths that must not be reported."""
    with os.scandir(path) as entries:
        return {
            entry.name: real_tree(entry.path, left_out)
            if entry.is_dir(follow_symlinks=False)
            else None
            for entry in entries
            if entry.path not in left_out
        }


def difference(reported: Tree, real: Tree, path: str = "") -> list[str]:
    found = []
    for name in sorted(set(reported) | set(real)):
        here = f"{path}/{name}"
        if name not in real:
            found.append(f"reported, not there: {here}")
        elif name not in reported:
            found.append(f"there, not reported: {here}")
        else:
            below, really_below = reported[name], real[name]
            if below is not None and really_below is not None:
                found += difference(below, really_below, here)
            elif below is not really_below:
                found.append(f"another kind: {here}")
    return found


def directories(path: str, tree: Tree) -> list[str]:
    """The paths of a directory and of all below it."""
    found = [path]
    for name, below in tree.items():
        if below is not None:
            found += directories(f"{path}/{name}", below)
    return found


def kernel_watches(watcher: TreeWatcher) -> list[tuple[int, int]]:
    """Device and inode of all directories that the kernel watches for a watcher.

    What is watched for itself only, and not for what is in it, is on the way to a
    root.
    """
    found = []
    with open(f"/proc/self/fdinfo/{watcher._inotify_cffi.inotify.fileno()}") as fdinfo:
        for line in fdinfo:
            if line.startswith("inotify "):
                _, _, inode, device, mask, *_ = line.split()
                bits = int(mask[len("mask:") :], 16)
                if not bits & flags.MOVED_FROM:
                    continue
                # A way watches so for the name of what may not be read. From Linux
                # 5.19 on, EXCL_UNLINK distinguishes the two.
                if SHOWS_EXCL_UNLINK and not bits & flags.EXCL_UNLINK:
                    continue
                number = int(device[len("sdev:") :], 16)
                device_number = os.makedev(number >> 20, number & 0xFFFFF)
                found.append((device_number, int(inode[len("ino:") :], 16)))
    return sorted(found)


class Consumer:
    """A watcher, and a strict mirror of its events.

    As a context it is checked at its end: clean, true, and no watch too many or
    too few. ``left_out`` are paths that are there and must not be reported.
    """

    def __init__(self, *roots: Path, left_out: Iterable[Path] = (), **options: Any):
        self.left_out = frozenset(os.fspath(path) for path in left_out)
        self.file_roots: list[str] = []
        self.raw: list[Event] = []
        self.left: list[str] = []  # the names that were reported as leaving
        # Whether two halves from the kernel always are a rename inside the trees.
        # They are not where directories leave, as their watches live on for a
        # while, nor where names are left out, or a directory is there twice; and
        # an exchange looks like two renames, to a place and back.
        self.halves_are_sure = "exclude" not in options
        self.mirror = Mirror(*[os.fspath(root) for root in roots])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.watcher = TreeWatcher(*roots, **options)
        if not options.get("initial"):
            for root in self.mirror.trees:
                self.mirror.trees[root] = real_tree(root, self.left_out)
        # The kernel's events, batch by batch.
        read = self.watcher._inotify_cffi.inotify.read

        def listen(*arguments: Any, **options: Any) -> list[Event]:
            batch = read(*arguments, **options)
            self.raw += batch
            return batch

        vars(self.watcher._inotify_cffi.inotify)["read"] = listen

    def __enter__(self) -> Consumer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.check()
        finally:
            self.watcher.close()

    def read(self, timeout: float | None = 0) -> list[TreeEvent]:
        events = self.watcher.read(timeout=timeout)
        for event in events:
            self.mirror.apply(event)
            if event.mask & flags.MOVED_FROM:
                self.left.append(os.path.basename(event.path))
        return events

    def lines(self, timeout: float | None = 0) -> list[str]:
        """Read, and return the events as text, below the first root."""
        return [in_words(event, next(iter(self.mirror.trees))) for event in self.read()]

    def check(self) -> None:
        """Read what there is, and assert that nothing is wrong."""
        self.read()
        wrong = self.wrong()
        assert not wrong, "\n".join(wrong[:20])

    def wrong(self) -> list[str]:
        """The errors, once all events have been read."""
        wrong = [f"unclean: {note}" for note in self.mirror.unclean]
        there = set()
        for root, tree in self.mirror.trees.items():
            real = real_tree(root, self.left_out)
            wrong += [f"untrue: {line}" for line in difference(tree, real, root)]
            for directory in directories(root, real):
                status = os.stat(directory)
                there.add((status.st_dev, status.st_ino))
        for path in self.file_roots:
            status = os.stat(os.path.dirname(path))
            there.add((status.st_dev, status.st_ino))
        watched = kernel_watches(self.watcher)
        if watched != sorted(there):
            wrong.append(f"watches: {len(watched)} for {len(there)} directories")
        return wrong + self.split_renames()

    def split_renames(self) -> list[str]:
        """Names that were reported as leaving, though both halves were queued."""
        if not self.halves_are_sure:
            return []
        first_halves: dict[int, str] = {}
        for event in self.raw:
            if event.mask & flags.MOVED_FROM:
                first_halves[event.cookie] = event.name
            elif event.mask & flags.MOVED_TO:
                first_halves.pop(event.cookie, None)
        left = Counter(first_halves.values())
        reported = Counter(self.left)
        return [
            f"split: {reported[name] - left[name]} renames of {name!r}"
            for name in reported
            if reported[name] > left[name]
        ]


def in_words(event: TreeEvent, root: str) -> str:
    """An event as ``MOVED_TO | ISDIR /new from /old``, below a root."""
    words = f"{mask_str(event.mask)} {event.path[len(root) :]}".rstrip()
    if event.old_path is not None:
        words += f" from {event.old_path[len(root) :]}"
    return f"{words}, synthetic" if event.synthetic else words


class Writer:
    """One process's random operations, at full speed, in a tree and outside."""

    def __init__(
        self,
        root: str,
        outside: str,
        seed: int,
        *,
        everything: bool = True,
        exchanges: bool = False,
    ) -> None:
        self.root = root
        self.everything = everything  # moves out and exchanges, too
        self.exchanges = exchanges  # one operation in eight is an exchange
        self.outside = outside
        self.random = random.Random(seed)
        self.names = [f"{letter}{number}" for letter in "abc" for number in range(3)]

    def run(self, seconds: float) -> None:
        operations = [
            (self.make, 6),
            (self.make_deep, 3),
            (self.rename_inside, 6),
            (self.rename_out, 2 * self.everything),
            (self.rename_in, 3),
            (self.replace, 2),
            (self.exchange, 4 if self.exchanges else self.everything),
            (self.remove, 3),
            (self.remove_tree, 1),
            (self.recreate, 1),
        ]
        actions = [action for action, weight in operations for _ in range(weight)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(50):
                with contextlib.suppress(OSError):  # another writer was first
                    self.random.choice(actions)()

    def place(self, top: str, depth: int = 4) -> str:
        names = [
            self.random.choice(self.names) for _ in range(self.random.randint(1, depth))
        ]
        return "/".join([top, *names])

    def make(self) -> None:
        path = self.place(self.root)
        if self.random.random() < 0.5:
            os.mkdir(path)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))

    def make_deep(self) -> None:
        path = self.place(self.root, 6)
        os.makedirs(path, exist_ok=True)
        os.close(os.open(f"{path}/f", os.O_CREAT | os.O_WRONLY))

    def rename_inside(self) -> None:
        os.rename(self.place(self.root), self.place(self.root))

    def rename_out(self) -> None:
        os.rename(self.place(self.root), self.place(self.outside, 1))

    def rename_in(self) -> None:
        path = self.place(self.outside, 2)
        if not self.everything:  # nothing has come there from the tree
            os.makedirs(path, exist_ok=True)
        os.rename(path, self.place(self.root))

    def replace(self) -> None:
        path = self.place(self.root)
        os.close(os.open(path + "~", os.O_CREAT | os.O_WRONLY))
        os.rename(path + "~", path)

    def exchange(self) -> None:
        exchange(self.place(self.root), self.place(self.root))

    def remove(self) -> None:
        path = self.place(self.root)
        if self.random.random() < 0.5:
            os.rmdir(path)
        else:
            os.unlink(path)

    def remove_tree(self) -> None:
        shutil.rmtree(self.place(self.root), ignore_errors=True)

    def recreate(self) -> None:
        path = self.place(self.root)
        os.rmdir(path)
        os.mkdir(path)


def start_writer(writer: Writer, seconds: float, stop_reader: bool) -> int:
    reader = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if stop_reader:
            os.kill(reader, signal.SIGSTOP)
            try:
                writer.run(seconds / 2)
            finally:
                os.kill(reader, signal.SIGCONT)
            writer.run(seconds / 2)
        else:
            writer.run(seconds)
        status = 0
    finally:
        os._exit(status)


class Run(NamedTuple):
    manner: str
    writers: int
    seconds: float
    directory: str | None
    seed: int
    split: bool = False
    exchanges: bool = False


def one_run(run: Run) -> tuple[list[str], Mirror]:
    """Run once; return what was wrong, and the mirror."""
    chance = random.Random(run.seed)
    everything = run.seed % 2 == 0
    top = tempfile.mkdtemp(prefix="churn-", dir=run.directory)
    root, outside = f"{top}/root", f"{top}/outside"
    os.mkdir(root)
    os.mkdir(outside)
    writers = [
        Writer(
            root,
            outside,
            chance.getrandbits(32),
            everything=everything,
            exchanges=run.exchanges,
        )
        for _ in range(run.writers)
    ]
    for writer in writers:
        for _ in range(20):
            with contextlib.suppress(OSError):
                writer.make_deep()
    length = chance.choice((64, 128, 256)) if run.manner == "overflow" else None
    try:
        with short_queue(length):
            consumer = Consumer(root, initial=True)
        consumer.mirror.names_are_sure = run.writers == 1
        consumer.halves_are_sure = run.split and not (everything or run.exchanges)
        with consumer.watcher:
            return follow(run, consumer, writers, chance), consumer.mirror
    finally:
        shutil.rmtree(top, ignore_errors=True)


class LongQueues:
    """Keeps every process from shortening the queues of the machine's new instances.

    It waits at a turnstile as `short_queue` does: without that, those who only need
    long queues would follow each other for ever, and who shortens them never had a
    turn.

    The programs that this process starts have long queues by that. At the turnstile
    they would stand behind who waits for this process, and this one waits for them.
    """

    _held: LongQueues | None = None  # by this process

    def __enter__(self) -> None:
        self._limit = open(MAX_QUEUED_EVENTS)
        self._take()
        LongQueues._held = self

    def _take(self) -> None:
        if HELD_ABOVE in os.environ:
            return
        with open(_TURNSTILE) as turnstile:
            fcntl.flock(turnstile, fcntl.LOCK_SH)
            fcntl.flock(self._limit, fcntl.LOCK_SH)
        os.environ[HELD_ABOVE] = str(os.getpid())

    def _release(self) -> None:
        if os.environ.get(HELD_ABOVE) == str(os.getpid()):
            del os.environ[HELD_ABOVE]
            fcntl.flock(self._limit, fcntl.LOCK_UN)

    def __exit__(self, *error: object) -> None:
        LongQueues._held = None
        self._release()
        self._limit.close()

    @classmethod
    @contextlib.contextmanager
    def interrupted(cls) -> Iterator[None]:
        """Let this process shorten the queues meanwhile."""
        held = cls._held
        if held is not None:
            held._release()
        if HELD_ABOVE in os.environ:
            holder = os.environ[HELD_ABOVE]
            raise RuntimeError(f"process {holder} keeps the queues long meanwhile")
        try:
            yield
        finally:
            if held is not None:
                held._take()


@contextlib.contextmanager
def short_queue(length: int | None) -> Iterator[None]:
    """Make the instances that are made meanwhile ones with a short queue.

    With None, make sure that they are not, beside any others who want that. A length
    needs root: the limit is the machine's, so that the processes that churn take turns
    here. Create the instance here, and do no more: the instances of every other process
    are short meanwhile, unless it is within `LongQueues`.
    """
    if length is None:
        with LongQueues() if LongQueues._held is None else contextlib.nullcontext():
            yield
        return
    with LongQueues.interrupted(), open(MAX_QUEUED_EVENTS) as sysctl:
        with open(_TURNSTILE) as turnstile:
            fcntl.flock(turnstile, fcntl.LOCK_EX)
            fcntl.flock(sysctl, fcntl.LOCK_EX)
        # A process of its own restores the limit, so that it does even when this one is
        # killed; until then it holds the lock, too.
        with subprocess.Popen(
            ["sh", "-c", 'cat; echo "$0" >"$1"', sysctl.read(), MAX_QUEUED_EVENTS],
            stdin=subprocess.PIPE,
            pass_fds=[sysctl.fileno()],
            start_new_session=True,
        ):
            with open(MAX_QUEUED_EVENTS, "w") as limit:
                limit.write(str(length))
            yield


def follow(
    run: Run, consumer: Consumer, writers: list[Writer], chance: random.Random
) -> list[str]:
    consumer.read()
    running = [
        start_writer(writer, run.seconds, run.manner == "stopped" and not index)
        for index, writer in enumerate(writers)
    ]
    while running:
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.remove(pid)
                assert status == 0, f"a writer failed: {status}"
        if run.manner == "pauses":
            time.sleep(chance.random() * 0.05)
        consumer.read(timeout=5)
    consumer.read()
    return consumer.wrong() + probe(consumer)


def probe(consumer: Consumer) -> list[str]:
    """Make a file in each directory; return the reports that are wrong or missing."""
    expected = []
    reported: list[str] = []
    (root,) = consumer.mirror.trees
    for number, path in enumerate(directories(root, real_tree(root))):
        expected.append(f"{path}/probe{number}")
        os.close(os.open(expected[-1], os.O_CREAT | os.O_WRONLY))
        if number % 20 == 0:
            reported += created(consumer)
    reported += created(consumer)
    for path in expected:
        os.unlink(path)
    return (
        []
        if reported == expected
        else [f"probes: {len(reported)} reported of {len(expected)}"]
    )


def created(consumer: Consumer) -> list[str]:
    return [event.path for event in consumer.read() if event.mask & flags.CREATE]


def many_runs(runs: Iterable[Run]) -> int:
    """Run, print what was wrong and a line of the table; return how many failed."""
    count = failed = events = overflows = 0
    begun = time.monotonic()
    for run in runs:
        wrong, mirror = one_run(run)
        count += 1
        events += mirror.events
        overflows += mirror.overflows
        if wrong:
            failed += 1
            print(run, f"{len(wrong)} wrong", *wrong[:5], sep="\n  ", flush=True)
    seconds = time.monotonic() - begun
    print(
        f"{run.manner:<10}{run.writers:>7}{count:>8}{failed:>8}"
        f"{events:>12,}{overflows:>11,}{seconds:>9.0f}",
        flush=True,
    )
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="each manner of a table")
    parser.add_argument("--runs", type=int, default=10, help="runs of each manner")
    parser.add_argument("--writers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--manner", choices=MANNERS, default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--directory", action="append", help="where to make the tree; several in turn"
    )
    parser.add_argument(
        "--split",
        action="store_true",
        help="also count renames reported as two events, on odd seeds; some are"
        " expected: into a directory that moves while it is scanned",
    )
    parser.add_argument(
        "--exchanges",
        action="store_true",
        help="let one operation in eight be a RENAME_EXCHANGE",
    )
    options = parser.parse_args()
    places: list[str | None] = options.directory or [None]
    print(
        f"{'manner':<10}{'writers':>7}{'runs':>8}{'failed':>8}{'events':>12}"
        f"{'overflows':>11}{'seconds':>9}"
    )
    failed = 0
    for manner, writers in (
        TABLE if options.all else [(options.manner, options.writers)]
    ):
        failed += many_runs(
            Run(
                manner,
                writers,
                options.seconds,
                places[seed % len(places)],
                seed,
                options.split,
                options.exchanges,
            )
            for seed in range(options.seed, options.seed + options.runs)
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
