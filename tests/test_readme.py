"""The README and docs/moving.md: each example does what it shows, each claim is tested.

An example watches /srv/incoming, which is a folder of its own here.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import inotify_simple
import pytest

from inotify_cffi import flags, syscalls

if TYPE_CHECKING:
    from conftest import Interrupt, RunPython, Start

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text()
MOVING = (CHECKOUT / "docs" / "moving.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", MOVING, re.M | re.S)
DOCUMENTS = [README, *(page.read_text() for page in CHECKOUT.glob("docs/*.md"))]
WORDS = " ".join(" ".join(DOCUMENTS).split())


class Example:
    """An example that runs, and watches a folder with a folder in it."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.sub = folder / "sub"

    def lines(self, count: int) -> list[str]:
        """The next lines that it prints, with the folder as the README has it."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().rstrip("\n") for _ in range(count)]
        return [line.replace(str(self.folder), "/srv/incoming") for line in lines]


@pytest.fixture
def example(
    start: Start,
    until_process_waits: Callable[[int, int], None],
    until_watching: Callable[[int, int], None],
    tmp_path: Path,
) -> Callable[..., Example]:
    """The function that runs the example with these words, until it watches."""

    def example(*words: str, watches: int, options: Iterable[str] = ()) -> Example:
        (code,) = [each for each in EXAMPLES if all(word in each for word in words)]
        folder = tmp_path / words[0].split()[1]
        (folder / "sub").mkdir(parents=True)
        (tmp_path / "outside").mkdir(exist_ok=True)
        code = code.replace("/srv/incoming", str(folder))
        command = [sys.executable, "-u", *(options or ["-W", "error"]), "-c", code]
        running = Example(start(*command), folder)
        if "TreeWatcher" in code or "inotify_cffi import watch" in code:
            until_process_waits(running.process.pid, 1)  # it watches the way, too
        else:
            until_watching(running.process.pid, watches)
        return running

    return example


# ---- the examples ----------------------------------------------------------------


def _example(name: str) -> str:
    (found,) = re.findall(rf"<!-- {name} -->\n```\w*\n(.*?)^```$", README, re.M | re.S)
    return str(found)


def test_every_example_is_run() -> None:
    """There are as many examples as are run here."""
    assert len(re.findall("^```python", README, re.M)) == 4
    assert len(EXAMPLES) == 2 * 5
    assert README.count("\n") <= 250


def test_first_example(run_python: RunPython, tmp_path: Path) -> None:
    """The first example prints to the letter what the README says."""
    (tmp_path / "inbox").mkdir()
    code = _example("example").replace("/tmp/inbox", str(tmp_path / "inbox"))
    printed = run_python(code).replace(str(tmp_path), "/tmp")
    assert printed == _example("output")


def test_drop(
    start: Start,
    until_process_waits: Callable[[int, int], None],
    interrupt: Interrupt,
    tmp_path: Path,
) -> None:
    """A file is processed when it is complete; Ctrl-C ends the program."""
    (tmp_path / "before").touch()
    code = _example("drop").replace("/srv/incoming", str(tmp_path))
    process = start(sys.executable, "-u", "-W", "error", "-c", code)
    until_process_waits(process.pid, 1)
    with (tmp_path / "slow").open("w") as slow:
        slow.write("half")
        (tmp_path / "quick").touch()
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
    lines.append(process.stdout.readline())
    names = ("before", "quick", "slow")
    assert lines == [f"process {tmp_path}/{name}\n" for name in names]
    interrupt(process)
    assert process.communicate()[0] == ""


def test_reloader(
    start: Start,
    until_process_waits: Callable[[int, int], None],
    interrupt: Interrupt,
    tmp_path: Path,
) -> None:
    """A change of a source starts the program again; Ctrl-C ends it."""
    (tmp_path / "src").mkdir()
    program = '"-uc", "import time; print(\'started\'); time.sleep(600)"'
    code = _example("reloader").replace('"-m", "http.server"', program)
    code = code.replace('"src"', repr(str(tmp_path / "src")))
    process = start(sys.executable, "-W", "error", "-c", code)
    until_process_waits(process.pid, 1)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    (tmp_path / "src" / "a.swp").touch()
    (tmp_path / "src" / "a.py").touch()
    assert process.stdout.readline() == "started\n"
    interrupt(process)
    assert process.communicate()[0] == ""


def test_instance(
    start: Start,
    until_process_waits: Callable[[int, int], None],
    interrupt: Interrupt,
    tmp_path: Path,
) -> None:
    """One directory is watched, until Ctrl-C."""
    code = _example("instance").replace("/srv/incoming", str(tmp_path))
    process = start(sys.executable, "-u", "-W", "error", "-c", code)
    until_process_waits(process.pid, 1)
    (tmp_path / "file").touch()
    assert process.stdout is not None
    assert process.stdout.readline() == "file CLOSE_WRITE\n"
    interrupt(process)
    assert process.communicate()[0] == ""


# ---- moving over -------------------------------------------------------------------


def _skip_without(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("module", ["inotify_simple", "inotify_cffi"])
def test_from_inotify_simple(example: Callable[..., Example], module: str) -> None:
    """Before and after, the names of what is complete are printed."""
    running = example(f"from {module} import INotify", "while True", watches=1)
    _complete_two(running)


@pytest.mark.parametrize("line", ["import inotify\n", "from inotify_cffi import sys"])
def test_from_py_inotify(example: Callable[..., Example], line: str) -> None:
    """Before and after, the names of what is complete are printed."""
    if line == "import inotify\n":
        _skip_without("inotify")
        if not hasattr(pytest.importorskip("inotify"), "init1"):
            pytest.skip("the inotify that is installed is not py-inotify")
    _complete_two(example(line, "read_events", watches=1))


def _complete_two(running: Example) -> None:
    (running.folder / "written").write_text("text")
    (running.folder.parent / "outside" / "moved").mkdir()
    (running.folder.parent / "outside" / "moved").rename(running.folder / "moved")
    assert running.lines(2) == ["written", "moved"]


@pytest.mark.parametrize(
    "line", ["import pyinotify", "from inotify_cffi import TreeWatcher, flags\n"]
)
def test_from_pyinotify(example: Callable[..., Example], line: str) -> None:
    """Before and after, what is written and what is deleted is printed."""
    if line == "import pyinotify":
        _skip_without("pyinotify")
        if sys.version_info >= (3, 12):
            pytest.skip("pyinotify imports asyncore, which Python 3.12 has not")
    running = example(line, watches=2, options=["-W", "ignore"])
    (running.sub / "file").write_text("text")
    (running.sub / "file").unlink()
    assert running.lines(2) == [
        "/srv/incoming/sub/file",
        "/srv/incoming/sub/file deleted",
    ]


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncore is there")
def test_pyinotify_is_dead() -> None:
    """pyinotify cannot be imported from Python 3.12 on."""
    assert importlib.util.find_spec("asyncore") is None
    _skip_without("pyinotify")
    with pytest.raises(ModuleNotFoundError, match="asyncore"):
        importlib.import_module("pyinotify")


@pytest.mark.parametrize(
    "line",
    ["from watchdog.events import", "from inotify_cffi import TreeWatcher, flags, m"],
)
def test_from_watchdog(example: Callable[..., Example], line: str) -> None:
    """Before and after, what is written and what is renamed is printed."""
    _skip_without(line.split()[1].split(".")[0])
    running = example(line, watches=2, options=["-W", "ignore"])
    (running.sub / "file").write_text("text")
    (running.sub / "file").rename(running.folder / "renamed")
    assert running.lines(2) == [
        "/srv/incoming/sub/file",
        "/srv/incoming/sub/file is now /srv/incoming/renamed",
    ]


@pytest.mark.parametrize("line", ["from watchfiles", "from inotify_cffi import watch"])
def test_from_watchfiles(
    example: Callable[..., Example], until: Callable[..., None], line: str
) -> None:
    """Before and after, what is added is printed."""
    _skip_without(line.split()[1])
    running = example(line, watches=2, options=["-W", "ignore"])
    (running.sub / "file").touch()
    assert running.lines(1) == ["added /srv/incoming/sub/file"]


# ---- what is said of others --------------------------------------------------------


def test_flags_of_inotify_simple() -> None:
    """inotify_simple's flags print their number from Python 3.11 on."""
    expected = "256" if sys.version_info >= (3, 11) else "flags.CREATE"
    assert str(inotify_simple.flags.CREATE) == expected
    assert str(flags.CREATE) == "flags.CREATE"


