"""What of the limits is used up, made again from a journal's rows."""

from __future__ import annotations

from supervisor.process.world import Store
from trader.messages import Row
from trader.risk.usage import STAMPS_KEPT, Usage, count_row, nothing_used
from trader.store.columns import from_json


def read_usage(store: Store) -> Usage:
    placed = (
        "SELECT written_utc, 1 + json_array_length(legs) AS n FROM intents WHERE kind = 'place'"
        f" ORDER BY number DESC LIMIT {STAMPS_KEPT}"
    )
    newest = f"SELECT number, body FROM rows ORDER BY number DESC LIMIT {STAMPS_KEPT}"
    usage = nothing_used()
    for row in store.query(placed)[::-1]:
        usage.placed.add(row["written_utc"], row["n"])
    counted_from = int(store.query("SELECT max(value) AS n FROM meta WHERE name = 'rejects_from'")[0]["n"] or 0)
    for row in store.query(newest)[::-1]:
        count_row(usage, from_json(row["body"], Row), counted_from)
    return usage
