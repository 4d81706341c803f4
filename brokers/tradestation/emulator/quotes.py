"""Quotes: the snapshot, and what a change stream sends after it. PURE.

A day is one of UTC. Bid and ask come from the quote file of the symbol; without one they show the last price. Open
interest is not in the data, nor without ticks the size of the last trade: both are 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from brokers.tradestation.emulator import wire
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.market import Bar, Print, Quote, Series
from brokers.tradestation.emulator.query import symbols_of
from brokers.tradestation.emulator.values import Now
from brokers.tradestation.emulator.wire import Object

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

QUOTES_MAX = 100
YEAR_S = 52 * 7 * 86_400
_DAY_S = 86_400
_FOUR_PLACES = Decimal("0.0001")
_PERCENT = "NetChangePct"


def quotes(state: State, asked: str, now: Now) -> Object:
    good: list[Object] = []
    errors: list[Object] = []
    for name in names(asked):
        quote = quote_object(state, name, now)
        if quote:
            good.append(quote)
        else:
            errors.append(bad_symbol(name))
    return {"Quotes": good, "Errors": errors}


def names(asked: str) -> tuple[str, ...]:
    return tuple(symbols_of(asked, QUOTES_MAX))


def bad_symbol(name: str) -> Object:
    return {"Symbol": name, "Error": "FAILED, INVALID SYMBOL"}


def series_of(state: State, name: str, now: Now) -> Series | None:
    return state.market.series(state.market.resolve(name, now.market_utc) or "")


def quote_object(state: State, name: str, now: Now) -> Object | None:
    """None for a symbol that is not served, or has not traded yet."""
    series = series_of(state, name, now)
    last = series.last_print(now.market_utc) if series else None
    if series is None or last is None:
        return None
    midnight = now.market_utc // _DAY_S * _DAY_S
    today = series.closed(1, midnight, now.market_utc)
    forming = series.forming(1, now.market_utc)
    today += [forming.bar] if forming else []
    earlier = series.last_closed(1, 1, midnight)
    return {
        "Symbol": name,
        **_day(today, last.price),
        **_last(last, earlier[0].close if earlier else last.price),
        **_sizes(series, now, earlier),
        **_year(series, now),
        **_sides(series.quotes.at(now.market_utc) if series.quotes else Quote(last.price, 0, last.price, 0)),
        "TickSizeTier": "0",
        "MarketFlags": {"IsDelayed": False, "IsHardToBorrow": False, "IsBats": False, "IsHalted": False},
    }


def in_stream(quote: Object) -> Object:
    """The same as the stream tells it: the change in percent is a fraction there [spec]."""
    return {**quote, _PERCENT: wire.number(Decimal(quote[_PERCENT]) / 100)}


def changed(before: Object, after: Object) -> Object:
    """Only what has changed, and whose it is; empty where nothing has."""
    fields = {name: value for name, value in after.items() if before.get(name) != value}
    return {"Symbol": after["Symbol"], **fields} if fields else {}


def _day(today: list[Bar], last: Decimal) -> Object:
    volume = sum(bar.volume for bar in today)
    paid = sum((bar.volume * (bar.high + bar.low + bar.close) / 3 for bar in today), Decimal(0))
    return {
        "Open": wire.number(today[0].open if today else last),
        "High": wire.number(max((bar.high for bar in today), default=last)),
        "Low": wire.number(min((bar.low for bar in today), default=last)),
        "Volume": str(volume),
        "VWAP": wire.number((paid / volume).quantize(_FOUR_PLACES) if volume else last),
    }


def _last(last: Print, previous: Decimal) -> Object:
    change = last.price - previous
    return {
        "PreviousClose": wire.number(previous),
        "Last": wire.number(last.price),
        "NetChange": wire.number(change),
        _PERCENT: wire.number((change / previous * 100).quantize(_FOUR_PLACES)),
        "Close": wire.number(last.price),
        "TradeTime": wire.time_text(last.at_utc),
    }


def _sizes(series: Series, now: Now, earlier: list[Bar]) -> Object:
    """The volume of the last day before this one that traded. What the data do not hold is 0, as sizes of bid and ask
    are: there are clients that take no quote without these fields."""
    before: list[Bar] = []
    if earlier:
        midnight = (earlier[0].stamp_utc - 1) // _DAY_S * _DAY_S
        before = series.closed(1, midnight, midnight + _DAY_S)
    about = instrument(series.symbol)
    return {
        "PreviousVolume": str(sum(bar.volume for bar in before)),
        "DailyOpenInterest": "0",
        "LastSize": str(series.last_size(now.market_utc)),
        "LastVenue": about.exchange if about else "",
    }


def _year(series: Series, now: Now) -> Object:
    """From whole days of New York, and from this one as far as it goes."""
    days = series.closed("Daily", now.market_utc - YEAR_S, now.market_utc)
    forming = series.forming("Daily", now.market_utc)
    days += [forming.bar] if forming else []
    if not days:
        return {}
    high, low = max(days, key=lambda bar: bar.high), min(days, key=lambda bar: bar.low)
    return {
        "High52Week": wire.number(high.high),
        "High52WeekTimestamp": _midnight(high),
        "Low52Week": wire.number(low.low),
        "Low52WeekTimestamp": _midnight(low),
    }


def _midnight(bar: Bar) -> str:
    return wire.time_text(bar.stamp_utc // _DAY_S * _DAY_S)


def _sides(quote: Quote | None) -> Object:
    """A side without a quote is left out."""
    shown: Object = {}
    if quote and quote.bid is not None:
        shown |= {"Bid": wire.number(quote.bid), "BidSize": str(quote.bid_size)}
    if quote and quote.ask is not None:
        shown |= {"Ask": wire.number(quote.ask), "AskSize": str(quote.ask_size)}
    return shown
