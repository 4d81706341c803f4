"""The emulator's pure app as what a simulated machine is connected to. No clock, no socket: the kernel says when."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec

from brokers.tradestation.emulator.app import advance, app, drop_stream, next_due
from brokers.tradestation.emulator.book import Entry
from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.orders import cancel, leave_by_hand, replace
from brokers.tradestation.emulator.state import Settings, new_state, rebuilt
from brokers.tradestation.emulator.values import Cut, Now, OpenStream, Reply, Request, StreamBytes
from supervisor.process.world import HttpReply
from supervisor.sim.kernel import START_S

URL = "http://venue.invalid"
"""Never looked up: the simulated machine has no other network. (Other venues of it have addresses of their own:
venues.py.)"""
HOST_FROM = len("http://")
ACCOUNTS = "/v3/brokerage/accounts/"
CHUNK_S = 0.01
"""A stream sends at most one chunk in this time, as the served emulator does."""


class OpenedStream(msgspec.Struct, frozen=True):
    """``supervisor.sim.kernel.Opened``."""

    stream: int
    status: int
    headers: dict[str, str]
    body: bytes


class StreamOutput(msgspec.Struct, frozen=True):
    """``supervisor.sim.kernel.Output``."""

    stream: int
    data: bytes
    end: str


class EmulatorOutside:
    """``supervisor.sim.kernel.Outside`` over an emulator whose market time is ``origin + rate * machine time``; up to
    ``begins_s`` (machine time) it stands at the origin."""

    def __init__(
        self, settings: Settings, market: Market, origin_utc: float, rate: float, begins_s: float = START_S
    ) -> None:
        self._origin_utc = origin_utc
        self._rate = rate
        self._begins_s = begins_s
        self._settings, self._market = settings, market
        self._book: list[Entry] = []
        self._cut: list[int] = []
        self.down = False
        self.reads_utc: dict[str, list[float]] = {}
        """By account, when its positions were read and the venue answered."""
        self.unread_s: dict[str, float] = {}
        """By account, when a read of it was refused (machine time), and none has gone well since."""
        self._moment = Now(START_S, origin_utc)
        self.state = new_state(settings, market, self._moment)
        self._keep_book()

    def market_utc(self, now_s: float) -> float:
        shown = self._origin_utc
        if now_s > self._begins_s:
            shown += self._rate * (now_s - self._begins_s)
        stopped = self.state.ledger.stopped_at_utc
        return shown if stopped is None else min(shown, stopped)

    def rate(self) -> float:
        return self._rate

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> HttpReply | None:
        answer = self._ask(method, url, headers, body, now_s)
        if isinstance(answer, Cut):
            return None
        assert isinstance(answer, Reply), "a stream is opened by open()"
        assert not answer.after_s, "here the ways to the venue are slow by the kernel's odds"
        return HttpReply(answer.status, {"content-type": answer.content_type, **answer.headers}, answer.body)

    def open(self, url: str, headers: dict[str, str], now_s: float) -> OpenedStream:
        try:
            answer = self._ask("GET", url, headers, b"", now_s)
        except ConnectionRefusedError as refused:
            return OpenedStream(0, 0, {}, str(refused).encode())
        if isinstance(answer, OpenStream):
            return OpenedStream(answer.stream_id, 200, answer.headers, b"")
        if isinstance(answer, Reply):
            return OpenedStream(0, answer.status, answer.headers, answer.body)
        return OpenedStream(0, 0, {}, b"")

    def close(self, stream: int) -> None:
        drop_stream(self.state, stream)

    def advance(self, now_s: float) -> list[StreamOutput]:
        if self.down:
            cut, self._cut = self._cut, []
            return [StreamOutput(stream, b"", "reset") for stream in cut]
        outputs = advance(self.state, self._now(now_s))
        self._keep_book()
        return [
            StreamOutput(each.stream_id, each.data, "")
            if isinstance(each, StreamBytes)
            else StreamOutput(each.stream_id, b"", "end" if each.how == "close" else "reset")
            for each in outputs
        ]

    def next_due_s(self, now_s: float) -> float:
        if self.down:
            return float("inf")
        due = next_due(self.state, self._now(now_s))
        due_s = float("inf") if due.machine_s is None else due.machine_s
        if due.market_utc is not None and self.state.ledger.stopped_at_utc is None:
            due_s = min(due_s, self._begins_s + (due.market_utc - self._origin_utc) / self._rate)
        return max(due_s, now_s + CHUNK_S)

    # -- its death -----------------------------------------------------------------------------------

    def kill(self) -> None:
        """kill -9: all its streams break, and nobody listens until ``restart``. Its book is on disk."""
        self.down = True
        self._cut = list(self.state.streams)

    def restart(self) -> None:
        """A new emulator on the same book: what it had told anybody is there."""
        self.state = rebuilt(self._settings, self._market, self._book)
        self.down = False

    # -- the tester's door ---------------------------------------------------------------------------

    def tell(self, path: str, now_s: float, /, **body: Any) -> Any:
        """POST /emulator/...; raises ValueError with the emulator's sentence where it refuses."""
        return self._admin("POST", f"{URL}/emulator/{path}", msgspec.json.encode(body), now_s)

    def ask(self, path: str, now_s: float, **query: Any) -> Any:
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return self._admin("GET", f"{URL}/emulator/{path}?{words}", b"", now_s)

    def cancel_by_hand(self, order_id: str, now_s: float) -> None:
        """As a person does it on the broker's own screen. Raises the emulator's ``Refusal`` where it is not open."""
        cancel(self.state, order_id, self._now(now_s))
        self._keep_book()

    def move_by_hand(self, order_id: str, stop_price: Decimal, now_s: float) -> None:
        """The same, for a stop that is put elsewhere. Raises ``Refusal`` where it cannot be changed."""
        body = msgspec.json.encode({"StopPrice": str(stop_price)})
        replace(self.state, order_id, Request("PUT", order_id, {}, {}, body), self._now(now_s))
        self._keep_book()

    def order_by_hand(self, account: str, symbol: str, quantity: int, limit_price: str, now_s: float) -> Order:
        """The same, for an order that rests. Raises ``Refusal`` where the venue does not take it."""
        left = leave_by_hand(self.state, account, symbol, quantity, limit_price, self._now(now_s))
        self._keep_book()
        return left

    def _admin(self, method: str, url: str, body: bytes, now_s: float) -> Any:
        reply = self.request(method, url, {}, body, now_s)
        if reply is None or reply.status != 200:
            raise ValueError(f"{method} {url}: {reply.body.decode() if reply else 'cut'}")
        return msgspec.json.decode(reply.body)

    # -- how -------------------------------------------------------------------------------------------

    def _now(self, now_s: float) -> Now:
        """What is asked of one moment (a request, what the streams send, what is due next) gets the same object."""
        if now_s != self._moment.machine_s:
            self._moment = Now(now_s, self.market_utc(now_s))
        return self._moment

    def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes, now_s: float) -> Any:
        if self.down:
            raise ConnectionRefusedError("connection refused: nobody listens there")
        path, query = _read_url(url)
        lower = {name.lower(): value for name, value in headers.items()}
        answer = app(self.state, Request(method, path, query, lower, body), self._now(now_s))
        self._keep_book()
        if method == "GET" and path.startswith(ACCOUNTS):
            self._note_read(
                *path.removeprefix(ACCOUNTS).partition("/")[::2], isinstance(answer, Reply) and answer.status
            )
        return answer

    def _note_read(self, account: str, what: str, status: int) -> None:
        """A snapshot reads orders, positions and balances, in this sequence; what fails ends it."""
        if what in ("orders", "positions", "balances") and status != 200:
            self.unread_s[account] = self._moment.machine_s
        elif what == "positions":
            self.reads_utc.setdefault(account, []).append(self._moment.market_utc)
        elif what == "balances":
            self.unread_s.pop(account, None)

    def _keep_book(self) -> None:
        if self.state.fresh:
            self._book += self.state.take_entries()


def _read_url(url: str) -> tuple[str, dict[str, str]]:
    """Path, decoded, and query, names in lower case; of whichever host."""
    path, _, query = url[url.index("/", HOST_FROM) :].partition("?")
    if not query:
        return unquote(path), {}
    asked = [part.partition("=") for part in query.split("&") if part]
    return unquote(path), {name.lower(): unquote_plus(value) for name, _, value in asked}
