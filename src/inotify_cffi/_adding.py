"""From a path and a mask to a watch, in one step for each interpreter.

What cffi adds to a call is a third of what Python adds to the kernel's work, so
on CPython a compiled builtin converts and calls; PyPy's compiler sees through cffi.
"""

from __future__ import annotations

import sys
from operator import index

from ._inotify import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Union

    # Takes a path, which holds no NUL, and a mask. Returns the watch descriptor,
    # or -errno, or -CLOSED.
    Add = Callable[[Union[str, bytes], int], int]

if sys.implementation.name == "pypy":
    _ENCODING = sys.getfilesystemencoding()
    _ERRORS = sys.getfilesystemencodeerrors()

    def adder_of(instance: Any) -> Add:
        def add_watch(path: str | bytes, mask: int) -> int:
            encoded = path.encode(_ENCODING, _ERRORS) if isinstance(path, str) else path
            if not isinstance(mask, int):
                mask = index(mask)  # cffi would take a Decimal
            wd: int = lib.instance_add_watch(instance, encoded, mask)
            return wd

        return add_watch

else:
    from ._builtins import adder_at, address

    def adder_of(instance: Any) -> Add:
        add_watch: Add = adder_at((address(instance), instance))
        return add_watch
