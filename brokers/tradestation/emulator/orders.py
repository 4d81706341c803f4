"""Placing, replacing, cancelling: what the venue answers, and the events that follow. PURE.

Shapes and texts of tradestation-v3 section 7. Served are Market and StopMarket orders of one symbol for DAY or GTC;
anything else is refused in words (400), never accepted and left lying. DAY orders do not expire here.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from brokers.tradestation.emulator import book, matching
from brokers.tradestation.emulator.errors import Refusal, bad_request
from brokers.tradestation.emulator.instruments import Instrument, instrument
from brokers.tradestation.emulator.ledger import Order
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import SIDE_TEXT, Object, number

CONFIRM_ID_CHARS_MAX = 22
QUANTITY_MAX = 1_000_000  # a limit of ours: a typing error should not fill
BODY_BYTES_MAX = 65_536
DURATIONS = ("DAY", "GTC")
ORDER_TYPES = {"market": "Market", "stopmarket": "StopMarket"}
DUPLICATE = "Order not placed because a unique orderconfirmid already exists."
NOT_SERVED = ("legs", "osos", "advancedoptions", "limitprice")
_DAY_S = 86_400

Body = dict[str, Any]


def place(state: State, request: Request, now: Now) -> Object:
    """The body of the 200. Raises Refusal where no order could be built."""
    body = parse(request.body)
    confirm_id = _confirm_id(body)
    if confirm_id in state.ledger.confirm_ids:
        return {"Orders": [{"Error": "FAILED", "Message": DUPLICATE, "OrderID": ""}]}
    built = _build(state, body, confirm_id, now)
    state.record(built, now)
    if built.reason:
        failed = f"Order failed. Reason: {built.reason}"
        return {"Orders": [{"Error": "FAILED", "Message": failed, "OrderID": built.order_id}]}
    return {"Orders": [{"Message": f"Sent order: {_in_words(built)}", "OrderID": built.order_id}]}


def replace(state: State, order_id: str, request: Request, now: Now) -> Object:
    body = parse(request.body)
    order = _open_order(state, order_id, "Failed to Cancel/Replace order: Not an open order.", now)
    event = _replacement(order, body, now)
    state.record(event, now)
    return {"Message": "Cancel/Replace order sent.", "OrderID": order_id}


def cancel(state: State, order_id: str, now: Now) -> Object:
    _open_order(state, order_id, "Not an open order.", now)
    state.record(book.OrderCancelled(order_id, now.market_utc), now)
    return {"Message": "Cancel request sent", "OrderID": order_id}


def trade_by_hand(state: State, account: str, symbol: str, quantity: int, now: Now) -> Order:
    """A market order as a person would send it from the broker's own screen: no confirm id, foreign to all clients."""
    held = state.ledger.accounts[account].quantity(symbol)
    stock = (about := instrument(symbol)) is not None and not about.is_future
    action = "BUY" if quantity > 0 else "SELL"
    if stock and quantity > 0 and held < 0:
        action = "BUYTOCOVER"
    if stock and quantity < 0 and held <= 0:
        action = "SELLSHORT"
    body = {
        "accountid": account,
        "symbol": symbol,
        "quantity": str(abs(quantity)),
        "ordertype": "Market",
        "tradeaction": action,
        "timeinforce": {"Duration": "DAY"},
    }
    placed = msgspec.structs.replace(_build(state, body, "", now), by_hand=True)
    if placed.reason:
        raise Refusal(409, "Conflict", f"the trade by hand was not made: {placed.reason}")
    state.record(placed, now)
    matching.settle(state, now)
    return state.ledger.orders[placed.order_id]


# Building an order


def _build(state: State, body: Body, confirm_id: str, now: Now) -> book.OrderPlaced:
    for name in NOT_SERVED:
        if body.get(name):
            raise _unbuilt(f"{name} is not served by this emulator")
    account = _account(state, body)
    about = _symbol(state, body)
    order_type = _choice(body, "ordertype", ORDER_TYPES)
    action = _choice(body, "tradeaction", {name.lower(): name for name in SIDE_TEXT})
    duration = _duration(body)
    quantity = _amount(body, "quantity")
    stop_price = _amount(body, "stopprice") if order_type == "StopMarket" else None
    whole = int(quantity) if quantity == int(quantity) else 0
    return book.OrderPlaced(
        order_id=state.ledger.next_order_id(),
        account=account,
        symbol=about.symbol,
        action=action,
        quantity=whole,
        order_type=order_type,
        at_utc=now.market_utc,
        stop_price=stop_price,
        duration=duration,
        confirm_id=confirm_id,
        reason=_reason(state, account, about, action, quantity, stop_price),
    )


def _reason(
    state: State, account: str, about: Instrument, action: str, quantity: Decimal, stop_price: Decimal | None
) -> str:
    """Why the order is refused inside the 200; "" where it is accepted."""
    owner = state.ledger.accounts[account]
    if about.is_future != (owner.kind == "Futures"):
        return f"account {account} ({owner.kind}) does not trade {about.asset_type.lower()}s"
    if about.is_future and action not in ("BUY", "SELL"):
        return f"{action} is not an action for futures"
    if owner.kind == "Cash" and action == "SELLSHORT":
        return "SELLSHORT needs a margin account"
    return (
        quantity_refusal(quantity)
        or (price_refusal(stop_price, about) if stop_price is not None else "")
        or matching.side_refusal(owner, about.symbol, action, int(quantity))
    )


