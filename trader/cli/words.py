"""What several commands say of a session, each thing with what to do about it. PURE."""

from __future__ import annotations

from trader.cli.books import text
from trader.messages import Hold, PositionView, SessionStatus, Unsettled, WorkingOrder

BY_ITSELF = {
    "found": "flat it yourself, or `session stop`, then `session start --take-over`",
    "unexplained": "look at the broker",
}
"""Holds of a symbol that a release is not the answer to."""


def symbol_hold(name: str, hold: Hold) -> str:
    """Why the desk itself holds a symbol, and the way out."""
    way_out = BY_ITSELF.get(hold.why, f"when you know why: nightdesk session release {name} {hold.symbol}")
    return f"entries of {hold.symbol} held: {hold.why} → {way_out}"


def bare(name: str, position: PositionView, status: SessionStatus) -> str:
    """An open position without its stop; "" where it has one."""
    if not position.quantity or position.stop_held_by:
        return ""
    told = f"{position.symbol}: {text(position.quantity)} without a working stop"
    if position.symbol not in status.stops_removed:
        return told
    return f"{told}: {put_back(name, position.symbol)}"


def put_back(name: str, symbol: str) -> str:
    return f"somebody else cancelled it. Is it to be put back? → nightdesk session release {name} {symbol}"


def no_outcome(unsettled: Unsettled) -> str:
    """An instruction that may or may not be at the broker."""
    what = f"{unsettled.kind} {unsettled.purpose} of {unsettled.symbol} ({unsettled.key})"
    why = f": {unsettled.why}" if unsettled.why else ""
    return f"{what}: outcome unknown, reads settle it{why}"


def position_line(position: PositionView) -> str:
    """``ESZ13 1 @ 1672.25, stop 1664 covers all hours of its market, agreed``."""
    agreed = "agreed" if position.agreed else "not agreed"
    if not position.quantity:
        return f"{position.symbol} flat, {agreed}"
    held = f"{position.symbol} {text(position.quantity)} @ {text(position.average_price)}"
    if not position.stop_held_by:
        return f"{held}, no working stop, {agreed}"
    trailing = "a trailing stop" if position.stop is None else f"stop {text(position.stop)}"
    return f"{held}, {trailing} covers {position.covered}, {agreed}"


def order_line(order: WorkingOrder) -> str:
    """``1200000005 stop sell 2 ESZ13 at 1672.75, filled 1``."""
    prices = [f"at {text(price)}" for price in (order.stop_price, order.limit_price) if price is not None]
    filled = f", filled {text(order.filled_quantity)}" if order.filled_quantity else ""
    pending = f", {order.pending} on its way" if order.pending else ""
    what = [order.order_id, order.purpose, order.side, text(order.quantity), order.symbol, *prices]
    return f"{' '.join(what)}{filled}{pending}"
