"""Code for inotify_simple works after changing the import."""

from __future__ import annotations

import errno
import importlib.metadata
import inspect
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Callable

import inotify_simple
import pytest
from hypothesis import given
from hypothesis import strategies as st

import inotify_cffi
from inotify_cffi import INotify, flags, masks

if TYPE_CHECKING:
    from conftest import RunPython, Start

PUBLISHED = ["Event", "INotify", "flags", "masks", "parse_events"]


# ---- the manual --------------------------------------------------------------


@pytest.fixture(scope="module")
def manual() -> tuple[str, str]:
    """The example of inotify_simple's manual, and its output there."""
    metadata: Any = importlib.metadata.metadata("inotify_simple")
    # Python 3.15 keeps it out of the body of the message.
    text = metadata["Description"] or metadata.get_payload()
    section = text[text.index("## Example usage") :]
    example, output = re.findall(r"^```(?:python)?\n(.*?)^```$", section, re.M | re.S)
    return example, output


def test_example_of_the_manual(
    run_python: RunPython, manual: tuple[str, str], tmp_path: Path
) -> None:
    """The manual's example prints to the letter what the manual says it does.

    The manual shows what Python 2 printed: u'' for a str.
    """
    example, output = manual
    assert example.count("inotify_simple") == 1
    assert example.count("/tmp") == 4
    ours = example.replace("inotify_simple", "inotify_cffi")
    # The example never closes what it opened.
    ours = ours.replace("/tmp", str(tmp_path)) + "\ninotify.close()\n"
    assert run_python(ours) == output.replace("u'", "'")


def test_output_of_the_manual(manual: tuple[str, str]) -> None:
    """The manual's output is what it always was."""
    assert manual[1].splitlines() == [
        "Event(wd=1, mask=1073742080, cookie=0, name=u'foo')",
        "    flags.CREATE",
        "    flags.ISDIR",
        "Event(wd=1, mask=256, cookie=0, name=u'test.txt')",
        "    flags.CREATE",
        "Event(wd=1, mask=2, cookie=0, name=u'test.txt')",
        "    flags.MODIFY",
        "Event(wd=1, mask=512, cookie=0, name=u'test.txt')",
        "    flags.DELETE",
        "Event(wd=1, mask=1073742336, cookie=0, name=u'foo')",
        "    flags.DELETE",
        "    flags.ISDIR",
        "Event(wd=1, mask=1024, cookie=0, name=u'')",
        "    flags.DELETE_SELF",
        "Event(wd=1, mask=32768, cookie=0, name=u'')",
        "    flags.IGNORED",
    ]


# The manual calls the list of names `flags` too, which hides the import: there
# the name must be another with inotify_simple as well.
RECIPE = """
import os, select, sys, threading
from {module} import INotify, flags, masks

class EventReader(threading.Thread):
    def __init__(self, path):
        threading.Thread.__init__(self)
        self.path = path
        self.inotify = INotify()
        self.read_fd, write_fd = os.pipe()
        self.write = os.fdopen(write_fd, "wb")

    def run(self):
        self.inotify.add_watch(self.path, masks.ALL_EVENTS)
        while True:
            rlist, _, _ = select.select([self.inotify.fileno(), self.read_fd], [], [])
            if self.inotify.fileno() in rlist:
                for event in self.inotify.read(timeout=0):
                    names = [f.name for f in flags.from_mask(event.mask)]
                    print(event, names)
            if self.read_fd in rlist:
                os.close(self.read_fd)
                self.inotify.close()
                return

    def stop(self):
        self.write.write(b"\\x00")
        self.write.close()

reader = EventReader(sys.argv[1])
reader.start()
sys.stdin.readline()
reader.stop()
reader.join()
print("stopped")
"""


