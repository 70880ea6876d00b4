"""The mount table: how it is read, what has changed in it, and what it says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inotify_cffi import INotify
from inotify_cffi.tree._file_systems import missed_on
from inotify_cffi.tree._mounts import Mount, MountTable, parse

if TYPE_CHECKING:
    from conftest import RunPython


def mount(*arguments: str | Path) -> None:
    """Mount, or skip where that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr}")


def unmount(*arguments: str | Path) -> None:
    subprocess.run(["umount", *arguments], check=True)


@pytest.fixture
def table() -> Iterator[MountTable]:
    with INotify() as inotify:
        table = MountTable(inotify)
        yield table
        table.close()


def test_a_line_of_the_table_is_read_as_the_kernel_escapes_it() -> None:
    """Blanks, tabs, newlines and backslashes in a path come back, and any byte."""
    line = (
        rb"36 35 98:0 /a\040b /mnt/\134\011\012\377 rw shared:1 master:2 - fuse.x y z"
    )
    assert parse(line + b"\nno mount\n") == [
        Mount(36, "98:0", "/a b", os.fsdecode(b"/mnt/\\\t\n\xff"), "fuse.x")
    ]


def test_the_mount_of_a_path_is_that_of_its_device(table: MountTable) -> None:
    """The table names the device that stat(2) does."""
    for path in ("/", "/proc", "/proc/self"):
        found = table.at(path)
        assert found is not None
        major, minor = found.device.split(":")
        assert os.stat(path).st_dev == os.makedev(int(major), int(minor))


def test_mounts_that_come_and_go_are_found(table: MountTable, tmp_path: Path) -> None:
    """Each change of the table is reported once, by its mount point."""
    point = tmp_path / "a b"
    point.mkdir()
    assert table.changes() == {}
    mount("-t", "tmpfs", "none", point)
    try:
        assert table.changes() == {str(point): False}
        assert table.changes() == {}
        assert [each.point for each in table.below(str(tmp_path))] == [str(point)]
        assert table.below(str(point)) == []
        found = table.at(f"{point}/below")
        assert found is not None
        assert found.kind == "tmpfs"
        mount("--bind", tmp_path, point)
        assert table.changes() == {str(point): False}
        unmount(point)
        assert table.changes() == {str(point): True}
    finally:
        unmount(point)
    assert table.changes() == {str(point): True}
    assert table.below(str(tmp_path)) == []


@pytest.mark.parametrize(
    "kind",
    [
        "nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "fuseblk",
        "virtiofs", "afs", "ceph",
        "lustre", "gfs2", "gpfs", "ocfs2", "vboxsf", "vmhgfs", "prl_fs",
        "beegfs", "panfs", "orangefs", "aufs", "of-the-future", "proc", "sysfs",
    ],
)  # fmt: skip
def test_changes_are_missed_where_a_type_is_not_known_to_be_local(kind: str) -> None:
    """Network file systems, and all that is unknown, are warned of."""
    assert missed_on(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "tmpfs", "zfs", "f2fs", "overlay", "vfat", "ntfs3"]
)
def test_no_change_is_missed_on_local_file_systems(kind: str) -> None:
    """A file system that tail(1) follows by inotify causes no warning."""
    assert missed_on(kind) is None


# ---- waits --------------------------------------------------------------------------

