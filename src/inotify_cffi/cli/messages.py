"""Messages: to standard error, or with ``--syslog`` to the system's log."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

PROGRAM = "inotify-cffi"


class UsageError(Exception):
    """The command line cannot be followed; the text is what to say."""


class HelpWanted(Exception):
    """Only help, or the version, is wanted; the text is what to show."""


class Failure(Exception):
    """What ends the command; the text is what to say."""


def say(line: str) -> None:
    """Write a line to standard error, where there is one."""
    if sys.stderr is not None:  # else print() would take standard output
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:
            pass


class Messages:
    """Where messages go: standard error, until `use_syslog` is called."""

    def __init__(self) -> None:
        self.say: Callable[[str], None] = say
        self.starter_waits = False  # with -d: who started it sees standard error

    def use_syslog(self) -> None:
        """Let messages go to the system's log."""
        self.say = _syslog_writer()

    def complain(self, text: str) -> None:
        """Say why it ends: to who started it as well, while that one waits."""
        if self.starter_waits:
            say(text)
        self.say(text)


def _syslog_writer() -> Callable[[str], None]:
    """Return what writes a line to the system's log, as inotifywait does.

    Without a system log it goes to the console: syslog(3), LOG_CONS.
    """
    import syslog

    syslog.openlog(PROGRAM, syslog.LOG_PID | syslog.LOG_CONS, syslog.LOG_DAEMON)

    def write(text: str) -> None:
        for line in text.splitlines():
            syslog.syslog(syslog.LOG_INFO, line.encode("utf-8", "replace").decode())

    return write
