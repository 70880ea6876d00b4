"""A tree whose queue is so short that the watcher's own scan could fill it."""

from __future__ import annotations

import os
from pathlib import Path

import churn
import pytest

from inotify_cffi import TreeWatcher, flags, masks

LISTING = int(flags.OPEN | flags.ACCESS | flags.CLOSE_NOWRITE)


@pytest.fixture(autouse=True)
def may_make_short_queues() -> None:
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root can make a short queue")


def _watcher(root: Path, length: int) -> TreeWatcher:
    """Return a watcher for all events, whose queue holds so many."""
    with churn.short_queue(length):
        return TreeWatcher(root, mask=masks.ALL_EVENTS)


@pytest.mark.parametrize("length", [1, 2, 8, 16, 17, 64])
def test_scan_ends(tmp_path: Path, length: int) -> None:
    """The scan ends, reports nothing of itself, and all events are watched for."""
    deepest = tmp_path / "a" / "b" / "c"
    deepest.mkdir(parents=True)
    with _watcher(tmp_path, length) as watcher:
        assert watcher.read(timeout=0) == []
        descriptor = os.open(deepest, os.O_RDONLY)
        events = watcher.read()
        os.close(descriptor)
        events += watcher.read()
    if length >= 2:  # each of these is in two watches, and reported once
        masks_of_it = [e.mask & LISTING for e in events if e.path == str(deepest)]
        assert masks_of_it == [flags.OPEN, flags.CLOSE_NOWRITE]


@pytest.mark.parametrize("length", [8, 16, 17, 64])
def test_new_directories(tmp_path: Path, length: int) -> None:
    """New directories are scanned without an overflow, and are watched for all."""
    with _watcher(tmp_path, length) as watcher:
        for name in ("x", "y", "z"):
            (tmp_path / name).mkdir()
            made = watcher.read()
            assert [(e.path, e.mask) for e in made] == [
                (str(tmp_path / name), flags.CREATE | flags.ISDIR)
            ]
            with os.scandir(tmp_path / name):
                pass
            seen = {event.mask & LISTING for event in watcher.read()}
            assert flags.OPEN in seen


@pytest.mark.parametrize("length", [8, 16, 17, 64])
def test_scan_after_an_overflow(tmp_path: Path, length: int) -> None:
    """After an overflow the scan ends as well, though all was watched for before."""
    for name in "abcdef":
        (tmp_path / name / "sub").mkdir(parents=True)
    with _watcher(tmp_path, length) as watcher:
        for number in range(length + 1):
            (tmp_path / f"file{number}").touch()
        events = watcher.read()
        there = {f"{tmp_path}/{name}/sub" for name in "abcdef"}
        there |= {f"{tmp_path}/file{number}" for number in range(length + 1)}
        while not there <= {event.path for event in events if event.synthetic}:
            events += watcher.read()
        assert [e.mask for e in events].count(flags.Q_OVERFLOW) == 1
        assert watcher.read(timeout=0) == []


def test_queue_of_no_events(tmp_path: Path) -> None:
    """A queue that holds nothing is an error, which names the limit."""
    with pytest.raises(OSError, match="max_queued_events is 0; increase it"):
        _watcher(tmp_path, 0)
