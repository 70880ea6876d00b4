"""TreeWatcher through any sequence of operations, with reads between any two."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile

import churn
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

NAMES = st.sampled_from(["a", "b"])
INSIDE = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
OUTSIDE = st.lists(NAMES, min_size=1, max_size=2).map("/".join)


class Operations(RuleBasedStateMachine):
    """Operations of one process; those that the kernel refuses change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.top = tempfile.mkdtemp(prefix="tree-")
        self.root = f"{self.top}/root"
        self.outside = f"{self.top}/outside"
        os.mkdir(self.root)
        os.mkdir(self.outside)
        self.consumer = churn.Consumer(self.root)
        self.read_all = True

    def teardown(self) -> None:
        try:
            self.consumer.check()
            assert churn.probe(self.consumer) == []
        finally:
            self.consumer.watcher.close()
            shutil.rmtree(self.top)

    def change(self) -> contextlib.AbstractContextManager[None]:
        self.read_all = False
        return contextlib.suppress(OSError)

    @rule(path=INSIDE)
    def mkdir(self, path: str) -> None:
        with self.change():
            os.mkdir(f"{self.root}/{path}")

    @rule(path=INSIDE)
    def mkdir_deep(self, path: str) -> None:
        with self.change():
            os.makedirs(f"{self.root}/{path}")

    @rule(path=OUTSIDE)
    def mkdir_outside(self, path: str) -> None:
        with self.change():
            os.makedirs(f"{self.outside}/{path}")

    @rule(path=INSIDE)
    def create(self, path: str) -> None:
        with self.change():
            os.close(os.open(f"{self.root}/{path}", os.O_CREAT | os.O_WRONLY))

    @rule(path=INSIDE)
    def remove(self, path: str) -> None:
        with self.change():
            os.unlink(f"{self.root}/{path}")

    @rule(path=INSIDE)
    def rmdir(self, path: str) -> None:
        with self.change():
            os.rmdir(f"{self.root}/{path}")

    @rule(path=INSIDE)
    def rmtree(self, path: str) -> None:
        with self.change():
            shutil.rmtree(f"{self.root}/{path}")

    @rule(old=INSIDE, new=INSIDE)
    def rename_inside(self, old: str, new: str) -> None:
        with self.change():
            os.rename(f"{self.root}/{old}", f"{self.root}/{new}")

    @rule(old=INSIDE, new=OUTSIDE)
    def rename_out(self, old: str, new: str) -> None:
        self.consumer.halves_are_sure = False
        with self.change():
            os.rename(f"{self.root}/{old}", f"{self.outside}/{new}")

    @rule(old=OUTSIDE, new=INSIDE)
    def rename_in(self, old: str, new: str) -> None:
        with self.change():
            os.rename(f"{self.outside}/{old}", f"{self.root}/{new}")

    @rule(one=INSIDE, other=INSIDE)
    def exchange(self, one: str, other: str) -> None:
        self.consumer.halves_are_sure = False
        with self.change():
            churn.exchange(f"{self.root}/{one}", f"{self.root}/{other}")

    @rule(one=INSIDE, other=OUTSIDE)
    def exchange_with_outside(self, one: str, other: str) -> None:
        self.consumer.halves_are_sure = False
        with self.change():
            churn.exchange(f"{self.root}/{one}", f"{self.outside}/{other}")

    @precondition(lambda self: not self.read_all)
    @rule()
    def read(self) -> None:
        self.consumer.check()
        self.read_all = True


Operations.TestCase.settings = settings(
    deadline=None,
    max_examples=150,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestOperations(Operations.TestCase):  # type: ignore[misc, valid-type]
    """After each read the mirror matches the tree, and every event applied."""
