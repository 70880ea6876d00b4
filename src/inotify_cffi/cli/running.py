"""From the command line to the exit status."""

from __future__ import annotations

import gc

from .delivering import Delivery
from .messages import PROGRAM, Failure, HelpWanted, Messages, UsageError
from .options import Options, parse
from .output import write_all
from .signals import Ended
from .starting import describe, start, write_ready

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .background import Background
    from .filters import Filter
    from .signals import Signals
    from .starting import Source
    from .watching import Watch

_CAME, _FAILED = 0, 1
_SIGTERM = 15


def run(
    arguments: list[str], signals: Signals, closed: frozenset[int] = frozenset()
) -> int:
    """Run the command line; return the exit status.

    Parameters:
        arguments: what is behind the name of the command.
        signals: what a wait ends by, and what ends the command.
        closed: the standard streams that were closed at the start.

    Raises:
        BrokenPipeError: nobody reads what is reported.
        Ended: a signal came.
    """
    messages = Messages()
    try:
        options = parse(arguments, closed)
        passes = _make_filter(options) if options.selects else None
        background = _start_background(messages) if options.daemon else None
        signals.open()
        if options.syslog:
            messages.use_syslog()
        with _Command(options, passes, signals, closed, messages) as command:
            return command.run(background)
    except HelpWanted as wanted:
        write_all(1, str(wanted).encode())
        return _CAME
    except BrokenPipeError:
        raise
    except (UsageError, Failure) as failure:
        text = str(failure)
    except OSError as error:
        text = f"{PROGRAM}: {describe(error)}"
    except ImportError as error:  # where no more descriptors may be open
        text = f"{PROGRAM}: {error}"
    messages.complain(text)
    return _FAILED


def _make_filter(options: Options) -> Filter:
    from .selecting import make_filter

    return make_filter(options)


def _start_background(messages: Messages) -> Background:
    from .background import Background

    background = Background.start()
    messages.starter_waits = True
    return background


def _collect_garbage() -> None:
    """Collect garbage from here on, but do not look for it in what was imported."""
    if hasattr(gc, "freeze"):  # PyPy has none
        gc.freeze()
    gc.enable()


def _make_watch(
    options: Options, source: Source, delivery: Delivery, signals: Signals
) -> Watch:
    # Imported when it is said that all is watched: what has happened since is queued.
    from .watching import Watch

    return Watch(options, source, delivery, signals)


class _Command:
    """The run of the command, from the options to its end."""

    def __init__(
        self,
        options: Options,
        passes: Filter | None,
        signals: Signals,
        closed: frozenset[int],
        messages: Messages,
    ) -> None:
        self._options = options
        self._passes = passes
        self._signals = signals
        self._closed = closed
        self._messages = messages
        self._delivery: Delivery | None = None
        self._source: Source | None = None

    def __enter__(self) -> _Command:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._source is not None:
            self._source.close()
        if self._delivery is not None:
            self._delivery.close(error.number if isinstance(error, Ended) else _SIGTERM)

    def run(self, background: Background | None) -> int:
        """Run the options; return the exit status.

        Parameters:
            background: what goes on when all is watched.
        """
        options, signals = self._options, self._signals
        # First all that can fail before anything is watched.
        delivery = Delivery(options, signals, self._messages.say, self._closed)
        self._delivery = delivery
        _collect_garbage()
        with signals.raising:
            source = self._source = start(options, self._passes, self._messages)
        if options.stats:
            delivery.count()
        watch = None
        if options.initial:
            watch = _make_watch(options, source, delivery, signals)
            status = watch.run_initial()
            if status is not None:
                return status
        self._say_ready(delivery, background)
        if options.now:
            delivery.run_now()
        watch = watch or _make_watch(options, source, delivery, signals)
        return watch.run()

    def _say_ready(self, delivery: Delivery, background: Background | None) -> None:
        options = self._options
        with self._signals.raising:
            if not options.quiet:
                self._messages.say("Watches established.")
            if options.ready:
                delivery.report_ready()
            if options.ready_fd is not None:
                write_ready(options.ready_fd)
        if background is not None:
            self._messages.starter_waits = False
            background.go_on()
        if options.timeout < 0:
            raise Failure("Negative timeout specified - abort!")
