"""The venue's JSON, from our values: field names, string types and shapes of its documents. PURE.

Fields that the data cannot know are left out, with these exceptions that other clients insist on: tick counters and
up/down volume are 0, Bid and Ask show the last price (minute bars hold no quotes).
"""

from __future__ import annotations

import datetime
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import msgspec

from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.market import Bar, Market
from brokers.tradestation.emulator.money import Account, Position

Object = dict[str, Any]

_DECIMALS_SHOWN = Decimal("0.00000001")
_WIDE = Context(prec=100)
"""Also what a client made up (a price of 30 digits, refused in words) has digits before and behind the point."""
DAY_S = 86_400
TEXTS_KEPT = 4096
"""Prices and times that were put into words lately: each is shown many times (frames, snapshots, history)."""

_encoder = msgspec.json.Encoder()


def line(value: Object | BarObject) -> bytes:
    """One frame of a stream."""
    return _encoder.encode(value) + b"\n"


@lru_cache(TEXTS_KEPT)
def number(value: Decimal | int) -> str:
    """Trailing zeros are dropped, as the venue does ("395", "216.5"); never an exponent."""
    if isinstance(value, int):
        return str(value)
    return format(_WIDE.add(value.quantize(_DECIMALS_SHOWN, context=_WIDE).normalize(_WIDE), 0), "f")


def time_text(utc: float) -> str:
    """A day has its text and a second of the day has its own: both are met again and again."""
    day, second = divmod(int(utc), DAY_S)
    return _date_text(day) + _clock_text(second)


@lru_cache
def _date_text(day: int) -> str:
    return datetime.datetime.fromtimestamp(day * DAY_S, datetime.UTC).isoformat()[:10]


@lru_cache(TEXTS_KEPT)
def _clock_text(second: int) -> str:
    return f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def day_text(day: str) -> str:
    return f"{day}T00:00:00Z"


class BarObject(msgspec.Struct, rename="pascal", gc=False):
    """One bar. (A struct, since a market is mostly bars: as a dict it would cost three times that.)"""

    high: str
    low: str
    open: str
    close: str
    time_stamp: str
    total_volume: str
    epoch: int
    bar_status: str
    is_realtime: bool
    is_end_of_history: bool
    down_ticks: int = 0
    down_volume: int = 0
    open_interest: str = "0"
    total_ticks: int = 0
    unchanged_ticks: int = 0
    unchanged_volume: int = 0
    up_ticks: int = 0
    up_volume: int = 0


def bar_object(bar: Bar, *, status: str, realtime: bool, end_of_history: bool) -> BarObject:
    return BarObject(
        number(bar.high),
        number(bar.low),
        number(bar.open),
        number(bar.close),
        time_text(bar.stamp_utc),
        str(bar.volume),
        bar.stamp_utc * 1000,
        status,
        realtime,
        end_of_history,
    )


def position_object(account: Account, position: Position, last: Decimal) -> Object:
    """``Quantity`` is negative when short. The day's gain is shown from the opening of the position on."""
    about = traded(position.symbol)
    value_usd = position.quantity * last * about.point_usd
    gain_usd = value_usd - position.cost_usd
    average = position.cost_usd / position.quantity / about.point_usd
    shown: Object = {
        "AccountID": account.account,
        "AveragePrice": number(average),
        "AssetType": about.asset_type,
        "Last": number(last),
        "Bid": number(last),
        "Ask": number(last),
        "ConversionRate": "1",
        "DayTradeRequirement": number(about.day_trade_usd * abs(position.quantity)),
        "InitialRequirement": number(requirement_usd(position, value_usd)),
        "MaintenanceMargin": number(requirement_usd(position, value_usd)),
        "PositionID": position.position_id,
        "LongShort": "Long" if position.quantity > 0 else "Short",
        "Quantity": str(position.quantity),
        "Symbol": position.symbol,
        "Timestamp": time_text(position.at_utc),
        "TodaysProfitLoss": number(gain_usd),
        "TotalCost": number(position.cost_usd),
        "MarketValue": number(value_usd),
        "MarkToMarketPrice": number(average),
        "UnrealizedProfitLoss": number(gain_usd),
        "UnrealizedProfitLossPercent": number(gain_usd / abs(position.cost_usd) * 100),
        "UnrealizedProfitLossQty": number(gain_usd / abs(position.quantity)),
    }
    if about.is_future:
        shown["ExpirationDate"] = day_text(about.expires)
    return shown


def requirement_usd(position: Position, value_usd: Decimal) -> Decimal:
    """Shown, not enforced: the table's margin for a future, half the value for a stock."""
    about = traded(position.symbol)
    if about.is_future:
        return about.initial_margin_usd * abs(position.quantity)
    return abs(value_usd) / 2


def last_price(market: Market, position: Position, at_utc: float) -> Decimal:
    """A position was made by a print, so there is one; without its bars (another data set) it stands at its cost."""
    series = market.series(position.symbol)
    last = series.last_print(at_utc) if series else None
    return last.price if last else position.cost_usd / position.quantity / traded(position.symbol).point_usd


def symbol_object(asked: str, about: Instrument) -> Object:
    """``asked`` is @ES or the contract itself; the details are the contract's, ``Underlying`` names it for @ES."""
    shown: Object = {
        "AssetType": about.asset_type,
        "Country": "United States",
        "Currency": "USD",
        "Description": about.description,
        "Exchange": about.exchange,
        "Symbol": asked,
        "Root": about.root or about.symbol,
        "Underlying": about.symbol if asked != about.symbol else about.root or about.symbol,
        "PriceFormat": {
            "Format": "Decimal",
            "Decimals": str(max(0, -int(about.tick.as_tuple().exponent))),
            "IncrementStyle": "Simple",
            "Increment": number(about.tick),
            "PointValue": number(about.point_usd),
        },
        "QuantityFormat": {
            "Format": "Decimal",
            "Decimals": "0",
            "IncrementStyle": "Simple",
            "Increment": "1",
            "MinimumTradeQuantity": "1",
        },
    }
    if about.is_future:
        shown |= {"ExpirationDate": day_text(about.expires), "FutureType": "Electronic"}
    return shown
