"""How long does a big tree hold an event loop, and a storm of renames a short read?

A task of asyncio gives way again and again, and notes the time between two turns. Each
value is the time that one turn in a thousand exceeds. Meanwhile another task begins to
watch 100,000 directories, a thread adds them, or 60,000 are moved in or out.
Of `read(timeout=20)`, the value is the longest of those within two seconds, in which
another process renames directories at full speed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Callable

from inotify_cffi import TreeWatcher

from .candidates import needed_program
from .harness import Budget, Case, Question
from .workloads import scratch_directory

BIG, MOVED = 100_000, 60_000
Job = Callable[[], Awaitable[None]]

STORM = """
import os, sys, time
os.chdir(sys.argv[1])
end = time.monotonic() + 2
while time.monotonic() < end:
    os.rename("a", "t"), os.rename("b", "a"), os.rename("t", "b")
"""


class Holding:
    name = "inotify_cffi"
    on_our_clock = False

    def __init__(self, job: Job) -> None:
        self._job = job

    def measure(self) -> list[float]:
        return [asyncio.run(self._measure())]

    async def _measure(self) -> float:
        turns: list[int] = []

        async def give_way() -> None:
            last = time.perf_counter_ns()
            while True:
                await asyncio.sleep(0)
                now = time.perf_counter_ns()
                turns.append(now - last)
                last = now

        heart = asyncio.ensure_future(give_way())
        await asyncio.sleep(0)
        await self._job()
        heart.cancel()
        return float(sorted(turns)[-1 - len(turns) // 1000])


class Storm:
    name = "inotify_cffi"
    on_our_clock = False

    def __init__(self, root: str) -> None:
        self._root = root

    def measure(self) -> list[float]:
        longest = 0
        with TreeWatcher(self._root) as watcher:
            writer = subprocess.Popen([sys.executable, "-c", STORM, self._root])
            while writer.poll() is None:
                begun = time.perf_counter_ns()
                watcher.read(timeout=20)
                longest = max(longest, time.perf_counter_ns() - begun)
        return [float(longest)]


async def _until_moved(watcher: TreeWatcher, old: Path, new: Path) -> None:
    """Rename a tree, and read until all of it is reported."""
    old.rename(new)
    await watcher.aread()
    while await watcher.aread(timeout=100):
        pass


def _jobs(big: str, moved: Path, root: Path) -> Iterator[tuple[str, Job]]:
    async def begin() -> None:
        with await TreeWatcher.acreate(big):
            pass

    async def begin_reporting() -> None:
        with await TreeWatcher.acreate(big, initial=True) as watcher:
            await watcher.aread()

    async def add() -> None:
        with TreeWatcher(root) as watcher:
            await watcher.aadd(big)

    async def add_in_a_thread() -> None:
        loop = asyncio.get_running_loop()
        with TreeWatcher(root) as watcher:
            added = loop.run_in_executor(None, watcher.add, big)
            while not added.done():
                await watcher.aread(timeout=20)
            await added

    async def move_in() -> None:
        with TreeWatcher(root) as watcher:
            await _until_moved(watcher, moved, root / "in")
        (root / "in").rename(moved)

    async def move_out() -> None:
        moved.rename(root / "in")
        with await TreeWatcher.acreate(root) as watcher:
            await _until_moved(watcher, root / "in", moved)

    yield f"acreate, {BIG:,}", begin
    yield f"acreate with initial, and reading it all, {BIG:,}", begin_reporting
    yield f"aadd, {BIG:,}", add
    yield f"add in a thread, {BIG:,}", add_in_a_thread
    yield f"moved in, {MOVED:,}", move_in
    yield f"moved out, {MOVED:,}", move_out


def cases(budget: Budget) -> Iterator[Case]:
    with scratch_directory() as scratch:
        program = needed_program(scratch)
        big, storm = (tempfile.mkdtemp(dir=scratch) for _ in range(2))
        moved, root = (Path(tempfile.mkdtemp(dir=scratch)) for _ in range(2))
        for top, count in ((big, BIG), (moved, MOVED)):
            subprocess.run([program, "--build", top, str(count)], check=True)
        for label, job in _jobs(big, moved, root):
            yield Case(label, [Holding(job)])
        for number in range(40):
            os.makedirs(f"{storm}/{'ab'[number % 2]}/{number}/t")
        yield Case("read(timeout=20) in a storm", [Storm(storm)])


QUESTION = Question("loop", cases, heavy_rounds=5)
