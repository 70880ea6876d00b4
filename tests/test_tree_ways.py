"""The way to a root: what a path leads to, and which events say that it may change.

These reach into `tree._ways`: through TreeWatcher alone it cannot be seen what a way
watches, and that what happens beside it wakes nobody.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from inotify_cffi import INotify, flags, masks
from inotify_cffi._scanning import BulkScanner, WatchedWay
from inotify_cffi.tree._model import Top
from inotify_cffi.tree._watches import Watches
from inotify_cffi.tree._way import Destination, Kind, Way
from inotify_cffi.tree._ways import Ways

_HOLD = int(flags.MASK_ADD)


class Watched:
    """Ways with an instance of their own."""

    def __init__(self) -> None:
        self.inotify = INotify()
        self.bulk = BulkScanner(self.inotify, 0)
        self.ways = Ways(self, int(flags.MODIFY | flags.CLOSE_WRITE))
        self.calls = 0

    def hold(self, path: str, mask: int) -> int:
        self.calls += 1
        return self.inotify.add_watch(path, mask | _HOLD)

    def hold_way(self, path: str, mask: int, last_mask: int) -> WatchedWay:
        return self.bulk.watch_way(path, mask | _HOLD, last_mask | _HOLD)

    def let_go(self, wd: int) -> None:
        with contextlib.suppress(OSError):  # EINVAL: the kernel has removed it
            self.inotify.rm_watch(wd)

    def follow(self, path: str | os.PathLike[str]) -> Way:
        way = self.ways.follow(os.fspath(path))
        self.ways.settle()
        return way

    def events(self) -> int:
        """Follow what is queued; return how many events there were."""
        count = 0
        while events := self.inotify.read(timeout=0):
            for wd, mask, _, name in events:
                if mask & flags.IGNORED and wd not in self.ways.watches:
                    continue  # of a watch that the ways have removed
                count += 1
                self.ways.follow_event(wd, mask, name)
        return count

    def settle(self) -> list[tuple[Way, Destination]]:
        """Follow what is queued until nothing is."""
        resolved = []
        while self.events():
            resolved += self.ways.settle()
        return resolved


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.inotify.close()


def _are_same(one: Destination, other: Destination) -> bool:
    """Whether both are one object, by the identity of the watched inode."""
    return (one.kind, one.wd, one.name) == (other.kind, other.wd, other.name)


def leads_to(way: Way) -> tuple[Kind, str]:
    return way.destination.kind, way.destination.path


def replace_link(link: Path, target: str | Path) -> None:
    """As ``ln -sfn`` does: by a rename over it."""
    new = link.with_name("new-link")
    new.symlink_to(target)
    new.replace(link)


def test_a_path_leads_where_the_kernel_leads_it(
    watched: Watched, tmp_path: Path
) -> None:
    """Links, links through links, dots and ``..`` lead where open(2) goes."""
    (tmp_path / "real/deep/x").mkdir(parents=True)
    (tmp_path / "t").mkdir()
    (tmp_path / "real/t").mkdir()
    (tmp_path / "real/file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real/deep")
    (tmp_path / "again").symlink_to("./link/../..//link/.")
    for text in (
        "link/../t",
        "again/../t/",
        "again/x",
        "t/../real",
        "./t/.//",
        "link",
        "link/../file",
    ):
        way = watched.follow(f"{tmp_path}/{text}")
        assert way.destination.path == os.path.realpath(f"{tmp_path}/{text}"), text
        assert (way.destination.kind is Kind.DIRECTORY) == os.path.isdir(way.text)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("no", errno.ENOENT),
        ("no/more", errno.ENOENT),
        ("file/", errno.ENOTDIR),
        ("file/x", errno.ENOTDIR),
        ("to-file/", errno.ENOTDIR),
        ("dangling", errno.ENOENT),
        ("dangling/x", errno.ENOENT),
        ("loop", errno.ELOOP),
        ("41", errno.ELOOP),
        ("d/../no", errno.ENOENT),
    ],
)
def test_nothing_is_where_the_kernel_finds_nothing(
    watched: Watched, tmp_path: Path, text: str, failure: int
) -> None:
    """A path that stat(2) refuses leads to nothing, for the same reason."""
    (tmp_path / "file").touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "1").symlink_to("d")
    for number in range(2, 42):
        (tmp_path / str(number)).symlink_to(str(number - 1))
    with pytest.raises(OSError, match=r".") as caught:
        os.stat(f"{tmp_path}/{text}")
    assert caught.value.errno == failure
    way = watched.follow(f"{tmp_path}/{text}")
    assert way.destination.kind is Kind.NOTHING
    assert way.destination.failure == failure
    assert watched.follow(tmp_path / "40").destination.kind is Kind.DIRECTORY


def keep_the_link(top: Path) -> None:
    # PyPy 3.9 has no os.link() of a link itself.
    subprocess.run(["ln", "-P", top / "link", top / "kept"], check=True)
    replace_link(top / "link", "real/b")


def replace_by_a_file(top: Path) -> None:
    (top / "real/a/root").rmdir()
    (top / "real/a/root").touch()


Change = Callable[[Path], object]

# What is done to ``top/link -> real/a``, ``top/real/a/root``, and whether the root,
# ``top/link/root``, is still the same directory afterwards.
CHANGES: dict[str, tuple[Change, Kind]] = {
    "the root is removed": (lambda top: (top / "real/a/root").rmdir(), Kind.NOTHING),
    "the root is renamed": (
        lambda top: (top / "real/a/root").rename(top / "elsewhere"),
        Kind.NOTHING,
    ),
    "a directory above is renamed": (
        lambda top: (top / "real").rename(top / "other"),
        Kind.NOTHING,
    ),
    "all is removed": (lambda top: shutil.rmtree(top / "real"), Kind.NOTHING),
    "the link is removed": (lambda top: (top / "link").unlink(), Kind.NOTHING),
    "the link is renamed": (
        lambda top: (top / "link").rename(top / "x"),
        Kind.NOTHING,
    ),
    "the link points elsewhere": (
        lambda top: replace_link(top / "link", "real/b"),
        Kind.DIRECTORY,
    ),
    "the link is kept by another name": (
        keep_the_link,
        Kind.DIRECTORY,
    ),
    "another directory takes its place": (
        lambda top: (
            (top / "real/a").rename(top / "old"),
            (top / "real/b").rename(top / "real/a"),
        ),
        Kind.DIRECTORY,
    ),
    "a file takes its place": (
        replace_by_a_file,
        Kind.FILE,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_a_way_is_noticed(
    watched: Watched, tmp_path: Path, name: str
) -> None:
    """Each change of a step of the way shows where it leads now, and the way back."""
    for directory in ("real/a/root", "real/b/root"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/a")
    way = watched.follow(tmp_path / "link/root")
    before = way.destination
    assert leads_to(way) == (Kind.DIRECTORY, f"{tmp_path}/real/a/root")
    change, kind = CHANGES[name]
    change(tmp_path)
    watched.settle()
    assert way.destination.kind is kind
    assert not _are_same(way.destination, before)
    if kind is not Kind.NOTHING:
        assert way.destination.path == os.path.realpath(way.text)
    shutil.rmtree(tmp_path)
    watched.settle()
    assert way.destination.kind is Kind.NOTHING
    (tmp_path / "link/root").mkdir(parents=True)
    watched.settle()
    assert leads_to(way) == (Kind.DIRECTORY, f"{tmp_path}/link/root")


def test_another_way_to_the_same_directory_is_no_change(
    watched: Watched, tmp_path: Path
) -> None:
    """A directory that is moved, with a link where it was, is the same root."""
    (tmp_path / "a/root").mkdir(parents=True)
    way = watched.follow(tmp_path / "a/root")
    before = way.destination
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").symlink_to("b")
    watched.settle()
    assert _are_same(way.destination, before)
    assert way.destination.path == f"{tmp_path}/b/root"


def test_what_happens_beside_a_way_wakes_nobody(
    watched: Watched, tmp_path: Path
) -> None:
    """No event is queued for what happens to the neighbours of a way."""
    (tmp_path / "a/b/root/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b")
    way = watched.follow(tmp_path / "link/root")
    for place in (tmp_path, tmp_path / "a", tmp_path / "a/b"):
        for step in ("new", "renamed"):
            (place / "new").mkdir()
            (place / "new").chmod(0o700)
            (place / "new").rename(place / step)
            (place / "file").write_text("content")
            os.utime(place)
            shutil.rmtree(place / step)
            (place / "file").unlink()
    assert watched.inotify.read(timeout=0) == []
    assert way.destination.kind is Kind.DIRECTORY


def test_nothing_is_watched_for_names_once_nothing_is_missing(
    watched: Watched, tmp_path: Path
) -> None:
    """When a root that was missing is there, its neighbours wake nobody any more."""
    way = watched.follow(tmp_path / "a/root")
    (tmp_path / "beside").mkdir()
    assert watched.events() == 1
    (tmp_path / "a/root").mkdir(parents=True)
    watched.settle()
    assert leads_to(way) == (Kind.DIRECTORY, f"{tmp_path}/a/root")
    (tmp_path / "another").mkdir()
    (tmp_path / "a/another").mkdir()
    assert watched.inotify.read(timeout=0) == []
    (tmp_path / "a").rename(tmp_path / "c")
    watched.settle()
    assert way.destination.kind is Kind.NOTHING


def test_a_directory_in_use_that_is_removed_is_noticed(
    watched: Watched, tmp_path: Path
) -> None:
    """An empty root that a process works in is missed at once when it is removed."""
    root = tmp_path / "root"
    root.mkdir()
    way = watched.follow(root)
    before = way.destination
    watched.ways.expect_removal(way)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=root, stdin=subprocess.PIPE
    ):
        root.rmdir()
        watched.settle()
        assert way.destination.kind is Kind.NOTHING
        assert way.end() == flags.DELETE_SELF
        root.mkdir()
        watched.settle()
        assert leads_to(way) == (Kind.DIRECTORY, str(root))
        assert not _are_same(way.destination, before)


def test_ways_share_their_steps(watched: Watched, tmp_path: Path) -> None:
    """A thousand files in a directory cost one watch, and none more calls."""
    for number in range(1000):
        (tmp_path / str(number)).touch()
    watched.follow(tmp_path / "0")
    calls, watches = watched.calls, watched.inotify.watches()
    ways = [watched.follow(tmp_path / str(number)) for number in range(1000)]
    assert watched.calls == calls
    assert watched.inotify.watches() == watches
    wd = ways[0].destination.wd
    assert [ways[7]] == [way for way in watched.ways.entries(wd, "7") if way is ways[7]]


@pytest.mark.parametrize("text", ["a/root", "link/root", "a/file", "a/no", "no/no"])
def test_a_way_that_is_forgotten_leaves_no_watch(
    watched: Watched, tmp_path: Path, text: str
) -> None:
    """All watches of a way go with it, but for those of another."""
    (tmp_path / "a/root").mkdir(parents=True)
    (tmp_path / "a/file").touch()
    (tmp_path / "link").symlink_to("a")
    other = watched.follow(tmp_path / "a/root")
    before = {watch.wd for watch in watched.inotify.watches()}
    way = watched.follow(tmp_path / text)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a/root").mkdir(parents=True)
    watched.settle()
    watched.ways.forget(way)
    watched.settle()
    assert len(watched.inotify.watches()) == len(before)
    watched.ways.forget(other)
    watched.settle()
    assert watched.inotify.watches() == []


def test_a_mount_over_a_step_is_found_when_asked_for(
    watched: Watched, tmp_path: Path
) -> None:
    """Ways to a mount point, or below it, are resolved anew."""
    (tmp_path / "a/root").mkdir(parents=True)
    way = watched.follow(tmp_path / "a/root")
    beside = watched.follow(tmp_path)
    watched.ways.recheck_below(f"{tmp_path}/a")
    assert [resolved for resolved, _ in watched.ways.settle()] == [way]
    watched.ways.recheck_below(f"{tmp_path}/b")
    assert watched.ways.settle() == []
    assert beside.destination.kind is Kind.DIRECTORY


def test_a_root_that_is_lost_and_found_keeps_its_watch(tmp_path: Path) -> None:
    """A watch that is released and assigned again before the queue is empty stays.

    If it was removed, its IGNORED had the root lost once more, and so on for ever. By
    the public API this takes luck, so the part that keeps the watches is asked.
    """
    path = str(tmp_path)
    top = Top(path, path)
    with INotify(nonblocking=True) as inotify:
        watches = Watches(inotify, masks.ALL_EVENTS, 16384)
        wd = watches.add(path)
        watches.assign(wd, top)
        assert watches.hold(path, int(flags.MOVE_SELF)) == wd
        watches.release(wd, top)
        assert watches.add(path) == wd
        watches.assign(wd, top)
        watches.collect()
        assert inotify.read(timeout=0) == []
        watches.release(wd, top)
        watches.collect()  # now nobody needs the wide mask
        assert [event.mask for event in inotify.read(timeout=0)] == [flags.IGNORED]
