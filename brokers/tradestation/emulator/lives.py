"""What an event makes of an order. PURE.

The same functions serve the running app and the replay at start. Statuses are the venue's codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.order import Order

IN_FLIGHT = ("UCN", "RSN")
"""A cancel or a replace is on its way."""


def placed(event: book.OrderPlaced) -> Order:
    refused = bool(event.reason)
    return Order(
        order_id=event.order_id,
        account=event.account,
        symbol=event.symbol,
        action=event.action,
        quantity=event.quantity,
        order_type=event.order_type,
        stop_price=event.stop_price,
        duration=event.duration,
        confirm_id=event.confirm_id,
        by_hand=event.by_hand,
        opened_utc=event.at_utc,
        armed_utc=event.at_utc,
        status="REJ" if refused else event.status,
        closed_utc=event.at_utc if refused else None,
        reason=event.reason,
        limit_price=event.limit_price,
        trail=event.trail,
        good_till_day=event.good_till_day,
        links=event.links,
        group=event.group,
        sent_utc=event.at_utc,
        waiting=event.status == "OSO",
        held=event.status == "DON",
        renews=event.renews,
        terms=event.terms,
        dormant=event.terms.hold_back,
    )


def after(order: Order, event: book.OrderEvent) -> Order:
    return _APPLY[type(event)](order, event)


def working(order: Order) -> str:
    """The status of an open order that nothing is on its way to."""
    if order.waiting or order.held:
        return "OSO" if order.waiting else "DON"
    return "FPR" if order.filled else "STP" if order.hit_utc is not None else "ACK"


def _sent(order: Order, event: book.OrderSent) -> Order:
    held = event.status == "DON"
    changed = replace(order, sent_utc=event.at_utc, armed_utc=event.at_utc, waiting=False, held=held)
    return changed if order.status in IN_FLIGHT else replace(changed, status=working(changed))


def _activated(order: Order, event: book.OrderActivated) -> Order:
    changed = replace(order, dormant=False, armed_utc=event.at_utc, sent_utc=event.at_utc, held=event.status == "DON")
    return changed if order.status in IN_FLIGHT else replace(changed, status=working(changed))


def _hit(order: Order, event: book.OrderHit) -> Order:
    changed = replace(order, hit_utc=event.at_utc, hit_price=event.price, held=False)
    return changed if order.status in IN_FLIGHT else replace(changed, status=working(changed))


def _replaced(order: Order, event: book.OrderReplaced) -> Order:
    """What has filled while it was on its way stays filled: where that is all of the new size, nothing works on."""
    if event.quantity <= order.filled:
        return _closed(replace(order, quantity=order.filled), event.at_utc, "FLL")
    changed = replace(
        order,
        quantity=event.quantity,
        order_type=event.order_type,
        stop_price=event.stop_price,
        limit_price=event.limit_price,
        trail=event.trail,
        good_till_day=event.good_till_day or order.good_till_day,
        armed_utc=event.at_utc,
        replacing=None,
    )
    if event.terms is not None:
        changed = replace(changed, terms=event.terms, dormant=event.terms.hold_back and not order.filled)
    return replace(changed, status=working(changed))


def _replace_sent(order: Order, event: book.ReplaceSent) -> Order:
    return replace(order, status="RSN", replacing=event.change)


def _reduced(order: Order, event: book.OrderReduced) -> Order:
    """A replace on its way is of the old size: it is given up."""
    changed = replace(order, quantity=event.quantity, reduced=event.reduced, replacing=None)
    return replace(changed, status=working(changed)) if order.status == "RSN" else changed


def _cancel_sent(order: Order, event: book.CancelSent) -> Order:
    return replace(order, status="UCN", cancel_due_utc=event.due_utc, replacing=None)


def _cancelled(order: Order, event: book.OrderCancelled) -> Order:
    """FLP: part-filled, the rest cancelled."""
    return _closed(order, event.at_utc, "FLP" if order.filled else event.status)


def _expired(order: Order, event: book.OrderExpired) -> Order:
    return _closed(order, event.at_utc, "FLP" if order.filled else "EXP")


def _rejected(order: Order, event: book.OrderRejected) -> Order:
    """What was left of it; what has filled stays filled."""
    return replace(_closed(order, event.at_utc, "FLP" if order.filled else "REJ"), reason=event.reason)


def _filled(order: Order, event: book.OrderFilled) -> Order:
    quantity = event.quantity or order.remaining
    changed = replace(
        order,
        filled=order.filled + quantity,
        paid=order.paid + event.price * quantity,
        commission_usd=order.commission_usd + event.commission_usd,
        last_fill_utc=event.at_utc,
        held=False,
    )
    if changed.remaining == 0:
        return _closed(changed, event.at_utc, "FLL")
    return replace(changed, status="FPR")


def _shown(order: Order, event: book.OrderShown) -> Order:
    return replace(order, shown_status=event.status)


def _closed(order: Order, at_utc: float, status: str) -> Order:
    return replace(order, status=status, closed_utc=at_utc, cancel_due_utc=None, replacing=None)


_APPLY: dict[type, Callable[[Order, Any], Order]] = {
    book.OrderSent: _sent,
    book.OrderActivated: _activated,
    book.OrderHit: _hit,
    book.OrderReplaced: _replaced,
    book.ReplaceSent: _replace_sent,
    book.OrderReduced: _reduced,
    book.CancelSent: _cancel_sent,
    book.OrderCancelled: _cancelled,
    book.OrderExpired: _expired,
    book.OrderRejected: _rejected,
    book.OrderFilled: _filled,
    book.OrderShown: _shown,
}
