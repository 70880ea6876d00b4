"""watch() and awatch(): batches of net changes, when they end, and what is left out."""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import shutil
import signal
import threading
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import churn
import pytest
import replica

from inotify_cffi import Batches, Change, TreeEvent, awatch, flags, watch
from inotify_cffi.changes import DEFAULT_IGNORE

if TYPE_CHECKING:
    from conftest import InThread, RunPython


Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def in_words(changes: Iterable[Change], root: Path) -> list[str]:
    """Changes as ``moved /new from /old``, below a root; a directory has a slash."""
    found = []
    for kind, path, old_path, is_directory in changes:
        words = f"{kind} {path[len(str(root)) :]}{'/' * is_directory}"
        if old_path is not None:
            words += f" from {old_path[len(str(root)) :]}"
        found.append(words)
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a little in it."""
    root = tmp_path / "root"
    (root / "d" / "e").mkdir(parents=True)
    for name in ("a", "b", "d/f", "d/e/g"):
        (root / name).write_text(name)
    return root


Operation = Callable[[Path], object]


def _touch_and(*operations: Operation) -> Operation:
    def run(root: Path) -> None:
        (root / "new").touch()
        for operation in operations:
            operation(root)

    return run


def _rename(old: str, new: str) -> Operation:
    return lambda root: os.rename(root / old, root / new)


def _write(name: str) -> Operation:
    return lambda root: (root / name).write_text("changed")


def _unlink(name: str) -> Operation:
    return lambda root: (root / name).unlink()


def _rmtree(name: str) -> Operation:
    return lambda root: shutil.rmtree(root / name)


def _mkdir(name: str) -> Operation:
    return lambda root: (root / name).mkdir(parents=True)


def _all(*operations: Operation) -> Operation:
    def run(root: Path) -> None:
        for operation in operations:
            operation(root)

    return run


CASES: dict[str, tuple[Operation, list[str]]] = {
    "created": (_write("n"), ["added /n"]),
    "created and deleted": (_touch_and(_unlink("new")), []),
    "created and renamed": (
        _touch_and(_rename("new", "n1"), _rename("n1", "n2")),
        ["added /n2"],
    ),
    "a chain of renames": (
        _all(_rename("a", "x"), _rename("x", "d/y"), _rename("d/y", "z")),
        ["moved /z from /a"],
    ),
    "there and back": (_all(_rename("a", "x"), _rename("x", "a")), []),
    "modified": (_all(_write("a"), _write("a")), ["modified /a"]),
    "modified and deleted": (_all(_write("a"), _unlink("a")), ["deleted /a"]),
    "attributes": (lambda root: os.utime(root / "a"), ["modified /a"]),
    "moved and modified": (
        _all(_rename("a", "x"), _write("x")),
        ["moved /x from /a", "modified /x"],
    ),
    "an atomic save": (_touch_and(_rename("new", "a")), ["modified /a"]),
    "deleted and created again": (_all(_unlink("a"), _write("a")), ["modified /a"]),
    "moved over another": (_rename("a", "b"), ["moved /b from /a"]),
    "rotated": (
        _all(_rename("b", "c"), _rename("a", "b"), _write("a")),
        ["moved /c from /b", "moved /b from /a", "added /a"],
    ),
    "a new file at the old name": (
        _all(_rename("d/f", "d/x"), _write("d/f")),
        ["moved /d/x from /d/f", "added /d/f"],
    ),
    "a new file at the old name, and another one deleted": (
        _all(_rename("a", "x"), _write("a"), _unlink("b")),
        ["moved /x from /a", "added /a", "deleted /b"],
    ),
    "renamed and deleted": (
        _all(_rename("a", "x"), _rename("b", "y"), _unlink("y")),
        ["moved /x from /a", "deleted /b"],
    ),
    "directories made": (_mkdir("n/m"), ["added /n/", "added /n/m/"]),
    "a directory renamed": (_rename("d", "x"), ["moved /x/ from /d"]),
    "a directory renamed there and back": (
        _all(_rename("d", "x"), _rename("x", "d")),
        [],
    ),
    "a directory deleted": (_rmtree("d"), ["deleted /d/"]),
    "moved out of what is deleted": (
        _all(_rename("d/f", "x"), _rmtree("d")),
        ["moved /x from /d/f", "deleted /d/"],
    ),
    "changed in what is renamed": (
        _all(_rename("d", "x"), _write("x/f"), _unlink("x/e/g"), _write("x/n")),
        ["deleted /d/e/g", "moved /x/ from /d", "modified /x/f", "added /x/n"],
    ),
    "a directory for a file": (
        _all(_unlink("a"), _mkdir("a/x")),
        ["deleted /a", "added /a/", "added /a/x/"],
    ),
    "a file for a directory": (
        _all(_rmtree("d"), _write("d")),
        ["deleted /d/", "added /d"],
    ),
    "a directory deleted and made again": (
        _all(_rmtree("d"), _mkdir("d/e"), _write("d/e/g"), _write("d/n")),
        ["modified /d/e/g", "added /d/n", "deleted /d/f"],
    ),
    "the outer one moved into the inner": (
        _all(_rename("d/e", "x"), _rename("d", "x/d")),
        ["moved /x/ from /d/e", "moved /x/d/ from /d"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_net_changes(root: Path, name: str) -> None:
    """A batch says what is different, in an order in which it applies."""
    operation, expected = CASES[name]
    with watch(root, settle=0) as batches:
        operation(root)
        (root / "last").touch()
        changes = next(batches)
    assert sorted(in_words(changes, root)) == sorted([*expected, "added /last"])
    words = in_words(changes, root)
    words.remove("added /last")
    if len(expected) > 1 and "deleted" not in expected[-1]:
        assert words == expected


MANY = 100  # files, whose names are too long together for one string

# What is done to one of many files, and what is reported of it.
OF_MANY: dict[str, tuple[Callable[[Path, str], object], str]] = {
    "added": (lambda root, name: (root / f"{name}~").touch(), "added /{0}~"),
    "modified": (lambda root, name: (root / name).write_text("new"), "modified /{0}"),
    "deleted": (lambda root, name: (root / name).unlink(), "deleted /{0}"),
    "moved": (
        lambda root, name: (root / name).rename(root / f"{name}~"),
        "moved /{0}~ from /{0}",
    ),
    "moved to another directory": (
        lambda root, name: (root / name).rename(root / "d" / name),
        "moved /d/{0} from /{0}",
    ),
    "saved": (
        lambda root, name: _touch_and(_rename("new", name))(root),
        "modified /{0}",
    ),
}


@pytest.mark.parametrize("count", [1, 20, MANY])
@pytest.mark.parametrize("kind", OF_MANY)
def test_many_names_in_a_directory(root: Path, kind: str, count: int) -> None:
    """Changes of one, some or all of many files in a directory are reported."""
    operate, words = OF_MANY[kind]
    names = [f"{number}{'x' * 50}" for number in range(MANY)]
    for name in names:
        (root / name).touch()
    with watch(root, ignore=None, settle=0) as batches:
        for some in (names[:count], names[count:]):
            for name in some:
                operate(root, name)
            if some:
                expected = sorted(words.format(name) for name in some)
                assert sorted(in_words(_all_of(batches, len(some)), root)) == expected
            assert sorted(batches.mirror) == sorted(
                [str(root), *map(str, root.rglob("*"))]
            )


def _all_of(batches: Batches, count: int) -> list[Change]:
    """Return so many changes; the queue may be read while they are made."""
    changes: list[Change] = []
    while len(changes) < count:
        changes += next(batches)
    return changes


def test_exchanged(root: Path) -> None:
    """After an exchange of two files, one has moved, and the other is added."""
    with watch(root) as batches:
        churn.exchange(root / "a", root / "d" / "f")
        words = in_words(next(batches), root)
    assert words in (
        ["moved /a from /d/f", "added /d/f"],
        ["moved /d/f from /a", "added /a"],
    )


@pytest.mark.parametrize("others", [1, MANY])
@pytest.mark.parametrize(
    "names", [("a", "b"), ("new", "a"), ("a", "new"), ("a", "d"), ("d", "a")]
)
def test_exchanged_in_a_directory(
    root: Path, names: tuple[str, str], others: int
) -> None:
    """After an exchange, also with a new file or a directory, the changes apply."""
    for number in range(others):
        (root / f"{number}{'x' * 50}").touch()
    copy = replica.Replica(str(root))
    with watch(root) as batches:
        (root / "new").touch()
        (root / f"0{'x' * 50}").rename(root / "other")
        churn.exchange(*[root / name for name in names])
        copy.apply(next(batches))
    assert copy.tree == replica.read_tree(str(root))


def test_from_outside_and_to_it(root: Path, tmp_path: Path) -> None:
    """A rename into the tree is added, with its content; one out of it is deleted."""
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "deep" / "file").touch()
    with watch(root) as batches:
        os.rename(root / "d", tmp_path / "d")
        os.rename(tmp_path / "outside", root / "o")
        words = in_words(next(batches), root)
    assert words == ["deleted /d/", "added /o/", "added /o/deep/", "added /o/deep/file"]


def test_what_left_and_came_back(root: Path, tmp_path: Path) -> None:
    """A directory that left the tree and came back is the same, if its files are."""
    replica.wait_for_a_tick()  # the files are older than what is known of them
    with watch(root) as batches:
        os.rename(root / "d", tmp_path / "d")
        (tmp_path / "d" / "f").write_text("changed outside")
        os.rename(tmp_path / "d", root / "d")
        assert in_words(next(batches), root) == ["modified /d/f"]


def test_an_overflow_is_a_difference(root: Path) -> None:
    """After an overflow, the batch is the difference, and not everything."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue")
    with churn.short_queue(16):
        batches = watch(root, settle=0)
    with batches:
        (root / "before").touch()
        replica.wait_for_a_tick()
        next(batches)
        for number in range(100):
            (root / f"passing{number}").touch()
            (root / f"passing{number}").unlink()
        (root / "d" / "f").write_text("changed")
        (root / "a").unlink()
        (root / "n").touch()
        words = in_words(next(batches), root)
    assert sorted(words) == ["added /n", "deleted /a", "modified /d/f"]


