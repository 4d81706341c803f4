"""Whatever a request holds, the answer is one of the venue's and the next request is answered too: nothing a client can
send makes the emulator fail."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.tradestation.emulator.app import advance, app
from brokers.tradestation.emulator.server import Wire
from brokers.tradestation.emulator.values import OpenStream, Reply, Request
from tests.emulator.support import FUTURES, MARGIN, Emulator, bar, flat_bars, market, order

BARS = market(
    ESZ13=[bar(m, str(1000 + m % 7), str(1005 + m % 6), str(995 + m % 5), str(1000 + m % 5)) for m in range(-9, 60)],
    SPY=flat_bars(-9, 60, "100"),
)
PLACE, GROUP = "/v3/orderexecution/orders", "/v3/orderexecution/ordergroups"
RULE = {"RuleType": "Price", "Symbol": "ESZ13", "Predicate": "Gt", "TriggerKey": "STT", "Price": "1000"}
FULL = order(
    OrderType="StopLimit",
    LimitPrice="1001",
    StopPrice="1001",
    TimeInForce={"Duration": "GTD", "Expiration": "2013-10-09T00:00:00Z"},
    OrderConfirmID="k",
    Legs=[{"Symbol": "ESZ13", "Quantity": "1", "TradeAction": "BUY"}],
    OSOs=[{"Type": "OCO", "Orders": [order(), order(OrderType="Limit", LimitPrice="999")]}],
    AdvancedOptions={
        "TrailingStop": {"Amount": "1"},
        "ShowOnlyQuantity": "1",
        "MarketActivationRules": [RULE],
        "TimeActivationRules": [{"TimeUtc": "0001-01-01T18:50:00Z"}],
    },
)
BODIES: list[tuple[str, str, Any]] = [
    ("POST", PLACE, FULL),
    ("POST", PLACE, order(MARGIN, "SPY")),
    ("POST", "/v3/orderexecution/orderconfirm", FULL),
    ("POST", GROUP, {"Type": "BRK", "Orders": [FULL, FULL]}),
    ("POST", "/v3/orderexecution/ordergroupconfirm", {"Type": "OCO", "Orders": [FULL, FULL]}),
    ("PUT", PLACE + "/1200000001", {"Quantity": "2", "StopPrice": "1", "AdvancedOptions": FULL["AdvancedOptions"]}),
    ("POST", "/oauth/token", {"grant_type": "refresh_token", "client_id": "demo-client", "refresh_token": "x"}),
    ("POST", "/oauth/revoke", {"token": "x"}),
    ("POST", "/emulator/trade", {"account": FUTURES, "symbol": "ESZ13", "quantity": 1}),
    ("POST", "/emulator/reject", {"account": FUTURES, "symbol": "ESZ13", "message": "no"}),
    ("POST", "/emulator/fault", {"fault": "slow_reply", "seconds": 1, "times": 0, "probability": 0.5}),
    ("POST", "/emulator/switch", {"chunks": "random", "stream_age_max_s": 5}),
    ("POST", "/emulator/stall", {"account": FUTURES, "seconds": 1}),
]
NASTY: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**40,
        -(10**40),
        2**63,
        1e308,
        -1e-320,
        math.nan,
        math.inf,
        [],
        {},
        [None],
        [[]],
    ),
    *("", "1e999999999", "NaN", "-0", "1E30", "1e-30", "1_0", "١٢", " 1 ", "9999-12-31", "0001-01-01T00:00:00+14:00"),
    *("@ES", "ESZ13", "spy", FUTURES, "DAY", "5 MIN", "BRK", "x" * 3000, "\x00", "\U0001f600", {"Rules": 1}),
]
PATHS = st.sampled_from(
    [
        "/v3/marketdata/quotes/{}",
        "/v3/marketdata/symbols/{}",
        "/v3/marketdata/barcharts/{}",
        "/v3/marketdata/stream/quotes/{}",
        "/v3/marketdata/stream/barcharts/{}",
        "/v3/brokerage/accounts/{}/orders",
        "/v3/brokerage/accounts/{}/positions",
        "/v3/brokerage/accounts/{}/balances",
        f"/v3/brokerage/accounts/{FUTURES}/orders/{{}}",
        f"/v3/brokerage/accounts/{FUTURES}/historicalorders/{{}}",
        f"/v3/brokerage/stream/accounts/{FUTURES}/orders/{{}}",
        "/v3/brokerage/stream/accounts/{}/positions",
        "/v3/orderexecution/{}",
        "/v2/{}",
        "/emulator/{}",
        "/authorize",
        "/{}",
    ]
)
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["SPY", "@ES", FUTURES, f"{FUTURES},{MARGIN}", "1200000001", ",", "é,😀", "bars", "SPY 131019C170"]
    ),
)
NAMES = (
    *("unit", "interval", "barsback", "firstdate", "lastdate", "startdate", "sessiontemplate", "since", "pagesize"),
    *("nexttoken", "status", "symbol", "changes", "after", "until", "client_id", "redirect_uri", "response_type"),
    *("audience", "scope", "state", "code_challenge"),
)
VALUES = (
    *("Minute", "Daily", "1", "5", "57600", "0", "-1", "nan", "inf", "1e400", "2013-10-07", "0001-01-01", "true"),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "Default", "demo-client", "http://localhost:1/"),
    *("http://[::1", "http://localhost:99999999", "code", "openid", "https://api.tradestation.com"),
)
QUERIES = st.dictionaries(st.sampled_from(NAMES), st.text(max_size=12) | st.sampled_from(VALUES), max_size=6)


def emulator() -> Emulator:
    one = Emulator(BARS)
    one.place(OrderType="StopMarket", StopPrice="1004")
    return one


def answered(one: Emulator, request: Request) -> Any:
    """Its body, where it is no stream; and the emulator lives on."""
    answer = app(one.state, request, one.now)
    one.seconds += 1.0
    one.take(advance(one.state, one.now))
    if isinstance(answer, OpenStream):
        return {}
    assert isinstance(answer, Reply)
    assert answer.status < 500, answer.body
    assert answer.content_type in ("application/json", "text/plain")
    told = msgspec.json.decode(answer.body) if answer.body and answer.content_type == "application/json" else {}
    if answer.status >= 400:
        assert told.get("Error", told.get("error")), told
    return told


def spoilt(chance: random.Random, value: Any) -> Any:
    """The same with something else here and there."""
    if chance.random() < 0.1:
        return chance.choice(NASTY)
    if isinstance(value, dict):
        return {name if chance.random() < 0.97 else "x": spoilt(chance, one) for name, one in value.items()}
    return [spoilt(chance, one) for one in value] if isinstance(value, list) else value


@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_no_body_makes_it_fail(seed: int) -> None:
    chance, one = random.Random(seed), emulator()
    one.ask("GET", "/v3/brokerage/accounts")
    for _ in range(5):
        method, path, body = chance.choice(BODIES)
        raw = encoded(spoilt(chance, body))
        if chance.random() < 0.2:
            raw = raw[: chance.randrange(len(raw) + 1)] + chance.randbytes(2)
        headers = {"authorization": f"Bearer {one.token}", "content-type": "application/json"}
        answered(one, Request(method, path, {}, headers, raw))


@given(st.sampled_from(["GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH"]), PATHS, WORDS, QUERIES)
@settings(max_examples=200)
def test_no_path_and_no_query_makes_it_fail(method: str, path: str, word: str, query: dict[str, str]) -> None:
    one = emulator()
    one.ask("GET", "/v3/brokerage/accounts")
    answered(one, Request(method, path.format(word), query, {"authorization": f"Bearer {one.token}"}))


def encoded(value: Any) -> bytes:
    """As JSON that msgspec would not write itself: numbers that are none, texts that are no UTF-8."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value).encode()
    if isinstance(value, int) and abs(value) > 2**63:
        return str(value).encode()
    if isinstance(value, dict):
        return b"{" + b",".join(encoded(name) + b":" + encoded(one) for name, one in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(encoded, value)) + b"]"
    return msgspec.json.encode(value)


