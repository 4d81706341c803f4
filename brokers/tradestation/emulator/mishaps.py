"""What goes wrong with a request by order of the rules: lost, refused, opened and mute. PURE."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from brokers.tradestation.emulator import book, steps
from brokers.tradestation.emulator.bodies import BodyError, decoded
from brokers.tradestation.emulator.fault_rules import Rule, Scope
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Answer, Cut, Now, OpenStream, Reply, Request

ERROR_WORDS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "BadRequest",
    422: "BadRequest",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}
HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head><body><h1>Sorry</h1></body></html>"
RESET_S = 30
"""What a 429 that was injected says of its quota."""

Handler = Callable[[State, Request, Now], Answer]


def answer(state: State, request: Request, now: Now, handle: Handler) -> Answer:
    """``handle``'s answer, or what the armed faults make of it."""
    if not state.fault_rules or not state.fault_rules.asks("request"):
        return handle(state, request, now)
    hits = {rule.fault: rule for rule in state.fault_rules.hits("request", scope_of(request), now.machine_s)}
    state.struck = hits
    try:
        return _answer(state, request, now, handle, hits)
    finally:
        state.struck = {}


def _answer(state: State, request: Request, now: Now, handle: Handler, hits: dict[str, Rule]) -> Answer:
    lost, failed, denied = (hits.get(name) for name in ("lose_reply", "status", "auth0_error"))
    for rule in (lost, failed, denied):
        if rule and rule.when == "before":
            return _spoilt(rule)
    orders_before = len(state.ledger.orders)
    given = handle(state, request, now)
    for order_id in list(state.ledger.orders)[orders_before:]:
        if late := hits.get("late_booking"):
            state.hidden_until_s[order_id] = now.machine_s + late.seconds
        if "inert_stop" in hits:
            state.inert.add(order_id)
            steps.rewatch(state, order_id)
    if isinstance(given, OpenStream) and "mute" in hits:
        state.streams[given.stream_id].stalled_until_s = float("inf")
    spoilt = lost or failed or denied
    if spoilt is None:
        slow = hits.get("slow_reply")
        return msgspec.structs.replace(given, after_s=slow.seconds) if slow and isinstance(given, Reply) else given
    if isinstance(given, OpenStream):
        state.streams.pop(given.stream_id, None)
    return _spoilt(spoilt)


def _spoilt(rule: Rule) -> Answer:
    if rule.fault == "lose_reply":
        return Cut()
    if rule.fault == "auth0_error":
        told = {"error": rule.error or "invalid_grant", "error_description": rule.message}
        return Reply(403, msgspec.json.encode(told))
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(RESET_S)} if rule.status == 429 else {}
    if rule.body == "empty":
        return Reply(rule.status, b"", headers=headers)
    if rule.body == "html":
        return Reply(rule.status, HTML, "text/html", headers)
    error = rule.error or ERROR_WORDS.get(rule.status, "InternalServerError")
    return Reply(rule.status, msgspec.json.encode({"Error": error, "Message": rule.message}), headers=headers)


def told(rule: Rule) -> book.FaultInjected:
    """For the book: the rule with what differs from its defaults."""
    fields = msgspec.structs.fields(Rule)
    named = [f"{one.name}={value}" for one in fields if (value := getattr(rule, one.name)) != one.default]
    return book.FaultInjected(rule.fault, " ".join(word for word in named if not word.startswith("fault=")))


def scope_of(request: Request) -> Scope:
    """Whom a request is about: the words of its path, and of an order's body."""
    words = tuple(one for part in request.path.split("/") for one in part.split(","))
    accounts = symbols = words
    if request.method == "POST" and request.path.startswith("/v3/orderexecution/"):
        body = _object(request.body)
        accounts, symbols = _texts(body, "accountid"), _texts(body, "symbol")
    return Scope(symbols=symbols, accounts=accounts, orders=words, path=f"{request.method} {request.path}")


def _object(raw: bytes) -> dict[str, object]:
    try:
        body = decoded(raw)
    except BodyError:
        return {}
    return {str(name).lower(): value for name, value in body.items()} if isinstance(body, dict) else {}


def _texts(body: dict[str, object], name: str) -> tuple[str, ...]:
    """Its own and those of the orders inside a group."""
    own: tuple[str, ...] = (str(body[name]),) if name in body else ()
    inner = body.get("orders")
    for one in inner if isinstance(inner, list) else ():
        if isinstance(one, dict):
            own += tuple(str(value) for key, value in one.items() if str(key).lower() == name)
    return own
