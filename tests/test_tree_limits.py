"""TreeWatcher where something is refused, lost, too long or too much."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import shutil
import subprocess
import tempfile
import termios
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import churn
import pytest

import inotify_cffi
from inotify_cffi import (
    Event,
    LocalChangesOnlyWarning,
    TreeWatcher,
    flags,
    mask_str,
    parse_events,
)
from inotify_cffi._scanning import BulkScanner

if TYPE_CHECKING:
    from conftest import InThread, RunPython

    from inotify_cffi._scanning import Found

TESTS = Path(__file__).parent
MAX_QUEUED_EVENTS = Path(churn.MAX_QUEUED_EVENTS)


@pytest.fixture
def root(top: Path) -> Path:
    """The tree that is watched."""
    return top


def _words(watcher: TreeWatcher, root: Path) -> list[str]:
    return [churn.in_words(event, str(root)) for event in watcher.read(timeout=0)]


def _fill(directory: Path) -> None:
    (directory / "sub").mkdir(parents=True)
    (directory / "file").touch()


# ---- what may not be read -----------------------------------------------------------

# Run by an ordinary user: nothing keeps root from reading.
UNREADABLE = """
import asyncio, ctypes, os, shutil, sys, tempfile, warnings
sys.path.insert(0, sys.argv[1])
import churn, stepwise  # before the rights to read their folder are gone
from inotify_cffi import TreeWatcher, UnreadableDirectoryWarning, flags

