"""The README keeps its word: every example does what it shows, every claim is tested.

An example watches /srv/incoming, which is a folder of its own here.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
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
    from conftest import RunPython, Start

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
COMMAND = (CHECKOUT / "docs" / "command.md").read_text()
WORDS = " ".join(f"{README} {COMMAND}".split())


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
    until: Callable[[Callable[[], bool]], None],
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
        until_watching(running.process.pid, watches)
        if "TreeWatcher" in code:  # what happens while it is made is not told
            until(lambda: _is_waiting(running.process.pid))
        return running

    return example


def _is_waiting(process: int) -> bool:
    """Whether it waits for an instance, or has: each wait has an epoll."""
    for fd in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if "eventpoll" in os.readlink(fd):
                return True
    return False


# ---- the examples ----------------------------------------------------------------


def test_every_example_is_run() -> None:
    """There are as many examples as are run here."""
    assert len(EXAMPLES) == 4 + 2 * 4 + 2  # these two: test_command_redis.py


def test_first_example(run_python: RunPython, tmp_path: Path) -> None:
    """The first example prints to the letter what the README says."""
    (code,) = re.findall(
        r"<!-- example -->\n```python\n(.*?)^```$", README, re.M | re.S
    )
    (output,) = re.findall(r"<!-- output -->\n```\n(.*?)^```$", README, re.M | re.S)
    code = code.replace("/tmp", str(tmp_path))
    # The example never closes what it opened.
    assert run_python(code + "\ninotify.close()\n") == output


def test_thread(example: Callable[..., Example]) -> None:
    """A thread iterates until another closes the instance."""
    running = example("import threading", watches=1)
    assert running.lines(1) == ["Enter ends this."]
    (running.folder / "report.csv").write_text("text")
    assert running.lines(1) == ["report.csv"]
    assert running.process.communicate("\n") == ("", "")
    assert running.process.returncode == 0


def test_asyncio(example: Callable[..., Example]) -> None:
    """A task iterates with async for."""
    running = example("import asyncio", watches=1)
    (running.folder / "report.csv").write_text("text")
    (running.folder / "report.csv").rename(running.folder / "renamed")
    assert running.lines(2) == ["report.csv", "renamed"]


def test_tree(example: Callable[..., Example]) -> None:
    """A tree is told: what is there, what is made and what is renamed."""
    running = example("import TreeWatcher, mask_str", watches=2)
    assert running.lines(1) == ["/srv/incoming/sub CREATE | ISDIR "]
    (running.sub / "a" / "b").mkdir(parents=True)
    assert running.lines(2) == [
        "/srv/incoming/sub/a CREATE | ISDIR ",
        "/srv/incoming/sub/a/b CREATE | ISDIR ",
    ]
    running.sub.rename(running.folder / "renamed")
    assert running.lines(1) == [
        "/srv/incoming/renamed MOVED_TO | ISDIR /srv/incoming/sub",
    ]


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


# ---- what is said of others --------------------------------------------------------


def test_flags_of_inotify_simple() -> None:
    """inotify_simple's flags print their number from Python 3.11 on."""
    expected = "256" if sys.version_info >= (3, 11) else "flags.CREATE"
    assert str(inotify_simple.flags.CREATE) == expected
    assert str(flags.CREATE) == "flags.CREATE"


def test_malformed_events_of_inotify_simple() -> None:
    """inotify_simple takes a name that is cut short for whole."""
    header = bytes.fromhex("01000000 00010000 00000000 40000000")
    ((_, _, _, name),) = inotify_simple.parse_events(header + b"ab")
    assert name == "ab"


def test_limits() -> None:
    """The kernel has the limits that the README names."""
    named = set(re.findall(r"`fs\.inotify\.(\w+)`", README))
    assert named == {limit.name for limit in Path("/proc/sys/fs/inotify").iterdir()}


def test_constants_of_py_inotify() -> None:
    """syscalls has what py-inotify has."""
    functions = {"init", "init1", "add_watch", "rm_watch", "read_events", "Event"}
    assert functions <= set(vars(syscalls))


# ---- the measured tables -----------------------------------------------------------


def test_measured_tables() -> None:
    """The README's measured tables are what the results say."""
    pytest.importorskip("pyperf")
    sys.path.insert(0, str(CHECKOUT))
    try:
        publish = importlib.import_module("benchmarks.publish")
    finally:
        sys.path.remove(str(CHECKOUT))
    newest = sorted(publish.RESULTS.glob("cpython-*"))[-1]
    suites = publish.load(newest)
    for table in (publish.small_table(suites), publish.load_table(suites)):
        assert table.count("\n") >= 4
        assert f"\n{table}\n" in README


# ---- the claims --------------------------------------------------------------------

