"""The check of market hours: what the store knows of each session's symbols. EDGE: reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from supervisor.errors import StoreFailed
from supervisor.process.clock import BadClock, Clock
from supervisor.process.store import SqliteStore
from trader.config import DeskConfig
from trader.doctor import findings
from trader.doctor.findings import Finding
from trader.hours.market_hours import calendar_of
from trader.sessions import Session
from trader.store import desk
from trader.store.hours import read_hours, written

LIBRARY = "exchange_calendars"


def market_hours(home: Path, config: DeskConfig, sessions: Iterable[Session]) -> Iterator[Finding]:
    """One finding a symbol. The library is looked for and not loaded: it takes seconds."""
    if find_spec(LIBRARY) is None:
        yield Finding("market", "error", f"{LIBRARY} is not installed: no hours can be written", "pip install -e .")
        return
    symbols = sorted({symbol for session in sessions for symbol in session.symbols})
    if not symbols or not (home / desk.DESK_DB).exists():
        yield Finding("market", "skipped", "no session yet whose market could be closed")
        return
    try:
        now_utc = Clock(config.desk.clock and str(home / config.desk.clock)).market_utc()
        with closing(SqliteStore(home / desk.DESK_DB, None)) as store:
            yield from _of_store(store, symbols, config, now_utc)
    except (BadClock, StoreFailed) as error:
        yield Finding("market", "error", str(error), "nightdesk status")


def _of_store(store: SqliteStore, symbols: Iterable[str], config: DeskConfig, now_utc: float) -> Iterator[Finding]:
    desk.read_sessions(store)  # a desk.db of another version is told as such, not as a table that is missing
    if not written(store):
        yield Finding("market", "skipped", "no market hours yet: the desk writes them at its start", "nightdesk run")
        return
    for symbol in symbols:
        calendar = calendar_of(symbol, config.market_hours)
        hours = read_hours(store, calendar)
        yield findings.market(symbol, calendar, hours, now_utc, config.market_hours.closing_s)
