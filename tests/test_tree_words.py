"""TreeWatcher's events, errors and warnings say what they mean."""

from __future__ import annotations

import logging
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import inotify_cffi
from inotify_cffi import (
    LocalChangesOnlyWarning,
    TreeEvent,
    TreeWatcher,
    UnreadableDirectoryWarning,
    flags,
)
from inotify_cffi.tree import _logging

if TYPE_CHECKING:
    from conftest import RunPython

# ---- events ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (TreeEvent("a/x", flags.CREATE | flags.ISDIR), "'a/x', CREATE|ISDIR"),
        (TreeEvent("b", flags.MOVED_TO, "a"), "'b', MOVED_TO, old_path='a'"),
        (TreeEvent("b", 256, None, synthetic=True), "'b', CREATE, synthetic=True"),
        (TreeEvent("b", 1 << 16), "'b', 0x10000"),
    ],
)
def test_repr(event: TreeEvent, text: str) -> None:
    """The repr of an event has the names of its flags, and what is not usual."""
    assert repr(event) == f"TreeEvent({text})"


def test_is_a_named_tuple() -> None:
    """An event is a tuple of four fields, which say what they hold."""
    event = TreeEvent("b", flags.MOVED_TO, "a", synthetic=False)
    assert tuple(event) == ("b", 128, "a", False)
    assert event._replace(path="c") == TreeEvent("c", flags.MOVED_TO, "a")
    assert TreeEvent._fields == ("path", "mask", "old_path", "synthetic")
    for field in TreeEvent._fields:
        assert len(getattr(TreeEvent, field).__doc__) > 20
        assert "Alias" not in getattr(TreeEvent, field).__doc__


# What is true of an event, besides is_directory.
TRUE: dict[TreeEvent, set[str]] = {
    TreeEvent("a", flags.CREATE): {"created"},
    TreeEvent("a", flags.DELETE): {"deleted"},
    TreeEvent("a", flags.MODIFY): {"modified"},
    TreeEvent("a", flags.CLOSE_WRITE): {"written"},
    TreeEvent("a", flags.ATTRIB): {"attributes_changed"},
    TreeEvent("a", flags.MOVED_TO, "b"): {"moved"},
    TreeEvent("a", flags.MOVED_TO): {"moved_in"},
    TreeEvent("a", flags.MOVED_FROM): {"moved_out"},
    TreeEvent("a", flags.Q_OVERFLOW): {"overflowed"},
    TreeEvent("a", flags.DELETE_SELF): set(),
    TreeEvent("a", flags.OPEN): set(),
}
NO_QUESTIONS = {*TreeEvent._fields, "flags", "is_directory"}
QUESTIONS = {
    name
    for name, member in vars(TreeEvent).items()
    if isinstance(member, property) and name not in NO_QUESTIONS
}


@pytest.mark.parametrize("event", TRUE)
@pytest.mark.parametrize("kind", [0, flags.ISDIR])
def test_questions(event: TreeEvent, kind: int) -> None:
    """An event answers what happened, and whether to a directory."""
    event = event._replace(mask=event.mask | kind)
    answers = {name: getattr(event, name) for name in QUESTIONS}
    assert set(answers.values()) <= {True, False}
    expected = TRUE[event._replace(mask=event.mask & ~kind)]
    assert {name for name in answers if answers[name]} == expected
    assert event.is_directory == bool(kind)
    assert (flags.ISDIR in event.flags) == bool(kind)
    assert sum(event.flags) == event.mask


def test_every_question_is_asked() -> None:
    """There is an event of which each question is true."""
    assert set().union(*TRUE.values()) == QUESTIONS


def test_hints() -> None:
    """The fields have types that can be read at run time."""
    assert typing.get_type_hints(TreeEvent)["mask"] is int


# ---- the watcher -------------------------------------------------------------------


def test_repr_of_a_watcher(top: Path) -> None:
    """The repr of a watcher has its roots, and says when it is closed."""
    watcher = TreeWatcher(top)
    assert repr(watcher) == f"<TreeWatcher {str(top)!r}>"
    watcher.close()
    assert repr(watcher) == "<TreeWatcher closed>"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mask": 0}, ValueError, "mask is empty"),
        ({"mask": "CREATE"}, TypeError, "mask must be an int, .*not 'CREATE'"),
        ({"mask": 1.0}, TypeError, "mask must be an int, .*not 1.0"),
        ({"mask": flags.ONLYDIR}, ValueError, "mask has bits .*: ONLYDIR"),
        ({"mask": 1 << 40}, ValueError, "mask has bits .*: 0x10000000000"),
        ({"mask": -1}, ValueError, "mask must not be negative: -1"),
    ],
)
def test_masks(
    top: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """A mask that no event has is refused, with its value."""
    with pytest.raises(error, match=words):
        TreeWatcher(top, **options)


@pytest.mark.parametrize("mask", [flags.CREATE, 256])
def test_mask_among_the_paths(top: Path, mask: Any) -> None:
    """A mask that is given as a path is refused; the error names ``mask=``."""
    with pytest.raises(TypeError, match=re.escape(f"{mask!r}; a mask is given as mas")):
        TreeWatcher(top, mask)


@pytest.mark.parametrize("given", ["", "/", "//"])
@pytest.mark.parametrize("removed", ["", "/", "//"])
def test_slashes_of_a_root(top: Path, given: str, removed: str) -> None:
    """A top is removed by its path, with slashes at its end or without."""
    with TreeWatcher(f"{top}{given}") as watcher:
        watcher.remove(f"{top}{removed}")
        assert repr(watcher) == "<TreeWatcher>"
        with pytest.raises(ValueError, match="is not a root"):
            watcher.remove(top)


def test_closed(top: Path) -> None:
    """A closed watcher is refused by with, add and remove."""
    watcher = TreeWatcher(top)
    watcher.close()
    with pytest.raises(ValueError, match="closed"):
        watcher.remove(top)
    with pytest.raises(ValueError, match="closed"):
        watcher.__enter__()
    with pytest.raises(ValueError, match="closed"):
        watcher.add(top)


# ---- warnings ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [UnreadableDirectoryWarning, LocalChangesOnlyWarning])
def test_log(kind: type[Warning], caplog: pytest.LogCaptureFixture) -> None:
    """A warning is a record of the logger inotify_cffi."""
    _logging.log(kind("/srv: why"))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("inotify_cffi", logging.WARNING)
    assert record.getMessage() == "/srv: why"


# An ordinary user, and a directory that it may not read.
UNREADABLE = """
    import os, sys, warnings
    sys.path.insert(0, sys.argv[2])
    if sys.argv[3]:
        import logging
    from inotify_cffi import TreeWatcher
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    if sys.argv[3]:
        logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TreeWatcher(sys.argv[1]).close()
    print(*[each.category.__name__ for each in caught])
    """


@pytest.mark.parametrize("logged", ["", "logged"])
def test_unreadable(run_python: RunPython, top: Path, logged: str) -> None:
    """An unreadable directory is warned of once, and logged where a log is set up."""
    (top / "secret").mkdir(mode=0)
    for directory in (top, *list(top.parents)[:-2]):
        directory.chmod(directory.stat().st_mode | 0o555)
    source = str(Path(inotify_cffi.__file__).parents[1])
    printed = run_python(UNREADABLE, top, source, logged)
    (top / "secret").chmod(0o700)
    expected = "inotify_cffi WARNING\n" if logged else ""
    assert printed == f"{expected}UnreadableDirectoryWarning\n"