root = tempfile.mkdtemp()
if os.geteuid() == 0:
    os.chown(root, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # so that /proc/self may be read
for path in ("a/b", "locked/in/deep", "z"):
    os.makedirs(f"{root}/{path}")
os.chmod(f"{root}/locked", 0)

def caught(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = function()
    assert all(one.category is UnreadableDirectoryWarning for one in found), found
    return result, [str(one.message) for one in found]

def read():
    events, warned = caught(lambda: watcher.read(timeout=0))
    return [churn.in_words(event, root) for event in events], warned

try:
    watcher, warned = caught(lambda: TreeWatcher(root, initial=True))
    (message,) = warned
    assert f"{root}/locked" in message and "Permission denied" in message, message
    lines, warned = read()
    assert sorted(lines) == [
        "CREATE | ISDIR /a, synthetic",
        "CREATE | ISDIR /a/b, synthetic",
        "CREATE | ISDIR /locked, synthetic",
        "CREATE | ISDIR /z, synthetic",
    ], lines
    assert warned == [], warned
    exec(sys.argv[2])
    watcher.close()
finally:
    os.chmod(f"{root}/locked", 0o700)
    for name in os.listdir(root):
        shutil.rmtree(f"{root}/{name}")
"""

UNREADABLE_CASES = {
    "it joins when it becomes readable": """
os.chmod(f"{root}/locked", 0o700)
lines, warned = read()
assert lines == [
    "ATTRIB | ISDIR /locked",
    "CREATE | ISDIR /locked/in, synthetic",
    "CREATE | ISDIR /locked/in/deep, synthetic",
], lines
os.mkdir(f"{root}/locked/in/deep/new")
assert read() == (["CREATE | ISDIR /locked/in/deep/new"], [])
assert len(churn.kernel_watches(watcher)) == 8
""",
    "another changes while it is scanned": """
from inotify_cffi.tree import _disk, _watches
_watches.Watches.scan = stepwise.scan
listing = _disk.listing
def list_and_change(path):
    names = listing(path)
    if path == f"{root}/locked":
        _disk.listing = listing
        os.chmod(f"{root}/a", 0o711)  # any ATTRIB may say that it is readable
    return names
_disk.listing = list_and_change
os.chmod(f"{root}/locked", 0o700)
lines, _ = read()
more, _ = read()
assert [line for line in lines + more if "ATTRIB" not in line] == [
    "CREATE | ISDIR /locked/in, synthetic",
    "CREATE | ISDIR /locked/in/deep, synthetic",
], (lines, more)
os.mkdir(f"{root}/locked/new")
assert read() == (["CREATE | ISDIR /locked/new"], [])
shutil.rmtree(f"{root}/locked")
os.mkdir(f"{root}/locked")
lines = [line for line in read()[0] if "ATTRIB" not in line]
assert sorted(lines[:-2]) == [  # each once
    "DELETE | ISDIR /locked/in",
    "DELETE | ISDIR /locked/in/deep",
    "DELETE | ISDIR /locked/new",
], lines
assert lines[-2:] == ["DELETE | ISDIR /locked", "CREATE | ISDIR /locked"], lines
assert len(churn.kernel_watches(watcher)) == 5
""",
    "it becomes readable just when it was not": """
from inotify_cffi.tree import _watches
_watches.Watches.scan = stepwise.scan
inotify = watcher._inotify_cffi.inotify
add_watch = inotify.add_watch
def refuse_and_open(path, mask):
    try:
        return add_watch(path, mask)
    except PermissionError:
        del vars(inotify)["add_watch"]
        os.chmod(f"{root}/a/new", 0o700)
        raise
vars(inotify)["add_watch"] = refuse_and_open
os.mkdir(f"{root}/a/new")
os.mkdir(f"{root}/a/new/below")
os.chmod(f"{root}/a/new", 0)
lines, warned = read()
more, again = read()
assert "add_watch" not in vars(inotify)
assert "CREATE | ISDIR /a/new/below, synthetic" in lines + more, (lines, more)
assert again == [], again
assert len(churn.kernel_watches(watcher)) == 6
""",
    "one warning is enough": """
os.chmod(f"{root}/locked", 0o100)
os.chmod(f"{root}/a", 0o711)
assert read() == (["ATTRIB | ISDIR /locked", "ATTRIB | ISDIR /a"], [])
""",
    "it may be renamed and removed": """
os.rename(f"{root}/locked", f"{root}/new")
assert read() == (["MOVED_TO | ISDIR /new from /locked"], [])
os.chmod(f"{root}/new", 0o700)
lines, warned = read()
assert lines[1:] == [
    "CREATE | ISDIR /new/in, synthetic",
    "CREATE | ISDIR /new/in/deep, synthetic",
], lines
shutil.rmtree(f"{root}/new")
os.mkdir(f"{root}/locked")
read()
assert len(churn.kernel_watches(watcher)) == 5
""",
    "a new one is named when it is met": """
os.umask(0o777)
os.mkdir(f"{root}/a/new")
os.umask(0o022)
lines, (message,) = read()
assert lines == ["CREATE | ISDIR /a/new"], lines
assert f"{root}/a/new" in message, message
os.chmod(f"{root}/a/new", 0o700)
os.mkdir(f"{root}/a/new/below")
lines, warned = read()
assert "CREATE | ISDIR /a/new/below" in [line.split(",")[0] for line in lines], lines
""",
    "it joins where ATTRIB is not asked for, too": """
creations, _ = caught(lambda: TreeWatcher(root, mask=flags.CREATE))
os.chmod(f"{root}/locked", 0o700)
reported, _ = caught(lambda: creations.read(timeout=0))
assert [churn.in_words(event, root) for event in reported] == [
    "CREATE | ISDIR /locked/in, synthetic",
    "CREATE | ISDIR /locked/in/deep, synthetic",
], reported
creations.close()
""",
    "the warning is of the line that reads": """
os.umask(0o777)
os.mkdir(f"{root}/a/new")
os.umask(0o022)
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    exec(compile("watcher.read(timeout=0)", "the reader", "exec"))
assert [one.filename for one in found] == ["the reader"], found
os.chmod(f"{root}/a/new", 0o700)
""",
    "it joins once, also after an overflow": """
with open(churn.MAX_QUEUED_EVENTS) as file:
    for _ in range(int(file.read()) // 2 + 1):
        os.chmod(f"{root}/a", 0o700)
        os.chmod(f"{root}/z", 0o700)
lines, warned = read()
assert "Q_OVERFLOW" in lines and len(warned) == 1, warned
os.chmod(f"{root}/locked", 0o700)
assert read() == (
    [
        "ATTRIB | ISDIR /locked",
        "CREATE | ISDIR /locked/in, synthetic",
        "CREATE | ISDIR /locked/in/deep, synthetic",
    ],
    [],
)
os.mkdir(f"{root}/locked/in/new")
assert read() == (["CREATE | ISDIR /locked/in/new"], [])
""",
    "it joins when the root may be searched again": """
os.makedirs(f"{root}/new/in")
os.chmod(root, 0o400)
lines, (message,) = read()
assert lines == ["CREATE | ISDIR /new", "ATTRIB | ISDIR"], lines
assert f"{root}/new" in message, message
os.chmod(root, 0o700)
assert read() == (["ATTRIB | ISDIR", "CREATE | ISDIR /new/in, synthetic"], [])
""",
    "whether a name is still there is asked when that may be": """
for name in "xy":
    os.mknod(f"{root}/a/{name}")
read()
churn.exchange(f"{root}/a/x", f"{root}/a/y")
os.chmod(f"{root}/a", 0o400)
os.mknod(f"{root}/z/new")
lines, warned = read()
assert lines == [
    "MOVED_TO /a/y from /a/x",
    "MOVED_TO /a/x from /a/y",
    "ATTRIB | ISDIR /a",
    "CREATE /z/new",
], lines
os.chmod(f"{root}/a", 0o700)
assert read() == (["ATTRIB | ISDIR /a", "CREATE /a/y, synthetic"], [])
""",
    "listing without searching is not enough to look below": """
os.chmod(f"{root}/locked", 0o400)
lines, warned = read()
assert lines[0] == "ATTRIB | ISDIR /locked", lines
os.chmod(f"{root}/locked", 0o700)
lines += read()[0]
assert lines.count("CREATE | ISDIR /locked/in, synthetic") == 1, lines
assert lines.count("CREATE | ISDIR /locked/in/deep, synthetic") == 1, lines
""",
}


@pytest.mark.parametrize("case", UNREADABLE_CASES)
def test_unreadable(run_python: RunPython, case: str) -> None:
    """A directory that may not be read is named in a warning and waited for."""
    run_python(UNREADABLE, TESTS, UNREADABLE_CASES[case])


# ---- the limit of watches -----------------------------------------------------------

NO_WATCHES = """
import errno, os, sys
sys.path.insert(0, sys.argv[1])
import churn
from inotify_cffi import TreeWatcher

root = sys.argv[2]
above = root.count("/") - 1  # directories on the way to the root, each with a watch
def limit(number):
    with open("/proc/sys/user/max_inotify_watches", "w") as file:
        file.write(str(number + above))

def refused(function, wanted):
    try:
        function()
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        text = str(error)
        with open("/proc/sys/user/max_inotify_watches") as file:
            assert f" user.max_inotify_watches is {int(file.read())} " in text, text
        assert f" {wanted + above} directories" in text, text
        assert error.filename.startswith(root), error.filename
    else:
        raise AssertionError("not refused")

def fill(path, count):
    for number in range(count):
        os.makedirs(f"{path}/{number}/sub")
"""

NO_WATCHES_CASES = {
    "at the start": """
fill(root, 30)
for number in range(30):
    os.symlink("sub", f"{root}/{number}/link")  # is no directory
limit(20)
refused(lambda: TreeWatcher(root), 61)
limit(61)
with TreeWatcher(root) as watcher:
    assert len(churn.kernel_watches(watcher)) == 61
""",
    "of a root that is added": """
os.mkdir(f"{root}/one")
fill(f"{root}/two", 30)
limit(20)
with TreeWatcher(f"{root}/one") as watcher:
    refused(lambda: watcher.add(f"{root}/two"), 63)
    os.mknod(f"{root}/one/new")
    assert [event.path for event in watcher.read(timeout=0)] == [f"{root}/one/new"]
    os.unlink(f"{root}/one/new")
    assert [event.path for event in watcher.read(timeout=0)] == [f"{root}/one/new"]
    watcher.remove(f"{root}/two")
    os.makedirs(f"{root}/one/a/b/c")
    assert len(watcher.read(timeout=0)) == 3
    assert len(churn.kernel_watches(watcher)) == 4
""",
    "later": """
limit(20)
with TreeWatcher(root) as watcher:
    os.mknod(f"{root}/before")
    fill(f"{root}/new", 30)
    refused(lambda: watcher.read(timeout=0), 62)
    reported = [event.path for event in watcher.read(timeout=0)]
    assert f"{root}/before" in reported and f"{root}/new" in reported, reported
    # It was raised once. Watched directories report; the others are left alone.
    assert watcher.read(timeout=0) == []
    os.mknod(f"{root}/after")
    os.mknod(f"{root}/new/after")
    reported = [event.path for event in watcher.read(timeout=0)]
    assert reported == [f"{root}/after", f"{root}/new/after"], reported
    for path in (f"{root}/new/{number}/sub" for number in range(30)):
        os.rmdir(path)
    watcher.read(timeout=0)
    os.rename(f"{root}/new", f"{root}/old")
    assert [event.path for event in watcher.read(timeout=0)] == [f"{root}/old"]
""",
    "of as many directories as are watched": """
limit(4)
os.mkdir(f"{root}/one")
fill(f"{root}/two", 1)
with TreeWatcher(f"{root}/one") as watcher:
    refused(lambda: watcher.add(f"{root}/two"), 5)
""",
    "that another has left": """
limit(2)
os.mkdir(f"{root}/one")
with TreeWatcher(root) as watcher:
    os.rename(f"{root}/one", f"{root}-elsewhere")
    fill(f"{root}/two", 1)
    refused(lambda: watcher.read(timeout=0), 4)
""",
    "again and again": """
limit(3)
with TreeWatcher(root) as watcher:
    for number in range(5):
        fill(f"{root}/{number}", 1)
        # The root and those without a watch.
        try:
            watcher.read(timeout=0)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
    assert len(churn.kernel_watches(watcher)) == 3
    limit(100)
    os.makedirs(f"{root}/new/a/b")
    reported = [event.path for event in watcher.read(timeout=0)]
    assert reported[-3:] == [f"{root}/new", f"{root}/new/a", f"{root}/new/a/b"]
""",
}


@pytest.mark.parametrize("case", NO_WATCHES_CASES)
def test_no_more_watches(
    run_python: RunPython, user_namespace: list[str], root: Path, case: str
) -> None:
    """ENOSPC names the sysctl, its value and how many are wanted; the rest goes on."""
    code = NO_WATCHES + NO_WATCHES_CASES[case]
    run_python(code, TESTS, root, prefix=user_namespace)


# ---- mounts -------------------------------------------------------------------------

MOUNTS = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
import churn
from inotify_cffi import TreeWatcher, flags

root = sys.argv[2]
mounted = f"{root}/mounted"
os.makedirs(f"{mounted}/hidden/deep")

def run(*command):
    subprocess.run(command, check=True)

run("mount", "-t", "tmpfs", "none", mounted)
os.makedirs(f"{mounted}/a/b/c")
"""

MOUNTS_CASES = {
    "of the root": """
with TreeWatcher(mounted) as watcher:
    os.mkdir(f"{mounted}/a/new")
    run("umount", mounted)
    events = watcher.read()
    assert [event.path for event in events[:3]] == [
        f"{mounted}/a/new", mounted, mounted
    ], events
    assert events[1].mask == flags.UNMOUNT, events
    assert events[2].mask == flags.CREATE | flags.ISDIR and events[2].synthetic
    assert [event.path for event in events[3:]] == [
        f"{mounted}/hidden", f"{mounted}/hidden/deep"
    ], events
    assert watcher.read(timeout=0) == []
    assert len(churn.kernel_watches(watcher)) == 3
""",
    "below the root": """
with churn.Consumer(root, initial=True) as consumer:
    consumer.check()
    consumer.mirror.unmounts = True
    run("umount", mounted)
    consumer.check()
    assert list(consumer.mirror.trees[root]["mounted"]) == ["hidden"]
    os.mkdir(f"{mounted}/hidden/deep/new")
    consumer.check()
""",
    "below the root, in the midst of changes": """
with churn.Consumer(root, initial=True) as consumer:
    consumer.check()
    consumer.mirror.unmounts = True
    os.makedirs(f"{mounted}/x/y/z")
    os.mkdir(f"{root}/other")
    run("umount", mounted)
    os.rename(mounted, f"{root}/other/moved")
    consumer.check()
    os.mkdir(f"{root}/other/moved/hidden/deep/new")
    consumer.check()
""",
    "of one root of two": """
os.mkdir(f"{root}/stays")
with churn.Consumer(mounted, f"{root}/stays") as consumer:
    run("umount", mounted)
    event = consumer.read()[0]
    assert event.path == mounted and event.mask & flags.UNMOUNT, event
    os.mkdir(f"{root}/stays/new")
    assert [event.path for event in consumer.read()] == [f"{root}/stays/new"]
""",
    "and mounted again": """
with churn.Consumer(root, initial=True) as consumer:
    consumer.mirror.unmounts = True
    for _ in range(3):
        run("umount", mounted)
        consumer.check()
        run("mount", "-t", "tmpfs", "none", mounted)
        consumer.check()
        os.mkdir(f"{mounted}/new")
        consumer.check()
    run("umount", mounted)
    consumer.check()
""",
    "lazily": """
with TreeWatcher(mounted) as watcher:
    with open(f"{mounted}/open", "w") as file:
        run("umount", "--lazy", mounted)
        events = watcher.read(timeout=0)
        assert events[1].path == mounted and events[1].mask & flags.UNMOUNT, events
    assert watcher.read(timeout=0) == []
""",
}


@pytest.mark.parametrize("case", MOUNTS_CASES)
def test_unmount(
    run_python: RunPython, mount_namespace: list[str], root: Path, case: str
) -> None:
    """An unmount is UNMOUNT of a root; below a root, the hidden content appears."""
    code = MOUNTS + MOUNTS_CASES[case]
    run_python(code, TESTS, root, prefix=mount_namespace)


# A file system whose server is here. It has nothing but an empty directory.
FUSE = """
import os, stat, struct, sys, threading, warnings
sys.path.insert(0, sys.argv[1])
import ctypes
from inotify_cffi import LocalChangesOnlyWarning, TreeWatcher

root = sys.argv[2]
INIT, GETATTR, OPENDIR, READDIR = 26, 3, 27, 28
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
if ctypes.CDLL(None, use_errno=True).mount(
    b"none", os.fsencode(root), b"fuse.example", 0, options
):
    print("refused", ctypes.get_errno())
    sys.exit()

def answer():
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            return  # unmounted
        length, opcode, unique = struct.unpack_from("=IIQ", request)
        error, body = 0, b""
        if opcode == INIT:
            body = struct.pack("=IIIIHHII36x", 7, 31, 4096, 0, 1, 1, 4096, 1)
        elif opcode == GETATTR:
            body = struct.pack("=QII", 9, 0, 0) + struct.pack(
                "=QQQQQQIIIIIIIIII",
                1, 0, 0, 0, 0, 0, 0, 0, 0, stat.S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0,
            )
        elif opcode == OPENDIR:
            body = struct.pack("=QII", 1, 0, 0)
        elif opcode != READDIR:
            error = -38  # ENOSYS
        os.write(device, struct.pack("=IiQ", 16 + len(body), error, unique) + body)

threading.Thread(target=answer, daemon=True).start()
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    TreeWatcher(root).close()
(one,) = found
assert one.category is LocalChangesOnlyWarning, one
print(one.message)
"""


def test_fuse(run_python: RunPython, mount_namespace: list[str], root: Path) -> None:
    """A root on FUSE gives a warning: only this machine's changes are seen."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/fuse here")
    said = run_python(FUSE, TESTS, root, prefix=mount_namespace)
    if said.startswith("refused"):
        pytest.skip(f"no mount of FUSE here: {said}")
    assert f"{str(root)!r} is on fuse.example" in said
    assert "not made through this machine's kernel" in said


@pytest.mark.parametrize("path", ["/proc/self/task", "/sys/fs"])
def test_file_systems_without_changes(path: str) -> None:
    """A root on proc or sysfs gives a warning: no change is seen there."""
    with pytest.warns(
        LocalChangesOnlyWarning, match="reports no change of them"
    ) as found:
        TreeWatcher(path).close()
    assert repr(path) in str(found[0].message)
    assert found[0].filename == __file__


def test_ordinary_file_systems(root: Path) -> None:
    """A root where all changes are seen gives no warning, though one below would."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        TreeWatcher(root, other).close()


# ---- roots that go ------------------------------------------------------------------


def _remove(root: Path) -> None:
    subprocess.run(["rm", "-r", root], check=True)


def _rename(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


def _replace(root: Path) -> None:
    _rename(root)
    _fill(root)


def _exchange(root: Path) -> None:
    _fill(root.with_name("other"))
    churn.exchange(root, root.with_name("other"))


WAYS_TO_GO: list[tuple[Callable[[Path], None], int]] = [
    (_remove, flags.DELETE_SELF),
    (_rename, flags.MOVE_SELF),
    (_replace, flags.MOVE_SELF),
    (_exchange, flags.MOVE_SELF),
]


@pytest.mark.parametrize(("go", "reported"), WAYS_TO_GO)
@pytest.mark.parametrize("filled", [True, False])
def test_root_goes(
    root: Path, go: Callable[[Path], None], reported: int, filled: bool
) -> None:
    """A root that goes is reported once, and what is there then, and comes later."""
    if filled:
        _fill(root)
    with churn.Consumer(root) as consumer:
        go(root)
        at_root = [event for event in consumer.read() if event.path == str(root)]
        assert mask_str(at_root[0].mask) == mask_str(reported)
        assert len(at_root) == 1 + root.exists()
        assert consumer.watcher.missing == ([] if root.exists() else [str(root)])
        if not root.exists():
            assert churn.kernel_watches(consumer.watcher) == []
            root.mkdir()
        consumer.check()
        (root / "new").mkdir()
        consumer.check()


def _everything(root: Path) -> Iterator[tuple[str, str]]:
    """The tree from a root down, as directories and names."""
    if root.exists():
        yield str(root), ""
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            yield directory, name


def _make_again(root: Path) -> None:
    root.rmdir()
    root.mkdir()


@pytest.mark.parametrize("go", [_make_again, _rename, _replace, _exchange])
def test_root_goes_where_that_is_not_asked_for(
    root: Path, go: Callable[[Path], None]
) -> None:
    """The loss of a root is reported for every mask, and its successor as well."""
    with TreeWatcher(root, mask=flags.CREATE) as watcher:
        go(root)
        events = watcher.read(timeout=0)
        assert events[0].mask in (flags.DELETE_SELF, flags.MOVE_SELF)
        assert {event.mask & ~flags.ISDIR for event in events[1:]} <= {flags.CREATE}
        there = [os.path.join(*found).rstrip("/") for found in _everything(root)]
        assert sorted(event.path for event in events[1:]) == sorted(there)
        assert len(churn.kernel_watches(watcher)) == sum(map(os.path.isdir, there))


@pytest.mark.parametrize(("go", "reported"), WAYS_TO_GO)
def test_root_goes_before_it_is_looked_into(
    root: Path, tmp_path: Path, go: Callable[[Path], None], reported: int
) -> None:
    """A root that goes while new directories in it are unseen raises nothing."""
    with TreeWatcher(root) as watcher:
        (root / "a" / "b" / "c").mkdir(parents=True)
        (root / "file").touch()
        go(root)
        events = [event for event in watcher.read(timeout=0) if event.path == str(root)]
        assert mask_str(events[0].mask) == mask_str(reported)
        assert len(events) == 1 + root.exists()
        if not root.exists():
            assert churn.kernel_watches(watcher) == []


def test_one_root_of_two_goes(tmp_path: Path) -> None:
    """When a root goes, the others stay."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    with churn.Consumer(tmp_path / "a", tmp_path / "b") as consumer:
        _remove(tmp_path / "a")
        (tmp_path / "b" / "sub" / "new").mkdir()
        events = consumer.read()
        assert {event.path for event in events} == {
            str(tmp_path / path) for path in ("a", "a/file", "a/sub", "b/sub/new")
        }


def test_root_inside_another_goes(root: Path) -> None:
    """A root inside another goes as any directory of that one does."""
    _fill(root / "d")
    with churn.Consumer(root) as consumer:
        consumer.watcher.add(root / "d")
        _remove(root / "d")
        assert consumer.lines()[-1] == "DELETE | ISDIR /d"
        _fill(root / "d")
        consumer.check()


def test_a_read_that_waits_returns(root: Path, in_thread: InThread) -> None:
    """A read that waits returns when the last root goes."""
    with TreeWatcher(root) as watcher:
        result = in_thread(watcher.read)
        root.rmdir()
        (event,) = result()
        assert event == (str(root), flags.DELETE_SELF, None, False)


def test_above_the_root(root: Path, tmp_path: Path) -> None:
    """A rename above a root is noticed at once, and the way back as well."""
    (tmp_path / "above").mkdir()
    root.rename(tmp_path / "above" / "root")
    with TreeWatcher(tmp_path / "above" / "root") as watcher:
        (tmp_path / "above").rename(tmp_path / "beyond")
        (tmp_path / "beyond" / "root" / "file").touch()
        events = watcher.read(timeout=0)
        assert [mask_str(event.mask) for event in events] == ["MOVE_SELF"]
        assert churn.kernel_watches(watcher) == []
        (tmp_path / "beyond").rename(tmp_path / "above")
        events = watcher.read(timeout=0)
        assert [mask_str(event.mask) for event in events] == [
            "CREATE | ISDIR",
            "CREATE",
        ]
        assert all(event.synthetic for event in events)


# ---- long paths ---------------------------------------------------------------------


# Of the second kind, the characters are far fewer than PATH_MAX.
@pytest.fixture(params=[("0", 198, 30), ("\N{MUSICAL SYMBOL G CLEF}", 60, 20)])
def beyond_path_max(
    root: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[list[str], int]]:
    """Names below the root that together no system call takes, and the deepest."""
    character, length, count = request.param
    names = [f"{character * length}{number:02}" for number in range(count)]
    fd = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    yield names, fd
    os.close(fd)
    _remove(root)  # shutil.rmtree() of some Pythons cannot


@pytest.mark.parametrize("initial", [True, False])
def test_long_paths_at_the_start(
    root: Path, beyond_path_max: tuple[list[str], int], initial: bool
) -> None:
    """A tree deeper than PATH_MAX is watched to its end."""
    names, deepest = beyond_path_max
    with TreeWatcher(root, initial=initial) as watcher:
        paths = ["/" + "/".join(names[: end + 1]) for end in range(len(names))]
        reported = [event.path[len(str(root)) :] for event in watcher.read(timeout=0)]
        assert reported == (paths if initial else [])
        assert len(churn.kernel_watches(watcher)) == len(names) + 1
        os.mkdir("d", dir_fd=deepest)
        os.mkdir("d/e", dir_fd=deepest)
        assert _words(watcher, root) == [
            f"CREATE | ISDIR {paths[-1]}/d",
            f"CREATE | ISDIR {paths[-1]}/d/e, synthetic",
        ]
        os.rename("d/e", "f", src_dir_fd=deepest, dst_dir_fd=deepest)
        os.rmdir("f", dir_fd=deepest)
        assert _words(watcher, root) == [
            f"MOVED_TO | ISDIR {paths[-1]}/f from {paths[-1]}/d/e",
            f"DELETE | ISDIR {paths[-1]}/f",
        ]


def test_long_paths_later(root: Path, tmp_path: Path) -> None:
    """Directories that grow beyond PATH_MAX, or come so in a rename, are watched."""
    with churn.short_queue(None):
        watcher = TreeWatcher(root)
    with watcher:
        top: Path = root
        for part in range(2):
            fd = os.open(tmp_path, os.O_RDONLY)
            os.mkdir(f"part{part}", dir_fd=fd)
            for name in [f"part{part}", *(f"{number:0250}" for number in range(12))]:
                if name != f"part{part}":
                    os.mkdir(name, dir_fd=fd)
                below = os.open(name, os.O_RDONLY, dir_fd=fd)
                os.close(fd)
                fd = below
            os.rename(tmp_path / f"part{part}", top / "t")
            top = top.joinpath("t", *[f"{number:0250}" for number in range(12)])
            assert len(watcher.read(timeout=0)) == 13
            if part:
                os.mkdir("new", dir_fd=fd)
                (event,) = watcher.read(timeout=0)
                assert event.path == f"{top}/new"
                assert len(event.path) > 6000
            os.close(fd)
        _remove(root / "t")
        events = watcher.read(timeout=0)
        assert len(events) == 27
        assert events[-1].path == f"{root}/t"
        assert len(churn.kernel_watches(watcher)) == 1


# ---- overflow -----------------------------------------------------------------------


def _overflow(directory: Path) -> None:
    """Make more events than the queue holds."""
    for name in ("one", "two"):
        (directory / name).touch()
    for number in range(int(MAX_QUEUED_EVENTS.read_text()) // 2 + 1):
        for name in ("one", "two"):
            os.chmod(directory / name, 0o600 + number % 2)


def test_overflow(root: Path) -> None:
    """An overflow is reported for the root, and then everything that is there."""
    _fill(root / "d")
    with churn.Consumer(root) as consumer:
        _overflow(root)
        (root / "d" / "sub").rename(root / "lost")
        (root / "lost" / "new").mkdir()
        events = consumer.read()
        at = [bool(event.mask & flags.Q_OVERFLOW) for event in events].index(True)
        assert events[at] == (str(root), flags.Q_OVERFLOW, None, False)
        after = events[at + 1 :]
        assert all(event.synthetic for event in after)
        assert sorted(event.path[len(str(root)) :] for event in after) == [
            "/d",
            "/d/file",
            "/lost",
            "/lost/new",
            "/one",
            "/two",
        ]
        consumer.check()
        (root / "lost" / "new" / "newer").mkdir()
        assert consumer.lines() == ["CREATE | ISDIR /lost/new/newer"]


def test_overflow_of_several_roots(tmp_path: Path) -> None:
    """An overflow is reported for each root, also for a file or a nested root."""
    for name in ("a", "b"):
        _fill(tmp_path / name)
    (tmp_path / "file").touch()
    (tmp_path / "c").mkdir()
    roots = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    with churn.Consumer(*roots) as consumer:
        consumer.watcher.add(tmp_path / "file")
        consumer.file_roots.append(str(tmp_path / "file"))
        consumer.mirror.trees[str(tmp_path / "file")] = {}
        consumer.watcher.add(tmp_path / "a" / "sub")
        _overflow(tmp_path / "a")
        events = consumer.watcher.read(timeout=0)
        overflowed = [e.path for e in events if e.mask & flags.Q_OVERFLOW]
        assert sorted(overflowed)[:2] == [str(tmp_path / "a"), str(tmp_path / "a/sub")]
        assert {str(path) for path in [*roots, tmp_path / "file"]} <= {*overflowed}
        assert len(overflowed) == 5
        assert (str(tmp_path / "file"), flags.CREATE, None, True) in events
        (tmp_path / "c" / "new").mkdir()
        (tmp_path / "b" / "sub" / "new").mkdir()
        (tmp_path / "file").chmod(0o600)
        assert [event.path for event in consumer.watcher.read(timeout=0)] == [
            f"{tmp_path}/c/new",
            f"{tmp_path}/b/sub/new",
            f"{tmp_path}/file",
        ]
        # The check at the end is for the trees alone.
        consumer.mirror.trees.clear()
        consumer.mirror.unclean.clear()
        watched = len(churn.kernel_watches(consumer.watcher))
        assert watched == 2 + 3 + 2 + 1
        for root in [*roots, tmp_path / "file"]:
            consumer.watcher.remove(root)
        if str(tmp_path / "a" / "sub") in consumer.watcher._inotify_cffi.tracker.roots:
            consumer.watcher.remove(tmp_path / "a" / "sub")
        consumer.file_roots.clear()


def test_overflow_drops_what_is_gone(root: Path, tmp_path: Path) -> None:
    """No watch is left of what was removed or left while the queue was full."""
    for number in range(20):
        _fill(root / f"{number}")
    with churn.Consumer(root) as consumer:
        _overflow(root)
        for number in range(10):
            _remove(root / f"{number}")
        (root / "10").rename(tmp_path / "10")
        (root / "11" / "sub").rename(root / "12" / "other")
        consumer.check()
        _overflow(root)
        _remove(root / "13")
        consumer.check()


def test_overflow_and_the_root_goes(root: Path) -> None:
    """A root that is removed while the queue is full is reported as gone."""
    _fill(root)
    with TreeWatcher(root) as watcher:
        _overflow(root)
        _remove(root)
        events = watcher.read(timeout=0)
        assert events[-1].path == str(root)
        assert events[-1].mask & (flags.DELETE_SELF | flags.MOVE_SELF)
        assert watcher.missing == [str(root)]
        assert churn.kernel_watches(watcher) == []


def test_overflow_again_before_it_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events lost behind an overflow that is still queued are made up for.

    The kernel queues no second one then: between the events behind the first,
    some are missing, and nothing says so.
    """
    (root / "d").mkdir()
    with churn.Consumer(root) as consumer:
        inotify = consumer.watcher._inotify_cffi.inotify
        read = inotify.read

        def read_beside_a_writer(*arguments: Any, **options: Any) -> list[Event]:
            """Read no further than shortly behind the overflow."""
            monkeypatch.delitem(vars(inotify), "read")
            queued = array("i", [0])
            fcntl.ioctl(inotify.fd, termios.FIONREAD, queued)
            events = os.read(inotify.fd, queued[0] - 16)
            for _ in range(8):
                (root / "one").chmod(0o600)
                (root / "two").chmod(0o600)
            (root / "d").rmdir()
            _overflow(root)
            (root / "d").mkdir()  # which is lost
            events += os.read(inotify.fd, 16 + 8 * 32)
            return parse_events(events)

        _overflow(root)
        monkeypatch.setitem(vars(inotify), "read", read_beside_a_writer)
        assert consumer.lines().count("Q_OVERFLOW") == 1
        assert read(timeout=0) == []
        consumer.check()
        (root / "d").rmdir()
        assert consumer.lines() == ["DELETE | ISDIR /d"]


@pytest.mark.parametrize("length", [1, 2, 8, 64])
def test_short_queue(root: Path, tmp_path: Path, length: int) -> None:
    """With a queue of a few events, the mirror matches again and again."""
    if not os.access(MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue")
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("it would shorten the queues of tests beside it")
    with churn.short_queue(length):
        consumer = churn.Consumer(root)
    consumer.halves_are_sure = False
    with consumer:
        (tmp_path / "outside").mkdir()
        writer = churn.Writer(str(root), str(tmp_path / "outside"), seed=length)
        for _ in range(30):
            writer.run(0.002)
            consumer.check()
        assert consumer.mirror.overflows


# ---- cost ---------------------------------------------------------------------------

# Counts the system calls of a rename of a directory.
COST = """
import os, sys
sys.path.insert(0, sys.argv[1])
from inotify_cffi import TreeWatcher

root, count = sys.argv[2], int(sys.argv[3])
for number in range(count):
    os.makedirs(f"{root}/old/{number}")
os.mkdir(f"{root}/d")
looks = []
sys.addaudithook(lambda name, _: looks.append(name) if name.startswith("os.") else None)
with TreeWatcher(root) as watcher:
    inotify = watcher._inotify_cffi.inotify
    watches = inotify.add_watch, inotify.rm_watch
    def counted(function):
        return lambda *arguments: looks.append("watch") or function(*arguments)
    for function in watches:
        vars(inotify)[function.__name__] = counted(function)
    os.rename(f"{root}/old", f"{root}/d/new")
    os.mkdir(f"{root}/d/new/0/0")
    looks.clear()
    os.stat(f"{root}/begin") if os.path.exists(f"{root}/begin") else None
    events = watcher.read(timeout=0)
    os.path.exists(f"{root}/end")
    print(len(looks))
    assert [event.path for event in events] == [f"{root}/d/new", f"{root}/d/new/0/0"]
    os.mkdir(f"{root}/d/new/{count - 1}/1")
    (event,) = watcher.read(timeout=0)
    assert event.path == f"{root}/d/new/{count - 1}/1"
"""


def test_cost_of_a_rename(run_python: RunPython, tmp_path: Path) -> None:
    """Renaming a directory of 10,000 costs the looks that one of 10 does."""
    costs = []
    for count in (10, 10_000):
        (tmp_path / f"{count}").mkdir()
        costs.append(run_python(COST, TESTS, tmp_path / f"{count}", f"{count}"))
    assert costs[0] == costs[1]
    assert int(costs[0]) < 20


def test_system_calls_of_a_rename(run_python: RunPython, tmp_path: Path) -> None:
    """Renaming a directory of 10,000 costs the system calls that one of 10 does."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    costs = []
    for count in (10, 10_000):
        root, log = tmp_path / f"{count}", tmp_path / f"{count}.log"
        root.mkdir()
        prefix = [strace, "-f", "-o", str(log), "-e", "signal=none"]
        run_python(COST, TESTS, root, f"{count}", prefix=prefix)
        lines = log.read_text(errors="replace").splitlines()
        begin, end = (
            next(at for at, line in enumerate(lines) if f'{root}/{mark}"' in line)
            for mark in ("begin", "end")
        )
        # What the memory of the interpreter costs is not the watcher's.
        memory = ("brk", "mmap", "munmap", "mremap", "madvise", "futex")
        calls = [line.split(maxsplit=1)[1] for line in lines[begin + 1 : end]]
        costs.append(len([call for call in calls if not call.startswith(memory)]))
    assert costs[0] == costs[1]
    assert costs[0] < 40


def _memory_of_package() -> int:
    """The living objects that lines of the package have allocated."""
    import tracemalloc  # PyPy has it not

    mine = tracemalloc.Filter(True, os.path.dirname(inotify_cffi.__file__) + "/*")
    snapshot = tracemalloc.take_snapshot().filter_traces([mine])
    return sum(trace.size for trace in snapshot.traces)


def _close(watcher: TreeWatcher, root: Path) -> None:
    watcher.close()


def _remove_root(watcher: TreeWatcher, root: Path) -> None:
    watcher.remove(root)
    watcher.read(timeout=0)


def _move_out(watcher: TreeWatcher, root: Path) -> None:
    (root / "all").rename(root.with_name("out"))
    watcher.read(timeout=0)
    watcher.read(timeout=0)


def _delete(watcher: TreeWatcher, root: Path) -> None:
    _remove(root / "all")
    watcher.read(timeout=0)


@pytest.mark.parametrize("end", [_close, _remove_root, _move_out, _delete])
def test_memory_returns(root: Path, end: Callable[[TreeWatcher, Path], None]) -> None:
    """The memory of a tree returns when it is closed, removed, moved out or deleted."""
    tracemalloc: Any = pytest.importorskip("tracemalloc")
    count = 500
    for number in range(count):
        (root / "all" / f"{number}").mkdir(parents=True)
    gc.collect()
    tracemalloc.start()
    try:
        with TreeWatcher(root) as watcher:
            for number in range(count):
                (root / "all" / f"{number}" / "d").mkdir()
            watcher.read(timeout=0)
            during = _memory_of_package()
            end(watcher, root)
            for _ in range(4):  # free-threaded builds give it back bit by bit
                gc.collect()
            assert during > 100 * 2 * count
            # The model's tables are left, empty and as large as they were.
            assert _memory_of_package() < 0.3 * during
    finally:
        tracemalloc.stop()


def test_memory_of_scans_is_freed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing is left to scan, the memory of C for scans is freed."""
    # Nothing public says how much it is.
    scan, free = BulkScanner.scan, BulkScanner.free_memory
    calls: list[str] = []

    def note_scan(bulk: BulkScanner, *arguments: Any, **options: Any) -> Found:
        calls.append("scan")
        return scan(bulk, *arguments, **options)

    def note_free(bulk: BulkScanner) -> None:
        calls.append("free")
        free(bulk)

    monkeypatch.setattr(BulkScanner, "scan", note_scan)
    monkeypatch.setattr(BulkScanner, "free_memory", note_free)
    for number in range(40):
        (root / f"{number}" / "d").mkdir(parents=True)
    with TreeWatcher(root) as watcher:
        assert calls.pop() == "free"
        assert set(calls) == {"scan"}
        inotify = watcher._inotify_cffi.inotify

        def wait_readable(timeout: int) -> bool:
            (root / "0").chmod(0o700)  # so that a fence ends the window
            del vars(inotify)["wait_readable"]
            return inotify.wait_readable(timeout)

        for count, is_fenced in ((1, False), (3, False), (1, True)):
            calls.clear()
            for _ in range(count):
                Path(tempfile.mkdtemp(dir=root)).chmod(0o755)
            if is_fenced:
                vars(inotify)["wait_readable"] = wait_readable
            watcher.read(timeout=0)
            assert calls == ["scan", "free"]
        calls.clear()
        assert watcher.read(timeout=0) == []
        assert calls == []


def test_memory_of_churn(root: Path, tmp_path: Path) -> None:
    """A watcher that lives through much keeps no more than its tree is worth."""

    def state(watcher: TreeWatcher) -> dict[str, int]:
        # Nothing public says how much a watcher keeps.
        parts = dict(vars(watcher._inotify_cffi.tracker))
        del parts["mounts"]  # the machine's, not those of the tree
        groups = parts["_scans"]._groups
        kept = {state.name: len(group) for state, group in groups.items()}
        for part in parts.values():
            if type(part).__module__.startswith("inotify_cffi.tree."):
                for name, value in vars(part).items():
                    if isinstance(value, (dict, list, set)) and value is not groups:
                        kept[name] = len(value)
        assert {"_owners", "_pending", "_now", "_names", "UNREADABLE"} <= set(kept)
        return kept

    with churn.Consumer(root) as consumer:
        consumer.halves_are_sure = False
        (tmp_path / "outside").mkdir()
        writer = churn.Writer(str(root), str(tmp_path / "outside"), seed=3)
        for _ in range(10):
            writer.run(0.05)
            consumer.check()
        _remove(root)
        consumer.read()
        consumer.watcher.remove(root)
        consumer.watcher.read(timeout=0)
        assert not any(state(consumer.watcher).values()), state(consumer.watcher)


def test_nothing_is_left_in_the_queue(root: Path, tmp_path: Path) -> None:
    """A read that has nothing more to do leaves none of its own events queued."""
    (root / "all").mkdir(parents=True)
    for number in range(60):
        (root / "all" / f"d{number}").mkdir()
    with churn.short_queue(None):
        watcher = TreeWatcher(root)
    with watcher:
        (root / "all").rename(tmp_path / "out")
        assert len(watcher.read(timeout=0)) == 1
        assert select.select([watcher.fileno()], [], [], 0)[0] == []
        assert len(churn.kernel_watches(watcher)) == 1