def test_malformed_events_of_inotify_simple() -> None:
    """inotify_simple silently accepts a truncated name."""
    header = bytes.fromhex("01000000 00010000 00000000 40000000")
    ((_, _, _, name),) = inotify_simple.parse_events(header + b"ab")
    assert name == "ab"


def test_limits() -> None:
    """The kernel has the limits that the page of limits names."""
    page = (CHECKOUT / "docs" / "limits.md").read_text()
    named = set(re.findall(r"`fs\.inotify\.(\w+)`", page))
    assert named == {limit.name for limit in Path("/proc/sys/fs/inotify").iterdir()}


def test_constants_of_py_inotify() -> None:
    """syscalls has what py-inotify has."""
    functions = {"init", "init1", "add_watch", "rm_watch", "read_events", "Event"}
    assert functions <= set(dir(syscalls))


def _cells(text: str) -> dict[tuple[str, str], str]:
    """The table whose last column is inotifywait: by row and library."""
    table = next(
        part for part in text.split("\n\n") if re.match(r".*inotifywait[^|]*\|\n", part)
    )
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
    ]
    names = [name.split(" ")[0] for name in head]
    return {(row[0], name): cell for row in rows for name, cell in zip(names, row)}


def test_short_table() -> None:
    """The README's table of peers is an extract of the long one."""
    short = _cells(README)
    long = _cells((CHECKOUT / "docs" / "comparison.md").read_text())
    assert len(short) == 6 * 6
    assert short.items() <= long.items()


