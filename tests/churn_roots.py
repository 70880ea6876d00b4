"""Churn whole trees under many roots at once, with options drawn at random.

    python tests/churn_roots.py --runs 1000
    python tests/churn_roots.py --runs 1000 --chmod       # needs root
    python tests/churn_roots.py --seed 7 --verbose

A run draws the mask, the number of the roots, how they lie in each other, links in
their paths, ``recursive``, ``exclude`` and ``one_file_system``. A writer makes, fills,
renames and removes; it also moves what is above the roots, and lets links point
elsewhere. With ``--chmod`` the writer is root and takes and gives rights, and the
watcher is an ordinary user's.

What has to hold in the end: with a mask that has all names, a strict mirror is the
truth, and each event applied to what was known. With a mask that has CLOSE_WRITE, each
file that is there was reported since it was last closed after writing. The kernel's
watches are those of the directories that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import linecache  # noqa: F401 - with its imports, before rights are given up
import logging  # noqa: F401
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tokenize  # noqa: F401
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from churn import kernel_watches, short_queue

from inotify_cffi import TreeEvent, TreeWatcher, flags, mask_str, masks

NAMES = [f"{letter}{number}" for letter in "abc" for number in range(3)]
EXCLUDED = re.compile(r"/c2$")
GONE = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT
ALL = int(
    masks.MOVE
    | flags.CREATE
    | flags.DELETE
    | flags.MODIFY
    | flags.CLOSE_WRITE
    | flags.DELETE_SELF
    | flags.MOVE_SELF
)
MASKS = [
    ALL,
    ALL | flags.ATTRIB,
    flags.CLOSE_WRITE,
    flags.CLOSE_WRITE | flags.MOVED_TO,
    flags.CLOSE_WRITE | flags.DELETE,
    flags.CLOSE_WRITE | flags.CREATE,
    flags.CLOSE_WRITE | flags.MODIFY | flags.MOVED_FROM,
]
NOBODY = 65534


class Draw(NamedTuple):
    """The parameters of one run."""

    roots: list[str]
    mask: int
    recursive: bool
    exclude: bool
    one_file_system: bool
    moves_roots: bool

    @classmethod
    def of(cls, chance: random.Random, top: str) -> Draw:
        inside = [f"real/{name}" for name in NAMES[:3]]
        places = ["real", "link", "real/a0/b0", "link/a1", "far", *inside]
        if chance.random() < 0.3:
            places = places[:1]
        roots = chance.sample(places, chance.randint(1, min(4, len(places))))
        return cls(
            [f"{top}/{root}" for root in roots],
            chance.choice(MASKS),
            chance.random() < 0.8,
            chance.random() < 0.4,
            chance.random() < 0.2,
            chance.random() < 0.5,
        )


class Writer:
    """Changes ``top/real``, and what leads to it."""

    def __init__(self, top: str, seed: int, draw: Draw, *, chmod: bool) -> None:
        self.top = top
        self.draw = draw
        self.chance = random.Random(seed)
        self.chmod = chmod
        self.number = 0
        self.closed: dict[str, float] = {}

    def run(self, seconds: float) -> None:
        actions = [self.make] * 5 + [self.fill] * 6 + [self.fill_again] * 2
        actions += [self.rename] * 4 + [self.replace] + [self.remove_tree]
        if self.draw.moves_roots:
            actions += [self.move_root, self.point_elsewhere]
        if self.chmod:
            actions += [self.change_rights] * 4
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(20):
                with contextlib.suppress(OSError):
                    self.chance.choice(actions)()
        self.finish()

    def finish(self) -> None:
        """Let all that is there be found where the roots lead to."""
        with contextlib.suppress(OSError):
            os.rename(f"{self.top}/moved", f"{self.top}/real")
        self._link("real")
        if self.chmod:
            for directory, _, _ in os.walk(f"{self.top}/real"):
                os.chmod(directory, 0o755)

    def place(self, depth: int = 4) -> str:
        names = self.chance.choices(NAMES, k=self.chance.randint(1, depth))
        return "/".join([self.top, "real", *names])

    def make(self) -> None:
        os.makedirs(self.place(), exist_ok=True)

    def fill(self) -> None:
        self.number += 1
        self._write(f"{self.place(3)}/f{self.number}")

    def fill_again(self) -> None:
        directory = self.place(3)
        files = [name for name in os.listdir(directory) if name.startswith("f")]
        if files:
            self._write(f"{directory}/{self.chance.choice(files)}")

    def _write(self, path: str) -> None:
        with open(path, "a", encoding="utf-8") as file:
            file.write("x")
            file.flush()
            # A read from here on has all of it.
            self.closed[os.path.basename(path).rstrip("~")] = time.monotonic()

    def rename(self) -> None:
        os.rename(self.place(), self.place())

    def replace(self) -> None:
        self.number += 1
        path = f"{self.place(3)}/f{self.number}"
        self._write(path + "~")
        os.rename(path + "~", path)

    def remove_tree(self) -> None:
        shutil.rmtree(self.place(), ignore_errors=True)

    def move_root(self) -> None:
        real, moved = f"{self.top}/real", f"{self.top}/moved"
        if os.path.exists(moved):
            os.rename(moved, real)
        else:
            os.rename(real, moved)

    def point_elsewhere(self) -> None:
        self._link(self.chance.choice(["real", "far", "nowhere", "real/a0"]))

    def _link(self, target: str) -> None:
        new = f"{self.top}/new-link"
        with contextlib.suppress(FileExistsError):
            os.symlink(target, new)
        os.replace(new, f"{self.top}/link")

    def change_rights(self) -> None:
        os.chmod(self.place(3), self.chance.choice([0, 0o700, 0o711, 0o755, 0o755]))


class Mirror:
    """A consumer's copy: the paths, each with whether it is a directory."""

    def __init__(self, draw: Draw) -> None:
        is_strict = draw.mask & ALL == ALL
        self.roots = draw.roots
        self.recursive = draw.recursive
        self.is_strict = is_strict
        self.known: dict[str, bool] = {}
        self.wrong: list[str] = []
        self.reported: dict[str, float] = {}  # by the last name of the path

    def apply(self, event: TreeEvent) -> None:
        path, mask, old_path, _ = event
        for each in filter(None, (path, old_path)):
            self.reported[os.path.basename(each).rstrip("~")] = time.monotonic()
        if mask & flags.Q_OVERFLOW:
            self._take(path, event, may_be_missing=True, keep=True)
        elif mask & flags.MOVED_TO:
            self._take(path, event, may_be_missing=True)
            moved = {path: bool(mask & flags.ISDIR)}
            if old_path is not None:
                for known, is_directory in self._take(old_path, event).items():
                    moved[path + known[len(old_path) :]] = is_directory
            self.known.update(moved)
        elif mask & (flags.DELETE | flags.MOVED_FROM | GONE):
            self._take(path, event)
        elif mask & flags.CREATE:
            # Of a root inside another, both the root and the entry may be reported.
            if path in self.known and path not in self.roots:
                self._note(event, "is there already")
            self.known[path] = bool(mask & flags.ISDIR)
        elif path not in self.known:
            self._note(event, "is not there")

    def _take(
        self,
        path: str,
        event: TreeEvent,
        *,
        may_be_missing: bool = False,
        keep: bool = False,
    ) -> dict[str, bool]:
        if path not in self.known and not may_be_missing:
            self._note(event, "is not there")
        taken = {
            known: is_directory
            for known, is_directory in self.known.items()
            if (known == path and not keep)
            or (known.startswith(path + "/") and self._is_of(path, known))
        }
        for known in taken:
            del self.known[known]
        return taken

    def _is_of(self, path: str, below: str) -> bool:
        """Whether what is below a path goes with it, and is not another root's."""
        return self.recursive or (
            path in self.roots
            and os.path.dirname(below) == path
            and below not in self.roots
        )

    def _note(self, event: TreeEvent, why: str) -> None:
        if self.is_strict:
            self.wrong.append(f"unclean: {mask_str(event.mask)} {event}: {why}")