def test_an_overflow_in_the_last_read(root: Path) -> None:
    """A batch does not end between an overflow and the scan that follows it."""
    replica.wait_for_a_tick()
    paths = [path for path in sorted(root.rglob("*")) if path.name != "a"]
    found = [
        (str(path), flags.CREATE | flags.ISDIR * path.is_dir(), None, True)
        for path in paths
    ]
    modified = [(str(root / "b"), flags.MODIFY, None, False)]  # not really
    overflow = [(str(root), flags.Q_OVERFLOW, None, False)]
    with watch(root, settle=0, at_most=0) as batches:
        reads: Any = iter([*[modified] * 20, overflow, found, []])
        # The queue is never empty, until an overflow is read with nothing behind it.
        vars(batches.watcher)["read"] = lambda timeout: [
            TreeEvent(*event) for event in next(reads)
        ]
        assert in_words(next(batches), root) == ["deleted /a"]


def test_directories_exchanged_during_an_overflow(root: Path) -> None:
    """A file is not taken for one of its name in a directory that took its place."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue")
    (root / "x").mkdir()
    (root / "x" / "f").write_text("another")
    with churn.short_queue(16):
        batches = watch(root, settle=0)
    with batches:
        for number in range(100):
            (root / f"passing{number}").touch()
            (root / f"passing{number}").unlink()
        churn.exchange(root / "d", root / "x")
        words = in_words(next(batches), root)
    assert {"modified /d/f", "modified /x/f"} <= set(words)


# ---- when a batch ends -----------------------------------------------------------


def test_quiet_ends_a_batch(root: Path) -> None:
    """All that happens within the quiet time of each other is one batch."""
    with watch(root, settle=300, at_most=60_000) as batches:
        timers = [
            threading.Timer(0.05 * number, (root / f"n{number}").touch)
            for number in range(5)
        ]
        for timer in timers:
            timer.start()
        words = in_words(next(batches), root)
        for timer in timers:
            timer.join()
    assert words[0] == "added /n0"
    assert len(words) > 1


def test_a_busy_tree_is_served(root: Path) -> None:
    """A batch ends when it has lasted long enough, though something goes on."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            (root / "busy").write_text("text")

    writer = threading.Thread(target=write)
    with watch(root, settle=60_000, at_most=50) as batches:
        writer.start()
        try:
            assert in_words(next(batches), root) == ["added /busy"]
            assert in_words(next(batches), root) == ["modified /busy"]
        finally:
            stop.set()
            writer.join()