# ---- the measured tables -----------------------------------------------------------


def test_measured_tables() -> None:
    """The README's measured table is made of the newest results."""
    pytest.importorskip("pyperf")
    sys.path.insert(0, str(CHECKOUT))
    try:
        publish = importlib.import_module("benchmarks.publish")
    finally:
        sys.path.remove(str(CHECKOUT))
    newest = sorted(publish.RESULTS.glob("cpython-*"))[-1]
    suites = publish.load(newest)
    table = publish.small_table(suites)
    assert table.count("\n") >= 6
    assert f"\n{table}\n" in README


# ---- the claims --------------------------------------------------------------------

# The README's claims, each with the test or benchmark that shows it.
CLAIMS = {
    "compiled with cffi against `<sys/inotify.h>`": [
        "test_events.py::test_all_flags_of_the_header",
        "test_packaging.py::test_layout_of_the_event",
    ],
    "The lower layer adds nothing to inotify and hides nothing of it": [
        "test_drop_in.py::test_same_operations",
        "test_drop_in.py::test_same_raw_data",
    ],
    "take the same arguments and return the same results": [
        "test_drop_in.py::test_example_of_the_manual",
        "test_drop_in.py::test_thread_with_a_pipe",
        "test_drop_in.py::test_signatures",
        "test_drop_in.py::test_same_operations",
        "test_drop_in.py::test_same_errors",
    ],
    "A read that can be stopped, shared and awaited": [
        "test_close.py::test_ends_a_blocked_read",
        "test_threads.py::test_each_event_once",
        "test_wake.py::test_from_a_signal_handler",
        "test_asyncio.py::test_async_for",
    ],
    "and the copy always matches the disk": [
        "test_tree_churn.py::test_on_tmpfs",
        "test_tree_churn.py::test_on_disk",
        "test_tree_properties.py::TestOperations",
        "test_tree_limits.py::test_short_queue",
    ],
    "Its only runtime dependency is cffi; on PyPy it has none": [
        "test_packaging.py::test_metadata",
        "test_resources.py::test_what_is_imported",
    ],
    "returns all queued events, or an empty list when the timeout": [
        "test_instance.py::test_timeout",
        "test_instance.py::test_read_takes_all_that_is_queued",
    ],
    "`close()` ends the loop from any thread, task or signal handler": [
        "test_close.py::test_ends_iteration",
        "test_asyncio.py::test_close_ends_an_iteration",
        "test_signals.py::test_close_at_every_point_of_a_read",
    ],
    "`INotify.wake` ends every wait and closes nothing: `read` returns `[]`": [
        "test_wake.py::test_ends_every_blocked_read",
        "test_asyncio.py::test_wake_ends_every_wait",
    ],
    "does the same under asyncio, uvloop or trio": [
        "test_asyncio.py::test_waits",
        "test_trio.py::test_waits",
    ],
    "Cancellation loses nothing": [
        "test_asyncio.py::test_cancellation",
        "test_asyncio.py::test_several_tasks",
        "test_trio.py::test_cancellation",
        "test_trio.py::test_several_tasks",
        "test_tree.py::test_cancelled",
    ],
    "it queues no second one: events may be missing behind it, too": [
        "test_kernel_facts.py::test_overflow_again_before_it_is_read",
        "test_tree_limits.py::test_overflow_again_before_it_is_read",
    ],
    "A rename inside the trees is one event, with both paths": [
        "test_tree.py::test_rename_a_file",
        "test_tree.py::test_rename_a_directory",
        "test_tree.py::test_every_rename_is_one_event",
    ],
    "If something is renamed to a place outside of the trees, it is gone": [
        "test_tree.py::test_rename_out",
        "test_tree.py::test_rename_in",
    ],
    "A scan finds each of them, and it is reported once": [
        "test_tree.py::test_deep_directories",
        "test_tree.py::test_reported_once",
    ],
    "reports what the roots hold already, as synthetic CREATEs, without a gap": [
        "test_tree.py::test_initial",
        "test_tree.py::test_no_gap_at_the_start",
    ],
    "Then you get one Q_OVERFLOW for each root": [
        "test_tree_limits.py::test_overflow",
        "test_tree_limits.py::test_overflow_of_several_roots",
    ],
    "below it; that costs no watch": ["test_tree.py::test_exclude"],
    "`TreeWatcher` resolves it as the kernel does, through links": [
        "test_tree.py::test_atomic_save",
        "test_tree.py::test_file_root_comes_and_goes",
    ],
    "returns every event caused by operations that completed before the call": [
        "test_tree.py::test_barrier"
    ],
    "have `async for` and `aread` in the same way": [
        "test_tree.py::test_times",
        "test_tree.py::test_wake",
        "test_tree.py::test_close",
        "test_tree.py::test_iteration",
        "test_tree.py::test_asyncio",
        "test_tree.py::test_trio",
    ],
    'tries the cells from "Types" on again': ["test_peers.py::test_cell"],
    "To measure the performance on your machine": ["benchmarks/__main__.py"],
    "Arguments that C would truncate or misread are refused": [
        "test_instance.py::test_nul_in_a_path",
        "test_instance.py::test_masks_out_of_range",
        "test_instance.py::test_wds_out_of_range",
        "test_instance.py::test_numbers_that_are_no_int",
    ],
    "Every method of `INotify` may be called from any thread, task or signal": [
        "test_stress.py::test_everything_at_once",
        "test_signals.py::test_any_call_at_every_point_of_any_other",
    ],
    "Each event goes to exactly one reader": [
        "test_threads.py::test_each_event_once",
        "test_asyncio.py::test_several_tasks",
    ],
    "None is lost by a timeout, a cancelled task, or a signal handler that raises": [
        "test_signals.py::test_an_exception_at_every_point_of_a_read",
        "test_threads.py::test_each_event_once_in_whatever_way",
        "test_asyncio.py::test_cancellation",
        "test_trio.py::test_move_on_after",
    ],
    "No event is reported that does not apply": ["test_tree_churn.py::test_on_tmpfs"],
    "not an overflow, not a directory that may not be read, not a limit": [
        "test_tree_limits.py::test_overflow",
        "test_tree_limits.py::test_unreadable",
        "test_tree_limits.py::test_no_more_watches",
    ],
    "An instance starts no thread and no process, and programs that yours": [
        "test_asyncio.py::test_no_thread_is_started",
        "test_trio.py::test_no_thread_is_started",
        "test_resources.py::test_no_process_is_started",
        "test_fork.py::test_what_a_program_inherits",
    ],
    "The kernel merges equal neighbours": [
        "test_kernel_facts.py::test_equal_neighbours_are_merged"
    ],
    "`TreeWatcher` emits a `LocalChangesOnlyWarning` for such a root": [
        "test_tree_limits.py::test_fuse"
    ],
    "The error says which limit was reached, its value, and for a tree how": [
        "test_limits.py::test_no_more_watches",
        "test_limits.py::test_no_more_instances",
        "test_tree_limits.py::test_no_more_watches",
    ],
    "| a Q_OVERFLOW event |": ["test_kernel_facts.py::test_overflow"],
    "accepts any bytes-like object and raises ValueError for a malformed one": [
        "test_parsing.py::test_bytes_like",
        "test_parsing.py::test_malformed",
        "test_readme.py::test_malformed_events_of_inotify_simple",
    ],
    "An OSError has the path, and names the sysctl of a limit": [
        "test_limits.py::test_bad_paths",
        "test_limits.py::test_no_more_watches",
    ],
    "that is not closed emits a ResourceWarning when it is collected": [
        "test_close.py::test_dropped_without_close"
    ],
    "none waits longer than its timeout": [
        "test_threads.py::test_nobody_outstays_a_timeout"
    ],
    "`flags` has MASK_CREATE": [
        "test_drop_in.py::test_constants",
        "test_readme.py::test_flags_of_inotify_simple",
    ],
    "The first instance starts no process": [
        "test_resources.py::test_no_process_is_started"
    ],
    "paths may be bytes or PathLike; names that are not UTF-8 are decoded": [
        "test_syscalls.py::test_paths_of_every_kind",
        "test_kernel_facts.py::test_undecodable_names",
    ],
    "a read that a signal interrupts continues after the handler": [
        "test_syscalls.py::test_signals_during_a_read"
    ],
    "`read_events` leaks no memory": ["test_resources.py::test_nothing_grows"],
    "pyinotify cannot be imported from Python 3.12 on": [
        "test_readme.py::test_pyinotify_is_dead"
    ],
    "takes the place of inotifywait in a script": [
        "test_command_beside_inotifywait.py::test_same_lines",
        "test_command_beside_inotifywait.py::test_same_first_event",
        "test_command_beside_inotifywait.py::test_same_end_without_an_event",
    ],
    "With `-r` it watches whole trees, as `TreeWatcher` does": [
        "test_command.py::test_new_directories"
    ],
    "nothing is lost, and an entry that it sees twice has the same id": [
        "test_command_redis.py::test_a_killed_consumer_loses_nothing"
    ],
    "it is a message on standard error instead": [
        "test_command_cases.py::test_overflow_does_not_look_like_a_path",
    ],
    "Each `--exclude` and `--include` counts": [
        "test_command_words.py::test_expressions_together",
        "test_command_cases.py::test_expressions_and_globs",
    ],
    "What a PATTERN leaves out together with all below it costs no watch": [
        "test_command_cases.py::test_costs_no_watch",
    ],
    "a PATH that is given twice, relative and absolute, by the first": [
        "test_command_cases.py::test_a_path_given_twice",
    ],
    "A name is read as UTF-8, whatever the locale is": [
        "test_command_cases.py::test_json_in_any_locale",
    ],
    "A record of up to 4096 bytes stays in one piece": [
        "test_command_cases.py::test_records_in_a_shared_pipe",
    ],
    "a file named `$(touch x)` or `; rm -r .` does nothing": [
        "test_command_exec.py::test_names_are_never_obeyed",
    ],
    "A signal that ends inotify-cffi is given to the command that runs": [
        "test_command_exec.py::test_signal_while_the_command_runs",
    ],
    "nothing else gets SIGKILL": ["test_command_exec.py::test_kill_after"],
    "a command that only reads does not run itself": [
        "test_command_exec.py::test_reading_does_not_count",
    ],
    "It ends with status 1 when nothing is left to watch": [
        "test_command.py::test_nothing_left"
    ],
    "a Q_OVERFLOW for each path that was given": ["test_command.py::test_overflow"],
    "rename of a directory is one event": ["test_tree.py::test_rename_a_directory"],
    "one C call per read, however many events": ["benchmarks/bench_drain.py"],
    "with `complete=True`, a file only when nobody is writing to it": [
        "test_cookbook.py::test_drop"
    ],
    "a restart of the program loses none": [
        "test_cookbook.py::test_drop_survives_a_restart"
    ],
}


def _tests(file: str) -> set[str]:
    tree = ast.parse((CHECKOUT / "tests" / file).read_text())
    return {
        getattr(node, "name", "") or ast.unparse(node).split(" = ")[0]
        for node in tree.body
    }


@pytest.mark.parametrize("claim", CLAIMS)
def test_claim(claim: str) -> None:
    """The tests and benchmarks that show a claim of the README exist."""
    assert claim in WORDS
    for shown_by in CLAIMS[claim]:
        if shown_by.startswith("benchmarks/"):
            assert (CHECKOUT / shown_by).is_file()
        else:
            file, _, test = shown_by.partition("::")
            assert test in _tests(file), shown_by
