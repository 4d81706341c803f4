"""Stops and takes as the venue ties them, and how much of a position they can close at most. PURE.

A *pair* is a stop and a take of one bracket: what fills of one the venue takes from the other, so the two together
close no more than the larger of them (order-safety 3.9). What is not tied counts by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

import msgspec

from brokers.model import ZERO, Side, Trail
from trader.orders.intents import Purpose
from trader.orders.lifecycle import OwnOrder


class Pair(NamedTuple):
    """One of the two is None where it stands alone. A stop that was turned into an exit is still the take's other."""

    stop: OwnOrder | None
    take: OwnOrder | None

    @property
    def tied(self) -> bool:
        """Both work: what fills of one the venue takes from the other."""
        both = self.stop is not None and self.take is not None
        return both and not any(each is not None and each.exiting for each in self)

    @property
    def stops(self) -> Decimal:
        """What its stop protects; nothing while it is being cancelled or is an exit."""
        if self.stop is None or self.stop.exiting or self.stop.cancelling:
            return ZERO
        return self.stop.remaining


def pairs(closing: Iterable[OwnOrder]) -> list[Pair]:
    """Of stops and takes, in the sequence in which their intents were written; what showed up late comes last."""
    found: dict[tuple[int, str], Pair] = {}
    for order in sorted(closing, key=lambda each: (each.late, each.intent)):
        if order.purpose not in (Purpose.STOP, Purpose.TAKE):
            continue
        name = (order.group, "") if order.group else (0, order.order_id)
        stop, take = found.get(name, Pair(None, None))
        found[name] = Pair(order, take) if order.purpose is Purpose.STOP else Pair(stop, order)
    return list(found.values())


def closes_at_most(orders: Iterable[OwnOrder]) -> Decimal:
    """What these may close together: of a group its largest, since the venue sees to it."""
    groups: dict[int, Decimal] = {}
    alone = ZERO
    for order in orders:
        if order.group:
            groups[order.group] = max(groups.get(order.group, ZERO), order.remaining_at_most)
        else:
            alone += order.remaining_at_most
    return sum(groups.values(), alone)


# -- prices ------------------------------------------------------------------------------------------------------------


def safe_stop(price: Decimal, protects: Side, tick_size: Decimal) -> Decimal:
    """Rounded to the tick on the safe side: the stop of a long position upwards, of a short one downwards."""
    rounding = ROUND_CEILING if protects is Side.BUY else ROUND_FLOOR
    return (price / tick_size).to_integral_value(rounding) * tick_size


def safe_take(price: Decimal, protects: Side, tick_size: Decimal) -> Decimal:
    """Rounded away from the market, so that it never gives less than was asked for: filled later, not worse."""
    return safe_stop(price, protects, tick_size)


def safe_trail(trail: Trail, tick_size: Decimal) -> Trail:
    """An amount in whole ticks, nearer to the market rather than farther; one tick at least. A percentage is the
    venue's to round."""
    if trail.amount is None:
        return trail
    whole = (trail.amount / tick_size).to_integral_value(ROUND_FLOOR) * tick_size
    return msgspec.structs.replace(trail, amount=max(whole, tick_size))


def behind(price: Decimal, trail: Trail, side: Side) -> Decimal:
    """Where the stop of a position of this side lies, so far behind this price."""
    distance = trail.amount if trail.amount is not None else price * (trail.percent or ZERO) / 100
    return price - side.sign * distance


def tighter(one: Decimal | None, other: Decimal, side: Side) -> Decimal:
    """The nearer to the market of two stops of a position of this side."""
    if one is None:
        return other
    return max(one, other) if side is Side.BUY else min(one, other)


# -- signed quantities -------------------------------------------------------------------------------------------------


def side_of(quantity: Decimal) -> Side:
    return Side.BUY if quantity > 0 else Side.SELL


def same_side(a: Decimal, b: Decimal) -> bool:
    return a * b > 0


def clamped(quantity: Decimal, limit: Decimal) -> Decimal:
    """The part of an exposure that lies between flat and ``limit``: nothing of it is new."""
    if not same_side(quantity, limit):
        return ZERO
    return quantity if abs(quantity) <= abs(limit) else limit
