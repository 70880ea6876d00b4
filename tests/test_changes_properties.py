"""Net batches through any sequence of operations, and at full speed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import churn
import pytest
import replica
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from inotify_cffi import watch

CHURN = Path(__file__).with_name("churn_changes.py")
NAMES = st.sampled_from(["a", "b", "c"])
INSIDE = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


class Batches(RuleBasedStateMachine):
    """Operations of one process; those that the kernel refuses change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.top = tempfile.mkdtemp(prefix="changes-")
        self.root = f"{self.top}/root"
        self.outside = f"{self.top}/outside"
        os.mkdir(self.root)
        os.mkdir(self.outside)
        self.count = 0
        self.batches = watch(self.root, ignore=None, settle=0, at_most=0, timeout=0)
        self.replica = replica.Replica(self.root)
        self.is_minimal = True
        self.replaced: set[tuple[str, str]] = set()

    def teardown(self) -> None:
        try:
            self.take()
        finally:
            self.batches.close()
            shutil.rmtree(self.top)

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    @rule(name=INSIDE)
    def mkdir(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.makedirs(self.path(name))

    @rule(name=INSIDE)
    def write(self, name: str) -> None:
        self.count += 1
        with contextlib.suppress(OSError), open(self.path(name), "w") as file:
            file.write(str(self.count))

    @rule(name=INSIDE)
    def unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path(name))

    @rule(name=INSIDE)
    def rmtree(self, name: str) -> None:
        with contextlib.suppress(OSError):
            shutil.rmtree(self.path(name))

    @rule(old=INSIDE, new=INSIDE)
    def rename(self, old: str, new: str) -> None:
        if (new, old) in self.replaced:
            self.is_minimal = False  # the kernel reports an exchange like this
        if os.path.lexists(self.path(new)):
            self.replaced.add((old, new))
        with contextlib.suppress(OSError):
            os.rename(self.path(old), self.path(new))

    @rule(one=INSIDE, other=INSIDE)
    def exchange(self, one: str, other: str) -> None:
        if os.path.isdir(self.path(one)) != os.path.isdir(self.path(other)):
            self.is_minimal = False  # the file is reported as another one
        with contextlib.suppress(OSError):
            churn.exchange(self.path(one), self.path(other))

    @rule(old=INSIDE, new=NAMES)
    def rename_out(self, old: str, new: str) -> None:
        self.is_minimal = False  # a file that comes back may be any file
        with contextlib.suppress(OSError):
            os.rename(self.path(old), f"{self.outside}/{new}")

    @rule(old=NAMES, new=INSIDE)
    def rename_in(self, old: str, new: str) -> None:
        with contextlib.suppress(OSError):
            os.rename(f"{self.outside}/{old}", self.path(new))

    @rule()
    def read(self) -> None:
        """Let the watcher read between any two operations, without a batch."""
        # No batch ends here, so that nothing public does it.
        watching = self.batches._watching  # noqa: SLF001
        watching._batcher._take(self.batches.watcher.read(timeout=0))  # noqa: SLF001

    @rule(ticks=st.booleans())
    def take(self, ticks: bool = True) -> None:
        """Take a batch, perhaps of a state that no file is as young as.

        Of a younger file, a later scan cannot say whether it was written to since. So
        it is reported as modified.
        """
        if ticks:
            replica.wait_for_a_tick()
        before = replica.copied(self.replica.tree)
        changes = next(self.batches)
        self.replica.apply(changes)
        assert self.replica.tree == replica.read_tree(self.root)
        if self.is_minimal:
            assert replica.superfluous(before, self.root, changes) == []
        self.is_minimal = ticks
        self.replaced.clear()


Batches.TestCase.settings = settings(
    deadline=None,
    max_examples=int(os.environ.get("CHANGES_EXAMPLES", "100")),
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestBatches(Batches.TestCase):  # type: ignore[misc, valid-type]
    """Each batch applies to the state before it, makes the next, and says no more."""


@pytest.mark.shortens_queues
def test_at_full_speed(tmp_path: Path) -> None:
    """Batches of a tree that changes at full speed apply, and end true."""
    if not os.access(churn.MAX_QUEUED_EVENTS, os.W_OK):
        pytest.skip("only root may shorten the queue, as one manner of churn does")
    command = [sys.executable, "-W", "error", str(CHURN), "--runs", "3"]
    finished = subprocess.run(
        [*command, "--seconds", "0.2", "--directory", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
