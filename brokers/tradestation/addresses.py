"""Parts of TradeStation's addresses: paths, queries, and how many names go into one. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote

from brokers.errors import NotAllowed
from brokers.tradestation import wire

SEGMENTS_KEPT = 256
"""Parts of addresses that were encoded lately: an account, a symbol, an order are named again and again."""

API_HOSTS: Mapping[str, str] = {"SIM": "sim-api.tradestation.com", "LIVE": "api.tradestation.com"}
"""By environment. Two clients spell the SIM host otherwise; the official one is this."""

MINUTE_S = 60
DAY_S = 86_400
INTERVAL_MINUTES_MAX = 1440


def parts(names: Iterable[str], most: int) -> list[list[str]]:
    """Not more than ``most`` in one, each name once."""
    wanted = list(dict.fromkeys(names))
    return [wanted[start : start + most] for start in range(0, len(wanted), most)]


def interval(interval_s: int) -> dict[str, str]:
    """The venue's unit and interval: whole minutes up to a day, or the daily bar."""
    if interval_s == DAY_S:
        return {"interval": "1", "unit": "Daily"}
    minutes = interval_s // MINUTE_S
    if interval_s % MINUTE_S or not 1 <= minutes <= INTERVAL_MINUTES_MAX:
        raise NotAllowed(f"bars of {interval_s} s: the venue has whole minutes, 1 to {INTERVAL_MINUTES_MAX}")
    return {"interval": str(minutes), "unit": "Minute"}


def date_range(start_utc: int, end_utc: int) -> dict[str, str]:
    return {"firstdate": wire.time_text(math.floor(start_utc)), "lastdate": wire.time_text(end_utc)}


def query_text(query: Mapping[str, str]) -> str:
    """As ``urlencode``, but that what was encoded lately is not encoded again: a hole in a series asks for history."""
    return "&".join([f"{name}={segment(value)}" for name, value in query.items()])


@lru_cache(SEGMENTS_KEPT)
def segment(*names: str) -> str:
    """Account ids, symbols, order ids in a path: "@ES" and "MSFT 251219P300" must be encoded."""
    return ",".join(quote(name, safe="") for name in names)
