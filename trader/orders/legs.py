"""The legs of a bracket: the protective orders that go out with an entry and that the venue sends when it fills. PURE.

One intent, one key, several orders: the stop's and the take's keys are the entry's and a letter, so that they need no
number of their own. Which id of the answer is which order the venue does not say; what an order is tells it, and whose
child it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from brokers.model import Duration, Group, GroupKind, Order, OrderType, Placing, Side, Trail, Value

PARENT, CHILD = "OSP", "OSO"
"""The relation of a child to the order that it waits for, and back."""


class LegPurpose(StrEnum):
    """Its letter ends the leg's key."""

    STOP = "stop"
    TAKE = "take"

    @property
    def letter(self) -> str:
        return self[0]


class Leg(Value, frozen=True):
    """Of the entry's quantity and the other side. A stop has its price or trails; a take is a limit."""

    purpose: LegPurpose
    price: Decimal | None = None
    trail: Trail | None = None

    @property
    def type(self) -> OrderType:
        return OrderType.LIMIT if self.purpose is LegPurpose.TAKE else OrderType.STOP_MARKET

    @property
    def stop_price(self) -> Decimal | None:
        return self.price if self.purpose is LegPurpose.STOP else None

    @property
    def limit_price(self) -> Decimal | None:
        return self.price if self.purpose is LegPurpose.TAKE else None


def leg_key(key: str, leg: Leg) -> str:
    return key + leg.purpose.letter


def with_legs(entry: Placing, legs: tuple[Leg, ...], duration: Duration = Duration.GTC) -> Placing:
    """The entry with its children, which outlive the day; of two each fill reduces the other at the venue."""
    if not legs:
        return entry
    children = tuple(
        Placing(
            key=leg_key(entry.key, leg),
            account=entry.account,
            symbol=entry.symbol,
            side=entry.side.opposite,
            quantity=entry.quantity,
            type=leg.type,
            stop_price=leg.stop_price,
            limit_price=leg.limit_price,
            duration=duration,
            kind=entry.kind,
            short=entry.short,
            trail=leg.trail,
        )
        for leg in legs
    )
    kind = GroupKind.BRACKET if len(children) > 1 else GroupKind.NORMAL
    return Placing(**{name: getattr(entry, name) for name in FIELDS}, children=(Group(kind, children),))


FIELDS = tuple(name for name in Placing.__struct_fields__ if name != "children")


def parent_of(order: Order) -> str:
    """The id of the order that this one waits for, or waited for; "" where the venue names none."""
    return next((link.order_id for link in order.links if link.relation == PARENT), "")


def leg_of(order: Order, side: Side, legs: Iterable[Leg]) -> Leg | None:
    """Which leg of an entry of ``side`` this order is, by what it is: a bracket has no two of a type."""
    if order.side is not side.opposite:
        return None
    return next((leg for leg in legs if leg.type is order.type), None)
