"""The net difference between two states of a tree, as changes that apply in order.

Both states are in the same directories: the names at the last difference, and over them
the touched ones. A directory is the same in both states if it is the same object, even
if it has moved; a file that has moved has its former place.

Most batches need no order: `SimpleDifference` finds their changes, or gives up. For the
others, `Identities` decides which directory of the one state is which of the other,
`WorkingTree` is the tree after the changes so far, and `Placement` moves things to
their places. If things wait for each other, as after an exchange of two names, one of
them counts as two: the old one is deleted, and a new one is added. Then everything is
repeated from the start, with that knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping

from ._change import Change, Settings
from ._identities import Identities
from ._kinds import Kinds
from ._nodes import Directory, File
from ._placement import Placement
from ._simple_difference import SimpleDifference


def difference(
    top: Directory, dirty: Mapping[Directory, Kinds], settings: Settings
) -> tuple[list[Change], set[File]]:
    """Find the changes, in the order in which they apply.

    Parameters:
        top: the directory that has the roots.
        dirty: the directories in which something was touched, and what.
        settings: how the changes are reported.

    Returns:
        The changes; and the held back files whose former state stays reported.
    """
    forgotten: set[Directory] = set()
    forgotten_files: set[File] = set()
    identities = Identities(top, forgotten)
    alive = {each: dirty[each] for each in dirty if identities.is_there(each)}
    changes = SimpleDifference(alive, settings, identities).find()
    if changes is not None:
        return changes, set()
    while True:
        placement = Placement(identities, alive, settings, forgotten_files)
        placement.run()
        if not placement.to_forget:
            return placement.changes, placement.kept
        # Each round forgets something that was not forgotten yet, so this ends.
        for node in placement.to_forget:
            if isinstance(node, File):
                forgotten_files.add(node)
            else:
                forgotten.update(identities.staying_in(node))
        identities = Identities(top, forgotten)
