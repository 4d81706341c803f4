"""Placing, replacing, cancelling: what the venue answers, and the events that follow. PURE.

Shapes and texts are those of the venue's documents. HTTP 200 is no acceptance: each element tells.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from brokers.tradestation.emulator import activation, balances, book, checks, renewal, steps
from brokers.tradestation.emulator.bodies import Body, amount, choice, parse
from brokers.tradestation.emulator.errors import Refusal, bad_request
from brokers.tradestation.emulator.instruments import instrument
from brokers.tradestation.emulator.ledger import FIRST_ORDER_ID, traded
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.order_wire import SIDE_TEXT
from brokers.tradestation.emulator.placing import (
    Leg,
    build,
    confirm_id,
    legs_of_group,
    legs_of_order,
    options_of,
    show_only_of,
    trail_of,
)
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object, number

__all__ = [
    "cancel",
    "fill_part",
    "place",
    "place_group",
    "reject_stops",
    "replace",
    "show_status",
    "trade_by_hand",
]

DUPLICATE = "Order not placed because a unique orderconfirmid already exists."
NOT_OPEN = "Not an open order."
REPLACE_FAILED = "Failed to Cancel/Replace order"
CANCEL_ATTEMPTED = "Cancel/Replace not allowed after cancel has been attempted"
PARENT_REFUSED = "the order it depends on was not placed"
_DAY_S = 86_400


# Placing


def place(state: State, request: Request, now: Now) -> Object:
    """The body of the 200: one element for the order and each child. Raises Refusal where no order could be built."""
    return {"Orders": _placed(state, legs_of_order(parse(request.body)), now)}


def place_group(state: State, request: Request, now: Now) -> Object:
    """As ``place``; of a group, what is refused stands in ``Errors`` and the rest is placed all the same [spec]."""
    elements = _placed(state, legs_of_group(parse(request.body)), now)
    refused = [one for one in elements if "Error" in one]
    told: Object = {"Orders": [one for one in elements if "Error" not in one]}
    return {**told, "Errors": refused} if refused else told


def _placed(state: State, legs: list[Leg], now: Now) -> list[Object]:
    """Everything is built before anything is booked: a leg that cannot be built stops all (400)."""
    ids = _ids(state, legs, now)
    built: list[book.OrderPlaced | None] = []
    for leg, order_id in zip(legs, ids, strict=True):
        parent = built[leg.parent] if leg.parent is not None else None
        if leg.parent is not None and (parent is None or parent.reason):
            leg.refusal = PARENT_REFUSED
        made = build(state, leg, order_id or "0", now)
        if made.reason and not state.rules.refusal_burns_key:
            made = msgspec.structs.replace(made, confirm_id="")
        built.append(made if order_id else None)
    group = state.ledger.groups
    elements = []
    for place_no, (leg, event) in enumerate(zip(legs, built, strict=True)):
        if event is None:
            elements.append({"Error": "FAILED", "Message": DUPLICATE, "OrderID": ""})
            continue
        if len(legs) > 1:
            its_group = group + _group_number(legs, place_no) if leg.siblings else 0
            event = msgspec.structs.replace(event, links=_links(legs, built, place_no), group=its_group)
        state.record(event, now)
        elements.append(_element(event))
    return elements


def _ids(state: State, legs: list[Leg], now: Now) -> list[str]:
    """An order id for each leg; "" for one whose OrderConfirmID was used before, here or earlier."""
    ids: list[str] = []
    seen: set[str] = set()
    next_id = FIRST_ORDER_ID + len(state.ledger.orders)
    for leg in legs:
        key = confirm_id(leg.body)
        used = _is_remembered(state, key, now) or key in seen
        if key and used and state.rules.duplicate_refused and "duplicate_allowed" not in state.struck:
            ids.append("")
            continue
        seen.add(key)
        ids.append(str(next_id))
        next_id += 1
    return ids


def _is_remembered(state: State, key: str, now: Now) -> bool:
    """For how long is unknown: a switch."""
    order = state.ledger.orders.get(state.ledger.confirm_ids.get(key, ""))
    memory = state.switches.confirm_id_memory
    if order is None or memory == "none":
        return False
    return memory == "forever" or order.opened_utc // _DAY_S == now.market_utc // _DAY_S


def _links(legs: list[Leg], built: list[book.OrderPlaced | None], place_no: int) -> tuple[tuple[str, str], ...]:
    """The ties to those that were accepted."""

    def accepted(places: list[int], kind: str) -> list[tuple[str, str]]:
        events = [built[one] for one in places]
        return [(kind, event.order_id) for event in events if event is not None and not event.reason]

    leg, event = legs[place_no], built[place_no]
    if event is None or event.reason:
        return ()
    parents = [leg.parent] if leg.parent is not None else []
    children = [n for n, other in enumerate(legs) if other.parent == place_no]
    return (
        *accepted(parents, "OSP"),
        *accepted(children, "OSO"),
        *accepted(list(leg.siblings), leg.kind),
    )


def _group_number(legs: list[Leg], place_no: int) -> int:
    """Which group of this request it is in, from 1."""
    firsts = sorted({min((n, *leg.siblings)) for n, leg in enumerate(legs) if leg.siblings})
    return 1 + firsts.index(min((place_no, *legs[place_no].siblings)))


def _element(event: book.OrderPlaced) -> Object:
    if event.reason:
        failed = f"Order failed. Reason: {event.reason}"
        return {"Error": "FAILED", "Message": failed, "OrderID": event.order_id}
    return {"Message": f"Sent order: {in_words(event)}", "OrderID": event.order_id}


def in_words(order: book.OrderPlaced) -> str:
    how = order.order_type
    if order.trail is not None:
        by = f"{number(order.trail.amount)}" if order.trail.amount else f"{number(order.trail.percent or 0)}%"
        how = f"{by} Trailing Stop"
    elif order.order_type == "Limit":
        how = f"{number(order.limit_price or 0)} Limit"
    elif order.order_type == "StopMarket":
        how = f"{number(order.stop_price or 0)} Stop Market"
    elif order.order_type == "StopLimit":
        how = f"{number(order.stop_price or 0)} Stop {number(order.limit_price or 0)} Limit"
    return f"{SIDE_TEXT[order.action]} {order.quantity} {order.symbol} @ {how}"


# Replacing


def replace(state: State, order_id: str, request: Request, now: Now) -> Object:
    """Sent, not done: the change takes effect after ``rules.replace_s``."""
    body = parse(request.body)
    order = _open_order(state, order_id, f"{REPLACE_FAILED}: {NOT_OPEN}", now)
    if order.cancel_due_utc is not None:
        raise bad_request(CANCEL_ATTEMPTED)
    delay_s = state.rules.replace_s
    change = _replacement(state, order, body, now.market_utc + delay_s)
    if delay_s:
        state.record(book.ReplaceSent(order_id, change), now)
    else:
        order_id = renewal.changed(state, order, change, now)
    return {"Message": "Cancel/Replace order sent.", "OrderID": order_id}


def _replacement(state: State, order: Order, body: Body, at_utc: float) -> book.OrderReplaced:
    order_type = order.order_type
    if body.get("ordertype") is not None:
        order_type = choice(body, "ordertype", {"market": "Market", order.order_type.lower(): order.order_type})
    options = options_of(body)
    trail = trail_of(options) or order.trail
    if order.trail is None and trail is not None:
        raise bad_request(f"{REPLACE_FAILED}: it is no trailing stop")
    terms = _changed_terms(state, order, options)
    if order.hit_utc is not None and body.get("stopprice") is not None:
        raise bad_request(f"{REPLACE_FAILED}: prior stop already triggered")
    stop_price = _changed(body, "stopprice", order.stop_price)
    limit_price = _changed(body, "limitprice", order.limit_price)
    quantity = amount(body, "quantity") if body.get("quantity") is not None else Decimal(order.quantity)
    about = traded(order.symbol)
    refusal = (
        checks.quantity_refusal(quantity)
        or ("Quantity is not above what has filled" if quantity <= order.filled else "")
        or checks.price_refusal("StopPrice", stop_price, about)
        or checks.price_refusal("LimitPrice", limit_price, about)
        or (checks.price_refusal("TrailingStop", trail.amount, about) if trail and trail.amount else "")
    )
    if not refusal and order_type != order.order_type:
        refusal = checks.duration_refusal(order.duration, order_type, about, at_utc)
    if not refusal and quantity > order.quantity:
        larger = msgspec.structs.replace(order, quantity=int(quantity), limit_price=limit_price, stop_price=stop_price)
        refusal = balances.buying_power_refusal(state, larger, about, instead_of=order.order_id)
    if refusal:
        raise bad_request(f"{REPLACE_FAILED}: {refusal}")
    if order_type == "Market":
        stop_price = limit_price = trail = None
    until_day = renewal.renewed_day(order, at_utc) if state.rules.replace_renews else 0
    return book.OrderReplaced(
        order.order_id, int(quantity), order_type, stop_price, at_utc, limit_price, trail, terms, until_day
    )


def _changed_terms(state: State, order: Order, options: Body) -> book.Terms | None:
    """None: nothing of them changes. AllOrNone cannot be changed [spec 7.3 does not name it]."""
    if options.get("allornone"):
        raise bad_request(f"{REPLACE_FAILED}: AllOrNone cannot be changed")
    terms = activation.changed(state, options, order.terms)
    if shown := show_only_of(options):
        terms = msgspec.structs.replace(terms, show_only=shown)
    if terms == order.terms:
        return None
    if terms.hold_back and order.filled:
        raise bad_request(f"{REPLACE_FAILED}: it has filled in part, nothing can hold it back")
    if refusal := checks.terms_refusal(terms, order.order_type, order.quantity, traded(order.symbol)):
        raise bad_request(f"{REPLACE_FAILED}: {refusal}")
    return terms


def _changed(body: Body, name: str, was: Decimal | None) -> Decimal | None:
    """A price that the order has none of cannot be changed. (A trailing stop has no StopPrice: it is ignored there.)"""
    if body.get(name) is None:
        return was
    if was is None and name == "limitprice":
        raise bad_request(f"{REPLACE_FAILED}: the order has no {name}")
    given = amount(body, name)
    return given if was is not None else None


# Cancelling


def cancel(state: State, order_id: str, now: Now) -> Object:
    """Sent, not done: the order ends after ``rules.cancel_s``. Repeating it is harmless [spec]."""
    order = _open_order(state, order_id, NOT_OPEN, now)
    delay_s = state.rules.cancel_s
    if not delay_s:
        state.record(book.OrderCancelled(order_id, now.market_utc), now)
    elif order.cancel_due_utc is None:
        state.record(book.CancelSent(order_id, now.market_utc + delay_s), now)
    return {"Message": "Cancel request sent", "OrderID": order_id}


def _open_order(state: State, order_id: str, not_open: str, now: Now) -> Order:
    """An order closed on an earlier day (UTC) is gone from the venue's record: "Invalid order ID."."""
    order = state.ledger.orders.get(order_id)
    if order is None or (order.closed_utc is not None and order.closed_utc // _DAY_S < now.market_utc // _DAY_S):
        raise bad_request("Invalid order ID.")
    if not order.is_open:
        raise bad_request(not_open)
    return order


# By hand, and for faults


def trade_by_hand(state: State, account: str, symbol: str, quantity: int, now: Now) -> Order:
    """A market order as a person would send it from the broker's own screen: no confirm id, foreign to all clients."""
    return _by_hand(state, account, symbol, quantity, {"ordertype": "Market", "timeinforce": {"Duration": "DAY"}}, now)


def leave_by_hand(state: State, account: str, symbol: str, quantity: int, limit_price: str, now: Now) -> Order:
    """The same with a limit, good till cancelled: it works on, and no client should touch it."""
    terms = {"ordertype": "Limit", "limitprice": limit_price, "timeinforce": {"Duration": "GTC"}}
    return _by_hand(state, account, symbol, quantity, terms, now)


def _by_hand(state: State, account: str, symbol: str, quantity: int, terms: Body, now: Now) -> Order:
    held = state.ledger.accounts[account].quantity(symbol)
    stock = (about := instrument(symbol)) is not None and not about.is_future
    action = "BUY" if quantity > 0 else "SELL"
    if stock and quantity > 0 and held < 0:
        action = "BUYTOCOVER"
    if stock and quantity < 0 and held <= 0:
        action = "SELLSHORT"
    body: Body = {
        "accountid": account,
        "symbol": symbol,
        "quantity": str(abs(quantity)),
        "tradeaction": action,
        **terms,
    }
    order_id = state.ledger.next_order_id()
    placed = msgspec.structs.replace(build(state, Leg(body), order_id, now), by_hand=True)
    if placed.reason:
        raise Refusal(409, "Conflict", f"the trade by hand was not made: {placed.reason}")
    state.record(placed, now)
    steps.settle(state, now)
    return state.ledger.orders[order_id]


def fill_part(state: State, order_id: str, quantity: int, now: Now) -> Order:
    """A fault: so much of a working order fills now, at the last price, whatever the market says of it."""

    def event(order: Order) -> book.OrderEvent:
        if not 0 < quantity <= order.remaining or order.waiting:
            raise bad_request(f"quantity must be from 1 to {order.remaining} of a working order, got {quantity}")
        series = state.market.series(order.symbol)
        last = series.last_print(now.market_utc) if series else None
        if last is None:
            raise bad_request(f"{order.symbol} has no price yet")
        commission_usd = traded(order.symbol).commission_usd * quantity
        return book.OrderFilled(order_id, last.price, commission_usd, now.market_utc, quantity)

    return _forced(state, order_id, event, now)


def reject_stops(state: State, account: str, symbol: str, reason: str, now: Now) -> list[str]:
    """A fault: the stops of clients that work in this symbol end as REJ; their ids."""
    working = [state.ledger.orders[order_id] for order_id in state.ledger.open_ids]
    stops = [
        order.order_id
        for order in working
        if (order.account, order.symbol) == (account, symbol)
        and order.order_type in steps.STOPS
        and not (order.waiting or order.by_hand)
    ]
    for order_id in stops:
        _forced(state, order_id, lambda order: book.OrderRejected(order.order_id, reason, now.market_utc), now)
    return stops


def show_status(state: State, order_id: str, status: str, now: Now) -> Order:
    """A fault: the order is shown with this code from now on, also one that nobody has heard of; "" ends that."""
    if order_id not in state.ledger.orders:
        raise bad_request("Invalid order ID.")
    state.record(book.OrderShown(order_id, status), now)
    return state.ledger.orders[order_id]


def _forced(state: State, order_id: str, event: Callable[[Order], book.OrderEvent], now: Now) -> Order:
    order = _open_order(state, order_id, NOT_OPEN, now)
    state.record(event(order), now)
    steps.settle(state, now)
    return state.ledger.orders[order_id]
