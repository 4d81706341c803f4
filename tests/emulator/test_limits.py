"""Quotas: the arithmetic of buckets and windows with time as an argument; headers; streams at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.tradestation.emulator.errors import Refusal
from brokers.tradestation.emulator.limits import Limits, Quota, concurrency_of, quota_of
from brokers.tradestation.emulator.state import Settings
from brokers.tradestation.emulator.switches import Switches
from brokers.tradestation.emulator.values import OpenStream, Reply
from tests.emulator.support import FUTURES, Emulator, flat_bars, market

QUOTA = Quota("Things", 10, 100)
ROLLING, FIXED = Switches(), Switches(quota="fixed")


def accepted(limits: Limits, now_s: float, switches: Switches) -> bool:
    try:
        limits.spend(QUOTA, now_s, switches)
    except Refusal as refusal:
        told = (refusal.status, refusal.error, refusal.message, refusal.headers["x-ratelimit-remaining"])
        return told != (429, "TooManyRequests", "Rate quota exceeded", "0")
    return True


def test_a_rolling_quota_comes_back_bit_by_bit() -> None:
    limits = Limits()
    assert [accepted(limits, 0.0, ROLLING) for _ in range(11)] == [True] * 10 + [False]
    assert not accepted(limits, 9.9, ROLLING)
    assert accepted(limits, 10.0, ROLLING)
    assert not accepted(limits, 10.0, ROLLING)


def test_a_fixed_quota_comes_back_whole_a_period_after_its_first_request() -> None:
    limits = Limits()
    assert accepted(limits, 7.0, FIXED)
    assert [accepted(limits, 50.0, FIXED) for _ in range(10)] == [True] * 9 + [False]
    assert not accepted(limits, 106.9, FIXED)
    assert [accepted(limits, 107.0, FIXED) for _ in range(11)] == [True] * 10 + [False]


MOMENTS = st.lists(st.floats(0, 1000), max_size=120).map(sorted)


@given(moments=MOMENTS)
def test_rolling_never_gives_more_than_the_limit_and_what_has_refilled(moments: list[float]) -> None:
    limits = Limits()
    given_at = [at for at in moments if accepted(limits, at, ROLLING)]
    for n, first in enumerate(given_at):
        for m in range(n, len(given_at)):
            assert m - n + 1 <= 10 + (given_at[m] - first) / 10 + 1e-6


@given(moments=MOMENTS)
def test_fixed_never_gives_more_than_the_limit_in_one_window_and_all_of_it(moments: list[float]) -> None:
    limits = Limits()
    window, used = -math.inf, 0
    for at in moments:
        if at - window >= 100:
            window, used = at, 0
        assert accepted(limits, at, FIXED) == (used < 10)
        used += used < 10


@pytest.mark.parametrize(
    ("path", "resource", "limit"),
    [
        ("/v3/brokerage/accounts", "Accounts", 320),
        (f"/v3/brokerage/accounts/{FUTURES}/orders", "Order Details", 320),
        (f"/v3/brokerage/accounts/{FUTURES}/historicalorders/1", "Order Details", 320),
        (f"/v3/brokerage/accounts/{FUTURES}/bodbalances", "Balances", 320),
        (f"/v3/brokerage/accounts/{FUTURES}/positions", "Positions", 320),
        ("/v3/marketdata/quotes/ES", "Quote Snapshot", 500),
        ("/v3/marketdata/stream/quotes/ES", "Quote Change Stream", 500),
        ("/v3/marketdata/barcharts/ES", "Barcharts", 500),
        ("/v3/marketdata/stream/barcharts/ES", "Barcharts", 500),
    ],
)
def test_each_category_has_the_quota_of_the_table(path: str, resource: str, limit: int) -> None:
    assert quota_of("GET", path, ROLLING) == Quota(resource, limit, 300)
    assert quota_of("GET", path, Switches(quota="off")) is None


def test_orders_have_no_quota_unless_the_switch_says_one() -> None:
    assert quota_of("POST", "/v3/orderexecution/orders", ROLLING) is None
    assert quota_of("PUT", "/v3/orderexecution/orders/1", Switches(order_writes_per_minute=60)) is not None
    assert concurrency_of(f"/v3/brokerage/stream/accounts/{FUTURES}/orders/1") == "Order Stream by ID"


def emulator(**switches: Any) -> Emulator:
    return Emulator(market(ESZ13=flat_bars(1, 600)), Settings(switches=Switches(**switches)))


def test_headers_and_the_429_are_the_venues() -> None:
    one = emulator()
    first = one.ask("GET", "/v3/brokerage/accounts")
    assert isinstance(first, Reply)
    assert first.headers == {
        "x-ratelimit-limit": "320",
        "x-ratelimit-period": "300",
        "x-ratelimit-remaining": "319",
        "x-ratelimit-reset": "1",
        "x-ratelimit-resource": "Accounts",
    }
    for _ in range(319):
        one.get("/v3/brokerage/accounts")
    last = one.ask("GET", "/v3/brokerage/accounts")
    assert isinstance(last, Reply)
    assert last.status == 429
    assert last.body == b'{"Error":"TooManyRequests","Message":"Rate quota exceeded"}'
    assert last.headers["x-ratelimit-reset"] == "300"
    one.pass_time(1)
    one.get("/v3/brokerage/accounts")


def test_the_41st_stream_is_refused_and_one_that_ends_makes_room() -> None:
    one = emulator()
    path = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"
    streams = [one.stream(path) for _ in range(40)]
    status, body = one.reply("GET", path)
    assert (status, body["Message"]) == (429, "Stream quota exceeded")
    one.stream(f"/v3/brokerage/stream/accounts/{FUTURES}/positions")  # counted apart
    del one.state.streams[streams[0]]
    again = one.ask("GET", path)
    assert isinstance(again, OpenStream)
    assert again.headers["x-concurrency-limit"] == "40"
    assert again.headers["x-concurrency-remaining"] == "0"
    assert again.headers["x-concurrency-resource"] == "Order Stream"


def test_a_stream_open_beyond_its_quota_says_stream_quota() -> None:
    one = emulator()
    for _ in range(500):
        stream = one.stream("/v3/marketdata/stream/quotes/ESZ13")
        del one.state.streams[stream]
    status, body = one.reply("GET", "/v3/marketdata/stream/quotes/ESZ13")
    assert (status, body["Message"]) == (429, "Stream quota exceeded")


def test_history_credits_and_order_writes_are_switches() -> None:
    one = emulator(history_bars_per_minute=100, order_writes_per_minute=2)
    one.pass_time(6000)
    bars = "/v3/marketdata/barcharts/ESZ13"
    assert len(one.get(bars, unit="Minute", barsback="80")["Bars"]) == 80
    assert one.reply("GET", bars, unit="Minute", barsback="80")[0] == 429
    one.place()
    one.place()
    assert one.reply("POST", "/v3/orderexecution/orders", {})[0] == 429