def test_timeout_gives_an_empty_batch(root: Path) -> None:
    """When there was no change for the timeout, a batch is empty, and more follow."""
    with watch(root, timeout=1) as batches:
        assert next(batches) == []
        assert next(batches) == []
        (root / "n").touch()
        changes: list[Change] = []
        while not changes:
            changes = next(batches)
    assert in_words(changes, root) == ["added /n"]


def test_initial(root: Path) -> None:
    """The first batch is all that is there, if that is asked for; it may be empty."""
    with watch(root, initial=True) as batches:
        assert sorted(in_words(next(batches), root)) == [
            "added /a",
            "added /b",
            "added /d/",
            "added /d/e/",
            "added /d/e/g",
            "added /d/f",
        ]
    (root / "empty").mkdir()
    with watch(root / "empty", initial=True) as batches:
        assert next(batches) == []
        (root / "empty" / "n").touch()
        assert in_words(next(batches), root) == ["added /empty/n"]


def test_what_is_there_is_not_said(root: Path) -> None:
    """Without initial, what was there when watch() returned is no change."""
    with watch(root, timeout=0) as batches:
        assert next(batches) == []
        assert len(batches.mirror) == 7


def test_a_tree_that_changes_while_it_is_listed(root: Path) -> None:
    """The start is a true state, though it is listed while the tree changes."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            (root / "d" / "e" / "busy").mkdir()
            (root / "d" / "e" / "busy").rmdir()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        batches = watch(root, timeout=0)
    finally:
        stop.set()
        writer.join()
    with batches:
        next(batches)
        assert len(batches.mirror) == 7


def test_several_roots(root: Path, tmp_path: Path) -> None:
    """Several roots are watched, directories and files."""
    single = tmp_path / "single"
    single.touch()
    (tmp_path / "other").touch()
    with watch(root, single) as batches:
        (root / "n").touch()
        single.write_text("text")
        (tmp_path / "other").write_text("text")
        words = in_words(next(batches), tmp_path)
    assert sorted(words) == ["added /root/n", "modified /single"]


def test_a_root_that_is_lost(root: Path) -> None:
    """A root that is deleted is said to be."""
    with watch(root, timeout=10_000) as batches:
        shutil.rmtree(root)
        changes = [Change("deleted", str(root), None, True)]
        assert next(batches) == changes


# ---- what is left out ------------------------------------------------------------


def test_only(root: Path) -> None:
    """With only, batches speak of files alone, and of those that match."""
    (root / "d" / "x.py").touch()
    with watch(root, only="*.py") as batches:
        (root / "p").mkdir()
        (root / "p" / "new.py").touch()
        (root / "p" / "new.txt").touch()
        (root / "a").rename(root / "a.py")
        (root / "d").rename(root / "moved")
        words = sorted(in_words(next(batches), root))
        assert words == [
            "added /a.py",
            "added /p/new.py",
            "moved /moved/x.py from /d/x.py",
        ]
        (root / "a.py").rename(root / "a")
        shutil.rmtree(root / "p")
        words = sorted(in_words(next(batches), root))
        assert words == ["deleted /a.py", "deleted /p/new.py"]


@pytest.mark.parametrize(
    ("globs", "matching"),
    [
        ("*.py", ["x.py", "d/x.py", "d/e/x.py"]),
        (["x.txt", "*.p?"], ["x.py", "x.txt", "d/x.py", "d/e/x.py"]),
        ("d/*.py", ["d/x.py"]),
        ("d/**/*.py", ["d/x.py", "d/e/x.py"]),
        ("**/e/*", ["d/e/x.py"]),
        ("[x]*", ["x.py", "x.txt", "d/x.py", "d/e/x.py"]),
    ],
)
def test_globs(root: Path, globs: Any, matching: list[str]) -> None:
    """A glob is of a name; with a slash, of the path below the root."""
    with watch(root, only=globs) as batches:
        for name in ("x.py", "x.txt", "d/x.py", "d/e/x.py", "y"):
            (root / name).touch()
        words = in_words(next(batches), root)
    assert sorted(words) == sorted(f"added /{name}" for name in matching)


@pytest.mark.parametrize("glob", ["", "/", None])
def test_refuses_a_glob(root: Path, glob: Any) -> None:
    """A glob that no name matches is refused, with the argument's name."""
    with pytest.raises(ValueError, match=rf"only: {glob!r}"):
        watch(root, only=[glob])
    with pytest.raises(ValueError, match=rf"ignore: {glob!r}"):
        watch(root, ignore=[glob])


