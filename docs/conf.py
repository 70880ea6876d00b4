"""How Sphinx builds the reference: .ci/docs runs it."""

import os
from importlib.metadata import version as version_of

project = "inotify-cffi"
author = "the inotify-cffi maintainers"
project_copyright = author
release = version = version_of("inotify-cffi")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"inotify-cffi {release}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# `read` in a docstring is a reference, and one that leads nowhere is an error.
default_role = "py:obj"
nitpicky = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Python's own documentation is asked for only where there is a network.
if os.environ.get("READTHEDOCS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {"python": ("https://docs.python.org/3", None)}
nitpick_ignore_regex = [
    (r"py:.*", r"(os|io|select|collections|asyncio|typing|pathlib)\..*"),
    (r"py:.*", r"(syscalls\.)?Path"),  # str, bytes or PathLike
    (r"py:.*", r"[A-Z][A-Za-z]*(Error|Warning)|PathLike|IntEnum|NamedTuple|Callable"),
]
doctest_global_setup = "from inotify_cffi import *"
# The README's sections are included, and their headings made to fit.
suppress_warnings = ["myst.header"]
