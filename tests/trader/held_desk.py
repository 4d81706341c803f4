"""A desk with a person beside it, who holds, halts, flattens and releases."""

from decimal import Decimal
from typing import Any

from brokers.model import Order, OrderStatus, OrderType, Side
from tests.scripted_parts import HttpRequest
from tests.trader.session_world import ACCOUNT, NAME, SYMBOL, Desk
from trader.holds import Level, PersonHold
from trader.messages import HoldsChanged
from trader.store import desk as desk_store
from trader.store.holds import lift, put_flatten, put_hold


class Held(Desk):
    """A person, by way of what the recorder would have stored."""

    def hold(self, level: Level = Level.HOLD, *, session: str = NAME, flatten: bool = False, tell: bool = True) -> None:
        store: Any = self.world.store(desk_store.DESK_DB)
        put_hold(store, PersonHold(session, level, "ann", "cpi", self.world.now_utc()))
        if flatten:
            put_flatten(store, NAME, session)
        if tell:
            self.world.tell(HoldsChanged())

    def flatten(self) -> None:
        self.hold(Level.HALT, flatten=True)

    def release(self, session: str = NAME) -> None:
        store: Any = self.world.store(desk_store.DESK_DB)
        lift(store, session)
        self.world.tell(HoldsChanged())

    @property
    def taken(self) -> Any:
        return self.manager.journal.taken

    @property
    def held(self) -> Decimal:
        quantity: Decimal = self.manager.journal.holding(SYMBOL).quantity
        return quantity

    def partly(self, order_id: str, filled: int) -> None:
        """The order fills in part at the venue, and the stream tells it."""
        order = self.orders[order_id]
        self.position += order.side.sign * (filled - int(order.filled_quantity))
        self.change(order_id, filled_quantity=Decimal(filled), average_fill_price=Decimal(167))
        self.stream()

    def by_hand_works(self, quantity: int, stop: str) -> str:
        """A person's own stop order, working at the venue."""
        order_id = f"hand{next(self.numbers)}"
        side = Side.BUY if quantity > 0 else Side.SELL
        self.orders[order_id] = Order(
            order_id, ACCOUNT, SYMBOL, side, OrderType.STOP_MARKET, Decimal(abs(quantity)),
            OrderStatus.WORKING, "ACK", self.world.now_utc(), stop_price=Decimal(stop),
        )  # fmt: skip
        return order_id

    def restart(self) -> None:
        self.earlier = [*self.all_requests()]
        super().restart()

    def all_requests(self) -> list[HttpRequest]:
        """Of all lives."""
        return [*getattr(self, "earlier", []), *self.world.requests]

    def entries(self) -> list[str]:
        return [row["key"] for row in self.query("SELECT key FROM intents WHERE purpose = 'entry'")]
