"""Readiness: one descriptor that is readable whenever there is something to read.

The kernel's queue alone does not show this: events also wait in user space, after more
was taken from the queue than was requested. And a change of the mount table is in no
queue.
"""

from __future__ import annotations

import os
import select
import weakref
from contextlib import suppress

from ._mounts import open_table


class Readiness:
    """An epoll descriptor for the queue, the mount table, and what is in user space.

    Three descriptors: the epoll's, which `TreeWatcher.fileno` returns; the read end
    of a pipe without a writer, which is always readable and is in the epoll only
    while something waits in user space; and the mount table's, where there is one.
    """

    def __init__(self, queue: int) -> None:
        if not hasattr(select, "epoll"):
            raise RuntimeError(
                "fileno() needs select.epoll, which gevent and eventlet remove; "
                "call read(), which is cooperative there"
            )
        self._always, writer = os.pipe()  # not inheritable
        os.close(writer)
        self._epoll = select.epoll()
        self._epoll.register(queue, select.EPOLLIN)
        self._mounts = -1
        try:
            self._mounts = open_table()
        except OSError:
            self.close()
            raise
        if self._mounts >= 0:
            self._epoll.register(self._mounts, select.EPOLLPRI)
        _all.add(self)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def forget_mounts(self) -> None:
        """Take the signal of the mount table, before somebody else asks for changes.

        Otherwise the epoll shows changes that were followed already.
        """
        mounts = self._mounts
        if mounts >= 0:
            poll = select.poll()  # one for two threads raises RuntimeError
            poll.register(mounts, select.POLLPRI)
            poll.poll(0)

    def set(self, *, pending: bool) -> None:
        """Note whether something waits in user space."""
        with suppress(FileExistsError, FileNotFoundError, ValueError):
            if pending:
                self._epoll.register(self._always, select.EPOLLIN)
            else:
                self._epoll.unregister(self._always)

    def close(self) -> None:
        self._epoll.close()
        self.close_hidden()

    def close_hidden(self) -> None:
        """Close the descriptors that are not public. In a forked child, only these."""
        always, self._always = self._always, -1
        mounts, self._mounts = self._mounts, -1
        for descriptor in (always, mounts):
            if descriptor >= 0:
                os.close(descriptor)


_all: weakref.WeakSet[Readiness] = weakref.WeakSet()


def _part_from_parent() -> None:
    for readiness in list(_all):
        readiness.close_hidden()


os.register_at_fork(after_in_child=_part_from_parent)
