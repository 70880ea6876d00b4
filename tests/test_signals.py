"""Signals: their handlers run during a read, and may do there what they like.

Where a race is the matter, the handler is made to run at every point at which
the interpreter may run it, one after the other: at each call and return inside
this package. What another thread does at that point has the same effect.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import random
import select
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable

import pytest
from waiting import waits

import inotify_cffi
from inotify_cffi import Event, INotify, flags

if TYPE_CHECKING:
    from conftest import InThread

Until = Callable[[Callable[[], Any]], None]
UntilWaiting = Callable[[INotify], None]
Action = Callable[[], Any]
Handler = Callable[[FrameType], Any]
Scenes = Callable[[], "Scene"]
Helped = Callable[..., "list[Event]"]

ROUNDS = 300
PYPY = sys.implementation.name == "pypy"
PACKAGE = os.path.dirname(inotify_cffi.__file__)


class Interruption(Exception):
    """The exception that a handler raises."""


def _interrupt() -> None:
    raise Interruption


def _is_of_package(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename.startswith(PACKAGE)


def _is_collecting(frame: FrameType | None) -> bool:
    """Whether this is a __del__ or was called by one: it cannot raise."""
    while frame is not None and _is_of_package(frame):
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _set_compiler(parameter: str) -> None:
    """Tell PyPy's compiler, which crashes under sys.setprofile (seen in 7.3.11)."""
    if PYPY:
        import_module("pypyjit").set_param(parameter)


class Point:
    """Runs an action once: at one of the points of a call where a handler may.

    Such a point is the begin and the end of every function, Python's or C's.
    PyPy shows no call of C through cffi, but the function around it.
    With ``only_before_a_wait`` the last one is where the call begins to wait.
    With ``after_a_wait`` the first one is where a wait has ended, and that
    action was run.
    """

    def __init__(
        self,
        number: int,
        action: Action,
        only_before_a_wait: bool = False,
        after_a_wait: Action | None = None,
    ) -> None:
        self._left = number
        self._action = action
        self._only_before_a_wait = only_before_a_wait
        self._after_a_wait = after_a_wait
        self.reached = False
        self.is_last = False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if not _is_of_package(frame) or _is_collecting(frame):
            return
        # Its caller gets nothing from a function that is interrupted once it
        # has done all it had to do: no Python function can prevent that.
        if event == "return" and not _is_of_package(frame.f_back):
            return
        if PYPY:
            waits = frame.f_code.co_name == "_sleep"
        else:
            waits = frame.f_code.co_name == "_wait" and event.startswith("c_")
        if self._after_a_wait is not None:
            if waits and event.endswith("return"):
                self._after_a_wait()
                self._after_a_wait = None
            return
        self._left -= 1
        self.is_last = self._only_before_a_wait and waits and event.endswith("call")
        if self._left < 0 or self.is_last:
            self.reached = True
            sys.setprofile(None)
            self._action()

    def during(self, function: Callable[[], Any]) -> Any:
        _set_compiler("off")
        sys.setprofile(self)
        try:
            return function()
        finally:
            sys.setprofile(None)
            _set_compiler("default")


def _points(action: Action, all_of_first: int = 1000, **limits: Any) -> Iterator[Point]:
    """Yield a point after the other until the call has no more of them."""
    number = 0
    while True:
        point = Point(number, action, **limits)
        yield point
        if not point.reached:
            break
        if point.is_last:
            return
        number += 1 if number < all_of_first else number // 4
    assert number > 0, "there was no point at all"
    assert not limits, "the call did not wait"


@contextlib.contextmanager
def _handled(handler: Handler, number: int = signal.SIGALRM) -> Iterator[None]:
    """Let ``handler`` run at a signal, with the frame that it interrupts."""

    def handle(number: int, frame: FrameType | None) -> None:
        assert frame is not None
        handler(frame)

    before = signal.signal(number, handle)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(number, before)


def _waits_its_time(inotify: INotify) -> bool:
    """Whether a read finds nothing and no wake(), and so lasts its timeout."""
    begun = time.monotonic()
    return inotify.read(timeout=5) == [] and time.monotonic() - begun >= 0.005


