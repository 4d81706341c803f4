"""Stops and takes as the venue ties them, and how much of a position they can close at most. PURE.

A *pair* is a stop and a take of one bracket: what fills of one the venue takes from the other, so the two together
close no more than the larger of them (order-safety 3.9). What is not tied counts by itself.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from decimal import Decimal
from typing import NamedTuple

from brokers.model import ZERO
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder


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


def waits(order: OwnOrder, entries: Container[str]) -> bool:
    """Whether it is a leg that the venue has not sent yet, since its entry is one of these and works."""
    return order.parent in entries and not order.early


def promised(orders: Iterable[OwnOrder]) -> Decimal:
    """What is held of entries that have filled in part: their stops wait at the venue for the rest. (Also where only a
    take does: it goes out for the whole with the rest, and would stand beside a stop of ours.)"""
    working = [order for order in orders if order.working]
    legs = [order for order in working if order.purpose in (Purpose.STOP, Purpose.TAKE)]
    parents, out = {leg.parent for leg in legs}, {leg.parent for leg in legs if leg.early}
    entries = [order for order in working if order.purpose is Purpose.ENTRY and order.order_id not in out]
    return sum((order.filled_quantity for order in entries if order.order_id in parents or order.awaits), ZERO)


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
