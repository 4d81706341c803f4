"""Intents: instructions that are durable before the first byte leaves, and how one of unknown fate is settled. PURE.

An intent is on disk with its key before the request is sent (DESIGN, law 2). Its key is the session's key and a running
number, never made of a process, host or time (order-safety 3.2). Knows nothing of HTTP, stores or clocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from brokers.model import Change, Duration, Instrument, Order, OrderType, Placing, Side, Trail, Value
from trader.legs import Leg, with_legs

KEY_LENGTH_MAX = 22
"""The shortest limit of a venue's client key that we know (tradestation-v3, 7.2)."""
SESSION_KEY_LENGTH = 12
"""71 bits of a random session key: two journals never share one. Leaves eight digits for the number, and a letter for
the legs of a bracket."""

OPENED_SKEW_S = 2.0
"""Market seconds by which the venue's opening time may precede our writing: it tells whole seconds, clocks differ."""

SETTLING_READS = 2
"""An order that so many reads in sequence do not show, over the settling time, was not placed."""


class Kind(StrEnum):
    PLACE = "place"
    REPLACE = "replace"
    CANCEL = "cancel"


class Purpose(StrEnum):
    ENTRY = "entry"
    STOP = "stop"
    TAKE = "take"
    EXIT = "exit"


class IntentState(StrEnum):
    """``WRITTEN``: durable, may have been sent. ``UNSENT``: surely not sent, will be tried again. ``UNKNOWN``: sent,
    outcome not known. ``GIVEN_UP``: settled as not placed; an order of it that still shows up is recognised."""

    WRITTEN = "written"
    UNSENT = "unsent"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    GIVEN_UP = "given_up"

    open: bool
    """No outcome yet."""

    def __new__(cls, text: str) -> IntentState:
        state = str.__new__(cls, text)
        state._value_ = text
        state.open = text in ("written", "unsent", "unknown")
        return state


class Intent(Value, frozen=True):
    """``order_id``: the order to replace or cancel. ``valid_until_utc``: past it an entry is never sent (market time).
    ``known``: orders of the symbol that were at the broker before, and so cannot be of this intent. ``legs``: a
    bracket's protective orders, which go with the entry. ``result_order_id``: the order that came of it; of a bracket
    whose answer was read and whose orders were not seen yet, all the ids of that answer. ``intended_price``: what the
    strategy saw when it declared, or the stop's price: the fill is held against it."""

    number: int
    key: str
    kind: Kind
    purpose: Purpose
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    stop_price: Decimal | None
    written_utc: float
    order_id: str = ""
    valid_until_utc: float | None = None
    known: tuple[str, ...] = ()
    state: IntentState = IntentState.WRITTEN
    result_order_id: str = ""
    reason: str = ""
    settled_utc: float | None = None
    intended_price: Decimal | None = None
    legs: tuple[Leg, ...] = ()
    limit_price: Decimal | None = None
    trail: Trail | None = None


def order_key(session_key: str, number: int) -> str:
    """The client key of an order: used once, the same on a retry."""
    key = f"{session_key}-{number}"
    if len(key) >= KEY_LENGTH_MAX:
        raise ValueError(f"order key {key!r} has {len(key)} characters, limit {KEY_LENGTH_MAX - 1} and a leg's letter")
    return key


def placing(intent: Intent, account: str, instrument: Instrument | None) -> Placing:
    """Protective stops are GTC: they outlive the day (order-safety 4, Coverage)."""
    opens = intent.purpose is Purpose.ENTRY
    placed = Placing(
        key=intent.key,
        account=account,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        type=intent.type,
        stop_price=intent.stop_price,
        duration=Duration.GTC if intent.purpose is Purpose.STOP else Duration.DAY,
        kind=instrument.kind if instrument is not None else "",
        short=intent.side is (Side.SELL if opens else Side.BUY),
        trail=intent.trail,
    )
    return with_legs(placed, intent.legs)


def change(intent: Intent, had: Decimal) -> Change:
    """``had``: the order's size as we know it. Where it stays it is not sent: the venue may have made it smaller."""
    quantity = intent.quantity if intent.quantity != had else None
    if intent.type is OrderType.MARKET:
        return Change(quantity=quantity, to_market=True)
    return Change(quantity=quantity, stop_price=intent.stop_price, limit_price=intent.limit_price, trail=intent.trail)


def matches(intent: Intent, order: Order, ours: Iterable[str]) -> bool:
    """Whether this order at the broker can be of this placing intent (order-safety 3.2)."""
    return (
        order.order_id not in intent.known
        and order.order_id not in ours
        and (order.symbol, order.side, order.quantity) == (intent.symbol, intent.side, intent.quantity)
        and (order.type, order.trail) == (intent.type, intent.trail)
        and (intent.trail is not None or order.stop_price == intent.stop_price)
        and order.opened_utc >= intent.written_utc - OPENED_SKEW_S
    )


class Settling(Value, frozen=True):
    """What reads have told so far of an intent of unknown fate. ``since_s``: when we came to doubt; only reads
    requested after that count."""

    since_s: float
    reads: int = 0


class Verdict(StrEnum):
    FOUND = "found"
    AMBIGUOUS = "ambiguous"
    NOT_YET = "not yet"
    ABSENT = "absent"


def settle(
    intent: Intent,
    settling: Settling,
    orders: Iterable[Order],
    ours: Iterable[str],
    requested_s: float,
    settle_s: float,
) -> tuple[Verdict, Order | None, Settling]:
    """One good read of the account's orders against one placing intent of unknown fate."""
    known = frozenset(ours)
    found = [order for order in orders if matches(intent, order, known)]
    if len(found) > 1:
        return Verdict.AMBIGUOUS, None, settling
    if found:
        return Verdict.FOUND, found[0], settling
    if requested_s < settling.since_s:
        return Verdict.NOT_YET, None, settling
    settling = Settling(settling.since_s, settling.reads + 1)
    absent = settling.reads >= SETTLING_READS and requested_s >= settling.since_s + settle_s
    return (Verdict.ABSENT if absent else Verdict.NOT_YET), None, settling
