"""The process that writes market hours into the store: short-lived, since it loads a large library.

It is a child of the root, transient: it hands the recorder the hours of all calendars that the desk may need and ends.
ensure_sessions has it started again when they are a day old. A calendar that cannot be had keeps the hours it had.
"""

from __future__ import annotations

import msgspec

from supervisor.errors import CallFailed
from supervisor.messages import Message
from supervisor.process.server import Server
from trader.config import DeskConfig
from trader.desk.commands import WriteMarketHours
from trader.hours.market_hours import AHEAD_DAYS, BACK_DAYS, DAY_S, calendars_of

RECORDER = "recorder"
COMMIT_LIMIT_S = 5.0
"""Some 400 rows and one synced commit."""
RETRY_S = 1.0
"""The recorder may be starting just now."""
LOAD_LIMIT_S = 120.0
"""Machine seconds for loading the library and reckoning one calendar: 2 s on a quiet core, on a loaded one far more."""


class Write(Message, frozen=True):
    """Timer: begin, or go on where the recorder was not there."""


class HoursWriter(Server):
    """``market_hours``."""

    def init(self) -> None:
        """Ready at once: a desk does not wait for its calendar."""
        self.config = msgspec.convert(self.arguments["config"], DeskConfig).market_hours
        self.left = list(calendars_of(self.config))
        self.failed: list[str] = []
        self.world.after(0.0, Write())

    def handle_info(self, message: Message) -> None:
        if not isinstance(message, Write):
            super().handle_info(message)
            return
        if not self.left:
            self.world.end(f"written but for {', '.join(self.failed)}" if self.failed else "all hours are written")
        elif self._write(self.left[0]):
            del self.left[0]
            self.world.after(0.0, message)
        else:
            self.world.after(RETRY_S, message)

    def _write(self, calendar: str) -> bool:
        """False: to be done again."""
        with self.world.blocking(LOAD_LIMIT_S):
            # Here and not above: whoever else imports this module (a test, a preload) does not load pandas.
            from trader.hours.calendars import SOURCE, NoCalendar, hours_of

            today_utc = int(self.world.now_utc()) // DAY_S * DAY_S
            from_utc, until_utc = today_utc - BACK_DAYS * DAY_S, today_utc + AHEAD_DAYS * DAY_S
            try:
                found = hours_of(calendar, from_utc, until_utc)
            except NoCalendar as error:
                self.failed.append(calendar)
                text = f"{error}; the hours that were stored of it stay. See [market_hours] in nightdesk.toml"
                self.world.event("hours.not_written", "NOTIFY", text, calendar=calendar)
                return True
        request = WriteMarketHours(
            calendar=calendar,
            opens_utc=tuple(opens for opens, _ in found),
            closes_utc=tuple(closes for _, closes in found),
            from_utc=from_utc,
            until_utc=until_utc,
            source=SOURCE,
        )
        try:
            self.world.call(RECORDER, request, timeout_s=COMMIT_LIMIT_S)
        except CallFailed as failed:
            self.world.log.info("the hours are written again", calendar=calendar, error=str(failed))
            return False
        return True
