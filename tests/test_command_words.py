"""The words of the command: expressions, layouts, tables, filters."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inotify_cffi import flags, masks
from inotify_cffi.cli import lines, stats
from inotify_cffi.cli.filters import Filter
from inotify_cffi.cli.json_lines import json_lines
from inotify_cffi.cli.options import UsageError, parse_events
from inotify_cffi.cli.posix_regex import translate
from inotify_cffi.cli.records import EventWords, Record, event_names, path_of

NAMES = st.binary(max_size=20).map(lambda name: os.fsdecode(name.replace(b"\0", b"")))


def record(name: str = "f", mask: int = flags.CREATE, cookie: int = 0) -> Record:
    return Record("d/", name, int(mask), cookie, None, False, True)


# ---- expressions ---------------------------------------------------------------------

_C = ctypes.CDLL(None)
_EXTENDED, _ICASE, _NOSUB = 1, 2, 8  # glibc's
PIECES = st.sampled_from(
    [
        *"abA.*+?()|/_1,- ",
        *("[ab]", "[^a/]", "[[:alpha:]]", "[[:digit:]_]", "[]a]", "[^]a]", "[a-b1-]"),
        *("[[.a.]]", "[[=a=]b]", "[[:upper:]]", "[\\]", "[[:punct:]]", "[[:space:]x]"),
        *("{2}", "{1,}", "{,2}", "{1,2}", "{", "}", "[", "]", "[[:no:]]", "[b-a]"),
        *("\\.", "\\<", "\\>", "\\b", "\\B", "\\w", "\\W", "\\s", "\\S", "\\\\", "\\("),
        *("(a|b)", "(a)\\1", "(", ")", "\\2"),
    ]
)
EXPRESSIONS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "^"]),
    st.lists(PIECES, max_size=6).map("".join),
    st.sampled_from(["", "$"]),
)
SUBJECTS = st.lists(st.text("abAB1_/. -(){}[]\\,", max_size=8), min_size=3, max_size=8)


# Of libraries that read what POSIX leaves open otherwise, as musl does.
@pytest.mark.skipif(
    not hasattr(_C, "gnu_get_libc_version"), reason="the C library is not glibc"
)
@given(EXPRESSIONS, SUBJECTS, st.booleans())
@example("a**", ["", "aa"], False)
@example("a*?b", ["aab"], False)
@example("[[:upper:]]", ["a", "A", "1"], True)
@example("a|*", ["a"], False)
@example("x{1,2}{2}", ["x", "xx", "xxxx"], False)
@example("^(a)\\1$", ["aa", "aaa", "a"], False)
@example("\\w[[=a=]b-c]", ["_a", "_c", ".a", "_d"], False)
def test_expressions_are_those_of_the_c_library(
    expression: str, subjects: list[str], ignore_case: bool
) -> None:
    """An expression matches what regexec(3) matches, and is refused with regcomp(3)."""
    compiled = ctypes.create_string_buffer(1024)
    how = _EXTENDED | _NOSUB | (_ICASE if ignore_case else 0)
    refused = _C.regcomp(compiled, expression.encode(), how)
    try:
        pattern = translate(expression, ignore_case).pattern
    except ValueError:
        assert refused, expression
        return
    assert not refused, (expression, pattern.pattern)
    expected = [_C.regexec(compiled, text.encode(), 0, None, 0) for text in subjects]
    _C.regfree(compiled)
    assert [pattern.search(text) is None for text in subjects] == [
        result != 0 for result in expected
    ]


@given(EXPRESSIONS, st.text("abA1_/. ", max_size=6), st.text("abA1_/. ", max_size=6))
def test_heedless(expression: str, start: str, more: str) -> None:
    """What a heedless expression matches it still matches with more behind it."""
    try:
        pattern, heedless = translate(expression, False)
    except ValueError:
        return
    if heedless and pattern.search(start):
        assert pattern.search(start + more)


@pytest.mark.parametrize("expression", [r"a$", r"a\>", r"a\b", r"a\B", r"a\'"])
def test_heeding(expression: str) -> None:
    """An expression that looks at what follows is not heedless."""
    assert not translate(expression, False).heedless


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("a\\", "trailing backslash"),
        ("(a", "unmatched ("),
        ("a|*", "nothing to repeat"),
        ("a{2,1}", "invalid interval {2,1}"),
        ("a{", "a { that begins no interval"),
        ("\\1", "there is no group \\1"),
        ("[a", "unmatched ["),
        ("[a-", "unmatched ["),
        ("[[.a", "unmatched ["),
        ("[[.ab.]]", "there is no [.ab.]"),
        ("[[:no:]]", "there is no class [:no:]"),
        ("[a-[:digit:]]", "a class at the end of a range"),
        ("[b-a]", "invalid range b-a"),
        ("(" * 10_000 + ")" * 10_000, "recursion"),
    ],
)
def test_what_is_no_expression(expression: str, reason: str) -> None:
    """What is no expression, or is too much of one, is refused with the reason."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        translate(expression, ignore_case=False)


