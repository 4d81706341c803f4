"""Scenes that the rules of minding are shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import Instrument, OrderStatus, OrderType, Side
from trader.hours.market_hours import Moment, Phase
from trader.minding.minded import Act, Price, Scene, Words
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder

SYMBOL, NOW_UTC = "ES", 1_000_000.0
TICK = Decimal("0.25")
ES = Instrument(SYMBOL, "FUTURE", TICK, Decimal(50))
OPEN = Moment(Phase.OPEN, NOW_UTC - 3600, NOW_UTC + 3600)
DECLARED = Declaration(SYMBOL, Decimal(1), Decimal(100))
replace = msgspec.structs.replace


def stop(price: str = "100", **changes: Any) -> OwnOrder:
    made = OwnOrder(
        order_id="7", intent=1, purpose=Purpose.STOP, symbol=SYMBOL, side=Side.SELL, type=OrderType.STOP_MARKET,
        quantity=Decimal(1), stop_price=Decimal(price), status=OrderStatus.WORKING, opened_utc=NOW_UTC - 60,
    )  # fmt: skip
    return replace(made, **changes)


def scene(**changes: Any) -> Scene:
    """Long one, its stop at 100 declared; nothing works."""
    made = Scene(
        words=Words(gtc_days_max=90), declaration=DECLARED, held=Decimal(1), orders=(), now_utc=NOW_UTC,
        instrument=ES, moment=OPEN, closes_utc=NOW_UTC + 3600, read_utc=NOW_UTC - 5,
    )  # fmt: skip
    return replace(made, **changes)


def at(price: str, at_utc: float = NOW_UTC) -> Price:
    return Price(Decimal(price), at_utc)


def kind(act: Act | None) -> str:
    return "" if act is None or act.told is None else act.told.kind
