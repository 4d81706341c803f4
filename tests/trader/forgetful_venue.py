"""A venue of a few lines whose habits nobody knows: how long it remembers a key, and under which id a replaced order
goes on. It fills at once what can fill, and keeps the books that the desk's are compared with."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Literal

import msgspec

from brokers.model import (
    ZERO,
    Accepted,
    Change,
    Grouped,
    GroupKind,
    GroupOutcome,
    Link,
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
    """``memory_s``: how long a key is remembered. ``key_of``: the client key of each order, also of
    those that go on for another one."""

    def __init__(self, memory_s: float, keeps_id: bool, account: str) -> None:
        self.memory_s, self.keeps_id, self.account = memory_s, keeps_id, account
        self.orders: dict[str, Order] = {}
        self.history: dict[str, Order] = {}
        self.key_of: dict[str, str] = {}
        self.placed: Counter[str] = Counter()
        self.used_utc: dict[str, float] = {}
        self.position = ZERO
        self.positions = [ZERO]

    def place(self, placing: Placing, now_utc: float) -> Outcome:
        if self._remembers(placing.key, now_utc):
            return RefusedByVenue("a unique orderconfirmid already exists", duplicate=True)
        self._uses(placing.key, now_utc)
        return Accepted(self._at_market(self._new(placing.key, placing, now_utc)))

    def _remembers(self, key: str, now_utc: float) -> bool:
        used_utc = self.used_utc.get(key)
        return used_utc is not None and now_utc <= used_utc + self.memory_s

    def _uses(self, key: str, now_utc: float) -> None:
        self.used_utc[key] = now_utc
        self.placed[key] += 1

    def _new(self, key: str, like: Placing | Order, now_utc: float, quantity: Decimal | None = None) -> str:
        order_id = str(len(self.key_of) + 1)
        self.key_of[order_id] = key
        self.orders[order_id] = Order(
            order_id, self.account, like.symbol, like.side, like.type, quantity or like.quantity,
            OrderStatus.WORKING, "ACK", float(int(now_utc)), stop_price=like.stop_price, limit_price=like.limit_price,
            duration=like.duration,
        )  # fmt: skip
        return order_id

    def _at_market(self, order_id: str) -> str:
        if self.orders[order_id].type is OrderType.MARKET:
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
            limit_price=change.limit_price or order.limit_price,
        )
        if not self.keeps_id:
            self.orders[order_id] = replace(order, status=OrderStatus.CANCELLED, venue_status="UCH")
            rest = quantity - order.filled_quantity
            new_id = self._new(self.key_of[order_id], changed, now_utc, rest)
            self._goes_on(order, new_id)
            return Accepted(self._at_market(new_id))
        self.orders[order_id] = changed
        return Accepted(self._at_market(order_id))

    def _goes_on(self, order: Order, new_id: str) -> None:
        """It has another id from now on."""

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

    def shown(self, orders: dict[str, Order]) -> tuple[Order, ...]:
        """As the venue tells them: newest first."""
        return tuple(reversed(orders.values()))

    def next_day(self) -> None:
        """What is closed leaves today's orders for history."""
        for order_id, order in list(self.orders.items()):
            if not order.working:
                self.history[order_id] = self.orders.pop(order_id)

    @property
    def working(self) -> dict[str, Order]:
        return {order_id: order for order_id, order in self.orders.items() if order.working}


