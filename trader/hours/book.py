"""The market hours that one process of a session goes by, read from desk.db again when they were written anew."""

from __future__ import annotations

from supervisor.errors import StoreFailed
from supervisor.process.world import Store, World
from trader.hours.market_hours import UNKNOWN_HOURS, MarketHours
from trader.store.desk import DESK_DB
from trader.store.hours import read_hours, written

LOOK_EVERY_S = 10.0
"""Machine seconds between two looks whether the store has newer hours: one row for each calendar."""


class HoursBook:
    """By symbol, of the calendar that ``follow`` names. Unknown hours until the store has them; a store that cannot be
    read changes nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store: Store | None = None
        self._calendars: dict[str, str] = {}
        self._hours: dict[str, MarketHours] = {}
        self._written: dict[str, float] = {}
        self._next_look_s = 0.0
        self._trouble = ""

    def follow(self, symbol: str, calendar: str) -> None:
        """``calendar`` "": nobody has said by which one this symbol trades."""
        self._calendars[symbol] = calendar
        self._next_look_s = 0.0

    def of(self, symbol: str) -> MarketHours:
        return self._hours.get(self._calendars.get(symbol, ""), UNKNOWN_HOURS)

    def look(self) -> None:
        """Take up what was written since the last look."""
        now_s = self._world.now_s()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_EVERY_S
        try:
            self._read()
        except StoreFailed as failed:
            if str(failed) != self._trouble:
                self._trouble = str(failed)
                self._world.log.warning("market hours are not read anew", error=self._trouble)
        else:
            self._trouble = ""

    def _read(self) -> None:
        if self._store is None:
            self._store = self._world.store(DESK_DB)
        told = written(self._store)
        for calendar in set(self._calendars.values()) & set(told):
            if self._written.get(calendar) != told[calendar]:
                self._hours[calendar] = read_hours(self._store, calendar)
                self._written[calendar] = told[calendar]
