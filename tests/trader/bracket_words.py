"""What is said and told of brackets in tests."""

from decimal import Decimal
from typing import Any

from brokers.model import Bar
from feeds.messages import OrdersSeen
from tests.trader.session_world import SYMBOL, Desk
from trader.messages import CleanBar, CleanBars, Cursor, Declared, PositionView, ReadSessionStatus, Turn


def declare(desk: Desk, quantity: int, **terms: Any) -> None:
    desk.stamp = max(desk.stamp + 60, int(desk.world.now_utc()))
    exact = {name: Decimal(value) if isinstance(value, int | str) else value for name, value in terms.items()}
    declared = Declared(symbol=SYMBOL, quantity=Decimal(quantity), **exact)
    newest = desk.manager.journal.newest_row
    desk.world.ask(Turn(1, b"", newest, Cursor(SYMBOL, 60, desk.stamp), declarations=(declared,)))


def tell(desk: Desk, *order_ids: str) -> None:
    """Of these orders only, in this sequence, one message each."""
    for order_id in order_ids:
        desk.world.deliver(OrdersSeen((desk.orders[order_id],), False, desk.world.now_s()))


def bar(desk: Desk, close: str) -> None:
    price = Decimal(close)
    made = Bar(SYMBOL, 60, desk.stamp, price, price, price, price, 1)
    desk.world.deliver(CleanBars(SYMBOL, 60, desk.stamp - 60, (CleanBar(made, late=False),)))


def view(desk: Desk) -> PositionView:
    (position,) = desk.world.ask(ReadSessionStatus()).positions
    assert isinstance(position, PositionView)
    return position


def long_with_take(desk: Desk, quantity: int = 1) -> None:
    """Order 1 the entry, 2 its stop at 166, 3 its take at 170."""
    declare(desk, quantity, stop=166, take=170)
    desk.fill("1")
    desk.stream()
    desk.read()


def held(desk: Desk) -> Decimal:
    return desk.manager.journal.holding(SYMBOL).quantity
