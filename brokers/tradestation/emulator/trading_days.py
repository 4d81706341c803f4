"""Days and hours of the markets: trading days, regular hours of stocks, where longer bars end. PURE.

Regular hours are 09:30 to 16:00 New York, to 13:00 on a half-day. A futures day ends at 17:00 New York (17:15 until
September 2015), and what trades after it belongs to the next weekday. Daily bars are stamped with the end of their day
[client 2, real for 16:00; infer for futures and half-days].
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from brokers.tradestation.emulator.errors import bad_request

NEW_YORK = ZoneInfo("America/New_York")
UNITS = {"minute": "Minute", "daily": "Daily", "weekly": "Weekly", "monthly": "Monthly"}
TEMPLATES = {
    "default": "Default",
    "useqpre": "USEQPre",
    "useqpost": "USEQPost",
    "useqpreandpost": "USEQPreAndPost",
    "useq24hour": "USEQ24Hour",
}
"""What each adds to the regular hours: the time before, after, both [infer from the names]."""
_OPEN_S = 9 * 3600 + 1800
_CLOSE_S = 16 * 3600
_HALF_S = 13 * 3600
_FUTURES_END_S = 17 * 3600
_FUTURES_END_ONCE_S = 17 * 3600 + 900
_LAST_LATE_END = datetime.date(2015, 9, 18)
_DAY_S = 86_400
_FRIDAY = 4
_HALF_DAYS_TEXT = """
    2007 07-03 11-23 12-24
    2008 07-03 11-28 12-24
    2009 11-27 12-24
    2010 11-26
    2011 11-25
    2012 07-03 11-23 12-24
    2013 07-03 11-29 12-24
    2014 07-03 11-28 12-24
    2015 11-27 12-24
    2016 11-25
    2017 07-03 11-24
    2018 07-03 11-23 12-24
    2019 07-03 11-29 12-24
    2020 11-27 12-24
    2021 11-26
    2022 11-25
    2023 07-03 11-24
    2024 07-03 11-29 12-24
    2025 07-03 11-28 12-24
    2026 11-27 12-24
"""
"""Of the New York Stock Exchange, 2007 to 2027; from the Python package exchange_calendars 4.13.2, Apache-2.0."""
_HALF_DAYS = frozenset(
    f"{line.split()[0]}-{day}" for line in _HALF_DAYS_TEXT.split("\n") if line.strip() for day in line.split()[1:]
)


def is_half_day(date: datetime.date) -> bool:
    """Whether the stock exchange closes at 13:00."""
    return date.isoformat() in _HALF_DAYS


def template(text: str) -> str:
    """Raises Refusal(400)."""
    if text.lower() not in TEMPLATES:
        raise bad_request(f"sessiontemplate must be one of {', '.join(TEMPLATES.values())}, got {text!r}")
    return TEMPLATES[text.lower()]


def in_session(stamp_utc: int, name: str) -> bool:
    """Whether a stock's minute bar of this stamp belongs to the session of this template."""
    if name in ("USEQPreAndPost", "USEQ24Hour"):
        return True
    date, second = _local(stamp_utc)
    if date.weekday() > _FRIDAY:
        return False
    early_enough = second <= _close_s(date) or name == "USEQPost"
    return early_enough and (second > _OPEN_S or name == "USEQPre")


def bar_end(stamp_utc: int, unit: str, *, future: bool) -> int:
    """The stamp of the Daily, Weekly or Monthly bar that holds the minute bar of this stamp."""
    date, second = _local(stamp_utc)
    if future and second > _end_s(date, future):
        date += datetime.timedelta(1)
    while date.weekday() > _FRIDAY:
        date += datetime.timedelta(1)
    if unit == "Weekly":
        date += datetime.timedelta(_FRIDAY - date.weekday())
    if unit == "Monthly":
        date = _last_weekday(date.year, date.month)
    return _end_utc(date, future)


def _local(stamp_utc: int) -> tuple[datetime.date, int]:
    """New York date and second of the day of the stamp; midnight is the end of a day, not the begin of one."""
    moment = datetime.datetime.fromtimestamp(stamp_utc - 1, NEW_YORK)
    return moment.date(), moment.hour * 3600 + moment.minute * 60 + moment.second + 1


def _end_s(date: datetime.date, future: bool) -> int:
    if future:
        return _FUTURES_END_S if date > _LAST_LATE_END else _FUTURES_END_ONCE_S
    return _close_s(date)


def _close_s(date: datetime.date) -> int:
    return _HALF_S if is_half_day(date) else _CLOSE_S


@lru_cache(4096)
def _end_utc(date: datetime.date, future: bool) -> int:
    minute = _end_s(date, future) // 60
    end = datetime.datetime(date.year, date.month, date.day, minute // 60, minute % 60, tzinfo=NEW_YORK)
    return int(end.timestamp())


def _last_weekday(year: int, month: int) -> datetime.date:
    first_of_next = datetime.date(year + month // 12, month % 12 + 1, 1)
    date = first_of_next - datetime.timedelta(1)
    while date.weekday() > _FRIDAY:
        date -= datetime.timedelta(1)
    return date
