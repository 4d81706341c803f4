"""Market hours in desk.db: written by the recorder, read by whoever needs to know when a market is open."""

from __future__ import annotations

from supervisor.process.world import Store
from trader.desk.commands import WriteMarketHours
from trader.hours.market_hours import UNKNOWN_HOURS, MarketHours, market_hours


def write_hours(store: Store, hours: WriteMarketHours, written_utc: float) -> None:
    """In place of what there was of this calendar; inside a transaction of the caller's."""
    store.execute("DELETE FROM market_hours WHERE calendar = ?", (hours.calendar,))
    for opens_utc, closes_utc in zip(hours.opens_utc, hours.closes_utc, strict=True):
        store.execute("INSERT INTO market_hours VALUES (?, ?, ?)", (hours.calendar, opens_utc, closes_utc))
    store.execute(
        "INSERT OR REPLACE INTO calendar VALUES (?, ?, ?, ?, ?)",
        (hours.calendar, hours.from_utc, hours.until_utc, hours.source, written_utc),
    )


def read_hours(store: Store, calendar: str) -> MarketHours:
    """Unknown hours where the store has none of that calendar."""
    rows = store.query(
        "SELECT from_utc, until_utc, opens_utc, closes_utc FROM calendar"
        " LEFT JOIN market_hours ON market_hours.calendar = calendar.name WHERE calendar.name = ?",
        (calendar,),
    )
    if not rows:
        return UNKNOWN_HOURS
    intervals = [(row["opens_utc"], row["closes_utc"]) for row in rows if row["opens_utc"] is not None]
    return market_hours(intervals, rows[0]["from_utc"], rows[0]["until_utc"])


def written(store: Store) -> dict[str, float]:
    """When the hours of each calendar were written, in market time."""
    return {row["name"]: float(row["written_utc"]) for row in store.query("SELECT name, written_utc FROM calendar")}
