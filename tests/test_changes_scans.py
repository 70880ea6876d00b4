"""Net changes of a tree that changes while it is scanned, after an overflow as well."""

from __future__ import annotations

import copy
import os
from random import Random
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scanned_model import ROOT, Model, Plain, operations, paths
from test_changes_model import changed, names

from inotify_cffi import Mirror, TreeEvent, _nodes, flags

# No watcher can be made to report all orders of events, so what follows them is given
# them: for the content of files, that is private. So is from how many characters on the
# names in a directory are a set; trees with so many take too long.
from inotify_cffi._change import Settings
from inotify_cffi._names import Names

MODIFY = int(flags.MODIFY)

_settings = settings(
    deadline=None,
    max_examples=int(os.environ.get("CHANGES_EXAMPLES", "300")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Drawing each choice of a long sequence takes longer than everything else.
_seeds = st.integers(0, 2**32)
_lengths = st.sampled_from([3, 4096])


@_settings
@given(_seeds, st.booleans(), _lengths)
def test_changes(seed: int, individually: bool, longest: int) -> None:
    """Changes apply and make what was reported, also while a scan goes on."""
    with mock.patch.multiple(_nodes, _LONGEST=longest, _FEW=2, _FEW_ASKED=2):
        _check_changes(Random(seed), individually=individually)


def _check_changes(chance: Random, *, individually: bool) -> None:
    model = Model(chance)
    followed = Names([ROOT])
    followed.track_content(MODIFY, MODIFY, individually=individually)
    tree: Plain = {}

    def check(*, is_complete: bool) -> None:
        followed.apply(model.take(is_complete=is_complete))
        changes, _ = followed.take_changes(Settings())
        now = model.tree.known()
        assert changed(tree, changes, now) == now, changes
        assert sorted(Mirror.of(followed)) == sorted([ROOT, *paths(now)])
        tree.clear()
        tree.update(copy.deepcopy(now))

    check(is_complete=True)
    for _ in operations(model, chance):
        if not model.is_lost:
            check(is_complete=chance.random() < 0.5)
    check(is_complete=True)


@_settings
@given(_seeds, _lengths)
def test_names(seed: int, longest: int) -> None:
    """The changes of a mirror, which does not follow content, apply as well."""
    with mock.patch.multiple(_nodes, _LONGEST=longest, _FEW=2, _FEW_ASKED=2):
        _check_names(Random(seed))


def _check_names(chance: Random) -> None:
    model = Model(chance)
    mirror = Mirror(ROOT)
    mirror.track()
    tree: Plain = {}
    for _ in operations(model, chance):
        mirror.apply(model.take(is_complete=False))
    mirror.apply(model.take(is_complete=True))
    changes = mirror.changes()
    now = model.tree.known()
    made = changed(tree, changes, now)
    assert made is not None, changes
    assert names(made) == names(now), changes


def test_a_late_write_to_the_name_of_a_directory() -> None:
    """A directory is not taken for the file that had its name before it."""
    mirror = Mirror(ROOT)
    mirror.apply(
        [
            TreeEvent(f"{ROOT}/{path}", flags.CREATE | flags.ISDIR, None, False)
            for path in ("d", "d/e")
        ]
    )
    mirror.track()
    mirror.apply([TreeEvent(f"{ROOT}/d", flags.MODIFY, None, False)])
    mirror.apply([TreeEvent(f"{ROOT}/d/e/f", flags.CREATE, None, False)])
    assert [change.path for change in mirror.changes()] == [f"{ROOT}/d/e/f"]