def everything(draw: Draw) -> dict[str, bool]:
    """The expected copy: the roots, and everything below them."""
    found = {}
    for root in draw.roots:
        if not os.path.exists(root):
            continue
        found[root] = os.path.isdir(root)
        for path, is_directory in _below(root, draw):
            found.setdefault(path, is_directory)
    return found


def _below(top: str, draw: Draw) -> Iterator[tuple[str, bool]]:
    if not os.path.isdir(top):
        return
    with os.scandir(top) as entries:
        for entry in entries:
            path = f"{top}/{entry.name}"
            if draw.exclude and EXCLUDED.search(path):
                continue
            is_directory = entry.is_dir(follow_symlinks=False)
            yield path, is_directory
            if is_directory and draw.recursive:
                yield from _below(path, draw)


def watch(draw: Draw, child: int, mirror: Mirror, results: int) -> list[str]:
    """Read until the writer has ended; return what is wrong."""
    options: dict[str, Any] = {
        "mask": draw.mask,
        "recursive": draw.recursive,
        "one_file_system": draw.one_file_system,
        "exclude": EXCLUDED.search if draw.exclude else None,
    }
    with short_queue(None):  # what churns beside this shortens it for a moment
        made = TreeWatcher(missing_ok=True, initial=True, **options)
    with made as watcher:
        for root in draw.roots:
            if os.path.isdir(root):
                mirror.known[root] = True
        for root in draw.roots:
            watcher.add(root)
        os.kill(child, signal.SIGCONT)
        ended = b""
        while not ended:
            for event in watcher.read(timeout=20):
                mirror.apply(event)
            with contextlib.suppress(BlockingIOError):
                ended = os.read(results, 1)
        for event in watcher.read(timeout=0):
            mirror.apply(event)
        real = everything(draw)
        wrong = list(mirror.wrong)
        if mirror.is_strict and mirror.known != real:
            missing = sorted(real.keys() - mirror.known.keys())
            extra = sorted(mirror.known.keys() - real.keys())
            wrong.append(f"untrue: missing {missing[:3]}, too many {extra[:3]}")
        tops = draw.roots if not draw.recursive else real
        there = {
            (status.st_dev, status.st_ino)
            for status in map(os.stat, (path for path in tops if os.path.isdir(path)))
        }
        watched = kernel_watches(watcher)
        if watched != sorted(there):
            wrong.append(f"watches: {len(watched)} of {len(there)}")
        return wrong + [f"unread: {path}" for path in watcher.unreadable]


