"""What measured: the interpreter, its build, the libraries and the machine."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from importlib import metadata
from typing import Any

import pyperf

_LIBRARIES = (
    "inotify-cffi",
    "inotify-simple",
    "asyncinotify",
    "watchdog",
    "watchfiles",
    "cffi",
)
_NOT_ABOUT_SPEED = (
    "hostname",
    "mem_max_rss",
    "python_cflags",
    "python_config_args",
    "python_executable",
    "runnable_threads",
)


def label() -> str:
    """Return a name such as 'CPython 3.11.2' or 'PyPy 7.3.11 (Python 3.9.16)'."""
    version = platform.python_version()
    if sys.implementation.name == "pypy":
        major, minor, micro = sys.implementation.version[:3]
        return f"PyPy {major}.{minor}.{micro} (Python {version})"
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{platform.python_implementation()} {version}{threads}"


def build() -> str:
    """Return the flags that the interpreter was built with.

    Without --enable-optimizations a CPython is not profile-optimised, unless
    who packaged it did that in another way.
    """
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    said = [
        option
        for option in ("--enable-optimizations", "--with-lto", "--disable-gil")
        if option in arguments
    ]
    if sys.implementation.name == "cpython" and "--enable-optimizations" not in said:
        said.append("CONFIG_ARGS without --enable-optimizations")
    if sys.implementation.name == "pypy":
        translation: dict[str, Any] = getattr(sys, "pypy_translation_info", {})
        said.append("with JIT" if translation.get("translation.jit") else "no JIT")
    said.append(f"OPT={sysconfig.get_config_var('OPT')}")
    said += re.findall(r"GCC [\d.]+|Clang [\d.]+", sys.version)
    return ", ".join(said)


def libraries() -> str:
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(versions)


def facts(note: str = "") -> dict[str, Any]:
    """Return pyperf's metadata and ours; nothing that names a host or a path."""
    collected: dict[str, Any] = pyperf.Run([1.0]).get_metadata()
    for name in _NOT_ABOUT_SPEED:
        collected.pop(name, None)
    collected["interpreter"] = label()
    collected["build"] = f"{note}: {build()}" if note else build()
    collected["libraries"] = libraries()
    collected["kernel"] = f"{platform.system()} {platform.release()}"
    collected["machine"] = platform.machine()
    return collected
