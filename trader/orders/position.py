"""A position from its fills, and arithmetic of signed quantities. PURE. Exact: Decimal throughout, and each fill counts
once."""

from __future__ import annotations

from decimal import Decimal

from brokers.model import ZERO, Side, Value


class Holding(Value, frozen=True):
    """Signed quantity and average price of what is open; no price while flat. ``as_of_utc``: newest fill or read."""

    quantity: Decimal = ZERO
    average_price: Decimal | None = None
    as_of_utc: float = 0.0


def after_fill(held: Holding, side: Side, quantity: Decimal, price: Decimal, now_utc: float) -> Holding:
    """Adding averages the price; reducing leaves it; crossing zero takes the fill's price for what is beyond."""
    before = held.quantity
    after = before + side.sign * quantity
    if after == 0:
        return Holding(ZERO, None, now_utc)
    if before == 0 or (before > 0) != (after > 0):
        return Holding(after, price, now_utc)
    if abs(after) < abs(before) or held.average_price is None:
        return Holding(after, held.average_price, now_utc)
    cost = abs(before) * held.average_price + quantity * price
    return Holding(after, cost / abs(after), now_utc)


def closed_by(held: Holding, side: Side, quantity: Decimal) -> Decimal:
    """How much of what is held, signed like it, a fill ends."""
    if held.quantity * side.sign >= 0:
        return ZERO
    return held.quantity if quantity >= abs(held.quantity) else -side.sign * quantity


def price_of_new(
    before: Decimal, average_before: Decimal | None, total: Decimal, average: Decimal | None
) -> Decimal | None:
    """The price of what was filled between two cumulative totals: it makes both averages true. None: it cannot be
    told, since nothing new was filled or an average is missing."""
    if average is None or total <= before or (before and average_before is None):
        return None
    return average if not before else (total * average - before * (average_before or ZERO)) / (total - before)


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
