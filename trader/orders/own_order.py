"""An order of ours at the broker: all that is remembered of it, a row of the journal, and what follows from that. PURE.

How a frame of the broker changes it: ``lifecycle.py``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from brokers.model import ZERO, Duration, Order, OrderStatus, OrderType, Side, Trail, Value
from trader.orders.intents import Intent, Purpose
from trader.orders.legs import Leg

Pending = Literal["", "replace", "cancel"]


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
    denied: str = ""
    """Why the venue refused the pending request: as if the order had ended. Reads tell whether it has."""
    odd: str = ""
    """The last oddity told, so that a read every 30 s does not tell it every 30 s."""
    commission_usd: Decimal = ZERO
    """What the broker has charged for it so far."""
    late: bool = False
    """It showed up after its intent had been given up, or its validity or it itself had ended: it is cancelled at once;
    what it fills is kept and protected, never undone by us."""
    out: bool = False
    """The broker says that it has ended. Whether it was cancelled, or goes on under another id as the replace of
    unknown fate asked for, reads decide."""
    renews: str = ""
    """The order as which this one was placed: it goes on for it, with what that one had not filled."""
    on_its_way: Decimal | None = None
    on_its_way_until_utc: float = 0.0
    """The quantity that a replace which was given up would make of it, should it arrive after all, and until when."""
    doubted: tuple[Decimal, Decimal | None] | None = None
    """Filled quantity and average as the last read told them, where that takes back what we knew."""
    corrections: int = 0
    """How often the broker took back or changed what it had told of fills."""
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
    """So much the venue will take from this order, because the other of its group has filled it. Below zero: it has
    taken that already, and the other's fill is told with it and taken next."""
    owed_since_s: float = 0.0
    withdrawn: bool = False
    """We have asked for its end: if its group ends with it, nobody else did that."""
    awaits: tuple[Leg, ...] = ()
    """Of an entry: legs that went with it and that no frame has shown yet."""
    written_utc: float = 0.0
    """When its intent was written; 0 for a leg."""
    told: tuple[str, ...] = ()
    """Of an entry that awaits legs: all ids of the answer. What they leave out was refused."""
    opened_utc: float = 0.0
    """When the venue says that it was opened."""
    good_till_utc: float | None = None
    """When it ends by itself, where the venue says so."""
    early: bool = False
    """Of a leg: the venue has sent it at a part-fill of its entry, so it works beside that and closes what is held."""
    presumed: bool = False
    """That it has ended is what a person's release took for granted: no frame of it has said so."""

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
        asked = self.asked_quantity if self.pending == "replace" else None
        largest = max(self.quantity, asked or ZERO, self.on_its_way or ZERO)
        return max(ZERO, largest - self.filled_quantity - self.owed)

    @property
    def dying(self) -> bool:
        """All of it was filled by the other of its group: the venue ends it, we only have not been told."""
        return self.owed > 0 and self.remaining == 0

    @property
    def exiting(self) -> bool:
        """It closes at the market: an exit, or a stop (by somebody else also a take) that was turned into one."""
        return self.purpose is Purpose.EXIT or (self.purpose is not Purpose.ENTRY and self._market)

    @property
    def protecting(self) -> bool:
        """A stop that the broker says is working; sent is not working, one being cancelled protects no more, and one
        for the day only does not count. (For which hours it works: ``trader/minding/cover.py``.)"""
        works = self.status is OrderStatus.WORKING and not self.cancelling and not self.out
        works = works and self.duration in (Duration.GTC, Duration.GTC_EXTENDED)
        return works and self.purpose is Purpose.STOP and not self._market

    @property
    def cancelling(self) -> bool:
        return self.pending == "cancel" or self.status is OrderStatus.CANCELLING

    @property
    def _market(self) -> bool:
        return OrderType.MARKET in (self.type, self.asked_type)


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


def protects(order: Order) -> bool:
    """Whether somebody else's order is a stop as ours would be: working, and not for the day only."""
    works = order.status is OrderStatus.WORKING and order.duration is Duration.GTC
    return works and order.type is OrderType.STOP_MARKET
