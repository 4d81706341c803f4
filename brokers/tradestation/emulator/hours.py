"""When an instrument trades: the exchange's sessions in New York time. PURE.

Futures: 18:00 to 17:00 of the next day, Sunday evening to Friday ([spec] pauses 17:00 to 18:00; until September 2015
the exchange closed at 17:15). Stocks: 09:30 to 16:00, extended 04:00 to 20:00 [infer]; on a half-day to 13:00,
extended to 17:00. Holidays are not known here, nor the half-days of futures: on them a session is as long as ever, and
a DAY order ends at its usual time.
"""

from __future__ import annotations

import datetime
from functools import lru_cache

import msgspec

from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.trading_days import NEW_YORK, is_half_day

DAY_S = 86_400
HOUR_S = 3_600
MINUTE_S = 60
_HALF_DAY_MINUTES = 3 * 60  # so much earlier
_EPOCH = datetime.date(1970, 1, 1)
_LAST_LATE_CLOSE = (datetime.date(2015, 9, 18) - _EPOCH).days
_EPOCH_WEEKDAY = 3  # the epoch was a Thursday, Monday is 0
_WEEKEND = (5, 6)


class Session(msgspec.Struct, frozen=True):
    """Open from ``opens_utc`` up to but not at ``closes_utc``; ``day`` is its trading date, in days since 1970."""

    day: int
    opens_utc: float
    closes_utc: float


def session_at(about: Instrument, at_utc: float, *, extended: bool = False) -> Session:
    """The session in which this moment lies, else the next one."""
    kind = "future" if about.is_future else "extended" if extended else "stock"
    day = new_york_day(at_utc)
    while True:
        session = _session(kind, day)
        if session is not None and at_utc < session.closes_utc:
            return session
        day += 1


def session_of(about: Instrument, day: int, *, extended: bool = False) -> Session:
    """The session of this date, else the next one after it."""
    kind = "future" if about.is_future else "extended" if extended else "stock"
    while (session := _session(kind, day)) is None:
        day += 1
    return session


def is_open(about: Instrument, at_utc: float, *, extended: bool = False) -> bool:
    return session_at(about, at_utc, extended=extended).opens_utc <= at_utc


def new_york_day(at_utc: float) -> int:
    return int((at_utc + _offset_s(int(at_utc // HOUR_S))) // DAY_S)


def midnight_utc(day: int) -> float:
    """When this day of New York begins."""
    return _utc(day, 0)


def new_york_second(at_utc: float) -> float:
    """Seconds since New York's midnight."""
    return (at_utc + _offset_s(int(at_utc // HOUR_S))) % DAY_S


@lru_cache(4096)
def _session(kind: str, day: int) -> Session | None:
    if (day + _EPOCH_WEEKDAY) % 7 in _WEEKEND:
        return None
    if kind == "future":
        closes_minute = 17 * 60 + (15 if day <= _LAST_LATE_CLOSE else 0)
        return Session(day, _utc(day - 1, 18 * 60), _utc(day, closes_minute))
    early_minutes = _HALF_DAY_MINUTES if is_half_day(_EPOCH + datetime.timedelta(day)) else 0
    if kind == "extended":
        return Session(day, _utc(day, 4 * 60), _utc(day, 20 * 60 - early_minutes))
    return Session(day, _utc(day, 9 * 60 + 30), _utc(day, 16 * 60 - early_minutes))


def _utc(day: int, minute: int) -> float:
    """Nothing begins or ends in the hours in which the clocks change (at two at night), so the offset of about then
    will do."""
    local_s = day * DAY_S + minute * MINUTE_S
    return float(local_s - _offset_s((local_s + 5 * HOUR_S) // HOUR_S))


@lru_cache(4096)
def _offset_s(hour: int) -> int:
    """New York's offset in this hour since 1970."""
    offset = datetime.datetime.fromtimestamp(hour * HOUR_S, NEW_YORK).utcoffset()
    return int(offset.total_seconds()) if offset else 0
