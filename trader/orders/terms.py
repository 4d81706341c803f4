"""What an order is to do: size, type and prices, and when two say the same. PURE."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from brokers.model import OrderType, Trail


class Terms(NamedTuple):
    quantity: Decimal
    type: OrderType
    stop_price: Decimal | None
    limit_price: Decimal | None
    trail: Trail | None

    def __str__(self) -> str:
        return f"{self.quantity} {self.type} at {self.stop_price or self.limit_price or self.trail or 'the market'}"


class HasTerms(Protocol):
    """An order at the broker, one of ours, or an intent."""

    @property
    def quantity(self) -> Decimal: ...
    @property
    def type(self) -> OrderType: ...
    @property
    def stop_price(self) -> Decimal | None: ...
    @property
    def limit_price(self) -> Decimal | None: ...
    @property
    def trail(self) -> Trail | None: ...


def terms(
    quantity: Decimal, kind: OrderType, stop: Decimal | None, limit: Decimal | None, trail: Trail | None
) -> Terms:
    """What counts of them: a market order has no price, and that of a trailing stop is the venue's."""
    if kind is OrderType.MARKET:
        return Terms(quantity, kind, None, None, None)
    return Terms(quantity, kind, None if trail is not None else stop, limit, trail)


def terms_of(order: HasTerms) -> Terms:
    return terms(order.quantity, order.type, order.stop_price, order.limit_price, order.trail)
