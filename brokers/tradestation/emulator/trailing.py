"""Where a trailing stop is when the market turns: it follows the best print since it was armed. PURE."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from brokers.tradestation.emulator.book import Trail
from brokers.tradestation.emulator.market import MINUTE_S, Bar, Print, Series

_HUNDRED = Decimal(100)


def stop_price(best: Decimal, trail: Trail, tick: Decimal, *, selling: bool) -> Decimal:
    """By amount exactly; by percent on the tick that is farther from the market."""
    if trail.amount is not None:
        return best - trail.amount if selling else best + trail.amount
    part = best * (trail.percent or Decimal(0)) / _HUNDRED
    rounding = ROUND_FLOOR if selling else ROUND_CEILING
    exact = best - part if selling else best + part
    return (exact / tick).to_integral_value(rounding) * tick


class Walk:
    """The search for the print that reaches a trailing stop."""

    def __init__(self, series: Series, trail: Trail, tick: Decimal, *, selling: bool) -> None:
        self._series = series
        self._trail = trail
        self._tick = tick
        self._selling = selling

    def reached(
        self, after_utc: float, best: Decimal | None, until_utc: float, open_at: Callable[[float], bool]
    ) -> Print | None:
        """The first print after this moment, up to ``until_utc``, at or beyond the stop that follows the best print so
        far. Its price is the stop, or that of a bar that opened beyond. Prints outside ``open_at`` do not count."""
        bars, stamps = self._series.bars, self._series.stamps
        for i in range(bisect_right(stamps, after_utc), len(stamps)):
            opened_utc = stamps[i] - MINUTE_S
            if opened_utc > until_utc:
                return None
            if not open_at(opened_utc):
                continue
            if best is not None and opened_utc > after_utc and self._is_calm(bars[i], best):
                best = self._better(best, bars[i].high if self._selling else bars[i].low)
                continue
            for there, between in self._series.path(i):
                if not after_utc < there.at_utc <= until_utc:
                    continue
                if best is not None and self._beyond(there.price, stop := self._stop(best)):
                    return Print(there.at_utc, stop if between else there.price)
                best = there.price if best is None else self._better(best, there.price)
        return None

    def _is_calm(self, bar: Bar, best: Decimal) -> bool:
        """No path through this bar reaches the stop, not even from its best price to its worst. (Most bars are, and a
        stop that rests for weeks passes many.)"""
        there, back = (bar.high, bar.low) if self._selling else (bar.low, bar.high)
        return not self._beyond(back, self._stop(self._better(best, there)))

    def _stop(self, best: Decimal) -> Decimal:
        return stop_price(best, self._trail, self._tick, selling=self._selling)

    def _better(self, one: Decimal, other: Decimal) -> Decimal:
        return max(one, other) if self._selling else min(one, other)

    def _beyond(self, price: Decimal, stop: Decimal) -> bool:
        return price <= stop if self._selling else price >= stop