def _at_once(inotify: INotify, during: Callable[[Action], Any] | None = None) -> Any:
    """The result of a read that may last long and must not."""

    def read() -> list[Event]:
        return inotify.read(timeout=60_000)

    begun = time.monotonic()
    try:
        return during(read) if during else read()
    finally:
        assert time.monotonic() - begun < 30, "the read was not ended"


def _descriptor_count() -> int:
    for _ in range(3):  # PyPy closes what nobody refers to, but later
        gc.collect()
    return len(os.listdir("/proc/self/fd"))


class Scene:
    """An instance in a folder of its own, and a file for each event."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.inotify = INotify()
        self.inotify.add_watch(folder, flags.CREATE)
        self.inotify.read(timeout=0.01)  # what a first wait allocates is there
        self._numbers = itertools.count()
        self.made: list[str] = []
        self.taken: list[str] = []

    def make(self) -> None:
        name = str(next(self._numbers))
        os.mknod(self.folder / name)
        self.made.append(name)

    def take(self, events: Iterable[Event]) -> None:
        self.taken += [event.name for event in events]

    def outrun(self) -> None:
        """Take the events that another read is about to take."""
        self.take(_at_once(self.inotify))

    def take_what_is_shown(self) -> None:
        """Read, and require that the descriptor was readable if that finds events."""
        shown = select.select([self.inotify], [], [], 0)[0] != []
        events = self.inotify.read(timeout=0)
        self.take(events)
        assert shown == bool(events)
        assert not select.select([self.inotify], [], [], 0)[0]

    def iterate(self) -> None:
        """Make two events, and let an iteration begin and end with the first."""
        self.make()
        self.make()
        self.take([next(self.inotify)])

    def all_taken_once(self) -> bool:
        return sorted(self.taken) == sorted(self.made)


@pytest.fixture
def scenes(tmp_path: Path) -> Iterator[Scenes]:
    """The function that makes a new scene, closed in the end."""
    made: list[Scene] = []

    def make() -> Scene:
        made.append(Scene(tmp_path / str(len(made))))
        return made[-1]

    yield make
    for scene in made:
        scene.inotify.close()


@pytest.fixture(name="scene")
def one_scene(scenes: Scenes) -> Scene:
    """A scene."""
    return scenes()


@pytest.fixture
def helped(in_thread: InThread, until: Until) -> Helped:
    """The function that runs a read, and makes an event once that waits.

    It makes the event in any case, if need be when the read has ended.
    """

    def read(scene: Scene, point: Point, timeout: float = 60_000) -> list[Event]:
        over = threading.Event()

        def make() -> None:
            until(lambda: over.is_set() or waits(scene.inotify))
            scene.make()

        made = in_thread(make)
        try:
            events: list[Event] = point.during(lambda: scene.inotify.read(timeout))
            return events
        finally:
            over.set()
            made()

    return read


def test_an_exception_at_every_point_of_a_read(scene: Scene, helped: Helped) -> None:
    """Wherever a handler raises: no event lost or twice, no spurious wake()."""
    descriptors = _descriptor_count()
    for point in _points(_interrupt):
        with contextlib.suppress(Interruption):
            scene.take(helped(scene, point))
        scene.take_what_is_shown()
        assert scene.all_taken_once()
        assert _waits_its_time(scene.inotify)
        scene.inotify.wake()
        assert _at_once(scene.inotify) == []
    assert _descriptor_count() == descriptors


def test_an_exception_at_every_point_of_a_first_wait() -> None:
    """Wherever a handler raises while a wait is prepared: no descriptor is left."""
    descriptors = _descriptor_count()
    for point in _points(_interrupt):
        with INotify() as inotify, contextlib.suppress(Interruption):
            point.during(partial(inotify.read, timeout=0.01))
    assert _descriptor_count() == descriptors


@pytest.mark.parametrize("many", [2, 600])
@pytest.mark.parametrize("iterated", [0, 1])
def test_an_exception_at_every_point_of_a_read_that_finds_events(
    scene: Scene, many: int, iterated: int
) -> None:
    """Wherever a handler raises, the descriptor shows what a later read returns."""
    for point in _points(_interrupt, all_of_first=40):
        for _ in range(many):
            scene.make()
        scene.take(next(scene.inotify) for _ in range(iterated))
        with contextlib.suppress(Interruption):
            scene.take(point.during(scene.inotify.read))
        scene.take_what_is_shown()
        assert scene.taken == scene.made


def test_an_exception_at_every_point_of_iteration(scenes: Scenes) -> None:
    """Wherever a handler raises, the other events that were taken come later."""
    for point in _points(_interrupt):
        scene = scenes()
        for _ in range(3):
            scene.make()
        with contextlib.suppress(Interruption):
            scene.take([point.during(partial(next, scene.inotify))])
        scene.take_what_is_shown()
        assert scene.taken in (["0", "1", "2"], ["1", "2"])


def test_an_exception_at_every_point_of_wake(
    inotify: INotify, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """Wherever a handler raises, the next wake() does what it should."""
    for point in _points(_interrupt):
        while inotify.read(timeout=1) != [] or not _waits_its_time(inotify):
            pass  # what the wake() before has left
        events = in_thread(inotify.read)
        until_waiting(inotify)
        with contextlib.suppress(Interruption):
            point.during(inotify.wake)
        inotify.wake()
        assert events() == []


@pytest.mark.filterwarnings("ignore:unclosed inotify instance:ResourceWarning")
@pytest.mark.parametrize("again", [True, False])
def test_an_exception_at_every_point_of_close(again: bool) -> None:
    """Wherever a handler raises, closing again or dropping leaves no descriptor."""
    descriptors = _descriptor_count()
    for point in _points(_interrupt):
        inotify = INotify()
        inotify.read(timeout=0.01)
        with contextlib.suppress(Interruption):
            point.during(inotify.close)
        if again:
            inotify.close()
        del inotify
    assert _descriptor_count() == descriptors


def test_wake_at_every_point_of_a_read(scene: Scene, helped: Helped) -> None:
    """Whenever it comes, one wake() makes one read() return [], that or the next."""
    for point in _points(scene.inotify.wake):
        results = [helped(scene, point)]
        if point.reached:
            results.append(_at_once(scene.inotify))
            assert [] in results
        for events in results:
            scene.take(events)
        assert scene.all_taken_once()
        assert _waits_its_time(scene.inotify)


def test_a_read_begun_at_every_point_of_wake(
    inotify: INotify, in_thread: InThread, until: Until
) -> None:
    """Whenever a wait begins, one wake() of that moment ends it, and no other."""
    results: list[list[Event]] = []

    def begin() -> None:
        in_thread(lambda: results.append(inotify.read()))
        until(lambda: results or waits(inotify))

    for point in _points(begin):
        point.during(inotify.wake)
        if point.reached:
            until(lambda: results)
            assert results.pop() == []
            assert _waits_its_time(inotify)


def test_close_at_every_point_of_a_read(scenes: Scenes, helped: Helped) -> None:
    """Whenever it comes: a read() that has taken nothing raises ValueError."""
    current = [scenes()]
    for point in _points(lambda: current[0].inotify.close()):
        scene = current[0]
        try:
            scene.take(helped(scene, point))
        except ValueError:
            assert point.reached
        else:
            assert scene.taken == ["0"]
        current[0] = scenes()


@pytest.mark.skipif(not PYPY, reason="one call of C waits and reads")
def test_close_at_every_point_after_a_wait_in_vain(
    scenes: Scenes, helped: Helped
) -> None:
    """A read() that another one outran, and that is about to wait again, ends too."""

    current = [scenes()]
    limits: Any = {
        "only_before_a_wait": True,
        "after_a_wait": lambda: current[0].outrun(),
    }
    for point in _points(lambda: current[0].inotify.close(), **limits):
        with pytest.raises(ValueError, match="closed"):
            helped(current[0], point)
        assert current[0].taken == ["0"]
        current[0] = scenes()


def test_events_that_another_iteration_leaves(scene: Scene) -> None:
    """A waiting read() returns the events that an iteration took and left."""
    for point in _points(scene.iterate, only_before_a_wait=True):
        taken = len(scene.taken)
        scene.take(_at_once(scene.inotify, point.during))
        assert len(scene.taken) == taken + 2
        assert scene.all_taken_once()


@pytest.mark.skipif(not PYPY, reason="one call of C waits and reads")
def test_events_that_another_iteration_leaves_after_a_wait_in_vain(
    scene: Scene, helped: Helped
) -> None:
    """So does a read() that another one outran and that waits again."""
    limits: Any = {"only_before_a_wait": True, "after_a_wait": scene.outrun}
    for point in _points(scene.iterate, **limits):
        taken = len(scene.taken)
        begun = time.monotonic()
        scene.take(helped(scene, point))
        assert time.monotonic() - begun < 30
        assert len(scene.taken) == taken + 3
        assert scene.all_taken_once()


def test_a_delay_after_a_wake(
    scene: Scene, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """A wake() that ended a read() does not cut short the delay of the next one."""
    for _ in range(20):
        events = in_thread(scene.inotify.read)
        until_waiting(scene.inotify)
        scene.inotify.wake()
        assert events() == []
        begun = time.monotonic()
        about_to_wait = Point(sys.maxsize, scene.make, only_before_a_wait=True)
        scene.take(about_to_wait.during(partial(scene.inotify.read, read_delay=20)))
        assert time.monotonic() - begun >= 0.02
    assert scene.all_taken_once()


def test_a_read_at_every_point_of_a_read(scene: Scene, helped: Helped) -> None:
    """A handler may read: each event goes to one of the two, and none outstays."""
    for point in _points(lambda: scene.take(scene.inotify.read(timeout=0))):
        begun = time.monotonic()
        events = helped(scene, point, timeout=20)
        seconds = time.monotonic() - begun
        scene.take(events)
        assert 0.02 <= seconds < 30 or events
        scene.take(scene.inotify.read(timeout=0))
        assert scene.all_taken_once()


INTERRUPTED: dict[str, Callable[[Scene], Any]] = {
    "read": lambda scene: scene.inotify.read(timeout=1),
    "read_delay": lambda scene: scene.inotify.read(timeout=1, read_delay=1),
    "wait_readable": lambda scene: scene.inotify.wait_readable(timeout=1),
    "add_watch": lambda scene: scene.inotify.add_watch("/", flags.CREATE),
    "rm_watch": lambda scene: scene.inotify.rm_watch(
        scene.inotify.add_watch("/", flags.CREATE)
    ),
    "watches": lambda scene: scene.inotify.watches(),
    "wake": lambda scene: scene.inotify.wake(),
    "close": lambda scene: scene.inotify.close(),
    "new": lambda scene: INotify().close(),
}
INTERRUPTING: dict[str, Callable[[Scene], Any]] = {
    **INTERRUPTED,
    "read": lambda scene: scene.inotify.read(timeout=0),
    "rm_watch": lambda scene: scene.inotify.rm_watch(
        scene.inotify.add_watch("/proc", flags.CREATE)
    ),
    "event": Scene.make,
    "iteration": Scene.iterate,
}


@pytest.mark.parametrize("interrupting", INTERRUPTING)
@pytest.mark.parametrize("interrupted", INTERRUPTED)
def test_any_call_at_every_point_of_any_other(
    scenes: Scenes, interrupted: str, interrupting: str
) -> None:
    """A handler may call whatever it likes, whatever it interrupts."""
    closes = "close" in (interrupted, interrupting)
    expected = (ValueError, StopIteration) if closes else ()

    def handle() -> None:
        with contextlib.suppress(*expected):
            INTERRUPTING[interrupting](scene)

    scene = scenes()
    for point in _points(handle):
        with contextlib.suppress(*expected):
            point.during(partial(INTERRUPTED[interrupted], scene))
        if scene.inotify.closed:
            scene = scenes()
        scene.make()
        assert scene.inotify.read(timeout=0)


def test_handlers_run_during_a_read(scene: Scene) -> None:
    """The handlers of signals run while a read() of the main thread waits."""

    def handle(frame: FrameType) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        scene.make()

    with _handled(handle):
        for _ in range(ROUNDS):
            # Again and again: what comes between the interpreter's last look for
            # signals and a system call's begin is handled at the next one.
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.002), 0.05)
            scene.take(scene.inotify.read())
        assert scene.taken == scene.made
        assert len(scene.made) == ROUNDS


def test_exceptions_of_handlers_while_events_come(
    scene: Scene, in_thread: InThread
) -> None:
    """Exceptions leave hundreds of reads: no event is lost or returned twice."""
    raised = 0

    def handle(frame: FrameType) -> None:
        nonlocal raised
        # Not at the very end of the read, and not in what collects: see Point.
        if _is_of_package(frame) and not _is_collecting(frame):
            caller = frame.f_back
            while caller is not None:
                if caller.f_code is INotify.read.__code__:
                    raised += 1
                    raise Interruption
                caller = caller.f_back
        signal.setitimer(signal.ITIMER_REAL, 0.0001)

    descriptors = _descriptor_count()
    over = threading.Event()

    def make_events() -> None:
        while not over.wait(random.uniform(0, 0.001)):
            for _ in range(random.randrange(20)):
                scene.make()

    with _handled(handle):
        made = in_thread(make_events)
        try:
            while raised < ROUNDS:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.003))
                with contextlib.suppress(Interruption):
                    while True:
                        scene.take(scene.inotify.read())
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            over.set()
            made()
    scene.take(scene.inotify.read(timeout=0))
    assert scene.taken == scene.made
    assert _descriptor_count() == descriptors


@pytest.mark.parametrize("read_delay", [None, 200])
def test_a_deadline_through_hundreds_of_signals(
    scene: Scene, read_delay: float | None
) -> None:
    """Signals neither shorten nor prolong a read()'s timeout or its delay."""
    handled: list[FrameType] = []
    with _handled(handled.append):
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while len(handled) < 100:  # a loaded machine gives fewer to one read
            about_to_wait = Point(sys.maxsize, scene.make, only_before_a_wait=True)
            begun = time.monotonic()
            if read_delay:
                events = about_to_wait.during(
                    lambda: scene.inotify.read(60_000, read_delay)
                )
            else:
                events = scene.inotify.read(timeout=200)
            seconds = time.monotonic() - begun
            assert len(events) == (1 if read_delay else 0)
            assert 0.2 <= seconds < 10


