"""The decisions on renames, from lists of events alone: no kernel, no disk.

These use private names, as the decisions have no public ones; what the live kernel
does with them is tested in the other files.
"""

from __future__ import annotations

from collections import Counter
from typing import Union

from hypothesis import given
from hypothesis import strategies as st

from inotify_cffi import flags
from inotify_cffi.tree._model import Directory, State, Top
from inotify_cffi.tree._moves import Arrived, Decision, Exchanged, Left, Moved, Unsure
from inotify_cffi.tree._renames import Renames

FROM, TO = int(flags.MOVED_FROM), int(flags.MOVED_TO)
SELF, CREATE, ISDIR = int(flags.MOVE_SELF), int(flags.CREATE), int(flags.ISDIR)


class Trees:
    """A root with two directories and what is in them, and its pending renames."""

    def __init__(self) -> None:
        self.renames = Renames()
        self.root = Top("/root", "/root")
        self.places = [self.root.add("p"), self.root.add("q")]
        for number, place in enumerate(self.places):
            place.status = number + 1  # a watch
        self.decided: list[Decision] = []

    def directory(self, place: int, name: str, wd: int) -> Directory:
        directory = self.places[place].add(name)
        directory.status = wd
        return directory

    def event(
        self, place: int, mask: int, name: str, cookie: int = 0, *, over: bool = False
    ) -> Decision | None:
        """Follow a structural event; return what a MOVED_TO decides."""
        parent = self.places[place]
        decision: Decision | None = None
        self.decided += self.renames.judge(parent.wd, mask)
        left = self.renames.interrupts(parent, mask, cookie)
        if left is not None:
            self.decided.append(left)
        if mask & FROM:
            self.renames.left(
                parent,
                name,
                cookie,
                is_directory=bool(mask & ISDIR),
                unverified=False,
            )
        elif mask & TO:
            decision = self.renames.came(parent, name, mask, cookie)
            self.decided.append(decision)
        self.renames.note(parent, mask, name, over=over)
        return decision

    def moved_self(self, directory: Directory) -> list[Decision]:
        decisions = list(self.renames.judge(directory.wd, SELF))
        left = self.renames.moved_self(directory)
        return decisions if left is None else [*decisions, left]

    def settle(self) -> list[Decision]:
        waited_for: list[Directory] = []
        self.renames.settle(waited_for.append)
        return list(self.renames.settled())


Step = Union[tuple[str, int, int], tuple[str, int, int, int]]
PLACE = st.integers(0, 1)
RENAME = st.tuples(st.just("rename"), PLACE, PLACE, st.integers(0, 2))
OUT = st.tuples(st.just("out"), PLACE, st.integers(0, 2))
IN = st.tuples(st.just("in"), PLACE, st.integers(0, 2))
OTHER = st.tuples(st.just("other"), PLACE, st.integers(0, 2))


@given(st.lists(st.one_of(RENAME, OUT, IN, OTHER), max_size=30))
def test_each_first_event_is_decided_once(steps: list[Step]) -> None:
    """Every MOVED_FROM ends as one move or as one leaving; none waits for ever."""
    trees = Trees()
    firsts = inside = 0
    for cookie, (kind, place, *rest) in enumerate(steps, start=1):
        name = f"n{cookie}"  # no name comes back, so nothing looks like an exchange
        if kind == "rename":
            trees.event(place, FROM, name, cookie)
            decision = trees.event(rest[0], TO, f"{name}+", cookie)
            assert isinstance(decision, Moved)
            assert decision.move.name == name
            firsts += 1
            inside += 1
        elif kind == "out":
            trees.event(place, FROM, name, cookie)
            firsts += 1
        elif kind == "in":
            assert isinstance(trees.event(place, TO, name, cookie), Arrived)
        else:
            trees.event(place, CREATE, name)
    trees.decided += trees.settle()
    count = Counter(type(decision) for decision in trees.decided)
    assert (count[Moved], count[Left]) == (inside, firsts - inside)
    assert not trees.settle()
    assert not list(trees.renames.between_places())


@given(st.permutations(range(4)), st.lists(PLACE, min_size=4, max_size=4))
def test_seconds_in_any_order(order: list[int], places: list[int]) -> None:
    """A second event finds its first by the cookie, whatever came between.

    Each first event is in a directory of its own, as in the queue, where another
    structural event of the same directory would end it.
    """
    trees = Trees()
    trees.places += [trees.root.add(f"r{number}") for number in range(4)]
    for number in range(4):
        trees.event(2 + number, FROM, f"n{number}", cookie=10 + number)
    for number in order:
        decision = trees.event(places[number], TO, f"m{number}", cookie=10 + number)
        assert isinstance(decision, Moved)
        assert (decision.move.name, decision.name) == (f"n{number}", f"m{number}")


