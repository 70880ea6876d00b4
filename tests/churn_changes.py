"""Churn a tree at random, and hold the net batches of `watch` against it.

    python tests/churn_changes.py --runs 200
    python tests/churn_changes.py --manner overflow --writers 3 --seconds 2 --seed 7

A replica applies each batch, strictly: a change that does not apply fails the run. In
the end it has to be the tree, with the content of every file; and no batch may have a
change that says nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import churn
import replica

from inotify_cffi import Batches, Change, watch

UNREAD = b"?"  # no writer writes this
MANNERS = ("full", "pauses", "stopped", "overflow")


class Writer(churn.Writer):
    """Writes into the files, too, so that each is known by its content."""

    def make(self) -> None:
        path = self.place(self.root)
        if self.random.random() < 0.4:
            os.mkdir(path)
        else:
            write(path, self.random)

    def replace(self) -> None:
        path = self.place(self.root)
        write(path + "~", self.random)
        os.rename(path + "~", path)


def write(path: str, chance: random.Random) -> None:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(fd, b"%d" % chance.getrandbits(60))
    finally:
        os.close(fd)


class LiveReplica(replica.Replica):
    """A replica of what changes while it is read.

    By the time that a file is read, its path may lead to another, or nowhere. So what
    has moved is read again: the former content may be another's. And what could not be
    read is read again after the next batch: if a directory above was renamed, and then
    renamed back, no change says so.
    """

    def __init__(self, root: str) -> None:
        self._is_all_read = True
        super().__init__(root)

    def apply(self, changes: Iterable[Change]) -> None:
        super().apply(changes)
        if not self._is_all_read:
            self._is_all_read = True
            self._read_unread(self.tree, self.root)

    def _read_unread(self, tree: replica.Tree, path: str) -> None:
        for name, entry in tree.items():
            if entry == UNREAD:
                tree[name] = self.content(f"{path}/{name}")
            elif isinstance(entry, dict):
                self._read_unread(entry, f"{path}/{name}")

    def _apply(self, change: Change) -> None:
        super()._apply(change)
        if change.kind == "moved":
            above, name = self._find(change.path)
            above[name] = self._read_again(above[name], change.path)

    def _read_again(
        self, entry: replica.Tree | bytes, path: str
    ) -> replica.Tree | bytes:
        if isinstance(entry, bytes):
            return self.content(path)
        return {
            name: self._read_again(below, f"{path}/{name}")
            for name, below in entry.items()
        }

    def content(self, path: str) -> bytes:
        try:
            return super().content(path)
        except OSError:
            self._is_all_read = False
            return UNREAD  # it is gone, or another kind


class Run(NamedTuple):
    manner: str
    writers: int
    seconds: float
    seed: int
    directory: str | None


def one_run(run: Run) -> tuple[list[str], Counter[str]]:
    """Run once; return what was wrong, and how many changes there were of a kind."""
    chance = random.Random(run.seed)
    top = tempfile.mkdtemp(prefix="churn-", dir=run.directory)
    root, outside = f"{top}/root", f"{top}/outside"
    os.mkdir(root)
    os.mkdir(outside)
    writers = [
        Writer(root, outside, chance.getrandbits(32), everything=run.seed % 2 == 0)
        for _ in range(run.writers)
    ]
    for writer in writers:
        for _ in range(30):
            with contextlib.suppress(OSError):
                chance.choice([writer.make, writer.make_deep])()
    length = chance.choice((64, 128, 256)) if run.manner == "overflow" else None
    settle, at_most = chance.choice([(0, 0), (1, 10), (5, 100), (50, 200)])
    try:
        with churn.short_queue(length):
            batches = watch(
                root, ignore=None, settle=settle, at_most=at_most, timeout=20
            )
        with batches:
            return follow(run, batches, LiveReplica(root), writers, chance)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def follow(
    run: Run,
    batches: Batches,
    copy: LiveReplica,
    writers: list[Writer],
    chance: random.Random,
) -> tuple[list[str], Counter[str]]:
    counts: Counter[str] = Counter()

    def apply(changes: list[Change]) -> None:
        counts.update(change.kind for change in changes)
        counts["batches"] += bool(changes)
        copy.apply(changes)

    running = [
        churn.start_writer(writer, run.seconds, run.manner == "stopped" and not index)
        for index, writer in enumerate(writers)
    ]
    try:
        while running:
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    running.remove(pid)
                    assert status == 0, f"a writer failed: {status}"
            if run.manner == "pauses":
                time.sleep(chance.random() * 0.05)
            apply(next(batches))
        while changes := next(batches):
            apply(changes)
        apply([])
    except replica.DoesNotApply as error:
        for pid in running:
            os.waitpid(pid, 0)
        return [f"unclean: {error}"], counts
    wrong = differences(copy.tree, replica.read_tree(copy.root))
    names = sorted(batches.mirror)
    there = sorted(
        os.path.join(above, name)
        for above, directories, files in os.walk(copy.root)
        for name in directories + files
    )
    if names != sorted([copy.root, *there]):
        wrong.append("the mirror is not the tree")
    return wrong, counts


def differences(
    reported: replica.Tree, real: replica.Tree, path: str = ""
) -> list[str]:
    found = []
    for name in sorted({*reported, *real}):
        one, other = reported.get(name), real.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += differences(one, other, f"{path}/{name}")
        elif one != other:
            found.append(f"untrue: {path}/{name}: {one!r}, really {other!r}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="runs of each manner")
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--manner", action="append", choices=MANNERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", help="where to make the tree")
    options = parser.parse_args()
    failed = 0
    print(f"{'manner':<10}{'runs':>8}{'failed':>8}  changes")
    for manner in options.manner or MANNERS:
        wrongs, total = 0, Counter[str]()
        for seed in range(options.seed, options.seed + options.runs):
            run = Run(manner, options.writers, options.seconds, seed, options.directory)
            wrong, counts = one_run(run)
            total += counts
            if wrong:
                wrongs += 1
                print(run, *wrong[:6], sep="\n  ", flush=True)
        words = ", ".join(f"{count:,} {kind}" for kind, count in sorted(total.items()))
        print(f"{manner:<10}{options.runs:>8}{wrongs:>8}  {words}", flush=True)
        failed += wrongs
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
