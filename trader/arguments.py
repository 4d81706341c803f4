"""What the three processes of a session are started with. PURE."""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from feeds.config import ConnectionConfig, Timing
from trader.hours.market_hours import HoursConfig
from trader.risk.limits import DEFAULTS, Limits

Protection = Literal["venue", "desk"]
"""Who sees to takes and trails where the venue could as well. Stops are always orders at the venue."""


class SymbolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[symbols.NAME]`` of nightdesk.toml: what no venue tells of a symbol. ``first_notice``: of a contract that is
    delivered, the first day on which its holder may be given the goods; a date, as the contract's end is one."""

    first_notice: datetime.date | None = None


class SessionArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``session`` is the name; the rest of it is read from desk.db at each start. ``limits``: of this session, the
    desk's included. ``connection``: of its orders for the account manager, of its data for the other two. ``symbols``:
    of the whole desk."""

    session: str
    connection: ConnectionConfig
    timing: Timing
    limits: Limits = DEFAULTS
    market_hours: HoursConfig = HoursConfig()
    protection: Protection = "venue"
    symbols: dict[str, SymbolConfig] = {}
