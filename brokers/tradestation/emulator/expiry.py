"""How long an order lives: TimeInForce as a moment of market time. PURE."""

from __future__ import annotations

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.order import EXTENDED, Order

GOOD_TILL_DAYS_MAX = 90  # [spec]
DURATIONS = ("DAY", "DYP", "GTC", "GCP", "GTD", "GDP", "OPG", "CLO", "IOC", "FOK", "1", "3", "5")
DATED = ("GTD", "GDP")
CANCELLED_ONLY = ("GTC", "GCP")
STOCKS_ONLY = ("1", "3", "5", "OPG", "CLO")
_DAY_S = 86_400
_MINUTE_S = 60
_AUCTION_S = 60


def expires_utc(order: Order, about: Instrument) -> float:
    """When the market sends it away. DAY: with the session it was sent in, or the next one where the market is closed;
    P forms with the extended session; OPG when the opening is over; 1, 3, 5 after so many minutes."""
    duration, sent_utc = order.duration, order.sent_utc
    if duration in STOCKS_ONLY[:3]:
        return sent_utc + int(duration) * _MINUTE_S
    if duration == "OPG":
        return hours.session_at(about, sent_utc).opens_utc + _AUCTION_S
    extended = duration in EXTENDED
    if duration in DATED or duration in CANCELLED_ONLY:
        return hours.session_of(about, good_till_day(order), extended=extended).closes_utc
    return hours.session_at(about, sent_utc, extended=extended).closes_utc


def good_till_day(order: Order) -> int:
    """The date (days since 1970) it is good to."""
    return order.good_till_day or int(order.opened_utc // _DAY_S) + GOOD_TILL_DAYS_MAX
