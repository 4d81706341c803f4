"""Moments as a person writes them, in the short forms of journalctl, against a given now. PURE. All are UTC, but a day
by name is the account's: ``today`` is its trading day, as in every other place.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from feeds.trading_day import before_utc, began_utc

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
TIMES = ("%H:%M:%S", "%H:%M")


def moment_utc(text: str, now_utc: float, kind: str) -> float:
    """``2026-11-19 02:00[:00]``, ``2026-11-19``, ``02:00[:00]`` (of this date), ``now``, ``-2h``; ``today``,
    ``yesterday``: when the trading day of an account of this ``kind`` began, or the one before. ValueError names what
    is wanted."""
    now = datetime.fromtimestamp(now_utc, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text == "now":
        return now_utc
    if text in ("today", "yesterday"):
        began = began_utc(now_utc, kind)
        return began if text == "today" else before_utc(began, kind)
    ago = re.fullmatch(r"([-+])(\d{1,6})(s|min|m|h|d|w)", text)
    if ago is not None:
        return now_utc + (-1 if ago[1] == "-" else 1) * int(ago[2]) * UNITS[ago[3]]
    for form in FORMS:
        if (found := _read(text, form)) is not None:
            return found.timestamp()
    for form in TIMES:
        if (found := _read(text, form)) is not None:
            return midnight.replace(hour=found.hour, minute=found.minute, second=found.second).timestamp()
    raise ValueError(f"{text!r} is no moment: wanted '2026-11-19 02:00', 02:00, today, yesterday, now or -2h (UTC)")


def _read(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None
