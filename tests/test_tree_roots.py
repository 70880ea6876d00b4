"""A root is a path: what a consumer sees of what it leads to."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import churn
import pytest
from conftest import RunPython

from inotify_cffi import TreeEvent, TreeWatcher, flags, mask_str, masks
from inotify_cffi._scanning import Found
from inotify_cffi.tree._watches import Watches

TESTS = os.path.dirname(__file__)


def words(events: list[TreeEvent], top: Path) -> list[str]:
    return [churn.in_words(event, str(top)) for event in events]


def point(link: Path, target: str) -> None:
    new = link.with_name("new-link")
    new.symlink_to(target)
    new.replace(link)


@pytest.mark.parametrize("path", ["no", "file/", "dangling", "d/no"])
def test_a_root_that_leads_to_nothing_is_refused(tmp_path: Path, path: str) -> None:
    """A root that stat(2) refuses is refused at once, with its path."""
    (tmp_path / "file").touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "dangling").symlink_to("no")
    given = f"{tmp_path}/{path}"
    with pytest.raises(OSError, match=re.escape(given)) as refused:
        TreeWatcher(given)
    with pytest.raises(OSError, match=r".") as expected:
        os.stat(given)
    assert type(refused.value) is type(expected.value)
    assert refused.value.filename == given
    with TreeWatcher() as watcher:
        with pytest.raises(OSError, match=r"."):
            watcher.add(given)
        assert (watcher.roots, watcher.watches()) == ([], [])


@pytest.mark.parametrize("path", ["a/b/root", "link/root", "a/../c/root"])
def test_a_root_may_come_later(tmp_path: Path, path: str) -> None:
    """With missing_ok, a root is reported, with all below it, when it is there."""
    given = f"{tmp_path}/{path}"
    with TreeWatcher(given, missing_ok=True) as watcher:
        assert watcher.missing == [given]
        for above in ("a", "b", "c", "d"):
            (tmp_path / above).mkdir()
        (tmp_path / "a" / "b").mkdir()
        (tmp_path / "link").symlink_to("d")
        assert watcher.read(timeout=0) == []
        os.makedirs(f"{given}/inner")
        assert words(watcher.read(), Path(given)) == [
            "CREATE | ISDIR, synthetic",
            "CREATE | ISDIR /inner, synthetic",
        ]
        assert watcher.missing == []


UNREADABLE = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[1])
import churn, logging, traceback
from inotify_cffi import TreeWatcher
top = tempfile.mkdtemp()
os.chmod(top, 0o777)
if not os.getuid():
    os.setgid(65534)
    os.setuid(65534)
root = f"{top}/root"
os.mkdir(root, 0)
try:
    TreeWatcher(root)
except PermissionError as error:
    assert error.filename == root, error
else:
    raise AssertionError("not refused")
with TreeWatcher(root, missing_ok=True) as watcher:
    assert watcher.missing == [root]
    os.chmod(root, 0o700)
    os.mkdir(f"{root}/x")
    paths = [event.path for event in watcher.read(timeout=0)]
    assert paths == [root, f"{root}/x"], paths
    os.mkdir(f"{root}/y", 0)
    open(f"{root}/file", "w").close()
    os.chmod(root, 0o300)
with TreeWatcher(f"{root}/file") as watcher:
    with open(f"{root}/file", "w") as file:
        file.write("x")
    assert watcher.read(timeout=0), "its own inode is watched"
    os.unlink(f"{root}/file")
    assert watcher.read(timeout=0)
    assert watcher.missing == watcher.roots
"""


def test_a_root_that_may_not_be_read(run_python: RunPython) -> None:
    """It is refused, or waited for; a file may be where nothing can be listed."""
    run_python(UNREADABLE, TESTS)


