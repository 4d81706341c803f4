"""Our orders at the broker: a table (state, event) -> state, and each fill once. PURE.

A frame of an order is whole and cumulative: the total filled so far is assigned, never added; the difference to what
we knew is the fill. So the same frame may come by stream, snapshot and restart. Odd rows of the table are annotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

from brokers.model import ZERO, Duration, Order, OrderStatus, OrderType, Side, Trail, Value
from trader.intents import Intent, Purpose
from trader.legs import Leg

Pending = Literal["", "replace", "cancel"]

R, W, C = OrderStatus.RECEIVED, OrderStatus.WORKING, OrderStatus.CANCELLING
F, X, E, J, U = (
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
    OrderStatus.UNKNOWN,
)

ODD: Mapping[tuple[OrderStatus, OrderStatus], tuple[OrderStatus, str]] = {
    (W, R): (W, ""),  # an older frame: the stream's snapshot repeats
    (C, R): (C, ""),
    (C, W): (W, "a cancel that did not take"),
    (F, R): (F, ""),
    (F, W): (F, ""),
    (F, C): (F, ""),
    (F, X): (F, "out after it was filled"),
    (F, E): (F, "expired after it was filled"),
    (F, J): (F, "rejected after it was filled"),
    (X, R): (X, ""),
    (X, W): (X, ""),
    (X, C): (X, ""),
    (X, F): (F, "a fill after the cancel"),
    (X, E): (X, ""),
    (X, J): (X, ""),
    (E, R): (E, ""),
    (E, W): (E, ""),
    (E, C): (E, ""),
    (E, F): (F, "a fill after it expired"),
    (E, X): (E, ""),
    (E, J): (E, ""),
    (J, R): (J, ""),
    (J, W): (J, "works after it was rejected"),
    (J, C): (J, ""),
    (J, F): (F, "a fill after the rejection"),
    (J, X): (J, ""),
    (J, E): (J, ""),
}
"""What is not plainly "take what the broker says"; the text is for the record."""


def next_status(status: OrderStatus, seen: OrderStatus) -> tuple[OrderStatus, str]:
    """The table: each (state, event) has its row."""
    if seen is U:
        return status, "a status code that we do not know"
    if status is U:
        return seen, ""
    return ODD.get((status, seen), (seen, ""))


class OwnOrder(Value, frozen=True):
    """An order of ours as the broker last told it, with what we asked of it since (``asked_*`` while ``pending``)."""

    order_id: str
    intent: int
    purpose: Purpose
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    stop_price: Decimal | None
    status: OrderStatus = OrderStatus.RECEIVED
    filled_quantity: Decimal = ZERO
    average_fill_price: Decimal | None = None
    pending: Pending = ""
    pending_since_s: float = 0.0
    asked_quantity: Decimal | None = None
    asked_stop_price: Decimal | None = None
    asked_type: OrderType | None = None
    unsure: bool = False
    """The outcome of the pending request is not known: reads decide."""
    odd: str = ""
    """The last oddity told, so that a read every 30 s does not tell it every 30 s."""
    commission_usd: Decimal = ZERO
    """What the broker has charged for it so far."""
    late: bool = False
    """It showed up after its intent had been given up: what it fills is kept and protected, never undone by us."""
    limit_price: Decimal | None = None
    asked_limit_price: Decimal | None = None
    trail: Trail | None = None
    """The venue moves this stop by itself; its price then is the venue's."""
    asked_trail: Trail | None = None
    duration: Duration = Duration.GTC
    parent: str = ""
    """The entry that a leg of a bracket waits for: the venue sends it when that has filled."""
    group: int = 0
    """The intent of the bracket whose stop and take the venue ties: what fills of one it takes from the other."""
    owed: Decimal = ZERO
    """So much the venue will take from this order, because the other of its group has filled it."""
    owed_since_s: float = 0.0
    withdrawn: bool = False
    """We have asked for its end: if its group ends with it, nobody else did that."""
    awaits: tuple[Leg, ...] = ()
    """Of an entry: legs that went with it and that no frame has shown yet."""
    written_utc: float = 0.0
    """When its intent was written; 0 for a leg."""
    told: tuple[str, ...] = ()
    """Of an entry that awaits legs: all ids of the answer. What they leave out was refused."""

    @property
    def working(self) -> bool:
        return not self.status.terminal

    @property
    def remaining(self) -> Decimal:
        return ZERO if self.status.terminal else max(ZERO, self.quantity - self.filled_quantity - self.owed)

    @property
    def remaining_at_most(self) -> Decimal:
        """With a replace under way either quantity may be the one that fills."""
        if self.status.terminal:
            return ZERO
        largest = max(self.quantity, self.asked_quantity or ZERO) if self.pending == "replace" else self.quantity
        return max(ZERO, largest - self.filled_quantity - self.owed)

    @property
    def dying(self) -> bool:
        """All of it was filled by the other of its group: the venue ends it, we only have not been told."""
        return self.owed > 0 and self.remaining == 0

    @property
    def exiting(self) -> bool:
        """It closes at the market: an exit, or a stop that was turned into one."""
        return self.purpose is Purpose.EXIT or (self.purpose is Purpose.STOP and self._market)

    @property
    def protecting(self) -> bool:
        """A stop that the broker says is working; sent is not working, one being cancelled protects no more, and one
        for the day only does not count."""
        works = self.status is OrderStatus.WORKING and not self.cancelling and self.duration is Duration.GTC
        return works and self.purpose is Purpose.STOP and not self._market

    @property
    def cancelling(self) -> bool:
        return self.pending == "cancel" or self.status is OrderStatus.CANCELLING

    @property
    def _market(self) -> bool:
        return OrderType.MARKET in (self.type, self.asked_type)


