"""Plain events, and reads after which nothing is unfinished: the same is reported.

The long way is had by a patch of private code: nothing in the public face shows which
way an event or a read takes, and no option chooses it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Callable
from unittest import mock

import churn
from hypothesis import given, settings
from hypothesis import strategies as st

from inotify_cffi import TreeEvent, TreeWatcher, flags, masks
from inotify_cffi.tree._plain import PlainEvents
from inotify_cffi.tree._tracker import Tracker

# Few names, so that most operations concern the same ones.
FILES = ["a", "d/a", "e/a", "../outside"]
DIRECTORIES = ["d", "e", "b", "d/b", "e/b"]
NAMES = [*FILES, *DIRECTORIES[2:], "c", "d/c"]
MASKS = [
    flags.CREATE | flags.MODIFY | flags.ATTRIB | flags.DELETE | masks.MOVE,
    flags.CREATE | flags.MOVED_TO | flags.DELETE | flags.MOVED_FROM,
    flags.CLOSE_WRITE | flags.MOVED_TO,
    flags.MOVED_FROM,
    flags.DELETE | flags.ATTRIB,
]

Operation = Callable[[Path, Path], None]


def create(one: Path, _: Path) -> None:
    one.touch()


def chmod(one: Path, _: Path) -> None:
    one.chmod(0o700)


def unlink(one: Path, _: Path) -> None:
    one.unlink()


def mkdir(one: Path, _: Path) -> None:
    one.mkdir()


def rmtree(one: Path, _: Path) -> None:
    shutil.rmtree(one)


def rename(one: Path, other: Path) -> None:
    one.rename(other)


def link(one: Path, other: Path) -> None:
    os.link(one, other)


OPERATIONS: list[Operation] = [
    *(create, chmod, unlink, mkdir, rmtree, link),
    *[rename] * 4,
    churn.exchange,
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from([False, False, False, True]),  # whether to read afterwards
    ),
    min_size=10,  # the longer, the more operations meet what others have left
    max_size=40,
)


def _run(
    folder: Path, steps: Sequence[tuple[Operation, str, str, bool]], mask: flags
) -> tuple[list[TreeEvent], list[TreeEvent]]:
    """Return what two watchers report: by all ways, and by the long way alone."""
    root = folder / "root"
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    for name in FILES:
        (root / name).touch()
    both: tuple[list[TreeEvent], list[TreeEvent]] = [], []

    def read(watcher: TreeWatcher, slow: TreeWatcher) -> None:
        both[0].extend(watcher.read(timeout=0))
        no_event = mock.patch.object(PlainEvents, "follow", _nothing_is_plain)
        no_read = mock.patch.object(Tracker, "_is_idle", _is_never_idle)
        with no_event, no_read:
            both[1].extend(slow.read(timeout=0))

    with TreeWatcher(root, mask=mask) as watcher, TreeWatcher(root, mask=mask) as slow:
        for operation, one, other, reads in steps:
            try:
                operation(root / one, root / other)
            except OSError:
                continue  # not there, or there already
            if reads:
                read(watcher, slow)
        read(watcher, slow)
    return both


def _nothing_is_plain(self: PlainEvents, events: Sequence[object], first: int) -> int:
    return first


def _is_never_idle(self: Tracker) -> bool:
    return False


@settings(max_examples=200)
@given(steps=STEPS, mask=st.sampled_from(MASKS))
def test_same_as_the_long_way(
    steps: list[tuple[Operation, str, str, bool]], mask: flags
) -> None:
    """Files and directories that come, go and change places are reported the same."""
    with tempfile.TemporaryDirectory() as folder:
        short, long = _run(Path(folder), steps, mask)
    assert short == long


def test_renames_of_files(tmp_path: Path) -> None:
    """Renames of files are reported one by one, in the order of the queue."""
    (tmp_path / "d").mkdir()
    (tmp_path / "file").touch()
    names = ["file", "d/file", "file", "other", "d/other", "d/file"]
    with TreeWatcher(tmp_path) as watcher:
        for old, new in zip(names, names[1:]):
            (tmp_path / old).rename(tmp_path / new)
        events = watcher.read(timeout=0)
    assert events == [
        TreeEvent(f"{tmp_path}/{new}", flags.MOVED_TO, f"{tmp_path}/{old}", False)
        for old, new in zip(names, names[1:])
    ]


def test_a_listing_by_others_after_ours(tmp_path: Path) -> None:
    """After a deletion the root is listed, which is not reported; others' is."""
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    mask = flags.DELETE | flags.OPEN
    with TreeWatcher(tmp_path, mask=mask) as watcher:
        (tmp_path / "a").unlink()
        deleted = TreeEvent(f"{tmp_path}/a", flags.DELETE)
        assert watcher.read(timeout=0) == [deleted]
        assert watcher.read(timeout=0) == []
        os.listdir(tmp_path)
        events = watcher.read(timeout=0)
    assert events == [TreeEvent(str(tmp_path), flags.OPEN | flags.ISDIR)]
