"""What a with statement closes, and is its own iterator."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

_T = TypeVar("_T", bound="Closing")


class Closing:
    """A context manager that closes itself, and is its own iterator.

    It has no names of its own: those are left to subclasses.
    """

    def close(self) -> None:
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self: _T) -> _T:
        return self

    def __aiter__(self: _T) -> _T:
        return self
