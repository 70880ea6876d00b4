"""A short share of the churn: `python tests/churn.py --all` is the whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import churn
import pytest

if TYPE_CHECKING:
    from conftest import RunPython

CHURN = Path(__file__).with_name("churn.py")
MAX_QUEUED_EVENTS = "/proc/sys/fs/inotify/max_queued_events"
shortens_queues = pytest.mark.shortens_queues
ARGUMENTS = ["--all", "--runs", "1", "--seconds", "0.4", "--directory"]

# A file system that only this command sees, and the command in it.
OVERLAY = """
set -e
mount -t tmpfs none "$1"
cd "$1"
mkdir lower upper work merged
mkdir -p lower/b lower/c
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged
shift
exec "$@" "$PWD/merged"
"""


def _churn(*arguments: str | Path, prefix: Sequence[str | Path] = ()) -> None:
    if not os.access(MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue, as one manner of churn does")
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("one manner of churn shortens the queues of tests beside it")
    command = [*prefix, sys.executable, "-W", "error", CHURN, *ARGUMENTS, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.stderr.startswith(("mount:", "unshare:")):
        pytest.skip(f"no overlayfs here: {finished.stderr}")
    assert finished.returncode == 0, finished.stdout + finished.stderr


@shortens_queues
def test_on_tmpfs() -> None:
    """On tmpfs, every manner of churn ends true and clean."""
    _churn("/dev/shm")


@shortens_queues
def test_with_many_exchanges() -> None:
    """Churn with one exchange in eight operations ends true and clean, too."""
    _churn("/dev/shm", "--exchanges")


@shortens_queues
def test_on_disk(tmp_path: Path) -> None:
    """Every manner of churn ends true and clean in the temporary directory."""
    _churn(tmp_path)


@shortens_queues
def test_on_overlay(tmp_path: Path) -> None:
    """On overlayfs, every manner of churn ends true and clean."""
    if shutil.which("unshare") is None:
        pytest.skip("util-linux's unshare is not installed")
    # It adds the directory to the command itself.
    _churn(prefix=["unshare", "--mount", "sh", "-c", OVERLAY, "sh", tmp_path])


def _churn_roots(*arguments: str | Path) -> None:
    script = Path(__file__).with_name("churn_roots.py")
    command = [sys.executable, script, "--runs", "12", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_many_roots(tmp_path: Path) -> None:
    """Under roots and options drawn at random, nothing is missed and nothing untrue."""
    _churn_roots("--directory", tmp_path)


def test_rights_that_are_taken_and_given() -> None:
    """A directory that root makes unreadable and readable is followed for a user."""
    if os.getuid():
        pytest.skip("only root may change the rights of what is another's")
    _churn_roots("--chmod", "--directory", "/dev/shm")


OF_ANOTHER_SUITE = """
import churn
with churn.short_queue(16):
    pass
"""
OF_THIS_TEST = """
import churn
with churn.short_queue(None):
    print("long")
try:
    with churn.short_queue(16):
        print("short")
except RuntimeError as error:
    print(error)
"""


def test_long_queues_of_programs(
    run_python: RunPython, until: Callable[[Callable[[], Any]], None]
) -> None:
    """A program that a test starts does not wait for who waits for this test."""
    if not os.access(MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue")
    apart = {**os.environ, "PYTHONPATH": str(CHURN.parent)}
    del apart[churn.HELD_ABOVE]
    another = [sys.executable, "-c", OF_ANOTHER_SUITE]
    with subprocess.Popen(another, env=apart) as waiting:
        try:
            until(lambda: _waits_for_a_lock(waiting.pid))
            printed = run_python(OF_THIS_TEST)
            assert waiting.poll() is None
        finally:
            waiting.kill()
    refusal = f"process {os.getpid()} keeps the queues long meanwhile"
    assert printed.splitlines() == ["long", refusal]


def _waits_for_a_lock(pid: int) -> bool:
    """Whether /proc/locks has a request of a process that is not granted."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)
