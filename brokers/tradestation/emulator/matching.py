"""When and at what price an order fills. PURE.

Whole fills only. The moment of a fill is a fact of the bars and the order, not of who looks when: each open order has
a trigger, computed once when it is armed, and ``settle`` executes the triggers that lie in the past, in their order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from brokers.tradestation.emulator import book
from brokers.tradestation.emulator.ledger import BUYS, Account, Order, traded
from brokers.tradestation.emulator.market import Print, Series
from brokers.tradestation.emulator.values import Now

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

# A price older than this (market time) fills nothing: the order waits for the next print.
FRESH_S = 15 * 60


def trigger_of(order: Order, series: Series) -> Print | None:
    """When this open order executes; None: not within the bars there are."""
    last = series.last_print(order.armed_utc)
    fresh = last is not None and order.armed_utc - last.at_utc <= FRESH_S
    if order.stop_price is None:
        if last is not None and fresh:
            return Print(order.armed_utc, last.price)
        return series.next_print(order.armed_utc)
    upward = order.action in BUYS
    if last is not None and fresh and _through(last.price, order.stop_price, upward):
        return Print(order.armed_utc, last.price)
    return series.next_through(order.armed_utc, order.stop_price, upward=upward)


def settle(state: State, now: Now) -> None:
    """Execute what the market has made due since the last look, oldest first."""
    while due := _first_due(state, now.market_utc):
        order, trigger = due
        refusal = side_refusal(state.ledger.accounts[order.account], order.symbol, order.action, order.quantity)
        if refusal:
            state.record(book.OrderRejected(order.order_id, refusal, trigger.at_utc), now)
            continue
        commission_usd = traded(order.symbol).commission_usd * order.quantity
        state.record(book.OrderFilled(order.order_id, trigger.price, commission_usd, trigger.at_utc), now)


def next_fill_utc(state: State) -> float | None:
    return min([one.at_utc for one in state.triggers.values() if one], default=None)


def watch(state: State, event: book.OrderEvent) -> None:
    """Keep the triggers right after an event."""
    if isinstance(event, book.OrderArmed):
        rewatch(state, event.order_id)
    else:
        state.triggers.pop(event.order_id, None)


def rewatch(state: State, order_id: str) -> None:
    order = state.ledger.orders[order_id]
    series = state.market.series(order.symbol)
    if order.is_open and series is not None:
        state.triggers[order_id] = trigger_of(order, series)


def side_refusal(account: Account, symbol: str, action: str, quantity: int) -> str:
    """Why the venue would not take this side with this position; "" where it would. Stocks only: a sale must not pass
    zero, and each way of a short has its own action. Of the four codes only the text of EC602 and EC701 was seen."""
    if traded(symbol).is_future:
        return ""
    held = account.quantity(symbol)
    if action == "SELL" and quantity > held:
        return f"EC601: You are long {max(held, 0)}.00 shares!"
    if action == "BUYTOCOVER" and quantity > -held:
        return f"EC602: You are short {max(-held, 0)}.00 shares!"
    if action == "SELLSHORT" and held > 0:
        return f"EC701: You are long {held}.00 shares!"
    if action == "BUY" and held < 0:
        return f"EC702: You are short {-held}.00 shares!"
    return ""


def _first_due(state: State, market_utc: float) -> tuple[Order, Print] | None:
    if not state.triggers:
        return None
    due = [(one.at_utc, order_id) for order_id, one in state.triggers.items() if one and one.at_utc <= market_utc]
    if not due:
        return None
    order_id = min(due)[1]
    trigger = state.triggers[order_id]
    return (state.ledger.orders[order_id], trigger) if trigger else None


def _through(price: Decimal, stop: Decimal, upward: bool) -> bool:
    return price >= stop if upward else price <= stop
