"""Churn a tree at random, and hold what TreeWatcher tells against the real tree.

    python tests/churn.py --runs 100 --writers 3 --seconds 2 --manner full

A strict mirror applies each event to a picture of the tree. An event that does
not apply is *unclean*; a picture that differs from the tree once the queue is
empty is *untrue*; and the kernel's watches have to be those of the directories
that are there, and a file made in each directory at last be told at its path.
The seed of a run that fails is printed, and repeats the writers' operations.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from typing import Optional

from inotify_cffi import TreeEvent, TreeWatcher, flags, mask_str

MANNERS = ("full", "pauses", "stopped", "overflow")
RENAME_EXCHANGE = 2
MAX_QUEUED_EVENTS = "/proc/sys/fs/inotify/max_queued_events"

_libc = ctypes.CDLL(None, use_errno=True)


class Mirror:
    """What a consumer knows of a tree: directories are dicts, files None."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.tree: dict[str, Optional[dict]] = {}  # type: ignore[type-arg]
        self.unclean: list[str] = []
        self.overflows = 0
        self.events = 0

    def apply(self, event: TreeEvent) -> None:
        self.events += 1
        mask = event.mask
        kind: Optional[dict] = {} if mask & flags.ISDIR else None  # type: ignore[type-arg]
        if event.path == self.root:
            if mask & flags.Q_OVERFLOW:
                self.tree = {}
                self.overflows += 1
            return
        above, name = self._find(event, event.path)
        if above is None:
            return
        if mask & flags.CREATE:
            if name in above:
                self._note(event, "is there already")
            above[name] = kind
        elif mask & (flags.DELETE | flags.MOVED_FROM):
            if name not in above:
                self._note(event, "is not there")
            elif mask & flags.DELETE and above[name]:
                self._note(event, f"is not empty: {list(above[name])[:3]}")  # type: ignore[arg-type]
            above.pop(name, None)
        elif mask & flags.MOVED_TO:
            if event.old_path is not None:
                old_above, old_name = self._find(event, event.old_path)
                if old_above is None:
                    return
                if old_name not in old_above:
                    self._note(event, "old path is not there")
                    return
                kind = old_above.pop(old_name)
            above[name] = kind

    def _find(self, event: TreeEvent, path: str):  # type: ignore[no-untyped-def]
        if not path.startswith(self.root + "/"):
            self._note(event, "is outside the root")
            return None, ""
        *names, name = path[len(self.root) + 1 :].split("/")
        above = self.tree
        for step in names:
            below = above.get(step)
            if below is None:
                self._note(event, f"is below {step!r}, which is not told of")
                return None, ""
            above = below
        return above, name

    def _note(self, event: TreeEvent, why: str) -> None:
        self.unclean.append(f"{mask_str(event.mask)} {event}: {why}")


def real_tree(path: str) -> dict:  # type: ignore[type-arg]
    with os.scandir(path) as entries:
        return {
            entry.name: real_tree(entry.path)
            if entry.is_dir(follow_symlinks=False)
            else None
            for entry in entries
        }


def difference(told: dict, real: dict, path: str = "") -> list[str]:  # type: ignore[type-arg]
    found = []
    for name in sorted(set(told) | set(real)):
        here = f"{path}/{name}"
        if name not in real:
            found.append(f"told, not there: {here}")
        elif name not in told:
            found.append(f"there, not told: {here}")
        elif (told[name] is None) != (real[name] is None):
            found.append(f"another kind: {here}")
        elif told[name] is not None:
            found += difference(told[name], real[name], here)
    return found


def directories(path: str) -> list[str]:
    return [path, *(above for above, _, _ in os.walk(path) if above != path)]


