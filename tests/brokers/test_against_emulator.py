"""The client against the emulator over real HTTP: both were written from the venue's pages, neither from the other."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import requests

from brokers.broker import BarItem, EndSnapshot, HttpReply, OrderItem, PositionItem, StreamItem, StreamRequest
from brokers.errors import NotAllowed, Unavailable
from brokers.model import (
    Accepted,
    Change,
    Duration,
    OrderStatus,
    OrderType,
    Placing,
    RefusedByVenue,
    Side,
    Unknown,
)
from brokers.tradestation import oauth
from brokers.tradestation.client import TradeStation
from feeds.lines import LineSplitter

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0
ACCOUNT = "SIM100001F"
RUN = """
import sys, msgspec
from brokers.tradestation.emulator.server import Options, serve
serve(msgspec.json.decode(sys.argv[1], type=Options))
"""


class Answered(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes


class Desk:
    """What a process lends to its broker, in short: HTTP by requests, and tokens."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.token = ""
        self.client = TradeStation(url, self.send, self.current, DEADLINE_S)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> HttpReply:
        try:
            reply = self.http.request(method, url, headers=dict(headers), data=body, timeout=timeout_s)
        except requests.RequestException as error:
            raise Unavailable(str(error)) from error
        return Answered(reply.status_code, {k.lower(): v for k, v in reply.headers.items()}, reply.content)

    def current(self, refused: str = "") -> str:
        if not self.token or refused:
            request = oauth.refresh_request(self.url, "demo-client", "demo-secret", "demo-refresh")
            reply = self.send("POST", request.url, headers=request.headers, body=request.body, timeout_s=DEADLINE_S)
            self.token = oauth.granted(reply.status, reply.body).access_token
        return self.token

    def lines(self, request: StreamRequest) -> Iterator[bytes]:
        splitter = LineSplitter()
        with self.http.get(request.url, headers=request.headers, stream=True, timeout=DEADLINE_S) as reply:
            assert reply.status_code == 200, reply.text
            for data in reply.iter_content(None):
                yield from splitter.push(data)

    def account_items(self, request: StreamRequest) -> Iterator[StreamItem | None]:
        return (self.client.account_item(line) for line in self.lines(request))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as made:
        yield made


@contextmanager
def running_emulator(folder: Path) -> Iterator[Desk]:
    options = {"book": str(folder / "book.jsonl"), "rate": 60.0, "heartbeat_s": 0.3}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, msgspec.json.encode(options).decode()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Desk(process.stdout.readline().split()[-1])
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def placing(key: str, **changes: object) -> Placing:
    order = Placing(key, ACCOUNT, "ESZ13", Side.BUY, Decimal(1), OrderType.MARKET)
    return msgspec.structs.replace(order, **changes)


def test_accounts_symbols_and_bars_are_read(desk: Desk) -> None:
    assert [account.kind for account in desk.client.accounts()] == ["Futures", "Margin"]
    es = desk.client.instrument("ESZ13")
    assert (es.symbol, es.tick_size, es.point_value_usd) == ("ESZ13", Decimal("0.25"), Decimal(50))
    bars = desk.client.recent_bars("ESZ13", 60, 5)
    assert [bar.closed_utc - bars[0].closed_utc for bar in bars] == [0, 60, 120, 180, 240]
    assert desk.client.bars_since("ESZ13", 60, bars[1].closed_utc, bars[3].closed_utc) == bars[2:4]


def test_an_unknown_symbol_and_account_are_refused_in_words(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        desk.client.instrument("NIX99")
    with pytest.raises(NotAllowed):
        desk.client.snapshot("SIM000000F")


def test_a_market_order_becomes_a_position_and_its_key_is_used_up(desk: Desk) -> None:
    accepted = desk.client.place(placing("market-1"))
    assert isinstance(accepted, Accepted)
    snapshot = desk.client.snapshot(ACCOUNT)
    (order,) = [order for order in snapshot.orders if order.order_id == accepted.order_id]
    assert (order.status, order.filled_quantity, order.side) == (OrderStatus.FILLED, Decimal(1), Side.BUY)
    (held,) = [held for held in snapshot.positions if held.symbol == "ESZ13"]
    assert held.average_price == order.average_fill_price
    again = desk.client.place(placing("market-1"))
    assert isinstance(again, RefusedByVenue)
    assert again.duplicate


def test_a_stop_works_is_moved_and_cancelled_and_then_it_is_dead(desk: Desk) -> None:
    far, farther = Decimal("1000.25"), Decimal("999.75")
    stop = placing("stop-1", side=Side.SELL, type=OrderType.STOP_MARKET, stop_price=far, duration=Duration.GTC)
    accepted = desk.client.place(stop)
    assert isinstance(accepted, Accepted)
    (order,) = desk.client.orders_by_id(ACCOUNT, [accepted.order_id])
    assert (order.working, order.stop_price, order.duration) == (True, far, Duration.GTC)
    moved = desk.client.replace(order, Change(stop_price=farther))
    assert isinstance(moved, Accepted)
    (order,) = desk.client.orders_by_id(ACCOUNT, [moved.order_id])
    assert order.stop_price == farther
    assert isinstance(desk.client.cancel(moved.order_id), Accepted)
    for item in desk.account_items(desk.client.orders_stream(ACCOUNT)):
        orders = item.orders if isinstance(item, OrderItem) else ()
        if (moved.order_id, OrderStatus.CANCELLED) in [(order.order_id, order.status) for order in orders]:
            break
    refused = desk.client.cancel(moved.order_id)
    assert isinstance(refused, RefusedByVenue)
    assert refused.dead


def test_a_lost_answer_is_unknown_and_the_order_is_found_once(desk: Desk) -> None:
    before = {order.order_id for order in desk.client.snapshot(ACCOUNT).orders}
    requests.post(desk.url + "/emulator/order_reply", json={"lose": 1, "when": "after"}, timeout=DEADLINE_S)
    outcome = desk.client.place(placing("lost-1"))
    assert isinstance(outcome, Unknown)
    assert outcome.sent
    assert len({order.order_id for order in desk.client.snapshot(ACCOUNT).orders} - before) == 1


def test_a_refused_token_is_replaced_once(desk: Desk) -> None:
    desk.token = "no token of theirs"
    assert desk.client.accounts()
    assert desk.token != "no token of theirs"


def test_the_bars_stream_gives_two_closed_bars_and_goes_on(desk: Desk) -> None:
    closed: list[int] = []
    for line in desk.lines(desk.client.bars_stream("SPY", 60, 2)):
        item = desk.client.bars_item("SPY", 60, line)
        if isinstance(item, BarItem) and item.closed:
            closed.append(item.bar.closed_utc)
        if len(closed) == 4:
            break
    assert [stamp - closed[0] for stamp in closed] == [0, 60, 120, 180]


def test_the_positions_stream_gives_a_snapshot_and_its_end(desk: Desk) -> None:
    desk.client.place(placing("market-2"))
    before: list[PositionItem] = []
    for item in desk.account_items(desk.client.positions_stream(ACCOUNT)):
        if isinstance(item, EndSnapshot):
            break
        if isinstance(item, PositionItem):
            before.append(item)
    assert [item.position.symbol for item in before] == ["ESZ13"]