def test_signals_and_a_read_of_another_thread(
    scene: Scene, in_thread: InThread, until_waiting: UntilWaiting
) -> None:
    """Hundreds of signals to a thread that reads neither end nor shorten its wait."""
    identity: SimpleQueue[int] = SimpleQueue()
    handled: list[FrameType] = []

    def read(timeout: float | None) -> tuple[list[Event], float]:
        identity.put(threading.get_ident())
        begun = time.monotonic()
        events = scene.inotify.read(timeout)
        return events, time.monotonic() - begun

    with _handled(handled.append, signal.SIGUSR1):
        result = in_thread(partial(read, None))
        reader = identity.get(timeout=60)
        until_waiting(scene.inotify)
        while len(handled) < ROUNDS:
            signal.pthread_kill(reader, signal.SIGUSR1)
        assert waits(scene.inotify)
        scene.make()
        scene.take(result()[0])
        assert scene.all_taken_once()
        ended, go = threading.Event(), threading.Event()

        def read_and_stay() -> tuple[list[Event], float]:
            outcome = read(300)
            ended.set()
            go.wait()  # who has ended cannot be sent a signal
            return outcome

        result = in_thread(read_and_stay)
        reader = identity.get(timeout=60)
        while not ended.is_set():
            signal.pthread_kill(reader, signal.SIGUSR1)
        go.set()
        events, seconds = result()
    assert events == []
    assert 0.3 <= seconds < 10


def test_storms_of_handlers_that_call_whatever_they_like(scene: Scene) -> None:
    """Handlers that read, wake and watch during any call never block it."""

    nested = 0

    def handle(frame: FrameType) -> None:
        nonlocal nested
        if nested == 20:  # where the machine is slower than the timer
            return
        nested += 1
        try:
            scene.take(scene.inotify.read(timeout=0))
            scene.inotify.wake()
            scene.inotify.add_watch(scene.folder, flags.CREATE)
            scene.make()
        finally:
            nested -= 1

    with _handled(handle):
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for number in range(ROUNDS):
            scene.take(scene.inotify.read())
            scene.inotify.wake()
            scene.inotify.add_watch(scene.folder, flags.CREATE)
            scene.take(scene.inotify.read(timeout=number % 2))
    scene.take(scene.inotify.read(timeout=0))
    assert scene.all_taken_once()