@pytest.mark.parametrize("argument", ["only", "ignore"])
def test_refuses_globs_of_another_type(root: Path, argument: str) -> None:
    """Globs that are neither a str nor iterable are refused, with their argument."""
    arguments: dict[str, Any] = {argument: 5}
    text = f"{argument} must be a glob or an iterable of globs, not 5"
    with pytest.raises(TypeError, match=text):
        watch(root, **arguments)


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        "__pycache__",
        "x.pyc",
        "a~",
        ".a.swp",
        ".#a",
        "#a#",
        "4913",
        ".a.kate-swp",
        "a___jb_tmp___",
        ".goutputstream-X",
        "node_modules",
    ],
)
def test_ignored_by_default(root: Path, name: str) -> None:
    """Files of version control, caches and editors are ignored, and not watched."""
    with watch(root) as batches:
        watches = len(churn.kernel_watches(batches.watcher))
        (root / name / "below").mkdir(parents=True)
        (root / name / "below" / "file").touch()
        (root / "d" / name).touch()
        (root / "n").touch()
        assert in_words(next(batches), root) == ["added /n"]
        assert len(churn.kernel_watches(batches.watcher)) == watches
        assert str(root / name) not in batches.mirror


def test_ignore_can_be_replaced(root: Path) -> None:
    """The ignored globs can be extended, replaced, or empty."""
    with watch(root, ignore=[*DEFAULT_IGNORE, "*.log"]) as batches:
        (root / "x.log").touch()
        (root / "y~").touch()
        (root / "n").touch()
        assert in_words(next(batches), root) == ["added /n"]
    with watch(root, ignore=None) as batches:
        (root / "z~").touch()
        assert in_words(next(batches), root) == ["added /z~"]


