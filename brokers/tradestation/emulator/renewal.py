"""A replaced order that goes on under a new id, or for longer, for who wants to know whether he relies on the old one.
PURE.

Captured replies keep the id [client 2]; one adapter is ready for another [report]: the switch ``replace_keeps_id``.
Orders of groups and with children keep theirs all the same, since nobody tells what became of their ties.
"""

from __future__ import annotations

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.expiry import CANCELLED_ONLY, GOOD_TILL_DAYS_MAX, good_till_day
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.state import State
from brokers.tradestation.emulator.values import Now

_DAY_S = 86_400


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
        good_till_day=change.good_till_day or _end_day(order),
        by_hand=order.by_hand,
        renews=order.order_id,
        terms=order.terms if change.terms is None else change.terms,
    )
    state.record(placed, now)
    return order_id


def renewed_day(order: Order, at_utc: float) -> int:
    """The date (days since 1970) to which it is good from this replace on; 0: as it was."""
    return int(at_utc // _DAY_S) + GOOD_TILL_DAYS_MAX if order.duration in CANCELLED_ONLY else 0


def _end_day(order: Order) -> int:
    """Under its new id it keeps the end that it had, though it was opened later."""
    return good_till_day(order) if order.duration in CANCELLED_ONLY else order.good_till_day
