"""The recorded week as the market of a simulation, repeated for as long as it lasts, dates moved by whole weeks.

The days of the week and the hours of the day stay true, so that quiet nights and the weekend come where they belong.
"""

from __future__ import annotations

from functools import cache

import msgspec

from brokers.tradestation.emulator.load import load_market
from brokers.tradestation.emulator.market import Bar, Market, Series

SYMBOLS = ("ESZ13", "SPY")
WEEK_S = 7 * 86_400
BEGINS_UTC = 1_381_096_800
"""2013-10-06T22:00:00Z, Sunday: the futures market opens; SPY follows on Monday morning."""


@cache
def market(weeks: int) -> Market:
    """Both symbols over so many weeks. Nothing in a market changes, so simulations share it."""
    recorded = load_market(SYMBOLS)
    return Market([_repeated(series, weeks) for name in SYMBOLS if (series := recorded.series(name))])


def _repeated(series: Series, weeks: int) -> Series:
    week = series.closed(1, BEGINS_UTC, BEGINS_UTC + WEEK_S)
    return Series(series.symbol, tuple(_moved(bar, number) for number in range(weeks) for bar in week))


def _moved(bar: Bar, weeks: int) -> Bar:
    return msgspec.structs.replace(bar, stamp_utc=bar.stamp_utc + weeks * WEEK_S) if weeks else bar
