"""Compile ``inotify_cffi._inotify`` against the machine's ``<sys/inotify.h>``.

cffi in API mode: the C compiler supplies every constant and checks the layout
of ``struct inotify_event``; nothing about inotify is written down twice.
"""

import sys
import sysconfig
from pathlib import Path

from cffi import FFI

# Relative: setuptools runs this script from the folder it stands in, and names
# what depends on it in the source distribution the same way.
FOLDER = "src/native"
# Each is NAME.c and NAME.h, and NAME.cdef, what Python sees of it through cffi.
PARTS = ["calls", "fork", "instance", "wait", "listing", "pattern", "scan"]
PARTS_WITHOUT_CDEF = ["descriptor", "guard", "wakeup"]
# What gives and takes Python objects. python_module.c makes the module of it.
PYTHON_PARTS = ["python_instance", "python_parser"]

if sys.implementation.name == "pypy":
    python_sources = []
    macros = [("INSTANCE_READ_SIZE", "65536")]
else:
    python_sources = [*PYTHON_PARTS, "python_module"]
    macros = [("PyInit__inotify", "PyInit__inotify_cffi")]

# What the oldest Python has of the stable ABI: cffi alone would declare what
# Python 3.2 had. Free-threaded builds have no such ABI, or one that cffi sets.
LIMITED_API = [("Py_LIMITED_API", "0x03090000")]
if sysconfig.get_config_var("Py_GIL_DISABLED") or sysconfig.get_config_var("Py_DEBUG"):
    LIMITED_API = []
# As CPython sets it: a 32-bit readdir(3) fails at a large inode number.
LARGE_FILES = [("_FILE_OFFSET_BITS", "64")]

cdefs = [f"{FOLDER}/{part}.cdef" for part in PARTS]

ffibuilder = FFI()
for cdef in cdefs:
    ffibuilder.cdef(Path(cdef).read_text(encoding="utf-8"))
ffibuilder.set_source(
    "inotify_cffi._inotify",
    "".join(f'#include "{part}.h"\n' for part in PARTS),
    sources=[
        f"{FOLDER}/{part}.c" for part in [*PARTS, *PARTS_WITHOUT_CDEF, *python_sources]
    ],
    include_dirs=[FOLDER],
    define_macros=macros + LIMITED_API + LARGE_FILES,
    extra_compile_args=["-fvisibility=hidden"],
    depends=[
        "build_inotify.py",
        *(str(file) for file in sorted(Path(FOLDER).iterdir())),
    ],
)
