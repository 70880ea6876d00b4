"""Facts about the kernel; the package hides none and adds none."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

from inotify_cffi import Event, INotify, flags, masks

if TYPE_CHECKING:
    from conftest import RunPython

Names = Callable[[Iterable[Event]], list[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is there already."""
    file = tmp_path / "file"
    file.touch()
    return file


def _reported(inotify: INotify) -> list[tuple[int, str]]:
    """The queued events, without the watch descriptor and the cookie."""
    return [(event.mask, event.name) for event in inotify.read(timeout=0)]


def _write(path: Path) -> None:
    with open(path, "r+b", buffering=0) as opened:
        opened.write(b"text")


def test_a_file_from_creation_to_deletion(inotify: INotify, tmp_path: Path) -> None:
    """Events come in the order of what happened, with the watch and the name."""
    inotify.add_watch(tmp_path, masks.ALL_EVENTS)
    file = tmp_path / "file"
    file.touch()
    _write(file)
    file.read_bytes()
    file.chmod(0o600)
    file.unlink()
    assert _reported(inotify) == [
        (flags.CREATE, "file"),
        (flags.OPEN, "file"),
        (flags.CLOSE_WRITE, "file"),
        (flags.OPEN, "file"),
        (flags.MODIFY, "file"),
        (flags.CLOSE_WRITE, "file"),
        (flags.OPEN, "file"),
        (flags.ACCESS, "file"),
        (flags.CLOSE_NOWRITE, "file"),
        (flags.ATTRIB, "file"),
        (flags.DELETE, "file"),
    ]


def test_both_halves_of_a_rename(inotify: INotify, file: Path) -> None:
    """A rename is two events with one cookie, and each rename has its own."""
    inotify.add_watch(file.parent, masks.MOVE)
    file.rename(file.with_name("second"))
    file.with_name("second").rename(file.with_name("third"))
    events = inotify.read(timeout=0)
    assert [(event.mask, event.name) for event in events] == [
        (flags.MOVED_FROM, "file"),
        (flags.MOVED_TO, "second"),
        (flags.MOVED_FROM, "second"),
        (flags.MOVED_TO, "third"),
    ]
    cookies = [event.cookie for event in events]
    assert cookies[0] == cookies[1] != cookies[2] == cookies[3]
    assert 0 not in cookies


def test_a_rename_tells_what_was_moved_last(inotify: INotify, file: Path) -> None:
    """The MOVE_SELF of a moved file comes after both halves; its watch stays."""
    folder_wd = inotify.add_watch(file.parent, masks.MOVE)
    file_wd = inotify.add_watch(file, flags.MOVE_SELF | flags.ATTRIB)
    file.rename(file.with_name("other"))
    file.with_name("other").chmod(0o600)
    assert [(event.wd, event.mask) for event in inotify.read(timeout=0)] == [
        (folder_wd, flags.MOVED_FROM),
        (folder_wd, flags.MOVED_TO),
        (file_wd, flags.MOVE_SELF),
        (file_wd, flags.ATTRIB),
    ]


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff" * 255, b"\xed\xb2\x80", b"\n\t"])
def test_undecodable_names(inotify: INotify, tmp_path: Path, name: bytes) -> None:
    """A name that is not text comes back whole through os.fsencode()."""
    inotify.add_watch(tmp_path, flags.CREATE)
    path = os.path.join(os.fsencode(tmp_path), name)
    os.mkdir(path)
    (event,) = inotify.read(timeout=0)
    assert os.fsencode(event.name) == name
    assert [event.name] == os.listdir(tmp_path)
    assert inotify.add_watch(tmp_path / event.name, flags.CREATE) == 2
    assert inotify.add_watch(path, flags.CREATE) == 2


def test_equal_neighbours_are_merged(inotify: INotify, file: Path) -> None:
    """An event equal to the last one that is queued is not queued again."""
    inotify.add_watch(file.parent, flags.MODIFY)
    for _ in range(3):
        _write(file)
    assert _reported(inotify) == [(flags.MODIFY, "file")]


def test_only_neighbours_are_merged(inotify: INotify, file: Path) -> None:
    """Another event in between, or a read, keeps equal events apart."""
    other = file.with_name("other")
    other.touch()
    inotify.add_watch(file.parent, flags.MODIFY)
    for path in (file, other, file):
        _write(path)
    assert [name for _, name in _reported(inotify)] == ["file", "other", "file"]
    _write(file)
    assert [name for _, name in _reported(inotify)] == ["file"]


