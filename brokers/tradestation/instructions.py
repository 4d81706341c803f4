"""What we tell TradeStation to do with orders, and what its answer proves. PURE.

An instruction has three outcomes (order-safety 3.1): accepted, refused in words, unknown. HTTP 200 is none of
them yet: a refusal comes inside a 200 as well. Whatever proves nothing is ``Unknown``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.errors import BadAnswer
from brokers.model import (
    Accepted,
    Change,
    Group,
    Grouped,
    GroupKind,
    GroupOutcome,
    OrderType,
    Outcome,
    Placing,
    RefusedByVenue,
    Side,
    Trail,
    Unknown,
)
from brokers.tradestation import wire
from brokers.tradestation.shapes import SHOWN_BYTES, Failure, decoded

KEY_LENGTH_MAX = 22
"""Characters of OrderConfirmID."""

ORDER_TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP_MARKET: "StopMarket",
    OrderType.STOP_LIMIT: "StopLimit",
}
TRADE_ACTIONS = {Side.BUY: "BUY", Side.SELL: "SELL"}
SHORT_ACTIONS = {Side.BUY: "BUYTOCOVER", Side.SELL: "SELLSHORT"}
EQUITIES = ("STOCK",)
"""Kinds of instruments whose shorts have actions of their own; BUY and SELL are refused for them (EC601, EC702)."""
DURATIONS = {told: name for name, told in wire.DURATIONS.items()}

GROUP_TYPES = {GroupKind.OCO: "OCO", GroupKind.BRACKET: "BRK", GroupKind.NORMAL: "NORMAL"}

NEEDS = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (False, True),
    OrderType.STOP_MARKET: (True, False),
    OrderType.STOP_LIMIT: (True, True),
}
"""Whether a type has a stop price, a limit price. The venue ignores some that do not belong; we send none."""

NOTHING_PROVEN = frozenset({408, 429})
"""4xx that a gateway can give after the order went through; with 5xx and whatever is no HTTP 4xx, unknown."""

DUPLICATE_WORDS = ("orderconfirmid", "already exists")
DEAD_WORDS = ("not an open order", "invalid order id")
"""The order to change or cancel is open no longer; on a later day its record is gone."""


# -- requests ----------------------------------------------------------------------------------------------------


def placing_body(placing: Placing) -> bytes:
    """The body of POST /orders, children under OSOs. ValueError for what is no order that the venue has."""
    return msgspec.json.encode(placing_content(placing))


def group_body(group: Group) -> bytes:
    """The body of POST /ordergroups; one key for each leg."""
    check_group(group)
    return msgspec.json.encode(group_content(group))


def group_content(group: Group) -> dict[str, Any]:
    return {"Type": GROUP_TYPES[group.kind], "Orders": [placing_content(each) for each in group.placings]}


def check_group(group: Group) -> None:
    """A bracket's legs are of one symbol and one side. Children of a parent may be alone, a group may not."""
    if len(group.placings) < 2:
        raise ValueError(f"a group of {len(group.placings)} orders; wanted: two or more")
    if group.kind is GroupKind.BRACKET and len({(each.symbol, each.side) for each in group.placings}) != 1:
        raise ValueError("the legs of a bracket are of one symbol and one side")
    keys = [one.key for each in group.placings for one in each.whole]
    if len(set(keys)) != len(keys):
        raise ValueError("two orders of a group have the same key")


def placing_content(placing: Placing) -> dict[str, Any]:
    if not 1 <= len(placing.key) <= KEY_LENGTH_MAX:
        raise ValueError(f"key {placing.key!r} has {len(placing.key)} characters, allowed are 1 to {KEY_LENGTH_MAX}")
    check_prices(placing)
    content: dict[str, Any] = {
        "AccountID": placing.account,
        "Symbol": placing.symbol,
        "Quantity": number_text(placing.quantity),
        "OrderType": ORDER_TYPES[placing.type],
        "TradeAction": trade_action(placing),
        "TimeInForce": time_in_force(placing),
        "Route": "Intelligent",
        "OrderConfirmID": placing.key,
    }
    if placing.trail is not None:
        content["AdvancedOptions"] = {"TrailingStop": trail_content(placing.trail)}
    if placing.children:
        content["OSOs"] = [group_content(group) for group in placing.children]
    return content | prices(placing.stop_price, placing.limit_price)


def confirm_body(placing: Placing) -> bytes:
    """As ``placing_body``, but without keys: whether a confirmation uses one up is not known, and it needs none."""
    return msgspec.json.encode(without_keys(placing_content(placing)))


def confirm_group_body(group: Group) -> bytes:
    check_group(group)
    return msgspec.json.encode(without_keys(group_content(group)))


def without_keys(content: Any) -> Any:
    if isinstance(content, list):
        return [without_keys(each) for each in content]
    if isinstance(content, dict):
        return {name: without_keys(value) for name, value in content.items() if name != "OrderConfirmID"}
    return content


def time_in_force(placing: Placing) -> dict[str, str]:
    """Of ``Expiration`` the venue uses the date, and wants the full time."""
    if placing.duration.dated != (placing.good_till_utc is not None):
        takes = "needs a" if placing.duration.dated else "takes no"
        raise ValueError(f"key {placing.key}: {placing.duration} {takes} date to be good till")
    told = {"Duration": DURATIONS[placing.duration]}
    if placing.good_till_utc is not None:
        told["Expiration"] = wire.time_text(placing.good_till_utc)
    return told


