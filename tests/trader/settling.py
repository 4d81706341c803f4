"""What tests of settlement share."""

from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import OrderStatus
from supervisor.errors import HttpFailed
from tests.trader.session_world import BOOKS, Desk

replace = msgspec.structs.replace
D = Decimal


def lose_replaces(desk: Desk) -> None:
    def lost(request: Any) -> Any:
        raise HttpFailed("time-out", sent=True)

    desk.world.answer_http("PUT", "/orderexecution/orders/", lost)


def renew(desk: Desk, order_id: str = "2", new_id: str = "77", **changes: Any) -> None:
    """The venue ends the order as replaced, and it goes on under another id."""
    old = desk.orders[order_id]
    desk.change(order_id, status=OrderStatus.CANCELLED, venue_status="UCH")
    desk.orders[new_id] = replace(old, order_id=new_id, opened_utc=float(int(desk.world.now_utc())), **changes)


def asked(desk: Desk, kind: type) -> list[Any]:
    return [message for to, message in desk.world.casts if to == BOOKS and isinstance(message, kind)]


def covered() -> Desk:
    """One bought, its stop works, and a read has agreed."""
    made = Desk()
    made.long_and_covered()
    return made


def down(_: Any) -> Any:
    """Answers no request: surely none has left."""
    raise HttpFailed("no route", sent=False)
