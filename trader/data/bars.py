"""One clean series of bars: each closed bar once, in order, holes filled from history. PURE.

Knows nothing of feeds, processes or clocks: what came goes in, what may be passed on comes out. The data source asks
the venue's history whenever ``need_history`` is true, and passes nothing on before that read went well.

What cannot be put right is told in ``news``: a bar that was changed after it had been passed on, and one that turned up
after a later one had been. Neither is passed on: a strategy sees each bar once, in order (law 5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

import msgspec

from brokers.model import Bar
from trader.hours.market_hours import UNKNOWN_HOURS, MarketHours

LATE_MIN_S = 5.0
"""A bar is late at the earliest this many market seconds after its end ..."""
LATE_SHARE = 0.1
"""... or this share of its interval, whichever is more (strategy-api: on_bar)."""

RING_BARS = 1000
"""Delivered bars kept for a reader that fell behind; older ones are read from the venue's history."""

WAITING_BARS = 1000
"""Bars of the stream kept while history is read. Beyond it they are dropped: the history has them too."""


QUIET_INTERVALS_MAX = 15
QUIET_MOVING_MAX = 4
"""While history finds nothing for an overdue bar, again and again, it is asked after 1, 2, 4 ... intervals, at most so
many: by night a request each quarter of an hour and not each minute. Where another series of the session has bars of
that time the market is open, so a thin symbol is asked for oftener. What is missed meanwhile is asked for at once when
anything says that it exists: the next bar of the stream, or a forming one whose end has passed."""


class News(msgspec.Struct, frozen=True):
    """``filled``: the stream had not told this bar; history had it."""

    kind: Literal["corrected", "too_late", "filled"]
    bar: Bar
    before: Bar | None = None


def late_limit_s(interval_s: int, late_machine_s: float, rate: float) -> float:
    """Market seconds after its end from which on a bar is late: market part + machine allowance x rate."""
    return max(LATE_MIN_S, LATE_SHARE * interval_s) + late_machine_s * rate


def is_late(closed_utc: float, interval_s: int, now_utc: float, late_machine_s: float, rate: float) -> bool:
    return now_utc > closed_utc + late_limit_s(interval_s, late_machine_s, rate)


