"""Python that is not started as usual: sub-interpreters, and frozen programs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import RunPython

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
NAMES_OF_MODULE = ("_interpreters", "_xxsubinterpreters")
PROGRAM = """
import os, sys
from inotify_cffi import INotify, TreeWatcher, flags

folder = sys.argv[1]
with INotify() as inotify, TreeWatcher(folder) as watcher:
    inotify.add_watch(folder, flags.CREATE)
    os.mkdir(folder + "/name")
    print(*[event.name for event in inotify.read()])
    print(*[os.path.basename(event.path) for event in watcher.read()])
"""
IN_INTERPRETER = """
import importlib, sys

names, shared, folder, program = sys.argv[1:]
for name in names.split():
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
if sys.version_info >= (3, 13):
    new = interpreters.create("legacy" if shared == "shared" else "isolated")
else:
    new = interpreters.create(isolated=shared != "shared")
try:
    error = interpreters.run_string(new, program)
except interpreters.RunFailedError as raised:  # before Python 3.13
    error = raised
interpreters.destroy(new)
if error is not None:
    print(getattr(error, "formatted", error))
"""


def _run_in_interpreter(
    run_python: RunPython, folder: Path, shared: str, before: str = ""
) -> str:
    if not any(map(importlib.util.find_spec, NAMES_OF_MODULE)):
        pytest.skip("this Python has no module of sub-interpreters")
    program = f"import sys; sys.argv = ['', {str(folder)!r}]\n{PROGRAM}"
    return run_python(
        before + IN_INTERPRETER,
        " ".join(NAMES_OF_MODULE),
        shared,
        folder,
        program,
    )


@pytest.mark.skipif(
    FREE_THREADED, reason="no sub-interpreter can import it: there is no GIL to share"
)
@pytest.mark.parametrize("before", ["", "import inotify_cffi.instance\n"])
def test_sub_interpreter_that_shares_the_gil(
    run_python: RunPython, tmp_path: Path, before: str
) -> None:
    """It works there, whether or not the main interpreter has imported it."""
    printed = _run_in_interpreter(run_python, tmp_path, "shared", before)
    assert printed.split() == ["name", "name"]


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="all sub-interpreters share the GIL"
)
@pytest.mark.parametrize("shared", ["isolated", *(["shared"] if FREE_THREADED else [])])
def test_sub_interpreter_without_a_shared_gil(
    run_python: RunPython, tmp_path: Path, shared: str
) -> None:
    """The import is an ImportError that says so, and nothing is half imported."""
    printed = _run_in_interpreter(run_python, tmp_path, shared)
    assert "ImportError: module" in printed
    assert "does not support loading in subinterpreters" in printed


FREEZERS = {
    "PyInstaller": ["--onedir", "--distpath", "frozen", "program.py"],
    "cx_Freeze": ["build", "--script=program.py", "--build-exe=frozen/program"],
}


@pytest.fixture(params=FREEZERS)
def frozen(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A program that was frozen with no option about this package."""
    freezer = request.param
    pytest.importorskip(freezer, reason=f"{freezer} is not installed")
    (tmp_path / "program.py").write_text(PROGRAM)
    command: list[Any] = [sys.executable, "-m", freezer, *FREEZERS[freezer]]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "frozen" / "program" / "program"


def test_frozen_program(frozen: Path, tmp_path: Path) -> None:
    """A frozen program needs neither a hook nor a hidden import."""
    folder = tmp_path / "watched"
    folder.mkdir()
    printed = subprocess.check_output([frozen, folder], text=True)
    assert printed.split() == ["name", "name"]