def test_from_an_ignored_name_and_to_one(root: Path) -> None:
    """A file renamed from an ignored name is added; renamed to one, deleted."""
    with watch(root) as batches:
        (root / "n.swp~").touch()
        (root / "n.swp~").rename(root / "n")
        (root / "b").rename(root / "b~")
        (root / "a~").write_text("saved")
        (root / "a~").rename(root / "a")
        words = sorted(in_words(next(batches), root))
        assert words == ["added /n", "deleted /b", "modified /a"]


def test_gitignore(root: Path) -> None:
    """.gitignore files are followed: outer ones, inner ones, and exceptions."""
    pytest.importorskip("pathspec")
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("*.o\n/d/e/\n!keep.o\n")
    (root / "src" / "deep").mkdir(parents=True)
    (root / "src" / ".gitignore").write_text("local\n!f.o\n")
    with watch(root / "src", root / "d", gitignore=True) as batches:
        for name in ("x.o", "keep.o", "f.o", "local", "deep/local", "deep/y.o", "n"):
            (root / "src" / name).touch()
        (root / "d" / "e" / "n").touch()
        (root / "d" / "local").touch()
        words = in_words(next(batches), root)
        watched = len(churn.kernel_watches(batches.watcher))
    assert sorted(words) == [
        "added /d/local",
        "added /src/f.o",
        "added /src/keep.o",
        "added /src/n",
    ]
    assert watched == 3  # not d/e


def test_gitignore_without_pathspec(run_python: RunPython, root: Path) -> None:
    """Without pathspec, gitignore=True says what to install."""
    output = run_python(
        """
        import sys
        from inotify_cffi import watch
        sys.modules["pathspec"] = None
        try:
            watch(sys.argv[1], gitignore=True)
        except ImportError as error:
            print(error)
        """,
        root,
    )
    assert output == (
        "gitignore=True needs pathspec: pip install 'inotify-cffi[gitignore]'\n"
    )


# ---- stopping --------------------------------------------------------------------


def test_close_from_another_thread(root: Path, in_thread: InThread) -> None:
    """close() ends the iteration of another thread, whether it waits by then or not."""
    batches = watch(root)
    begins = threading.Event()

    def iterate() -> list[list[Change]]:
        begins.set()
        return list(batches)

    result = in_thread(iterate)
    assert begins.wait(60)
    batches.close()
    assert result() == []
    assert batches.closed
    assert list(batches) == []
    batches.close()


