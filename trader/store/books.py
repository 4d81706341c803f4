"""A session's journal read by whoever looks: what it holds, its orders and its fills, as of one moment. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from brokers.model import Instrument
from supervisor.errors import StoreFailed
from supervisor.process.store import refuse_newer
from supervisor.process.world import Store
from trader.accounting.money import Adoption, Fee, Fill, ForeignFill, Rows
from trader.accounting.order_lines import TradedOrder
from trader.accounting.standing import SessionBook
from trader.orders.intents import IntentState, Kind
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding
from trader.store.columns import decimal_or_none, from_json, intent_of
from trader.store.journal import migrations

T = TypeVar("T")


class Readable(Protocol):
    """A store, as far as it is only read."""

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]: ...


def read_book(store: Store, path: str, order_ids: tuple[str, ...] = ()) -> SessionBook:
    """With what it knows of these orders. Raises ``StoreFailed``, also for a journal of another version."""
    if not _begun(store, path):
        return SessionBook()
    held = {
        row["symbol"]: Holding(Decimal(row["quantity"]), decimal_or_none(row["average_price"]), row["as_of_utc"])
        for row in store.query("SELECT * FROM positions")
    }
    among = ", ".join("?" * len(order_ids))
    orders = store.query(
        f"SELECT body FROM orders WHERE working = 1 OR order_id IN ({among}) ORDER BY intent", order_ids
    )
    placing = "SELECT DISTINCT symbol FROM intents WHERE state IN ('written', 'unsent', 'unknown') AND kind = 'place'"
    newest = "SELECT symbol, max(coalesce(settled_utc, written_utc)) AS at FROM intents GROUP BY symbol"
    changed = {symbol: holding.as_of_utc for symbol, holding in held.items()}
    for row in store.query(newest):
        changed[row["symbol"]] = max(row["at"], changed.get(row["symbol"], 0.0))
    return SessionBook(
        holdings=held,
        rows=_rows(store),
        orders=tuple(from_json(row["body"], OwnOrder) for row in orders),
        unsettled=frozenset(row["symbol"] for row in store.query(placing)),
        instruments={r["symbol"]: from_json(r["body"], Instrument) for r in store.query("SELECT * FROM instruments")},
        changed_utc=changed,
    )


def read_exposure(store: Store, path: str) -> dict[str, tuple[Decimal, Decimal]]:
    """What is held of each symbol, and for how much of it a stop works, by the stored books alone. ``StoreFailed`` as
    ``read_book``."""
    if not _begun(store, path):
        return {}
    rows = store.query("SELECT body FROM orders WHERE working = 1")
    orders = [from_json(row["body"], OwnOrder) for row in rows]
    exposure: dict[str, tuple[Decimal, Decimal]] = {}
    for row in store.query("SELECT symbol, quantity FROM positions ORDER BY symbol"):
        if quantity := Decimal(row["quantity"]):
            stops = (each.remaining for each in orders if each.symbol == row["symbol"] and each.protecting)
            exposure[row["symbol"]] = quantity, sum(stops, Decimal(0))
    return exposure


def uncovered_s(journal: Readable, clock: Literal["machine_s", "market_s"] = "machine_s") -> list[float]:
    """The seconds of each time that an open position was without a working stop and is so no more."""
    rows = journal.query("SELECT data FROM events WHERE kind = 'uncovered.over' ORDER BY number")
    return [float(msgspec.json.decode(row["data"])[clock]) for row in rows]


def read_fills(store: Store, path: str, since_utc: float, until_utc: float) -> list[tuple[Fill, TradedOrder, Decimal]]:
    """The fills of a window, each with its order and its cumulative quantity. Raises ``StoreFailed``."""
    if not _begun(store, path):
        return []
    found = store.query(
        "SELECT * FROM fills WHERE seen_utc >= ? AND seen_utc < ? ORDER BY number", (since_utc, until_utc)
    )
    orders = {order_id: _traded(store, order_id) for order_id in dict.fromkeys(row["order_id"] for row in found)}
    return [(_fill(row), orders[row["order_id"]], Decimal(row["cumulative"])) for row in found]


def _begun(store: Store, path: str) -> bool:
    """False: its account manager is just about to make it."""
    version = store.query("PRAGMA user_version")[0]["user_version"]
    refuse_newer(path, version, migrations)
    if 0 < version < len(migrations):
        raise StoreFailed(
            f"store {path} has version {version}, this program reads version {len(migrations)}: it was written by an "
            "older nightdesk. Nothing was changed; it is brought up to date when its session starts."
        )
    return bool(version > 0)


def _rows(store: Store) -> dict[str, Rows]:
    fills = _by_symbol([_fill(row) for row in store.query("SELECT * FROM fills ORDER BY number")])
    adoptions = _by_symbol([_adoption(row) for row in store.query("SELECT * FROM adoptions ORDER BY number")])
    foreign = _by_symbol([_foreign(row) for row in store.query("SELECT * FROM foreign_fills ORDER BY number")])
    fees = _by_symbol([_fee(row) for row in store.query("SELECT * FROM fees ORDER BY number")])
    symbols = dict.fromkeys([*fills, *adoptions, *foreign, *fees])
    return {
        symbol: Rows(*(tuple(kind.get(symbol, ())) for kind in (fills, adoptions, foreign, fees))) for symbol in symbols
    }


def _by_symbol(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.symbol, []).append(row)
    return found


def _traded(store: Store, order_id: str) -> TradedOrder:
    """A leg came of its bracket's intent, which names the entry."""
    (order,) = store.query("SELECT body, intent FROM orders WHERE order_id = ?", (order_id,))
    intents = store.query(
        "SELECT * FROM intents WHERE (number = ? OR result_order_id = ? OR order_id = ?) AND kind != ? AND state = ?"
        " ORDER BY number",
        (order["intent"], order_id, order_id, Kind.CANCEL.value, IntentState.ACCEPTED.value),
    )
    fees: dict[Decimal, Decimal] = {}
    for row in store.query("SELECT filled_quantity, fee_usd FROM fees WHERE order_id = ?", (order_id,)):
        filled = Decimal(row["filled_quantity"])
        fees[filled] = fees.get(filled, Decimal(0)) + Decimal(row["fee_usd"])
    return TradedOrder(from_json(order["body"], OwnOrder), tuple(map(intent_of, intents)), fees)


def _fill(row: dict[str, Any]) -> Fill:
    return _taken(row, Fill)


def _adoption(row: dict[str, Any]) -> Adoption:
    return _taken({**row, "before": row["before_quantity"], "after": row["after_quantity"]}, Adoption)


def _foreign(row: dict[str, Any]) -> ForeignFill:
    return _taken(row, ForeignFill)


def _fee(row: dict[str, Any]) -> Fee:
    return _taken(row, Fee)


def _taken(row: dict[str, Any], kind: type[T]) -> T:
    """The columns that the value has a field for."""
    fields = {name: row[name] for name in kind.__struct_fields__}  # type: ignore[attr-defined]
    return msgspec.convert(fields, kind, strict=False)