@pytest.mark.parametrize("module", ["inotify_simple", "inotify_cffi"])
def test_thread_with_a_pipe(
    tmp_path: Path,
    module: str,
    start: Start,
    until_watching: Callable[[int, int], None],
) -> None:
    """The manual's recipe of a thread that a pipe stops works as it stands."""
    code = RECIPE.format(module=module)
    running = start(sys.executable, "-u", "-W", "error", "-c", code, str(tmp_path))
    assert running.stdout is not None
    until_watching(running.pid, 1)
    (tmp_path / "f").mkdir()
    assert running.stdout.readline() == (
        "Event(wd=1, mask=1073742080, cookie=0, name='f') ['CREATE', 'ISDIR']\n"
    )
    (tmp_path / "f").rmdir()
    assert running.stdout.readline() == (
        "Event(wd=1, mask=1073742336, cookie=0, name='f') ['DELETE', 'ISDIR']\n"
    )
    assert running.communicate("stop\n") == ("stopped\n", "")


# ---- the interface -----------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_names(name: str) -> None:
    """Every public name of inotify_simple is here, of the same kind."""
    assert sorted(inotify_simple.__all__) == sorted(PUBLISHED)
    assert type(getattr(inotify_cffi, name)) is type(getattr(inotify_simple, name))
    assert name in inotify_cffi.__all__


def _parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters]


@pytest.mark.parametrize("name", ["__init__", "add_watch", "rm_watch", "read"])
def test_signatures(name: str) -> None:
    """Every method has inotify_simple's parameters, in its order."""
    theirs = _parameters(getattr(inotify_simple.INotify, name))
    ours = _parameters(getattr(INotify, name))
    assert [each[0] for each in ours] == [each[0] for each in theirs]
    assert ours == theirs


def test_classes() -> None:
    """The classes are derived from what inotify_simple's are."""
    assert issubclass(INotify, io.FileIO)
    assert inotify_cffi.Event._fields == inotify_simple.Event._fields
    assert isinstance(INotify.fd, property)


@pytest.mark.parametrize("kind", ["flags", "masks"])
def test_constants(kind: str) -> None:
    """Every flag and mask of inotify_simple is here, with its value and order."""
    theirs = [(each.name, int(each)) for each in getattr(inotify_simple, kind)]
    ours = [(each.name, int(each)) for each in getattr(inotify_cffi, kind)]
    assert theirs == [each for each in ours if each[0] != "MASK_CREATE"]


@given(st.integers(0, 2**32 - 1))
def test_from_mask(mask: int) -> None:
    """from_mask() gives inotify_simple's flags, and MASK_CREATE where it is set."""
    theirs = [each.name for each in inotify_simple.flags.from_mask(mask)]
    ours = [each.name for each in flags.from_mask(mask & ~flags.MASK_CREATE)]
    assert ours == theirs


# ---- the same operations, the same events ------------------------------------


