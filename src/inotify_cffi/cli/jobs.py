"""`--exec`: the command, its arguments and its environment."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess

from .records import Q_OVERFLOW, Record, event_names, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Callable

_PLACE = "{}"
# Of the words that paths make: what xargs takes, far from what exec(2) can.
_MOST_BYTES = 131072


class Command:
    """The argument of ``--exec``.

    Parameters:
        text: words, quoted as a shell has them; or with ``shell`` what sh is given.
        shell: whether sh runs it. Paths are its arguments then, and never part of
            the text, where what is in a name would be obeyed.

    Raises:
        ValueError: it is no command; the text says why.
    """

    def __init__(self, text: str, shell: bool) -> None:
        self._words = ["/bin/sh", "-c", text, "sh"] if shell else shlex.split(text)
        self._shell = shell
        if not text.strip() or not self._words:
            raise ValueError("there is no command")
        if shutil.which(self._words[0]) is None:
            raise ValueError(f"{self._words[0]}: command not found")
        self.name = "sh" if shell else self._words[0]
        self._takes_paths = shell or any(_PLACE in word for word in self._words)

    def runs(self, records: list[Record]) -> Iterator[list[Record]]:
        """Divide records into parts for one run each."""
        if not self._takes_paths:
            yield records
            return
        places = max(1, sum(word.count(_PLACE) for word in self._words))
        run: list[Record] = []
        size = 0
        for record in records:
            needed = places * (len(os.fsencode(path_of(record))) + 1)
            if run and size + needed > _MOST_BYTES:
                yield run
                run, size = [], 0
            run.append(record)
            size += needed
        yield run

    def start(
        self, records: list[Record], session: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start it.

        Parameters:
            records: what it is run for; the first is in its environment.
            session: whether it gets a session of its own, so that it can be ended
                with all that it starts.

        Raises:
            OSError: it cannot be started.
        """
        words = self.words_for([path_of(record) for record in records])
        environment = _environment(records)
        stdin = _no_input()
        try:
            return self._start(words, environment, session, stdin)
        finally:
            if stdin >= 0:
                os.close(stdin)

    def _start(
        self, words: list[str], environment: dict[str, str], session: bool, stdin: int
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                words, env=environment, start_new_session=session, stdin=stdin
            )
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        # A script without #!: execvp(3) and every shell give it to sh.
        path = shutil.which(words[0]) or words[0]
        return subprocess.Popen(
            ["/bin/sh", path, *words[1:]],
            env=environment,
            start_new_session=session,
            stdin=stdin,
        )

    def words_for(self, paths: list[str]) -> list[str]:
        """Return the arguments of a run for these paths."""
        if self._shell:
            return [*self._words, *paths]
        filled: list[str] = []
        for word in self._words:
            if _PLACE in word:
                filled += [word.replace(_PLACE, path) for path in paths]
            else:
                filled.append(word)
        return filled


def _environment(records: list[Record]) -> dict[str, str]:
    environment = os.environ.copy()
    for name in ("INOTIFY_PATH", "INOTIFY_EVENTS", "INOTIFY_OLD_PATH"):
        environment.pop(name, None)
    if records:
        first = records[0]
        environment["INOTIFY_PATH"] = path_of(first)
        environment["INOTIFY_EVENTS"] = ",".join(event_names(first.mask))
        if first.old_path is not None:
            environment["INOTIFY_OLD_PATH"] = first.old_path
    return environment


def _no_input() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # in a chroot without devices
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.close(writing)
        return reading


def events_of(records: Iterable[Record]) -> list[Record]:
    """Return the records without overflows, which have no path."""
    return [record for record in records if not record.mask & Q_OVERFLOW]


def say_end(command: Command, status: int, say: Callable[[str], None]) -> None:
    if status < 0:
        say(f"inotify-cffi: {command.name}: ended by signal {-status}")
    elif status > 0:
        say(f"inotify-cffi: {command.name}: exit status {status}")
