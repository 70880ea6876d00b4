"""Messages: to standard error, or with ``--syslog`` to the system's log."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

PROGRAM = "inotify-cffi"


class UsageError(Exception):
    """The command line is wrong; the text is the message."""


class HelpWanted(Exception):
    """Only help, or the version, is requested; the text is the output."""


class Failure(Exception):
    """A failure that ends the command; the text is the message."""


def say(line: str) -> None:
    """Write a line to standard error, where there is one."""
    if sys.stderr is not None:  # otherwise print() would use standard output
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:
            pass


class Messages:
    """The output of messages: standard error, until `use_syslog` is called."""

    def __init__(self) -> None:
        self.say: Callable[[str], None] = say
        self.starter_waits = False  # with -d: who started it sees standard error

    def use_syslog(self) -> None:
        """Let messages go to the system's log."""
        self.say = _syslog_writer()

    def complain(self, text: str) -> None:
        """Report the reason of the end: to the waiting started process as well."""
        if self.starter_waits:
            say(text)
        self.say(text)


def _syslog_writer() -> Callable[[str], None]:
    """Return the function that writes a line to the system's log, as inotifywait does.

    Without a system log it goes to the console: syslog(3), LOG_CONS.
    """
    import syslog

    syslog.openlog(PROGRAM, syslog.LOG_PID | syslog.LOG_CONS, syslog.LOG_DAEMON)

    def write(text: str) -> None:
        for line in text.splitlines():
            syslog.syslog(syslog.LOG_INFO, line.encode("utf-8", "replace").decode())

    return write
