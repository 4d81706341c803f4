"""What the oracle says of a stop that a trade by hand has orphaned: nothing while its cancel may be lost."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from brokers.tradestation.emulator.order import Fill
from trader.demo.script import STANDS
from trader.simulate.check import crossings

ES = STANDS[0]


class Journal:
    """An adoption at 110 s, and the cancel of the stop."""

    def __init__(self, cancelled_utc: float) -> None:
        self._cancelled_utc = cancelled_utc

    def query(self, sql: str, parameters: Any = ()) -> list[dict[str, Any]]:
        if "FROM adoptions" in sql:
            return [{"adopted_utc": 110.0}]
        if "kind = 'cancel'" in sql:
            return [{"order_id": "stop", "written_utc": self._cancelled_utc}]
        return [{"key": name, "purpose": name, "legs": "[]"} for name in ("entry", "stop")]


def told(*fills: tuple[str, int, float], cancelled_utc: float) -> list[str]:
    made = [Fill(order, ES.account, ES.symbol, quantity, Decimal(1), Decimal(0), at) for order, quantity, at in fills]
    orders = {name: SimpleNamespace(by_hand=name == "hand", confirm_id=name) for name in ("hand", "entry", "stop")}
    ledger: Any = SimpleNamespace(fills=made, orders=orders)
    return list(crossings(ledger, ES, Journal(cancelled_utc), 1.0))


@pytest.mark.parametrize(
    ("entry_utc", "cancelled_utc", "blamed"),
    [
        (101.0, 190.0, False),  # night 319: the entry was under way when the trade by hand was adopted
        (101.0, 150.0, True),  # no cancel in 25 s
        (150.0, 190.0, True),  # decided upon after the adoption: what it brings is of our making
    ],
)
def test_of_a_stop_that_a_trade_by_hand_has_orphaned(entry_utc: float, cancelled_utc: float, blamed: bool) -> None:
    fills = (("hand", -1, 100.0), ("entry", 1, entry_utc), ("stop", -1, 200.0))
    found = told(*fills, cancelled_utc=cancelled_utc)
    assert [text.endswith("order stop (stop) took 0 to -1 unasked") for text in found] == [True] * blamed
