"""The limits of a desk: what nightdesk.toml may say, what of it counts for a session, what LIVE must have. PURE.

[limits]                 # of each session, where it says nothing of its own
[limits.sessions.NAME]   # of one session; goes before the desk's
[limits.accounts.ID]     # of one account over all its sessions; kept by the process ``limits/<account>``

Money, quantities and distances are exact; all of them are upper limits. A session's limits and its account's both hold.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from feeds.config import AccountLimits
from trader.sessions import Session

COUNT_MAX = 10_000
"""The largest count that a limit may be: so many stamps are kept of what is counted."""
AMOUNT_MAX = Decimal(10) ** 12
"""More than that is a slip of the pen."""
MINUTES_MAX = 1440
LIVE_NEEDS = ("max_position_quantity", "max_daily_loss_usd", "max_orders_per_day")
"""Without these of its account no LIVE session starts (law 10)."""


class Limits(AccountLimits, frozen=True):
    """Limits of one session. None: not said here; the desk's counts, then none."""

    max_round_trips_per_day: int | None = None
    """A round trip: from flat back to flat, in the account's trading day."""
    entry_without_stop: bool = False
    """An entry without a protective stop may go. Only a session can say so of itself."""
    max_rejects: int | None = None
    """So many refusals, by a gate that does not wait or by the venue, within ``rejects_within_minutes`` (market
    minutes) hold the session: it goes round in a loop."""
    rejects_within_minutes: int | None = None
    last_days_without_entry: int | None = None
    """Days before the end of a dated contract, as the venue tells it, in which no entry goes."""


DEFAULTS = Limits(
    max_order_quantity=Decimal(1000), max_rejects=20, rejects_within_minutes=10, last_days_without_entry=3
)
"""Where the desk says nothing. 1000 units: far above what the examples trade, far below a typing error. 20 refusals in
10 minutes: a strategy that is refused once on each minute bar stays below, a loop does not. Three days: by then
a contract on an index is hardly traded; one that is delivered needs more, before its first notice."""


class LimitsSection(Limits, frozen=True):
    """``[limits]`` with all that is below it."""

    sessions: dict[str, Limits] = msgspec.field(default_factory=dict)
    accounts: dict[str, AccountLimits] = msgspec.field(default_factory=dict)


def limits_of(section: LimitsSection, session: str) -> Limits:
    """What counts for a session: its own word, else the desk's, else the default."""
    said = [section.sessions.get(session, Limits()), section, DEFAULTS]
    return Limits(**{name: _first(name, said) for name in Limits.__struct_fields__})


def _first(name: str, said: list[Limits]) -> Any:
    if name == "entry_without_stop":
        return said[0].entry_without_stop
    return next((value for each in said if (value := getattr(each, name)) is not None), None)


def shown(limits: AccountLimits) -> str:
    """For people: what is limited, in one line."""
    told = {name: getattr(limits, name) for name in limits.__struct_fields__}
    return "  ".join(f"{name}={value}" for name, value in told.items() if value not in (None, False)) or "none"


def faults(section: LimitsSection) -> list[str]:
    """What is wrong with it, each naming its key, its value and what is wanted."""
    found = _faults("limits", section)
    if section.entry_without_stop:
        found.append("limits.entry_without_stop: only a session can say so: write it below [limits.sessions.NAME]")
    for session, limits in section.sessions.items():
        found += _faults(f"limits.sessions.{session}", limits)
    for account, of_account in section.accounts.items():
        found += _faults(f"limits.accounts.{account}", of_account)
    return found


def _faults(where: str, limits: AccountLimits) -> list[str]:
    found = []
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if isinstance(value, Decimal) and not (value.is_finite() and 0 < value < AMOUNT_MAX):
            found.append(f"{where}.{name} is {value}, wanted: a number above 0 and below {AMOUNT_MAX:f}")
        elif isinstance(value, int) and not isinstance(value, bool):
            most = MINUTES_MAX if name == "rejects_within_minutes" else COUNT_MAX
            if not 1 <= value <= most:
                found.append(f"{where}.{name} is {value}, wanted: a whole number from 1 to {most}")
    return found


def live_refusal(session: Session, environment: str, section: LimitsSection) -> str | None:
    """Why a session may not run on a connection of this environment; None where it may. SIM and LIVE never mix."""
    said = "LIVE" if session.live else "SIM"
    if said != environment:
        return (
            f"session {session.name} is {said}, its connection {session.connection} is {environment}: both must say "
            "the same. A session that trades LIVE is added with `session add --live`"
        )
    missing = missing_for_live(section, session.account) if session.live else ()
    if missing:
        return f"session {session.name} is LIVE and nightdesk.toml lacks {', '.join(missing)}"
    return None


def missing_for_live(section: LimitsSection, account: str) -> tuple[str, ...]:
    """The keys without which a LIVE session of this account does not start."""
    limits = section.accounts.get(account, AccountLimits())
    return tuple(f"limits.accounts.{account}.{name}" for name in LIVE_NEEDS if getattr(limits, name) is None)