# How a program waits. `wait(change)` lets something change, at the latest when the
# program waits, and returns what it read then.
WAITS = {
    "read": """
def wait(change):
    with beside(change):
        return watcher.read(timeout=PATIENCE)
""",
    "read with a delay": """
def wait(change):
    with beside(change):
        return watcher.read(timeout=PATIENCE, read_delay=20)
""",
    "iteration": """
def wait(change):
    with beside(change):
        return [next(watcher), *watcher.read(timeout=0)]
""",
    "aread": """
async def read_as_task(change):
    task = asyncio.ensure_future(watcher.aread(timeout=PATIENCE))
    while not waits(watcher._inotify_cffi.inotify):
        await asyncio.sleep(0.001)
    change()
    return await task

def wait(change):
    return asyncio.run(read_as_task(change))
""",
    "two tasks": """
async def read_as_tasks(change):
    tasks = [asyncio.ensure_future(watcher.aread(timeout=PATIENCE)) for _ in range(2)]
    while waits(watcher._inotify_cffi.inotify) < 2:
        await asyncio.sleep(0.001)
    change()
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        watcher.wake()
    return [event for task in tasks for event in await task]

def wait(change):
    return asyncio.run(read_as_tasks(change))
""",
    "a task that is cancelled": """
async def cancel(change):
    task = asyncio.ensure_future(watcher.aread(timeout=PATIENCE))
    while not waits(watcher._inotify_cffi.inotify):
        await asyncio.sleep(0.001)
    change()
    task.cancel()
    await asyncio.wait([task])
    return watcher.read(timeout=PATIENCE)

def wait(change):
    return asyncio.run(cancel(change))
""",
    "select": """
watcher.fileno()

def wait(change):
    change()
    assert select.select([watcher], [], [], PATIENCE / 1000)[0] == [watcher]
    return watcher.read(timeout=0)
""",
    "select, for the first time after the change": """
def wait(change):
    change()
    assert select.select([watcher], [], [], PATIENCE / 1000)[0] == [watcher]
    return watcher.read(timeout=0)
""",
    "poll in a thread": """
watcher.fileno()

def wait(change):
    poll = select.poll()
    poll.register(watcher, select.POLLIN)
    with beside(change, must_wait=False):
        assert poll.poll(PATIENCE), "not readable"
    return watcher.read(timeout=0)
""",
    "a reader in an asyncio loop": """
async def wait_in_loop(change):
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(watcher, readable.set)
    loop.call_soon(change)
    await asyncio.wait_for(readable.wait(), PATIENCE / 1000)
    loop.remove_reader(watcher)
    return watcher.read(timeout=0)

def wait(change):
    return asyncio.run(wait_in_loop(change))
""",
    "trio": """
import trio

async def read_in_trio(change):
    results = []
    async def read():
        results.extend(await watcher.aread(timeout=PATIENCE))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        while not waits(watcher._inotify_cffi.inotify):
            await trio.sleep(0.001)
        change()
    return results

def wait(change):
    return trio.run(read_in_trio, change)
""",
    "gevent": """
def wait(change):
    def change_when_it_waits():
        while not waits(watcher._inotify_cffi.inotify):
            gevent.sleep(0.001)
        change()
    gevent.spawn(change_when_it_waits)
    return watcher.read(timeout=PATIENCE)
""",
    "eventlet": """
def wait(change):
    def change_when_it_waits():
        while not waits(watcher._inotify_cffi.inotify):
            eventlet.sleep(0.001)
        change()
    eventlet.spawn(change_when_it_waits)
    return watcher.read(timeout=PATIENCE)
""",
}
PATCHES = {
    "gevent": "import gevent, gevent.monkey\ngevent.monkey.patch_all()\n",
    "eventlet": "import eventlet\neventlet.monkey_patch()\n",
}

WAITING = """
import asyncio, contextlib, ctypes, os, select, sys, threading, time
from waiting import waits
from inotify_cffi import TreeWatcher, flags, mask_str

PATIENCE = 60_000
libc = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_MOVE, MS_REMOUNT, MS_RDONLY = 4096, 8192, 32, 1

def check(result):
    if result:
        raise OSError(ctypes.get_errno(), "mount")

def mount(source, target, flags=0):
    kind = None if flags else b"tmpfs"
    check(libc.mount(source.encode(), target.encode(), kind, flags, None))

def unmount(target):
    check(libc.umount2(target.encode(), 0))

@contextlib.contextmanager
def beside(change, must_wait=True):
    def run():
        while must_wait and not waits(watcher._inotify_cffi.inotify):
            time.sleep(0.001)
        change()
    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()

def shown(events):
    return [f"{mask_str(mask)} {path[len(top):]}" for path, mask, *_ in events]

top = sys.argv[1]
for name in ("root/a/point/hidden", "outside/x/y", "elsewhere"):
    os.makedirs(f"{top}/{name}")
mount("none", f"{top}/elsewhere")
unmount(f"{top}/elsewhere")
point = f"{top}/root/a/point"
"""

