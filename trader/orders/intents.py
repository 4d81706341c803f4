"""Intents: instructions that are durable before the first byte leaves, and how one of unknown fate is settled. PURE.

An intent is on disk with its key before the request is sent (law 2). Its key is the session's key and a running
number, never made of a process, host or time (order-safety 3.2). Knows nothing of HTTP, stores or clocks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from brokers.model import Change, Duration, Instrument, Order, OrderType, Placing, Side, Trail, Value
from trader.orders.legs import Leg, with_legs
from trader.orders.terms import terms_of

KEY_LENGTH_MAX = 22
"""The shortest limit of a venue's client key that we know."""
SESSION_KEY_LENGTH = 12
"""71 bits of a random session key: two journals never share one. Leaves eight digits for the number, and a letter for
the legs of a bracket."""

OPENED_SKEW_S = 2.0
"""Market seconds by which the venue's opening time may precede our writing: it tells whole seconds, clocks differ."""

SETTLING_READS = 2
"""An order that so many reads in sequence do not show, over the settling time, was not placed."""

AGAIN = "no read shows it: the same key goes again"
"""Reason of an UNSENT intent that was sent before, to a venue that still remembers its key."""

Memory = Literal["forever", "window", "none"]
"""How long a venue refuses a client key that it saw before (``brokers.broker.Capabilities.id_dedupe``)."""


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
    """``WRITTEN``: durable, may have been sent. ``UNSENT``: surely not sent, or shown by no read (``AGAIN``); goes
    while it is wanted. ``UNKNOWN``: sent, outcome not known. ``GIVEN_UP``: settled as not done; what of it still shows
    up is recognised."""

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
    strategy saw when it declared, or the stop's price: the fill is held against it. ``doubted_utc``: since when its
    fate is unknown; our own death does not make that later."""

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
    doubted_utc: float | None = None
    legs: tuple[Leg, ...] = ()
    limit_price: Decimal | None = None
    trail: Trail | None = None


def order_key(session_key: str, number: int) -> str:
    """The client key of an order: used once, the same on a retry."""
    key = f"{session_key}-{number}"
    if len(key) >= KEY_LENGTH_MAX:
        raise ValueError(f"order key {key!r} has {len(key)} characters, limit {KEY_LENGTH_MAX - 1} and a leg's letter")
    return key


def placing(
    intent: Intent, account: str, instrument: Instrument | None, protective: Duration = Duration.GTC
) -> Placing:
    """Protective orders are GTC, or ``protective``, the form of it for extended hours: they outlive the day
    (docs/order-safety.md, "Protection")."""
    opens = intent.purpose is Purpose.ENTRY
    placed = Placing(
        key=intent.key,
        account=account,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        type=intent.type,
        stop_price=intent.stop_price,
        duration=protective if intent.purpose is Purpose.STOP else Duration.DAY,
        kind=instrument.kind if instrument is not None else "",
        short=intent.side is (Side.SELL if opens else Side.BUY),
        trail=intent.trail,
    )
    return with_legs(placed, intent.legs, protective)


def change(intent: Intent, had: Decimal | None) -> Change:
    """``had``: the order's size, if it is known. Where it stays it is not sent: the venue may have made it smaller."""
    quantity = intent.quantity if intent.quantity != had else None
    if intent.type is OrderType.MARKET:
        return Change(quantity=quantity, to_market=True)
    return Change(quantity=quantity, stop_price=intent.stop_price, limit_price=intent.limit_price, trail=intent.trail)


def remembered(
    intent: Intent, memory: Memory, window_s: float, on_its_way_s: float, now_utc: float, rate: float
) -> bool:
    """Whether the venue would surely refuse this key a second time, so that it may go again: at most one order comes of
    it. ``window_s``: machine seconds; it begins when the intent was written, which is before it was sent. What goes now
    may arrive ``on_its_way_s`` later, and what went first as much later than this: within the window all the same."""
    if memory == "window":
        return intent.written_utc <= now_utc <= intent.written_utc + (window_s - on_its_way_s) * rate
    return memory == "forever"