def test_own_move_self_ends_a_pending_move() -> None:
    """MOVE_SELF without a MOVED_TO before it: the directory has left."""
    trees = Trees()
    child = trees.directory(0, "x", wd=7)
    trees.event(0, FROM | ISDIR, "x", cookie=1)
    (left,) = trees.moved_self(child)
    assert isinstance(left, Left)
    assert left.move.child is child


def test_held_back_second_keeps_the_move_pending() -> None:
    """While a MOVED_TO is held back, the MOVE_SELF behind it proves nothing."""
    trees = Trees()
    child = trees.directory(0, "x", wd=7)
    trees.event(0, FROM | ISDIR, "x", cookie=1)
    trees.renames.hold_second(1)
    assert trees.moved_self(child) == []
    trees.renames.window_ended()
    assert [type(one) for one in trees.moved_self(child)] == [Left]


def _exchange(trees: Trees) -> tuple[Directory, Directory]:
    """Follow p/x to q/y and back, of which the second rename is ambiguous."""
    x, y = trees.directory(0, "x", wd=7), trees.directory(1, "y", wd=8)
    trees.event(0, FROM | ISDIR, "x", cookie=1)
    assert isinstance(trees.event(1, TO | ISDIR, "y", cookie=1, over=True), Moved)
    y.detach()
    x.move(trees.places[1], "y")
    trees.event(1, FROM | ISDIR, "y", cookie=2)
    assert isinstance(trees.event(0, TO | ISDIR, "x", cookie=2), Unsure)
    return x, y


def test_ambiguous_and_its_own_move_self() -> None:
    """There and back: the directory that came moves itself, so it went on."""
    trees = Trees()
    x, _ = _exchange(trees)
    trees.renames.content(trees.places[0], "x", int(flags.ATTRIB) | ISDIR)
    (decision,) = trees.moved_self(x)
    assert isinstance(decision, Moved)
    assert (decision.move.child, decision.name) == (x, "x")
    assert decision.content == (flags.ATTRIB | ISDIR,)
    assert trees.settle() == []


@given(st.booleans(), PLACE)
def test_ambiguous_and_nothing_of_its_own(settled: bool, place: int) -> None:
    """A structural event of either parent, or the end of the queue: exchanged."""
    trees = Trees()
    _exchange(trees)
    if settled:
        decisions = trees.settle()
    else:
        trees.decided.clear()
        trees.event(place, CREATE, "new")
        decisions = trees.decided
    assert [type(decision) for decision in decisions] == [Exchanged]
    assert trees.settle() == []


def test_settled_arrival_is_no_exchange() -> None:
    """A directory that leaves after its first rename has finished is renamed again."""
    trees = Trees()
    x, y = trees.directory(0, "x", wd=7), trees.directory(1, "y", wd=8)
    trees.event(0, FROM | ISDIR, "x", cookie=1)
    trees.event(1, TO | ISDIR, "y", cookie=1, over=True)
    y.detach()
    x.move(trees.places[1], "y")
    assert trees.settle() == []
    trees.event(1, FROM | ISDIR, "y", cookie=2)
    assert isinstance(trees.event(0, TO | ISDIR, "x", cookie=2), Moved)


def test_merged_seconds() -> None:
    """Equal MOVED_TO are merged whatever their cookies: one is left of two renames.

    The kernel keeps the first, so the second move has no second event, and ends as
    having left as soon as anything else happens there.
    """
    trees = Trees()
    trees.event(0, FROM, "a", cookie=1)
    trees.places.append(trees.root.add("r"))
    trees.event(2, FROM, "b", cookie=2)
    assert isinstance(trees.event(1, TO, "y", cookie=1), Moved)
    assert [type(decision) for decision in trees.settle()] == [Left]


def test_forgotten_directory_has_no_pending_move() -> None:
    """Pending moves in a forgotten directory are not decided any more."""
    trees = Trees()
    trees.event(0, FROM, "a", cookie=1)
    trees.event(0, TO, "b", cookie=9)
    trees.event(1, FROM, "c", cookie=2)
    for place in trees.places:
        place.status = State.FORGOTTEN
    trees.renames.forget(trees.places)
    assert not trees.renames.is_pending(1)
    assert not trees.renames.is_pending(2)
    assert trees.settle() == []
