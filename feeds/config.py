"""The configuration that the processes of a connection and of a session are started with: plain, checked values.

Every machine period of the desk has its name, unit and reason in ``Timing``; a demo at 60x uses shorter ones.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

import msgspec

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Where an emulator is: it may play either environment."""
DEFAULT_PORTS = {"http": 80, "https": 443}


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Machine periods in seconds. Durations of this machine, never of the market."""

    still_needed_every_s: float = 15.0
    """A holder casts its lease this often."""
    lease_valid_s: float = 60.0
    """A lease not renewed for this long is over: three casts may be lost."""
    prune_every_s: float = 30.0
    """The connection ends what nobody needs this often."""
    listen_after_crash_s: float = 60.0
    """A restarted connection ends no feed before it has listened this long."""
    snapshot_every_s: float = 30.0
    """Rhythm of the books' snapshot, and so of reconcile."""
    confirm_after_s: float = 1.0
    """A disagreeing read is read again this much later (order-safety 1.5)."""
    agreed_max_age_s: float = 90.0
    """An entry needs a position agreed with the broker no longer ago than this (law 3). What is read no oftener is told
    as stale: books, and a series of bars that waits for history."""
    heartbeat_s: float = 5.0
    """The venue's heartbeat; three missed ones are silence."""
    connect_limit_s: float = 10.0
    """Limit of connecting to the venue and of the first byte of a stream."""
    http_limit_s: float = 10.0
    """Limit of one REST read or instruction."""
    late_machine_s: float = 5.0
    """Machine allowance of every market-time limit, multiplied by the market's rate."""
    entry_valid_s: float = 60.0
    """Market seconds in which an entry may still be sent (order-safety 3.3)."""
    settle_s: float = 10.0
    """A change of an order that no read shows for this long did not take; a placing that two reads or more do not show
    for this long goes again where the venue remembers keys."""
    on_its_way_s: float = 60.0
    """So long a request whose answer never came may still reach the venue: six times ``http_limit_s``. Before that what
    it asked for is not asked for under another key, and what opens later than that is somebody else's."""
    hook_limit_s: float = 5.0
    """A strategy's hook that computes for longer is broken off, with its line."""
    ensure_every_s: float = 5.0
    """Rhythm of ensure_sessions."""
    look_every_s: float = 1.0
    """Account managers and data sources look this often for what no message tells: an overdue bar, a retry, a page."""


class AccountLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of entries on one account, over all its sessions; None: no such limit. Exits and stops never ask."""

    max_order_quantity: Decimal | None = None
    """Units (shares, contracts) in one order."""
    max_position_quantity: Decimal | None = None
    """Units held of one symbol, whatever of the working entries fills."""
    max_orders_per_minute: int | None = None
    """New orders in 60 market seconds: entries, stops and exits; moves and cancels do not count."""
    max_orders_per_day: int | None = None
    """New orders in the account's trading day."""
    max_open_risk_usd: Decimal | None = None
    """Sum over all positions and entries: distance from entry to stop x quantity x point value."""
    max_daily_loss_usd: Decimal | None = None
    """What the account's equity may have lost since its trading day began; then no more entries that day."""


class ConnectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One login at one broker in one environment. SIM is the default (law 10); LIVE must be written out."""

    name: str
    api_url: str
    signin_url: str
    client_id: str
    login_file: str
    """Path (below the home, or absolute) of the login's token file, shared by its SIM and LIVE connections.
    Mode 0600. JSON, written by ``nightdesk login`` and the connection."""
    broker: Literal["tradestation"] = "tradestation"
    environment: Literal["SIM", "LIVE"] = "SIM"
    key_sharers: int = 1
    """Connections of this desk with the same ``client_id``, this one included; counted at the start, never written. The
    venue counts by user and key and tells no SIM from LIVE: they divide its quotas."""
    quotas: Literal["venue", "off"] = "venue"
    """``off``: this desk keeps to no quota of reads. Only for an emulator whose own are off, where market time runs so
    fast that quotas of machine time would hold bars back."""
    secrets: str = "nightdesk"
    """Secrets that are not in the file are looked for as ``<this>.client_secret`` and ``<this>.refresh_token``."""
    account_limits: dict[str, AccountLimits] = {}
    """By account: taken from ``[limits.accounts]``, so that whoever starts this connection hands them on."""

    @property
    def venue(self) -> str:
        """Where its accounts are. One account name is one account there, whichever connection reads it; at another
        venue it is another account."""
        where = urlsplit(self.api_url)
        host = LOOPBACK[0] if where.hostname in LOOPBACK else where.hostname
        return f"{self.broker} {host}:{where.port or DEFAULT_PORTS.get(where.scheme, 0)}"

    @property
    def client_secret_name(self) -> str:
        return f"{self.secrets}.client_secret"

    @property
    def refresh_token_name(self) -> str:
        return f"{self.secrets}.refresh_token"
