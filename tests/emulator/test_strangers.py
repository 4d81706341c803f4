"""Clients as strangers write them, by several libraries: each call here is how some public client of the venue asks.

None of them knows the emulator; what they get by with at the venue they must get by with here.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import urllib3

from tests.emulator.support import FUTURES, MARGIN
from tests.emulator.test_server import DEADLINE_S, FORM, Running

ACCOUNTS = "/v3/brokerage/accounts"
ORDERS = "/v3/orderexecution/orders"


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("strangers"))
    yield running
    running.process.terminate()
    running.process.wait(DEADLINE_S)


@pytest.fixture
def line(venue: Running) -> Iterator[http.client.HTTPConnection]:
    """One connection that stays open, as a pool keeps it."""
    connection = http.client.HTTPConnection(urlsplit(venue.url).netloc, timeout=DEADLINE_S)
    yield connection
    connection.close()


def asked(line: http.client.HTTPConnection, method: str, path: str, **more: Any) -> tuple[int, Any]:
    line.request(method, path, **more)
    reply = line.getresponse()
    body = reply.read()
    return reply.status, json.loads(body) if body else None


def talk(venue: Running, head: str, body: bytes = b"") -> bytes:
    """What a socket is sent back until the emulator closes it."""
    address = urlsplit(venue.url)
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S) as peer:
        peer.sendall(head.replace("\n", "\r\n").encode() + body)
        answer = b""
        while data := peer.recv(65_536):
            answer += data
        return answer


# -- what a client does first -------------------------------------------------------------------------------------


def test_a_session_signs_in_and_looks_around_on_one_connection(venue: Running) -> None:
    with requests.Session() as session:
        granted = session.post(
            venue.url + "/oauth/token",
            data="&".join(f"{name}={value}" for name, value in FORM.items()),
            headers={"content-type": "application/x-www-form-urlencoded"},
            timeout=DEADLINE_S,
        ).json()
        assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 1200)
        session.headers["Authorization"] = f"{granted['token_type']} {granted['access_token']}"
        found = session.get(venue.url + ACCOUNTS, timeout=DEADLINE_S).json()["Accounts"]
        ids = ",".join(each["AccountID"] for each in found)
        for path in ("balances", "positions", "orders", "bodbalances"):
            reply = session.get(f"{venue.url}{ACCOUNTS}/{ids}/{path}", timeout=DEADLINE_S)
            assert (reply.status_code, reply.json()["Errors"]) == (200, []), path
        for path in ("/v3/orderexecution/routes", "/v3/orderexecution/activationtriggers"):
            assert session.get(venue.url + path, timeout=DEADLINE_S).status_code == 200


def test_the_tokens_can_be_taken_apart_by_who_wants_to_know_their_end(venue: Running) -> None:
    granted = requests.post(venue.url + "/oauth/token", json=FORM, timeout=DEADLINE_S).json()
    for name in ("access_token", "id_token"):
        _, claims, _ = granted[name].split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert told["exp"] - told["iat"] == 1200
        assert told["iss"] == "https://signin.tradestation.com/"


def test_a_token_without_the_scope_of_a_path_is_forbidden_there(venue: Running) -> None:
    asked_for = {
        "response_type": "code",
        "client_id": "demo-client",
        "audience": "https://api.tradestation.com",
        "redirect_uri": "http://localhost:3000",
        "scope": "openid offline_access MarketData",
    }
    page = requests.get(venue.url + "/authorize", params=asked_for, allow_redirects=False, timeout=DEADLINE_S)
    code = parse_qs(urlsplit(page.headers["Location"]).query)["code"][0]
    form = {**FORM, "grant_type": "authorization_code", "code": code, "redirect_uri": "http://localhost:3000"}
    first = requests.post(venue.url + "/oauth/token", data=form, timeout=DEADLINE_S).json()
    form = {**FORM, "refresh_token": first["refresh_token"]}
    refreshed = requests.post(venue.url + "/oauth/token", data=form, timeout=DEADLINE_S).json()
    for granted in (first, refreshed):
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        statuses = {
            path: requests.get(venue.url + path, headers=headers, timeout=DEADLINE_S).status_code
            for path in ("/v3/marketdata/quotes/SPY", ACCOUNTS, "/v3/orderexecution/routes")
        }
        assert list(statuses.values()) == [200, 403, 403]
        refused = requests.get(venue.url + ACCOUNTS, headers=headers, timeout=DEADLINE_S).json()
        assert refused["Error"] == "Forbidden"


# -- paths, queries, headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        ACCOUNTS + "/",
        f"{ACCOUNTS}/{FUTURES}%2C{MARGIN}/balances",
        "/v3/marketdata/quotes/%40ES,SPY",
        "/v3/marketdata/quotes/@ES",
        "/v3/marketdata/symbols/@ES/",
        "//v3//marketdata/symbols/SPY",
        "/v3/marketdata/barcharts/SPY?interval=1&unit=Minute&barsback=3",
        "/v3/marketdata/barcharts/SPY?Interval=5&Unit=minute&barsBack=3&sessionTemplate=Default",
        "/v3/marketdata/barcharts/SPY?interval=1&unit=Daily&barsback=2&firstdate=&lastdate=",
        "/v3/marketdata/barcharts/SPY?unit=Minute&firstDate=2013-10-07T14:00:00.000Z&lastDate=2013-10-07",
        f"{ACCOUNTS}/{FUTURES}/historicalorders?since=10-01-2013&pageSize=10",
        f"{ACCOUNTS}/{FUTURES}/orders?userId=me&callback=x",
    ],
)
def test_urllib_gets_what_it_asks_for_however_it_is_spelt(venue: Running, path: str) -> None:
    request = urllib.request.Request(venue.url + path, headers=venue.headers())
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
        assert reply.headers.get_content_type() == "application/json"
        assert not json.load(reply).get("Errors")


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/v3/brokerage/accounts/NONE/nothing", 404, "NotFound"),
        ("/v3/marketdata/barcharts/NIX99", 404, "NotFound"),
        ("/v3/marketdata/barcharts/SPY?unit=Hourly", 400, "BadRequest"),
        ("/v3/brokerage/stream/accounts/NONE/orders", 403, "Forbidden"),
    ],
)
def test_urllib_raises_errors_with_a_body_of_the_venue(venue: Running, path: str, status: int, error: str) -> None:
    request = urllib.request.Request(venue.url + path, headers=venue.headers())
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=DEADLINE_S)
    with caught.value as raised:
        body = json.loads(raised.read())
    assert (raised.code, body["Error"]) == (status, error)
    assert body["Message"]


def test_the_names_of_headers_are_written_as_the_venue_writes_them(venue: Running) -> None:
    """For who copies them into a plain dictionary."""
    headers = dict(requests.get(venue.url + ACCOUNTS, headers=venue.headers(), timeout=DEADLINE_S).headers.items())
    assert {"Content-Type", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= headers.keys()
    assert headers["X-RateLimit-Resource"] == "Accounts"


@pytest.mark.parametrize("authorization", ["bearer {}", "BEARER {}", "Bearer  {}"])
def test_the_scheme_of_the_token_is_written_in_any_way(venue: Running, authorization: str) -> None:
    headers = {"authorization": authorization.format(venue.headers()["Authorization"].split()[1])}
    assert requests.get(venue.url + ACCOUNTS, headers=headers, timeout=DEADLINE_S).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}])
def test_without_a_token_nothing_is_told(venue: Running, headers: dict[str, str]) -> None:
    reply = requests.get(venue.url + ACCOUNTS, headers=headers, timeout=DEADLINE_S)
    assert (reply.status_code, reply.json()["Error"]) == (401, "Unauthorized")


def test_a_client_that_offers_compression_gets_plain_text(venue: Running) -> None:
    pool = urllib3.PoolManager()
    headers = {**venue.headers(), "Accept-Encoding": "gzip, deflate, br", "Accept": "*/*"}
    reply = pool.request("GET", venue.url + "/v3/marketdata/quotes/SPY", headers=headers, timeout=DEADLINE_S)
    assert (reply.headers.get("Content-Encoding"), reply.json()["Quotes"][0]["Symbol"]) == (None, "SPY")
    pool.clear()


def test_a_page_of_another_origin_may_call_the_venue_but_not_the_testers_side(venue: Running) -> None:
    page = {"Origin": "http://localhost:3000"}
    before = {**page, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    for path, allowed in ((ORDERS + "/1", True), ("/oauth/token", True), ("/emulator/trade", False)):
        reply = requests.options(venue.url + path, headers=before, timeout=DEADLINE_S)
        assert (reply.status_code == 200, "PUT" in reply.headers.get("Access-Control-Allow-Methods", "")) == (
            allowed,
            allowed,
        )
    answer = requests.get(venue.url + ACCOUNTS, headers={**page, **venue.headers()}, timeout=DEADLINE_S)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    told = requests.get(venue.url + "/emulator/state", headers=page, timeout=DEADLINE_S)
    assert "Access-Control-Allow-Origin" not in told.headers


# -- orders -------------------------------------------------------------------------------------------------------

PLAIN = {
    "AccountID": FUTURES,
    "Symbol": "ESZ13",
    "Quantity": "1",
    "OrderType": "Limit",
    "LimitPrice": "1000",
    "TradeAction": "BUY",
    "TimeInForce": {"Duration": "DAY"},
}
NULLS = {
    **PLAIN,
    "Legs": None,
    "StopPrice": None,
    "OSOs": None,
    "BuyingPowerWarning": None,
    "OrderConfirmID": None,
    "TimeInForce": {"Duration": "DAY", "Expiration": None},
    "AdvancedOptions": {"AllOrNone": False, "AddLiquidity": False, "BookOnly": False, "TrailingStop": None},
}
NUMBERS = {**PLAIN, "Quantity": 1, "LimitPrice": 1000.0}
LOWER = {name.lower(): value for name, value in PLAIN.items()} | {"timeinforce": {"duration": "day"}}
WORDS = {**PLAIN, "TradeAction": "Buy", "OrderType": "limit", "Route": "Intelligent", "Strategy": "mine"}
ONE_LEG = {name: PLAIN[name] for name in ("AccountID", "OrderType", "LimitPrice", "TimeInForce")} | {
    "Legs": [{"Symbol": "ESZ13", "Quantity": 1, "TradeAction": "BUY"}]
}


@pytest.mark.parametrize("body", [PLAIN, NULLS, NUMBERS, LOWER, WORDS])
def test_an_order_in_any_spelling_is_placed_moved_and_cancelled(
    venue: Running, line: http.client.HTTPConnection, body: dict[str, Any]
) -> None:
    headers = {**venue.headers(), "Content-Type": "application/json; charset=utf-8"}
    status, told = asked(line, "POST", ORDERS, body=json.dumps(body), headers=headers)
    assert status == 200, told
    (element,) = told["Orders"]
    assert element["Message"] == "Sent order: Buy 1 ESZ13 @ 1000 Limit"
    change = json.dumps({"AccountID": FUTURES, "OrderID": element["OrderID"], "LimitPrice": "1000.25", "Quantity": 1})
    status, told = asked(line, "PUT", f"{ORDERS}/{element['OrderID']}", body=change, headers=headers)
    assert (status, told["OrderID"]) == (200, element["OrderID"])
    status, told = asked(line, "DELETE", f"{ORDERS}/{element['OrderID']}", headers=headers)
    assert (status, told["Message"]) == (200, "Cancel request sent")
    assert asked(line, "DELETE", f"{ORDERS}/{element['OrderID']}", headers=headers)[0] == 400


def test_a_body_in_chunks_with_a_byte_order_mark_is_a_body(venue: Running, line: http.client.HTTPConnection) -> None:
    whole = b"\xef\xbb\xbf" + json.dumps(PLAIN, indent=4).encode()
    parts = iter([whole[:7], whole[7:60], whole[60:]])
    status, told = asked(line, "POST", ORDERS, body=parts, headers=venue.headers(), encode_chunked=True)
    assert (status, "OrderID" in told["Orders"][0]) == (200, True)
    status, _ = asked(line, "DELETE", f"{ORDERS}/{told['Orders'][0]['OrderID']}", headers=venue.headers())
    assert status == 200


def test_a_client_that_waits_for_100_continue_is_told_to(venue: Running) -> None:
    body = json.dumps({**PLAIN, "AccountID": "NONE"}).encode()
    head = (
        f"POST {ORDERS} HTTP/1.1\nHost: x\nauthorization: {venue.headers()['Authorization']}\n"
        f"Content-Length: {len(body)}\nExpect: 100-continue\nConnection: close\n\n"
    )
    answer = talk(venue, head, body)
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 403 " in answer
    assert answer.endswith(b'{"Error":"Forbidden","Message":"Invalid Account ID."}')


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 60_000, b"x" * 70_000])
def test_a_body_that_is_none_is_refused_and_the_connection_lives(
    venue: Running, line: http.client.HTTPConnection, raw: bytes
) -> None:
    status, told = asked(line, "POST", ORDERS, body=raw, headers=venue.headers())
    assert (status, told["Error"]) == (400, "BadRequest")
    assert asked(line, "GET", ACCOUNTS, headers=venue.headers())[0] == 200


# -- sockets ------------------------------------------------------------------------------------------------------


def test_http_of_the_last_century_is_answered(venue: Running) -> None:
    answer = talk(venue, f"GET {ACCOUNTS} HTTP/1.0\nAuthorization: {venue.headers()['Authorization']}\n\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0]
    assert len(json.loads(body)["Accounts"]) == 2


def test_who_goes_through_a_proxy_writes_the_whole_address(venue: Running) -> None:
    head = (
        f"GET http://api.tradestation.com{ACCOUNTS} HTTP/1.1\nHost: api.tradestation.com\nConnection: close\n"
        f"Authorization: {venue.headers()['Authorization']}\n\n"
    )
    assert talk(venue, head).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELLO\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
    ids=["tls", "no http", "length", "chunk", "header"],
)
def test_what_is_no_http_is_a_400_and_the_next_one_is_served(venue: Running, raw: bytes) -> None:
    address = urlsplit(venue.url)
    peer = socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S)
    with peer, contextlib.suppress(ConnectionError):  # it may be cut while we still send
        peer.sendall(raw)
        assert peer.recv(100).startswith(b"HTTP/1.1 400 ")
    assert requests.get(venue.url + ACCOUNTS, headers=venue.headers(), timeout=DEADLINE_S).status_code == 200


def test_a_hundred_requests_left_half_said_hold_nobody_up(venue: Running) -> None:
    address = urlsplit(venue.url)
    peers = [socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S) for _ in range(100)]
    try:
        for n, peer in enumerate(peers):
            peer.sendall((b"GET /v3", b"POST /v3/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")[n % 2])
        assert requests.get(venue.url + ACCOUNTS, headers=venue.headers(), timeout=DEADLINE_S).status_code == 200
    finally:
        for peer in peers:
            peer.close()


def test_a_head_request_has_no_body(venue: Running) -> None:
    head = (
        f"HEAD {ACCOUNTS} HTTP/1.1\nHost: x\nConnection: close\nAuthorization: {venue.headers()['Authorization']}\n\n"
    )
    answer = talk(venue, head)
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Type: application/json" in answer


@pytest.mark.parametrize("accept", ["application/vnd.tradestation.streams.v2+json", "application/json", "*/*", ""])
def test_a_stream_is_plain_chunks_whatever_is_accepted(venue: Running, accept: str) -> None:
    address = urlsplit(venue.url)
    wanted = f"Accept: {accept}\n" if accept else ""
    head = (
        f"GET {ACCOUNTS.replace('brokerage', 'brokerage/stream')}/{FUTURES}/orders HTTP/1.1\nHost: x\n{wanted}"
        f"Accept-Encoding: gzip\nAuthorization: {venue.headers()['Authorization']}\n\n"
    ).replace("\n", "\r\n")
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_S) as peer:
        peer.sendall(head.encode())
        answer = b""
        while b"EndSnapshot" not in answer or b"Heartbeat" not in answer:
            data = peer.recv(100)
            assert data
            answer += data
    told = answer.partition(b"\r\n\r\n")[0].decode().splitlines()
    assert "Transfer-Encoding: chunked" in told
    assert "Content-Type: application/vnd.tradestation.streams.v3+json" in told
    assert not [each for each in told if each.startswith(("Content-Length", "Content-Encoding"))]


def test_a_stream_is_read_line_by_line_by_urllib(venue: Running) -> None:
    path = "/v3/marketdata/stream/barcharts/SPY?interval=1&unit=minute&barsback=3&sessiontemplate=USEQPreAndPost"
    request = urllib.request.Request(venue.url + path, headers=venue.headers())
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
        bars = [json.loads(reply.readline()) for _ in range(3)]
    assert [bar["IsEndOfHistory"] for bar in bars] == [False, False, True]


def test_ten_requests_behind_each_other_are_answered_in_turn(venue: Running) -> None:
    """Pipelined: some proxies do it."""
    one = f"GET {ACCOUNTS} HTTP/1.1\nHost: x\nAuthorization: {venue.headers()['Authorization']}\n"
    answer = talk(venue, (one + "\n") * 9 + one + "Connection: close\n\n")
    assert answer.count(b"HTTP/1.1 200 ") == 10
