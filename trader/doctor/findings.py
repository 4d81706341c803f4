"""What a check found, and the judgements that need no look at anything. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec

from brokers.model import Account, Instrument, Quote
from brokers.tradestation.oauth import ROTATING_LIFE_S
from trader.hours.market_hours import MarketHours, Phase, said

State = Literal["ok", "warning", "error", "skipped"]
SIGNS: dict[State, str] = {"ok": "✔", "warning": "▲", "error": "✖", "skipped": "○"}

EXIT_OK, EXIT_ERRORS, EXIT_WARNINGS, EXIT_LOGIN, EXIT_CONFIG = 0, 1, 5, 8, 78

CLOCK_WARNING_S = 2.0
CLOCK_ERROR_S = 10.0
"""Bars are late after 5 s of machine time; the venue's Date header has whole seconds."""
DISK_WARNING_BYTES = 2_000_000_000
DISK_ERROR_BYTES = 200_000_000
"""Below the first a month of logs and journals may not fit; below the second not a night's."""
FILES_ERROR = 512
FILES_WARNING = 4096
"""Descriptors: a small desk's supervisor takes a hundred; 65536 is what the unit gives."""
QUOTA_WARNING = 0.1
DAYS_AHEAD = 7
"""Of holidays and short days that are told."""


class Finding(msgspec.Struct, frozen=True):
    """``fix``: the command, or the page, that mends it. ``about`` is a connection's name, "" for the desk's own."""

    check: str
    state: State
    text: str
    fix: str = ""
    about: str = ""

    @property
    def line(self) -> str:
        subject = f"{self.about}: {self.check}" if self.about else self.check
        fix = f"\n      → {self.fix}" if self.fix and self.state != "ok" else ""
        return f"{SIGNS[self.state]} {subject:<28} {self.text}{fix}"


def exit_code(findings: Iterable[Finding]) -> int:
    """The worst counts: configuration, login, any other error, warnings."""
    errors = {each.check for each in findings if each.state == "error"}
    if "configuration" in errors:
        return EXIT_CONFIG
    if "login" in errors:
        return EXIT_LOGIN
    if errors:
        return EXIT_ERRORS
    return EXIT_WARNINGS if any(each.state == "warning" for each in findings) else EXIT_OK


def rotation(rotating: bool | None, environment: str, signed_in_utc: float, now_utc: float, name: str) -> Finding:
    """A key that rotates needs a person each day: nothing that trades money unattended."""
    if rotating is None:
        return Finding("key", "skipped", "whether it rotates shows at its first renewal")
    if not rotating:
        return Finding("key", "ok", "its refresh token does not rotate, and does not expire")
    left_s = signed_in_utc + ROTATING_LIFE_S - now_utc
    left = f"in {max(0.0, left_s) / 3600:.1f} h" if signed_in_utc else "a day after the last sign-in"
    return Finding(
        "key",
        "error" if environment == "LIVE" else "warning",
        f"its refresh tokens rotate: a person must sign in again {left}",
        f"ask TradeStation to switch rotation off for this key; until then each day: nightdesk login {name}",
    )


def clock(offset_s: float | None) -> Finding:
    if offset_s is None:
        return Finding("clock", "skipped", "the venue sent no Date")
    text = f"{abs(offset_s):.1f} s {'behind' if offset_s > 0 else 'ahead of'} the venue's"
    state: State = "ok" if abs(offset_s) <= CLOCK_WARNING_S else "warning"
    return Finding("clock", "error" if abs(offset_s) > CLOCK_ERROR_S else state, text, "timedatectl set-ntp true")


