"""What a session has on disk, as it must be again after one more start: nothing is lost and nothing follows from it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.model import ZERO
from trader.orders.declaration import Declaration
from trader.orders.position import clamped
from trader.store.books import Readable

replace = msgspec.structs.replace
KEPT = {
    "state and keys": "SELECT name, value FROM meta ORDER BY name",
    "declarations": "SELECT symbol, body FROM declarations ORDER BY symbol",
    "positions": "SELECT symbol, quantity, average_price FROM positions ORDER BY symbol",
    "working orders": "SELECT order_id, quantity, stop_price FROM orders WHERE working = 1 ORDER BY order_id",
    "holds": "SELECT symbol, why FROM holds ORDER BY symbol, why",
    "intents": "SELECT number, state FROM intents ORDER BY number",
    "bars": "SELECT symbol, interval_s, max(closed_utc) AS closed_utc FROM turns WHERE closed_utc IS NOT NULL"
    " GROUP BY symbol, interval_s",
}


def kept(journal: Readable) -> dict[str, list[dict[str, Any]]]:
    return {name: journal.query(sql) for name, sql in KEPT.items()}


def changed(name: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The market stands still and all is settled: a start changes nothing. (What was declared beyond what is held, and
    waits for an exit that a standing market does not fill, is an entry not sent yet: a start may refuse it.)"""
    had, has = _without_entries(before), _without_entries(after)
    what = [each for each in KEPT if had[each] != has[each]]
    return [f"{name}: {each} changed with a mere restart: {before[each]} to {after[each]}" for each in what]


def _without_entries(of: dict[str, Any]) -> dict[str, Any]:
    held = {row["symbol"]: Decimal(row["quantity"]) for row in of["positions"]}
    declared = [msgspec.json.decode(row["body"], type=Declaration) for row in of["declarations"]]
    kept = [replace(d, quantity=clamped(d.quantity, held.get(d.symbol, ZERO))) for d in declared]
    return of | {"declarations": kept}
