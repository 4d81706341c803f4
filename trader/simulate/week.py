"""The recorded week as the market of a simulation, repeated for as long as it lasts, dates moved by whole weeks.

The days of the week and New York's hours of the day stay true, also over a change of its clocks, so that quiet nights,
the weekend and the market's hours come where they belong.
"""

from __future__ import annotations

from functools import cache

import msgspec

from brokers.tradestation.emulator.hours import new_york_second
from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.market import Bar, Market, Series

SYMBOLS = ("ESZ13", "SPY")
TWIN, TWIN_OF = "IVV", "SPY"
"""Another fund on the same index, with the very prices: a second symbol for an account of stocks."""
DAY_S = 86_400
HALF_S = DAY_S // 2
WEEK_S = 7 * DAY_S
BEGINS_UTC = 1_381_096_800
"""2013-10-06T22:00:00Z, Sunday: the futures market opens; SPY follows on Monday morning."""


@cache
def market(weeks: int) -> Market:
    """Both symbols and the twin over so many weeks. Nothing in a market changes, so simulations share it."""
    recorded = load_market(SYMBOLS)
    repeated = [_repeated(series, weeks) for name in SYMBOLS if (series := recorded.series(name))]
    return Market([*repeated, *(Series(TWIN, series.bars) for series in repeated if series.symbol == TWIN_OF)])


def _repeated(series: Series, weeks: int) -> Series:
    week = series.closed(1, BEGINS_UTC, BEGINS_UTC + WEEK_S)
    return Series(series.symbol, tuple(_moved(bar, number) for number in range(weeks) for bar in week))


def _moved(bar: Bar, weeks: int) -> Bar:
    if not weeks:
        return bar
    stamp_utc = bar.stamp_utc + weeks * WEEK_S
    earlier_s = int(new_york_second(bar.stamp_utc) - new_york_second(stamp_utc))
    return msgspec.structs.replace(bar, stamp_utc=stamp_utc + (earlier_s + HALF_S) % DAY_S - HALF_S)