def test_ctrl_c(root: Path) -> None:
    """Ctrl-C goes through, and the watch is closed."""
    with watch(root) as batches:
        timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            next(batches)
        timer.join()
        assert batches.closed


@pytest.mark.parametrize("argument", ["settle", "at_most", "timeout"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_refuses_a_length_of_time(root: Path, argument: str, value: float) -> None:
    """A negative time, or nan, is refused, with the argument's name and value."""
    arguments: dict[str, Any] = {argument: value}
    text = f"{argument} must be a number of milliseconds, 0 or more, not {value}"
    with pytest.raises(ValueError, match=re.escape(text)):
        watch(root, **arguments)


@pytest.mark.parametrize("argument", ["settle", "at_most", "timeout"])
@pytest.mark.parametrize("value", ["5", datetime.timedelta(seconds=1)])
def test_refuses_a_time_of_another_type(root: Path, argument: str, value: Any) -> None:
    """A time that is not a number is refused, with the argument's name and type."""
    arguments: dict[str, Any] = {argument: value}
    text = f"{argument} must be a number of milliseconds, not {type(value).__name__}"
    with pytest.raises(TypeError, match=text):
        watch(root, **arguments)


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """A missing path cannot be watched; the error has the path."""
    with pytest.raises(FileNotFoundError) as caught:
        watch(tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "none")


# ---- tasks -----------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """The function that runs a coroutine function, under each event loop."""
    if request.param == "trio":
        trio = pytest.importorskip("trio", reason="trio is not installed")
        return lambda main: trio.run(main)
    return lambda main: asyncio.run(main())  # type: ignore[arg-type]


def test_awatch(root: Path, run: Run) -> None:
    """A task iterates over the same batches."""

    async def main() -> list[str]:
        async with awatch(root) as batches:
            (root / "n").touch()
            async for changes in batches:
                assert len(batches.mirror) == 8
                assert batches.watcher.fileno() > 0
                return in_words(changes, root)
        raise AssertionError

    assert run(main) == ["added /n"]


def test_awatch_without_a_context(root: Path, run: Run) -> None:
    """It begins with the first step, and ends when it is closed."""

    async def main() -> list[list[Change]]:
        batches = awatch(root, timeout=1)
        with pytest.raises(ValueError, match="has not begun"):
            _ = batches.watcher
        found = []
        async for changes in batches:
            found.append(changes)
            if len(found) == 2:
                batches.close()
        assert batches.closed
        return found

    assert run(main) == [[], []]


def test_closed_before_it_began(root: Path, run: Run) -> None:
    """A watch that was closed before it began has no batch."""

    async def main() -> list[list[Change]]:
        batches = awatch(root)
        batches.close()
        return [changes async for changes in batches]

    assert run(main) == []


def test_awatch_of_what_is_not_there(tmp_path: Path, run: Run) -> None:
    """The error of a root that is not there comes when it begins."""

    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            async with awatch(tmp_path / "none"):
                pass

    run(main)


def test_cancelling_loses_nothing(root: Path) -> None:
    """A step that is cancelled again and again loses no change."""
    names = {f"n{number}" for number in range(200)}

    async def main() -> set[str]:
        found: set[str] = set()
        async with awatch(root, settle=2) as batches:

            async def write() -> None:
                for name in sorted(names):
                    (root / name).touch()
                    await asyncio.sleep(0.001)

            writer = asyncio.ensure_future(write())
            while len(found) < len(names):
                try:
                    changes = await asyncio.wait_for(batches.__anext__(), 0.003)
                except asyncio.TimeoutError:
                    continue
                found |= {os.path.basename(change.path) for change in changes}
            await writer
        return found

    assert asyncio.run(main()) == names


def test_close_from_another_task(root: Path, run: Run) -> None:
    """close() ends the iteration that waits in another task."""

    async def main() -> list[list[Change]]:
        async with awatch(root) as batches:
            timer = threading.Timer(0.2, batches.close)
            timer.start()
            found = [changes async for changes in batches]
        timer.join()
        return found

    assert run(main) == []
