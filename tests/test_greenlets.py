"""Waits among greenlets: gevent's, and eventlet's."""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import RunPython

PATCH = {
    "gevent": """
    from gevent import monkey
    monkey.patch_all()
    from gevent import spawn_later as later
    """,
    "eventlet": """
    import eventlet
    eventlet.monkey_patch()
    from eventlet import spawn_after as later
    """,
}
IMPORT = """
    from inotify_cffi import INotify, flags
"""
USE = """
    import os, sys, time
    folder = sys.argv[1]
    with INotify() as inotify:
        inotify.add_watch(folder, flags.CREATE)
        later(0.05, os.mkdir, f"{folder}/a")
        assert [event.name for event in inotify.read()] == ["a"]
        later(0.05, inotify.wake)
        assert inotify.read() == []
        later(0.05, os.mkdir, f"{folder}/b")
        assert next(inotify).name == "b"
        later(0.05, os.mkdir, f"{folder}/c")
        later(0.07, os.mkdir, f"{folder}/d")
        begun = time.monotonic()
        assert [event.name for event in inotify.read(read_delay=1000)] == ["c", "d"]
        assert time.monotonic() - begun >= 1
        assert inotify.read(timeout=20) == []
        later(0.05, os.mkdir, f"{folder}/e")
        assert inotify.wait_readable()
        inotify.read()
        later(0.05, inotify.close)
        try:
            inotify.read()
        except ValueError:
            print("closed")
"""


@pytest.mark.parametrize("library", PATCH)
@pytest.mark.parametrize("order", ["before", "after"])
def test_other_greenlets_run_during_a_wait(
    run_python: RunPython, tmp_path: Path, library: str, order: str
) -> None:
    """Patched before the import or after: what waits lets other greenlets run."""
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    parts = [PATCH[library], IMPORT] if order == "before" else [IMPORT, PATCH[library]]
    # Both libraries warn of themselves on new Pythons.
    quiet = "import warnings\nwarnings.simplefilter('ignore')\n"
    code = quiet + "".join(textwrap.dedent(part) for part in [*parts, USE])
    assert run_python(code, tmp_path) == "closed\n"