class What(StrEnum):
    FILLED = "filled"
    CHARGED = "charged"
    REJECTED = "rejected"
    CANCELLED_BY_OTHER = "cancelled by somebody else"
    CHANGED_BY_OTHER = "changed by somebody else"
    ENDED = "ended"
    CONFIRMED = "confirmed"
    ODD = "odd"


class Happening(Value, frozen=True):
    """What a frame told us. ``quantity`` and ``price`` are of the fill, for FILLED; ``fee_usd`` is for CHARGED."""

    what: What
    text: str = ""
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    fee_usd: Decimal = ZERO


def placed(intent: Intent, order_id: str) -> OwnOrder:
    """Our row for the order of an accepted placing intent."""
    return OwnOrder(
        order_id=order_id,
        intent=intent.number,
        purpose=intent.purpose,
        symbol=intent.symbol,
        side=intent.side,
        type=intent.type,
        quantity=intent.quantity,
        stop_price=intent.stop_price,
        limit_price=intent.limit_price,
        trail=intent.trail,
        awaits=intent.legs,
        written_utc=intent.written_utc,
    )


def seen(
    own: OwnOrder, frame: Order, *, current: bool, by_venue: bool = False
) -> tuple[OwnOrder, tuple[Happening, ...]]:
    """A frame of one of our orders. ``current`` False: requested before our last word on it, so that only what can
    never be undone counts (fills, ends), and no price or quantity. ``by_venue``: an end or a smaller size in it is what
    the order's group or parent brings about, nobody's doing."""
    told: list[Happening] = []
    status, odd = next_status(own.status, frame.status)
    if odd and odd != own.odd:
        told.append(Happening(What.ODD, f"{own.status} -> {frame.status} ({frame.venue_status}): {odd}"))
    if not current and not status.terminal:
        status = own.status
    after, fill = _filled(own, frame)
    told += fill
    after, fee = _charged(after, frame)
    told += fee
    if current and not status.terminal:
        after, changes = _terms(_reduced(after, frame) if by_venue else after, frame)
        told += changes
    if status.terminal and not own.status.terminal:
        told += [Happening(What.ENDED, str(status))] if by_venue else _ended(own, status, frame)
        after = given_up(after, quantity=frame.quantity, type=frame.type)
    if status is not after.status or (odd and odd != after.odd):
        after = _replaced(after, status=status, odd=odd or own.odd)
    return after, tuple(told)