# What did


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{one[1]} {n}" for n, one in enumerate(BODIES)])
@pytest.mark.parametrize(
    "raw", [b'{"\xff": 1}', b'{"a": "\xe9\xff"}', b"[" * 60_000, b'{"a":' * 10_000, b'{"AccountID": NaN}']
)
def test_bytes_that_are_no_json_are_a_400_everywhere(method: str, path: str, body: Any, raw: bytes) -> None:
    one = emulator()
    one.tell("fault", fault="slow_reply", symbol="SPY", times=0)  # faults look into bodies too
    one.ask("GET", "/v3/brokerage/accounts")
    headers = {"authorization": f"Bearer {one.token}", "content-type": "application/json"}
    answer = app(one.state, Request(method, path, {}, headers, raw), one.now)
    assert isinstance(answer, Reply)
    assert answer.status == 400


@pytest.mark.parametrize("price", ["1e30", "9" * 30, str(10**29) + ".5"])
@pytest.mark.parametrize("where", ["StopPrice", "LimitPrice", "rule", "trail"])
def test_a_price_beyond_all_is_refused_in_words(price: str, where: str) -> None:
    one = emulator()
    options = {
        "rule": {"MarketActivationRules": [{**RULE, "Price": price}]},
        "trail": {"TrailingStop": {"Amount": price}},
    }
    body = order(
        OrderType="StopMarket" if where == "trail" else "StopLimit",
        **{"StopPrice": "1001", "LimitPrice": "1001", where: price},
        AdvancedOptions=options.get(where),
    )
    status, told = one.reply("POST", PLACE, body)
    one.pass_time(60)
    assert status == 400 or told["Orders"][0]["Error"] == "FAILED"


@pytest.mark.parametrize("callback", ["http://[::1", "http://localhost:x:y", "//localhost", "javascript:1", "", "é"])
def test_a_callback_that_is_no_address_is_refused(callback: str) -> None:
    status, told = emulator().reply("GET", "/authorize", client_id="demo-client", redirect_uri=callback)
    assert (status, told["error"]) == (403, "invalid_request")


def test_a_fault_of_our_own_is_told_in_the_venues_words_and_to_the_operator() -> None:
    """Should one be left: the client gets JSON, whoever runs the emulator the traceback."""

    class Broken:
        def answer(self, request: Request) -> Reply:
            raise RuntimeError("boom")

    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v3/x", "query_string": b"", "headers": [], "client": ("x", 1)}
    with pytest.raises(RuntimeError, match="boom"):
        asyncio.run(Wire(Broken())(scope, receive, send))  # type: ignore[arg-type]
    assert told[0]["status"] == 500
    assert msgspec.json.decode(told[1]["body"])["Error"] == "InternalServerError"
