"""On which file systems the kernel sees the changes.

inotify reports what goes through this kernel's own file system calls. A change that
another host makes on a network file system, or that the server behind a FUSE mount
makes, does not. The division into local and other types is that of tail(1) from GNU
coreutils for ``--follow`` (its src/stat.c marks each type), by the names that
/proc/self/mountinfo has for them. As there, a type that is not known to be local is
taken for one whose changes may be missed.

Two types are classified otherwise. overlay is local here: tail watches single files,
and a file that was opened before it was copied up is another one afterwards; a
directory of an overlay reports everything, and the kernel's documentation forbids
changes of the layers below a mounted one. 9p is not local here: its changes are made
by the host.
"""

from __future__ import annotations

# fmt: off
LOCAL = frozenset([
    "adfs", "affs", "autofs", "bcachefs", "bdev", "befs", "bfs", "binder",
    "binfmt_misc", "bpf", "btrfs", "cgroup", "cgroup2", "configfs", "cpuset",
    "cramfs", "debugfs", "devpts", "devtmpfs", "dmabuf", "ecryptfs", "efivarfs",
    "efs", "erofs", "exfat", "exofs", "ext2", "ext3", "ext4", "f2fs", "futexfs",
    "hfs", "hfsplus", "hostfs", "hpfs", "hugetlbfs", "inotifyfs", "iso9660",
    "jffs2", "jfs", "logfs", "minix", "mqueue", "msdos", "nilfs2", "nsfs", "ntfs",
    "ntfs3", "openpromfs", "overlay", "pidfs", "pstore", "qnx4", "qnx6", "ramfs",
    "reiserfs", "resctrl", "romfs", "rpc_pipefs", "sdcardfs", "secretmem",
    "securityfs", "selinuxfs", "smackfs", "sockfs", "squashfs", "sysv", "tmpfs",
    "tracefs", "ubifs", "udf", "ufs", "usbdevfs", "v7", "vfat", "vzfs", "wslfs",
    "xenfs", "xfs", "zfs", "zonefs",
])
# fmt: on
# Their files change without any call to the file system.
_GENERATED = frozenset(["proc", "sysfs"])


def missed_on(kind: str) -> str | None:
    """Return which changes inotify does not report on a type of file system.

    Parameters:
        kind: the type, as /proc/self/mountinfo names it; a subtype does not count.

    Returns:
        A clause for a message; None for a local file system, where none is missed.
    """
    if kind in _GENERATED:
        return "the kernel generates its files and reports no change of them"
    if kind.partition(".")[0] in LOCAL:
        return None
    return "changes that are not made through this machine's kernel are not reported"
