"""The market hours of a simulated world: those that its venue keeps (the emulator's own table), as the store has them.

No library is asked: what the venue does not know of (holidays, half-days of futures) is not closed to the desk either.
"""

from __future__ import annotations

from collections.abc import Iterator

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.instruments import Instrument, instrument
from trader.desk.commands import WriteMarketHours
from trader.hours.market_hours import EXTENDED, FUTURES, STOCKS

SOURCE = "the emulator's table"
SPOKESMEN = {STOCKS: "SPY", STOCKS + EXTENDED: "SPY", FUTURES: "ESZ13"}
"""Any symbol that trades by the calendar."""


def venue_hours(from_utc: int, until_utc: int) -> list[WriteMarketHours]:
    """Of all calendars that the desk always has, over this time."""
    return [_written(calendar, from_utc, until_utc) for calendar in SPOKESMEN]


def _written(calendar: str, from_utc: int, until_utc: int) -> WriteMarketHours:
    about = instrument(SPOKESMEN[calendar])
    assert about is not None, "the emulator knows its own bundled symbols"
    found = list(_sessions(about, from_utc, until_utc, extended=calendar.endswith(EXTENDED)))
    return WriteMarketHours(
        calendar=calendar,
        opens_utc=tuple(opens for opens, _ in found),
        closes_utc=tuple(closes for _, closes in found),
        from_utc=from_utc,
        until_utc=until_utc,
        source=SOURCE,
    )


def _sessions(about: Instrument, from_utc: int, until_utc: int, *, extended: bool) -> Iterator[tuple[int, int]]:
    at_utc = float(from_utc)
    while True:
        session = hours.session_at(about, at_utc, extended=extended)
        if session.opens_utc >= until_utc:
            return
        yield int(session.opens_utc), int(session.closes_utc)
        at_utc = session.closes_utc