class BarSeries:
    """The state of one series. ``start`` begins it after a stamp; then ``streamed`` and ``history`` give what is due.

    ``known_until_utc``: up to this stamp the series is complete, because bars follow each other or because the venue's
    history said so. A later bar that does not follow it immediately may hide others: that is a hole.
    ``need_until_utc``: up to there at least history has to be known; 0: up to what the stream goes on from.
    ``hours``: when bars are due. Outside them none is; where they are unknown, one is due in each interval.
    """

    def __init__(self, symbol: str, interval_s: int) -> None:
        self.symbol = symbol
        self.interval_s = interval_s
        self.hours: MarketHours = UNKNOWN_HOURS
        self.need_history = False
        self.need_until_utc = 0
        self.started = False
        self.last_utc = 0
        self.known_until_utc = 0
        self._waiting: dict[int, Bar] = {}
        self._ring: deque[Bar] = deque(maxlen=RING_BARS)
        self._ring_after_utc = 0
        self._quiet = 1
        self._shown_utc = 0
        self._caught_up = False
        self._news: list[News] = []
        self._looking = False
        self._too_late: deque[int] = deque(maxlen=RING_BARS)

    def start(self, after_utc: int) -> None:
        """The series begins with the first closed bar after this stamp; what lies between it and now is read first."""
        self.started = True
        self.last_utc = self.known_until_utc = self._ring_after_utc = after_utc
        self.need_history = True
        self._caught_up = False
        self._quiet = 1
        self._waiting = {stamp: bar for stamp, bar in self._waiting.items() if stamp > after_utc}

    def doubt(self) -> None:
        """Something may have been missed (a new subscription): read history before going on."""
        self.need_history = True
        self._quiet = 1

    def look(self, now_utc: float, limit_s: float, *, moving: bool = False) -> None:
        """Read history if a bar is overdue. Where nothing says that there is one (``shown``), history that keeps
        finding none is asked ever more seldom."""
        due_utc = self._due_utc
        if not self.overdue(now_utc, limit_s):
            return
        opening = due_utc - self.interval_s > self.known_until_utc
        quiet = 1 if opening else min(self._quiet, QUIET_MOVING_MAX if moving else QUIET_INTERVALS_MAX)
        if self._shown_utc >= due_utc or now_utc > due_utc + (quiet - 1) * self.interval_s + limit_s:
            self.need_history = self._looking = True
            self.need_until_utc = due_utc

    def shown(self, stamp_utc: int) -> None:
        """There is, or will be, a bar with this stamp: the stream has told it or its forming bar."""
        self._shown_utc = max(self._shown_utc, stamp_utc)

    def take_news(self) -> list[News]:
        news, self._news = self._news, []
        return news

    def streamed(self, bars: Iterable[Bar]) -> tuple[Bar, ...]:
        """Closed bars of the stream, repeats and all. Gives those that may be passed on now."""
        for bar in bars:
            if bar.closed_utc > self.last_utc and len(self._waiting) < WAITING_BARS:
                self._waiting[bar.closed_utc] = bar
            elif bar.closed_utc > self.last_utc:
                self.need_history = True
            else:
                self._look_at_old(bar)
        return self._pass_on()

    def history(self, bars: Iterable[Bar], complete_until_utc: int) -> tuple[Bar, ...]:
        """The venue's closed bars after ``last_utc``, complete up to a stamp. Gives those that may be passed on now."""
        newest = self.known_until_utc
        for bar in bars:
            if bar.closed_utc > self.last_utc:
                if self._caught_up and bar.closed_utc not in self._waiting:
                    self._news.append(News("filled", bar))
                self._waiting[bar.closed_utc] = bar
                newest = max(newest, bar.closed_utc)
        self.known_until_utc = max(newest, complete_until_utc)
        self.need_history, self.need_until_utc = False, 0
        self._caught_up = True
        self._quiet = min(2 * self._quiet, QUIET_INTERVALS_MAX) if self._looking else self._quiet
        self._looking = False
        return self._pass_on()

    def overdue(self, now_utc: float, limit_s: float) -> bool:
        """The next bar's end passed longer ago than the limit, and nothing is known of it yet."""
        return self.started and now_utc > self._due_utc + limit_s

    @property
    def _due_utc(self) -> int:
        """The stamp of the next bar: the first in market hours of which nothing is known yet, or one that was shown
        before these: stocks trade outside their hours too."""
        due_utc = self.hours.due(self.known_until_utc, self.interval_s)
        following = self.known_until_utc + self.interval_s
        return min(due_utc, self._shown_utc) if self._shown_utc >= following else due_utc

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
            if stamp - self.interval_s > self.known_until_utc and not self._was_closed_before(stamp):
                self.need_history, self.need_until_utc = True, stamp - self.interval_s
                break
            due.append(self._waiting.pop(stamp))
            self._quiet = 1
            self.last_utc = stamp
            self.known_until_utc = max(self.known_until_utc, stamp)
        self._keep(due)
        return tuple(due)

    def _was_closed_before(self, stamp_utc: int) -> bool:
        """Between what is known and this bar the market was closed, and nothing is missing. Only where the bars on both
        sides are in market hours: what trades outside them may have lost a bar there."""
        hours, starts_utc = self.hours, stamp_utc - self.interval_s
        within = hours.trades_between(self.last_utc - self.interval_s, self.last_utc)
        within = within and hours.trades_between(starts_utc, stamp_utc)
        return within and not hours.trades_between(self.known_until_utc, starts_utc)

    def _keep(self, due: list[Bar]) -> None:
        for bar in due:
            if len(self._ring) == RING_BARS:
                self._ring_after_utc = self._ring[0].closed_utc
            self._ring.append(bar)

    def _look_at_old(self, bar: Bar) -> None:
        """The stream tells a bar of a time that is past: a repeat nearly always. What is older than the ring, or than
        the series' beginning, is not judged."""
        if bar.closed_utc <= self._ring_after_utc:
            return
        for known in reversed(self._ring):
            if known.closed_utc == bar.closed_utc:
                if known != bar:
                    self._replace(known, bar)
                    self._news.append(News("corrected", bar, known))
                return
            if known.closed_utc < bar.closed_utc:
                break
        if bar.closed_utc not in self._too_late:
            self._too_late.append(bar.closed_utc)
            self._news.append(News("too_late", bar))

    def _replace(self, known: Bar, bar: Bar) -> None:
        """So that the same correction, repeated at each reconnect, is told once; and who has not read the bar yet gets
        it as the venue has it."""
        index = len(self._ring) - 1 - list(reversed(self._ring)).index(known)
        self._ring[index] = bar
