"""Awaiting a descriptor under whatever runs the calling task: asyncio or trio.

Neither is imported here unless it is running already.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing takes longer to import than all of this package
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Backend(Protocol):
        async def checkpoint(self) -> None:
            """Let other tasks run, and be cancelled here if that is due."""

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


_ASYNCIO = _Asyncio()


def running_backend() -> Backend:
    """Return what runs the calling task.

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
