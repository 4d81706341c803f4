"""The feeds of one account: orders and positions as the venue streams them.

Quick, and not to be trusted alone: a stream can beat and omit a fill (order-safety 2). The truth is read by
books.py, which shares no fate with these; what it publishes is held against what the stream told (``omissions.py``).
A disagreement is an event, and the stream is opened anew, whose replay may tell what it left out: account managers go
by the books anyway.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque

from brokers.broker import EndSnapshot, OrderItem, PositionGone, PositionItem, StreamItem, StreamRequest
from brokers.model import Order, Position
from feeds import paths
from feeds.messages import AccountSeen, OrdersSeen, PositionsSeen, Snapshot, SnapshotFailed
from feeds.omissions import Omission, OrdersTold, PositionsTold
from feeds.stream import StreamFeed
from supervisor.messages import Message, Subscribed

OMISSIONS_KEPT = 200
"""What one stream left out and the next one does too is told once, and no reason to open a third."""


class AccountFeed(StreamFeed):
    """What both have in common: the replay, its end, and the books they are held against."""

    replaying = True

    def init(self) -> None:
        super().init()
        self.told_before: deque[str] = deque(maxlen=OMISSIONS_KEPT)
        self.world.subscribe(paths.books(self.config.name, self.feed.subject), "snapshot")

    def handle_info(self, message: Message) -> None:
        if isinstance(message, Snapshot):
            self._compare(message)
        elif not isinstance(message, SnapshotFailed | AccountSeen | Subscribed):
            super().handle_info(message)

    def item(self, line: bytes) -> StreamItem | None:
        return self.broker.account_item(line)

    def opening(self) -> None:
        self.replaying = True

    @abstractmethod
    def omitted(self, snapshot: Snapshot) -> list[Omission]:
        """What the stream has not told, though it should have by now."""

    def _compare(self, snapshot: Snapshot) -> None:
        """Before the replay is over the stream has not said what there is. What the stream says while the books read
        is in its favour, never against it."""
        if self.replaying or not self.stream or snapshot.requested_s < self.opened_s:
            return
        omissions = [each for each in self.omitted(snapshot) if each.what not in self.told_before]
        for each in omissions:
            self.told_before.append(each.what)
            text = f"{self.feed.subject}: the stream omitted {each.what}; it is opened anew"
            self.world.event("feed.omitted", "NOTIFY", text, subject=each.subject, read=snapshot.read)
        if omissions:
            self.open_anew()


class OrdersFeed(AccountFeed):
    """``connections/<name>/feeds/orders/<account>``; publishes ``OrdersSeen``, each symbol on a topic of its own."""

    def request(self) -> StreamRequest:
        return self.broker.orders_stream(self.feed.subject)

    def opening(self) -> None:
        super().opening()
        self.told = OrdersTold(self.timing.heartbeat_s)

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
        """By symbol, as each has its own session: where fifty fill at once, fifty would wake for every one of them."""
        of_symbol: dict[str, list[Order]] = {}
        for order in orders:
            of_symbol.setdefault(order.symbol, []).append(order)
        for symbol, told in of_symbol.items():
            self.world.publish(paths.orders_topic(symbol), OrdersSeen(tuple(told), self.replaying, received_s))
        self.told.heard(orders)

    def omitted(self, snapshot: Snapshot) -> list[Omission]:
        return self.told.judge(snapshot.content.orders, snapshot.requested_s)


class PositionsFeed(AccountFeed):
    """``connections/<name>/feeds/positions/<account>``; publishes ``PositionsSeen`` on "positions".

    A closed position is told by its id alone, so we keep what each id was. Before EndSnapshot the map is a part,
    and a part would look like "flat": nothing is published.
    """

    def request(self) -> StreamRequest:
        return self.broker.positions_stream(self.feed.subject)

    def opening(self) -> None:
        super().opening()
        self.held: dict[str, Position] = {}
        self.told = PositionsTold(self.timing.heartbeat_s)

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

    def omitted(self, snapshot: Snapshot) -> list[Omission]:
        return self.told.judge(self.held.values(), snapshot.content.positions, snapshot.requested_s)
