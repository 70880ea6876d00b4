"""One adapter for each library: how its user would write the same work.

What is timed is given as source, in the library's own words.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any, ClassVar

from .workloads import EVENT_SIZE, Workload

_FLOOR_READ = 65536


def is_importable(module: str) -> bool:
    with contextlib.suppress(ImportError):
        return bool(importlib.import_module(module))
    return False


class Library:
    """An instance that watches one directory."""

    name: ClassVar[str]
    module: ClassVar[str]
    add: ClassVar[str] = "result = add(path, mask)"
    """A statement; empty where there is no way."""

    def __init__(self, directory: str, mask: int, **options: bool) -> None:
        """Open an instance, with ``options`` instead of its defaults."""
        raise NotImplementedError

    @classmethod
    def is_installed(cls) -> bool:
        return is_importable(cls.module)

    @classmethod
    def read(cls, batch: int) -> str:
        """Return the statement that reads the ``batch`` events that are queued."""
        raise NotImplementedError

    def names(self, batch: int) -> dict[str, Any]:
        """Return what the statements name."""
        raise NotImplementedError

    def count(self, result: Any) -> int:
        """Return how many events a statement left in ``result``."""
        return len(result)

    def wait(self) -> None:
        """Wait for an event and read it."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class INotifyLike(Library):
    """A library with inotify_simple's API."""

    def __init__(self, directory: str, mask: int, **options: bool) -> None:
        self._inotify: Any = importlib.import_module(self.module).INotify(**options)
        self._path, self._mask = directory, mask
        self._inotify.add_watch(directory, mask)

    @classmethod
    def read(cls, batch: int) -> str:
        return "result = read(timeout=0)"

    def names(self, batch: int) -> dict[str, Any]:
        return {
            "add": self._inotify.add_watch,
            "mask": self._mask,
            "path": self._path,
            "read": self._inotify.read,
        }

    def wait(self) -> None:
        self._inotify.read()

    def close(self) -> None:
        self._inotify.close()


class InotifyCffi(INotifyLike):
    name = module = "inotify_cffi"


class Ctypes(INotifyLike):
    name = "ctypes"
    module = "benchmarks.ctypes_inotify"


class InotifySimple(INotifyLike):
    name = module = "inotify_simple"


class Floor(INotifyLike):
    """`os.read` and nothing else: what any library must spend at least.

    Up to 128 events it reads with a buffer of 4 KiB, which holds them, and
    else with one of 64 KiB: larger ones cost more to allocate than they save.
    """

    name = "os.read"
    module = Ctypes.module  # to open an instance with
    add = ""

    @classmethod
    def read(cls, batch: int) -> str:
        if batch * EVENT_SIZE <= 4096:
            return "result = (os_read(fd, 4096),)"
        if batch * EVENT_SIZE <= _FLOOR_READ:
            return f"result = (os_read(fd, {_FLOOR_READ}),)"
        return (
            "result = []\n"
            "while size > 0:\n"
            f"    result.append(os_read(fd, {_FLOOR_READ}))\n"
            "    size -= len(result[-1])\n"
            f"size = {batch * EVENT_SIZE}"
        )

    def names(self, batch: int) -> dict[str, Any]:
        size = batch * EVENT_SIZE
        return {"os_read": os.read, "fd": self._inotify.fileno(), "size": size}

    def count(self, result: Any) -> int:
        return sum(len(chunk) for chunk in result) // EVENT_SIZE

    def wait(self) -> None:
        os.read(self._inotify.fileno(), 4096)


class Asyncinotify(Library):
    """One event a call, without the event loop: that is its cheapest way."""

    name = module = "asyncinotify"

    def __init__(self, directory: str, mask: int, **options: bool) -> None:
        module: Any = importlib.import_module(self.module)
        self._path, self._mask = directory, module.Mask(mask)
        self._inotify = module.Inotify()
        self._inotify.add_watch(directory, self._mask)

    @classmethod
    def read(cls, batch: int) -> str:
        return "result = [get() for _ in range(batch)]"

    def names(self, batch: int) -> dict[str, Any]:
        return {
            "add": self._inotify.add_watch,
            "batch": batch,
            "get": self._inotify.sync_get,
            "mask": self._mask,
            "path": self._path,
        }

    def wait(self) -> None:
        self._inotify.sync_timeout = 3600  # seconds; None, and -1, would not wait
        self._inotify.sync_get()

    def close(self) -> None:
        self._inotify.close()


class _Callback:
    def on_event(self, event: object) -> None: ...

    def on_watch_deleted(self, wd: int) -> None: ...


class Watchdog(Library):
    """The class that reads the descriptor, below watchdog's threads and queues.

    It differs between versions: InotifyFD since 7.0; before, Inotify, which also makes
    a path for each event.
    """

    name = "watchdog"
    module = "watchdog.observers.inotify_c"
    add = ""  # adding what is watched is a mistake to it, and costs a warning

    def __init__(self, directory: str, mask: int, **options: bool) -> None:
        module: Any = importlib.import_module(self.module)
        path = os.fsencode(directory)
        if hasattr(module, "InotifyFD"):
            self._inotify = module.InotifyFD()
            self._inotify.add_callback(path, mask, _Callback(), 0)
        else:
            self._inotify = module.Inotify(path, event_mask=mask)

    @classmethod
    def read(cls, batch: int) -> str:
        # One call reads 96 KiB at most, and blocks when nothing is queued.
        return "result = read()\nwhile len(result) < batch:\n    result += read()"

    def names(self, batch: int) -> dict[str, Any]:
        return {"read": self._inotify.read_events, "batch": batch}

    def wait(self) -> None:
        self._inotify.read_events()

    def close(self) -> None:
        self._inotify.close()
        self._inotify.read_events()  # it closes its descriptors in the next read


ALL = (Floor, InotifyCffi, Ctypes, InotifySimple, Asyncinotify, Watchdog)


def installed() -> list[type[Library]]:
    return [library for library in ALL if library.is_installed()]


@contextlib.contextmanager
def watching(
    library: type[Library], workload: Workload, **options: bool
) -> Iterator[Library]:
    instance = library(workload.directory, workload.mask, **options)
    try:
        yield instance
    finally:
        instance.close()