def _filled(own: OwnOrder, frame: Order) -> tuple[OwnOrder, list[Happening]]:
    """The difference of the cumulative totals is the fill; its price makes both averages true."""
    quantity = frame.filled_quantity - own.filled_quantity
    average = frame.average_fill_price
    if quantity <= 0 or average is None:
        return own, []
    paid_before = own.filled_quantity * (own.average_fill_price or ZERO)
    price = average if own.filled_quantity == 0 else (frame.filled_quantity * average - paid_before) / quantity
    after = _replaced(own, filled_quantity=frame.filled_quantity, average_fill_price=average)
    return after, [Happening(What.FILLED, quantity=quantity, price=price)]


def _charged(own: OwnOrder, frame: Order) -> tuple[OwnOrder, list[Happening]]:
    """The commission is cumulative too, and may be told after the fill. It only grows: an older frame shows less."""
    fee_usd = frame.commission_usd - own.commission_usd
    if fee_usd <= 0 or not own.filled_quantity:
        return own, []
    return _replaced(own, commission_usd=frame.commission_usd), [Happening(What.CHARGED, fee_usd=fee_usd)]


def _reduced(own: OwnOrder, frame: Order) -> OwnOrder:
    """Smaller by what the other of its group has filled."""
    less = own.quantity - frame.quantity
    if less <= 0:
        return own
    asked = None if own.asked_quantity is None else own.asked_quantity - less
    return _replaced(own, quantity=frame.quantity, asked_quantity=asked, owed=max(ZERO, own.owed - less))


class Terms(NamedTuple):
    quantity: Decimal
    type: OrderType
    stop_price: Decimal | None
    limit_price: Decimal | None
    trail: Trail | None

    def __str__(self) -> str:
        return f"{self.quantity} {self.type} at {self.stop_price or self.limit_price or self.trail or 'the market'}"


def _terms(own: OwnOrder, frame: Order) -> tuple[OwnOrder, list[Happening]]:
    """Quantity, prices and type of an open order: ours as asked, as before, or somebody else's doing."""
    now = terms(frame.quantity, frame.type, frame.stop_price, frame.limit_price, frame.trail)
    had = terms(own.quantity, own.type, own.stop_price, own.limit_price, own.trail)
    shown = {
        "quantity": frame.quantity,
        "stop_price": frame.stop_price,
        "type": frame.type,
        "limit_price": frame.limit_price,
        "trail": frame.trail,
        "duration": frame.duration,
    }
    if own.pending == "replace" and now == asked_terms(own):
        return given_up(own, **shown), [Happening(What.CONFIRMED)]
    if now == had:
        same = (frame.stop_price, frame.duration) == (own.stop_price, own.duration)
        return own if same else _replaced(own, stop_price=frame.stop_price, duration=frame.duration), []
    return _replaced(own, **shown), [Happening(What.CHANGED_BY_OTHER, f"{had} -> {now}")]


def terms(
    quantity: Decimal, kind: OrderType, stop: Decimal | None, limit: Decimal | None, trail: Trail | None
) -> Terms:
    """What counts of them: a market order has no price, and that of a trailing stop is the venue's."""
    if kind is OrderType.MARKET:
        return Terms(quantity, kind, None, None, None)
    return Terms(quantity, kind, None if trail is not None else stop, limit, trail)


def asked_terms(own: OwnOrder) -> Terms:
    """What the order is when the pending replace has taken."""
    return terms(
        own.asked_quantity or own.quantity,
        own.asked_type or own.type,
        own.asked_stop_price or own.stop_price,
        own.asked_limit_price or own.limit_price,
        own.asked_trail or own.trail,
    )


def _ended(own: OwnOrder, status: OrderStatus, frame: Order) -> list[Happening]:
    if status is OrderStatus.REJECTED:
        return [Happening(What.REJECTED, frame.reject_reason or "rejected by the venue")]
    if status is OrderStatus.CANCELLED and not own.cancelling:
        return [Happening(What.CANCELLED_BY_OTHER, frame.reject_reason)]
    return [Happening(What.ENDED, str(status))]


def given_up(own: OwnOrder, **shown: object) -> OwnOrder:
    """The pending request is settled as not done: the order is what the broker shows."""
    asked = {"asked_quantity": None, "asked_stop_price": None, "asked_type": None}
    asked |= {"asked_limit_price": None, "asked_trail": None}
    return _replaced(own, pending="", unsure=False, **asked, **shown)


def _replaced(own: OwnOrder, **changes: object) -> OwnOrder:
    return msgspec.structs.replace(own, **changes)
