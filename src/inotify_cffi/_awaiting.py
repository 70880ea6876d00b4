"""Awaiting an instance under the caller's scheduler: asyncio, trio, or greenlets.

None of them is imported here unless it is running already.
"""

from __future__ import annotations

import sys

from ._waiting import Deadline, Wait

TYPE_CHECKING = False  # typing takes longer to import than all of this package
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, Callable, Protocol

    from ._instance import Instance

    class Backend(Protocol):
        async def checkpoint(self) -> None:
            """Let other tasks run; a pending cancellation is raised here."""

        async def readable(self, fd: int, seconds: float) -> None:
            """Wait until ``fd`` is readable, or for ``seconds``."""


class _Asyncio:
    async def checkpoint(self) -> None:
        import asyncio

        asyncio.get_running_loop()  # sleep(0) alone would not miss it
        await asyncio.sleep(0)

    async def readable(self, fd: int, seconds: float) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def set_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        timer = loop.call_later(seconds, set_ready)
        loop.add_reader(fd, set_ready)
        try:
            await ready
        finally:
            timer.cancel()
            if not loop.is_closed():  # else it has forgotten the descriptor
                loop.remove_reader(fd)


class _Trio:
    def __init__(self, trio: Any) -> None:
        self._trio = trio

    async def checkpoint(self) -> None:
        await self._trio.lowlevel.checkpoint()

    async def readable(self, fd: int, seconds: float) -> None:
        with self._trio.move_on_after(seconds):
            await self._trio.lowlevel.wait_readable(fd)


class _Gevent:
    async def checkpoint(self) -> None:
        """Greenlets are switched to where they wait, and not where they could."""

    async def readable(self, fd: int, seconds: float) -> None:
        from gevent.select import select

        select([fd], [], [], seconds)


class _Eventlet:
    async def checkpoint(self) -> None:
        """Greenlets are switched to where they wait, and not where they could."""

    async def readable(self, fd: int, seconds: float) -> None:
        from eventlet import Timeout
        from eventlet.hubs import trampoline

        with Timeout(seconds, exception=False):
            trampoline(fd, read=True)


_ASYNCIO = _Asyncio()


def running_backend() -> Backend:
    """Return the scheduler of the calling task.

    trio is asked first: in guest mode an asyncio loop runs below it.
    """
    trio: Any | None = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            pass
        else:
            return _Trio(trio)
    return _ASYNCIO


def greenlets() -> Backend | None:
    """Return the scheduler of greenlets, in a program that was patched for one.

    There a call that blocks would keep all greenlets from running.
    """
    gevent: Any | None = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("select"):
        return _Gevent()
    eventlet: Any | None = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("select"):
        return _Eventlet()
    return None


def run_among_greenlets(coroutine: Coroutine[Any, Any, bool]) -> bool:
    """Run a coroutine that awaits only a backend of greenlets: it never yields."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return bool(stop.value)
    raise AssertionError("a backend of greenlets yielded")


async def wait_for(
    backend: Backend,
    instance: Instance,
    try_read: Callable[[], bool],
    timeout: float | None,
    read_delay: float | None,
) -> bool:
    """Wait until ``try_read`` returns true.

    Parameters:
        timeout: how long at most, in milliseconds.
        read_delay: how long to let events gather after the first, in milliseconds.

    Returns:
        False if the timeout expires, or at a wake.
    """
    wait = Wait(instance)
    try:
        wait.begin(timeout)
        while wait.goes_on():
            gathered = read_delay is None
            if read_delay is not None and instance.wait_readable(0, -1):
                if not await _gather(backend, wait, Deadline(read_delay)):
                    return False
                gathered = True
            # Try before sleeping: a descriptor may not show what an exception kept.
            if gathered and try_read():
                return True
            await backend.readable(wait.fileno(), wait.seconds_left())
        return False
    finally:
        try:
            wait.end()
        except BaseException:
            wait.end()
            raise


async def _gather(backend: Backend, wait: Wait, deadline: Deadline) -> bool:
    """Sleep until the deadline, even if events are queued; False at a wake."""
    while wait.goes_on(whatever_the_time=True):
        seconds = deadline.seconds_left()
        if seconds <= 0:
            return True
        await backend.readable(wait.wakeup_fileno(), seconds)
    return False