UNREADABLE_AT_ITS_SCAN = """
import os, tempfile, warnings
import churn
from inotify_cffi import TreeWatcher
from inotify_cffi.tree._watches import Watches
warnings.simplefilter("ignore")
root = tempfile.mkdtemp()
if not os.getuid():
    os.chown(root, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
os.mkdir(f"{root}/below")
scan = Watches.scan


def take_rights(*arguments, **options):  # between the way's watch and the scan
    os.chmod(root, 0)
    Watches.scan = scan
    return scan(*arguments, **options)


Watches.scan = take_rights
for recursive in (True, False):
    with TreeWatcher(root, initial=True, recursive=recursive) as watcher:
        watcher.read(timeout=0)
        assert watcher.unreadable + watcher.missing == [root]
        os.chmod(root, 0o700)
        reported = [event.path for event in watcher.read(timeout=0)]
        assert f"{root}/below" in reported, reported
        assert watcher.unreadable + watcher.missing == []
        assert len(churn.kernel_watches(watcher)) == (2 if recursive else 1)
    Watches.scan = take_rights
"""


def test_a_root_that_cannot_be_read_when_it_is_scanned(run_python: RunPython) -> None:
    """Its content is reported when it can be read, as for a directory below it."""
    run_python(UNREADABLE_AT_ITS_SCAN, TESTS)


RIGHTS_TAKEN = """
import itertools, os, shutil, tempfile
from inotify_cffi import TreeWatcher
top = tempfile.mkdtemp()
os.chmod(top, 0o777)
if not os.getuid():
    os.setgid(65534)
    os.setuid(65534)
above = [f"{top}/a", f"{top}/a/b"]
root = f"{top}/a/b/root"


def make(kind):
    os.mkdir(root) if kind == "directory" else open(root, "w").close()


def is_followed(watcher, kind):
    assert root in {event.path for event in watcher.read(timeout=0)}
    assert watcher.missing == []
    path = f"{root}/new" if kind == "directory" else root
    open(path, "w").close()
    return path in {event.path for event in watcher.read(timeout=0)}


cases = itertools.product(
    ["directory", "file"], [0, 0o100, 0o300, 0o400], [above, above[:1], above[1:]],
    ["gone before", "gone after", "never there"],
)
for kind, rights, changed, when in cases:
    os.makedirs(above[-1])
    if when != "never there":
        make(kind)
    with TreeWatcher(root, missing_ok=True) as watcher:
        if when == "gone before":
            os.rename(root, f"{top}/away")
            watcher.read(timeout=0)
        for directory in reversed(changed):
            os.chmod(directory, rights)
        if when == "gone after" and rights == 0o300:
            os.rename(root, f"{top}/away")
        watcher.read(timeout=0)
        for directory in changed:
            os.chmod(directory, 0o700)
            watcher.read(timeout=0)
        if os.path.exists(root):
            os.rename(root, f"{top}/away")
        watcher.read(timeout=0)
        make(kind)
        assert is_followed(watcher, kind), (kind, rights, changed, when)
    shutil.rmtree(above[0])
    if os.path.isdir(f"{top}/away"):
        shutil.rmtree(f"{top}/away")
"""


def test_rights_that_are_taken_and_given_above_a_root(run_python: RunPython) -> None:
    """A root is found when what is above it may be read again, whatever was seen."""
    run_python(RIGHTS_TAKEN)


def test_a_link_that_is_pointed_elsewhere(tmp_path: Path) -> None:
    """A deployment's link is followed to each version; the old one is let go."""
    for version in ("v1", "v2"):
        (tmp_path / version / "sub").mkdir(parents=True)
    (tmp_path / "current").symlink_to("v1")
    with churn.Consumer(tmp_path / "current") as consumer:
        for version in ("v2", "v1", "v2"):
            point(tmp_path / "current", version)
            lines = consumer.lines()
            assert lines[0] == "MOVE_SELF"
            assert lines[-1] == "CREATE | ISDIR /sub, synthetic"
            (tmp_path / version / "sub" / "new").touch()
            assert consumer.lines() == ["CREATE /sub/new", "CLOSE_WRITE /sub/new"]
            (tmp_path / version / "sub" / "new").unlink()
            consumer.check()