def test_cookies_do_not_keep_apart(inotify: INotify, file: Path, names: Names) -> None:
    """Events that differ in their cookie alone are merged."""
    inotify.add_watch(file.parent, flags.MOVED_FROM)
    outside = file.parent / "folder" / "file"
    outside.parent.mkdir()
    for _ in range(3):
        file.rename(outside)
        outside.rename(file)
    assert names(inotify.read(timeout=0)) == ["file"]


def test_overflow(file: Path) -> None:
    """An overflow is one last event without a watch; later events are queued again."""
    with open("/proc/sys/fs/inotify/max_queued_events") as sysctl:
        limit = int(sysctl.read())
    files = [open(file.with_name(name), "wb", buffering=0) for name in "ab"]  # noqa: SIM115
    with INotify() as inotify, files[0], files[1]:
        inotify.add_watch(file.parent, flags.MODIFY)
        for number in range(limit + 10):
            files[number % 2].write(b"b")
        events = inotify.read(timeout=0)
        assert len(events) == limit + 1
        assert events[:2] == [(1, flags.MODIFY, 0, "a"), (1, flags.MODIFY, 0, "b")]
        assert events[-1] == (-1, flags.Q_OVERFLOW, 0, "")
        assert {event.mask for event in events[:-1]} == {flags.MODIFY}
        files[0].write(b"b")
        assert inotify.read(timeout=0) == [(1, flags.MODIFY, 0, "a")]


def test_overflow_again_before_it_is_read(inotify: INotify, tmp_path: Path) -> None:
    """While an overflow is in the queue, a second one is not reported."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    inotify.add_watch(tmp_path, flags.CREATE | flags.DELETE)

    def create_and_delete(name: str, times: int) -> None:
        for _ in range(times // 2):
            os.mknod(tmp_path / name)
            os.unlink(tmp_path / name)

    create_and_delete("before", limit)
    create_and_delete("lost", 4)
    os.read(inotify.fd, limit * 32)
    create_and_delete("behind", limit)
    create_and_delete("lost", 4)
    events = inotify.read(timeout=0)
    assert events[0] == (-1, flags.Q_OVERFLOW, 0, "")
    assert {event.name for event in events[1:]} == {"behind"}
    os.mknod(tmp_path / "after")
    assert _reported(inotify) == [(flags.CREATE, "after")]


def test_ignored_after_removal(inotify: INotify, tmp_path: Path) -> None:
    """A removed watch reports its queued events, then IGNORED, then nothing."""
    wd = inotify.add_watch(tmp_path, flags.CREATE)
    (tmp_path / "before").touch()
    inotify.rm_watch(wd)
    (tmp_path / "after").touch()
    assert _reported(inotify) == [(flags.CREATE, "before"), (flags.IGNORED, "")]
    assert inotify.watches() == []


def test_ignored_after_deletion_of_a_folder(inotify: INotify, tmp_path: Path) -> None:
    """DELETE_SELF of a deleted directory comes before DELETE of the one above."""
    folder = tmp_path / "folder"
    folder.mkdir()
    above = inotify.add_watch(tmp_path, flags.DELETE)
    wd = inotify.add_watch(folder, flags.DELETE_SELF)
    folder.rmdir()
    assert inotify.read(timeout=0) == [
        (wd, flags.DELETE_SELF, 0, ""),
        (wd, flags.IGNORED, 0, ""),
        (above, flags.DELETE | flags.ISDIR, 0, "folder"),
    ]


def test_ignored_after_deletion_of_a_file(inotify: INotify, file: Path) -> None:
    """A file is deleted when its last link is gone and nobody has it open."""
    inotify.add_watch(file, flags.DELETE_SELF | flags.ATTRIB)
    with file.open():
        file.unlink()
        assert _reported(inotify) == [(flags.ATTRIB, "")]
    assert _reported(inotify) == [(flags.DELETE_SELF, ""), (flags.IGNORED, "")]


def test_ignored_even_when_nothing_else_is_asked(inotify: INotify, file: Path) -> None:
    """IGNORED comes whatever the mask asks for."""
    inotify.add_watch(file, flags.ACCESS)
    file.unlink()
    assert _reported(inotify) == [(flags.IGNORED, "")]


def test_created_anew_watched_anew(inotify: INotify, tmp_path: Path) -> None:
    """A new file at a deleted path is another object, with another watch."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert inotify.add_watch(folder, flags.CREATE) == 1
    folder.rmdir()
    folder.mkdir()
    (folder / "unwatched").touch()
    assert inotify.add_watch(folder, flags.CREATE) == 2
    (folder / "watched").touch()
    assert inotify.read(timeout=0) == [
        (1, flags.IGNORED, 0, ""),
        (2, flags.CREATE, 0, "watched"),
    ]
    with pytest.raises(OSError, match="Invalid argument"):
        inotify.rm_watch(1)