CHANGES = {
    "below the root": """
mount_points = [f"{top}/root"]
def changes():
    yield lambda: mount("none", point), [
        "DELETE | ISDIR /root/a/point", "CREATE | ISDIR /root/a/point"
    ]
    yield lambda: mount(f"{top}/outside", point, MS_BIND), [
        "DELETE | ISDIR /root/a/point", "CREATE | ISDIR /root/a/point",
        "CREATE | ISDIR /root/a/point/x", "CREATE | ISDIR /root/a/point/x/y",
    ]
    yield lambda: unmount(point), [
        "DELETE | ISDIR /root/a/point", "CREATE | ISDIR /root/a/point"
    ]
    yield lambda: unmount(point), [
        "DELETE | ISDIR /root/a/point", "CREATE | ISDIR /root/a/point",
        "CREATE | ISDIR /root/a/point/hidden",
    ]
""",
    "moved": """
mount_points = [f"{top}/root"]
os.mkdir(f"{top}/root/b")
mount(f"{top}/outside", point, MS_BIND)
def changes():
    yield lambda: mount(point, f"{top}/root/b", MS_MOVE), [
        "CREATE | ISDIR /root/a/point", "CREATE | ISDIR /root/a/point/hidden",
        "CREATE | ISDIR /root/b", "CREATE | ISDIR /root/b/x",
        "CREATE | ISDIR /root/b/x/y",
        "DELETE | ISDIR /root/a/point", "DELETE | ISDIR /root/b",
    ]
    yield lambda: unmount(f"{top}/root/b"), [
        "DELETE | ISDIR /root/b", "CREATE | ISDIR /root/b"
    ]
""",
    "at a root": """
mount_points = [point]
def changes():
    yield lambda: mount(f"{top}/outside", point, MS_BIND), [
        "MOVE_SELF /root/a/point", "CREATE | ISDIR /root/a/point",
        "CREATE | ISDIR /root/a/point/x", "CREATE | ISDIR /root/a/point/x/y",
    ]
    yield lambda: unmount(point), [
        "UNMOUNT /root/a/point", "CREATE | ISDIR /root/a/point",
        "CREATE | ISDIR /root/a/point/hidden",
    ]
""",
    "above a root": """
mount_points = [f"{top}/root/a/point/hidden"]
def changes():
    yield lambda: mount("none", f"{top}/root"), ["MOVE_SELF /root/a/point/hidden"]
    yield lambda: unmount(f"{top}/root"), ["CREATE | ISDIR /root/a/point/hidden"]
""",
    "elsewhere": """
mount_points = [f"{top}/root"]
def mount_elsewhere_and_make(name):
    mount(f"{top}/outside", f"{top}/elsewhere", MS_BIND)
    mount("none", f"{top}/elsewhere", MS_REMOUNT | MS_BIND | MS_RDONLY)
    unmount(f"{top}/elsewhere")
    os.mkdir(f"{top}/root/{name}")
def changes():
    for name in "xy":
        yield lambda: mount_elsewhere_and_make(name), [f"CREATE | ISDIR /root/{name}"]
""",
}

