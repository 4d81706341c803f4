"""A venue of a few lines whose habits nobody knows: how long it remembers a key, and under which id a replaced order
goes on. It fills at once what can fill, and keeps the books that the desk's are compared with."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec

from brokers.model import (
    ZERO,
    Accepted,
    Change,
    Order,
    OrderStatus,
    OrderType,
    Outcome,
    Placing,
    RefusedByVenue,
)

replace = msgspec.structs.replace
PRICE = Decimal(167)


class ForgetfulVenue:
    """``memory_s``: how long a key is remembered (None: for ever). ``key_of``: the client key of each order, also of
    those that go on for another one."""

    def __init__(self, memory_s: float | None, keeps_id: bool, account: str) -> None:
        self.memory_s, self.keeps_id, self.account = memory_s, keeps_id, account
        self.orders: dict[str, Order] = {}
        self.history: dict[str, Order] = {}
        self.key_of: dict[str, str] = {}
        self.placed: Counter[str] = Counter()
        self.used_utc: dict[str, float] = {}
        self.position = ZERO
        self.positions = [ZERO]

    def place(self, placing: Placing, now_utc: float) -> Outcome:
        used_utc = self.used_utc.get(placing.key)
        if used_utc is not None and (self.memory_s is None or now_utc <= used_utc + self.memory_s):
            return RefusedByVenue("a unique orderconfirmid already exists", duplicate=True)
        self.used_utc[placing.key] = now_utc
        self.placed[placing.key] += 1
        return Accepted(self._new(placing.key, placing, now_utc))

    def _new(self, key: str, like: Placing | Order, now_utc: float, quantity: Decimal | None = None) -> str:
        order_id = str(len(self.key_of) + 1)
        self.key_of[order_id] = key
        self.orders[order_id] = Order(
            order_id, self.account, like.symbol, like.side, like.type, quantity or like.quantity,
            OrderStatus.WORKING, "ACK", float(int(now_utc)), stop_price=like.stop_price,
        )  # fmt: skip
        if like.type is OrderType.MARKET:
            self.fill(order_id)
        return order_id

    def change(self, order_id: str, change: Change, now_utc: float) -> Outcome:
        order = self.orders.get(order_id)
        if order is None or not order.working:
            return RefusedByVenue("Not an open order.", dead=True)
        market = change.to_market
        quantity = change.quantity if change.quantity is not None else order.quantity
        if quantity <= order.filled_quantity:
            return RefusedByVenue("the quantity is filled already")
        changed = replace(
            order,
            quantity=quantity,
            type=OrderType.MARKET if market else order.type,
            stop_price=None if market else change.stop_price or order.stop_price,
        )
        if not self.keeps_id:
            self.orders[order_id] = replace(order, status=OrderStatus.CANCELLED, venue_status="UCH")
            return Accepted(self._new(self.key_of[order_id], changed, now_utc, quantity - order.filled_quantity))
        self.orders[order_id] = changed
        if market:
            self.fill(order_id)
        return Accepted(order_id)

    def cancel(self, order_id: str) -> Outcome:
        order = self.orders.get(order_id)
        if order is None or not order.working:
            return RefusedByVenue("Not an open order.", dead=True)
        self.orders[order_id] = replace(order, status=OrderStatus.CANCELLED, venue_status="OUT")
        return Accepted(order_id)

    def fill(self, order_id: str, quantity: Decimal | None = None) -> None:
        order = self.orders[order_id]
        more = min(quantity or order.quantity, order.quantity - order.filled_quantity)
        filled = order.filled_quantity + more
        status = OrderStatus.FILLED if filled == order.quantity else order.status
        self.orders[order_id] = replace(order, filled_quantity=filled, average_fill_price=PRICE, status=status)
        self.position += order.side.sign * more
        self.positions.append(self.position)

    def next_day(self) -> None:
        """What is closed leaves today's orders for history."""
        for order_id, order in list(self.orders.items()):
            if not order.working:
                self.history[order_id] = self.orders.pop(order_id)

    @property
    def working(self) -> dict[str, Order]:
        return {order_id: order for order_id, order in self.orders.items() if order.working}
