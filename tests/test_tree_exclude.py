"""`exclude`: what it may be, and what it is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from inotify_cffi.tree._exclude import ExcludePath, question


def asked(exclude: Any, path: str, relative: str, is_directory: bool) -> bool:
    ask = question(exclude)
    assert ask is not None
    return ask(path, relative, is_directory)


def test_nothing_is_asked_without_exclude() -> None:
    """None excludes nothing."""
    assert question(None) is None


def test_a_pattern_of_re_is_taken_as_it_is() -> None:
    """``re.compile(...).search`` gets the path as the events have it."""
    search = re.compile(r"/\.git$|\.pyc$").search
    assert asked(search, "/r/.git", ".git", True)
    assert not asked(search, "/r/git", "git", True)


def test_a_function_can_know_whether_it_is_a_directory() -> None:
    """The path is a str that says whether a directory is there."""
    seen = []

    def exclude(path: ExcludePath) -> bool:
        seen.append((path, path.is_directory))
        return path.is_directory

    assert asked(exclude, "/r/a", "a", True)
    assert not asked(exclude, "/r/b", "b", False)
    assert seen == [("/r/a", True), ("/r/b", False)]
    assert isinstance(seen[0][0], str)


@pytest.mark.parametrize("whole", [True, False], ids=["spec", "match_file"])
def test_a_gitignore_matcher_is_taken_as_it_is(whole: bool) -> None:
    """pathspec gets the path below the root, a directory's with a slash behind."""
    pathspec = pytest.importorskip("pathspec")
    spec = pathspec.GitIgnoreSpec.from_lines(["/build/", "*.pyc", "r/"])
    exclude = spec if whole else spec.match_file
    assert asked(exclude, "/r/build", "build", True)
    assert not asked(exclude, "/r/build", "build", False)
    assert not asked(exclude, "/r/a/build", "a/build", True)
    assert asked(exclude, "/r/a/x.pyc", "a/x.pyc", False)
    assert not asked(exclude, "/r/a", "a", True)


@pytest.mark.parametrize("exclude", ["*.pyc", ["*.pyc"], 5, re.compile("x")])
def test_what_cannot_be_called_is_refused_at_once(exclude: Any) -> None:
    """A glob is a TypeError that says which function takes globs."""
    with pytest.raises(TypeError, match=r"watch\(..., ignore="):
        question(exclude)
