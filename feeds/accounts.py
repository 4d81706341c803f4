"""The feeds of one account: orders and positions as the venue streams them.

Quick, and not to be trusted alone: a stream can beat and omit a fill (order-safety 2). The truth is read by
books.py, which shares no fate with these.
"""

from __future__ import annotations

from brokers.broker import EndSnapshot, OrderItem, PositionGone, PositionItem, StreamItem, StreamRequest
from brokers.model import Order, Position
from feeds.messages import OrdersSeen, PositionsSeen
from feeds.stream import StreamFeed


class OrdersFeed(StreamFeed):
    """``connections/<name>/feeds/orders/<account>``; publishes ``OrdersSeen`` on "orders"."""

    def init(self) -> None:
        self.replaying = True
        super().init()

    def request(self) -> StreamRequest:
        return self.broker.orders_stream(self.feed.subject)

    def item(self, line: bytes) -> StreamItem | None:
        return self.broker.account_item(line)

    def publish(self, items: list[StreamItem], received_s: float) -> None:
        """A read in which the replay ends goes out as two messages: replayed orders and live ones."""
        orders: list[Order] = []
        for item in items:
            if isinstance(item, OrderItem):
                orders.extend(item.orders)
            elif isinstance(item, EndSnapshot):
                self._tell(orders, received_s)
                self.replaying, orders = False, []
        self._tell(orders, received_s)

    def _tell(self, orders: list[Order], received_s: float) -> None:
        if orders:
            self.world.publish("orders", OrdersSeen(tuple(orders), self.replaying, received_s))


class PositionsFeed(StreamFeed):
    """``connections/<name>/feeds/positions/<account>``; publishes ``PositionsSeen`` on "positions".

    A closed position is told by its id alone, so we keep what each id was. Before EndSnapshot the map is a part,
    and a part would look like "flat": nothing is published.
    """

    def init(self) -> None:
        self.replaying = True
        self.held: dict[str, Position] = {}
        super().init()

    def request(self) -> StreamRequest:
        return self.broker.positions_stream(self.feed.subject)

    def item(self, line: bytes) -> StreamItem | None:
        return self.broker.account_item(line)

    def publish(self, items: list[StreamItem], received_s: float) -> None:
        before = dict(self.held)
        was_replaying = self.replaying
        for item in items:
            self._apply(item)
        news = was_replaying or self.held != before
        if news and not self.replaying:
            self.world.publish("positions", PositionsSeen(tuple(self.held.values()), received_s))

    def _apply(self, item: StreamItem) -> None:
        if isinstance(item, PositionItem):
            self.held[item.position_id] = item.position
        elif isinstance(item, PositionGone):
            self.held.pop(item.position_id, None)
        elif isinstance(item, EndSnapshot):
            self.replaying = False
