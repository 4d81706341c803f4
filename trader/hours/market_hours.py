"""When a market is open: intervals of UTC by calendar, and what follows from them for a moment. PURE.

The intervals come from the store, where ``trader/hours/writer.py`` puts them. What is not known there is *unknown*,
never closed: nothing is concluded from it, and it is said (docs/decisions/0019). Of two calendars of one symbol, one
tells when bars are due, the other when entries may go: the desk's orders are for regular hours.
"""

from __future__ import annotations

import datetime
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

STOCKS = "XNYS"
FUTURES = "CMES"
EXTENDED = "/extended"
"""Suffix of a stock exchange's calendar with the time before and after its regular hours."""
STANDARD = (STOCKS, STOCKS + EXTENDED, FUTURES)
"""Always in the store, so that a new session need not wait for its hours."""
BACK_DAYS, AHEAD_DAYS = 60, 370
"""What the store holds around the day it was written: two months for catching up, a year so that a writer which fails
for weeks costs nothing."""
DAY_S = 86_400
RENEWED_AFTER_S = DAY_S
"""Market seconds after which the store's hours are written anew: a calendar's early warnings come days before."""
CLOSING_S = 300.0

_STOCK = re.compile(r"[A-Z]{1,5}(\.[A-Z])?")
_FUTURE = re.compile(r"@([A-Z0-9]{1,3})|([A-Z0-9]{1,3}?)[FGHJKMNQUVXZ]\d\d")
_CME_ROOT = re.compile(r"M?(ES|NQ|YM|GC|CL)|RTY|M2K|EMD|SIL?|HG|PL|PA|Q[MG]|NG|HO|RB")
"""Futures on indices, metals and energy of the CME group, which trade from 17:00 to 16:00 Chicago. Grains, livestock
and other exchanges' futures have other hours, and are unknown until the configuration names their calendar."""
_LABEL_S = 6 * 3600
"""So long before a trading day ends it is its own date by UTC: also where it ends after midnight there."""
_WEEKEND = (5, 6)


class Phase(StrEnum):
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Moment(msgspec.Struct, frozen=True):
    """The phase of a market, since when and until when by the calendar. Of an unknown one both are 0."""

    phase: Phase
    began_utc: float = 0.0
    until_utc: float = 0.0


class HoursConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[market_hours]`` of nightdesk.toml. ``calendars``: of a symbol, or of all contracts of a future's root (ES),
    where it is not the one by kind. ``extended``: stocks whose bars are due before and after regular hours too.
    ``closing_s``: market seconds before each close in which no entry goes."""

    calendars: dict[str, str] = {}
    extended: tuple[str, ...] = ()
    closing_s: float = CLOSING_S


class MarketHours(msgspec.Struct, frozen=True):
    """Open from ``opens_utc[i]`` up to but not at ``closes_utc[i]``; known from ``from_utc`` up to ``until_utc``."""

    opens_utc: tuple[int, ...] = ()
    closes_utc: tuple[int, ...] = ()
    from_utc: int = 0
    until_utc: int = 0

    def knows(self, at_utc: float) -> bool:
        return self.from_utc <= at_utc < self.until_utc

    def moment(self, now_utc: float, closing_s: float = 0.0) -> Moment:
        if not self.knows(now_utc):
            return Moment(Phase.UNKNOWN)
        at = bisect_right(self.opens_utc, now_utc) - 1
        if at >= 0 and now_utc < self.closes_utc[at]:
            opened, closes = self.opens_utc[at], self.closes_utc[at]
            closing_utc = max(opened, closes - closing_s)
            if now_utc < closing_utc:
                return Moment(Phase.OPEN, opened, closing_utc)
            return Moment(Phase.CLOSING, closing_utc, closes)
        closed = self.closes_utc[at] if at >= 0 else self.from_utc
        return Moment(Phase.CLOSED, closed, self.next_open(now_utc) or self.until_utc)

    def phase(self, now_utc: float, closing_s: float = 0.0) -> Phase:
        return self.moment(now_utc, closing_s).phase

    def next_open(self, after_utc: float) -> int | None:
        at = bisect_right(self.opens_utc, after_utc)
        return self.opens_utc[at] if at < len(self.opens_utc) else None

    def next_close(self, after_utc: float) -> int | None:
        at = bisect_right(self.closes_utc, after_utc)
        return self.closes_utc[at] if at < len(self.closes_utc) else None

    def trades_between(self, after_utc: float, until_utc: float) -> bool:
        """Whether the market is open, or may be for all that is known, in any moment of this time."""
        if after_utc >= until_utc:
            return False
        if not self.knows(after_utc) or until_utc > self.until_utc:
            return True
        at = bisect_right(self.closes_utc, after_utc)
        return at < len(self.opens_utc) and self.opens_utc[at] < until_utc

    def due(self, after_utc: int, interval_s: int) -> int:
        """The stamp of the next bar of a series that is complete up to ``after_utc``: bars bear their end, one that
        lies wholly outside the hours is not due, and the first of a day begins when the market opens."""
        following = after_utc + interval_s
        if not self.knows(after_utc) or self.trades_between(after_utc, following):
            return following
        opens = self.next_open(after_utc)
        if opens is None:
            return max(following, self.until_utc)
        return opens + interval_s

    def days_off(self, from_utc: float, days: int) -> tuple[datetime.date, ...]:
        """Of so many days, those from Monday to Friday on which no trading day ends: holidays."""
        first = datetime.datetime.fromtimestamp(from_utc, datetime.UTC).date()
        ends = {datetime.datetime.fromtimestamp(each - _LABEL_S, datetime.UTC).date() for each in self.closes_utc}
        found = []
        for day in (first + datetime.timedelta(number) for number in range(days)):
            noon_utc = datetime.datetime.combine(day, datetime.time(12), datetime.UTC).timestamp()
            known = self.knows(noon_utc) and self.knows(noon_utc + DAY_S)
            if known and day.weekday() not in _WEEKEND and day not in ends and self.phase(noon_utc) is Phase.CLOSED:
                found.append(day)
        return tuple(found)

    def short_days(self, from_utc: float, days: int) -> tuple[datetime.date, ...]:
        """Of so many days, those of which a trading day is shorter than most: half-days."""
        lengths = [closes - opens for opens, closes in zip(self.opens_utc, self.closes_utc, strict=True)]
        usual_s = max(set(lengths), key=lengths.count, default=0)
        ends = [
            closes
            for closes, length in zip(self.closes_utc, lengths, strict=True)
            if length < usual_s and from_utc < closes < from_utc + days * DAY_S
        ]
        return tuple(datetime.datetime.fromtimestamp(each - _LABEL_S, datetime.UTC).date() for each in ends)


UNKNOWN_HOURS = MarketHours()


def market_hours(intervals: Iterable[tuple[int, int]], from_utc: int, until_utc: int) -> MarketHours:
    """Of intervals in any sequence; those that touch are one (round the clock: no close at midnight)."""
    opens: list[int] = []
    closes: list[int] = []
    for opened, closed in sorted(intervals):
        if closes and opened <= closes[-1]:
            closes[-1] = max(closes[-1], closed)
        elif closed > opened:
            opens.append(opened)
            closes.append(closed)
    return MarketHours(tuple(opens), tuple(closes), from_utc, until_utc)


def root_of(symbol: str) -> str:
    """Of a dated contract or a continuous series (ESZ13, @ES); "" of anything else."""
    found = _FUTURE.fullmatch(symbol)
    return (found[1] or found[2]) if found else ""


def calendar_of(symbol: str, config: HoursConfig) -> str:
    """By which entries may go; "" where nobody has said it and the symbol does not tell."""
    root = root_of(symbol)
    named = config.calendars.get(symbol) or config.calendars.get(root)
    if named:
        return named
    if _CME_ROOT.fullmatch(root):
        return FUTURES
    return STOCKS if _STOCK.fullmatch(symbol) else ""


def bars_calendar_of(symbol: str, config: HoursConfig) -> str:
    """By which bars are due."""
    calendar = calendar_of(symbol, config)
    return calendar + EXTENDED if symbol in config.extended and calendar else calendar


def calendars_of(config: HoursConfig) -> tuple[str, ...]:
    """All that the store should have."""
    named = {*STANDARD, *config.calendars.values()}
    named |= {bars_calendar_of(symbol, config) for symbol in config.extended}
    return tuple(sorted(named - {""}))


def entry_refusal(symbol: str, moment: Moment) -> str:
    """Why the hours forbid an entry; "" where they do not. Unknown hours forbid none: a bar that is not late is then
    what shows that the market is open."""
    until = utc_text(moment.until_utc)
    if moment.phase is Phase.CLOSED:
        return f"the market of {symbol} is closed since {utc_text(moment.began_utc)}; it opens {until}"
    if moment.phase is Phase.CLOSING:
        return f"the market of {symbol} closes {until}: no entry goes since {utc_text(moment.began_utc)}"
    return ""


def said(phase: Phase, until_utc: float) -> str:
    """In words, for people."""
    if phase is Phase.UNKNOWN:
        return "market hours unknown"
    word = "opens" if phase is Phase.CLOSED else "closes" if phase is Phase.CLOSING else "until"
    return f"market {phase}, {word} {utc_text(until_utc)}"


def utc_text(at_utc: float) -> str:
    return datetime.datetime.fromtimestamp(at_utc, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def renewal_due(written_utc: Mapping[str, float], config: HoursConfig, now_utc: float) -> bool:
    """Whether the store's hours are to be written anew: a calendar is missing, or is a day old (or from a clock that
    has since gone back)."""
    ages_s = [abs(now_utc - written_utc.get(calendar, 0.0)) for calendar in calendars_of(config)]
    return max(ages_s) > RENEWED_AFTER_S
