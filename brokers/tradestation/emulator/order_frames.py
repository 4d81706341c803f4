"""What the order streams tell of an event: the sequences of frames that were seen at the venue. PURE.

FLL and OUT come twice, first without ``ClosedDateTime``; a stop's fill is STP (with that date already), then ACK with
the execution, then FLL [client 1, real frames]; a fill rides on an ACK while a replace is on its way [client 1]; a DAY
order expires without a frame [client 2].
"""

from __future__ import annotations

from msgspec.structs import replace

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.order_wire import order_object
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.wire import Object, line, time_text


def order_frames(event: book.OrderEvent, order: Order, before: Order | None, rules: Rules) -> list[bytes]:
    """``before``: the order as it was, None where it is new."""
    return [line(one) for one in _shown(event, order, before, rules)]


def _shown(event: book.OrderEvent, order: Order, before: Order | None, rules: Rules) -> list[Object]:
    now = order_object(order, expired_shows_executed=rules.expired_shows_executed)
    if before is None:
        return [now] if rules.refusal_told or not order.reason else []
    if isinstance(event, book.OrderExpired):
        return [_undated(now), now] if rules.expiry_told else []
    if isinstance(event, book.OrderFilled):
        return [*_way_to_fill(event, order, before, rules), *([now] if order.is_open else [_undated(now), now])]
    if isinstance(event, book.OrderCancelled):
        asked = not event.why and before.cancel_due_utc is None
        sent = [order_object(before, "UCN")] if asked else []
        return [*sent, _undated(now), now]
    if isinstance(event, book.OrderActivated):
        return [order_object(before, "CND"), now]
    if isinstance(event, book.OrderReplaced) and rules.replace_shows_out:
        return [_undated(order_object(order, "OUT")), now]
    return [now]


def _way_to_fill(event: book.OrderFilled, order: Order, before: Order, rules: Rules) -> list[Object]:
    frames: list[Object] = []
    if before.status == "UCN":
        frames.append(order_object(before, "LAT"))
    stop = order.order_type == "StopMarket" and not before.filled and rules.stop_hit_frames
    if stop:
        hit = order_object(before, "STP")
        frames.append({**hit, "ClosedDateTime": time_text(event.at_utc)})
    if (stop or before.status == "RSN") and order.status == "FLL":
        frames.append(order_object(replace(order, status="ACK", closed_utc=None)))
    return frames


def _undated(shown: Object) -> Object:
    return {name: value for name, value in shown.items() if name != "ClosedDateTime"}
