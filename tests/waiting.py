"""Facts without a public name about an instance: its waits, and kept events."""

from __future__ import annotations

import os
from typing import Any

from inotify_cffi import INotify
from inotify_cffi._inotify import ffi, lib
from inotify_cffi._instance import pointer_of


def instance_of(inotify: INotify) -> Any:
    """Return what stands between an INotify and the C."""
    return vars(inotify)["_INotify__instance"]


def waits(inotify: INotify) -> int:
    """Return how many calls, of threads and tasks, wait for it."""
    return int(lib.wait_count(pointer_of(instance_of(inotify))))


def put_another_file_in_place_of(inotify: INotify) -> None:
    """Let it read what is no event."""
    read, write = os.pipe()
    os.write(write, b"\xff" * 16)
    os.dup2(read, inotify.fileno())
    os.close(read)
    os.close(write)


def take_kept_wake(inotify: INotify) -> bool:
    """Return whether a wake is kept for the next wait, and take it."""
    wait = ffi.gc(ffi.new("struct wait *"), lib.wait_drop)
    assert lib.wait_begin(wait, pointer_of(instance_of(inotify)), 60_000, True) == 0
    try:
        return bool(lib.wait_check(wait) == lib.WAIT_WOKEN)
    finally:
        lib.wait_end(wait, True)
