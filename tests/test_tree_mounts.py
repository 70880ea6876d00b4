"""The mount table: how it is read, what has changed in it, and what it says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from inotify_cffi.tree._file_systems import missed_on
from inotify_cffi.tree._mounts import Mount, MountTable, parse


def mount(*arguments: str | Path) -> None:
    """Mount, or skip where that is not allowed."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr}")


def unmount(*arguments: str | Path) -> None:
    subprocess.run(["umount", *arguments], check=True)


@pytest.fixture
def table() -> Iterator[MountTable]:
    table = MountTable()
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