def test_link_to_where_a_root_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that was watched for a removal is scanned as any other."""
    real, link = tmp_path / "real", tmp_path / "link"
    for name in ("empty", "d"):
        (real / name).mkdir(parents=True)
    scan = Watches.scan

    def change_and_scan(watches: Watches, paths: list[str], **options: Any) -> Found:
        if str(real) in paths:
            (real / "d").rmdir()
            (real / "d").mkdir()
        return scan(watches, paths, **options)

    # No public call lets something happen between a read and a scan.
    monkeypatch.setattr(Watches, "scan", change_and_scan)
    with TreeWatcher(real / "empty", link, missing_ok=True) as watcher:
        assert watcher.read(timeout=0) == []  # the removal is watched for now
        link.symlink_to("real")
        events = watcher.read(timeout=0)
    assert sorted(event.path for event in events) == [
        str(link),
        f"{link}/d",
        f"{link}/empty",
    ]
    assert {event.mask for event in events} == {flags.CREATE | flags.ISDIR}


@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("others", [0, 1])
def test_a_link_is_pointed_elsewhere_while_its_tree_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, initial: bool, others: int
) -> None:
    """Directories that the scan found below it are not watched or reported any more."""
    deep = tmp_path / "one" / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "two").mkdir()
    link = tmp_path / "link"
    link.symlink_to("one")
    roots = [tmp_path / f"other{number}" for number in range(others)]
    for root in roots:
        (root / "x").mkdir(parents=True)
    # No public call lets something happen between a scan and its fence.
    scan = Watches.scan

    def scan_and_point(watches: Watches, paths: list[str], **options: Any) -> Found:
        found = scan(watches, paths, **options)
        if str(tmp_path / "one") in paths and os.readlink(link) == "one":
            point(link, "two")
        return found

    monkeypatch.setattr(Watches, "scan", scan_and_point)
    with TreeWatcher(*roots, link, initial=initial) as watcher:
        watcher.read(timeout=0)
        for directory in (deep, deep.parent, deep.parent.parent):
            directory.rmdir()
        (tmp_path / "one" / "new").mkdir()
        assert watcher.read(timeout=0) == []
        there = [*roots, *(root / "x" for root in roots), tmp_path / "two"]
        assert churn.kernel_watches(watcher) == sorted(
            (status.st_dev, status.st_ino) for status in map(os.stat, there)
        )
    os.unlink(link)
    link.symlink_to("two")
    with TreeWatcher(*roots, link) as watcher:
        point(link, "one")
        (tmp_path / "one" / "new" / "inner").mkdir()
        for root in roots:
            (root / "y").mkdir()
        watcher.read(timeout=0)
        (tmp_path / "one" / "new" / "inner").rmdir()
        (tmp_path / "one" / "new").rmdir()
        assert watcher.read(timeout=0) == []


def test_a_file_behind_links(tmp_path: Path) -> None:
    """A mounted configuration is followed: a link through a directory that changes."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "conf").write_text(version)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "conf").symlink_to("..data/conf")
    with TreeWatcher(tmp_path / "conf") as watcher:
        (tmp_path / "1" / "conf").write_text("changed")
        (tmp_path / "1" / "beside").touch()
        found = {mask_str(event.mask) for event in watcher.read(timeout=0)}
        assert found == {"MODIFY", "CLOSE_WRITE"}
        point(tmp_path / "..data", "2")
        events = watcher.read(timeout=0)
        assert [mask_str(event.mask) for event in events] == ["MOVE_SELF", "CREATE"]
        assert {event.path for event in events} == {f"{tmp_path}/conf"}
        (tmp_path / "1" / "conf").write_text("nobody's")
        assert watcher.read(timeout=0) == []
        (tmp_path / "2" / "conf").unlink()
        assert words(watcher.read(timeout=0), tmp_path) == ["DELETE /conf"]
        assert watcher.missing == [f"{tmp_path}/conf"]


def test_an_empty_root_in_use_is_deleted(tmp_path: Path) -> None:
    """A root that a process works in is missed when its name is, and found again."""
    root = tmp_path / "root"
    root.mkdir()
    with churn.Consumer(root) as consumer:
        (root / "file").touch()
        (root / "file").unlink()
        consumer.read()
        with subprocess.Popen(
            [sys.executable, "-c", "input()"], cwd=root, stdin=subprocess.PIPE
        ):
            shutil.rmtree(root)
            (root / "new").mkdir(parents=True)
            assert consumer.lines() == [
                "DELETE_SELF",
                "CREATE | ISDIR, synthetic",
                "CREATE | ISDIR /new, synthetic",
            ]
        consumer.check()


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("content", ["file", "d/file"])
def test_a_root_in_use_is_deleted_with_its_content(
    tmp_path: Path, content: str, returns: bool
) -> None:
    """That is noticed before the next read, even if another one has its path."""
    root = tmp_path / "root"
    (root / content).parent.mkdir(parents=True)
    (root / content).touch()
    with (
        TreeWatcher(root) as watcher,
        subprocess.Popen(
            [sys.executable, "-c", "input()"], cwd=root, stdin=subprocess.PIPE
        ),
    ):
        shutil.rmtree(root)
        expected = ["DELETE_SELF /root"]
        if returns:
            root.mkdir()
            (root / "new").touch()
            expected += ["CREATE | ISDIR /root, synthetic"]
            expected += ["CREATE /root/new, synthetic"]
        found = words(watcher.read(timeout=0), tmp_path)
        assert found[found.index("DELETE_SELF /root") :] == expected


