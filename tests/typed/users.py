"""Touches every public name, as a user would: `mypy --strict` accepts it."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Callable

import inotify_cffi
from inotify_cffi import (
    AsyncBatches,
    Batches,
    Change,
    Event,
    INotify,
    LocalChangesOnlyWarning,
    Mirror,
    TreeEvent,
    TreeWatcher,
    UnreadableDirectoryWarning,
    Watch,
    awatch,
    flags,
    mask_str,
    masks,
    parse_events,
    syscalls,
    watch,
)


class Counting(INotify):
    """A subclass with state of its own."""

    def __init__(self, path: str | bytes | Path) -> None:
        super().__init__(inheritable=False, nonblocking=True, closefd=True)
        self.count = 0
        self.wd: int = self.add_watch(path, masks.ALL_EVENTS | flags.ONLYDIR)


def use_instance(path: str | bytes | Path) -> None:
    with INotify() as inotify, Counting(path) as counting:
        counting.count += 1
        wd: int = inotify.add_watch(path, flags.CREATE)
        inotify.add_watch(os.fspath(path), masks.MOVE | flags.MASK_ADD)
        numbers: tuple[int, int] = inotify.fd, inotify.fileno()
        booleans: tuple[bool, bool] = inotify.closed, inotify.closefd
        events: list[Event] = inotify.read(timeout=0.5, read_delay=1)
        events += inotify.read()
        events += inotify.read(0, None)
        readable: bool = inotify.wait_readable(timeout=1.5, read_delay=2)
        for event in inotify:
            fields: tuple[int, int, int, str] = event
            name: str = event.name
            wd, mask, cookie, name = event
            print(event.wd, event.mask, event.cookie, name, fields, mask, cookie)
            inotify.close()
        watches: list[Watch] = inotify.watches()
        for watch in watches:
            four: tuple[int, int, int, int] = watch
            print(watch.wd, watch.inode, watch.device, watch.mask, four)
        file: io.FileIO = inotify
        inotify.rm_watch(wd)
        inotify.wake()
        print(numbers, booleans, readable, file)


async def use_instance_in_a_task(inotify: INotify) -> None:
    events: list[Event] = await inotify.aread(timeout=1.5)
    events += await inotify.aread()
    readable: bool = await inotify.await_readable(timeout=1.5)
    async for event in inotify:
        one: Event = event
        print(one, readable)


def use_words() -> None:
    event = Event(1, flags.CREATE, 0, "name")
    event = Event(wd=1, mask=256, cookie=0, name="name")
    found: list[flags] = flags.from_mask(event.mask)
    words: list[str] = [flag.name for flag in found]
    words.append(mask_str(event.mask))
    words.append(mask_str(masks.CLOSE))
    number: int = flags.ISDIR
    data: list[bytes | bytearray | memoryview] = [b"", bytearray(), memoryview(b"")]
    parsed: list[list[Event]] = [parse_events(each) for each in data]
    print(words, number, parsed)


def use_syscalls(path: str | bytes | Path) -> None:
    fd: int = syscalls.init()
    fd = syscalls.init1()
    fd = syscalls.init1(syscalls.IN_NONBLOCK | syscalls.IN_CLOEXEC)
    wd: int = syscalls.add_watch(fd, path, syscalls.IN_CREATE)
    zero: int = syscalls.rm_watch(fd, wd)
    events: list[syscalls.Event] = syscalls.read_events(fd)
    for event in syscalls.read_events(fd, max_bytes=4096):
        fields: tuple[int, int, int, int, str] = event
        print(event.wd, event.mask, event.cookie, event.len, event.name, fields)
    print(zero, events)


def use_tree(path: str | bytes | Path) -> None:
    def exclude(path: str) -> bool:
        return path.endswith(".git")

    excluding: Callable[[str], bool] = exclude
    with TreeWatcher(path, mask=masks.MOVE, exclude=excluding, initial=True) as tree:
        tree.add("other")
        tree.remove("other")
        events: list[TreeEvent] = tree.read(timeout=0.5, read_delay=1)
        for event in tree:
            fields: tuple[str, int, str | None, bool] = event
            print(event.path, event.mask, event.old_path, event.synthetic, fields)
            created: bool = event.created or event.moved_in or event.moved
            changed: bool = event.modified or event.written or event.attributes_changed
            gone: bool = event.deleted or event.moved_out or event.overflowed
            print(
                event.is_directory, flags.ISDIR in event.flags, created, changed, gone
            )
            tree.wake()
            paths: list[str] = tree.roots + tree.missing + tree.unreadable
            watched: list[Watch] = tree.watches()
            print(paths, watched)
            tree.close()
        closed: bool = tree.closed
        number: int = tree.fileno()
        print(events, closed, number)
    kinds: list[type[Warning]] = [LocalChangesOnlyWarning, UnreadableDirectoryWarning]
    print(kinds)


async def use_tree_in_a_task(tree: TreeWatcher) -> None:
    events: list[TreeEvent] = await tree.aread(timeout=1.5, read_delay=1)
    other: TreeWatcher = await TreeWatcher.acreate("path", recursive=False)
    await other.aadd("other")
    async for event in tree:
        events.append(event)


def use_changes(path: str | bytes | Path) -> None:
    batches: Batches = watch(path, only="*.py", settle=10, at_most=100, complete=True)
    with batches:
        for changes in batches:
            for change in changes:
                fields: tuple[str, str, str | None, bool] = change
                print(change.kind, change.path, change.old_path, change.is_directory)
                print(fields)
            batches.close()
    closed: bool = batches.closed
    mirror = Mirror(path)
    mirror.apply(batches.watcher.read(timeout=0))
    mirror.track()
    difference: list[Change] = mirror.changes()
    known: list[str] = [*mirror, *mirror.below("path")]
    print(closed, difference, known, "path" in mirror, mirror.is_directory("path"))


async def use_changes_in_a_task(path: str | bytes | Path) -> None:
    batches: AsyncBatches = awatch(path, ignore=None, initial=True, timeout=5)
    async with batches:
        async for changes in batches:
            print([change.path for change in changes])


async def use_tasks() -> None:
    await asyncio.gather(
        use_instance_in_a_task(INotify()), use_tree_in_a_task(TreeWatcher())
    )


names: list[str] = inotify_cffi.__all__
