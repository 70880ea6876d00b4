"""The renames: from the kernel's events, in order, to moves.

This module knows neither the kernel's queue nor the disk: it is given events, and
it yields decisions, which the tracker applies to the model.

Facts about a rename:

* rename(2) queues MOVED_FROM, then MOVED_TO with the same cookie, then MOVE_SELF of
  the moved directory, if that is watched. The locks of both directories are held
  until the first two are in the queue. The MOVE_SELF comes after that, so another
  event may lie between.
* So a pending move has no second event if another structural event of its directory
  comes, or the MOVE_SELF of the moved directory, or nothing although a change of its
  directory, which needs the lock, has finished since (`settle`).
* RENAME_EXCHANGE queues two such renames under one holding of the locks: x to y,
  then y to x. After the second, y is still there. A rename to y and on to x looks
  exactly like that, but then y is gone.
* The kernel merges an event into the last one of the queue if the watch, the mask
  and the name are equal; **cookies are not compared**. So two renames to the same
  name can leave one MOVED_TO, with the cookie of the first. Counting first and second
  events proves nothing.
* A watch descriptor with MOVE_SELF is the identity of a directory in the order of
  the queue. The disk shows the present identity, which the queue may not have
  reached yet.

`_arrivals` and `_ambiguous` explain exchanges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Callable

from ._ambiguous import AmbiguousMoves
from ._arrivals import Arrivals, Over
from ._masks import MOVED_FROM, MOVED_TO
from ._model import Directory, State, forgotten_in
from ._moves import (
    Ambiguous,
    Arrived,
    Decision,
    Left,
    Moved,
    PendingMove,
    Unsure,
)


class Renames:
    """All unfinished renames."""

    def __init__(self) -> None:
        self._by_cookie: dict[int, list[PendingMove]] = {}
        self._pending: dict[Directory, PendingMove] = {}
        self._ambiguous = AmbiguousMoves()
        self._arrivals = Arrivals()
        self._undecided = self._ambiguous.moves
        self._arrived = self._arrivals.all()
        self._over_directories = self._arrivals.over_directories()

    # ---- events ----------------------------------------------------------------

    def left(
        self,
        parent: Directory,
        name: str,
        cookie: int,
        *,
        is_directory: bool,
        unverified: bool,
    ) -> PendingMove:
        """Follow MOVED_FROM: wait for its second event.

        Parameters:
            parent: the directory.
            name: the name that left it.
            cookie: the cookie.
            is_directory: whether the event has ISDIR.
            unverified: whether the consumer does not have the name, though it may
                have been there.
        """
        move = PendingMove(
            parent, name, cookie, is_directory=is_directory, unverified=unverified
        )
        self._by_cookie.setdefault(cookie, []).append(move)
        self._pending[parent] = move
        return move

    def came(self, parent: Directory, name: str, mask: int, cookie: int) -> Decision:
        """Follow MOVED_TO: decide where it came from.

        Of several trees on one directory each has a first event: the one of the
        same tree is preferred.
        """
        move = self.take(cookie, parent)
        if move is None or move.source_unknown:
            return Arrived(parent, name, mask)
        if move.may_be_exchange:
            self._ambiguous.add(Ambiguous(move, parent, name, mask))
            return Unsure(move)
        return Moved(move, parent, name, mask)

    def take(self, cookie: int, parent: Directory) -> PendingMove | None:
        """Take the pending move with a cookie out, if there is one."""
        moves = self._by_cookie.get(cookie)
        if not moves:
            return None
        move = moves[0]
        if len(moves) > 1:
            top = parent.top
            move = next((each for each in moves if each.parent.top is top), move)
        self.drop(move)
        return move

    def interrupts(self, parent: Directory, mask: int, cookie: int) -> Left | None:
        """Return the pending move that a structural event shows to have left."""
        move = self._pending.get(parent)
        if move is None or (mask & MOVED_TO and move.cookie == cookie):
            return None
        return self.leave(move)

    def unfinished(self) -> tuple[Collection[object], ...]:
        """Return what is empty if no rename goes on; it is kept up to date."""
        return *self.directories(), self._undecided

    def directories(self) -> tuple[Collection[Directory], ...]:
        """Return where a rename can end, or go on; it is kept up to date."""
        return self._pending, self._over_directories

    def has_just_come(self, parent: Directory, name: str) -> bool:
        """Return whether the last structural event of a directory brought a name."""
        return self._arrivals.is_last(parent, name)

    def note_plain(self, parent: Directory, came: str = "") -> None:
        """Remember a structural event of a file where all renames are idle.

        Parameters:
            parent: the directory.
            came: the name that a rename inside the trees gave a file there; "" after
                another event.
        """
        if came:
            self._arrivals.add(parent, came, over=False)
        elif self._arrived:
            self._arrivals.take(parent)

    def moved_self(self, directory: Directory) -> Left | None:
        """Return the pending move that a directory's MOVE_SELF shows to have left."""
        if directory.parent is None:
            return None
        move = self._pending.get(directory.parent)
        if move is None or move.child is not directory or move.second_is_held_back:
            return None
        return self.leave(move)

    def judge(self, wd: int, mask: int) -> Iterator[Decision]:
        """Let an event of the queue decide the ambiguous moves.

        Call this before the event itself is followed, and apply each decision
        before the next one.
        """
        return self._ambiguous.judge(wd, mask)

    def note(self, parent: Directory, mask: int, name: str, *, over: bool) -> bool:
        """Remember a structural event, after it was followed or held back.

        Parameters:
            parent: the directory.
            mask: the event's mask.
            name: the event's name.
            over: whether something that an exchange could have put elsewhere was
                at this name: a known directory, or an unverified name.

        Returns:
            Whether the name, which seems to have left, may still exist.
        """
        before = self._arrivals.take(parent)
        if mask & MOVED_TO and parent.status is not State.FORGOTTEN:
            self._arrivals.add(parent, name, over=over)
        elif mask & MOVED_FROM and before is not None and before.name == name:
            move = self._pending.get(parent)
            if move is not None and move.source_unknown:
                return False  # the consumer still has the name that came
            # Before its fence, it may have no watch yet for the MOVE_SELF that decides.
            if move is not None and move.child is not None:
                has_watch = move.child.state is State.WATCHED
                move.may_be_exchange = has_watch and before.over is not Over.NOTHING
            return True
        return False

    def hold_second(self, cookie: int) -> None:
        """Note that a MOVED_TO is held back until the window ends."""
        for move in self._by_cookie.get(cookie, ()):
            move.second_is_held_back = True

    def window_ended(self) -> None:
        """Note that no MOVED_TO is held back any more."""
        for move in self._pending.values():
            move.second_is_held_back = False

    def content(self, parent: Directory, name: str, mask: int) -> bool:
        """Take an event of a name's content, if the name is ambiguous."""
        return self._ambiguous.keep_content(parent, name, mask)

    # ---- proof that nothing follows --------------------------------------------

    def settle(self, wait: Callable[[Directory], None]) -> bool:
        """Wait until both halves of every rename in progress are in the queue.

        Parameters:
            wait: returns when the changes of a directory have finished. What it
                raises is passed on, and the rest is left for the next time.

        Returns:
            Whether there was anything: then, when the queue has been read again,
            `settled` decides.
        """
        found = False
        for move in self._pending.values():
            if not move.settled:
                wait(move.parent)
                move.settled = found = True
        found = self._ambiguous.settle(wait) or found
        return self._arrivals.settle(wait) or found

    def settled(self) -> Iterator[Decision]:
        """Yield the decisions if no event follows. Apply each before the next."""
        for move in list(self._pending.values()):
            if move.settled and self._pending.get(move.parent) is move:
                yield self.leave(move)
        yield from self._ambiguous.settled()
        self._arrivals.finish()

    def is_pending(self, cookie: int) -> bool:
        """Return whether a first event with this cookie waits."""
        return cookie in self._by_cookie

    def ambiguous(self) -> Collection[Ambiguous]:
        """Return the moves that are ambiguous; it is kept up to date."""
        return self._undecided

    def is_source(self, parent: Directory, name: str) -> bool:
        """Return whether a pending move has left this name."""
        move = self._pending.get(parent)
        return move is not None and move.name == name

    def concerns(self, parent: Directory, name: str) -> bool:
        """Return whether a decision about the name is still to come."""
        return self.is_source(parent, name) or self._ambiguous.concern(parent, name)

    def between_places(self) -> list[Directory]:
        """Return the directories whose move is pending."""
        return [move.child for move in self._pending.values() if move.child]

    def below(self, top: Directory) -> Iterator[Left]:
        """Yield the moves that have left the trees, since their directory goes.

        Apply each before the next is asked for.
        """
        for move in list(self._pending.values()):
            if (
                self._pending.get(move.parent) is move
                and top in move.parent.ancestors()
            ):
                yield self.leave(move)

    # ---- the end -------------------------------------------------------------------

    def leave(self, move: PendingMove) -> Left:
        self.drop(move)
        return Left(move)

    def drop(self, move: PendingMove) -> None:
        """Forget a pending move."""
        moves = self._by_cookie.get(move.cookie, [])
        if move in moves:
            moves.remove(move)
            if not moves:
                del self._by_cookie[move.cookie]
        if self._pending.get(move.parent) is move:
            del self._pending[move.parent]

    def forget(self, directories: Collection[Directory]) -> None:
        """Forget the pending moves in directories that have left the model."""
        self._arrivals.forget(directories)
        for directory in forgotten_in(self._pending, directories):
            self.drop(self._pending[directory])

    def forget_all(self) -> None:
        self._by_cookie.clear()
        self._pending.clear()
        self._ambiguous.clear()
        self._arrivals.clear()
