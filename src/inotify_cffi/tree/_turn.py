"""The turn: only one thread or task at a time works on the trees.

A thread may wait for its turn. A task never does: it tries, and awaits a call from
the holder of the turn. A lock is not possible: a task that holds one cannot await.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Callable

Waker = Callable[[], object]


class Callers:
    """Those who wait to be called, each once. Any thread or signal handler calls."""

    def __init__(self) -> None:
        self._wakers: list[Waker] = []  # a deque begins with 600 bytes

    def __bool__(self) -> bool:
        return bool(self._wakers)

    def call(self) -> None:
        """Call all who wait."""
        if not self._wakers:
            return
        with suppress(IndexError):
            while True:
                self._wakers.pop(0)()

    @contextmanager
    def _waiting(self, waker: Waker) -> Iterator[None]:
        self._wakers.append(waker)
        try:
            yield
        finally:
            with suppress(ValueError):
                self._wakers.remove(waker)

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let a thread wait until it is called, or it is over already."""
        gate = threading.Lock()
        gate.acquire()
        with self._waiting(gate.release):
            if not is_over():
                gate.acquire(timeout=seconds)

    async def wait_as_task(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let a task wait until it is called, or it is over already."""
        trio: Any | None = sys.modules.get("trio")
        if trio is not None:
            try:
                token = trio.lowlevel.current_trio_token()
            except RuntimeError:
                pass  # asyncio runs this task
            else:
                event = trio.Event()
                with self._waiting(lambda: _call_trio(trio, token, event)):
                    if not is_over():
                        with trio.move_on_after(seconds):
                            await event.wait()
                return
        await self._wait_in_asyncio(seconds, is_over)

    async def _wait_in_asyncio(
        self, seconds: float, is_over: Callable[[], bool]
    ) -> None:
        import asyncio  # takes long, and runs already

        loop = asyncio.get_running_loop()
        called: asyncio.Future[None] = loop.create_future()

        def set_called() -> None:
            if not called.done():
                called.set_result(None)

        def call() -> None:
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(set_called)

        timer = loop.call_later(seconds, set_called)
        try:
            with self._waiting(call):
                if not is_over():
                    await called
        finally:
            timer.cancel()


def _call_trio(trio: Any, token: Any, event: Any) -> None:
    with suppress(trio.RunFinishedError):
        token.run_sync_soon(event.set)


class Turn:
    """The holder of the turn, who works on the trees; or nobody.

    Taking it is one atomic step, and giving it back is harmless if the caller does not
    have it. So the exception of a signal handler, wherever it strikes, cannot keep it
    taken: a caller that tries to take it gives it back in a finally.
    """

    def __init__(self) -> None:
        self._holder: dict[None, Token] = {}
        self.callers = Callers()

    def take(self, token: Token) -> bool:
        """Take the turn; return whether it was free."""
        return self._holder.setdefault(None, token) is token

    def give_back(self, token: Token) -> None:
        """Give the turn back, if it was taken with this token."""
        if self._holder.get(None) is token:
            del self._holder[None]
            self.callers.call()

    def is_free(self) -> bool:
        return not self._holder

    def is_mine(self) -> bool:
        """Return whether this very thread has it, below what runs now.

        That is so for the handler of a signal, and for an `exclude`.
        """
        holder = self._holder.get(None)
        return holder is not None and holder.thread == threading.get_ident()


class Token:
    """A caller that wants the turn."""

    __slots__ = ("thread",)

    def __init__(self) -> None:
        self.thread = threading.get_ident()