def test_ignored_after_unmount(
    run_python: RunPython, mount_namespace: list[str], tmp_path: Path
) -> None:
    """An unmount of a file system is reported as UNMOUNT, then IGNORED."""
    code = """
        import subprocess, sys
        from pathlib import Path
        from inotify_cffi import INotify, flags, mask_str

        mounted = Path(sys.argv[1])
        subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=True)
        (mounted / "file").touch()
        with INotify() as inotify:
            inotify.add_watch(mounted, flags.CREATE)
            inotify.add_watch(mounted / "file", flags.MODIFY)
            subprocess.run(["umount", mounted], check=True)
            for wd, mask, cookie, name in sorted(inotify.read(timeout=0)):
                print(wd, mask_str(mask), cookie, repr(name))
            print(inotify.watches())
        """
    assert run_python(code, tmp_path, prefix=mount_namespace).splitlines() == [
        "1 IGNORED 0 ''",
        "1 UNMOUNT | ISDIR 0 ''",
        "2 UNMOUNT 0 ''",
        "2 IGNORED 0 ''",
        "[]",
    ]


def test_oneshot(inotify: INotify, tmp_path: Path) -> None:
    """ONESHOT reports one event, then IGNORED, and the watch is gone."""
    inotify.add_watch(tmp_path, flags.CREATE | flags.ONESHOT)
    (tmp_path / "first").touch()
    (tmp_path / "second").touch()
    assert _reported(inotify) == [(flags.CREATE, "first"), (flags.IGNORED, "")]
    assert inotify.watches() == []


def test_onlydir(inotify: INotify, file: Path) -> None:
    """ONLYDIR refuses what is not a folder with ENOTDIR, and takes a folder."""
    with pytest.raises(NotADirectoryError) as refused:
        inotify.add_watch(file, flags.MODIFY | flags.ONLYDIR)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOTDIR, str(file))
    assert inotify.add_watch(file.parent, flags.MODIFY | flags.ONLYDIR) == 1


def test_dont_follow(inotify: INotify, file: Path) -> None:
    """DONT_FOLLOW watches a symbolic link itself, else what it points to."""
    link = file.with_name("link")
    link.symlink_to(file)
    link_wd = inotify.add_watch(link, flags.ATTRIB | flags.DONT_FOLLOW)
    file_wd = inotify.add_watch(link, flags.ATTRIB)
    assert inotify.add_watch(file, flags.ATTRIB) == file_wd != link_wd
    file.chmod(0o600)
    os.utime(link, (0, 0), follow_symlinks=False)
    assert inotify.read(timeout=0) == [
        (file_wd, flags.ATTRIB, 0, ""),
        (link_wd, flags.ATTRIB, 0, ""),
    ]


def test_dont_follow_a_link_that_leads_nowhere(
    inotify: INotify, tmp_path: Path
) -> None:
    """A link that leads nowhere can be watched itself, and only so."""
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        inotify.add_watch(link, flags.ATTRIB)
    assert inotify.add_watch(link, flags.ATTRIB | flags.DONT_FOLLOW) == 1


