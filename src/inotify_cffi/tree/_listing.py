"""The names in a directory, each with whether it is a directory.

PyPy's os.scandir() gives each of its iterators a finalizer, and what has one
outlives the nursery with all that it refers to: 70 bytes of garbage for each
directory of a watched tree. It also takes a failure to read on for the end. So
PyPy goes to readdir(3) itself; CPython, for which that takes up to twice the time
of os.scandir(), does not.
"""

from __future__ import annotations

import os
import sys

from .._inotify import ffi, lib
from ..syscalls import encode_path, raise_os_error

_LISTING = ffi.typeof("struct listing *")


def read(path: str, directories_only: bool) -> dict[str, bool]:
    names: dict[str, bool] = {}
    listing = ffi.new(_LISTING)
    try:
        lib.listing_open(listing, encode_path(path))
        while (found := lib.listing_next(listing, directories_only)) > 0:
            name = os.fsdecode(ffi.string(listing.name))
            names[name] = bool(listing.is_directory)
    finally:
        lib.listing_close(listing)
    if found < 0:
        raise_os_error(-found, path)
    return names


def scan(path: str, directories_only: bool) -> dict[str, bool]:
    with os.scandir(path) as entries:
        return {
            entry.name: is_directory
            for entry in entries
            if (is_directory := entry.is_dir(follow_symlinks=False))
            or not directories_only
        }


names_in = read if sys.implementation.name == "pypy" else scan
