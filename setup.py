import platform
import re
import sys
import sysconfig
from pathlib import Path

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


def absolute_links(text, source):
    """Return Markdown whose relative links lead to a repository's files."""
    text = re.sub(r"(!\[[^]]*\])\((?!\w+:|#)", rf"\1({source}/raw/main/", text)
    return re.sub(r"\]\((?!\w+:|#)", f"]({source}/blob/main/", text)


def readme():
    """Return the README as a package index can show it."""
    text = Path("README.md").read_text(encoding="utf-8")
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    source = re.search(r'^Source = "(.+)"$', project, re.M)
    return absolute_links(text, source[1]) if source else text


# A folder for each interpreter: objects of one do not load in another.
options = {"build": {"build_base": f"build/{sys.implementation.cache_tag}"}}
if tag := limited_api_tag():
    options["bdist_wheel"] = {"py_limited_api": tag}
setup(
    cffi_modules=["build_inotify.py:ffibuilder"],
    options=options,
    long_description=readme(),
    long_description_content_type="text/markdown",
)
