"""What the venue says before an order is placed: estimates, routes, activation triggers. PURE.

Nothing is placed and nothing is booked. The OrderConfirmID handed out is 22 characters of base64 [client 1, real].
"""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal

from brokers.tradestation.emulator import balances, book
from brokers.tradestation.emulator.bodies import parse
from brokers.tradestation.emulator.errors import bad_request
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.lives import placed
from brokers.tradestation.emulator.orders import in_words
from brokers.tradestation.emulator.placing import Leg, build, legs_of_group, legs_of_order
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object, number

_KEY_BYTES = 16  # 22 characters of base64 without its padding

ROUTES: Object = {
    "Routes": [
        {"Id": "Intelligent", "Name": "Intelligent", "AssetTypes": ["STOCK", "STOCKOPTION"]},
        {"Id": "CME", "Name": "CME", "AssetTypes": ["FUTURE"]},
    ]
}

_TICKS = (("S", "Single", "One"), ("D", "Double", "Two consecutive"), ("T", "Twice", "Two"))
_SORTS = (
    ("TT", "Trade Tick", "trade tick print"),
    ("TTN", "Trade Tick Within NBBO", "trade tick print within the NBBO"),
    ("BA", "Bid/Ask Tick", "bid/ask tick print"),
    ("AB", "Ask/Bid Tick", "ask/bid tick print"),
)


def _trigger(letter: str, name: str, count: str, key: str, sort: str, what: str) -> Object:
    plural = "" if letter == "S" else "s"
    return {
        "Key": letter + key,
        "Name": f"{name} {sort}",
        "Description": f"{count} {what}{plural} must reach the stop price to trigger the order.",
    }


ACTIVATION_TRIGGERS: Object = {"ActivationTriggers": [_trigger(*tick, *sort) for tick in _TICKS for sort in _SORTS]}


def order(state: State, request: Request, now: Now) -> Object:
    return {"Confirmations": _confirmations(state, legs_of_order(parse(request.body)), now)}


def group(state: State, request: Request, now: Now) -> Object:
    return {"Confirmations": _confirmations(state, legs_of_group(parse(request.body)), now)}


def _confirmations(state: State, legs: list[Leg], now: Now) -> list[Object]:
    return [_confirmation(state, leg, number_of, now) for number_of, leg in enumerate(legs)]


def _confirmation(state: State, leg: Leg, number_of: int, now: Now) -> Object:
    built = build(state, leg, state.ledger.next_order_id(), now)
    if built.reason:
        raise bad_request(f"Order failed. Reason: {built.reason}")
    about = traded(built.symbol)
    price = balances.price_usd(state, placed(built), now.market_utc) or Decimal(0)
    margin_usd = about.initial_margin_usd * built.quantity
    cost_usd = margin_usd if about.is_future else price * built.quantity
    shown: Object = {
        "OrderAssetCategory": about.asset_type,
        "Currency": "USD",
        "Route": "Intelligent",
        "TimeInForce": {"Duration": built.duration},
        "AccountID": built.account,
        "OrderConfirmID": built.confirm_id or _key(state, built, number_of),
        "EstimatedPrice": number(price),
        "EstimatedCost": number(cost_usd),
        "EstimatedCommission": number(about.commission_usd * built.quantity),
    }
    if about.is_future:
        shown |= {
            "InitialMarginDisplay": f"{margin_usd:,.2f} USD",
            "ProductCurrency": "USD",
            "AccountCurrency": "USD",
        }
    else:
        debit_usd = cost_usd if built.action in ("BUY", "BUYTOCOVER") else -cost_usd
        shown["DebitCreditEstimatedCost"] = number(debit_usd)
    return {**shown, "SummaryMessage": in_words(built)}


def _key(state: State, built: book.OrderPlaced, number_of: int) -> str:
    """Another one each time: entries, moment and order go into it."""
    seed = f"{state.ledger.number} {built.at_utc} {built.order_id} {number_of}".encode()
    return base64.b64encode(hashlib.sha256(seed).digest()[:_KEY_BYTES]).decode().rstrip("=")
