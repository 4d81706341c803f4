"""TradeStation, API v3, as a ``Broker``: addresses, and which answer has which shape.

Thin: meaning is in wire.py, frames.py and instructions.py, how a request goes out and what its status means in
requests.py, quotas in limits.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlencode

from brokers.broker import (
    AccountSnapshot,
    BarsRead,
    Broker,
    Capabilities,
    Http,
    Meter,
    QuoteItem,
    StreamItem,
    StreamRequest,
    TokenSource,
    Unmetered,
)
from brokers.budget import Resource
from brokers.errors import BadAnswer, LoginRefused, NotAllowed, Unavailable
from brokers.model import (
    Account,
    Balance,
    Bar,
    Change,
    Duration,
    Estimate,
    Group,
    GroupKind,
    GroupOutcome,
    Instrument,
    Order,
    Outcome,
    Placing,
    Position,
    Quote,
    Route,
    Trigger,
    Unknown,
)
from brokers.tradestation import frames, wire
from brokers.tradestation.addresses import DAY_S, date_range, interval, parts, query_text, segment
from brokers.tradestation.instructions import (
    change_body,
    confirm_body,
    confirm_group_body,
    group_body,
    group_outcome,
    outcome,
    placing_body,
)
from brokers.tradestation.requests import Requests, Sent, check_read
from brokers.tradestation.shapes import (
    AccountsPage,
    BalancesPage,
    BarsPage,
    ConfirmationsPage,
    OrdersPage,
    Page,
    PositionShape,
    PositionsPage,
    QuotesPage,
    RoutesPage,
    SymbolsPage,
    TriggersPage,
    decoded,
)

P = TypeVar("P", bound=Page)
V = TypeVar("V")

BARS_PER_READ = 57_600
"""The most bars that one request may ask for."""
BACK_S_MAX = 500_000 * 60
RANGE_S_MAX = 3 * 365 * 86_400
"""So far back minute bars can be counted, and so long a range of dates may be."""
IDS_PER_READ = 50
"""The most order ids in one path."""
SYMBOLS_PER_READ = 50
QUOTES_PER_READ = 100
ACCOUNTS_PER_READ = 25
"""The most symbols and accounts in one path."""
PAGES_MAX = 50
"""Of 600 orders each; more is no account that we trade, so it is an error and not an endless loop."""


class TradeStation(Broker):
    """One environment (``api_url``). ``timeout_s`` bounds each request."""

    capabilities = Capabilities(
        id_dedupe="none",
        replace_to_market=True,
        durations=tuple(each for each in Duration if each is not Duration.FOK),
        gtc_days_max=90,
        extended_market=False,  # Market with DYP is refused [report]
        trailing_native=True,
        groups=(GroupKind.OCO, GroupKind.BRACKET, GroupKind.NORMAL),
        children=True,  # sent "when the parent fills" [spec]; whether at a part of it, nobody says: children_early None
    )

    def __init__(
        self, api_url: str, http: Http, token: TokenSource, timeout_s: float, meter: Meter | None = None
    ) -> None:
        self.requests = Requests(api_url.rstrip("/") + "/v3", http, token, timeout_s, meter or Unmetered())

    # -- instructions ----------------------------------------------------------------------------------------

    def place(self, placing: Placing) -> Outcome:
        if placing.children:
            raise ValueError(
                f"key {placing.key}: an order with children has more than one outcome: place_with_children"
            )
        return self._told("POST", "/orderexecution/orders", placing_body(placing))

    def place_with_children(self, placing: Placing) -> GroupOutcome:
        legs = len(placing.whole)
        sent = self._instruct("POST", "/orderexecution/orders", placing_body(placing))
        return sent if isinstance(sent, Unknown) else group_outcome(sent.status, sent.body, legs)

    def place_group(self, group: Group) -> GroupOutcome:
        legs = sum(len(each.whole) for each in group.placings)
        sent = self._instruct("POST", "/orderexecution/ordergroups", group_body(group))
        return sent if isinstance(sent, Unknown) else group_outcome(sent.status, sent.body, legs)

    def replace(self, order: Order, change: Change) -> Outcome:
        return self._told("PUT", f"/orderexecution/orders/{segment(order.order_id)}", change_body(change))

    def cancel(self, order_id: str) -> Outcome:
        return self._told("DELETE", f"/orderexecution/orders/{segment(order_id)}", None)

    def _told(self, method: str, path: str, body: bytes | None) -> Outcome:
        sent = self._instruct(method, path, body)
        return sent if isinstance(sent, Unknown) else outcome(sent.status, sent.body)

    def _instruct(self, method: str, path: str, body: bytes | None) -> Sent | Unknown:
        """Sent once (a 401 apart, which proves that nothing was executed) and not metered."""
        try:
            return self.requests.send(method, path, body)
        except Unavailable as error:
            return Unknown(reason=str(error), sent=error.sent)
        except LoginRefused as error:
            return Unknown(reason=str(error), sent=False)

    # -- before an order -------------------------------------------------------------------------------------

    def confirm(self, placing: Placing) -> tuple[Estimate, ...]:
        return self._confirmed("/orderexecution/orderconfirm", confirm_body(placing))

    def confirm_group(self, group: Group) -> tuple[Estimate, ...]:
        return self._confirmed("/orderexecution/ordergroupconfirm", confirm_group_body(group))

    def routes(self) -> tuple[Route, ...]:
        page = self._asked("GET", "/orderexecution/routes", None, RoutesPage)
        return tuple(Route(each.route_id, each.name, each.asset_types or ()) for each in page.routes)

    def activation_triggers(self) -> tuple[Trigger, ...]:
        page = self._asked("GET", "/orderexecution/activationtriggers", None, TriggersPage)
        return tuple(Trigger(each.key, each.name, each.description or "") for each in page.activation_triggers)

    def _confirmed(self, path: str, body: bytes) -> tuple[Estimate, ...]:
        page = self._asked("POST", path, body, ConfirmationsPage)
        return tuple(wire.estimate(each) for each in page.confirmations)

    def _asked(self, method: str, path: str, body: bytes | None, shape: type[P]) -> P:
        """A read that no quota is published for: not metered."""
        reply = self.requests.send(method, path, body)
        check_read(path, reply)
        page = decoded(reply.body, shape)
        wire.whole(page.errors)
        return page

    # -- accounts --------------------------------------------------------------------------------------------

    def accounts(self) -> tuple[Account, ...]:
        page = self._read(Resource.ACCOUNTS, "/brokerage/accounts", AccountsPage)
        return tuple(wire.account(shape) for shape in page.accounts)

    def snapshot(self, account: str) -> AccountSnapshot:
        """Three reads. Raises if one of them fails or speaks of another account."""
        orders = self.orders(account)
        shapes = self._held(account)
        return AccountSnapshot(
            account=account,
            orders=orders,
            positions=tuple(map(wire.position, shapes)),
            balance=self.balance(account),
            last_prices=wire.last_prices(shapes),
        )

    def orders(self, account: str) -> tuple[Order, ...]:
        return self._orders(account, f"/brokerage/accounts/{segment(account)}/orders")

    def positions(self, account: str) -> tuple[Position, ...]:
        return tuple(map(wire.position, self._held(account)))

    def _held(self, account: str) -> tuple[PositionShape, ...]:
        pages = self._pages(Resource.POSITIONS, f"/brokerage/accounts/{segment(account)}/positions", PositionsPage)
        held = tuple(shape for page in pages for shape in page.positions)
        check_accounts({account}, (each.account_id for each in held))
        return tuple(each for each in held if each.quantity)

    def balance(self, account: str) -> Balance:
        return self.balances([account])[0]

    def balances(self, accounts: Iterable[str]) -> tuple[Balance, ...]:
        found: list[Balance] = []
        for wanted in parts(accounts, ACCOUNTS_PER_READ):
            path = f"/brokerage/accounts/{segment(*wanted)}/balances"
            told = [wire.balance(shape) for shape in self._read(Resource.BALANCES, path, BalancesPage).balances]
            check_accounts(set(wanted), (each.account for each in told))
            found += in_sequence("balances", wanted, {each.account: each for each in told}, len(told))
        return tuple(found)

    def orders_by_id(self, account: str, order_ids: Iterable[str]) -> tuple[Order, ...]:
        path = f"/brokerage/accounts/{segment(account)}/orders"
        reads = (self._orders(account, f"{path}/{segment(*ids)}") for ids in parts(order_ids, IDS_PER_READ))
        return tuple(order for orders in reads for order in orders)

    def historical_orders(self, account: str, since_utc: float, order_ids: Iterable[str] = ()) -> tuple[Order, ...]:
        """``since`` is a date; it is the UTC day's, so a few hours more may come and never less."""
        path = f"/brokerage/accounts/{segment(account)}/historicalorders"
        query = f"since={wire.time_text(since_utc)[:10]}"
        wanted = list(order_ids)
        paths = [f"{path}/{segment(*ids)}" for ids in parts(wanted, IDS_PER_READ)] if wanted else [path]
        return tuple(order for each in paths for order in self._orders(account, each, query))

    def _orders(self, account: str, path: str, query: str = "") -> tuple[Order, ...]:
        """Of an order that moved from one page to the next while we read, the later telling counts."""
        pages = self._pages(Resource.ORDERS, path, OrdersPage, query)
        orders = [order for page in pages for shape in page.orders for order in wire.orders(shape)]
        check_accounts({account}, (order.account for order in orders))
        return tuple({order.order_id: order for order in orders}.values())

    # -- market data -----------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument:
        symbols = self._read(Resource.SYMBOLS, f"/marketdata/symbols/{segment(symbol)}", SymbolsPage).symbols
        if len(symbols) != 1:
            raise BadAnswer(f"{symbol}: {len(symbols)} symbols where one was asked for")
        return wire.instrument(symbols[0])

    def instruments(self, symbols: Iterable[str]) -> tuple[Instrument, ...]:
        found: list[Instrument] = []
        for wanted in parts(symbols, SYMBOLS_PER_READ):
            page = self._read(Resource.SYMBOLS, f"/marketdata/symbols/{segment(*wanted)}", SymbolsPage)
            told = {shape.symbol: wire.instrument(shape) for shape in page.symbols}
            found += in_sequence("symbols", wanted, told, len(page.symbols))
        return tuple(found)

    def quotes(self, symbols: Iterable[str]) -> tuple[Quote, ...]:
        found: list[Quote] = []
        for wanted in parts(symbols, QUOTES_PER_READ):
            page = self._read(Resource.QUOTES, f"/marketdata/quotes/{segment(*wanted)}", QuotesPage)
            told = {shape.symbol: wire.quote(shape) for shape in page.quotes}
            found += in_sequence("quotes", wanted, told, len(page.quotes))
        return tuple(found)

    def delayed(self, symbol: str) -> bool:
        told = self.quotes([symbol])[0].delayed
        if told is None:
            raise Unavailable(f"{symbol}: the venue does not say whether its prices are delayed")
        return told

    def bars_since(self, symbol: str, interval_s: int, after_utc: int, until_utc: int) -> tuple[Bar, ...]:
        """Whether the venue's dates include their own moment is not said, so the borders are drawn here."""
        step_s = min(BARS_PER_READ * interval_s, RANGE_S_MAX)
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
        if (count + 1) * interval_s > BACK_S_MAX and interval_s != DAY_S:
            raise NotAllowed(f"{count} bars of {interval_s} s: the venue counts {BACK_S_MAX // 60} minutes back")
        return self._bars(symbol, interval_s, {"barsback": str(count + 1)})[-count:]

    def _bars(self, symbol: str, interval_s: int, query: Mapping[str, str]) -> tuple[Bar, ...]:
        address = f"/marketdata/barcharts/{segment(symbol)}?{query_text(interval(interval_s) | dict(query))}"
        return wire.closed_bars(symbol, interval_s, self._read(Resource.BARS, address, BarsPage).bars)

    # -- streams ---------------------------------------------------------------------------------------------

    def bars_stream(self, symbol: str, interval_s: int, back: int) -> StreamRequest:
        query = urlencode(interval(interval_s) | {"barsback": str(back)})
        self.requests.meter.before(Resource.BARS)
        return self._stream(f"/marketdata/stream/barcharts/{segment(symbol)}?{query}", version=2)

    def orders_stream(self, account: str) -> StreamRequest:
        return self._stream(f"/brokerage/stream/accounts/{segment(account)}/orders", version=3)

    def orders_by_id_stream(self, account: str, order_ids: Iterable[str]) -> StreamRequest:
        ids = list(order_ids)
        if not 1 <= len(ids) <= IDS_PER_READ:
            raise NotAllowed(f"a stream of {len(ids)} orders: 1 to {IDS_PER_READ} can be asked for")
        return self._stream(f"/brokerage/stream/accounts/{segment(account)}/orders/{segment(*ids)}", version=3)

    def positions_stream(self, account: str) -> StreamRequest:
        """Whole positions (changes=false): no merging, so nothing can be merged wrongly."""
        return self._stream(f"/brokerage/stream/accounts/{segment(account)}/positions?changes=false", version=3)

    def quotes_stream(self, symbols: Iterable[str]) -> StreamRequest:
        wanted = list(symbols)
        if not 1 <= len(wanted) <= QUOTES_PER_READ:
            raise NotAllowed(f"a stream of {len(wanted)} quotes: 1 to {QUOTES_PER_READ} can be asked for")
        self.requests.meter.before(Resource.QUOTES)
        return self._stream(f"/marketdata/stream/quotes/{segment(*wanted)}", version=2)

    def bars_item(self, symbol: str, interval_s: int, line: bytes) -> StreamItem | None:
        return frames.bars_item(symbol, interval_s, line)

    def bars_read(self, symbol: str, interval_s: int, lines: bytes) -> BarsRead | None:
        return frames.bars_read(symbol, interval_s, lines)

    def account_item(self, line: bytes) -> StreamItem | None:
        return frames.account_item(line)

    def quotes_item(self, line: bytes) -> QuoteItem | StreamItem | None:
        return frames.quotes_item(line)

    def _stream(self, address: str, *, version: int) -> StreamRequest:
        """Identity encoding: a compressing proxy would hold heartbeats back."""
        accept = f"application/vnd.tradestation.streams.v{version}+json"
        headers = {"Accept": accept, "Accept-Encoding": "identity", **self.requests.authorization()}
        return StreamRequest(url=self.requests.root + address, headers=headers)

    # -- requests --------------------------------------------------------------------------------------------

    def _pages(self, resource: Resource, path: str, shape: type[P], query: str = "") -> Iterator[P]:
        """All pages or an error: what ends half way is never taken for the whole."""
        page = self._read(resource, f"{path}?{query}" if query else path, shape)
        yield page
        seen = set[str]()
        while page.next_token:
            if page.next_token in seen or len(seen) >= PAGES_MAX:
                raise BadAnswer(f"{path}: page after page, {len(seen) + 1} by now, and no end")
            seen.add(page.next_token)
            more = urlencode({"nextToken": page.next_token})
            page = self._read(resource, f"{path}?{query}&{more}" if query else f"{path}?{more}", shape, goes_on=True)
            yield page

    def _read(self, resource: Resource, address: str, shape: type[P], *, goes_on: bool = False) -> P:
        page = decoded(self.requests.read(resource, address, goes_on=goes_on).body, shape)
        wire.whole(page.errors)
        return page


def check_accounts(asked: set[str], told: Iterable[str]) -> None:
    others = set(told) - asked
    if others:
        raise BadAnswer(f"asked for account {', '.join(sorted(asked))}, the venue spoke of {', '.join(sorted(others))}")


def in_sequence(what: str, wanted: list[str], told: Mapping[str, V], count: int) -> list[V]:
    """Each that was asked for, once."""
    if count != len(wanted) or set(told) != set(wanted):
        raise BadAnswer(f"{count} {what} ({', '.join(told)}) where {len(wanted)} were asked for: {', '.join(wanted)}")
    return [told[name] for name in wanted]
