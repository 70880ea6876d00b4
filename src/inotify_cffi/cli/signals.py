"""Signals: ending at whatever moment one comes, or holding it until a job has ended."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # What `signal` is made of. That one imports enum as well, which takes a tenth
    # of the time from the start to "Watches established."
    import _signal as signal

# Of SIGHUP, a terminal that is closed, a command that runs in a session of its own
# would know nothing.
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


SIGPIPE = signal.SIGPIPE


class Ended(BaseException):
    """One of the signals that end a program has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Waits for descriptors, and lets signals raise `Ended`, or holds them."""

    def __init__(self) -> None:
        self._reading = self._writing = -1
        self._held: list[int] | None = None
        self._first = 0  # that was taken from those
        self._ended_by = 0
        # A shell starts background jobs with SIGINT ignored, and nohup does so with
        # SIGHUP. (PyPy has taken the former back by now.)
        self._handled = [
            number
            for number in _ENDING
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        self._catch()

    def _catch(self) -> None:
        for number in self._handled:
            signal.signal(number, self._handle)

    def open(self) -> None:
        """Let a signal end a wait.

        A handler of Python's runs between two steps of the interpreter. A signal
        that comes after the last step before a system call would wait for the end
        of that call, perhaps for ever; but it writes to a pipe, which is waited
        for, too.

        Raises:
            OSError: EMFILE or ENFILE.
        """
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def close(self) -> None:
        """Let signals end no wait any more."""
        if self._writing != -1:
            signal.set_wakeup_fd(-1)
            os.close(self._reading)
            os.close(self._writing)
            self._reading = self._writing = -1

    def watch_children(self) -> None:
        """Let the end of a child end a wait, too."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def wait(self, descriptors: list[int], seconds: float | None) -> None:
        """Wait until one of these is readable, a signal came, or time ran out.

        Raises:
            Ended: a signal came before, and a finalizer (``Popen.__del__``) was just
                running: Python prints what is raised there, and goes on.
        """
        import select  # when all is watched already

        if self._ended_by and self._held is None:
            raise Ended(self._ended_by)

        poll = select.poll()
        for descriptor in [*descriptors, self._reading]:
            poll.register(descriptor, select.POLLIN)
        poll.poll(None if seconds is None else 1000 * seconds)
        try:
            os.read(self._reading, 4096)
        except BlockingIOError:
            pass

    def end_by(self, number: int) -> None:
        """End this process as a signal ends one; return where it is blocked."""
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def hold(self) -> None:
        """Hold signals that end, until `release`."""
        self._held = []
        self._catch()

    def take_held(self) -> list[int]:
        """Return the signals that have come since this was last asked."""
        if not self._held:
            return []
        self._first = self._first or self._held[0]
        taken, self._held = self._held, []
        return taken

    def release(self) -> None:
        """Hold no signal any more.

        Raises:
            Ended: by the first of those that were held.
        """
        self.take_held()
        self._held = None
        first, self._first = self._first, 0
        if first:
            self._handle(first, None)

    def _handle(self, number: int, frame: object) -> None:
        if self._held is not None:
            self._held.append(number)
            return
        for handled in self._handled:
            signal.signal(handled, signal.SIG_DFL)  # a second one ends it at once
        self._ended_by = number
        raise Ended(number)
