"""What the pure tests of the emulator share: made-up bars, an emulator over them, a client without HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from brokers.tradestation.emulator.app import advance, app
from brokers.tradestation.emulator.market import Bar, Market, Series
from brokers.tradestation.emulator.state import Settings, State, new_state
from brokers.tradestation.emulator.values import (
    Answer,
    Now,
    OpenStream,
    Output,
    Reply,
    Request,
    StreamBytes,
    StreamEnd,
)

START = 1_381_154_400  # 2013-10-07T14:00:00Z
FUTURES, MARGIN = "SIM100001F", "SIM100001M"
REFRESH = b"grant_type=refresh_token&client_id=demo-client&client_secret=demo-secret&refresh_token=demo-refresh"


def bar(minute: int, opened: str, high: str, low: str, close: str, volume: int = 100) -> Bar:
    """The bar that ends so many minutes after START."""
    prices = [Decimal(text) for text in (opened, high, low, close)]
    return Bar(START + 60 * minute, prices[0], prices[1], prices[2], prices[3], volume)


def flat_bars(first: int, last: int, price: str = "1000") -> list[Bar]:
    return [bar(minute, price, price, price, price) for minute in range(first, last + 1)]


def market(**series: list[Bar]) -> Market:
    return Market([Series(symbol, tuple(bars)) for symbol, bars in series.items()])


class Emulator:
    """The pure app with a clock that the test turns. One machine second is one market second."""

    def __init__(self, bars: Market, settings: Settings | None = None, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.state: State = new_state(settings or Settings(), bars, self.now)
        self.sent: dict[int, bytes] = {}
        self.ended: dict[int, str] = {}
        self.token = ""

    @property
    def now(self) -> Now:
        return Now(1_000_000.0 + self.seconds, START + self.seconds)

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        if not self.token:
            self.token = self.login()["access_token"]
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        headers = {"authorization": f"Bearer {self.token}"}
        return app(self.state, Request(method, path, query, headers, raw), self.now)

    def login(self) -> Any:
        reply = app(self.state, Request("POST", "/oauth/token", body=REFRESH), self.now)
        assert isinstance(reply, Reply)
        return msgspec.json.decode(reply.body)

    def reply(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        answer = self.ask(method, path, body, **query)
        assert isinstance(answer, Reply), answer
        return answer.status, msgspec.json.decode(answer.body)

    def get(self, path: str, **query: str) -> Any:
        status, body = self.reply("GET", path, **query)
        assert status == 200, body
        return body

    def tell(self, name: str, **body: Any) -> Any:
        status, answer = self.reply("POST", f"/emulator/{name}", body)
        assert status == 200, answer
        return answer

    def place(self, account: str = FUTURES, symbol: str = "ESZ13", **fields: Any) -> Any:
        """The one element of ``Orders``."""
        status, answer = self.reply("POST", "/v3/orderexecution/orders", order(account, symbol, **fields))
        assert status == 200, answer
        return answer["Orders"][0]

    def stream(self, path: str, **query: str) -> int:
        answer = self.ask("GET", path, **query)
        assert isinstance(answer, OpenStream), answer
        return answer.stream_id

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.take(advance(self.state, self.now))

    def take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, StreamBytes):
                self.sent[output.stream_id] = self.sent.get(output.stream_id, b"") + output.data
            else:
                assert isinstance(output, StreamEnd)
                self.ended[output.stream_id] = output.how

    def frames(self, stream_id: int) -> list[Any]:
        """What this stream sent since the last call. The 10 ms that a chunk may wait are let pass first."""
        self.pass_time(0.01)
        return [msgspec.json.decode(line) for line in self.sent.pop(stream_id, b"").splitlines()]


def order(account: str = FUTURES, symbol: str = "ESZ13", **fields: Any) -> dict[str, Any]:
    """A market buy of one, in the words of the venue's own sample, with what the test changes."""
    body: dict[str, Any] = {
        "AccountID": account,
        "Symbol": symbol,
        "Quantity": "1",
        "OrderType": "Market",
        "TradeAction": "BUY",
        "TimeInForce": {"Duration": "DAY"},
        "Route": "Intelligent",
    }
    return {name: value for name, value in {**body, **fields}.items() if value is not None}
