"""Fixtures of several test files, and checks after every test."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Protocol, TypeVar, Union

import churn
import pytest
from commanding import COMMAND, Running
from hypothesis import HealthCheck, settings
from waiting import waits

from inotify_cffi import Event, INotify, syscalls

# How long anything may take before it counts as stuck, in seconds.
PATIENCE = 60

# How fast the machine is says nothing about the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

T = TypeVar("T")
Argument = Union[str, bytes, "os.PathLike[str]"]


class InThread(Protocol):
    def __call__(self, function: Callable[[], T]) -> Callable[[], T]: ...


class RunPython(Protocol):
    def __call__(
        self,
        code: str,
        *arguments: Argument,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str: ...


class Start(Protocol):
    def __call__(self, *command: Argument) -> subprocess.Popen[str]: ...


class Interrupt(Protocol):
    def __call__(self, process: subprocess.Popen[str], number: int = ...) -> None: ...


def _descriptors() -> dict[str, str]:
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "queue(length): it has so many events in the queue at once"
    )
    config.addinivalue_line(
        "markers", "shortens_queues: it starts a program that shortens new queues"
    )


@pytest.fixture(autouse=True)
def _long_queues(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep tests that run beside this one from shortening its queues."""
    if request.node.get_closest_marker("shortens_queues"):
        yield
        return
    with churn.LongQueues():
        yield


@pytest.fixture(autouse=True)
def _queue_is_long_enough(request: pytest.FixtureRequest) -> None:
    """Skip a test whose events would overflow the queue, and be waited for in vain."""
    marker = request.node.get_closest_marker("queue")
    if marker is not None:
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        if limit < marker.args[0]:
            pytest.skip(f"fs.inotify.max_queued_events is {limit}: too few for this")


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Let Ctrl-C reach what is tested: a shell starts background jobs without it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fail the test that leaves a descriptor or a thread behind."""
    descriptors, threads = _descriptors(), set(threading.enumerate())
    yield
    if _descriptors() != descriptors:
        for _ in range(3):  # PyPy closes what nobody refers to, but later
            gc.collect()
    assert _descriptors() == descriptors
    # A thread that was joined may be listed for a moment more (seen on PyPy 8).
    assert set(threading.enumerate()) <= threads


@pytest.fixture
def inotify() -> Iterator[INotify]:
    """An instance, closed afterwards."""
    with INotify() as instance:
        yield instance


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A tree to watch, beside which there is room for others."""
    top = tmp_path / "top"
    top.mkdir()
    return top


@pytest.fixture
def consumer(top: Path) -> Iterator[churn.Consumer]:
    """A strict consumer of an empty tree, checked afterwards."""
    with churn.short_queue(None):  # what churns beside this shortens it for a moment
        made = churn.Consumer(top)
    with made as consumer:
        yield consumer


@pytest.fixture
def nonblocking_fd() -> Iterator[int]:
    """The descriptor of a non-blocking instance, closed afterwards."""
    fd = syscalls.init1(syscalls.IN_NONBLOCK | syscalls.IN_CLOEXEC)
    yield fd
    os.close(fd)


@pytest.fixture
def blocking_fd() -> Iterator[int]:
    """The descriptor of a blocking instance, closed afterwards."""
    fd = syscalls.init1(syscalls.IN_CLOEXEC)
    yield fd
    os.close(fd)


@pytest.fixture
def names() -> Callable[[Iterable[Event]], list[str]]:
    """The function that gives the names of events."""
    return lambda events: [event.name for event in events]


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """The function that waits for a condition nobody signals."""

    def wait(condition: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.001)

    return wait


@pytest.fixture
def until_waiting(
    until: Callable[[Callable[[], Any]], None],
) -> Callable[[INotify], None]:
    """The function that returns once a reader found the queue empty and waits."""
    return lambda inotify: until(lambda: waits(inotify))


