"""Situations that the planner is shown."""

from decimal import Decimal

import msgspec

from brokers.model import Instrument, OrderStatus, OrderType, Side
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.target import Situation

SPY = Instrument(symbol="SPY", kind="stock", tick_size=Decimal("0.01"), point_value_usd=Decimal(1))
replace = msgspec.structs.replace


def order(purpose: Purpose, side: Side, quantity: int, stop: str | None = None, **more: object) -> OwnOrder:
    kind = OrderType.STOP_MARKET if purpose is Purpose.STOP else OrderType.MARKET
    price = None if stop is None else Decimal(stop)
    own = OwnOrder("1", 1, purpose, "SPY", side, kind, Decimal(quantity), price, OrderStatus.WORKING)
    return replace(own, **more)


def situation(declared: int, position: int, *orders: OwnOrder, stop: str | None = "166", **more: object) -> Situation:
    declaration = Declaration("SPY", Decimal(declared), None if stop is None else Decimal(stop), valid_until_utc=60.0)
    return replace(Situation(declaration, Decimal(position), orders, SPY, now_utc=0.0), **more)


def pair(quantity: int, stop: str = "166", take: str = "170", group: int = 1, **of_stop: object) -> list[OwnOrder]:
    more: dict[str, object] = {"group": group, "intent": group}
    tied = order(Purpose.STOP, Side.SELL, quantity, stop, order_id=f"{group}s", **more)
    limit = order(Purpose.TAKE, Side.SELL, quantity, order_id=f"{group}t", **more)
    return [replace(tied, **of_stop), replace(limit, type=OrderType.LIMIT, limit_price=Decimal(take))]


def with_take(s: Situation, take: str | None = "170", **declared: object) -> Situation:
    price = None if take is None else Decimal(take)
    return replace(s, declaration=replace(s.declaration, take=price, **declared), children=True, takes_native=True)
