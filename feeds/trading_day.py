"""The trading day of an account: by what day its orders and losses are counted. PURE.

New York's day; of a futures account it ends at 17:00 New York, and what comes after it belongs to the next day. What
falls on a weekend belongs to Monday. Holidays are days of their own: nothing trades on them, so nothing is counted.
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
FUTURES = "Futures"
"""The venue's kind of an account whose day ends early."""
FUTURES_END_HOUR = 17
_FRIDAY = 4
_DAY = datetime.timedelta(days=1)
_HOUR_S = 3600


def trading_day(now_utc: float, kind: str) -> datetime.date:
    """The day that a moment of market time belongs to."""
    local = datetime.datetime.fromtimestamp(now_utc, NEW_YORK)
    day = local.date()
    if kind == FUTURES and local.hour >= FUTURES_END_HOUR:
        day += _DAY
    while day.weekday() > _FRIDAY:
        day += _DAY
    return day


def before_utc(began: float, kind: str) -> float:
    """When the trading day began that ended as this one began."""
    return began_utc(began - 1.0, kind)


def began_utc(now_utc: float, kind: str) -> float:
    """When the trading day of this moment began. Asked for each entry, so reckoned once an hour: days begin on full
    hours, here as in UTC."""
    return _began_utc(int(now_utc // _HOUR_S), kind)


@lru_cache(maxsize=64)
def _began_utc(hour: int, kind: str) -> float:
    before = trading_day(hour * _HOUR_S, kind) - _DAY
    while before.weekday() > _FRIDAY:
        before -= _DAY
    if kind == FUTURES:
        began = datetime.datetime.combine(before, datetime.time(FUTURES_END_HOUR), NEW_YORK)
    else:
        began = datetime.datetime.combine(before + _DAY, datetime.time.min, NEW_YORK)
    return began.timestamp()