# What the README says, and who shows it: a test, or a benchmark.
CLAIMS = {
    "Constants and struct layout come from `<sys/inotify.h>`": [
        "test_events.py::test_all_flags_of_the_header",
        "test_packaging.py::test_layout_of_the_event",
    ],
    "`read()` returns the kernel's events to the letter": [
        "test_drop_in.py::test_same_operations",
        "test_drop_in.py::test_same_raw_data",
    ],
    "Code written for inotify_simple works after changing the import": [
        "test_drop_in.py::test_example_of_the_manual",
        "test_drop_in.py::test_thread_with_a_pipe",
        "test_drop_in.py::test_signatures",
    ],
    "on CPython a full queue takes half of what it takes inotify_simple": [
        "benchmarks/bench_drain.py",
        "benchmarks/bench_one_event.py",
        "benchmarks/bench_watch.py",
    ],
    "It can be stopped, shared and awaited": [
        "test_close.py::test_ends_a_blocked_read",
        "test_threads.py::test_each_event_once",
        "test_wake.py::test_from_a_signal_handler",
        "test_asyncio.py::test_async_for",
    ],
    "Whoever applies `TreeWatcher`'s events to a picture has the true tree": [
        "test_tree_churn.py::test_on_tmpfs",
        "test_tree_churn.py::test_on_disk",
        "test_tree_properties.py::TestOperations",
        "test_tree_limits.py::test_short_queue",
    ],
    "It needs cffi alone at run time, and nothing on PyPy": [
        "test_packaging.py::test_metadata",
        "test_resources.py::test_what_is_imported",
    ],
    "takes milliseconds and returns all that is queued": [
        "test_instance.py::test_timeout",
        "test_instance.py::test_read_takes_all_that_is_queued",
    ],
    "goes on until `close()`, which any thread, task or signal handler may call": [
        "test_close.py::test_ends_iteration",
        "test_asyncio.py::test_close_ends_an_iteration",
        "test_signals.py::test_close_at_every_point_of_a_read",
    ],
    "lets every read that waits return `[]` at once, and closes nothing": [
        "test_wake.py::test_ends_every_blocked_read",
        "test_asyncio.py::test_wake_ends_every_wait",
    ],
    "Under asyncio, uvloop or trio, with the same class": [
        "test_asyncio.py::test_waits",
        "test_trio.py::test_waits",
    ],
    "A cancelled task loses no event, and any number of tasks may wait": [
        "test_asyncio.py::test_cancellation",
        "test_asyncio.py::test_several_tasks",
        "test_trio.py::test_cancellation",
        "test_trio.py::test_several_tasks",
        "test_tree.py::test_cancelled",
    ],
    "the kernel tells no second one: events may be missing behind it, too": [
        "test_kernel_facts.py::test_overflow_again_before_it_is_read",
        "test_tree_limits.py::test_overflow_again_before_it_is_read",
    ],
    "A rename inside the tree is one event, MOVED_TO with `old_path`": [
        "test_tree.py::test_rename_a_file",
        "test_tree.py::test_rename_a_directory",
        "test_tree.py::test_every_rename_is_one_event",
    ],
    "What leaves is MOVED_FROM; what comes from outside is MOVED_TO": [
        "test_tree.py::test_rename_out",
        "test_tree.py::test_rename_in",
    ],
    "What was there before its directory could be watched is told once": [
        "test_tree.py::test_deep_directories",
        "test_tree.py::test_told_once",
    ],
    "tells so what is there at the start, without a gap": [
        "test_tree.py::test_initial",
        "test_tree.py::test_no_gap_at_the_start",
    ],
    "After an overflow comes one Q_OVERFLOW for each root": [
        "test_tree_limits.py::test_overflow",
        "test_tree_limits.py::test_overflow_of_several_roots",
    ],
    "leaves a directory out, and costs no watch": ["test_tree.py::test_exclude"],
    "it is followed by its name through atomic saves": [
        "test_tree.py::test_atomic_save",
        "test_tree.py::test_file_root_comes_and_goes",
    ],
    "`read(timeout=0)` is a barrier": ["test_tree.py::test_barrier"],
    "`read`, `wake`, `close`, `for`, `async for` and `await watcher.aread()`": [
        "test_tree.py::test_times",
        "test_tree.py::test_wake",
        "test_tree.py::test_close",
        "test_tree.py::test_iteration",
        "test_tree.py::test_asyncio",
        "test_tree.py::test_trio",
    ],
    'tries again from "Types" on': ["test_peers.py::test_cell"],
    "measures on your machine, beside the other libraries and beside C": [
        "benchmarks/__main__.py",
    ],
    "An argument that C would cut short or misread is refused": [
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
    "none is lost by a timeout, a cancelled task, or a handler that raises": [
        "test_signals.py::test_an_exception_at_every_point_of_a_read",
        "test_threads.py::test_each_event_once_in_whatever_way",
        "test_asyncio.py::test_cancellation",
        "test_trio.py::test_move_on_after",
    ],
    "no event says what does not apply": ["test_tree_churn.py::test_on_tmpfs"],
    "not an overflow, not a directory that may not be read, not a limit": [
        "test_tree_limits.py::test_overflow",
        "test_tree_limits.py::test_unreadable",
        "test_tree_limits.py::test_no_more_watches",
    ],
    "An instance starts no thread and no process, and is not inherited": [
        "test_asyncio.py::test_no_thread_is_started",
        "test_trio.py::test_no_thread_is_started",
        "test_resources.py::test_no_process_is_started",
        "test_fork.py::test_what_a_program_inherits",
    ],
    "Counts: the kernel merges equal neighbours": [
        "test_kernel_facts.py::test_equal_neighbours_are_merged",
    ],
    "`TreeWatcher` warns of such a root": ["test_tree_limits.py::test_fuse"],
    "The error tells which one was reached, its value, and for a tree how many": [
        "test_limits.py::test_no_more_watches",
        "test_limits.py::test_no_more_instances",
        "test_tree_limits.py::test_no_more_watches",
    ],
    "| a Q_OVERFLOW event |": ["test_kernel_facts.py::test_overflow"],
    "take the same arguments and give the same results": [
        "test_drop_in.py::test_signatures",
        "test_drop_in.py::test_same_operations",
        "test_drop_in.py::test_same_errors",
    ],
    "takes any bytes-like object and refuses a malformed one with ValueError": [
        "test_parsing.py::test_bytes_like",
        "test_parsing.py::test_malformed",
        "test_readme.py::test_malformed_events_of_inotify_simple",
    ],
    "An OSError carries the path, and names the sysctl of a limit": [
        "test_limits.py::test_bad_paths",
        "test_limits.py::test_no_more_watches",
    ],
    "that is not closed gives a ResourceWarning when it is collected": [
        "test_close.py::test_dropped_without_close",
    ],
    "none waits longer than its timeout": [
        "test_threads.py::test_nobody_outstays_a_timeout",
    ],
    "`flags` has MASK_CREATE": [
        "test_drop_in.py::test_constants",
        "test_readme.py::test_flags_of_inotify_simple",
    ],
    "The first instance starts no process": [
        "test_resources.py::test_no_process_is_started",
    ],
    "paths may be bytes or PathLike; names that are not UTF-8 come back": [
        "test_syscalls.py::test_paths_of_every_kind",
        "test_kernel_facts.py::test_undecodable_names",
    ],
    "a read that a signal interrupts goes on after its handler has run": [
        "test_syscalls.py::test_signals_during_a_read",
    ],
    "`read_events` leaks nothing": ["test_resources.py::test_nothing_grows"],
    "pyinotify cannot be imported from Python 3.12 on": [
        "test_readme.py::test_pyinotify_is_dead",
    ],
    "Its options, its lines and its exit statuses are inotifywait's": [
        "test_command_beside_inotifywait.py::test_same_lines",
        "test_command_beside_inotifywait.py::test_same_first_event",
        "test_command_beside_inotifywait.py::test_same_end_without_an_event",
    ],
    "With `-r` nothing in a new directory is lost": [
        "test_command.py::test_new_directories",
    ],
    "a Q_OVERFLOW for each path that was given": ["test_command.py::test_overflow"],
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
    "is reported once, by the first": [
        "test_command_cases.py::test_a_path_given_twice",
    ],
    "A name is read as UTF-8, whatever the locale is": [
        "test_command_cases.py::test_json_in_any_locale",
    ],
    "a record of up to 4096 bytes stays in one piece": [
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
    "It ends when nothing is left to watch": ["test_command.py::test_nothing_left"],
    "nothing is lost, and what it may see twice has the same id": [
        "test_command_redis.py::test_a_killed_consumer_loses_nothing",
    ],
    "The rename of a directory is one event": ["test_tree.py::test_rename_a_directory"],
}


def _tests(file: str) -> set[str]:
    tree = ast.parse((CHECKOUT / "tests" / file).read_text())
    return {
        getattr(node, "name", "") or ast.unparse(node).split(" = ")[0]
        for node in tree.body
    }


@pytest.mark.parametrize("claim", CLAIMS)
def test_claim(claim: str) -> None:
    """What the README claims is shown by tests and benchmarks that are there."""
    assert claim in WORDS
    for shown_by in CLAIMS[claim]:
        if shown_by.startswith("benchmarks/"):
            assert (CHECKOUT / shown_by).is_file()
        else:
            file, _, test = shown_by.partition("::")
            assert test in _tests(file), shown_by
