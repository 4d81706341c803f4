"""How much an exposure can lose until its stop: distance from entry to stop x quantity x point value, in USD. PURE.

What is held counts from its average price, and nothing where its stop locks a profit in; what is to be added counts
from the last price, since a market order has none of its own. Gaps and slippage are nobody's promise.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from brokers.model import ZERO, Instrument
from trader.orders.position import Holding


class Exposure(NamedTuple):
    """``quantity``: signed, what is to be held; ``last``: the newest price known."""

    quantity: Decimal
    held: Holding
    stop: Decimal | None
    last: Decimal | None
    instrument: Instrument | None


def open_risk_usd(exposures: Iterable[Exposure]) -> Decimal | None:
    """Of all together; None where one of them has no bound that could be reckoned."""
    total = ZERO
    for each in exposures:
        risk_usd = _risk_usd(each)
        if risk_usd is None:
            return None
        total += risk_usd
    return total


def _risk_usd(each: Exposure) -> Decimal | None:
    kept = min(abs(each.quantity), abs(each.held.quantity)) if each.quantity * each.held.quantity > 0 else ZERO
    added = abs(each.quantity) - kept
    if not each.quantity:
        return ZERO
    if each.stop is None or each.instrument is None:
        return None
    risk = ZERO
    if kept:
        if each.held.average_price is None:
            return None
        side = 1 if each.quantity > 0 else -1
        risk += max(ZERO, (each.held.average_price - each.stop) * side) * kept
    if added:
        if each.last is None:
            return None
        risk += abs(each.last - each.stop) * added
    return risk * each.instrument.point_value_usd
