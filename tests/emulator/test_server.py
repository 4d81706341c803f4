"""The emulator as a real process behind real HTTP: streams, kills and restarts, broken connections."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from tests.emulator.support import FUTURES, order

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys, msgspec
from brokers.tradestation.emulator.server import Options, serve
serve(msgspec.json.decode(sys.argv[1], type=Options))
"""
DEADLINE_S = 20.0
FORM = {
    "grant_type": "refresh_token",
    "client_id": "demo-client",
    "client_secret": "demo-secret",
    "refresh_token": "demo-refresh",
}


class Running:
    """One emulator process. ``options`` as in Options."""

    def __init__(self, folder: Path, **options: Any) -> None:
        given = {"book": str(folder / "book.jsonl"), "rate": 60.0, "heartbeat_s": 0.3, **options}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, msgspec.json.encode(given).decode()],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("emulator listening on http://127.0.0.1:"):
            raise AssertionError(f"{line!r} {self.process.communicate(timeout=DEADLINE_S)}")
        self.url = line.split()[-1]
        self.token = ""

    def call(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        return requests.request(
            method, self.url + path, json=body, params=query, headers=self.headers(), timeout=DEADLINE_S
        )

    def headers(self) -> dict[str, str]:
        if not self.token:
            self.token = requests.post(self.url + "/oauth/token", data=FORM, timeout=DEADLINE_S).json()["access_token"]
        return {"Authorization": f"Bearer {self.token}"}

    def tell(self, name: str, **body: Any) -> Any:
        reply = self.call("POST", f"/emulator/{name}", body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def place(self, **fields: Any) -> Any:
        return self.call("POST", "/v3/orderexecution/orders", order(**fields)).json()["Orders"][0]

    def open(self, path: str, **query: str) -> Iterator[Any]:
        """The frames of a stream, as they come."""
        reply = requests.get(
            self.url + path, params=query, headers=self.headers(), stream=True, timeout=(DEADLINE_S, DEADLINE_S)
        )
        assert reply.status_code == 200, reply.text
        assert reply.headers["transfer-encoding"] == "chunked"
        return (json.loads(line) for line in reply.iter_lines() if line)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, told


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start emulators on one book; what still runs at the end is killed."""
    started: list[Running] = []

    def begin(**options: Any) -> Running:
        started.append(Running(tmp_path, **options))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.kill()


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
    return found


BARS = "/v3/marketdata/stream/barcharts/ESZ13"
ORDERS = f"/v3/brokerage/stream/accounts/{FUTURES}/orders"


def test_bars_arrive_closed_once_and_in_order(start: Start) -> None:
    emulator = start(rate=600.0)
    closed = (frame for frame in emulator.open(BARS, unit="Minute", barsback="3") if frame.get("BarStatus") == "Closed")
    stamps = [frame["Epoch"] // 1000 for frame in itertools.islice(closed, 12)]
    listed = emulator.call("GET", "/emulator/bars", symbol="ESZ13", after=str(stamps[0] - 1)).json()["Stamps"]
    assert stamps == listed[:12]


def test_symbols_may_be_percent_encoded(start: Start) -> None:
    emulator = start()
    found = emulator.call("GET", "/v3/marketdata/symbols/%40ES").json()["Symbols"]
    assert (found[0]["Symbol"], found[0]["Underlying"]) == ("@ES", "ESZ13")


def test_an_order_is_told_on_the_stream_and_counts_in_the_account(start: Start) -> None:
    emulator = start()
    frames = emulator.open(ORDERS)
    assert next(frames) == {"StreamStatus": "EndSnapshot"}
    placed = emulator.place(OrderConfirmID="k1")
    of_it = (frame for frame in frames if frame.get("OrderID") == placed["OrderID"])  # heartbeats come between
    assert [frame["Status"] for frame in itertools.islice(of_it, 3)] == ["ACK", "FLL", "FLL"]
    (position,) = emulator.call("GET", f"/v3/brokerage/accounts/{FUTURES}/positions").json()["Positions"]
    assert position["Quantity"] == "1"


def test_a_killed_emulator_has_forgotten_nothing_when_it_is_back(start: Start) -> None:
    first = start()
    first.place(OrderConfirmID="k1")
    stop = first.place(TradeAction="SELL", OrderType="StopMarket", StopPrice="1500", OrderConfirmID="k2")["OrderID"]
    first.tell("order_reply", lose=1, when="after")
    before = first.call("GET", "/emulator/orders").json()
    first.kill()

    second = start()
    second.token = first.token
    assert second.call("GET", "/emulator/orders").json() == before
    assert second.call("GET", "/v3/brokerage/accounts").status_code == 200  # with the token of its former life
    with pytest.raises(requests.ConnectionError):
        second.place(OrderConfirmID="k3")  # the armed fault outlived the kill
    again = [second.place(OrderConfirmID=key)["Message"] for key in ("k1", "k2", "k3")]
    assert set(again) == {"Order not placed because a unique orderconfirmid already exists."}
    assert [one["OrderID"] for one in second.call("GET", "/emulator/state").json()["OpenOrders"]] == [stop]


def test_market_time_goes_on_while_the_emulator_is_dead(start: Start) -> None:
    first = start(rate=600.0)
    before = first.call("GET", "/emulator/state").json()["MarketUtc"]
    first.kill()
    time.sleep(0.3)
    after = start(rate=1.0).call("GET", "/emulator/state").json()["MarketUtc"]
    assert after > before + 0.3 * 600


def test_a_last_line_cut_short_is_taken_off_and_told(start: Start, tmp_path: Path) -> None:
    first = start()
    first.place(OrderConfirmID="k1")
    first.kill()
    path = tmp_path / "book.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"number":99,"mach')
    second = start()
    assert second.place(OrderConfirmID="k1")["OrderID"] == ""
    assert path.read_bytes().startswith(whole)
    code, told = second.end()
    assert code == 0
    assert "18 bytes" in told
    third = start()
    assert third.place(OrderConfirmID="k1")["OrderID"] == ""


def test_a_second_emulator_on_the_same_book_is_refused(start: Start) -> None:
    start()
    with pytest.raises(AssertionError, match="another emulator has this book open"):
        start()


def test_a_stopped_clock_stands_in_state_file_and_next_life(start: Start, tmp_path: Path) -> None:
    first = start()
    stopped = first.tell("clock", action="stop")["StoppedAt"]
    assert json.loads((tmp_path / "clock.json").read_text())["stopped_at_utc"] == stopped
    first.kill()
    assert start().call("GET", "/emulator/state").json()["MarketUtc"] == stopped


def test_goaway_ends_the_stream_after_its_frame(start: Start) -> None:
    emulator = start()
    frames = emulator.open(ORDERS)
    next(frames)
    emulator.tell("goaway", account=FUTURES)
    assert [frame for frame in frames if "Heartbeat" not in frame] == [{"StreamStatus": "GoAway"}]


def test_a_stall_is_silent_without_a_heartbeat_and_then_goes_on(start: Start) -> None:
    emulator = start(heartbeat_s=0.1, rate=60.0)
    frames = emulator.open(ORDERS)
    beats = (datetime.fromisoformat(frame["Timestamp"]) for frame in frames if "Heartbeat" in frame)
    before = next(beats)
    emulator.tell("stall", account=FUTURES, seconds=1.0)
    for after in itertools.islice(beats, 100):
        if (after - before).total_seconds() > 0.9 * 60.0:  # by the emulator's own stamps, of market time
            return
        before = after
    raise AssertionError("a hundred heartbeats, and no silence of a second among them")


def test_end_by_reset_breaks_the_connection(start: Start) -> None:
    emulator = start()
    frames = emulator.open(ORDERS)
    next(frames)
    emulator.tell("end", account=FUTURES, how="reset")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        list(frames)


def test_a_client_that_leaves_is_forgotten(start: Start) -> None:
    emulator = start()
    reply = requests.get(emulator.url + ORDERS, headers=emulator.headers(), stream=True, timeout=DEADLINE_S)
    lines = reply.iter_lines()
    assert next(lines)
    assert len(emulator.call("GET", "/emulator/state").json()["Streams"]) == 1
    reply.close()
    wait_for(lambda: emulator.call("GET", "/emulator/state").json()["Streams"] == [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_while_its_streams_are_open_and_says_nothing(start: Start, number: int) -> None:
    emulator = start()
    streams = [emulator.open(ORDERS) for _ in range(3)]
    for stream in streams:
        next(stream)
    assert emulator.end(number) == (0, "")


def test_an_oversized_body_is_refused(start: Start) -> None:
    reply = start().call("POST", "/v3/orderexecution/orders", {"x": "y" * 70_000})
    assert reply.status_code == 400
    assert "the limit is 65536" in reply.json()["Message"]


@pytest.mark.parametrize(("when", "booked"), [("before", 0), ("after", 1)])
def test_a_lost_reply_breaks_the_connection_and_nothing_else(start: Start, when: str, booked: int) -> None:
    emulator = start()
    emulator.tell("order_reply", lose=1, when=when)
    with pytest.raises(requests.ConnectionError):
        emulator.place(OrderConfirmID="k1")
    assert len(emulator.call("GET", "/emulator/orders").json()["Orders"]) == booked
    assert emulator.end() == (0, "")


def test_names_of_queries_come_in_any_case_and_several_symbols_in_one_call(start: Start) -> None:
    emulator = start()
    bars = emulator.call("GET", "/v3/marketdata/barcharts/%40ES", UNIT="minute", BarsBack="3").json()["Bars"]
    assert len(bars) == 3
    quotes = emulator.call("GET", "/v3/marketdata/quotes/ESZ13,SPY,NOPE").json()
    assert [one["Symbol"] for one in quotes["Quotes"]] == ["ESZ13", "SPY"]
    assert quotes["Errors"] == [{"Symbol": "NOPE", "Error": "FAILED, INVALID SYMBOL"}]


def test_quota_headers_and_the_429_go_over_the_wire(start: Start) -> None:
    emulator = start()
    first = emulator.call("GET", "/v3/brokerage/accounts")
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("320", "319")
    emulator.tell("fault", fault="status", status=429)
    refused = emulator.call("GET", "/v3/brokerage/accounts")
    assert (refused.status_code, refused.headers["X-RateLimit-Reset"]) == (429, "30")


def test_the_sign_in_page_sends_the_browser_back_with_a_code(start: Start) -> None:
    emulator = start()
    asked = {
        "response_type": "code",
        "client_id": "demo-client",
        "audience": "https://api.tradestation.com",
        "redirect_uri": "http://localhost:3000/",
        "scope": "openid offline_access",
    }
    reply = requests.get(emulator.url + "/authorize", params=asked, allow_redirects=False, timeout=DEADLINE_S)
    assert reply.status_code == 302
    code = reply.headers["Location"].removeprefix("http://localhost:3000/?code=")
    form = {**FORM, "grant_type": "authorization_code", "code": code, "redirect_uri": "http://localhost:3000/"}
    assert requests.post(emulator.url + "/oauth/token", data=form, timeout=DEADLINE_S).json()["refresh_token"]


@pytest.mark.parametrize("how", ["half", "torn"])
def test_a_stream_broken_off_is_no_orderly_end(start: Start, how: str) -> None:
    emulator = start()
    frames = emulator.open(ORDERS)
    assert next(frames) == {"StreamStatus": "EndSnapshot"}
    emulator.tell("end", account=FUTURES, how=how)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        for _ in frames:
            pass


def test_a_quote_stream_runs_and_a_switch_ends_it(start: Start) -> None:
    emulator = start(rate=600.0)
    frames = emulator.open("/v3/marketdata/stream/quotes/ESZ13,SPY")
    merged: dict[str, dict[str, Any]] = {"ESZ13": {}, "SPY": {}}
    for frame in itertools.islice((one for one in frames if "Symbol" in one), 12):
        merged[frame["Symbol"]] |= frame
    assert all({"Last", "Bid", "MarketFlags"} <= set(one) for one in merged.values())
    emulator.tell("switch", stream_age_max_s=0.1)
    assert list(frames) is not None
