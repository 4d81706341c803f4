"""What the three processes of a session are started with. PURE."""

from __future__ import annotations

from typing import Literal

import msgspec

from feeds.config import ConnectionConfig, Timing
from trader.hours.market_hours import HoursConfig
from trader.risk.limits import DEFAULTS, Limits

Protection = Literal["venue", "desk"]
"""Who sees to takes and trails where the venue could as well. Stops are always orders at the venue."""


class SessionArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``session`` is the name; the rest of it is read from desk.db at each start. ``limits``: of this session, the
    desk's included. ``connection``: of its orders for the account manager, of its data for the other two."""

    session: str
    connection: ConnectionConfig
    timing: Timing
    limits: Limits = DEFAULTS
    market_hours: HoursConfig = HoursConfig()
    protection: Protection = "venue"