@pytest.mark.parametrize("content", ["nothing", "file", "directory"])
def test_only_an_empty_root_is_watched_from_above(tmp_path: Path, content: str) -> None:
    """Deletions beside a root wake nobody, but where it may be deleted while in use."""
    root = tmp_path / "root"
    root.mkdir()
    if content == "file":
        (root / "file").touch()
    elif content == "directory":
        (root / "directory").mkdir()
    above = os.stat(tmp_path).st_ino
    with TreeWatcher(root) as watcher:
        (mask,) = (each.mask for each in watcher.watches() if each.inode == above)
        assert bool(mask & flags.DELETE) == (content == "nothing")
        if content == "nothing":
            with subprocess.Popen(
                [sys.executable, "-c", "input()"], cwd=root, stdin=subprocess.PIPE
            ):
                root.rmdir()
                (event,) = watcher.read(timeout=0)
                assert mask_str(event.mask) == "DELETE_SELF"


EVERY_MASK = [
    flags.CLOSE_WRITE,
    flags.MODIFY,
    flags.ATTRIB,
    flags.MOVED_TO,
    flags.CREATE,
    flags.CLOSE_WRITE | masks.MOVE,
    flags.CLOSE_WRITE | flags.DELETE,
]


@pytest.mark.parametrize("mask", EVERY_MASK, ids=mask_str)
def test_a_scan_reports_files_for_masks_of_what_happens_to_files(
    tmp_path: Path, mask: int
) -> None:
    """No file is missed in a directory that is new, whatever the mask asks for."""
    with TreeWatcher(tmp_path, mask=mask) as watcher:
        os.makedirs(tmp_path / "a" / "b")
        (tmp_path / "a" / "b" / "file").write_text("content")
        paths = [event.path for event in watcher.read(timeout=0)]
        assert f"{tmp_path}/a/b/file" in paths
        has_directories = bool(mask & (flags.CREATE | flags.MOVED_TO))
        assert (f"{tmp_path}/a/b" in paths) == has_directories
    with TreeWatcher(tmp_path, mask=mask, initial=True) as watcher:
        paths = [event.path for event in watcher.read(timeout=0)]
        assert f"{tmp_path}/a/b/file" in paths


@pytest.mark.parametrize("mask", [flags.DELETE, flags.MOVED_FROM, flags.OPEN])
def test_a_scan_reports_nothing_for_other_masks(tmp_path: Path, mask: int) -> None:
    """A mask of closings and accesses alone has missed nothing."""
    with TreeWatcher(tmp_path, mask=mask) as watcher:
        os.makedirs(tmp_path / "a" / "b")
        assert watcher.read(timeout=0) == []


def test_many_file_roots(tmp_path: Path) -> None:
    """Each of many files in a directory is a root, for one watch of that."""
    paths = [tmp_path / f"{number}" for number in range(2000)]
    for path in paths:
        path.touch()
    with TreeWatcher(*paths) as watcher:
        assert len(churn.kernel_watches(watcher)) == 1
        for path in paths[::100]:
            path.write_text("x")
        changed = {event.path for event in watcher.read(timeout=0)}
        assert changed == {str(path) for path in paths[::100]}
        for path in paths:
            watcher.remove(path)
        watcher.read(timeout=0)
        assert watcher.watches() == []


