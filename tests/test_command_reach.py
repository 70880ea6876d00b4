"""Paths that a link leads to, and files in directories that cannot be listed."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanding import COMMAND, Running, inotifywait

# Runs a program, or the command, as somebody who is not root.
AS_NOBODY = """
import ctypes, getopt, os, select, sys
if os.geteuid() == 0:
    # Imported before, as Python may lie where only root can read.
    from inotify_cffi import TreeWatcher
    from inotify_cffi.cli import main, running, trees, values, watching
    import inotify_cffi._raw_event
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # so that /proc/self may be read
if sys.argv[1] == "ours":
    from inotify_cffi.cli import main
    main(sys.argv[2:])
os.execv(sys.argv[1], sys.argv[1:])
"""
NOBODY = [sys.executable, "-c", AS_NOBODY]


def _watch(program: list[str], cwd: Path, *arguments: str) -> Running:
    return Running([*program, *arguments], cwd).until_said()


@pytest.mark.parametrize("recursive", [[], ["-r"]])
def test_link_to_a_file(tmp_path: Path, recursive: list[str]) -> None:
    """Writing to the target of a link is reported for the link."""
    (tmp_path / "dot").mkdir()
    (tmp_path / "dot" / "conf").write_text("1")
    (tmp_path / "link").symlink_to("dot/conf")
    for program in ([inotifywait()], COMMAND):
        running = _watch(program, tmp_path, "-m", *recursive, "-e", "modify", "link")
        with open(tmp_path / "dot" / "conf", "a") as file:
            file.write("x")
        assert running.until_printed(b"\n") == b"link MODIFY \n"
        running.ended(15)


def test_link_whose_directory_is_swapped(tmp_path: Path) -> None:
    """A file that a link leads to is followed when a directory on the way is swapped,
    as where configuration is mounted; inotifywait has lost it then."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "app.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "app.yaml").symlink_to("..data/app.yaml")
    running = _watch(COMMAND, tmp_path, "-mr", "app.yaml")
    (tmp_path / "..tmp").symlink_to("v2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    assert running.until_printed(b"\n").startswith(b"app.yaml ")
    (tmp_path / "v2" / "app.yaml").write_text("changed")
    printed = running.until_printed(b"CLOSE_WRITE,CLOSE \n")
    assert b"app.yaml MODIFY \n" in printed
    running.ended(15)


@pytest.fixture
def searchable() -> Iterator[Path]:
    """A directory with one file, that others than its owner can only search."""
    with tempfile.TemporaryDirectory() as folder:  # not below a folder of root's
        (Path(folder) / "f").write_text("text")
        (Path(folder) / "f").chmod(0o644)
        os.chmod(folder, 0o711)
        yield Path(folder)


@pytest.mark.parametrize("recursive", [[], ["-r"]])
def test_file_in_a_directory_that_can_only_be_searched(
    searchable: Path, recursive: list[str]
) -> None:
    """A user who may read the file, but not its directory, gets the file's events."""
    if os.geteuid() != 0:
        pytest.skip("its owner may list it")
    path = str(searchable / "f")
    for program in ([*NOBODY, inotifywait()], [*NOBODY, "ours"]):
        running = _watch(program, Path("/"), *recursive, "-e", "modify", path)
        with open(path, "a") as file:
            file.write("x")
        printed, said, status = running.ended()
        assert (printed, status) == (f"{path} MODIFY \n".encode(), 0)
        assert said.endswith(b"Watches established.\n")
