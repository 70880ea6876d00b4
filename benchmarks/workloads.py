"""Directories to watch, and the events that are made in them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

IN_MODIFY = 0x00000002
IN_CREATE = 0x00000100
NAME_LENGTH = 8
EVENT_SIZE = 32  # a header, and a name of 8 characters padded to 16 bytes


@contextlib.contextmanager
def scratch_directory() -> Iterator[str]:
    """A new directory on tmpfs where there is one, removed in the end."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=parent) as directory:
        yield directory


def limit(name: str) -> int:
    """Return the value of a sysctl below fs.inotify."""
    return int(Path("/proc/sys/fs/inotify", name).read_text())


class Workload(Protocol):
    """Makes the same events each time it is called."""

    directory: str
    mask: int
    batch: int

    def __call__(self) -> None: ...


class Creations:
    """Creates a batch of files, after it removed those of the last time."""

    mask = IN_CREATE

    def __init__(self, parent: str, batch: int) -> None:
        self.directory = tempfile.mkdtemp(dir=parent)
        self.batch = batch
        self._paths = [f"{self.directory}/f{number:07}" for number in range(batch)]

    def __call__(self) -> None:
        for name in os.listdir(self.directory):
            os.unlink(f"{self.directory}/{name}")
        for path in self._paths:
            os.mknod(path)


class Write:
    """Writes to a file: one event."""

    mask = IN_MODIFY
    batch = 1

    def __init__(self, parent: str) -> None:
        self.directory = tempfile.mkdtemp(dir=parent)
        self.path = f"{self.directory}/written1"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __call__(self) -> None:
        os.pwrite(self.fd, b"x", 0)

    def __enter__(self) -> Write:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