@pytest.fixture
def until_watching(
    until: Callable[[Callable[[], Any]], None],
) -> Callable[[int, int], None]:
    """The function that returns once a process watches so many objects."""

    def count(process: int) -> int:
        found = 0
        for fdinfo in Path(f"/proc/{process}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found += fdinfo.read_text().count("inotify wd:")
        return found

    return lambda process, watches: until(lambda: count(process) == watches)


def _waits(process: int) -> int:
    """Count the waits of a process for its instances.

    Those of threads sleep in poll(2); those of an event loop have an epoll with the
    instance in it.
    """
    found = 0
    fds = Path(f"/proc/{process}/fd")
    # Closed, or a thread that has ended, meanwhile.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        opened = {fd.name: os.readlink(fd) for fd in fds.iterdir()}
        if "anon_inode:inotify" not in opened.values():
            return 0
        for name, path in opened.items():
            if "eventpoll" in path:
                info = Path(f"/proc/{process}/fdinfo/{name}").read_text()
                watched = re.findall(r"tfd:\s*(\d+)", info)
                found += any("inotify" in opened.get(each, "") for each in watched)
        for task in Path(f"/proc/{process}/task").iterdir():
            found += "poll_schedule_timeout" in (task / "wchan").read_text()
    return found


@pytest.fixture
def until_process_waits(
    until: Callable[[Callable[[], Any]], None],
) -> Callable[[int, int], None]:
    """The function that returns once so many reads of a process wait."""
    return lambda process, count: until(lambda: _waits(process) == count)


@pytest.fixture
def interrupt(until: Callable[[Callable[[], Any]], None]) -> Interrupt:
    """The function that sends a process a signal once its main thread sleeps.

    A signal between the last step of the interpreter and the system call is noticed
    at the end of that call only: Python's own waits, too, go on for ever then.
    """

    def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> None:
        wchan = Path(f"/proc/{process.pid}/wchan")
        # ep_poll, poll_schedule_timeout, futex_wait_queue
        until(lambda: re.search("poll|futex", wchan.read_text()))
        process.send_signal(number)

    return interrupt


@pytest.fixture
def in_thread() -> Iterator[InThread]:
    """The function that starts a thread and returns how to get its result."""
    threads = []

    def start(function: Callable[[], T]) -> Callable[[], T]:
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(function())
            except BaseException as error:
                errors.append(error)

        def result() -> T:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the thread is stuck"
            if errors:
                raise errors.pop()
            return results[0]

        # A daemon, so that a stuck one does not keep the tests from ending.
        thread = threading.Thread(target=run, daemon=True)
        threads.append(thread)
        thread.start()
        return result

    yield start
    end = time.monotonic() + PATIENCE  # for all of them together
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))


@pytest.fixture
def run_python() -> RunPython:
    """The function that runs code in an interpreter of its own.

    Warnings are errors there. It returns what the code printed, and fails when
    the code did, or when it wrote to standard error.
    """

    def run(
        code: str,
        *arguments: Argument,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        command = [*prefix, sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
        finished = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            # The folder of what test files share.
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **(env or {})},
            cwd=cwd,
            timeout=10 * PATIENCE,
            check=False,
        )
        errors = finished.stderr.decode(errors="backslashreplace")
        assert (errors, finished.returncode) == ("", 0)
        return finished.stdout.decode()

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """The function that starts a process, which is killed when it gets stuck."""
    with contextlib.ExitStack() as stack:

        def start(*command: Argument) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            timer = threading.Timer(PATIENCE, process.kill)
            timer.start()
            for clean_up in (timer.join, timer.cancel, process.kill):
                stack.callback(clean_up)
            return process

        yield start


def _unshare(*namespaces: str) -> list[str]:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("util-linux's unshare is not installed")
    prefix = [unshare, "--user", "--map-root-user", *namespaces]
    attempt = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    if attempt.returncode != 0:
        pytest.skip(f"no user namespace here: {attempt.stderr.decode().strip()}")
    return prefix


@pytest.fixture
def user_namespace() -> list[str]:
    """A prefix of commands: root over limits that nobody else has."""
    return _unshare()


@pytest.fixture
def mount_namespace() -> list[str]:
    """A prefix of commands: root over mounts that nobody else sees."""
    return _unshare("--mount")


@pytest.fixture(scope="session")
def compile_c(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:
    """The function that compiles C and returns the path of the result."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")

    def compile_c(source: str, *options: str) -> Path:
        folder = tmp_path_factory.mktemp("compiled")
        (folder / "source.c").write_text(textwrap.dedent(source))
        subprocess.run(
            [compiler, *options, "-o", "result", "source.c"], cwd=folder, check=True
        )
        return folder / "result"

    return compile_c


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """The function that starts the command, and returns when it watches."""
    started: list[Running] = []

    def watch(*arguments: str | Path, **options: Any) -> Running:
        running = Running([*COMMAND, *arguments], tmp_path, **options)
        started.append(running)
        return running.until_said()

    yield watch
    for running in started:
        running.ended(signal.SIGTERM)