class Twins:
    """An instance of each library, and a folder that both watch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours = INotify()
        self.theirs = inotify_simple.INotify()

    def both(self, method: str, *arguments: Any, **options: Any) -> object:
        """Call both; return what they agree on."""
        outcomes = []
        for instance in (self.ours, self.theirs):
            try:
                outcomes.append(getattr(instance, method)(*arguments, **options))
            except OSError as error:
                outcomes.append(error.errno)
        ours, theirs = outcomes
        assert ours == theirs
        return ours

    def read(self) -> list[tuple[int, int, int, str]]:
        events = self.both("read", timeout=0)
        assert isinstance(events, list)
        return events

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[Twins]:
    """The two, closed afterwards."""
    twins = Twins(tmp_path)
    yield twins
    twins.close()


WATCH_MASKS = st.one_of(
    st.just(int(masks.ALL_EVENTS)),
    st.lists(st.sampled_from([*flags, *masks]), max_size=4).map(
        lambda chosen: sum({int(flag): flag for flag in chosen}) & 0xFFFFFFFF
    ),
)
NAMES = st.sampled_from(
    ["a", "b", "folder", "folder/c", "folder/d", "\udcff", ".", "-"]
)
OPERATIONS: dict[str, Callable[[str, str], object]] = {
    "create": lambda one, two: open(one, "xb").close(),
    "append": lambda one, two: _append(one),
    "read": lambda one, two: Path(one).read_bytes(),
    "truncate": lambda one, two: os.truncate(one, 0),
    "chmod": lambda one, two: os.chmod(one, 0o700),
    "touch": lambda one, two: os.utime(one),
    "unlink": lambda one, two: os.unlink(one),
    "mkdir": lambda one, two: os.mkdir(one),
    "rmdir": lambda one, two: os.rmdir(one),
    "list": lambda one, two: os.listdir(one),
    "rename": os.rename,
    "link": os.link,
    "symlink": lambda one, two: os.symlink(os.path.basename(one), two),
}


def _append(path: str) -> None:
    with open(path, "r+b", buffering=0) as file:
        file.seek(0, os.SEEK_END)
        file.write(b"text")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), NAMES, NAMES),
        st.tuples(st.just("add_watch"), NAMES, WATCH_MASKS),
        st.tuples(st.just("rm_watch"), st.integers(-1, 6), st.none()),
        st.tuples(st.just("read events"), st.none(), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
def test_same_operations(steps: list[tuple[str, Any, Any]]) -> None:
    """The same operations give both libraries the same results, errors and events."""
    with TemporaryDirectory() as folder, closing(Twins(Path(folder))) as twins:
        twins.both("add_watch", folder, masks.ALL_EVENTS)
        for step, one, two in steps:
            if step == "add_watch":
                twins.both("add_watch", os.path.join(folder, one), two)
            elif step == "rm_watch":
                twins.both("rm_watch", one)
            elif step == "read events":
                twins.read()
            else:
                with suppress(OSError):
                    paths = [os.path.join(folder, name) for name in (one, two)]
                    OPERATIONS[step](*paths)
        twins.read()


@pytest.mark.queue(1000)
def test_a_full_life(twins: Twins) -> None:
    """Both report the same when a tree is made, renamed and removed."""
    folder = twins.folder
    twins.both("add_watch", folder, masks.ALL_EVENTS)
    for number in range(100):
        (folder / f"{number}").mkdir()
        twins.both("add_watch", folder / f"{number}", masks.ALL_EVENTS)
        (folder / f"{number}" / ("n" * (1 + 2 * number))).write_text("text")
    assert len(twins.read()) == 500
    for number in range(0, 100, 2):
        (folder / f"{number}").rename(folder / f"{number + 1}" / "below")
    shutil.rmtree(folder)
    events = twins.read()
    assert len({cookie for _, _, cookie, _ in events}) == 51
    assert len({wd for wd, _, _, _ in events}) == 101


def test_overflow(twins: Twins) -> None:
    """Both report an overflow alike."""
    twins.both("add_watch", twins.folder, flags.ATTRIB)
    (twins.folder / "file").touch()
    with open("/proc/sys/fs/inotify/max_queued_events") as sysctl:
        limit = int(sysctl.read())
    for number in range(limit // 2 + 1):
        os.utime(twins.folder, (number, number))
        os.utime(twins.folder / "file", (number, number))
    assert twins.read()[limit:] == [(-1, flags.Q_OVERFLOW, 0, "")]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("add_watch", ["missing", flags.CREATE]),
        ("add_watch", ["", flags.CREATE]),
        ("add_watch", ["/", 0]),
        ("add_watch", ["/", 0x10000]),
        ("add_watch", ["/" + "n" * 256, flags.CREATE]),
        ("add_watch", ["/dev/null/file", flags.CREATE]),
        ("add_watch", ["/dev/null", flags.CREATE | flags.ONLYDIR]),
        ("rm_watch", [0]),
        ("rm_watch", [99]),
        ("rm_watch", [-1]),
    ],
)
def test_same_errors(twins: Twins, method: str, arguments: list[Any]) -> None:
    """A refusal of the kernel is an OSError with the same errno from both."""
    assert twins.both(method, *arguments) in errno.errorcode


def test_same_raw_data(twins: Twins) -> None:
    """Both parse the same raw data to the same events."""
    twins.ours.add_watch(twins.folder, masks.ALL_EVENTS)
    for size in (1, 15, 16, 31, 100, 255):
        (twins.folder / os.fsdecode(b"\xff" * size)).mkdir()
    (twins.folder / os.fsdecode(b"\xff")).rename(twins.folder / "text")
    shutil.rmtree(twins.folder)
    raw = os.read(twins.ours.fd, 65536)
    ours = inotify_cffi.parse_events(raw)
    assert len(ours) > 20
    assert ours == inotify_simple.parse_events(raw)
