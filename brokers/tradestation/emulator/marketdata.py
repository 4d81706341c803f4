"""The reads of symbols and bars. PURE. Quotes are in quotes.py.

Reads of several symbols answer 200 with the good ones plus ``Errors``. The rules of bars
are the venue's [spec]; what a session template holds is in trading_days.py.
"""

from __future__ import annotations

import datetime

import msgspec

from brokers.tradestation.emulator import limits, wire
from brokers.tradestation.emulator.errors import bad_request, not_found
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.market import Bar, Interval, Series
from brokers.tradestation.emulator.query import symbols_of, when_utc, whole
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.trading_days import UNITS, template
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object

SYMBOLS_MAX = 50
BARS_MAX = 57_600
BACK_MINUTES_MAX = 500_000
INTERVAL_MAX = 1440
YEARS_MAX = 3
INVALID_SYMBOL = "FAILED, EX_INVALID_SYMBOL"


def symbols(state: State, asked: str, now: Now) -> Object:
    good: list[Object] = []
    errors: list[Object] = []
    for name in symbols_of(asked, SYMBOLS_MAX):
        about = instrument(state.market.resolve(name, now.market_utc) or "")
        if about:
            good.append(wire.symbol_object(name, about))
        else:
            errors.append({"Symbol": name, "Error": "NotFound", "Message": "Symbol not found."})
    return {"Symbols": good, "Errors": errors}


class Chart(msgspec.Struct, frozen=True):
    """What a request for bars is about, checked. ``back`` is None where a first date was given."""

    series: Series
    interval: Interval
    back: int | None

    @property
    def is_minutes(self) -> bool:
        return isinstance(self.interval, int)


def chart(state: State, symbol: str, request: Request) -> Chart:
    """Raises Refusal: 404 for a symbol without bars, 400 for what the rules forbid."""
    unit = request.query.get("unit", "Daily")
    if unit.lower() not in UNITS:
        raise bad_request(f"unit must be one of {', '.join(UNITS.values())}, got {unit!r}")
    minutes = whole(request.query, "interval", 1, 1, INTERVAL_MAX)
    in_minutes = unit.lower() == "minute"
    if minutes != 1 and not in_minutes:
        raise bad_request(f"interval must be 1 for unit {UNITS[unit.lower()]}, got {minutes}")
    back = whole(request.query, "barsback", 1, 1, BARS_MAX)
    if in_minutes and back * minutes > BACK_MINUTES_MAX:
        raise bad_request(f"barsback x interval is {back * minutes} minutes, the limit is {BACK_MINUTES_MAX}")
    first_given = "firstdate" in request.query
    if first_given and "barsback" in request.query:
        raise bad_request("barsback and firstdate exclude each other")
    series = charted(state, symbol, template(request.query.get("sessiontemplate", "Default")), in_minutes=in_minutes)
    return Chart(series, minutes if in_minutes else UNITS[unit.lower()], None if first_given else back)


def charted(state: State, symbol: str, session: str, *, in_minutes: bool) -> Series:
    """The template is ignored for all but US equities [spec]; longer bars of these hold regular hours [infer]."""
    series = state.market.charted(symbol.upper())
    if series is None:
        raise not_found(INVALID_SYMBOL)
    if series.is_future:
        hours = ""
    elif not in_minutes:
        hours = "Default"
    else:
        hours = "" if session == "Default" and state.switches.default_session == "all" else session
    return series.chart(hours, empty_minutes=state.switches.empty_minute_bars)


def bars(state: State, symbol: str, request: Request, now: Now) -> Object:
    """``barsback`` counts the forming bar, where the reply reaches now."""
    asked = chart(state, symbol, request)
    until = min(_last_utc(request), now.market_utc)
    forming = asked.series.forming(asked.interval, now.market_utc) if until == now.market_utc else None
    if asked.back is None:
        first = when_utc(request.query["firstdate"], "firstdate")
        _check_range(asked, first, until)
        closed = asked.series.closed(asked.interval, first - 1, until)
    else:
        closed = asked.series.last_closed(asked.interval, asked.back - bool(forming), until)
    if len(closed) > BARS_MAX and asked.is_minutes:
        raise bad_request(f"{len(closed)} bars were asked for, the limit is {BARS_MAX}")
    credit = limits.history_quota(state.switches) if asked.is_minutes else None
    if credit:
        state.limits.spend(credit, now.machine_s, state.switches, min(len(closed), credit.limit))
    return {"Bars": _history(closed, forming.bar if forming else None)}


def _check_range(asked: Chart, first_utc: float, until_utc: float) -> None:
    if not asked.is_minutes or until_utc <= first_utc:
        return
    first, until = (datetime.datetime.fromtimestamp(one, datetime.UTC) for one in (first_utc, until_utc))
    if (until.year - YEARS_MAX, *until.timetuple()[1:6]) > (first.year, *first.timetuple()[1:6]):
        raise bad_request(
            f"a range of minute bars is at most {YEARS_MAX} calendar years, got {first:%Y-%m-%d} to {until:%Y-%m-%d}"
        )


def _history(closed: list[Bar], forming: Bar | None) -> list[wire.BarObject]:
    shown = [wire.bar_object(bar, status="Closed", realtime=False, end_of_history=False) for bar in closed]
    if forming:
        shown.append(wire.bar_object(forming, status="Open", realtime=True, end_of_history=False))
    if shown:
        shown[-1].is_end_of_history = True
    return shown


def _last_utc(request: Request) -> float:
    """``startdate``, despite its name, is the deprecated spelling of ``lastdate``."""
    given = [name for name in ("lastdate", "startdate") if name in request.query]
    if len(given) > 1:
        raise bad_request("lastdate and startdate exclude each other")
    return when_utc(request.query[given[0]], given[0]) if given else float("inf")
