"""TradeStation, API v3, as a ``Broker``: addresses, paging, and what an HTTP status means for a read.

Thin: meaning is in wire.py, frames.py and instructions.py. HTTP and token are lent; nothing is retried but a
request answered 401, which was not executed and goes out once more with another token.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote, urlencode

from brokers.broker import (
    AccountSnapshot,
    Broker,
    Capabilities,
    Http,
    HttpReply,
    StreamItem,
    StreamRequest,
    TokenSource,
)
from brokers.errors import BadAnswer, LoginRefused, NotAllowed, Unavailable
from brokers.model import (
    Account,
    Balance,
    Bar,
    Change,
    Instrument,
    Order,
    Outcome,
    Placing,
    Position,
    Unknown,
)
from brokers.tradestation import frames, wire
from brokers.tradestation.instructions import KEY_LENGTH_MAX, change_body, outcome, placing_body
from brokers.tradestation.shapes import (
    SHOWN_BYTES,
    AccountsPage,
    BalancesPage,
    BarsPage,
    Failure,
    OrdersPage,
    Page,
    PositionsPage,
    SymbolsPage,
    decoded,
)

P = TypeVar("P", bound=Page)

BARS_PER_READ = 57_600
"""The most bars that one request may ask for (tradestation v3, 3)."""
IDS_PER_READ = 50
"""The most order ids in one path (2)."""
PAGES_MAX = 50
"""Of 600 orders each; more is no account that we trade, so it is an error and not an endless loop."""

SEGMENTS_KEPT = 256
"""Parts of addresses that were encoded lately: an account, a symbol, an order are named again and again."""

MINUTE_S = 60
DAY_S = 86_400
INTERVAL_MINUTES_MAX = 1440


class TradeStation(Broker):
    """One environment (``api_url``). ``timeout_s`` bounds each request."""

    capabilities = Capabilities(id_dedupe="window", replace_to_market=True, key_length_max=KEY_LENGTH_MAX)

    def __init__(self, api_url: str, http: Http, token: TokenSource, timeout_s: float) -> None:
        self.root = api_url.rstrip("/") + "/v3"
        self.http = http
        self.token = token
        self.timeout_s = timeout_s

    # -- instructions ----------------------------------------------------------------------------------------

    def place(self, placing: Placing) -> Outcome:
        return self._instruct("POST", "/orderexecution/orders", placing_body(placing))

    def replace(self, order: Order, change: Change) -> Outcome:
        return self._instruct("PUT", f"/orderexecution/orders/{segment(order.order_id)}", change_body(change))

    def cancel(self, order_id: str) -> Outcome:
        return self._instruct("DELETE", f"/orderexecution/orders/{segment(order_id)}", None)

    def _instruct(self, method: str, path: str, body: bytes | None) -> Outcome:
        try:
            reply = self._request(method, self.root + path, body)
        except Unavailable as error:
            return Unknown(reason=str(error), sent=error.sent)
        except LoginRefused as error:
            return Unknown(reason=str(error), sent=False)
        return outcome(reply.status, reply.body)

    # -- accounts --------------------------------------------------------------------------------------------

    def accounts(self) -> tuple[Account, ...]:
        page = self._read("/brokerage/accounts", AccountsPage)
        return tuple(wire.account(shape) for shape in page.accounts)

    def snapshot(self, account: str) -> AccountSnapshot:
        """Three reads. Raises if one of them fails or speaks of another account."""
        path = f"/brokerage/accounts/{segment(account)}"
        snapshot = AccountSnapshot(
            account=account,
            orders=self._orders(f"{path}/orders"),
            positions=self._positions(f"{path}/positions"),
            balance=self._balance(f"{path}/balances"),
        )
        told = {order.account for order in snapshot.orders} | {held.account for held in snapshot.positions}
        others = (told | {snapshot.balance.account}) - {account}
        if others:
            raise BadAnswer(f"asked for account {account}, the venue spoke of {', '.join(sorted(others))}")
        return snapshot

    def orders_by_id(self, account: str, order_ids: Iterable[str]) -> tuple[Order, ...]:
        wanted = list(order_ids)
        path = f"/brokerage/accounts/{segment(account)}/orders"
        parts = [wanted[start : start + IDS_PER_READ] for start in range(0, len(wanted), IDS_PER_READ)]
        return tuple(order for ids in parts for order in self._orders(f"{path}/{segment(*ids)}"))

    def _orders(self, path: str) -> tuple[Order, ...]:
        """Of an order that moved from one page to the next while we read, the later telling counts."""
        orders = (
            order for page in self._pages(path, OrdersPage) for shape in page.orders for order in wire.orders(shape)
        )
        return tuple({order.order_id: order for order in orders}.values())

    def _positions(self, path: str) -> tuple[Position, ...]:
        positions = (wire.position(shape) for page in self._pages(path, PositionsPage) for shape in page.positions)
        return tuple(position for position in positions if position.quantity)

    def _balance(self, path: str) -> Balance:
        balances = self._read(path, BalancesPage).balances
        if len(balances) != 1:
            raise BadAnswer(f"{path}: {len(balances)} balances where one was asked for")
        return wire.balance(balances[0])

    # -- market data -----------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument:
        symbols = self._read(f"/marketdata/symbols/{segment(symbol)}", SymbolsPage).symbols
        if len(symbols) != 1:
            raise BadAnswer(f"{symbol}: {len(symbols)} symbols where one was asked for")
        return wire.instrument(symbols[0])

    def bars_since(self, symbol: str, interval_s: int, after_utc: int, until_utc: int) -> tuple[Bar, ...]:
        """Whether the venue's dates include their own moment is not said, so the borders are drawn here."""
        step_s = BARS_PER_READ * interval_s
        starts = range(after_utc, until_utc, step_s)
        bars = [
            bar
            for start in starts
            for bar in self._bars(symbol, interval_s, date_range(start, min(start + step_s, until_utc)))
        ]
        by_stamp = {bar.closed_utc: bar for bar in bars if after_utc < bar.closed_utc <= until_utc}
        return tuple(by_stamp[stamp] for stamp in sorted(by_stamp))

    def recent_bars(self, symbol: str, interval_s: int, count: int) -> tuple[Bar, ...]:
        """One more is asked for, since the last one can be forming."""
        if not 1 <= count < BARS_PER_READ:
            raise NotAllowed(f"{count} bars: 1 to {BARS_PER_READ - 1} can be asked for")
        return self._bars(symbol, interval_s, {"barsback": str(count + 1)})[-count:]

    def _bars(self, symbol: str, interval_s: int, query: Mapping[str, str]) -> tuple[Bar, ...]:
        address = f"/marketdata/barcharts/{segment(symbol)}?{query_text(interval(interval_s) | dict(query))}"
        return wire.closed_bars(symbol, interval_s, self._read(address, BarsPage).bars)

    # -- streams ---------------------------------------------------------------------------------------------

    def bars_stream(self, symbol: str, interval_s: int, back: int) -> StreamRequest:
        query = urlencode(interval(interval_s) | {"barsback": str(back)})
        return self._stream(f"/marketdata/stream/barcharts/{segment(symbol)}?{query}", version=2)

    def orders_stream(self, account: str) -> StreamRequest:
        return self._stream(f"/brokerage/stream/accounts/{segment(account)}/orders", version=3)

    def positions_stream(self, account: str) -> StreamRequest:
        """Whole positions (changes=false): no merging, so nothing can be merged wrongly."""
        return self._stream(f"/brokerage/stream/accounts/{segment(account)}/positions?changes=false", version=3)

    def bars_item(self, symbol: str, interval_s: int, line: bytes) -> StreamItem | None:
        return frames.bars_item(symbol, interval_s, line)

    def account_item(self, line: bytes) -> StreamItem | None:
        return frames.account_item(line)

    def _stream(self, address: str, *, version: int) -> StreamRequest:
        """Identity encoding: a compressing proxy would hold heartbeats back (10)."""
        accept = f"application/vnd.tradestation.streams.v{version}+json"
        headers = {"Accept": accept, "Accept-Encoding": "identity", **authorization(self.token())}
        return StreamRequest(url=self.root + address, headers=headers)

    # -- requests --------------------------------------------------------------------------------------------

    def _pages(self, path: str, shape: type[P]) -> Iterator[P]:
        """All pages or an error: what ends half way is never taken for the whole."""
        page = self._read(path, shape)
        yield page
        seen = set[str]()
        while page.next_token:
            if page.next_token in seen or len(seen) >= PAGES_MAX:
                raise BadAnswer(f"{path}: page after page, {len(seen) + 1} by now, and no end")
            seen.add(page.next_token)
            page = self._read(f"{path}?{urlencode({'nextToken': page.next_token})}", shape)
            yield page

    def _read(self, address: str, shape: type[P]) -> P:
        reply = self._request("GET", self.root + address, None)
        check_read(address, reply)
        page = decoded(reply.body, shape)
        wire.whole(page.errors)
        return page

    def _request(self, method: str, url: str, body: bytes | None) -> HttpReply:
        token = self.token()
        reply = self._send(method, url, body, token)
        if reply.status == 401:
            return self._send(method, url, body, self.token(refused=token))
        return reply

    def _send(self, method: str, url: str, body: bytes | None, token: str) -> HttpReply:
        headers = {"Accept": "application/json", **authorization(token)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self.http(method, url, headers=headers, body=body, timeout_s=self.timeout_s)


def check_read(address: str, reply: HttpReply) -> None:
    """Raises for every status but 200. The error body may be empty or HTML: its words are used where there are any."""
    if reply.status == 200:
        return
    text = f"{address}: HTTP {reply.status} {words(reply.body)}".rstrip()
    if reply.status == 401:
        raise LoginRefused(text)
    if reply.status in (408, 429) or reply.status >= 500:
        raise Unavailable(text, retry_after_s=retry_after_s(reply.headers))
    if 400 <= reply.status < 500:
        raise NotAllowed(text)
    raise BadAnswer(text)


def words(body: bytes) -> str:
    try:
        return decoded(body, Failure).words
    except BadAnswer:
        return repr(body[:SHOWN_BYTES]) if body else ""


def retry_after_s(headers: Mapping[str, str]) -> float:
    """X-RateLimit-Reset is seconds until the full reset, no epoch (3); names are lower case here."""
    for name in ("x-ratelimit-reset", "rate-limit-reset", "retry-after"):
        text = headers.get(name, "")
        if text.isdigit():
            return float(text)
    return 0.0


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


def authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@lru_cache(SEGMENTS_KEPT)
def segment(*parts: str) -> str:
    """Account ids, symbols, order ids in a path: "@ES" and "MSFT 251219P300" must be encoded."""
    return ",".join(quote(part, safe="") for part in parts)
