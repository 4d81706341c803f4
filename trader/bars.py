"""One clean series of bars: each closed bar once, in order, holes filled from history. PURE.

Knows nothing of feeds, processes or clocks: what came goes in, what may be passed on comes out. The data source asks
the venue's history whenever ``need_history`` is true, and passes nothing on before that read went well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from brokers.model import Bar

LATE_MIN_S = 5.0
"""A bar is late at the earliest this many market seconds after its end ..."""
LATE_SHARE = 0.1
"""... or this share of its interval, whichever is more (strategy-api: on_bar)."""

RING_BARS = 1000
"""Delivered bars kept for a reader that fell behind; older ones are read from the venue's history."""

WAITING_BARS = 1000
"""Bars of the stream kept while history is read. Beyond it they are dropped: the history has them too."""


def late_limit_s(interval_s: int, late_machine_s: float, rate: float) -> float:
    """Market seconds after its end from which on a bar is late: market part + machine allowance x rate (DESIGN 5)."""
    return max(LATE_MIN_S, LATE_SHARE * interval_s) + late_machine_s * rate


def is_late(closed_utc: int, interval_s: int, now_utc: float, late_machine_s: float, rate: float) -> bool:
    return now_utc > closed_utc + late_limit_s(interval_s, late_machine_s, rate)


class BarSeries:
    """The state of one series. ``start`` begins it after a stamp; then ``streamed`` and ``history`` give what is due.

    ``known_until_utc``: up to this stamp the series is complete, because bars follow each other or because the venue's
    history said so. A later bar that does not follow it immediately may hide others: that is a hole.
    """

    def __init__(self, symbol: str, interval_s: int) -> None:
        self.symbol = symbol
        self.interval_s = interval_s
        self.need_history = False
        self.started = False
        self.last_utc = 0
        self.known_until_utc = 0
        self._waiting: dict[int, Bar] = {}
        self._ring: deque[Bar] = deque(maxlen=RING_BARS)
        self._ring_after_utc = 0

    def start(self, after_utc: int) -> None:
        """The series begins with the first closed bar after this stamp; what lies between it and now is read first."""
        self.started = True
        self.last_utc = self.known_until_utc = self._ring_after_utc = after_utc
        self.need_history = True
        self._waiting = {stamp: bar for stamp, bar in self._waiting.items() if stamp > after_utc}

    def doubt(self) -> None:
        """Something may have been missed (a new subscription, an overdue bar): read history before going on."""
        self.need_history = True

    def streamed(self, bars: Iterable[Bar]) -> tuple[Bar, ...]:
        """Closed bars of the stream, repeats and all. Gives those that may be passed on now."""
        for bar in bars:
            if bar.closed_utc > self.last_utc and len(self._waiting) < WAITING_BARS:
                self._waiting[bar.closed_utc] = bar
            elif bar.closed_utc > self.last_utc:
                self.need_history = True
        return self._pass_on()

    def history(self, bars: Iterable[Bar], complete_until_utc: int) -> tuple[Bar, ...]:
        """The venue's closed bars after ``last_utc``, complete up to a stamp. Gives those that may be passed on now."""
        newest = self.known_until_utc
        for bar in bars:
            if bar.closed_utc > self.last_utc:
                self._waiting[bar.closed_utc] = bar
                newest = max(newest, bar.closed_utc)
        self.known_until_utc = max(newest, complete_until_utc)
        self.need_history = False
        return self._pass_on()

    def overdue(self, now_utc: float, limit_s: float) -> bool:
        """The next bar's end passed longer ago than the limit, and nothing is known of it yet."""
        return self.started and now_utc > self.known_until_utc + self.interval_s + limit_s

    def clock_says(self, now_utc: float) -> None:
        """The clock went back: that nothing traded up to a later moment was believed because of the clock alone."""
        self.known_until_utc = max(self.last_utc, min(self.known_until_utc, int(now_utc)))

    def after(self, after_utc: int) -> tuple[Bar, ...] | None:
        """The delivered bars after a stamp; None when that reaches further back than the ring."""
        if after_utc < self._ring_after_utc:
            return None
        return tuple(bar for bar in self._ring if bar.closed_utc > after_utc)

    def _pass_on(self) -> tuple[Bar, ...]:
        if not self.started or self.need_history:
            return ()
        due: list[Bar] = []
        for stamp in sorted(self._waiting):
            if stamp - self.interval_s > self.known_until_utc:
                self.need_history = True
                break
            due.append(self._waiting.pop(stamp))
            self.last_utc = stamp
            self.known_until_utc = max(self.known_until_utc, stamp)
        self._keep(due)
        return tuple(due)

    def _keep(self, due: list[Bar]) -> None:
        for bar in due:
            if len(self._ring) == RING_BARS:
                self._ring_after_utc = self._ring[0].closed_utc
            self._ring.append(bar)
