"""Compile ``inotify_cffi._inotify`` against the machine's ``<sys/inotify.h>``.

cffi in API mode: the C compiler supplies every constant and checks the layout
of ``struct inotify_event``; nothing about inotify is written down twice.
"""

import sysconfig
from pathlib import Path

from cffi import FFI

# Relative: setuptools runs this script from the folder it stands in, and names
# what depends on it in the source distribution the same way.
DECLARATIONS = "src/native/declarations.h"
SOURCE = "src/native/source.c"
PATTERN = ["src/native/pattern.c", "src/native/pattern.h"]

# What the oldest Python has of the stable ABI: cffi alone would declare what
# Python 3.2 had. Free-threaded builds have no such ABI, or one that cffi sets.
LIMITED_API = [("Py_LIMITED_API", "0x03090000")]
if sysconfig.get_config_var("Py_GIL_DISABLED") or sysconfig.get_config_var("Py_DEBUG"):
    LIMITED_API = []
# As CPython sets it: a 32-bit readdir(3) fails at a large inode number.
LARGE_FILES = [("_FILE_OFFSET_BITS", "64")]

ffibuilder = FFI()
ffibuilder.cdef(Path(DECLARATIONS).read_text(encoding="utf-8"))
ffibuilder.set_source(
    "inotify_cffi._inotify",
    Path(SOURCE).read_text(encoding="utf-8"),
    sources=PATTERN[:1],
    include_dirs=["src/native"],
    depends=["build_inotify.py", DECLARATIONS, SOURCE, *PATTERN],
    define_macros=LIMITED_API + LARGE_FILES,
)
