"""Watchers of trees, each in a process of its own: python -m benchmarks.tree_watchers.

``watch WATCHER ROOT`` prints the time until the whole tree was watched, in ns, by how
many bytes the resident memory grew, and the number of watches. ``follow WATCHER ROOT
WRITER...`` starts that program, twice, in a watched and empty ROOT, follows what it
creates, and prints the CPU time of the process, the time until the last event, both in
ns, and the number of files that were known in the end.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from .libraries import is_importable

_QUIET = 1.0  # seconds without an event, after the writers have ended: that was all
_WRITERS = 2


class Watcher:
    """Watches a tree from its construction on, until `close`."""

    name: ClassVar[str]
    module: ClassVar[str] = ""
    in_this_process: ClassVar[bool] = True
    """Whether the memory of this process is what it takes."""

    def __init__(self, root: str) -> None:
        raise NotImplementedError

    @classmethod
    def is_installed(cls) -> bool:
        return is_importable(cls.module)

    def follow(self, writers: Writers) -> int:
        """Follow what is created until nothing more is; return the files known."""
        raise NotImplementedError

    def cpu_time(self) -> int:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return int((usage.ru_utime + usage.ru_stime) * 1e9)

    def watches(self) -> int:
        """Return how many watches the kernel lists for it."""
        return watches_of("self")

    def close(self) -> None: ...


class Writers:
    def __init__(self, command: list[str]) -> None:
        self.started = self.last_event = time.monotonic_ns()
        self._processes = [subprocess.Popen(command) for _ in range(_WRITERS)]

    def event(self) -> None:
        self.last_event = time.monotonic_ns()

    def are_done(self) -> bool:
        return all(process.poll() is not None for process in self._processes)

    def wait_until_quiet(self) -> None:
        for process in self._processes:
            process.wait()
        self.last_event = max(self.last_event, time.monotonic_ns())
        while (left := self.last_event / 1e9 + _QUIET - time.monotonic()) > 0:
            time.sleep(left)


class InotifyCffi(Watcher):
    name = module = "inotify_cffi"

    def __init__(self, root: str) -> None:
        from inotify_cffi import TreeWatcher

        self._watcher = TreeWatcher(root)

    def follow(self, writers: Writers) -> int:
        from inotify_cffi import flags

        create, overflow = int(flags.CREATE), int(flags.Q_OVERFLOW)
        known: set[str] = set()
        while True:
            events = self._watcher.read(timeout=_QUIET * 1000)
            if events:
                writers.event()
            elif writers.are_done():
                return sum("/f" in path for path in known)
            for event in events:
                if event.mask & create:
                    known.add(event.path)
                elif event.mask & overflow:
                    known.clear()

    def close(self) -> None:
        self._watcher.close()


class Watchdog(Watcher):
    name = "watchdog"
    module = "watchdog.observers.inotify"

    def __init__(self, root: str) -> None:
        events: Any = importlib.import_module("watchdog.events")
        observers: Any = importlib.import_module("watchdog.observers")
        known = self._known = set[str]()

        class Handler(events.FileSystemEventHandler):  # type: ignore[misc]
            writers: Writers | None = None

            def on_created(self, event: Any) -> None:
                if not event.is_directory:
                    known.add(event.src_path)
                if self.writers:
                    self.writers.event()

        self._handler = Handler()
        self._observer = observers.Observer()
        self._observer.schedule(self._handler, root, recursive=True)
        self._observer.start()

    def follow(self, writers: Writers) -> int:
        self._handler.writers = writers
        writers.wait_until_quiet()
        return len(self._known)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join()


class Watchfiles(Watcher):
    """By the class that watchfiles documents for direct use."""

    name = "watchfiles"
    module = "watchfiles._rust_notify"

    def __init__(self, root: str) -> None:
        module: Any = importlib.import_module(self.module)
        # debug, force_polling, poll_delay_ms, recursive, ignore_permission_denied
        arguments = False, False, 300, True, False
        self._watcher = module.RustNotify([root], *arguments)

    def follow(self, writers: Writers) -> int:
        known: set[str] = set()
        while True:
            changes = self._watcher.watch(50, 50, int(_QUIET * 1000), None)
            if changes != "timeout":
                writers.event()
                known.update(path for kind, path in changes if kind == 1)
            elif writers.are_done():
                return sum("/f" in path for path in known)

    def close(self) -> None:
        self._watcher.close()


class Inotifywait(Watcher):
    """The program; what it prints goes into a file, and is counted at the end."""

    name = "inotifywait"
    in_this_process = False

    def __init__(self, root: str) -> None:
        self._output = tempfile.TemporaryFile(dir=os.path.dirname(root))  # noqa: SIM115
        command = ["inotifywait", "-m", "-r", "--format", "%e %w%f", root]
        self._process = subprocess.Popen(
            command, stdout=self._output, stderr=subprocess.PIPE
        )
        self._cpu_time = 0
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"established" in line:
                return
        raise RuntimeError("inotifywait ended")

    @classmethod
    def is_installed(cls) -> bool:
        return shutil.which(cls.name) is not None

    def follow(self, writers: Writers) -> int:
        written = -1
        writers.wait_until_quiet()
        while written != (written := os.fstat(self._output.fileno()).st_mtime_ns):
            time.sleep(_QUIET)
        writers.last_event = time.monotonic_ns() - (time.time_ns() - written)
        self.close()
        self._output.seek(0)
        lines = [line.split(b" ", 1) for line in self._output]
        return len({p for kinds, p in lines if kinds == b"CREATE" and b"/f" in p})

    def cpu_time(self) -> int:
        return self._cpu_time

    def watches(self) -> int:
        return watches_of(str(self._process.pid))

    def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = status
            self._cpu_time = int((usage.ru_utime + usage.ru_stime) * 1e9)
            assert self._process.stderr is not None
            self._process.stderr.close()


ALL: tuple[type[Watcher], ...] = (InotifyCffi, Inotifywait, Watchdog, Watchfiles)


def watches_of(process: str) -> int:
    count = 0
    folder = f"/proc/{process}/fdinfo"
    for number in os.listdir(folder):
        with contextlib.suppress(OSError), open(f"{folder}/{number}") as lines:
            count += sum(line.startswith("inotify wd:") for line in lines)
    return count


def _resident() -> int:
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize()


def _watch(watcher: type[Watcher], root: str) -> Iterator[int]:
    if watcher.module:  # importing is another question
        importlib.import_module(watcher.module)
        with tempfile.TemporaryDirectory() as empty:
            watcher(empty).close()
    before, start = _resident(), time.perf_counter_ns()
    instance = watcher(root)
    yield time.perf_counter_ns() - start
    gc.collect()  # what stays is asked, not what PyPy has not yet freed
    yield _resident() - before
    yield instance.watches()
    instance.close()


def _follow(watcher: type[Watcher], root: str, command: list[str]) -> Iterator[int]:
    instance = watcher(root)
    before = instance.cpu_time()
    writers = Writers(command)
    known = instance.follow(writers)
    yield instance.cpu_time() - before
    yield writers.last_event - writers.started
    yield known
    instance.close()


def main() -> None:
    what, name, root, *command = sys.argv[1:]
    watcher = next(watcher for watcher in ALL if watcher.name == name)
    print(
        *(_watch(watcher, root) if what == "watch" else _follow(watcher, root, command))
    )


if __name__ == "__main__":
    main()
