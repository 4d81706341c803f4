"""Where a trailing stop is when the market turns: it follows the best print since it was armed. PURE."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from brokers.tradestation.emulator.book import Trail
from brokers.tradestation.emulator.market import MINUTE_S, QUARTER_S, Print, Series

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
        for at_utc, price, opens in self._prints(after_utc, until_utc, open_at):
            if best is None:
                best = price
                continue
            stop = stop_price(best, self._trail, self._tick, selling=self._selling)
            if price <= stop if self._selling else price >= stop:
                return Print(at_utc, price if opens else stop)
            best = max(best, price) if self._selling else min(best, price)
        return None

    def _prints(
        self, after_utc: float, until_utc: float, open_at: Callable[[float], bool]
    ) -> Iterator[tuple[float, Decimal, bool]]:
        bars, stamps = self._series.bars, self._series.stamps
        for i in range(bisect_right(stamps, after_utc), len(stamps)):
            opened_utc = stamps[i] - MINUTE_S
            if opened_utc > until_utc:
                return
            if not open_at(opened_utc):
                continue
            for n, price in enumerate(bars[i].prints()):
                at_utc = opened_utc + n * QUARTER_S
                if after_utc < at_utc <= until_utc:
                    yield at_utc, price, n == 0