def test_not_recursive(tmp_path: Path) -> None:
    """The names in several directories are reported, and nothing below."""
    (tmp_path / "a" / "sub").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    roots = [tmp_path / "a", tmp_path / "b"]
    with TreeWatcher(*roots, recursive=False) as watcher:
        (tmp_path / "a" / "sub" / "hidden").mkdir()
        (tmp_path / "a" / "sub").rename(tmp_path / "b" / "moved")
        (tmp_path / "b" / "new" / "hidden").mkdir(parents=True)
        assert words(watcher.read(timeout=0), tmp_path) == [
            "MOVED_TO | ISDIR /b/moved from /a/sub",
            "CREATE | ISDIR /b/new",
        ]
        assert len(churn.kernel_watches(watcher)) == 2


@pytest.mark.parametrize("exclude", ["*.pyc", ["a"], 1])
def test_exclude_that_cannot_be_called(tmp_path: Path, exclude: Any) -> None:
    """A glob is refused at once, and nothing is left open."""
    with pytest.raises(TypeError, match=r"watch\("):
        TreeWatcher(tmp_path, exclude=exclude)


def test_exclude_is_asked_once(tmp_path: Path) -> None:
    """A name is decided when it is met, and a rename above it changes nothing."""
    (tmp_path / "a" / "out").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    asked: list[str] = []

    def exclude(path: str) -> bool:
        asked.append(path[len(str(tmp_path)) :])
        return path == f"{tmp_path}/a/out"

    with TreeWatcher(tmp_path, exclude=exclude) as watcher:
        assert sorted(asked) == ["/a", "/a/file", "/a/out"]
        (tmp_path / "a" / "file").write_text("x")
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "b" / "out" / "inner").mkdir()
        (tmp_path / "b" / "out").chmod(0o700)
        (tmp_path / "b" / "file").write_text("x")
        lines = words(watcher.read(timeout=0), tmp_path)
        assert not any("out" in line for line in lines)
        assert sorted(asked) == ["/a", "/a/file", "/a/out", "/b"]
        (tmp_path / "b" / "out").rename(tmp_path / "b" / "in")
        assert words(watcher.read(timeout=0), tmp_path) == [
            "MOVED_TO | ISDIR /b/in",
            "CREATE | ISDIR /b/in/inner, synthetic",
        ]


def test_a_root_that_goes_in_the_constructor(tmp_path: Path) -> None:
    """A root that is deleted while it is scanned is reported, and comes back."""
    root = tmp_path / "r"
    (root / "a").mkdir(parents=True)

    def exclude(path: str) -> bool:
        shutil.rmtree(root, ignore_errors=True)
        return False

    with TreeWatcher(root, exclude=exclude) as watcher:
        assert words(watcher.read(timeout=0), root)[-1] == "DELETE_SELF"
        assert watcher.missing == [str(root)]
        root.mkdir()
        assert [event.path for event in watcher.read(timeout=0)] == [str(root)]


def test_errno_of_a_loop(tmp_path: Path) -> None:
    """A link to itself is refused as the kernel refuses it."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop") as refused:
        TreeWatcher(tmp_path / "loop")
    assert refused.value.errno == errno.ELOOP


def test_losses_are_reported_from_below_upwards(tmp_path: Path) -> None:
    """If several roots go in one step, the deepest is reported first."""
    (tmp_path / "above/a/b").mkdir(parents=True)
    for name in ("link", "other-link"):
        (tmp_path / name).symlink_to("above")
    above = str(tmp_path / "link")
    below = str(tmp_path / "other-link/a")
    lowest = str(tmp_path / "other-link/a/../a/b")
    for roots in ([above, below, lowest], [lowest, below, above]):
        with TreeWatcher(*roots) as watcher:
            (tmp_path / "above").rename(tmp_path / "moved")
            lost = [event.path for event in watcher.read(timeout=0)]
            assert lost == [lowest, below, above]
            (tmp_path / "moved").rename(tmp_path / "above")


@pytest.mark.parametrize("missing_ok", [False, True])
def test_empty_path(missing_ok: bool) -> None:
    """An empty path leads to nothing, and not to the working directory."""
    with pytest.raises(FileNotFoundError) as caught:
        TreeWatcher("", missing_ok=missing_ok)
    assert caught.value.filename == ""
    with TreeWatcher(missing_ok=missing_ok) as watcher:
        with pytest.raises(FileNotFoundError):
            watcher.add(b"")
        assert watcher.roots == []
