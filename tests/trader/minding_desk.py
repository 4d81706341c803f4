"""A desk whose session has words about minding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import Bar, OrderStatus, OrderType
from tests.scripted_parts import HttpRequest
from tests.trader.session_world import SESSION, SYMBOL, Desk, reply
from trader.messages import CleanBar, CleanBars
from trader.sessions import Session

replace = msgspec.structs.replace


def desk_of(**words: Any) -> Desk:
    session: Session = replace(SESSION, **words)
    return Desk(session)


def closes(desk: Desk, price: str) -> None:
    """A bar of one minute has just closed at this price."""
    at_utc = int(desk.world.now_utc())
    made = Bar(SYMBOL, 60, at_utc, *[Decimal(price)] * 4, volume=1)
    desk.world.deliver(CleanBars(SYMBOL, 60, at_utc - 60, (CleanBar(made, late=False),)))


def working(desk: Desk, type_: OrderType = OrderType.STOP_MARKET) -> list[str]:
    return [order_id for order_id, order in desk.orders.items() if order.working and order.type is type_]


def held(desk: Desk) -> Decimal:
    quantity: Decimal = desk.manager.journal.holding(SYMBOL).quantity
    return quantity


def passed_while_missing(desk: Desk) -> None:
    """The market goes through the stop; then the venue has no stop any more (it refuses the next one)."""
    desk.long_and_covered()
    (stop,) = working(desk)
    desk.world.advance(1.0)
    desk.on_order = refuse_stops
    desk.change(stop, status=OrderStatus.EXPIRED)
    desk.read()
    desk.world.advance(1.0)


def refuse_stops(request: HttpRequest) -> Any:
    body = msgspec.json.decode(request.body or b"")
    if body["OrderType"] != "StopMarket":
        return None
    return reply({"Orders": [{"Error": "FAILED", "Message": "the market is beyond the stop"}]})
