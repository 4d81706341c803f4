"""Why the venue would refuse an order that could be built: sides, quantities, ticks. PURE.

Each answers "" where it would not. Of the codes EC601 to EC702 only the text of EC602 and EC701 was seen [client 1].
"""

from __future__ import annotations

from decimal import Decimal

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.book import Terms
from brokers.tradestation.emulator.expiry import STOCKS_ONLY
from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.money import Account
from brokers.tradestation.emulator.wire import number

QUANTITY_MAX = 1_000_000  # a limit of ours: a typing error should not fill
PRICE_MAX = 10_000_000  # where prices of the data end
_OPG_CLOSED_S = 9 * 3_600 + 29 * 60
_OPG_AGAIN_S = 16 * 3_600


def side_refusal(account: Account, symbol: str, action: str, quantity: int) -> str:
    """A side that conflicts with the position. Stocks only: a sale must not pass zero, and each way of a short has its
    own action."""
    if traded(symbol).is_future:
        return ""
    held = account.quantity(symbol)
    if action == "SELL" and quantity > held:
        return f"EC601: You are long {max(held, 0)}.00 shares!"
    if action == "BUYTOCOVER" and quantity > -held:
        return f"EC602: You are short {max(-held, 0)}.00 shares!"
    if action == "SELLSHORT" and held > 0:
        return f"EC701: You are long {held}.00 shares!"
    if action == "BUY" and held < 0:
        return f"EC702: You are short {-held}.00 shares!"
    return ""


def market_refusal(account: Account, about: Instrument, action: str) -> str:
    if about.is_future != (account.kind == "Futures"):
        return f"account {account.account} ({account.kind}) does not trade {about.asset_type.lower()}s"
    if about.is_future and action not in ("BUY", "SELL"):
        return f"{action} is not an action for futures"
    if account.kind == "Cash" and action == "SELLSHORT":
        return "SELLSHORT needs a margin account"
    return ""


def quantity_refusal(quantity: Decimal) -> str:
    if quantity != int(quantity) or not 0 < quantity <= QUANTITY_MAX:
        return f"Quantity {number(quantity)} is not a whole number from 1 to {QUANTITY_MAX}"
    return ""


def price_refusal(name: str, price: Decimal | None, about: Instrument) -> str:
    if price is None:
        return ""
    if price > PRICE_MAX:
        kind = "LMT" if name == "LimitPrice" else "STP"
        return f"Type = {kind} has invalid Price greater than absolute maximum"
    if price <= 0:
        return f"{name} {number(price)} is not above 0"
    if price % about.tick:
        return f"{name} {number(price)} is not a multiple of the tick {number(about.tick)} of {about.symbol}"
    return ""


def terms_refusal(terms: Terms, order_type: str, quantity: int, about: Instrument) -> str:
    """For whom the vendor's schema says they are; the words are ours."""
    if terms.all_or_none and about.is_future:
        return "AllOrNone is for equities and options"
    if terms.show_only and order_type not in ("Limit", "StopLimit"):
        return "ShowOnlyQuantity needs a Limit or StopLimit order"
    if terms.show_only > quantity:
        return f"ShowOnlyQuantity {terms.show_only} is more than the quantity {quantity}"
    return ""


def duration_refusal(duration: str, order_type: str, about: Instrument, at_utc: float) -> str:
    """FOK and Market with DYP are refused [report]; OPG from 09:29 New York on [client 1]."""
    if duration == "FOK":
        return "FOK is not accepted"
    if order_type == "Market" and duration in ("DYP", "GCP", "GDP"):
        return f"Market orders are not accepted with {duration}"
    if about.is_future and duration in STOCKS_ONLY:
        return f"Duration {duration} is for equities"
    if duration in ("OPG", "CLO") and order_type not in ("Market", "Limit"):
        return f"Duration {duration} needs a Market or Limit order"
    if duration == "OPG" and _OPG_CLOSED_S <= hours.new_york_second(at_utc) < _OPG_AGAIN_S:
        return "No OPG Orders after 9:29AM Eastern Time"
    return ""
