import platform
import sys
import sysconfig

from setuptools import setup


def limited_api_tag():
    """Return the tag of the stable ABI to build for, or None where there is none."""
    if platform.python_implementation() != "CPython":
        return None
    if sysconfig.get_config_var("Py_DEBUG"):
        return None
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "cp315" if sys.version_info >= (3, 15) else None
    return "cp39"


# A folder for each interpreter: objects of one do not load in another.
options = {"build": {"build_base": f"build/{sys.implementation.cache_tag}"}}
if tag := limited_api_tag():
    options["bdist_wheel"] = {"py_limited_api": tag}
setup(cffi_modules=["build_inotify.py:ffibuilder"], options=options)
