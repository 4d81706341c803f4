"""The reads of symbols, quotes and bars. PURE.

Reads of several symbols answer 200 with the good ones plus ``Errors`` (tradestation-v3, section 2).
"""

from __future__ import annotations

from decimal import Decimal

from brokers.tradestation.emulator import wire
from brokers.tradestation.emulator.errors import bad_request, not_found
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.market import Bar, Series
from brokers.tradestation.emulator.query import split, when_utc, whole
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object

SYMBOLS_MAX = 50
QUOTES_MAX = 100
BARS_MAX = 57_600
BACK_MINUTES_MAX = 500_000
INTERVAL_MAX = 1440
_DAY_S = 86_400


# Symbols and quotes


def symbols(state: State, asked: str, now: Now) -> Object:
    good: list[Object] = []
    errors: list[Object] = []
    for name in split(asked, SYMBOLS_MAX, "symbols"):
        about = instrument(state.market.resolve(name, now.market_utc) or "")
        if about:
            good.append(wire.symbol_object(name, about))
        else:
            errors.append({"Symbol": name, "Error": "NotFound", "Message": "Symbol not found."})
    return {"Symbols": good, "Errors": errors}


def quotes(state: State, asked: str, now: Now) -> Object:
    good: list[Object] = []
    errors: list[Object] = []
    for name in split(asked, QUOTES_MAX, "symbols"):
        series = state.market.series(state.market.resolve(name, now.market_utc) or "")
        quote = _quote(name, series, now) if series else None
        if quote:
            good.append(quote)
        else:
            errors.append({"Symbol": name, "Error": "FAILED, INVALID SYMBOL"})
    return {"Quotes": good, "Errors": errors}


def _quote(name: str, series: Series, now: Now) -> Object | None:
    """From the minute bars of this day (UTC); None before the first print."""
    last = series.last_print(now.market_utc)
    if last is None:
        return None
    midnight = now.market_utc // _DAY_S * _DAY_S
    today = series.closed(1, midnight, now.market_utc)
    forming = series.forming(1, now.market_utc)
    today += [forming.bar] if forming else []
    earlier = series.last_closed(1, 1, midnight)
    return {**_quote_of_day(today, last.price), **_quote_now(name, last.price, last.at_utc, earlier)}


def _quote_of_day(today: list[Bar], last: Decimal) -> Object:
    return {
        "Open": wire.number(today[0].open if today else last),
        "High": wire.number(max((bar.high for bar in today), default=last)),
        "Low": wire.number(min((bar.low for bar in today), default=last)),
        "Volume": str(sum(bar.volume for bar in today)),
    }


def _quote_now(name: str, last: Decimal, at_utc: float, earlier: list[Bar]) -> Object:
    previous = earlier[0].close if earlier else last
    return {
        "Symbol": name,
        "PreviousClose": wire.number(previous),
        "Last": wire.number(last),
        "Ask": wire.number(last),
        "AskSize": "0",
        "Bid": wire.number(last),
        "BidSize": "0",
        "NetChange": wire.number(last - previous),
        "NetChangePct": wire.number(((last - previous) / previous * 100).quantize(Decimal("0.0001"))),
        "Close": wire.number(last),
        "TradeTime": wire.time_text(at_utc),
        "TickSizeTier": "0",
        "MarketFlags": {"IsDelayed": False, "IsHardToBorrow": False, "IsBats": False, "IsHalted": False},
    }


# Bars


def bars(state: State, symbol: str, request: Request, now: Now) -> Object:
    """``barsback`` counts the forming bar, where the reply reaches now."""
    series = charted(state, symbol, now)
    interval = minutes(request)
    until = min(_last_utc(request), now.market_utc)
    forming = series.forming(interval, now.market_utc) if until == now.market_utc else None
    back = bars_back(request, interval)
    if "firstdate" in request.query:
        if "barsback" in request.query:
            raise bad_request("barsback and firstdate exclude each other")
        closed = series.closed(interval, when_utc(request.query["firstdate"], "firstdate") - 1, until)
    else:
        closed = series.last_closed(interval, back - bool(forming), until)
    if len(closed) > BARS_MAX:
        raise bad_request(f"{len(closed)} bars were asked for, the limit is {BARS_MAX}")
    return {"Bars": _history(closed, forming.bar if forming else None)}


def _history(closed: list[Bar], forming: Bar | None) -> list[wire.BarObject]:
    shown = [wire.bar_object(bar, status="Closed", realtime=False, end_of_history=False) for bar in closed]
    if forming:
        shown.append(wire.bar_object(forming, status="Open", realtime=True, end_of_history=False))
    if shown:
        shown[-1].is_end_of_history = True
    return shown


def charted(state: State, symbol: str, now: Now) -> Series:
    series = state.market.series(state.market.resolve(symbol, now.market_utc) or "")
    if series is None:
        raise not_found("FAILED, EX_INVALID_SYMBOL")
    return series


def minutes(request: Request) -> int:
    """The interval. Only unit Minute is served; the venue's default is Daily, so it must be named."""
    unit = request.query.get("unit", "Daily")
    if unit.lower() != "minute":
        raise bad_request(f"unit {unit} is not served by this emulator, only Minute")
    return whole(request.query, "interval", 1, 1, INTERVAL_MAX)


def bars_back(request: Request, interval: int) -> int:
    back = whole(request.query, "barsback", 1, 1, BARS_MAX)
    if back * interval > BACK_MINUTES_MAX:
        raise bad_request(f"barsback x interval is {back * interval} minutes, the limit is {BACK_MINUTES_MAX}")
    return back


def _last_utc(request: Request) -> float:
    """``startdate``, despite its name, is the deprecated spelling of ``lastdate``."""
    given = [name for name in ("lastdate", "startdate") if name in request.query]
    if len(given) > 1:
        raise bad_request("lastdate and startdate exclude each other")
    return when_utc(request.query[given[0]], given[0]) if given else float("inf")