def test_filter_prunes_only_what_is_wholly_out() -> None:
    """A directory is pruned when the expression leaves out all that can be below."""
    assert Filter(re.compile("skip"), False, True).prunes("d/skip")
    assert not Filter(re.compile("skip$"), False, False).prunes("d/skip")
    assert not Filter(re.compile("skip"), True, True).prunes("d/keep")
    without = Filter(None, False, False)
    without.leave_out(["d/out/"])
    assert [without(path) for path in ("d/out", "d/out/x", "d/outer")] == [
        False,
        False,
        True,
    ]


# ---- layouts -------------------------------------------------------------------------


def test_layout() -> None:
    """Each conversion is what inotifywait(1) says; any other is itself."""
    directory = Record("d/", "f", flags.CREATE | flags.ISDIR, 10, None, False, True)
    layout = "%w%f %e %:e %T %c %x %%"
    told = lines.printf(layout, "now")(directory)
    assert told == "d/f CREATE,ISDIR CREATE:ISDIR now a %x %"
    assert lines.printf("%w", None)(directory) == "d/"


@given(st.text(string.printable))
def test_what_is_no_conversion_is_itself(text: str) -> None:
    """With its % doubled any text is a layout of itself."""
    assert lines.printf(text.replace("%", "%%"), None)(record()) == text


@given(NAMES, st.integers(0, 2**32 - 1))
def test_conversions(name: str, cookie: int) -> None:
    """Each conversion gives its part, whatever the name is."""
    made = lines.printf("%w%0%f%0%c%0%e%0%+e%n", None)
    one = record(name, flags.CREATE | flags.ISDIR, cookie)
    expected = f"d/\0{name}\0{cookie:x}\0CREATE,ISDIR\0CREATE+ISDIR\n"
    assert made(one) == expected
    assert os.fsencode(made(one)).split(b"\0")[1] == os.fsencode(name)


@given(st.text(string.ascii_letters + ' ,"\n', min_size=1))
def test_csv_can_be_read(name: str) -> None:
    """A reader of CSV gets the three fields back, whatever the name is."""
    line = lines.csv()(record(name, flags.CREATE | flags.ISDIR))
    (row,) = csv.reader(line.splitlines(keepends=True))
    assert row == ["d/", "CREATE,ISDIR", name]


@given(NAMES)
def test_json_gives_names_back(name: str) -> None:
    """A name comes back whole through json.loads and os.fsencode; a line is ASCII."""
    line = json_lines()(record(name))
    assert line.isascii()
    assert line.count("\n") == 1
    told = json.loads(line)["path"]
    assert os.fsencode(told) == os.fsencode(path_of(record(name)))


@given(st.text())
def test_printable(text: str) -> None:
    """What a terminal is shown is one line without a control character."""
    assert lines.printable(text).isprintable()


@pytest.mark.parametrize(
    ("watched", "name", "path"),
    [("d/", "", "d"), ("/", "", "/"), ("/", "x", "/x"), ("f", "", "f"), ("", "", "")],
)
def test_path_of(watched: str, name: str, path: str) -> None:
    """The path of a record has no slash at its end but the root."""
    assert path_of(Record(watched, name, 1, 0, None, False, True)) == path


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (flags.CLOSE_WRITE, "CLOSE_WRITE,CLOSE"),
        (flags.CLOSE_NOWRITE | flags.ISDIR, "CLOSE_NOWRITE,CLOSE,ISDIR"),
    ],
)
def test_words_of_a_close(mask: int, words: str) -> None:
    """inotifywait names what both closes have in common, too."""
    assert EventWords()[mask] == words


def test_an_empty_event_asks_for_nothing() -> None:
    """An empty name in a list of events makes it one that asks for nothing."""
    assert parse_events("create,,move") == 0


def test_every_event_has_its_name() -> None:
    """Whatever add_watch can be asked for is an event of -e, in any case."""
    for flag in flags.from_mask(masks.ALL_EVENTS):
        assert parse_events(flag.name.title()) == flag
        assert event_names(flag) == [flag.name]
    for wrong in ("creat", "ONLYDIR", "create;delete", "clo\u017fe"):
        with pytest.raises(UsageError):
            parse_events(wrong)


def test_table_is_aligned() -> None:
    """A number that is longer than its title moves the next column."""
    rows = [["total", "open", "filename"], ["1234567890", "1", "d/"]]
    assert stats.plain(rows) == [
        "total       open  filename",
        "1234567890  1     d/",
    ]
