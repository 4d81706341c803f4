"""Values as columns of the journal and back. Exact: a Decimal is text there, never a float. PURE."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from supervisor.messages import Event
from trader.accounting.money import Adoption
from trader.orders.declaration import Declaration
from trader.orders.intents import Intent
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding

T = TypeVar("T")


def intent_of(row: dict[str, Any]) -> Intent:
    parsed = {name: json.loads(row[name]) for name in ("known", "legs", "trail") if row[name] is not None}
    return msgspec.convert({**row, **parsed}, Intent, strict=False)


_encoder = msgspec.json.Encoder()


def to_json(value: object) -> str:
    return _encoder.encode(value).decode()


def from_json(text: str, kind: type[T]) -> T:
    return msgspec.json.decode(text, type=kind)


def decimal_or_none(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def text_or_none(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


# -- the rows of the journal's tables, in the sequence of their statements' columns ----------------------------------


def itself(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of what is a row already."""
    return row


def intent_row(intent: Intent) -> tuple[Any, ...]:
    """What never changes of an intent, then its outcome so far."""
    return (
        *(intent.number, intent.key, str(intent.kind), str(intent.purpose), intent.symbol, str(intent.side)),
        *(str(intent.quantity), str(intent.type), text_or_none(intent.stop_price)),
        *(intent.order_id, intent.written_utc, intent.valid_until_utc, to_json(intent.known)),
        *(str(intent.state), intent.result_order_id, intent.reason, intent.settled_utc),
        *(text_or_none(intent.intended_price), intent.doubted_utc),
        *(to_json(intent.legs), text_or_none(intent.limit_price)),
        None if intent.trail is None else to_json(intent.trail),
    )


def outcome_row(intent: Intent) -> tuple[Any, ...]:
    outcome = (str(intent.state), intent.result_order_id, intent.reason, intent.settled_utc)
    return (*outcome, intent.doubted_utc, intent.number)


def order_row(order: OwnOrder) -> tuple[Any, ...]:
    return (
        *(order.order_id, order.intent, order.symbol, str(order.purpose), str(order.side), str(order.type)),
        *(str(order.quantity), text_or_none(order.stop_price), str(order.status)),
        *(str(order.filled_quantity), text_or_none(order.average_fill_price)),
        *(int(order.working), to_json(order)),
    )


def declaration_row(declaration: Declaration) -> tuple[Any, ...]:
    return (declaration.symbol, to_json(declaration))


def position_row(held: tuple[str, Holding]) -> tuple[Any, ...]:
    symbol, holding = held
    return (symbol, str(holding.quantity), text_or_none(holding.average_price), holding.as_of_utc)


def adoption_row(adoption: Adoption, read: int, age_s: float, explained: bool) -> tuple[Any, ...]:
    return (
        *(adoption.symbol, str(adoption.before), str(adoption.after), text_or_none(adoption.average_price)),
        *(read, age_s, int(explained), int(adoption.taken_over), adoption.adopted_utc),
    )


def event_row(event: Event) -> tuple[Any, ...]:
    about = (event.kind, event.level, event.subject, event.text, event.machine_s, event.market_utc)
    return (*about, event.incident, event.incident_state, to_json(event.data))