class Writer:
    """One process's random operations, at full speed, in a tree and outside."""

    def __init__(self, root: str, outside: str, seed: int) -> None:
        self.root = root
        self.outside = outside
        self.random = random.Random(seed)
        self.names = [f"{letter}{number}" for letter in "abc" for number in range(3)]

    def run(self, seconds: float) -> None:
        operations = [
            (self.make, 6),
            (self.make_deep, 3),
            (self.rename_inside, 6),
            (self.rename_out, 2),
            (self.rename_in, 3),
            (self.replace, 2),
            (self.exchange, 1),
            (self.remove, 3),
            (self.remove_tree, 1),
            (self.recreate, 1),
        ]
        actions = [action for action, weight in operations for _ in range(weight)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(50):
                try:
                    self.random.choice(actions)()
                except OSError:
                    pass  # another writer was there first

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
        os.rename(self.place(self.outside, 2), self.place(self.root))

    def replace(self) -> None:
        path = self.place(self.root)
        os.close(os.open(path + "~", os.O_CREAT | os.O_WRONLY))
        os.rename(path + "~", path)

    def exchange(self) -> None:
        old, new = (os.fsencode(self.place(self.root)) for _ in range(2))
        _libc.renameat2(-100, old, -100, new, RENAME_EXCHANGE)

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


def one_run(options: argparse.Namespace, seed: int) -> tuple[list[str], Mirror]:
    """Run once; return what was wrong, and the mirror."""
    chance = random.Random(seed)
    top = tempfile.mkdtemp(prefix="churn-", dir=options.directory)
    root, outside = f"{top}/root", f"{top}/outside"
    os.mkdir(root)
    os.mkdir(outside)
    writers = [
        Writer(root, outside, chance.getrandbits(32)) for _ in range(options.writers)
    ]
    for writer in writers:
        for _ in range(20):
            try:
                writer.make_deep()
            except OSError:
                pass
    try:
        with (
            short_queue(options.manner == "overflow", chance),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error")
            watcher = TreeWatcher(root, initial=True)
        with watcher:
            return follow(options, watcher, writers, root, chance)
    finally:
        shutil.rmtree(top, ignore_errors=True)


class short_queue:
    """Make the next inotify instance one with a short queue; needs root."""

    def __init__(self, wanted: bool, chance: random.Random) -> None:
        self.length = chance.choice((64, 128, 256)) if wanted else 0

    def __enter__(self) -> None:
        if self.length:
            with open(MAX_QUEUED_EVENTS) as sysctl:
                self.before = sysctl.read()
            with open(MAX_QUEUED_EVENTS, "w") as sysctl:
                sysctl.write(str(self.length))

    def __exit__(self, *_: object) -> None:
        if self.length:
            with open(MAX_QUEUED_EVENTS, "w") as sysctl:
                sysctl.write(self.before)


def follow(
    options: argparse.Namespace,
    watcher: TreeWatcher,
    writers: list[Writer],
    root: str,
    chance: random.Random,
) -> tuple[list[str], Mirror]:
    mirror = Mirror(root)
    for event in watcher.read(timeout=0):
        mirror.apply(event)
    running = [
        start_writer(writer, options.seconds, options.manner == "stopped" and not index)
        for index, writer in enumerate(writers)
    ]
    while running:
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.remove(pid)
                assert status == 0, f"a writer failed: {status}"
        if options.manner == "pauses":
            time.sleep(chance.random() * 0.05)
        for event in watcher.read(timeout=5):
            mirror.apply(event)
    for event in watcher.read(timeout=0):
        mirror.apply(event)
    wrong = [f"unclean: {note}" for note in mirror.unclean]
    wrong += [f"untrue: {line}" for line in difference(mirror.tree, real_tree(root))]
    wrong += check_watches(watcher, root)
    wrong += probe(watcher, root)
    return wrong, mirror


def check_watches(watcher: TreeWatcher, root: str) -> list[str]:
    with open(f"/proc/self/fdinfo/{watcher.fileno()}") as fdinfo:
        watched = sorted(
            int(line.split()[2][len("ino:") :], 16)
            for line in fdinfo
            if line.startswith("inotify ")
        )
    there = sorted(os.stat(path).st_ino for path in directories(root))
    if watched == there:
        return []
    return [f"watches: {len(watched)} for {len(there)} directories"]


def probe(watcher: TreeWatcher, root: str) -> list[str]:
    expected = []
    told: list[str] = []
    for number, path in enumerate(directories(root)):
        expected.append(f"{path}/probe{number}")
        os.close(os.open(expected[-1], os.O_CREAT | os.O_WRONLY))
        if number % 20 == 0:
            told += created(watcher)
    told += created(watcher)
    return [] if told == expected else [f"probes: {len(told)} told of {len(expected)}"]


def created(watcher: TreeWatcher) -> list[str]:
    events = watcher.read(timeout=0)
    return [event.path for event in events if event.mask & flags.CREATE]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--writers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--manner", choices=MANNERS, default="full")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", help="where to make the tree")
    options = parser.parse_args()
    failed = events = overflows = 0
    for seed in range(options.seed, options.seed + options.runs):
        wrong, mirror = one_run(options, seed)
        events += mirror.events
        overflows += mirror.overflows
        if wrong:
            failed += 1
            print(
                f"seed {seed}: {len(wrong)} wrong", *wrong[:5], sep="\n  ", flush=True
            )
    print(
        f"{options.runs} runs {options.manner}, {options.writers} writers: "
        f"{failed} failed, {events} events, {overflows} overflows"
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
