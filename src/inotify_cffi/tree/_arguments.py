"""Checks of arguments: an error names the argument, its value and what is wanted."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from operator import index

from ..events import flags, mask_str, masks

# The kernel queues UNMOUNT for every watch; below a root it is reported on request.
_EVENTS = int(masks.ALL_EVENTS | flags.UNMOUNT)


def checked_mask(mask: int) -> int:
    """Return the mask of the events to report.

    Raises:
        TypeError: it is not an int.
        ValueError: it is empty or negative, or has bits that are not events.
    """
    try:
        number = index(mask)
    except TypeError:
        raise TypeError(
            f"mask must be an int, such as flags.CREATE | flags.DELETE, not {mask!r}"
        ) from None
    if not number:
        raise ValueError("mask is empty: nothing would ever be reported")
    if number < 0:
        raise ValueError(f"mask must not be negative: {number}")
    if number & ~_EVENTS:
        others = mask_str(number & ~_EVENTS)
        raise ValueError(f"mask has bits that are not events: {others}")
    return number


def check_paths(paths: Iterable[object]) -> None:
    """Refuse a mask that was given as a path.

    Raises:
        TypeError: a path is an int.
    """
    for path in paths:
        if isinstance(path, int):
            raise TypeError(
                f"a path must be str, bytes or os.PathLike, not {path!r}; "
                "a mask is given as mask=..."
            )


def known_root(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes], roots: Collection[str]
) -> str:
    """Return the root that a path names, with or without slashes at its end."""
    given = os.fsdecode(path)
    if given in roots:
        return given
    bare = given.rstrip("/")
    return next((root for root in roots if root.rstrip("/") == bare), given)