def test_onlydir_and_dont_follow(inotify: INotify, tmp_path: Path) -> None:
    """A symbolic link to a folder is no folder when it is not followed."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        inotify.add_watch(link, flags.CREATE | flags.ONLYDIR | flags.DONT_FOLLOW)
    assert inotify.add_watch(link, flags.CREATE | flags.ONLYDIR) == 1


@pytest.mark.parametrize("exclude", [True, False])
def test_excl_unlink(inotify: INotify, file: Path, exclude: bool) -> None:
    """EXCL_UNLINK hides what is done to a file that has no name any more."""
    mask = flags.MODIFY | flags.DELETE | (flags.EXCL_UNLINK if exclude else 0)
    inotify.add_watch(file.parent, mask)
    with open(file, "r+b", buffering=0) as opened:
        file.unlink()
        opened.write(b"text")
    reported = _reported(inotify)
    assert reported[0] == (flags.DELETE, "file")
    assert reported[1:] == ([] if exclude else [(flags.MODIFY, "file")])


def test_a_mask_is_replaced(inotify: INotify, tmp_path: Path) -> None:
    """Watching again replaces the mask, and takes ONESHOT off."""
    assert inotify.add_watch(tmp_path, flags.DELETE | flags.ONESHOT) == 1
    assert inotify.add_watch(tmp_path, flags.CREATE) == 1
    for name in ("first", "second"):
        (tmp_path / name).touch()
        (tmp_path / name).unlink()
    assert _reported(inotify) == [(flags.CREATE, "first"), (flags.CREATE, "second")]


def test_mask_add(inotify: INotify, tmp_path: Path) -> None:
    """MASK_ADD adds to the mask."""
    assert inotify.add_watch(tmp_path, flags.CREATE) == 1
    assert inotify.add_watch(tmp_path, flags.DELETE | flags.MASK_ADD) == 1
    (tmp_path / "file").touch()
    (tmp_path / "file").unlink()
    assert _reported(inotify) == [(flags.CREATE, "file"), (flags.DELETE, "file")]


def test_mask_create(inotify: INotify, tmp_path: Path) -> None:
    """MASK_CREATE refuses what is watched with EEXIST, and changes nothing."""
    assert inotify.add_watch(tmp_path, flags.CREATE | flags.MASK_CREATE) == 1
    with pytest.raises(FileExistsError) as refused:
        inotify.add_watch(tmp_path, flags.DELETE | flags.MASK_CREATE)
    assert refused.value.errno == errno.EEXIST
    assert refused.value.filename == str(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "file").unlink()
    assert _reported(inotify) == [(flags.CREATE, "file")]


def test_hard_links_share_a_watch(inotify: INotify, file: Path) -> None:
    """A watch is on the object: another name for it gives the same watch."""
    link = file.with_name("link")
    os.link(file, link)
    assert inotify.add_watch(file, flags.MODIFY) == 1
    assert inotify.add_watch(link, flags.MODIFY) == 1
    _write(link)
    assert _reported(inotify) == [(flags.MODIFY, "")]


def test_instances_share_nothing(inotify: INotify, tmp_path: Path) -> None:
    """Two instances watch the same object, each with its own mask and queue."""
    with INotify() as other:
        inotify.add_watch(tmp_path, flags.CREATE)
        other.add_watch(tmp_path, flags.DELETE)
        (tmp_path / "file").touch()
        (tmp_path / "file").unlink()
        assert _reported(inotify) == [(flags.CREATE, "file")]
        assert _reported(other) == [(flags.DELETE, "file")]


def _set_next_wd(inotify: INotify, wd: int) -> None:
    set_next_wd = 1 << 30 | 4 << 16 | ord("I") << 8  # INOTIFY_IOC_SETNEXTWD
    try:
        fcntl.ioctl(inotify.fd, set_next_wd, wd)
    except OSError as error:
        pytest.skip(f"the kernel has no CONFIG_CHECKPOINT_RESTORE: {error}")


def test_the_largest_wd(inotify: INotify, tmp_path: Path) -> None:
    """A watch descriptor may be any positive C int."""
    _set_next_wd(inotify, 2**31 - 1)
    assert inotify.add_watch(tmp_path, flags.CREATE) == 2**31 - 1
    (tmp_path / "file").touch()
    assert [watch.wd for watch in inotify.watches()] == [2**31 - 1]
    inotify.rm_watch(2**31 - 1)
    assert inotify.read(timeout=0) == [
        (2**31 - 1, flags.CREATE, 0, "file"),
        (2**31 - 1, flags.IGNORED, 0, ""),
    ]


def test_a_wd_that_is_used_again(inotify: INotify, tmp_path: Path) -> None:
    """IGNORED parts the events of two watches that had the same number."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        _set_next_wd(inotify, 7)
        assert inotify.add_watch(tmp_path / name, flags.CREATE) == 7
        (tmp_path / name / f"in {name}").touch()
        inotify.rm_watch(7)
    assert inotify.read(timeout=0) == [
        (7, flags.CREATE, 0, "in first"),
        (7, flags.IGNORED, 0, ""),
        (7, flags.CREATE, 0, "in second"),
        (7, flags.IGNORED, 0, ""),
    ]