def unreported(mirror: Mirror, draw: Draw, closed: dict[str, float]) -> list[str]:
    """Files that were not reported since they were last closed after writing."""
    return [
        f"unreported: {path}"
        for path, is_directory in everything(draw).items()
        if not is_directory
        and mirror.reported.get(os.path.basename(path), 0)
        < closed.get(os.path.basename(path), 0)
    ]


def one_run(seed: int, seconds: float, directory: str | None, *, chmod: bool) -> str:
    """Run once; return what was wrong."""
    chance = random.Random(seed)
    top = tempfile.mkdtemp(prefix="churn-", dir=directory)
    os.chmod(top, 0o755)
    draw = Draw.of(chance, top)
    for name in ("real/a0/b0/a0", "real/a1/c2", "far/a1"):
        os.makedirs(f"{top}/{name}")
    os.symlink("real", f"{top}/link")
    writer = Writer(top, chance.getrandbits(32), draw, chmod=chmod)
    results, to_results = os.pipe()
    os.set_blocking(results, False)
    child = os.fork()
    if not child:
        try:
            os.kill(os.getpid(), signal.SIGSTOP)
            writer.run(seconds)
            lines = [f"{name} {closed}" for name, closed in writer.closed.items()]
            os.write(to_results, b".")
            with open(f"{top}/closed", "w", encoding="utf-8") as file:
                file.write("\n".join(lines))
        finally:
            os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    mirror = Mirror(draw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if chmod:
                os.seteuid(NOBODY)
            wrong = watch(draw, child, mirror, results)
    except Exception:
        wrong = [traceback.format_exc()]
    finally:
        os.seteuid(os.getuid())
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, 0)
    with contextlib.suppress(OSError), open(f"{top}/closed", encoding="utf-8") as file:
        pairs = (line.split() for line in file)
        closed = {name: float(when) for name, when in pairs}
        wrong += unreported(mirror, draw, closed)
    os.close(results)
    os.close(to_results)
    shutil.rmtree(top, ignore_errors=True)
    return "\n  ".join([str(draw), *wrong[:5]]) if wrong else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory")
    parser.add_argument("--chmod", action="store_true")
    options = parser.parse_args()
    failed = 0
    for seed in range(options.seed, options.seed + options.runs):
        wrong = one_run(seed, options.seconds, options.directory, chmod=options.chmod)
        if wrong:
            failed += 1
            print(f"seed {seed}: {wrong}", flush=True)
    print(f"{options.runs} runs, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
