"""The one place that knows exchange-calendars: the hours of a calendar over a range of days. EDGE: loads the library.

What the library leaves out is put right here: futures of the CME group pause each day (its ``CMES`` goes round the
clock), and stocks trade before and after regular hours. Loaded by the process that writes hours, and by nobody else.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

import exchange_calendars
from exchange_calendars.errors import CalendarError

from trader.hours.market_hours import DAY_S, EXTENDED, FUTURES, STOCKS

Interval = tuple[int, int]

CHICAGO = ZoneInfo("America/Chicago")
SOURCE = f"exchange_calendars {exchange_calendars.__version__}"
_NANOSECONDS = 10**9
_DAY_ENDS = datetime.time(17)
_PAUSE_S = 3600
_PAUSE_ONCE_S = 2700
_LAST_LATE_CLOSE = datetime.date(2015, 9, 18)
"""Until this Friday the pause began at 16:15 Chicago, from then on at 16:00."""
_BEFORE_S = 19_800
_AFTER_S = 14_400
"""Extended hours of US stocks: 04:00 to 20:00 New York, and four hours after the close of a half-day."""


class NoCalendar(Exception):
    """There are no hours of this calendar; the message says why and what to do."""


def hours_of(calendar: str, from_utc: int, until_utc: int) -> list[Interval]:
    """Open intervals that begin and end in this time; of touching days each its own. Raises ``NoCalendar``."""
    name = calendar.removesuffix(EXTENDED)
    if name != calendar and name != STOCKS:
        raise NoCalendar(f"calendar {calendar!r}: extended hours are known of {STOCKS} only")
    try:
        found = exchange_calendars.get_calendar(name, start=_day(from_utc - DAY_S), end=_day(until_utc + DAY_S))
    except (CalendarError, ValueError) as error:
        why = " ".join(str(error).split())
        raise NoCalendar(f"calendar {calendar!r} from {_day(from_utc)} to {_day(until_utc)}: {why}") from error
    days = zip(
        *(_seconds(each) for each in (found.opens_nanos, found.break_starts_nanos)),
        *(_seconds(each) for each in (found.break_ends_nanos, found.closes_nanos)),
        strict=True,
    )
    intervals = [part for day in days for part in _parts(*day)]
    if found.name == FUTURES:
        intervals = list(with_pause(intervals))
    elif name != calendar:
        intervals = [(opens - _BEFORE_S, closes + _AFTER_S) for opens, closes in intervals]
    return [part for part in intervals if part[1] > from_utc and part[0] < until_utc]


def with_pause(days: Iterable[Interval]) -> Iterator[Interval]:
    """Futures of the CME group: a day that ends at 17:00 Chicago ends for trading an hour before; one that ends early
    does so when it says."""
    for opens, closes in days:
        end = datetime.datetime.fromtimestamp(closes, CHICAGO)
        if end.time() != _DAY_ENDS:
            yield opens, closes
        else:
            yield opens, closes - (_PAUSE_S if end.date() > _LAST_LATE_CLOSE else _PAUSE_ONCE_S)


def _parts(opens: int, break_starts: int, break_ends: int, closes: int) -> Iterator[Interval]:
    """A day, or its two halves. A break that there is not is the least of all numbers (NaT)."""
    if break_starts < 0:
        yield opens, closes
    else:
        yield opens, break_starts
        yield break_ends, closes


def _seconds(nanoseconds: Iterable[int]) -> Iterator[int]:
    return (int(each) // _NANOSECONDS for each in nanoseconds)


def _day(at_utc: int) -> str:
    return datetime.datetime.fromtimestamp(at_utc, datetime.UTC).date().isoformat()
