"""A position from its fills. PURE. Exact: Decimal throughout, and each fill counts once."""

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