class TyingVenue(ForgetfulVenue):
    """One that also holds an entry's legs until it has filled, and ties a stop to its take. ``names_parents``: its
    orders say whose legs they are. ``ends_group``: with one leg that is cancelled the other goes too. ``refuses``: the
    legs of the next bracket that it refuses, or the whole of it. ``market``: how much fills at once of what goes at the
    market; the rest later."""

    def __init__(self, memory_s: float, keeps_id: bool, account: str, *, names_parents: bool, ends_group: bool) -> None:
        super().__init__(memory_s, keeps_id, account)
        self.names_parents, self.ends_group = names_parents, ends_group
        self.refuses: frozenset[OrderType] = frozenset()
        self.market: Literal["whole", "part", "nothing"] = "whole"

    def place_with_children(self, placing: Placing, now_utc: float) -> GroupOutcome:
        legs, refused = len(placing.whole), RefusedByVenue("no")
        if self._remembers(placing.key, now_utc):
            return Grouped(legs, (), (RefusedByVenue("a unique orderconfirmid already exists", duplicate=True),) * legs)
        refuses, self.refuses = self.refuses, frozenset()
        if placing.type in refuses:
            return Grouped(legs, (), (refused,) * legs)
        self._uses(placing.key, now_utc)
        entry_id = self._new(placing.key, placing, now_utc)
        ids = [entry_id]
        for group in placing.children:
            taken = [leg for leg in group.placings if leg.type not in refuses]
            ids += self._legs(entry_id, taken, group.kind is GroupKind.BRACKET, now_utc)
        self._at_market(entry_id)
        return Grouped(legs, tuple(ids), (refused,) * (legs - len(ids)))

    def _legs(self, entry_id: str, taken: list[Placing], tied: bool, now_utc: float) -> list[str]:
        ids = []
        for leg in taken:
            self._uses(leg.key, now_utc)
            ids.append(self._new(leg.key, leg, now_utc))
        for leg_id in ids:
            ties = tuple(Link("BRK", other) for other in ids if tied and other != leg_id)
            links = (Link("OSP", entry_id), *ties)
            self.orders[leg_id] = replace(self.orders[leg_id], status=OrderStatus.RECEIVED, links=links)
        return ids

    def _at_market(self, order_id: str) -> str:
        order = self.orders[order_id]
        if order.type is OrderType.MARKET and self.market != "nothing":
            self.fill(order_id, None if self.market == "whole" else Decimal(1))
        return order_id

    def fill(self, order_id: str, quantity: Decimal | None = None) -> None:
        before = self.orders[order_id].filled_quantity
        super().fill(order_id, quantity)
        order = self.orders[order_id]
        for each in self._linked("OSP", order_id):
            if each.status is OrderStatus.RECEIVED and order.status is OrderStatus.FILLED:
                self.orders[each.order_id] = replace(each, status=OrderStatus.WORKING)
        for each in self._linked("BRK", order_id):
            left = each.quantity - (order.filled_quantity - before)
            lives = {"quantity": left} if left > each.filled_quantity else {"status": OrderStatus.CANCELLED}
            self.orders[each.order_id] = replace(each, **lives)  # type: ignore[arg-type]

    def cancel(self, order_id: str) -> Outcome:
        told = super().cancel(order_id)
        if isinstance(told, Accepted):
            gone = self._linked("OSP", order_id) + (self._linked("BRK", order_id) if self.ends_group else [])
            for each in gone:
                if each.status is OrderStatus.RECEIVED or Link("BRK", order_id) in each.links:
                    self.orders[each.order_id] = replace(each, status=OrderStatus.CANCELLED)
        return told

    def _goes_on(self, order: Order, new_id: str) -> None:
        status = OrderStatus.RECEIVED if order.status is OrderStatus.RECEIVED else OrderStatus.WORKING
        self.orders[new_id] = replace(self.orders[new_id], links=order.links, status=status)
        for each in list(self.orders.values()):
            links = tuple(Link(k.relation, new_id) if k.order_id == order.order_id else k for k in each.links)
            self.orders[each.order_id] = replace(each, links=links)

    def _linked(self, relation: str, order_id: str) -> list[Order]:
        return [each for each in self.working.values() if Link(relation, order_id) in each.links]

    def shown(self, orders: dict[str, Order]) -> tuple[Order, ...]:
        told = super().shown(orders)
        return told if self.names_parents else tuple(replace(order, links=()) for order in told)