def offset_of(date: str, received_utc: float) -> float | None:
    """The venue's clock minus ours; it cut its seconds off, half of one is what it did so on average."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - received_utc
    except (TypeError, ValueError, OverflowError):
        return None


def disk(free_bytes: int, path: str) -> Finding:
    state: State = "ok" if free_bytes >= DISK_WARNING_BYTES else "warning"
    text = f"{free_bytes / 1e9:.1f} GB free"
    return Finding("disk", "error" if free_bytes < DISK_ERROR_BYTES else state, text, f"du -sh {path}/logs {path}/*.db")


def files(limit: int, whose: str) -> Finding:
    state: State = "ok" if limit >= FILES_WARNING else "warning"
    text = f"{limit} open files for {whose}"
    return Finding(
        "limits", "error" if limit < FILES_ERROR else state, text, "ulimit -n 65536, or LimitNOFILE=65536 in the unit"
    )


def account(wanted: str, sessions: str, accounts: Iterable[Account]) -> Finding:
    found = {each.account: each for each in accounts}
    if wanted not in found:
        text = f"{wanted} ({sessions}) is not among {', '.join(found) or 'none'}"
        return Finding("account", "error", text, "nightdesk session rm NAME, and add it with an account of this login")
    status = found[wanted].status
    if status and status != "Active":
        return Finding("account", "warning", f"{wanted} ({sessions}) is {status!r}", "ask the broker why")
    return Finding("account", "ok", f"{wanted} ({sessions}): {found[wanted].kind} {status}".rstrip())


def symbol(wanted: str, instrument: Instrument) -> Finding:
    dated = f" → {instrument.symbol}" if instrument.symbol != wanted else ""
    if instrument.tick_size <= 0 or instrument.point_value_usd <= 0:
        return Finding(
            "symbol", "error", f"{wanted}{dated}: tick size {instrument.tick_size} is none", "another symbol"
        )
    text = f"{wanted}{dated}: tick {instrument.tick_size}, point ${instrument.point_value_usd}"
    return Finding("symbol", "ok", text)


def data(quote: Quote) -> Finding:
    if quote.delayed:
        text = f"{quote.symbol} is delayed: nothing may trade on it"
        return Finding("data", "error", text, "subscribe to real-time data of its exchange at the broker")
    if quote.delayed is None:
        return Finding("data", "warning", f"{quote.symbol}: the venue does not say whether it is delayed")
    if quote.halted:
        return Finding("data", "warning", f"{quote.symbol} is halted", "wait, or stop its session")
    return Finding("data", "ok", f"{quote.symbol} in real time, last {quote.last}")


def market(symbol: str, calendar: str, hours: MarketHours, now_utc: float, closing_s: float) -> Finding:
    """Whether its hours are known, and what is unusual in the days to come."""
    if not calendar:
        text = f"{symbol}: nobody knows when its market is open; a bar that is not late counts as proof of it"
        return Finding("market", "warning", text, "name its calendar: [market_hours] calendars in nightdesk.toml")
    moment = hours.moment(now_utc, closing_s)
    about = f"{symbol} ({calendar}): {said(moment.phase, moment.until_utc)}"
    if moment.phase is Phase.UNKNOWN:
        return Finding("market", "warning", about, "nightdesk logs market_hours")
    off = [f"holiday {day}" for day in hours.days_off(now_utc, DAYS_AHEAD)]
    short = [f"short day {day}" for day in hours.short_days(now_utc, DAYS_AHEAD)]
    unusual = ", ".join(off + short) or f"no holiday, no short day within {DAYS_AHEAD} days"
    return Finding("market", "ok", f"{about}; {unusual}")


def quotas(headers: Iterable[dict[str, str]]) -> Finding:
    """The least that is left of any resource, as the venue counts it: by all programs of this key."""
    least, name = 1.0, ""
    for each in headers:
        limit, left = each.get("x-ratelimit-limit", ""), each.get("x-ratelimit-remaining", "")
        if limit.isdigit() and left.isdigit() and int(limit) and int(left) / int(limit) < least:
            least, name = int(left) / int(limit), each.get("x-ratelimit-resource", "a resource")
    text = f"{least:.0%} left of {name}" if name else "nothing of them used"
    fix = "another program uses this key; or too many accounts in one desk"
    return Finding("quotas", "warning" if least < QUOTA_WARNING else "ok", text, fix)
