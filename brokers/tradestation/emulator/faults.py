"""What a tester may tell the emulator over /emulator/: faults, trades by hand, the clock; and what he may ask. PURE.

No token is asked for: the server listens on the loopback interface only. A bad body gets 400 and a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from brokers.tradestation.emulator import book, marketdata, orders, steering, stream_ends, wire
from brokers.tradestation.emulator.bodies import BODY_BYTES_MAX, BodyError, decoded
from brokers.tradestation.emulator.errors import Refusal, bad_request, not_found
from brokers.tradestation.emulator.fault_rules import Rule
from brokers.tradestation.emulator.query import when_utc
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.streams import Stream
from brokers.tradestation.emulator.values import Now, Request
from brokers.tradestation.emulator.wire import Object

STALL_S_MAX = 86_400
LOSE_MAX = 1_000


class _Target(msgspec.Struct, forbid_unknown_fields=True):
    """Which streams: those of a symbol (bars), or of an account (orders and positions, or only the ``kind`` named)."""

    symbol: str = ""
    account: str = ""
    kind: str = ""


class _GoAway(_Target):
    form: str = "status"


class _Stall(_Target):
    seconds: float = 0.0


class _End(_Target):
    how: str = "close"


class _Error(_Target):
    error: str = "InternalServerError"
    message: str = "injected by the emulator"


class _Heal(msgspec.Struct, forbid_unknown_fields=True):
    number: int = 0


class _Trade(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    symbol: str
    quantity: int


class _Reject(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    symbol: str
    message: str = "rejected by the emulator"


class _OrderReply(msgspec.Struct, forbid_unknown_fields=True):
    lose: int
    when: str = "after"


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    action: str


def answer(state: State, request: Request, now: Now) -> Object:
    name = request.path.removeprefix("/emulator/")
    if request.method == "POST" and name in _ACTIONS:
        action = _ACTIONS[name]
        return action.act(state, _body(request, action.shape), now)
    if request.method == "GET" and name in _QUESTIONS:
        return _QUESTIONS[name](state, request, now)
    raise not_found(
        f"{request.method} {request.path} is not known. POST: {', '.join(_ACTIONS)}; GET: {', '.join(_QUESTIONS)}"
    )


# Faults


def _goaway(state: State, body: _GoAway, now: Now) -> Object:
    _one_of("form", body.form, ("status", "error"))
    for stream in (hit := _hit(state, body)):
        stream.pending.append(wire.line(stream_ends.goaway_frame(body.form)))
        stream.ending = "close"
    return _injected(state, "goaway", body, hit, now)


def _stall(state: State, body: _Stall, now: Now) -> Object:
    if not 0 < body.seconds <= STALL_S_MAX:
        raise bad_request(f"seconds must be above 0 and at most {STALL_S_MAX}, got {body.seconds}")
    for stream in (hit := _hit(state, body)):
        stream.stalled_until_s = now.machine_s + body.seconds
    return _injected(state, "stall", body, hit, now)


def _end(state: State, body: _End, now: Now) -> Object:
    _one_of("how", body.how, ("close", "half", "reset", "torn"))
    for stream in (hit := _hit(state, body)):
        stream.ending = body.how
    return _injected(state, "end", body, hit, now)


def _error(state: State, body: _Error, now: Now) -> Object:
    for stream in (hit := _hit(state, body)):
        stream.pending.append(wire.line({"Error": body.error, "Message": body.message}))
    return _injected(state, "error", body, hit, now)


def _order_reply(state: State, body: _OrderReply, now: Now) -> Object:
    _one_of("when", body.when, ("before", "after"))
    if not 1 <= body.lose <= LOSE_MAX:
        raise bad_request(f"lose must be a whole number from 1 to {LOSE_MAX}, got {body.lose}")
    before, after = (body.lose, 0) if body.when == "before" else (0, body.lose)
    detail = f"the next {body.lose}, {body.when} booking"
    state.record(book.FaultInjected("order_reply", detail, before, after), now)
    return {"LoseBefore": state.ledger.lose_before, "LoseAfter": state.ledger.lose_after}


def _reject(state: State, body: _Reject, now: Now) -> Object:
    """The venue throws out the stops that work in this symbol: their orders end as REJ, what they protect stays."""
    _known_account(state, body.account)
    rejected = orders.reject_stops(state, body.account, body.symbol, body.message, now)
    state.record(
        book.FaultInjected("reject", f"account={body.account} symbol={body.symbol} orders={len(rejected)}"), now
    )
    return {"Orders": rejected}


def _injected(state: State, fault: str, body: _Target, hit: list[Stream], now: Now) -> Object:
    told = {name: value for name, value in msgspec.to_builtins(body).items() if value != ""}
    detail = " ".join(f"{name}={value}" for name, value in told.items())
    state.record(book.FaultInjected(fault, f"{detail} streams={len(hit)}"), now)
    return {"Fault": fault, "Streams": len(hit)}


def _hit(state: State, body: _Target) -> list[Stream]:
    if bool(body.symbol) == bool(body.account):
        raise bad_request("name either a symbol or an account")
    if body.kind:
        _one_of("kind", body.kind, ("bars", "quotes", "orders", "positions"))
    if body.account:
        _known_account(state, body.account)
    if body.symbol and state.market.charted(body.symbol) is None:
        raise bad_request(f"symbol {body.symbol!r} is not served: {', '.join(state.market.symbols)}")
    return [
        stream
        for stream in state.streams.values()
        if (body.symbol in (stream.symbol, *stream.symbols) if body.symbol else body.account in stream.accounts)
        and body.kind in ("", stream.kind)
    ]


# Acts that are no faults


def _trade(state: State, body: _Trade, now: Now) -> Object:
    _known_account(state, body.account)
    if body.quantity == 0:
        raise bad_request("quantity must not be 0: positive buys, negative sells")
    order = orders.trade_by_hand(state, body.account, body.symbol, body.quantity, now)
    return {"OrderID": order.order_id, "Status": order.status}


def _clock(state: State, body: _Clock, now: Now) -> Object:
    """The server freezes market time where the ledger says; a second stop changes nothing."""
    _one_of("action", body.action, ("stop",))
    if state.ledger.stopped_at_utc is None:
        state.record(book.ClockStopped(now.market_utc), now)
    return {"StoppedAt": state.ledger.stopped_at_utc}


# Questions


def _state(state: State, request: Request, now: Now) -> Object:
    ledger = state.ledger
    return {
        "MarketTime": wire.time_text(now.market_utc),
        "MarketUtc": now.market_utc,
        "StoppedAt": ledger.stopped_at_utc,
        "Symbols": state.market.symbols,
        "Counts": {
            "Entries": ledger.number,
            "Requests": ledger.requests,
            "Orders": len(ledger.orders),
            "Fills": len(ledger.fills),
            "Tokens": ledger.tokens_issued,
            "RepliesLost": ledger.replies_lost,
            "StreamsOpened": state.streams_opened,
        },
        "Streams": [_stream_object(stream, now) for stream in state.streams.values()],
        "Positions": [
            {"AccountID": account.account, "Symbol": one.symbol, "Quantity": one.quantity}
            for account in ledger.accounts.values()
            for one in account.positions.values()
        ],
        "OpenOrders": [_order_object(state, order_id) for order_id in ledger.open_ids],
        "Faults": [{"Fault": one.fault, "Detail": one.detail} for one in ledger.faults],
        "Switches": msgspec.to_builtins(state.switches),
    }


def _stream_object(stream: Stream, now: Now) -> Object:
    return {
        "Kind": stream.kind,
        "Symbol": stream.symbol or ",".join(stream.symbols),
        "Accounts": list(stream.accounts),
        "StalledForS": max(0.0, stream.stalled_until_s - now.machine_s),
    }


def _bars(state: State, request: Request, now: Now) -> Object:
    """Stamps (epoch seconds) of the 1-minute bars closed by now: after < stamp <= until."""
    symbol = request.query.get("symbol", "")
    if state.market.charted(symbol) is None:
        raise bad_request(f"symbol is missing or not served: {', '.join(state.market.symbols)}")
    series = marketdata.charted(state, symbol, "Default", in_minutes=True)
    after = _moment(request, "after", 0.0)
    until = min(_moment(request, "until", now.market_utc), now.market_utc)
    stamps = [bar.stamp_utc for bar in series.closed(1, after, until)]
    return {"Symbol": series.symbol, "MarketUtc": now.market_utc, "Stamps": stamps}


def _moment(request: Request, name: str, default: float) -> float:
    """Epoch seconds or a time text."""
    text = request.query.get(name, "")
    if not text:
        return default
    try:
        return float(text)
    except ValueError:
        return when_utc(text, name)


def _orders(state: State, request: Request, now: Now) -> Object:
    """Everything ever placed, with what the API never shows: the OrderConfirmID and whether it came by hand."""
    return {
        "Orders": [_order_object(state, order_id) for order_id in state.ledger.orders],
        "Fills": [
            {
                "OrderID": fill.order_id,
                "AccountID": fill.account,
                "Symbol": fill.symbol,
                "Quantity": fill.quantity,
                "Price": wire.number(fill.price),
                "Time": wire.time_text(fill.at_utc),
                "AtUtc": fill.at_utc,
            }
            for fill in state.ledger.fills
        ],
    }


def _order_object(state: State, order_id: str) -> Object:
    order = state.ledger.orders[order_id]
    return {
        "OrderID": order.order_id,
        "OrderConfirmID": order.confirm_id,
        "ByHand": order.by_hand,
        "Renews": order.renews,
        "AccountID": order.account,
        "Symbol": order.symbol,
        "TradeAction": order.action,
        "Quantity": order.quantity,
        "OrderType": order.order_type,
        "StopPrice": wire.number(order.stop_price) if order.stop_price is not None else None,
        "Status": order.status,
        "FilledPrice": wire.number(order.fill_price) if order.fill_price is not None else None,
        "Opened": wire.time_text(order.opened_utc),
        "OpenedUtc": order.opened_utc,
        "Closed": wire.time_text(order.closed_utc) if order.closed_utc is not None else None,
        "ClosedUtc": order.closed_utc,
        "RejectReason": order.reason,
    }


# Bodies


def _body(request: Request, shape: type[Any]) -> Any:
    if len(request.body) > BODY_BYTES_MAX:
        raise bad_request(f"the body has {len(request.body)} bytes, the limit is {BODY_BYTES_MAX}")
    try:
        return decoded(request.body or b"{}", shape)
    except BodyError as error:
        fields = "names of switches"
        if shape is not dict:
            fields = ", ".join(field.name for field in msgspec.structs.fields(shape))
        raise Refusal(400, "BadRequest", f"{request.path}: {error}. Fields: {fields}") from error


def _known_account(state: State, account: str) -> None:
    if account not in state.ledger.accounts:
        raise bad_request(f"account {account!r} is not known: {', '.join(state.ledger.accounts)}")


def _one_of(name: str, given: str, choices: Collection[str]) -> None:
    if given not in choices:
        raise bad_request(f"{name} must be one of {', '.join(choices)}, got {given!r}")


class _Action(msgspec.Struct, frozen=True):
    shape: type[Any]
    act: Callable[[State, Any, Now], Object]


_ACTIONS = {
    "fault": _Action(Rule, steering.arm),
    "heal": _Action(_Heal, lambda state, body, now: steering.heal(state, body.number, now)),
    "switch": _Action(dict, steering.turn),
    "goaway": _Action(_GoAway, _goaway),
    "stall": _Action(_Stall, _stall),
    "end": _Action(_End, _end),
    "error": _Action(_Error, _error),
    "trade": _Action(_Trade, _trade),
    "reject": _Action(_Reject, _reject),
    "order_reply": _Action(_OrderReply, _order_reply),
    "clock": _Action(_Clock, _clock),
}
_QUESTIONS: dict[str, Callable[[State, Request, Now], Object]] = {
    "state": _state,
    "bars": _bars,
    "orders": _orders,
    "faults": steering.shown_faults,
    "switches": lambda state, request, now: steering.shown_switches(state),
}
