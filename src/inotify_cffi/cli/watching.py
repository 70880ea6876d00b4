"""From one record to the next, until the end."""

from __future__ import annotations

from .countdown import Countdown
from .messages import PROGRAM, Failure
from .records import Q_OVERFLOW, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .delivering import Delivery
    from .gathering import Gatherer
    from .options import Options
    from .signals import Signals
    from .starting import Source

CAME, FAILED, TIMED_OUT = 0, 1, 2


class Watch:
    """Reads records, and has them delivered, now or when it is quiet.

    Parameters:
        options: what the command line asks for.
        source: gives the records.
        delivery: gets them.
        signals: end it.
    """

    def __init__(
        self, options: Options, source: Source, delivery: Delivery, signals: Signals
    ) -> None:
        self._monitor = options.monitor
        self._source = source
        self._delivery = delivery
        self._signals = signals
        self._came = False  # an event that was asked for
        self._idle = Countdown(options.timeout or None)
        self._total = Countdown(options.total)
        self._gatherer: Gatherer | None = None
        if options.debounce is not None:
            from .gathering import Gatherer

            self._gatherer = Gatherer(options.debounce)

    def run_initial(self) -> int | None:
        """Report what is there; return the exit status, if it ends now.

        An event that came meanwhile may be the only one.
        """
        with self._signals.raising:
            found = self._source.read() or []
        self._deliver(asked(found))
        if self._monitor:
            return None
        events = [record for record in found if not record.synthetic]
        return _status(events[0]) if events else None

    def run(self) -> int:
        """Go on until it ends; return the exit status.

        Raises:
            BrokenPipeError, Failure, OSError: as a read, or `Delivery.deliver`.
            Ended: a signal came.
        """
        while True:
            status = self._step()
            if status is not None:
                return status

    def _step(self) -> int | None:
        # Only a read after that time shows that nothing has happened in it: on a busy
        # machine, much may happen between a read and the next look at the clock.
        quiet = self._is_quiet()
        idle, ends = self._idle.over, self._total.over
        with self._signals.raising:
            records = self._source.read()
        if records is None:
            status = self._attend(quiet, idle)
            if status is None:
                seconds = self._seconds_left()
                with self._signals.raising:
                    self._signals.wait([self._source.fileno()], seconds)
            return status
        status = self._take(records)
        if status is None and ends:  # without a pause, `_attend` is never called
            return self._end(idle=False)
        if status is None and self._is_quiet():  # in spite of these: it never rests
            status = self._take_gathered()
        if status is None and not self._source.alive:
            status = self._take_gathered()
            if status is None:
                raise Failure(f"{PROGRAM}: nothing is left to watch")
        return status

    def _is_quiet(self) -> bool:
        """Return whether the time of ``--debounce`` is over."""
        return self._gatherer is not None and self._gatherer.seconds_left() == 0.0

    def _take(self, records: list[Record]) -> int | None:
        """Report records; return the exit status, if it ends now."""
        if not self._monitor and self._gatherer is None:
            del records[1:]
        wanted = asked(records)
        if wanted:
            self._idle.restart()
            self._came = True
        if self._gatherer is not None:
            self._gatherer.add(wanted)
            return None
        self._deliver(wanted)
        return None if self._monitor or not records else _status(records[0])

    def _attend(self, quiet: bool, idle: bool) -> int | None:
        """Do the work that is due while nothing happens; return a status at the end.

        Parameters:
            quiet: whether the time of ``--debounce`` is over.
            idle: whether the time of ``--timeout`` is over.
        """
        self._delivery.attend()
        if idle or self._total.over:
            return self._end(idle=idle)
        return self._take_gathered() if quiet else None

    def _end(self, *, idle: bool) -> int:
        """Report what was gathered; return the exit status."""
        status = self._take_gathered()
        if status is not None:
            return status
        return CAME if self._came and not idle else TIMED_OUT

    def _take_gathered(self) -> int | None:
        """Report what was gathered; return the exit status, if that ends it."""
        records = [] if self._gatherer is None else self._gatherer.take()
        self._deliver(records)
        return CAME if records and not self._monitor else None

    def _deliver(self, records: list[Record]) -> None:
        if records:
            self._delivery.deliver(records)

    def _seconds_left(self) -> float | None:
        limited = [
            one.seconds_left()
            for one in (self._idle, self._total, self._gatherer, self._delivery)
            if one is not None
        ]
        return min((one for one in limited if one is not None), default=None)


def asked(records: list[Record]) -> list[Record]:
    """Return the requested records, and those that are always reported."""
    return [record for record in records if record.asked or record.mask & Q_OVERFLOW]


def _status(record: Record) -> int:
    return CAME if record.asked else FAILED