RUN = """
with TreeWatcher(*mount_points) as watcher:
    exec(sys.argv[2])
    for change, expected in changes():
        events = shown(wait(change))
        while len(events) < len(expected):
            more = shown(watcher.read(timeout=PATIENCE))
            assert more, (events, expected)
            events += more
        assert sorted(events) == sorted(expected), (events, expected)
        assert watcher.read(timeout=0) == []
    if hasattr(select, "epoll"):
        assert not select.select([watcher], [], [], 0)[0]
    else:  # gevent and eventlet remove it
        try:
            watcher.fileno()
        except RuntimeError as error:
            assert "select.epoll" in str(error)
        else:
            raise AssertionError
print("done")
"""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", WAITS)
def test_a_change_of_the_mount_table_ends_a_wait(
    run_python: RunPython,
    mount_namespace: list[str],
    tmp_path: Path,
    way: str,
    change: str,
) -> None:
    """However a program waits, it learns at once what is mounted below a root now.

    A change that concerns no root is not reported.
    """
    if way in ("trio", *PATCHES):
        pytest.importorskip(way, reason=f"{way} is not installed")
    if way in PATCHES and change != "elsewhere":
        pytest.skip(f"{way} waits for the queue alone: see docs/limits.md")
    code = PATCHES.get(way, "") + WAITING + CHANGES[change] + RUN
    if way in PATCHES:
        code = f"import warnings\nwarnings.simplefilter('ignore')\n{code}"
    printed = run_python(code, tmp_path, WAITS[way], prefix=mount_namespace)
    assert printed == "done\n"


WITHOUT_PROC = """
hide = lambda: mount("none", "/proc")
if sys.argv[2] == "before":
    hide()
with TreeWatcher(f"{top}/root") as watcher:
    if sys.argv[2] == "after":
        hide()
    make = lambda name: threading.Timer(0.01, os.mkdir, [f"{top}/root/{name}"]).start()
    make("1")
    assert shown(watcher.read(timeout=PATIENCE)) == ["CREATE | ISDIR /root/1"]
    make("2")
    events = asyncio.run(watcher.aread(timeout=PATIENCE))
    assert shown(events) == ["CREATE | ISDIR /root/2"]
    make("3")
    assert select.select([watcher], [], [], PATIENCE / 1000)[0]
    assert shown(watcher.read(timeout=0)) == ["CREATE | ISDIR /root/3"]
    assert not select.select([watcher], [], [], 0)[0]
print("done")
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_waits_without_proc(
    run_python: RunPython, mount_namespace: list[str], tmp_path: Path, when: str
) -> None:
    """If /proc is not mounted, or no longer, waits continue for the queue."""
    code = WAITING + WITHOUT_PROC
    assert run_python(code, tmp_path, when, prefix=mount_namespace) == "done\n"


DESCRIPTORS = """
import asyncio, os, sys, threading, time
from waiting import waits
from inotify_cffi import TreeWatcher

def count():
    return len(os.listdir("/proc/self/fd")) - before

async def count_as_task():
    before = count()
    task = asyncio.ensure_future(watcher.aread())
    while not waits(watcher._inotify_cffi.inotify):
        await asyncio.sleep(0.001)
    print("a waiting aread", count() - before)
    watcher.wake()
    await task
    print("after it", count() - before)

before = len(os.listdir("/proc/self/fd"))
watcher = TreeWatcher(sys.argv[1])
print("new", count())
thread = threading.Thread(target=watcher.read)
thread.start()
while not waits(watcher._inotify_cffi.inotify):
    time.sleep(0.001)
print("a waiting read", count())
watcher.wake()
thread.join()
watcher.close()
watcher = TreeWatcher(sys.argv[1])
watcher.read(timeout=1)
print("after a read", count())
asyncio.run(count_as_task())
watcher.fileno()
print("fileno", count())
watcher.close()
print("closed", count())
"""


def test_descriptors(run_python: RunPython, tmp_path: Path) -> None:
    """A watcher has as many descriptors as is documented, and closes them."""
    printed = run_python(DESCRIPTORS, tmp_path).splitlines()
    new, reading, after, task, after_task, fileno, closed = (
        int(line.rsplit(" ", 1)[1]) for line in printed
    )
    assert (new, reading) == (2, 4)
    assert after in (2, 4)  # a pipe into which a wake was written is not kept
    assert task in (2, 4)
    assert after_task in (0, -2)
    assert fileno <= 7
    assert closed == 0
