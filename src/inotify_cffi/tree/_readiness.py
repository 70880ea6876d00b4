"""Readiness: one descriptor that is readable whenever there is something to read.

The kernel's queue alone does not show this: events also wait in user space, after more
was taken from the queue than was requested.
"""

from __future__ import annotations

import os
import select
import weakref
from contextlib import suppress


class Readiness:
    """An epoll descriptor for the queue, and for what waits in user space.

    Two descriptors: the epoll's, which `TreeWatcher.fileno` returns, and the read end
    of a pipe without a writer, which is always readable and is in the epoll only
    while something waits in user space.
    """

    def __init__(self, queue: int) -> None:
        self._always, writer = os.pipe()  # not inheritable
        os.close(writer)
        self._epoll = select.epoll()
        self._epoll.register(queue, select.EPOLLIN)
        _all.add(self)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def set(self, *, pending: bool) -> None:
        """Note whether something waits in user space."""
        with suppress(FileExistsError, FileNotFoundError, ValueError):
            if pending:
                self._epoll.register(self._always, select.EPOLLIN)
            else:
                self._epoll.unregister(self._always)

    def close(self) -> None:
        self._epoll.close()
        self.forget_pipe()

    def forget_pipe(self) -> None:
        """Close the descriptors. In a forked child, only these."""
        always, self._always = self._always, -1
        if always >= 0:
            os.close(always)


_all: weakref.WeakSet[Readiness] = weakref.WeakSet()


def _part_from_parent() -> None:
    for readiness in list(_all):
        readiness.forget_pipe()


os.register_at_fork(after_in_child=_part_from_parent)
