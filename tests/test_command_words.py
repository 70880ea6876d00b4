"""The words of the command: expressions, layouts, tables, filters."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inotify_cffi import flags, masks
from inotify_cffi._filters import Glob
from inotify_cffi._posix_patterns import Pattern
from inotify_cffi.cli import lines, stats
from inotify_cffi.cli.filters import Filter
from inotify_cffi.cli.json_lines import json_lines
from inotify_cffi.cli.messages import UsageError
from inotify_cffi.cli.options import parse
from inotify_cffi.cli.records import EventWords, Record, event_names, path_of
from inotify_cffi.cli.selecting import make_filter
from inotify_cffi.cli.values import parse_events

NAMES = st.binary(max_size=20).map(lambda name: os.fsdecode(name.replace(b"\0", b"")))


def record(name: str = "f", mask: int = flags.CREATE, cookie: int = 0) -> Record:
    return Record("d/", name, int(mask), cookie=cookie)


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
@example("^(a)\\1$", ["aa", "aaa", "a"], False)
def test_expressions_are_those_of_the_c_library(
    expression: str, subjects: list[str], ignore_case: bool
) -> None:
    """An expression matches what regexec(3) matches, and is refused with regcomp(3)."""
    compiled = ctypes.create_string_buffer(1024)
    how = _EXTENDED | _NOSUB | (_ICASE if ignore_case else 0)
    refused = _C.regcomp(compiled, expression.encode(), how)
    try:
        pattern = Pattern(expression, ignore_case=ignore_case)
    except ValueError:
        assert refused, expression
        return
    assert not refused, expression
    expected = [_C.regexec(compiled, text.encode(), 0, None, 0) for text in subjects]
    _C.regfree(compiled)
    assert [pattern.matches(text) for text in subjects] == [
        result == 0 for result in expected
    ]


@given(EXPRESSIONS, st.text("abA1_/. ", max_size=6), st.text("abA1_/. ", max_size=6))
@example("\\B", "a", "b")
@example("b\\'", "b", "b")
@example("/\\>|$", "a", "a")
def test_what_matches_all_below(expression: str, start: str, more: str) -> None:
    """An expression for all below a directory matches each path in it, and itself."""
    try:
        pattern = Pattern(expression)
    except ValueError:
        return
    directory = f"{start}/"
    if pattern.matches_all_below(directory):
        assert pattern.matches(directory)
        assert pattern.matches(directory + more)


@pytest.mark.parametrize(
    ("expression", "directory", "all_below"),
    [
        (r"(\.git/|\.git$)", "d/.git/", True),
        (r"(^|/)(\.git|build|node_modules)(/|$)", "d/build/", True),
        (r"\.git\b", "d/.git/", True),
        ("/skip", "d/skip/", True),
        ("sub$", "d/sub/", False),
        ("/$", "d/sub/", False),
        (r"/\'", "d/sub/", False),
        (r"/\B", "d/sub/", False),
    ],
)
def test_what_is_known_of_all_below(
    expression: str, directory: str, all_below: bool
) -> None:
    """A match that does not look at the end is one of all that goes on from there."""
    assert Pattern(expression).matches_all_below(directory) is all_below


@pytest.mark.parametrize(
    "expression",
    ["a\\", "(a", "a|*", "a{2,1}", "[a", "[[:no:]]", "[b-a]", "(" * 2000 + ")" * 2000],
)
def test_what_is_no_expression(expression: str) -> None:
    """An invalid or too large expression is refused with the reason."""
    with pytest.raises(ValueError, match=r".+"):
        Pattern(expression)
    with pytest.raises(ValueError, match="null"):
        Pattern(f"{expression}\0")


@pytest.mark.parametrize("letter", ["\u00e9", os.fsdecode(b"\xe9")])
def test_an_expression_matches_bytes(letter: str) -> None:
    """As in the C locale, a byte is a character, be it part of one or none."""
    count = len(os.fsencode(letter))
    assert Pattern(f"^x{'.' * count}$").matches(f"x{letter}")
    assert not Pattern(f"^x{'.' * (count + 1)}$").matches(f"x{letter}")


# Each of them takes exponential time in `re`, or is known for taking long somewhere.
WORST = [
    *(r"(.*/)*\.swp$", r".*(/.*)*\.tmp$", r"^(([a-z/])+.)+[A-Z]([a-z])+$", "(a*)*b"),
    *("(x+x+)+y", "(.*)(.*)(.*)(.*)(.*)[0-9]$", "([^/]*/)*[^/]*~$", "(l|le|lev)*z"),
    *("^(l+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){20}", "^(([^/])+/)+x", "((.*)/)*~$"),
    *("([a-z]+)*$Z", "(.+)+\\.bak", "(/[a-z]*)*/\\.git$", "((a*)*)*z", "(.|/)*#$"),
    *(
        "([^.]*[.]?)*x{3}$",
        "(.{0,5}/?)*~",
        "^.*.*.*.*.*.*=$",
        "(.*l.*e){8}~",
        "[^x]*x$",
    ),
    *("(l(e(v(e(l)*)*)*)*)*z", "(level|level/)*~", "(/level)*(/level)*(/level)*~$"),
    *("((/)|(/l))*~", "(.*)+(.*)+~", "(/.*/)+\\.sw[op]$"),
]


@pytest.mark.parametrize("expression", WORST)
def test_the_worst_expressions_end(expression: str) -> None:
    """No expression takes exponential time: a path of 200 levels is done at once."""
    text = "d" + "/level" * 200 + "/file"
    Pattern(expression).matches(text)
    Pattern(expression).matches_all_below(f"{text}/")


@pytest.mark.parametrize("include", [False, True])
def test_filter_prunes_only_what_is_wholly_out(include: bool) -> None:
    """A directory is pruned when an expression leaves out it and all below it."""
    if include:
        passes = Filter(includes=[Pattern("keep")])
        assert not passes.prunes("d/keep")
        assert not passes.prunes("d/other")
        return
    passes = Filter(excludes=map(Pattern, ("skip", "end$", "below/")))
    pruned = [passes.prunes(f"d/{name}") for name in ("skip", "end", "below", "x")]
    assert pruned == [True, False, False, False]


def test_filter_without() -> None:
    """@PATH leaves out a path with all below it, and not what begins like it."""
    without = Filter(without=["d/out/"])
    assert [without(path) for path in ("d/out", "d/out/x", "d/outer")] == [
        False,
        False,
        True,
    ]
    assert without.prunes("d/out")


def test_expressions_together() -> None:
    """All that exclude exclude; of those that include one is enough."""
    passes = Filter(
        excludes=[Pattern("a"), Pattern("b")],
        includes=[Pattern("x"), Pattern("Y", ignore_case=True)],
    )
    names = ["x", "y", "xa", "yb", "z"]
    assert [name for name in names if passes(name)] == ["x", "y"]


# ---- globs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glob", "matched", "not_matched"),
    [
        ("*.py", ["a.py", "x/a.py", "x/y/\u00e9.py"], ["a.pyc", "a.py/x"]),
        ("?.py", ["\u00e9.py", "x/a.py"], ["ab.py"]),
        ("src/*.py", ["src/a.py"], ["a.py", "src/x/a.py", "x/src/a.py"]),
        ("/a.py", ["a.py"], ["b.py", "x/a.py"]),
        ("**/a.py", ["a.py", "x/a.py", "x/y/a.py"], ["b.py"]),
        ("src/**", ["src/a", "src/x/y"], ["x/src"]),
        ("src/**/x", ["src/x", "src/a/x", "src/a/b/x"], ["x", "src/a"]),
        ("a**b", ["ab", "axb"], ["a/b"]),
        ("[!a]", ["b", "x/b"], ["a"]),
        ("**/" * 20 + "x", ["x", "a/" * 60 + "x"], ["a/" * 60 + "y"]),
    ],
)
def test_globs(glob: str, matched: list[str], not_matched: list[str]) -> None:
    """A glob without a slash is for names, another for the path below what is
    watched, in which ** stands for any number of directories."""
    compiled = Glob(glob)
    assert [path for path in matched if not compiled.matches(path)] == []
    assert [path for path in not_matched if compiled.matches(path)] == []


def test_glob_of_directories() -> None:
    """A slash at the end of a glob is for directories alone."""
    assert Glob("build/").matches("x/build", is_directory=True)
    assert not Glob("build/").matches("x/build", is_directory=False)


def test_globs_below_what_is_watched() -> None:
    """What is above a watched path has no part in a glob; the path itself has its
    last name."""
    options = parse(
        ["--glob", "!build", "--glob", "x/*.py", "--glob", "f.py", "build/d", "f.py"]
    )
    passes = make_filter(options)
    assert passes("build/d/x/a.py")
    assert passes("f.py")
    assert not passes("build/d/a.py")
    assert passes.prunes("build/d/build")
    assert not passes.prunes("build/d/x")


def test_depth() -> None:
    """Levels are counted from what is watched, or from the nearest such above."""
    passes = make_filter(parse(["-r", "--max-depth", "2", "a/b/", "a/b/c/d"]))
    paths = ["a/b/x", "a/b/x/y", "a/b/x/y/z", "a/b/c/d/e/f", "a/b/c/d/e/f/g"]
    assert [passes.prunes(path) for path in paths] == [False, False, True, False, True]


# ---- layouts -------------------------------------------------------------------------


def test_layout() -> None:
    """Each conversion is what inotifywait(1) says; any other is itself."""
    directory = Record("d/", "f", flags.CREATE | flags.ISDIR, cookie=10)
    layout = "%w%f %e %:e %T %c %x %%"
    printed = lines.printf(layout, "now")(directory)
    assert printed == "d/f CREATE,ISDIR CREATE:ISDIR now a %x %"
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
    printed = json.loads(line)["path"]
    assert os.fsencode(printed) == os.fsencode(path_of(record(name)))


@given(st.text())
def test_printable(text: str) -> None:
    """A terminal gets one line without a control character."""
    assert lines.printable(text).isprintable()


@pytest.mark.parametrize(
    ("watched", "name", "path"),
    [("d/", "", "d"), ("/", "", "/"), ("/", "x", "/x"), ("f", "", "f"), ("", "", "")],
)
def test_path_of(watched: str, name: str, path: str) -> None:
    """The path of a record has no slash at its end but the root."""
    assert path_of(Record(watched, name, 1)) == path


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
    for mask in (0xFFFFFFFF, 0x40000100, 0x4000):
        names = [flag.name for flag in flags.from_mask(mask)]
        of_events = event_names(mask)
        assert of_events == [name for name in names if name in of_events]
        assert not {"UNMOUNT", "Q_OVERFLOW", "IGNORED", "ISDIR"} & (
            {*names} - {*of_events}
        )
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
