"""An order as the book knows it, and the words for it. PURE."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.tradestation.emulator.book import NO_TERMS, OrderReplaced, Terms, Trail

OPEN_STATUSES = ("ACK", "DON", "OSO", "STP", "FPR", "UCN", "RSN")
BUYS = ("BUY", "BUYTOCOVER")
EXTENDED = ("DYP", "GCP", "GDP")
SIBLINGS = ("OCO", "BRK")


class Order(msgspec.Struct, frozen=True, gc=False):
    """``armed_utc``: from when on the market is watched for it, the acceptance or the last replace. ``paid`` is the sum
    of price times quantity over its fills; ``links`` are (relationship, order id) as in ConditionalOrders. ``waiting``:
    for its parent; ``held``: until the market opens; both also while a cancel or a replace is on its way.
    ``dormant``: held back until its activation rules are met."""

    order_id: str
    account: str
    symbol: str
    action: str
    quantity: int
    order_type: str
    stop_price: Decimal | None
    duration: str
    confirm_id: str
    by_hand: bool
    opened_utc: float
    armed_utc: float
    status: str = "ACK"
    closed_utc: float | None = None
    commission_usd: Decimal = Decimal(0)
    reason: str = ""
    limit_price: Decimal | None = None
    trail: Trail | None = None
    good_till_day: int = 0
    links: tuple[tuple[str, str], ...] = ()
    group: int = 0
    sent_utc: float = 0.0
    filled: int = 0
    paid: Decimal = Decimal(0)
    last_fill_utc: float | None = None
    hit_utc: float | None = None
    hit_price: Decimal | None = None
    cancel_due_utc: float | None = None
    replacing: OrderReplaced | None = None
    reduced: int = 0
    waiting: bool = False
    held: bool = False
    shown_status: str = ""
    renews: str = ""  # the order that went on under this id
    terms: Terms = NO_TERMS
    dormant: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled

    @property
    def is_buy(self) -> bool:
        return self.action in BUYS

    @property
    def signed_quantity(self) -> int:
        return self.quantity if self.action in BUYS else -self.quantity

    @property
    def fill_price(self) -> Decimal | None:
        """The average of its fills."""
        return self.paid / self.filled if self.filled else None

    @property
    def is_extended(self) -> bool:
        return self.duration in EXTENDED

    def linked(self, *relationships: str) -> list[str]:
        return [order_id for relationship, order_id in self.links if relationship in relationships]


class Fill(msgspec.Struct, frozen=True, gc=False):
    order_id: str
    account: str
    symbol: str
    quantity: int  # signed
    price: Decimal
    commission_usd: Decimal
    at_utc: float
