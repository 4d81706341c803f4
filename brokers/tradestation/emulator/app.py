"""The emulator: a request and two clocks in, an answer out; and what the open streams send as time goes on. PURE.

The same state, request and now give the same answer, so that a server and a simulator can both run it. Whoever runs it
writes ``state.take_entries()`` to the book before an answer or an output leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from brokers.tradestation.emulator import (
    book,
    brokerage,
    confirm,
    faults,
    limits,
    marketdata,
    mishaps,
    oauth,
    orders,
    quotes,
    steps,
    streams,
)
from brokers.tradestation.emulator.errors import Refusal, bad_request, not_found
from brokers.tradestation.emulator.query import split
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Answer, Cut, Due, Now, OpenStream, Output, Reply, Request
from brokers.tradestation.emulator.wire import Object


def app(state: State, request: Request, now: Now) -> Answer:
    """Answer one request. What the market made due by now is settled first."""
    steps.settle(state, now)
    answer = _guarded(state, request, now)
    steps.settle(state, now)
    if not request.path.startswith("/emulator/"):
        state.record(book.RequestSeen(request.method, request.path, _status(answer)), now)
    return answer


def advance(state: State, now: Now) -> list[Output]:
    """Let time pass: fills, and what the streams have to send. An ended stream appears once more, as StreamEnd."""
    steps.settle(state, now)
    return streams.advance(state, now)


def next_due(state: State, now: Now) -> Due:
    """When ``advance`` is to be called next. A time in the past means now."""
    machine_s: float | None = None
    market_utc = steps.next_step_utc(state)
    for stream in state.streams.values():
        its_s, its_utc = streams.next_due(stream, now, state.settings.heartbeat_s)
        if machine_s is None or its_s < machine_s:
            machine_s = its_s
        if its_utc is not None and (market_utc is None or its_utc < market_utc):
            market_utc = its_utc
    return Due(machine_s, market_utc)


def drop_stream(state: State, stream_id: int) -> None:
    """The client went away."""
    state.streams.pop(stream_id, None)


def _status(answer: Answer) -> int:
    """As the book tells it: 0 is a connection cut without an answer."""
    if isinstance(answer, Reply):
        return answer.status
    return 200 if isinstance(answer, OpenStream) else 0


def _guarded(state: State, request: Request, now: Now) -> Answer:
    if request.path.startswith("/emulator/"):
        return _refused(lambda: _json(faults.answer(state, request, now)))
    return mishaps.answer(state, request, now, _venue)


def _venue(state: State, request: Request, now: Now) -> Answer:
    return _refused(lambda: _answer(state, request, now))


def _refused(handle: Callable[[], Answer]) -> Answer:
    try:
        return handle()
    except Refusal as refusal:
        body = {"Error": refusal.error, "Message": refusal.message}
        return Reply(refusal.status, msgspec.json.encode(body), headers=refusal.headers)


def _answer(state: State, request: Request, now: Now) -> Answer:
    signed = oauth.answer(state, request, now)
    if signed is not None:
        return signed
    if not request.path.startswith("/v3/"):
        raise _unknown(request)
    expires_s = oauth.check(state, request, now)
    for pattern, handler in _ROUTES.get(request.method, ()):
        if found := pattern.fullmatch(request.path):
            headers = _counted(state, request, now)
            answer = handler(state, request, now, *found.groups())
            return _finished(state, answer, headers, expires_s)
    raise _unknown(request)


def _counted(state: State, request: Request, now: Now) -> limits.Headers:
    """Raises Refusal(429) where a quota or the number of streams at once is exceeded. What is refused later was counted
    all the same [infer]."""
    quota = limits.quota_of(request.method, request.path, state.switches)
    headers = state.limits.spend(quota, now.machine_s, state.switches) if quota else {}
    if state.switches.quota == "off" or not (resource := limits.concurrency_of(request.path)):
        return headers
    open_now = sum(1 for stream in state.streams.values() if stream.resource == resource)
    return {**headers, **limits.concurrency_headers(resource, open_now + 1)}


def _finished(state: State, answer: Answer, headers: limits.Headers, expires_s: float) -> Answer:
    if isinstance(answer, OpenStream):
        streams.opened_with(state, answer.stream_id, expires_s)
    if not headers or isinstance(answer, Cut):
        return answer
    return msgspec.structs.replace(answer, headers={**answer.headers, **headers})


def _unknown(request: Request) -> Refusal:
    return not_found(f"{request.method} {request.path} is not known to this emulator.")


def _json(value: Object) -> Reply:
    return Reply(200, _encoder.encode(value))


# Orders: the requests whose reply can be lost


def _place(state: State, request: Request, now: Now) -> Answer:
    lose = "before" if state.ledger.lose_before else "after" if state.ledger.lose_after else ""
    place = orders.place_group if request.path.endswith("/ordergroups") else orders.place
    reply = Cut() if lose == "before" else _instructed(state, lambda: place(state, request, now))
    if lose:
        state.record(book.ReplyLost(lose), now)
        return Cut()
    return reply


def _instructed(state: State, act: Callable[[], Object]) -> Reply:
    """The status of a body that is no order, and of a refused cancel or replace, is not known: 400 is inferred."""
    try:
        return _json(act())
    except Refusal as refusal:
        if refusal.status == 400:
            refusal.status = state.switches.refusal_status
            refusal.error = mishaps.ERROR_WORDS.get(refusal.status, refusal.error)
        raise


# Streams


def _open(stream: streams.Stream) -> OpenStream:
    content_type = streams.V2 if stream.kind in ("bars", "quotes") else streams.V3
    return OpenStream(stream.stream_id, {"content-type": content_type, "connection": "close"})


def _bar_stream(state: State, request: Request, now: Now, symbol: str) -> Answer:
    """A stream takes no dates [spec]: they are left unread."""
    query = {name: value for name, value in request.query.items() if name not in ("firstdate", "lastdate")}
    asked = marketdata.chart(state, symbol, msgspec.structs.replace(request, query=query))
    return _open(streams.open_bars(state, asked.series, asked.interval, asked.back or 1, now))


def _quote_stream(state: State, request: Request, now: Now, symbols: str) -> Answer:
    return _open(streams.open_quotes(state, quotes.names(symbols), now))


def _order_stream(state: State, request: Request, now: Now, ids: str, order_ids: str = "") -> Answer:
    accounts = _all_known(state, ids)
    snapshot = brokerage.todays_orders(state, accounts, now)
    if state.switches.order_snapshot == "open" and not order_ids:
        snapshot = [order for order in snapshot if order.is_open]
    wanted = tuple(split(order_ids, brokerage.ORDER_IDS_MAX, "order ids")) if order_ids else ()
    if wanted:
        snapshot = [order for order in snapshot if order.order_id in wanted]
        if len(snapshot) < len(wanted):
            raise not_found("Invalid order ID.")
    stream = streams.open_orders(state, accounts, wanted, snapshot, now)
    stream.resource = limits.concurrency_of(request.path)
    return _open(stream)


def _position_stream(state: State, request: Request, now: Now, ids: str) -> Answer:
    changes = request.query.get("changes", "false").lower()
    if changes not in ("true", "false"):
        raise bad_request(f"changes must be true or false, got {changes!r}")
    stream = streams.open_positions(state, _all_known(state, ids), changes == "true", now)
    stream.resource = limits.concurrency_of(request.path)
    return _open(stream)


def _all_known(state: State, ids: str) -> tuple[str, ...]:
    good, errors = brokerage.known_accounts(state, ids)
    if errors:
        raise Refusal(403, errors[0]["Error"], errors[0]["Message"])
    return tuple(good)


_Handler = Callable[..., Answer]
_encoder = msgspec.json.Encoder()

_TABLE: list[tuple[str, str, _Handler]] = [
    ("GET", "/v3/brokerage/accounts", lambda s, r, n: _json(brokerage.accounts(s))),
    ("GET", "/v3/brokerage/accounts/{}/balances", lambda s, r, n, a: _json(brokerage.balances(s, a, n))),
    ("GET", "/v3/brokerage/accounts/{}/positions", lambda s, r, n, a: _json(brokerage.positions(s, a, r, n))),
    ("GET", "/v3/brokerage/accounts/{}/orders", lambda s, r, n, a: _json(brokerage.orders(s, a, r, n))),
    (
        "GET",
        "/v3/brokerage/accounts/{}/orders/{}",
        lambda s, r, n, a, o: _json(brokerage.orders_by_id(s, a, o, n)),
    ),
    (
        "GET",
        "/v3/brokerage/accounts/{}/historicalorders",
        lambda s, r, n, a: _json(brokerage.historical_orders(s, a, r, n)),
    ),
    (
        "GET",
        "/v3/brokerage/accounts/{}/historicalorders/{}",
        lambda s, r, n, a, o: _json(brokerage.historical_orders(s, a, r, n, o)),
    ),
    ("GET", "/v3/brokerage/accounts/{}/bodbalances", lambda s, r, n, a: _json(brokerage.bod_balances(s, a, n))),
    ("GET", "/v3/marketdata/symbols/{}", lambda s, r, n, y: _json(marketdata.symbols(s, y, n))),
    ("GET", "/v3/marketdata/quotes/{}", lambda s, r, n, y: _json(quotes.quotes(s, y, n))),
    ("GET", "/v3/marketdata/barcharts/{}", lambda s, r, n, y: _json(marketdata.bars(s, y, r, n))),
    ("POST", "/v3/orderexecution/orders", _place),
    ("POST", "/v3/orderexecution/ordergroups", _place),
    ("POST", "/v3/orderexecution/orderconfirm", lambda s, r, n: _instructed(s, lambda: confirm.order(s, r, n))),
    ("POST", "/v3/orderexecution/ordergroupconfirm", lambda s, r, n: _instructed(s, lambda: confirm.group(s, r, n))),
    ("GET", "/v3/orderexecution/routes", lambda s, r, n: _json(confirm.ROUTES)),
    ("GET", "/v3/orderexecution/activationtriggers", lambda s, r, n: _json(confirm.ACTIVATION_TRIGGERS)),
    ("PUT", "/v3/orderexecution/orders/{}", lambda s, r, n, o: _instructed(s, lambda: orders.replace(s, o, r, n))),
    ("DELETE", "/v3/orderexecution/orders/{}", lambda s, r, n, o: _instructed(s, lambda: orders.cancel(s, o, n))),
    ("GET", "/v3/marketdata/stream/barcharts/{}", _bar_stream),
    ("GET", "/v3/marketdata/stream/quotes/{}", _quote_stream),
    ("GET", "/v3/brokerage/stream/accounts/{}/orders", _order_stream),
    ("GET", "/v3/brokerage/stream/accounts/{}/orders/{}", _order_stream),
    ("GET", "/v3/brokerage/stream/accounts/{}/positions", _position_stream),
]
_ROUTES = {
    method: [(re.compile(path.replace("{}", "([^/]+)")), act) for how, path, act in _TABLE if how == method]
    for method in ("GET", "POST", "PUT", "DELETE")
}
