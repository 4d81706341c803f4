"""The journal's statements that a turn, an instruction and a fill are made of, put together once. PURE.

``INSERT`` is for history, of which nothing is ever written again; ``PUT`` for the newest state.
"""

from __future__ import annotations


def _insert(table: str, columns: str, how: str = "INSERT") -> str:
    marks = ", ".join("?" * len(columns.split(",")))
    return f"{how} INTO {table} ({columns}) VALUES ({marks})"


def _put(table: str, columns: str) -> str:
    return _insert(table, columns, "INSERT OR REPLACE")


INSERT_TURN = _insert(
    "turns", "start_no, symbol, interval_s, closed_utc, row, timer, late, skipped, committed_utc, committed_s"
)
INSERT_INTENT = _insert(
    "intents",
    "number, key, kind, purpose, symbol, side, quantity, type, stop_price, order_id, written_utc, valid_until_utc,"
    " known, state, result_order_id, reason, settled_utc, intended_price, doubted_utc, legs, limit_price, trail",
)
UPDATE_INTENT = (
    "UPDATE intents SET state = ?, result_order_id = ?, reason = ?, settled_utc = ?, doubted_utc = ? WHERE number = ?"
)
INSERT_FILL = _insert("fills", "order_id, symbol, side, quantity, price, cumulative, corrections, seen_utc")
INSERT_FEE = _insert("fees", "order_id, symbol, filled_quantity, fee_usd, seen_utc")
INSERT_ADOPTION = """
INSERT INTO adoptions (symbol, before_quantity, after_quantity, average_price, read, age_s, explained, taken_over,
    adopted_utc, after_fill)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(number), 0) FROM fills))"""
INSERT_FOREIGN_FILL = """
INSERT INTO foreign_fills (order_id, symbol, side, quantity, price, fee_usd, seen_utc, after_adoption)
VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(number), 0) FROM adoptions))"""
INSERT_EVENT = _insert("events", "kind, level, subject, text, machine_s, market_utc, incident, incident_state, data")
INSERT_ROW = "INSERT INTO rows VALUES (?, ?, ?, 0)"
CONSUME_ROWS = "UPDATE rows SET consumed = 1 WHERE number > ? AND number <= ?"
PUT_ORDER = (
    _insert(
        "orders",
        "order_id, intent, symbol, purpose, side, type, quantity, stop_price, status, filled_quantity,"
        " average_fill_price, working, body",
    )
    + " ON CONFLICT (order_id) DO UPDATE SET (purpose, type, quantity, stop_price, status, filled_quantity,"
    " average_fill_price, working, body) = (excluded.purpose, excluded.type, excluded.quantity, excluded.stop_price,"
    " excluded.status, excluded.filled_quantity, excluded.average_fill_price, excluded.working, excluded.body)"
)
PUT_CURSOR = _put("cursors", "symbol, interval_s, closed_utc")
PUT_DECLARATION = _put("declarations", "symbol, body")
PUT_POSITION = _put("positions", "symbol, quantity, average_price, as_of_utc")
PUT_TIMER = _put("timers", "name, due_utc")
PUT_META = _put("meta", "name, value")
PUT_HOLD = _put("holds", "symbol, why, since_utc")
DROP_HOLD = "DELETE FROM holds WHERE symbol = ? AND why = ?"
PUT_UNCOVERED = _put("uncovered", "symbol, since_utc, since_s, paged")
DROP_UNCOVERED = "DELETE FROM uncovered WHERE symbol = ?"
PUT_INSTRUMENT = _put("instruments", "symbol, body")
PUT_PHASE = _put("phases", "symbol, phase, began_utc")
