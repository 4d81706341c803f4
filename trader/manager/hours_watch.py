"""What an account manager makes of its markets' hours: each phase a row, told once; unknown ones an incident."""

from __future__ import annotations

import math

from supervisor.process.world import World
from trader.hours.book import HoursBook
from trader.hours.market_hours import EXTENDED, HoursConfig, Moment, Phase, calendar_of
from trader.manager.account import Account, Now
from trader.messages import SessionRow
from trader.minding.closing import MINUTE_S

UNKNOWN_TOLD_AFTER_S = 60.0
"""Machine seconds: a desk that starts for the first time has its hours a few seconds later."""


class HoursWatch:
    """Keeps ``account.hours`` up to date. ``tell`` is called inside a step; the rest writes no journal."""

    def __init__(self, world: World, account: Account, config: HoursConfig) -> None:
        self._world, self._account = world, account
        self._book = HoursBook(world)
        self._unknown_since_s: dict[str, float] = {}
        self._told_unknown: set[str] = set()
        account.closing_s = max(config.closing_s, account.session.flat_at_close_min * MINUTE_S)
        for symbol in account.session.symbols:
            calendar = calendar_of(symbol, config)
            self._book.follow(symbol, calendar)
            if account.session.extended_hours:
                self._book.follow(symbol + EXTENDED, calendar + EXTENDED)
        self._read()

    def look(self, now: Now) -> dict[str, Moment]:
        """The symbols whose market is in another phase than was told last. A phase is told apart from the same one of
        another day by its beginning; an unknown one changes nothing."""
        self._read()
        found = {}
        for symbol in self._account.session.symbols:
            moment = self._account.moment(symbol, now)
            self._look_at_unknown(symbol, moment, now)
            told = self._account.journal.phases.get(symbol)
            if moment.phase is not Phase.UNKNOWN and told != (moment.phase, moment.began_utc):
                found[symbol] = moment
        return found

    def changes_in_s(self, now: Now) -> float:
        """Machine seconds until the first of the markets comes into another phase; infinity where none is known to."""
        moments = [self._account.moment(symbol, now) for symbol in self._account.session.symbols]
        ends_utc = min((each.until_utc for each in moments if each.phase is not Phase.UNKNOWN), default=math.inf)
        return (ends_utc - now.utc) / now.rate if now.rate > 0 else math.inf

    def tell(self, moments: dict[str, Moment]) -> None:
        """Into the journal. Where trading is done nobody reads rows: the phase alone is kept."""
        journal = self._account.journal
        for symbol, moment in moments.items():
            journal.write_phase(symbol, moment.phase, moment.began_utc)
            if not self._account.trading_done:
                journal.add_row(SessionRow(symbol=symbol, phase=moment.phase, at_utc=moment.began_utc))

    def _read(self) -> None:
        self._book.look()
        symbols = self._account.session.symbols
        self._account.hours = {symbol: self._book.of(symbol) for symbol in symbols}
        self._account.extended_hours = {symbol: self._book.of(symbol + EXTENDED) for symbol in symbols}

    def _look_at_unknown(self, symbol: str, moment: Moment, now: Now) -> None:
        incident = f"hours:{self._world.name}:{symbol}"
        if moment.phase is Phase.UNKNOWN:
            since_s = self._unknown_since_s.setdefault(symbol, now.s)
            if now.s - since_s > UNKNOWN_TOLD_AFTER_S and symbol not in self._told_unknown:
                self._told_unknown.add(symbol)
                text = (
                    f"{symbol}: nobody knows when its market is open; a bar that is not late counts as proof of it. "
                    "Name its calendar in nightdesk.toml ([market_hours] calendars); `nightdesk doctor` tells more"
                )
                self._world.event("hours.unknown", "NOTIFY", text, incident=incident, opened=True)
            return
        self._unknown_since_s.pop(symbol, None)
        if symbol in self._told_unknown:
            self._told_unknown.remove(symbol)
            text = f"{symbol}: its market hours are known"
            self._world.event("hours.known", "DIGEST", text, incident=incident, resolved=True)
