"""Context managers that close themselves and are their own iterators."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ._engine import Engine

_T = TypeVar("_T", bound="Closing")


class Closing:
    """A context manager that closes its engine, and is its own iterator."""

    _inotify_cffi: Engine

    def __enter__(self: _T) -> _T:
        self._inotify_cffi.check()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._inotify_cffi.inotify.closed

    def __iter__(self: _T) -> _T:
        return self

    def __aiter__(self: _T) -> _T:
        return self
