"""A replaced order that goes on under a new id, for who wants to know whether he relies on the old one. PURE.

Captured replies keep the id [client 2]; one adapter is ready for another [report]: the switch ``replace_keeps_id``.
Orders of groups and with children keep theirs all the same, since nobody tells what became of their ties.
"""

from __future__ import annotations

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now


def changed(state: State, order: Order, change: book.OrderReplaced, now: Now) -> str:
    """Carry the change out at once; the id under which the order goes on."""
    if state.switches.replace_keeps_id or order.links or order.status in ("DON", "OSO"):
        state.record(change, now)
        return order.order_id
    order_id = state.ledger.next_order_id()
    state.record(book.OrderCancelled(order.order_id, now.market_utc, "replaced", "UCH"), now)
    placed = book.OrderPlaced(
        order_id=order_id,
        account=order.account,
        symbol=order.symbol,
        action=order.action,
        quantity=change.quantity - order.filled,
        order_type=change.order_type,
        at_utc=now.market_utc,
        stop_price=change.stop_price,
        duration=order.duration,
        limit_price=change.limit_price,
        trail=change.trail,
        good_till_day=order.good_till_day,
        by_hand=order.by_hand,
        renews=order.order_id,
        terms=order.terms if change.terms is None else change.terms,
    )
    state.record(placed, now)
    return order_id
