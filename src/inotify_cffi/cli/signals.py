"""Signals: ending at once, or only where nothing would be left behind."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # What `signal` is made of. That one imports enum as well, which takes a tenth
    # of the time from the start to "Watches established."
    import _signal as signal

# A command in a session of its own does not get the SIGHUP of a terminal that is
# closed.
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


SIGPIPE = signal.SIGPIPE


class Ended(BaseException):
    """One of the signals that end a program has come."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Waits for descriptors, and lets signals raise `Ended`, or holds them.

    A signal raises wherever it comes, until `guard` is called. Then it raises only
    within ``with signals.raising``, and is held elsewhere: a process that is just being
    started, and is in no variable yet, would be left behind; and an exception between
    two steps of `Popen.poll` leaves its lock taken. The further ones are held as soon
    as one has raised, so that nothing interrupts what tidies up.
    """

    def __init__(self) -> None:
        self._reading = self._writing = -1
        self._handled: list[int] = []
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._guards = False
        self._holds = False
        self._held: list[int] = []  # and not taken
        self._first = 0  # that came
        self._has_raised = False
        self.raising = _Raising(self)

    def catch(self) -> None:
        """Let signals raise `Ended` from here on."""
        # A shell starts background jobs with SIGINT ignored, and nohup does so with
        # SIGHUP. (PyPy has taken the former back by now.)
        self._handled = [number for number in _ENDING if not _is_ignored(number)]
        for number in self._handled:
            signal.signal(number, self._handle)

    def open(self) -> None:
        """Make signals end a wait.

        A handler of Python's runs between two steps of the interpreter. A signal
        that comes after the last step before a system call would wait for the end
        of that call, perhaps for ever; but it writes to a pipe, which is waited
        for, too.

        Raises:
            OSError: EMFILE or ENFILE.
        """
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def guard(self) -> None:
        """Let signals raise only within ``with raising`` from here on."""
        self._guards = True
        self.hold()

    def release(self) -> None:
        """Nothing is left to tidy up: let signals end this process at once.

        Raises:
            Ended: one comes just before that.
        """
        self._holds = self._guards = False
        self._set_default(self._handled)

    def close(self) -> None:
        """Make signals end no wait any more."""
        if self._writing != -1:
            signal.set_wakeup_fd(-1)
            os.close(self._reading)
            os.close(self._writing)
            self._reading = self._writing = -1

    def watch_children(self) -> None:
        """Make the end of a child end a wait, too."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def wait(self, descriptors: list[int], seconds: float | None) -> None:
        """Wait until one of these is readable, a signal came, or time ran out.

        Raises:
            Ended: a signal came, if signals raise here.
        """
        import select  # when all is watched already

        if not self._holds:
            self.check()
        poll = select.poll()
        for descriptor in [*descriptors, self._reading]:
            poll.register(descriptor, select.POLLIN)
        poll.poll(None if seconds is None else 1000 * seconds)
        try:
            os.read(self._reading, 4096)
        except BlockingIOError:
            pass

    def check(self) -> None:
        """Do nothing, unless a signal has come.

        Raises:
            Ended: one came: it was held, or a finalizer (``Popen.__del__``) was just
                running. Python prints what is raised there, and goes on.
        """
        if self._first:
            if self._held and not self._has_raised:
                self._held.pop(0)  # that first one
            self._has_raised = True
            raise Ended(self._first)

    def hold(self) -> None:
        """Hold signals, where `guard` was called."""
        self._holds = self._guards

    def let(self) -> None:
        """Let signals raise.

        Raises:
            Ended: as `check`.
        """
        self._holds = False
        if self._first:
            self.hold()
            self.check()

    def take_held(self) -> list[int]:
        """Return the signals that were held since this was last asked."""
        taken: list[int] = []
        while self._held:  # one by one, as more may come
            taken.append(self._held.pop(0))
        return taken

    def end_by(self, number: int) -> None:
        """End this process as a signal ends one; return where it is blocked."""
        self._set_default([number])
        os.kill(os.getpid(), number)

    def _set_default(self, numbers: list[int]) -> None:
        # Python says of one that comes between its handler in C and that in Python,
        # which is gone by then, that it was ignored due to a race condition. So they
        # are blocked meanwhile.
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            for number in numbers:
                signal.signal(number, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def _handle(self, number: int, frame: object) -> None:
        self._first = self._first or number
        if self._holds:
            self._held.append(number)
            return
        if self._has_raised and not self._guards:
            self.end_by(number)  # a second one ends it at once
        self._has_raised = True
        self.hold()
        _say_nothing_of_it()
        raise Ended(number)


def _is_ignored(number: int) -> bool:
    if sys.implementation.name != "pypy":
        return bool(signal.getsignal(number) == signal.SIG_IGN)
    # PyPy's getsignal knows only what PyPy has set itself: see proc(5) for the mask.
    try:
        with open("/proc/self/status", "rb") as file:
            lines = [line for line in file if line.startswith(b"SigIgn:")]
    except OSError:
        return False
    return bool(lines and int(lines[0].split()[1], 16) & 1 << number - 1)


def _say_nothing_of_it() -> None:
    """Let Python say nothing of an import that is interrupted here.

    That may leave a file open. Or a callback of a weak reference was just running, as
    each import has two: what is raised there goes no further, and Python prints it.
    Then `check` raises it later.
    """
    sys.unraisablehook = _print_what_is_raised
    warnings = sys.modules.get("warnings")  # imported where they are not the default
    if warnings is not None:
        warnings.simplefilter("ignore", ResourceWarning)


def _print_what_is_raised(raised: sys.UnraisableHookArgs) -> None:
    if not isinstance(raised.exc_value, Ended):
        sys.__unraisablehook__(raised)


class _Raising:
    """Let signals raise `Ended` in this block, also one that was held before."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def __enter__(self) -> None:
        self._signals.let()

    def __exit__(self, *error: object) -> None:
        self._signals.hold()
