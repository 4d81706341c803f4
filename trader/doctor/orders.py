"""The check of instructions without outcome: what each journal knows of them. EDGE: reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from supervisor.errors import StoreFailed
from supervisor.process.clock import BadClock, Clock
from supervisor.process.store import SqliteStore
from trader.config import DeskConfig
from trader.doctor.findings import Finding
from trader.sessions import Session, journal_path
from trader.view import duration

OPEN = (
    "SELECT key, symbol, kind, purpose, state, reason, written_utc FROM intents"
    " WHERE state IN ('written', 'unsent', 'unknown') ORDER BY number"
)
HELD = "SELECT why FROM holds WHERE symbol = ? AND why IN ('ambiguous', 'unsettled', 'vanished') ORDER BY why"
DONE = {
    "written": "is on its way; after a death reads of the account settle it",
    "unsent": "was not sent; it is tried again each second while it is still wanted",
    "unknown": "may be at the broker: reads, then history, settle it; its symbol places nothing meanwhile",
}


def unsettled(home: Path, config: DeskConfig, sessions: Iterable[Session]) -> Iterator[Finding]:
    """One finding an instruction, with its key, its symbol, how old it is, and what is being done."""
    try:
        now_utc = Clock(config.desk.clock and str(home / config.desk.clock)).market_utc()
    except BadClock as error:
        yield Finding("orders", "error", str(error), "nightdesk status")
        return
    clean = True
    for session in sessions:
        for found in _of(home, session, now_utc):
            clean = False
            yield found
    if clean:
        yield Finding("orders", "ok", "no instruction is without outcome")


def _of(home: Path, session: Session, now_utc: float) -> list[Finding]:
    """None where the session never ran."""
    path = home / journal_path(session.name)
    if not path.exists():
        return []
    try:
        with closing(SqliteStore(path, None)) as store:
            return [_finding(store, session.name, row, now_utc) for row in store.query(OPEN)]
    except StoreFailed as error:
        return [Finding("orders", "error", str(error), "nightdesk status")]


def _finding(store: SqliteStore, name: str, row: dict[str, Any], now_utc: float) -> Finding:
    held = [each["why"] for each in store.query(HELD, (row["symbol"],))]
    age = duration(max(0.0, now_utc - row["written_utc"]))
    about = f"{name}: {row['kind']} {row['purpose']} {row['key']} of {row['symbol']}, {age} old,"
    why = f" ({row['reason']})" if row["reason"] else ""
    if not held:
        return Finding("orders", "warning", f"{about} {DONE[row['state']]}{why}", f"nightdesk session show {name}")
    text = f"{about} no read can decide{why}; {row['symbol']} is held ({', '.join(held)}) until a person has looked"
    fix = f"compare with the broker's own screen, then nightdesk session release {name}"
    return Finding("orders", "error", text, fix)