def quantity_refusal(quantity: Decimal) -> str:
    if quantity != int(quantity) or not 0 < quantity <= QUANTITY_MAX:
        return f"Quantity {number(quantity)} is not a whole number from 1 to {QUANTITY_MAX}"
    return ""


def price_refusal(price: Decimal, about: Instrument) -> str:
    if price % about.tick:
        return f"StopPrice {number(price)} is not a multiple of the tick {number(about.tick)} of {about.symbol}"
    return ""


def _account(state: State, body: Body) -> str:
    account = _text(body, "accountid")
    if account not in state.ledger.accounts:
        raise Refusal(403, "Forbidden", "Invalid Account ID.")
    return account


def _symbol(state: State, body: Body) -> Instrument:
    """Orders go to the dated contract: a continuous symbol is none."""
    symbol = _text(body, "symbol")
    about = instrument(symbol)
    if about is None or state.market.series(symbol) is None:
        raise _unbuilt("FAILED, INVALID SYMBOL")
    return about


def _duration(body: Body) -> str:
    time_in_force = body.get("timeinforce")
    if not isinstance(time_in_force, dict):
        raise _unbuilt("TimeInForce is missing: an object with Duration")
    return _choice(
        {str(name).lower(): value for name, value in time_in_force.items()},
        "duration",
        {name.lower(): name for name in DURATIONS},
    )


def _confirm_id(body: Body) -> str:
    given = body.get("orderconfirmid")
    if given is None:
        return ""
    if not isinstance(given, str) or not 1 <= len(given) <= CONFIRM_ID_CHARS_MAX:
        raise _unbuilt(f"OrderConfirmID must be text of 1 to {CONFIRM_ID_CHARS_MAX} characters, got {given!r}")
    return given


# Replacing


def _replacement(order: Order, body: Body, now: Now) -> book.OrderReplaced:
    if body.get("limitprice") or body.get("advancedoptions"):
        raise bad_request("Failed to Cancel/Replace order: only Quantity, StopPrice and OrderType are served")
    order_type, stop_price = order.order_type, order.stop_price
    if body.get("ordertype") is not None:
        order_type = _choice(body, "ordertype", {"market": "Market", order.order_type.lower(): order.order_type})
    if order_type == "Market":
        stop_price = None
    elif body.get("stopprice") is not None:
        stop_price = _amount(body, "stopprice")
    quantity = _amount(body, "quantity") if body.get("quantity") is not None else Decimal(order.quantity)
    about = instrument(order.symbol)
    refusal = quantity_refusal(quantity) or (price_refusal(stop_price, about) if stop_price and about else "")
    if refusal:
        raise bad_request(f"Failed to Cancel/Replace order: {refusal}")
    return book.OrderReplaced(order.order_id, int(quantity), order_type, stop_price, now.market_utc)


def _open_order(state: State, order_id: str, not_open: str, now: Now) -> Order:
    """An order closed on an earlier day (UTC) is gone from the venue's record: "Invalid order ID."."""
    order = state.ledger.orders.get(order_id)
    if order is None or (order.closed_utc is not None and order.closed_utc // _DAY_S < now.market_utc // _DAY_S):
        raise bad_request("Invalid order ID.")
    if not order.is_open:
        raise bad_request(not_open)
    return order


# Bodies: names in any case, numbers as strings or numbers (tradestation-v3, section 2)


def parse(raw: bytes) -> Body:
    if len(raw) > BODY_BYTES_MAX:
        raise bad_request(f"the body has {len(raw)} bytes, the limit is {BODY_BYTES_MAX}")
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_request(f"the body must be one JSON object, got {type(body).__name__}")
    return {str(name).lower(): value for name, value in body.items()}


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _unbuilt(f"{name} is missing or not a text")
    return value


def _choice(body: Body, name: str, choices: dict[str, str]) -> str:
    given = _text(body, name)
    if given.lower() not in choices:
        raise _unbuilt(f"{name} {given!r} is not served by this emulator, only {', '.join(choices.values())}")
    return choices[given.lower()]


def _amount(body: Body, name: str) -> Decimal:
    given = body.get(name)
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise _unbuilt(f"{name} is missing or not a number")
    try:
        amount = Decimal(str(given))
    except InvalidOperation as error:
        raise _unbuilt(f"{name} {given!r} is not a number") from error
    if not amount.is_finite():
        raise _unbuilt(f"{name} {given!r} is not a finite number")
    return amount


def _unbuilt(why: str) -> Refusal:
    return bad_request(f"Failed to build order: {why}")


def _in_words(order: book.OrderPlaced) -> str:
    how = "Market" if order.stop_price is None else f"{number(order.stop_price)} Stop Market"
    return f"{SIDE_TEXT[order.action]} {order.quantity} {order.symbol} @ {how}"
