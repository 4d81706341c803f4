"""What a session's account manager knows, as its journal has it on disk: read once, then kept in memory.

The image alone: ``journal`` changes it, together with what it writes. Each decision asks it many times, so what is
looked at often is kept apart, and what grows with the years is bounded.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec

from brokers.model import Instrument
from supervisor.process.world import Store
from trader.holds import Taken
from trader.messages import Consumed, Cursor, FillRow, Hold, Row, RowNumber, SyncRow
from trader.minding.minded import NOTHING_MINDED, Minded
from trader.orders.declaration import Declaration
from trader.orders.intents import order_key
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding
from trader.store.columns import decimal_or_none, from_json, intent_of
from trader.store.usage import read_usage

NOTHING_HELD = Holding()

ROWS_IN_ONE_READ = 200
"""Rows given to the trader at a time: a bounded message."""
DEAD_ORDERS_KEPT = 500
"""Newest closed orders of ours kept in memory to recognise late frames; all are in the file."""
IDS_KEPT = 20_000
"""Newest ids of orders of ours kept in memory: the file is asked only where it has more."""

GIVEN_UP_KEPT = 100
"""Newest intents that were given up: what of them still shows up does so within a minute."""
FOREIGN_KEPT = 200
"""Newest orders of others that an intent remembers as not its own; older ones are excluded by their time."""


class Done(msgspec.Struct, frozen=True):
    """The newest start number whose trading is over, and why. ``wanted_told``: the recorder has written ``mind``."""

    start_no: int = 0
    reason: str = ""


class Uncovered(msgspec.Struct, frozen=True):
    """Since when an open position has no working stop of ours (market and machine time)."""

    since_utc: float
    since_s: float
    paged: bool


class Image:
    """``orders``: all that work and the newest dead ones; ``working``: those that work; ``awaiting``: entries that went
    out with legs of which no frame has come. ``holdings`` has a symbol once its first good read was compared, or a fill
    of ours. ``usage``: what of the limits is used up, made of intents and rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        query = store.query
        meta = {row["name"]: row["value"] for row in query("SELECT name, value FROM meta")}
        self.is_new = "key" not in meta
        self.key: str = meta.get("key") or ""
        self.state: bytes = meta.get("state") or b""
        self.done = Done(int(meta.get("done_start_no") or 0), meta.get("done_reason") or "")
        self.taken = from_json(meta["holds_taken"], Taken) if meta.get("holds_taken") else Taken()
        self.minding = from_json(meta["minding"], dict[str, Minded]) if meta.get("minding") else {}
        self.newest_intent = self._number("SELECT max(number) AS n FROM intents")
        self.next_number = 1
        self.newest_row = self._number("SELECT max(number) AS n FROM rows")
        self.last_row = self._number("SELECT max(number) AS n FROM rows WHERE consumed = 1")
        waiting = query("SELECT body FROM rows WHERE number > ? ORDER BY number", (self.last_row,))
        self._waiting_rows = deque(from_json(row["body"], Row) for row in waiting)
        self.cursors = {
            (row["symbol"], row["interval_s"]): self._newest_bar(**row) for row in query("SELECT * FROM cursors")
        }
        self.declarations = {
            row["symbol"]: from_json(row["body"], Declaration) for row in query("SELECT * FROM declarations")
        }
        self.timers = {row["name"]: int(row["due_utc"]) for row in query("SELECT * FROM timers")}
        self.open_intents = {
            intent.number: intent
            for intent in map(intent_of, query("SELECT * FROM intents WHERE state IN ('written', 'unsent', 'unknown')"))
        }
        given_up = f"SELECT * FROM intents WHERE state = 'given_up' ORDER BY number DESC LIMIT {GIVEN_UP_KEPT}"
        self.given_up = {intent.number: intent for intent in map(intent_of, query(given_up)[::-1])}
        newest = f"SELECT body FROM orders WHERE working = 0 ORDER BY intent DESC LIMIT {DEAD_ORDERS_KEPT}"
        ids = query(f"SELECT order_id FROM orders ORDER BY intent DESC LIMIT {IDS_KEPT}")
        self._ids = dict.fromkeys([row["order_id"] for row in ids[::-1]])
        bodies = [*query(newest)[::-1], *query("SELECT body FROM orders WHERE working = 1")]
        self.orders: dict[str, OwnOrder] = {}
        self.working: dict[str, OwnOrder] = {}
        self.awaiting: dict[str, OwnOrder] = {}
        for body in bodies:
            self._keep(from_json(body["body"], OwnOrder))
        self.holdings = {
            row["symbol"]: Holding(Decimal(row["quantity"]), decimal_or_none(row["average_price"]), row["as_of_utc"])
            for row in query("SELECT * FROM positions")
        }
        self.holds = {(row["symbol"], row["why"]): Hold(**row) for row in query("SELECT * FROM holds")}
        foreign = query("SELECT * FROM foreign_orders")
        self.foreign = {row["order_id"]: Decimal(row["filled_quantity"]) for row in foreign}
        self.foreign_symbols = {row["order_id"]: row["symbol"] for row in foreign}
        self.foreign_paid = {
            row["order_id"]: (decimal_or_none(row["average_fill_price"]), Decimal(row["commission_usd"]))
            for row in foreign
        }
        self.adopted = {row["symbol"] for row in query("SELECT DISTINCT symbol FROM adoptions")}
        self.uncovered = {
            row["symbol"]: Uncovered(row["since_utc"], row["since_s"], bool(row["paged"]))
            for row in query("SELECT * FROM uncovered")
        }
        self.instruments = {
            row["symbol"]: from_json(row["body"], Instrument) for row in query("SELECT * FROM instruments")
        }
        self.usage = read_usage(self._store)
        self.phases = {row["symbol"]: (row["phase"], float(row["began_utc"])) for row in query("SELECT * FROM phases")}

    # -- what is asked of it -----------------------------------------------------------------------------------------

    def consumed(self, what: Consumed) -> bool:
        """Whether a committed turn has consumed it, or what came after it."""
        if isinstance(what, Cursor):
            return what.closed_utc <= self.cursors.get((what.symbol, what.interval_s), -1)
        if isinstance(what, RowNumber):
            return what.number <= self.last_row
        return what.due_utc <= self.timers.get(what.name, -1)

    def minded(self, symbol: str) -> Minded:
        return self.minding.get(symbol, NOTHING_MINDED)

    def declaration(self, symbol: str) -> Declaration:
        """Where nothing was declared, what is held is what is wanted."""
        known = self.declarations.get(symbol)
        return known if known is not None else Declaration(symbol, self.holding(symbol).quantity)

    def rows_after(self, number: int) -> tuple[Row, ...]:
        if number >= self.newest_row:
            return ()
        if number >= self.last_row:
            later = (row for row in self._waiting_rows if row.number > number)
            return tuple(islice(later, ROWS_IN_ONE_READ))
        sql = f"SELECT body FROM rows WHERE number > ? ORDER BY number LIMIT {ROWS_IN_ONE_READ}"
        return tuple(from_json(row["body"], Row) for row in self._store.query(sql, (number,)))

    def unseen(self, symbol: str, after: int) -> bool:
        """Whether there are fills or syncs of a symbol that the strategy had not seen."""
        rows = self.rows_after(after)
        return any(r.content.symbol == symbol and isinstance(r.content, FillRow | SyncRow) for r in rows)

    def next_key(self) -> tuple[int, str]:
        number = max(self.newest_intent + 1, self.next_number)
        return number, order_key(self.key, number)

    def knows_order(self, order_id: str) -> bool:
        """Ours, also if it is so old that only the file knows it."""
        if order_id in self._ids:
            return True
        sql = "SELECT 1 FROM orders WHERE order_id = ?"
        return len(self._ids) >= IDS_KEPT and bool(self._store.query(sql, (order_id,)))

    def holding(self, symbol: str) -> Holding:
        return self.holdings.get(symbol, NOTHING_HELD)

    def foreign_of(self, symbol: str) -> list[str]:
        """Orders of the symbol that are not ours, as far as good reads have shown them."""
        return [order_id for order_id, of in self.foreign_symbols.items() if of == symbol][-FOREIGN_KEPT:]

    def holds_of(self, symbol: str) -> tuple[str, ...]:
        return tuple(why for held, why in sorted(self.holds) if held == symbol)

    # -- the edge ----------------------------------------------------------------------------------------------------

    def _keep(self, order: OwnOrder) -> None:
        """What each decision looks at is kept apart, and the dead ones are bounded: a turn costs the same all year."""
        self.orders[order.order_id] = order
        if order.awaits:
            self.awaiting[order.order_id] = order
        else:
            self.awaiting.pop(order.order_id, None)
        self._ids[order.order_id] = None
        if len(self._ids) > IDS_KEPT:
            del self._ids[next(iter(self._ids))]
        if order.working:
            self.working[order.order_id] = order
            return
        self.working.pop(order.order_id, None)
        if len(self.orders) - len(self.working) > DEAD_ORDERS_KEPT:
            del self.orders[next(old for old in self.orders if old not in self.working)]

    def _newest_bar(self, symbol: str, interval_s: int, closed_utc: int) -> int:
        sql = "SELECT closed_utc AS n FROM turns WHERE symbol = ? AND interval_s = ? ORDER BY number DESC LIMIT 1"
        newest = self._store.query(sql, (symbol, interval_s))
        return max([closed_utc, *(int(row["n"]) for row in newest)])

    def _number(self, sql: str, parameters: tuple[Any, ...] = ()) -> int:
        return int(self._store.query(sql, parameters)[0]["n"] or 0)
