"""Names for the annotations of public functions.

Importing `typing` takes longer than importing everything else that watching needs, and
``float | None`` cannot be evaluated before Python 3.10. So annotations use the names of
this module, which are created when `typing.get_type_hints` asks for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, Optional, Union

    from ._raw_event import Event

    Path = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
    Milliseconds = Optional[float]
    BytesLike = Any
    RawEvent = Event
else:

    def __getattr__(name: str) -> object:
        import os
        import typing

        made = {
            "Path": typing.Union[str, bytes, os.PathLike],
            "Milliseconds": typing.Optional[float],
            "BytesLike": typing.Any,
        }
        if name == "RawEvent":
            from ._raw_event import Event

            return Event
        if name not in made:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return made[name]
