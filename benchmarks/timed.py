"""The loop that holds the clock."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from time import perf_counter_ns
from typing import Any, Callable, cast

_LOOP = """\
def timed(loops, clock, prepare, check, {names}):
    nanoseconds = 0
    for _ in range(loops):
        prepare()
        result = None
        start = clock()
{statement}
        nanoseconds += clock() - start
        check(result)
    return nanoseconds
"""
EMPTY = "pass"


class Timed:
    """A loop around one statement, compiled for it alone.

    The statement leaves what it reads in ``result``, which ``check`` is given
    and which is freed only in the next pass, before the clock starts.
    """

    def __init__(self, statement: str, names: Iterable[str]) -> None:
        source = _LOOP.format(
            names=", ".join(names),
            statement=textwrap.indent(statement, " " * 8),
        )
        namespace: dict[str, object] = {}
        exec(compile(source, f"<{statement}>", "exec"), namespace)
        self._timed = cast(Callable[..., int], namespace["timed"])

    def nanoseconds(
        self,
        loops: int,
        names: dict[str, Any],
        prepare: Callable[[], object] = int,
        check: Callable[[Any], object] = bool,
    ) -> float:
        """Return how long the statement takes, the clock's own time included."""
        total = self._timed(loops, perf_counter_ns, prepare, check, **names)
        return total / max(loops, 1)
