"""The schema of a session's journal, ``sessions/<name>.db``: one writer, its account manager. Only SQL lives here.

Decimals are stored as text, so that no number is ever rounded; times as in ``brokers/model.py``. What is history
(turns, intents, fills, adoptions, events) is only ever added to; the rest is the newest state. ``cursors`` has where a
series began; where it is, its newest turn tells, so that a calm turn is one row.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE turns (
    number INTEGER PRIMARY KEY,
    start_no INTEGER NOT NULL,
    symbol TEXT, interval_s INTEGER, closed_utc INTEGER,
    row INTEGER,
    late INTEGER NOT NULL,
    skipped INTEGER NOT NULL DEFAULT 0,
    committed_utc REAL NOT NULL,
    committed_s REAL NOT NULL
);

CREATE TABLE cursors (
    symbol TEXT NOT NULL, interval_s INTEGER NOT NULL, closed_utc INTEGER NOT NULL,
    PRIMARY KEY (symbol, interval_s)
) WITHOUT ROWID;

CREATE TABLE declarations (symbol TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE intents (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL, purpose TEXT NOT NULL,
    symbol TEXT NOT NULL, side TEXT NOT NULL, quantity TEXT NOT NULL, type TEXT NOT NULL, stop_price TEXT,
    order_id TEXT NOT NULL,
    written_utc REAL NOT NULL,
    valid_until_utc REAL,
    known TEXT NOT NULL,
    state TEXT NOT NULL,
    result_order_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    settled_utc REAL
);
CREATE INDEX intents_by_state ON intents (state);

CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    intent INTEGER NOT NULL REFERENCES intents (number),
    symbol TEXT NOT NULL, purpose TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL,
    quantity TEXT NOT NULL, stop_price TEXT,
    status TEXT NOT NULL,
    filled_quantity TEXT NOT NULL, average_fill_price TEXT,
    working INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX orders_by_working ON orders (working);

CREATE TABLE fills (
    number INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
    quantity TEXT NOT NULL, price TEXT NOT NULL, cumulative TEXT NOT NULL,
    seen_utc REAL NOT NULL,
    UNIQUE (order_id, cumulative)
);

CREATE TABLE positions (
    symbol TEXT PRIMARY KEY, quantity TEXT NOT NULL, average_price TEXT, as_of_utc REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE adoptions (
    number INTEGER PRIMARY KEY,
    symbol TEXT NOT NULL,
    before_quantity TEXT NOT NULL, after_quantity TEXT NOT NULL, average_price TEXT,
    read INTEGER NOT NULL, age_s REAL NOT NULL, explained INTEGER NOT NULL,
    adopted_utc REAL NOT NULL
);

CREATE TABLE rows (number INTEGER PRIMARY KEY, symbol TEXT NOT NULL, body TEXT NOT NULL, consumed INTEGER NOT NULL);

CREATE TABLE holds (
    symbol TEXT NOT NULL, why TEXT NOT NULL, since_utc REAL NOT NULL, PRIMARY KEY (symbol, why)
) WITHOUT ROWID;

CREATE TABLE foreign_orders (
    order_id TEXT PRIMARY KEY, symbol TEXT NOT NULL, side TEXT NOT NULL,
    filled_quantity TEXT NOT NULL, working INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE uncovered (symbol TEXT PRIMARY KEY, since_utc REAL NOT NULL, since_s REAL NOT NULL, paged INTEGER NOT NULL)
WITHOUT ROWID;

CREATE TABLE deaths (
    symbol TEXT NOT NULL, interval_s INTEGER NOT NULL, closed_utc INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    PRIMARY KEY (symbol, interval_s, closed_utc, incarnation)
) WITHOUT ROWID;

CREATE TABLE instruments (symbol TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, level TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
    machine_s REAL NOT NULL, market_utc REAL NOT NULL,
    incident TEXT NOT NULL, incident_state TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_by_kind ON events (kind);
"""

_MONEY = """
ALTER TABLE intents ADD COLUMN intended_price TEXT;

ALTER TABLE adoptions ADD COLUMN after_fill INTEGER NOT NULL DEFAULT 0;
ALTER TABLE adoptions ADD COLUMN taken_over INTEGER NOT NULL DEFAULT 0;
UPDATE adoptions SET after_fill = (SELECT coalesce(max(number), 0) FROM fills WHERE seen_utc <= adopted_utc);

ALTER TABLE foreign_orders ADD COLUMN average_fill_price TEXT;
ALTER TABLE foreign_orders ADD COLUMN commission_usd TEXT NOT NULL DEFAULT '0';

CREATE TABLE foreign_fills (
    number INTEGER PRIMARY KEY,
    after_adoption INTEGER NOT NULL,
    order_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
    quantity TEXT NOT NULL, price TEXT, fee_usd TEXT NOT NULL,
    seen_utc REAL NOT NULL
);

CREATE TABLE fees (
    number INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL, symbol TEXT NOT NULL, filled_quantity TEXT NOT NULL,
    fee_usd TEXT NOT NULL,
    seen_utc REAL NOT NULL
);
"""
"""Fees as told (of a fill: those with its order and cumulative quantity); the price at which something was declared;
which fills of others explain an adoption, and after which own fill it came: a sequence that no clock tells."""

_SETTLEMENT = """
CREATE TABLE fills_kept (
    number INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
    quantity TEXT NOT NULL, price TEXT NOT NULL, cumulative TEXT NOT NULL,
    corrections INTEGER NOT NULL DEFAULT 0,
    seen_utc REAL NOT NULL,
    UNIQUE (order_id, cumulative, corrections)
);
INSERT INTO fills_kept (number, order_id, symbol, side, quantity, price, cumulative, seen_utc)
    SELECT number, order_id, symbol, side, quantity, price, cumulative, seen_utc FROM fills;
DROP TABLE fills;
ALTER TABLE fills_kept RENAME TO fills;
ALTER TABLE intents ADD COLUMN doubted_utc REAL;
"""
"""A broken trade takes an order's total down, and what it fills then may reach the same total once more. An intent of
unknown fate is settled by time, too, which goes on while we are dead."""

_PHASES = """
CREATE TABLE phases (symbol TEXT PRIMARY KEY, phase TEXT NOT NULL, began_utc REAL NOT NULL) WITHOUT ROWID;
"""

_TIMERS = """
CREATE TABLE timers (name TEXT PRIMARY KEY, due_utc INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE turns ADD COLUMN timer TEXT;

CREATE TABLE deaths_told (told TEXT NOT NULL, incarnation INTEGER NOT NULL, PRIMARY KEY (told, incarnation))
WITHOUT ROWID;
INSERT INTO deaths_told SELECT
    json_object('message', 'Cursor', 'symbol', symbol, 'interval_s', interval_s, 'closed_utc', closed_utc), incarnation
    FROM deaths;
DROP TABLE deaths;
"""
"""Timers of a strategy; and of what kills a trader, not only bars, as the message that tells it."""

_LEGS = """
ALTER TABLE intents ADD COLUMN legs TEXT NOT NULL DEFAULT '[]';
ALTER TABLE intents ADD COLUMN limit_price TEXT;
ALTER TABLE intents ADD COLUMN trail TEXT;
"""
"""A bracket's protective orders, and the terms of takes and trails."""

migrations: tuple[str, ...] = (_FIRST, _MONEY, _SETTLEMENT, _PHASES, _TIMERS, _LEGS)
"""Applied in order; PRAGMA user_version counts those that were."""