def check_prices(placing: Placing) -> None:
    """A trailing stop is a stop-market order whose price the venue keeps."""
    stop, limit = NEEDS[placing.type]
    if placing.trail is not None:
        if placing.type is not OrderType.STOP_MARKET:
            raise ValueError(f"key {placing.key}: only a stop-market order trails, not {placing.type}")
        stop = False
    for needed, price, name in ((stop, placing.stop_price, "stop"), (limit, placing.limit_price, "limit")):
        if needed != (price is not None):
            raise ValueError(f"key {placing.key}: {placing.type} {'needs a' if needed else 'takes no'} {name} price")


def trail_content(trail: Trail) -> dict[str, str]:
    named = {"Amount": trail.amount, "Percent": trail.percent}
    return {name: number_text(number) for name, number in named.items() if number is not None}


def trade_action(placing: Placing) -> str:
    shorts = placing.short and placing.kind in EQUITIES
    return (SHORT_ACTIONS if shorts else TRADE_ACTIONS)[placing.side]


def change_body(change: Change) -> bytes:
    """The body of PUT /orders/{id}: only what changes. To market is the one change of type the venue takes."""
    content: dict[str, Any] = {}
    if change.quantity is not None:
        content["Quantity"] = number_text(change.quantity)
    if change.to_market:
        content["OrderType"] = "Market"
    if change.trail is not None:
        content["AdvancedOptions"] = {"TrailingStop": trail_content(change.trail)}
    return msgspec.json.encode(content | prices(change.stop_price, change.limit_price))


def prices(stop: Decimal | None, limit: Decimal | None) -> dict[str, str]:
    named = {"StopPrice": stop, "LimitPrice": limit}
    return {name: number_text(price) for name, price in named.items() if price is not None}


def number_text(number: Decimal) -> str:
    """Never with an exponent: Decimal("1E+2") goes out as "100"."""
    return format(number, "f")


# -- outcomes ----------------------------------------------------------------------------------------------------


class Element(Failure, frozen=True):
    """An order in the answer to an instruction; refused if it has ``Error``."""

    order_id: str | None = ""


class Answer(Element, frozen=True):
    """The answer to placing (Orders, Errors), or to replace and cancel (the element itself)."""

    orders: tuple[Element, ...] | None = ()
    errors: tuple[Element, ...] | None = ()


def outcome(status: int, body: bytes) -> Outcome:
    """What the answer to placing, replacing or cancelling one order proves."""
    if 200 <= status < 300:
        return outcome_of_ok(body)
    if status == 401:
        return Unknown(reason="401: the venue does not accept the token; nothing was executed", sent=False)
    if 400 <= status < 500 and status not in NOTHING_PROVEN:
        return outcome_of_refusal(status, body)
    return Unknown(reason=f"HTTP {status}: {body[:SHOWN_BYTES]!r}")


def outcome_of_ok(body: bytes) -> Outcome:
    try:
        elements = read_elements(body)
    except BadAnswer as error:
        return Unknown(reason=str(error))
    refused = [element for element in elements if element.error]
    accepted = {element.order_id for element in elements if not element.error and element.order_id}
    if refused and not accepted:
        return refusal(refused[0])
    if len(accepted) == 1 and not refused:
        return Accepted(order_id=accepted.pop())
    return Unknown(reason=f"an answer that says neither yes nor no: {body[:SHOWN_BYTES]!r}")


def group_outcome(status: int, body: bytes, legs: int) -> GroupOutcome:
    """What the answer to several orders at once proves. Mixed outcomes are possible: each element counts."""
    if not 200 <= status < 300:
        whole = outcome(status, body)
        if isinstance(whole, RefusedByVenue):
            return Grouped(legs=legs, order_ids=(), refusals=(whole,) * legs)
        return whole if isinstance(whole, Unknown) else Unknown(reason=f"HTTP {status}: {body[:SHOWN_BYTES]!r}")
    try:
        elements = read_elements(body)
    except BadAnswer as error:
        return Unknown(reason=str(error))
    refusals = tuple(refusal(element) for element in elements if element.error)
    accepted = dict.fromkeys(element.order_id for element in elements if not element.error and element.order_id)
    if not refusals and not accepted:
        return Unknown(reason=f"an answer that says neither yes nor no: {body[:SHOWN_BYTES]!r}")
    return Grouped(legs=legs, order_ids=tuple(accepted), refusals=refusals)


def read_elements(body: bytes) -> list[Element]:
    """The schema calls the body an array of answers, real ones are a single object: both are read."""
    answers = decoded(body, tuple[Answer, ...]) if body.lstrip()[:1] == b"[" else (decoded(body, Answer),)
    return [element for answer in answers for element in elements_of(answer)]


def elements_of(answer: Answer) -> tuple[Element, ...]:
    return (*(answer.orders or ()), *(answer.errors or ())) or (answer,)


def outcome_of_refusal(status: int, body: bytes) -> Outcome:
    """A 4xx counts as the venue's no only with its words; an empty or HTML body may be some proxy's."""
    try:
        element = decoded(body, Element)
    except BadAnswer:
        return Unknown(reason=f"HTTP {status} without the venue's words: {body[:SHOWN_BYTES]!r}")
    if not element.words:
        return Unknown(reason=f"HTTP {status} without a reason")
    return refusal(element)


def refusal(element: Element) -> RefusedByVenue:
    text = element.words.lower()
    return RefusedByVenue(
        reason=element.words,
        order_id=element.order_id or "",
        duplicate=all(words in text for words in DUPLICATE_WORDS),
        dead=any(words in text for words in DEAD_WORDS),
    )
