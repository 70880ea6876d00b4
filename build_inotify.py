"""Compile ``inotify_cffi._inotify`` against the machine's ``<sys/inotify.h>``.

cffi in API mode: the C compiler supplies every constant and checks the layout
of ``struct inotify_event``; nothing about inotify is written down twice.
"""

import sys
import sysconfig
from pathlib import Path

from cffi import FFI

# A relative path: setuptools runs this script in its folder, and puts the relative
# paths of the dependencies into the source distribution.
FOLDER = "src/native"
# Each part is NAME.c and NAME.h; NAME.cdef declares its interface for cffi.
PARTS = ["calls", "fork", "instance", "wait", "listing", "pattern", "scan"]
PARTS_WITHOUT_CDEF = ["descriptor", "guard", "marker", "wakeup"]
# These take and return Python objects. python_module.c adds them to the module.
PYTHON_PARTS = ["python_instance", "python_parser"]

if sys.implementation.name == "pypy":
    python_sources = []
    macros = [("INSTANCE_READ_SIZE", "65536")]
else:
    python_sources = [*PYTHON_PARTS, "python_module"]
    macros = [("PyInit__inotify", "PyInit__inotify_cffi")]

# The stable ABI of the oldest Python; cffi alone would declare that of Python 3.2.
# Free-threaded builds have no such ABI, or cffi sets it.
LIMITED_API = [("Py_LIMITED_API", "0x03090000")]
if sysconfig.get_config_var("Py_GIL_DISABLED") or sysconfig.get_config_var("Py_DEBUG"):
    LIMITED_API = []
# CPython sets this, too: a 32-bit readdir(3) fails at a large inode number.
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
