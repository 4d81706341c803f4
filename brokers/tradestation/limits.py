"""TradeStation's quotas, and what its answers say about them. PURE.

Two official tables exist; of each row the lower one is kept. The venue counts per user of an API
key, by resource, in a rolling window. Placing, replacing and cancelling have no published quota and are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from brokers.budget import Quota, Resource

QUOTAS: Mapping[Resource, Quota] = {
    Resource.ACCOUNTS: Quota(250, 300.0),
    Resource.ORDERS: Quota(250, 300.0),
    Resource.POSITIONS: Quota(250, 300.0),
    Resource.BALANCES: Quota(250, 300.0),
    Resource.QUOTES: Quota(150, 300.0),
    Resource.BARS: Quota(500, 300.0),  # history and the opening of streams together
    Resource.SYMBOLS: Quota(250, 300.0),  # none is published: as careful as with accounts
}

STREAMS_AT_ONCE: Mapping[str, int] = {"orders": 40, "positions": 40}
"""Streams of a kind that one user of a key may have open. None is published for bars and quotes."""

WAIT_MAX_S = 600.0
"""A quota is whole again after five minutes; a header that says more is not believed."""


def retry_after_s(headers: Mapping[str, str]) -> float:
    """X-RateLimit-Reset is seconds until the full reset, no epoch; names are lower case here."""
    for name in ("x-ratelimit-reset", "rate-limit-reset", "retry-after"):
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), WAIT_MAX_S)
    return 0.0


def wanted_wait_s(status: int, headers: Mapping[str, str]) -> float:
    """For how long the venue wants to be left alone: after a 429, and after the answer that used up the quota."""
    spent = headers.get("x-ratelimit-remaining", headers.get("rate-limit-remaining", "")).strip() == "0"
    return retry_after_s(headers) if status == 429 or spent else 0.0
