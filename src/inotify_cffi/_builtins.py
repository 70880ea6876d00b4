"""What C gives to CPython alone: functions that take and return Python objects.

cffi makes the compiled module and has no place for such functions. They are the
end of source.c, and are handed over once, through a list given by its id().
"""

from __future__ import annotations

import sys

from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ADDRESS = ffi.typeof("uintptr_t")


class _PlainTuple(tuple):  # type: ignore[type-arg]
    __slots__ = ()


def address(cdata: Any) -> int:
    """Return where it is. Whoever keeps that has to keep ``cdata`` as well."""
    return int(ffi.cast(_ADDRESS, cdata))


def _exchange() -> list[Any]:
    exchanged: list[Any] = [_PlainTuple]
    lib.exchange_builtins(id(exchanged))
    return exchanged[1:]


if sys.implementation.name != "pypy":  # pragma: no branch - for CPython alone
    append_events_at, reader_at, adder_at = _exchange()
