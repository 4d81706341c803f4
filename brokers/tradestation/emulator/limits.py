"""Quotas and concurrency limits, with time as an argument: who may ask now, and what the headers say. PURE.

The table of 2026-09 [spec], per user within the key; we have one of each. Placing, replacing and cancelling have no
published quota. "Rolling, gradually replenished" is read as a bucket that refills evenly [infer]; the older page's
fixed window starts with the first request [spec].
"""

from __future__ import annotations

import math
import re

import msgspec

from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.switches import Switches

FIVE_MINUTES_S = 300
MINUTE_S = 60
STREAMS_AT_ONCE = 40
QUOTA_TEXT = "Rate quota exceeded"
STREAM_TEXT = "Stream quota exceeded"

Headers = dict[str, str]


class Quota(msgspec.Struct, frozen=True):
    resource: str
    limit: int
    period_s: int


def _five_minutes(resource: str, limit: int) -> Quota:
    return Quota(resource, limit, FIVE_MINUTES_S)


_A = "/v3/brokerage/accounts"
_QUOTAS = [
    (re.compile(_A), _five_minutes("Accounts", 320)),
    (re.compile(rf"{_A}/[^/]+/(historical)?orders(/.+)?"), _five_minutes("Order Details", 320)),
    (re.compile(rf"{_A}/[^/]+/(bod)?balances"), _five_minutes("Balances", 320)),
    (re.compile(rf"{_A}/[^/]+/positions"), _five_minutes("Positions", 320)),
    (re.compile("/v3/marketdata/quotes/.+"), _five_minutes("Quote Snapshot", 500)),
    (re.compile("/v3/marketdata/stream/quotes/.+"), _five_minutes("Quote Change Stream", 500)),
    (re.compile("/v3/marketdata/(stream/)?barcharts/.+"), _five_minutes("Barcharts", 500)),
]
_STREAMS = "/v3/brokerage/stream/accounts/[^/]+"
_CONCURRENT = [
    (re.compile(f"{_STREAMS}/orders"), "Order Stream"),
    (re.compile(f"{_STREAMS}/orders/.+"), "Order Stream by ID"),
    (re.compile(f"{_STREAMS}/positions"), "Position Stream"),
]


class Bucket(msgspec.Struct):
    """What is left of a quota. ``since_s``: of a fixed window its first request, of a rolling one the last count."""

    left: float
    since_s: float


class Limits:
    """The buckets of one user. They die with the process: nobody reads a quota after a restart of the venue."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def spend(self, quota: Quota, now_s: float, switches: Switches, amount: int = 1) -> Headers:
        """The headers of an answer that is given. Raises Refusal(429), which has spent nothing."""
        left = self._left(quota, now_s, fixed=switches.quota == "fixed")
        bucket = self._buckets[quota.resource]
        if left < amount:
            raise _exceeded(quota, bucket, now_s, fixed=switches.quota == "fixed")
        bucket.left -= amount
        return _headers(quota, bucket, now_s, fixed=switches.quota == "fixed")

    def _left(self, quota: Quota, now_s: float, *, fixed: bool) -> float:
        bucket = self._buckets.setdefault(quota.resource, Bucket(quota.limit, now_s))
        passed_s = max(0.0, now_s - bucket.since_s)
        if not fixed:
            bucket.left = min(quota.limit, bucket.left + passed_s * quota.limit / quota.period_s)
            bucket.since_s = now_s
        elif passed_s >= quota.period_s or bucket.left == quota.limit:
            bucket.left, bucket.since_s = quota.limit, now_s
        return bucket.left


def quota_of(method: str, path: str, switches: Switches) -> Quota | None:
    """None: this request is not counted."""
    if switches.quota == "off":
        return None
    if method != "GET":
        limit = switches.order_writes_per_minute
        is_order = path.startswith("/v3/orderexecution/orders")
        return Quota("Order Writes", limit, MINUTE_S) if limit and is_order else None
    return next((quota for pattern, quota in _QUOTAS if pattern.fullmatch(path)), None)


def history_quota(switches: Switches) -> Quota | None:
    limit = switches.history_bars_per_minute
    return Quota("Barchart History Credits", limit, MINUTE_S) if limit and switches.quota != "off" else None


def concurrency_of(path: str) -> str:
    """The resource of a stream whose number is limited; "" where no limit is published (bars, quotes)."""
    return next((resource for pattern, resource in _CONCURRENT if pattern.fullmatch(path)), "")


def concurrency_headers(resource: str, open_now: int) -> Headers:
    """``open_now``: this one included. Raises Refusal(429) beyond the limit."""
    headers = {
        "x-concurrency-limit": str(STREAMS_AT_ONCE),
        "x-concurrency-remaining": str(max(0, STREAMS_AT_ONCE - open_now)),
        "x-concurrency-resource": resource,
    }
    if open_now > STREAMS_AT_ONCE:
        raise too_many(STREAM_TEXT, headers)
    return headers


def too_many(message: str, headers: Headers) -> Refusal:
    return Refusal(429, "TooManyRequests", message, headers)


def _exceeded(quota: Quota, bucket: Bucket, now_s: float, *, fixed: bool) -> Refusal:
    is_stream = "Stream" in quota.resource
    return too_many(STREAM_TEXT if is_stream else QUOTA_TEXT, _headers(quota, bucket, now_s, fixed=fixed))


def _headers(quota: Quota, bucket: Bucket, now_s: float, *, fixed: bool) -> Headers:
    """``Reset`` is in seconds until the quota is whole again, no epoch [spec]."""
    whole_s = quota.period_s - (now_s - bucket.since_s) if fixed else _refill_s(quota, bucket)
    return {
        "x-ratelimit-limit": str(quota.limit),
        "x-ratelimit-period": str(quota.period_s),
        "x-ratelimit-remaining": str(int(bucket.left)),
        "x-ratelimit-reset": str(max(0, math.ceil(whole_s))),
        "x-ratelimit-resource": quota.resource,
    }


def _refill_s(quota: Quota, bucket: Bucket) -> float:
    return (quota.limit - bucket.left) * quota.period_s / quota.limit
