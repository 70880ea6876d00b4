"""How Sphinx builds the documents: .ci/docs runs it."""

from __future__ import annotations

import os
import re
from importlib.metadata import version as version_of

from docutils import nodes
from sphinx import addnodes

project = "inotify-cffi"
author = "the inotify-cffi maintainers"
project_copyright = author
release = version = version_of("inotify-cffi")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"inotify-cffi {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
# What is copied is what is typed.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# `read` in a docstring is a reference, and one that leads nowhere is an error.
default_role = "py:obj"
nitpicky = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 70
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Python's own documentation is asked for only where there is a network.
if os.environ.get("READTHEDOCS"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {"python": ("https://docs.python.org/3", None)}
nitpick_ignore_regex = [
    (r"py:.*", r"(os|io|select|collections|asyncio|typing|pathlib)\..*"),
    (
        r"py:.*",
        r"inotify_cffi\..*\b_\w+.*|.*Globs|Exclude",
    ),  # of a constructor that is not called
    (r"py:.*", r"watchdog\..*"),
    (r"py:.*", r"((syscalls|_hints)\.)?Path"),  # str, bytes or PathLike
    (r"py:.*", r"[A-Z][A-Za-z]*(Error|Warning)|PathLike|IntEnum|NamedTuple|Callable"),
]
doctest_global_setup = "from inotify_cffi import *"


def show_flags_in_hexadecimal(app, domain, objtype, content):
    """Rewrite ``= 256`` to ``= 0x100`` where a flag is described."""
    if objtype != "attribute":
        return
    for signature in content.parent.findall(addnodes.desc_signature):
        if signature.get("class") in ("flags", "masks"):
            for text in signature.findall(nodes.Text):
                if re.fullmatch(r"[0-9]+", text.astext().strip()):
                    text.parent.replace(text, nodes.Text(f"{int(text):#x}"))


def show_no_private_names(app, domain, objtype, content):
    """Rewrite the names in a signature that no reader can import."""
    public = {"_masks.DEFAULT": "...", "_T": "Self"}  # the text has the default
    for signature in content.parent.findall(addnodes.desc_signature):
        for text in list(signature.findall(nodes.Text)):
            if text.astext() in public:
                text.parent.replace(text, nodes.Text(public[text.astext()]))


def setup(app):
    app.connect("object-description-transform", show_flags_in_hexadecimal)
    app.connect("object-description-transform", show_no_private_names)