def matches(intent: Intent, order: Order, ours: Container[str]) -> bool:
    """Whether this order at the broker can be of this placing intent (order-safety 3.2)."""
    return (
        order.order_id not in intent.known
        and order.order_id not in ours
        and order.quantity == intent.quantity
        and _alike(intent, order)
    )


def succeeds(intent: Intent, order: Order, filled: Decimal, ours: Container[str], *, tied: bool = False) -> bool:
    """Whether this order can be the one as which a replaced order goes on, at a venue that gives it a new id: it has
    what was asked, less what the old one had ``filled``. (What is ``tied`` the venue may have made smaller since.)"""
    rest = intent.quantity - filled
    fits = order.quantity <= rest if tied else order.quantity == rest
    return order.order_id not in ours and fits and _alike(intent, order)


def _alike(intent: Intent, order: Order) -> bool:
    """Symbol, side, terms and time."""
    return (
        (order.symbol, order.side) == (intent.symbol, intent.side)
        and terms_of(order)[1:] == terms_of(intent)[1:]
        and order.opened_utc >= intent.written_utc - OPENED_SKEW_S
    )


class Settling(Value, frozen=True):
    """What reads have told so far of an intent of unknown fate. ``since_s``: when we came to doubt in this life; only
    reads requested after that count. ``doubted_s``: for how long it had been in doubt by then. ``searched``: history
    does not have it either."""

    since_s: float
    reads: int = 0
    searched: bool = False
    doubted_s: float = 0.0

    @property
    def began_s(self) -> float:
        """Since when it has been in doubt, over all lives."""
        return self.since_s - self.doubted_s


class Verdict(StrEnum):
    FOUND = "found"
    AMBIGUOUS = "ambiguous"
    NOT_YET = "not yet"
    ABSENT = "absent"


def settle(
    intent: Intent,
    settling: Settling,
    orders: Iterable[Order],
    ours: Container[str],
    requested_s: float,
    wait_s: float,
    twins: int = 0,
) -> tuple[Verdict, Order | None, Settling]:
    """One good read of the account's orders against one placing intent of unknown fate. ``wait_s``: how long it may be
    on its way. ``twins``: intents given up lately to which each of these orders may belong as well; of as many orders
    as there are such intents the newest is taken, whichever it is: all are ours."""
    found = [order for order in orders if matches(intent, order, ours)]
    if len(found) > 1 + twins:
        return Verdict.AMBIGUOUS, None, settling
    if found:
        return Verdict.FOUND, max(found, key=lambda order: (order.opened_utc, order.order_id)), settling
    return _unseen(settling, requested_s, wait_s)


def settle_replace(
    intent: Intent,
    settling: Settling,
    orders: Iterable[Order],
    filled: Decimal,
    ours: Container[str],
    requested_s: float,
    wait_s: float,
    *,
    tied: bool = False,
    twins: int = 0,
) -> tuple[Verdict, Order | None, Settling]:
    """The same of a replace whose order has ended: as what it goes on, if it does. ``twins``: placings of unknown fate,
    and legs not seen yet, that ask for the very same."""
    found = [order for order in orders if succeeds(intent, order, filled, ours, tied=tied)]
    if len(found) > 1 + twins:
        return Verdict.AMBIGUOUS, None, settling
    if found:
        return Verdict.FOUND, max(found, key=lambda order: (order.opened_utc, order.order_id)), settling
    return _unseen(settling, requested_s, wait_s)


def _unseen(settling: Settling, requested_s: float, wait_s: float) -> tuple[Verdict, None, Settling]:
    if requested_s < settling.since_s:
        return Verdict.NOT_YET, None, settling
    settling = Settling(settling.since_s, settling.reads + 1, settling.searched, settling.doubted_s)
    absent = settling.reads >= SETTLING_READS and requested_s >= settling.began_s + wait_s
    return (Verdict.ABSENT if absent else Verdict.NOT_YET), None, settling
