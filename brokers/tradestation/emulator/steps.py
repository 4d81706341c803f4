"""What happens next to each open order, and the doing of it. PURE.

Each open order has a step, worked out once whenever something happens to it or to an order it is tied to: the market
executes it, it expires, a cancel or a replace arrives, its group or its parent acts on it. All of it follows from the
ledger and the bars, so that an emulator rebuilt from any beginning of its book goes on as if it had never died.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from brokers.tradestation.emulator import activation, book, hours, matching
from brokers.tradestation.emulator.checks import side_refusal
from brokers.tradestation.emulator.expiry import expires_utc
from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.market import Series
from brokers.tradestation.emulator.order import SIBLINGS, Order
from brokers.tradestation.emulator.values import Now

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

# At one moment: what the group does goes before the market, the market before what a client sent, expiry comes last.
TIES, MARKET, CLIENT, CLOCK = range(4)
STOPS = ("StopMarket", "StopLimit")


class Step(msgspec.Struct, frozen=True):
    """``event``: what is to be recorded; None: the execution of ``quantity`` at ``price``."""

    at_utc: float
    rank: int
    order_id: str
    event: book.OrderEvent | None
    price: Decimal = Decimal(0)
    quantity: int = 0

    @property
    def key(self) -> tuple[float, int, str]:
        return self.at_utc, self.rank, self.order_id


def settle(state: State, now: Now) -> None:
    """Do what has become due since the last look, oldest first."""
    while state.steps:
        due_utc = next_step_utc(state)
        if due_utc is None or due_utc > now.market_utc:
            return
        step = min([one for one in state.steps.values() if one], key=_key)
        state.record(step.event or _executed(state, step), now)


def next_step_utc(state: State) -> float | None:
    return min([one.at_utc for one in state.steps.values() if one], default=None)


def watch(state: State, event: book.OrderEvent) -> None:
    """Keep the steps right after an event: of its order, and of those tied to it."""
    order = state.ledger.orders[event.order_id]
    rewatch(state, order.order_id)
    for _, other in order.links:
        if other in state.ledger.orders:
            rewatch(state, other)


def rewatch(state: State, order_id: str) -> None:
    order = state.ledger.orders[order_id]
    series = state.market.series(order.symbol)
    if order.is_open and series is not None:
        state.steps[order_id] = min(_steps(state, order, series), key=_key, default=None)
    else:
        state.steps.pop(order_id, None)


def _key(step: Step) -> tuple[float, int, str]:
    return step.key


def _executed(state: State, step: Step) -> book.OrderEvent:
    order = state.ledger.orders[step.order_id]
    refusal = side_refusal(state.ledger.accounts[order.account], order.symbol, order.action, step.quantity)
    if refusal:
        return book.OrderRejected(order.order_id, refusal, step.at_utc)
    commission_usd = traded(order.symbol).commission_usd * step.quantity
    return book.OrderFilled(order.order_id, step.price, commission_usd, step.at_utc, step.quantity)


# What can come


def _steps(state: State, order: Order, series: Series) -> Iterator[Step]:
    if order.links:
        yield from _ties(state, order, series)
    if order.cancel_due_utc is not None:
        yield _step(CLIENT, order.cancel_due_utc, book.OrderCancelled(order.order_id, order.cancel_due_utc))
    if order.waiting:
        return
    if order.replacing is not None:
        yield _step(CLIENT, order.replacing.at_utc, order.replacing)
    about = traded(order.symbol)
    over_utc = expires_utc(order, about)
    if order.dormant:
        yield from _asleep(state, order, series, about, over_utc)
        return
    if order.terms.all_or_none and _part(state, order, about) < order.remaining:
        yield from _by_the_clock(order, about, over_utc)  # no print is large enough for all of it
        return
    if order.order_id in state.inert and order.order_type in STOPS:
        yield from _by_the_clock(order, about, over_utc)  # a fault: nothing triggers it
        return
    found = matching.execution(order, series, about, state.rules, over_utc)
    if found is not None and not found.hit:
        yield Step(found.at_utc, MARKET, order.order_id, None, found.price, _part(state, order, about))
        if found.at_utc == order.armed_utc and order.filled == 0:
            return  # at once: nothing of what follows can be earlier
    elif found is not None:
        yield _step(MARKET, found.at_utc, book.OrderHit(order.order_id, found.price, found.at_utc))
    yield from _by_the_clock(order, about, over_utc)


def _asleep(state: State, order: Order, series: Series, about: Instrument, over_utc: float) -> Iterator[Step]:
    """Held back by its activation rules; it can expire before they are met."""
    yield _step(CLOCK, over_utc, book.OrderExpired(order.order_id, over_utc))
    met_utc = activation.met_utc(state, order)
    if met_utc is not None:
        status = "ACK" if matching.is_open(order, about, series, state.rules, met_utc) else "DON"
        yield _step(MARKET, met_utc, book.OrderActivated(order.order_id, met_utc, status))


def _by_the_clock(order: Order, about: Instrument, over_utc: float) -> Iterator[Step]:
    """What is not filled at once is sent when the market opens, cancelled (IOC), expires."""
    yield _step(CLOCK, over_utc, book.OrderExpired(order.order_id, over_utc))
    if order.held:
        opens_utc = hours.session_at(about, order.sent_utc, extended=order.is_extended).opens_utc
        yield _step(CLOCK, opens_utc, book.OrderSent(order.order_id, opens_utc))
    if order.duration == "IOC":
        at_utc = order.last_fill_utc if order.last_fill_utc is not None else order.armed_utc
        yield _step(CLIENT, at_utc, book.OrderCancelled(order.order_id, at_utc, "rest"))


def _part(state: State, order: Order, about: Instrument) -> int:
    """How much fills at one print."""
    rules = state.rules
    most = rules.print_quantity_futures if about.is_future else rules.print_quantity_stocks
    return min(order.remaining, most) if most else order.remaining


def _ties(state: State, order: Order, series: Series) -> Iterator[Step]:
    orders, rules = state.ledger.orders, state.rules
    for parent in (orders[one] for one in order.linked("OSP") if order.waiting):
        sent = parent.status == "FLL" or (parent.filled and rules.oso_sends_on_part_fill)
        if sent and parent.last_fill_utc is not None:
            yield _step(TIES, parent.last_fill_utc, _child_sent(state, order, series, parent.last_fill_utc))
        elif not parent.is_open and parent.closed_utc is not None:
            yield _cancelled(state, order, parent.closed_utc, "parent")
    siblings = [orders[one] for one in order.linked(*SIBLINGS) if one in orders]
    for one in siblings:
        if rules.cancel_ends_group and one.status in ("OUT", "CAN") and one.closed_utc is not None:
            yield _cancelled(state, order, one.closed_utc, "group")
    filled = [one for one in siblings if one.last_fill_utc is not None]
    if not filled:
        return
    if order.linked("OCO"):
        yield _cancelled(state, order, min(one.last_fill_utc or 0.0 for one in filled), "group")
    elif (taken := sum(one.filled for one in filled)) > order.reduced:
        at_utc = max(one.last_fill_utc or 0.0 for one in filled)
        quantity = order.quantity - (taken - order.reduced)
        if quantity > order.filled:
            yield _step(TIES, at_utc, book.OrderReduced(order.order_id, quantity, taken, at_utc))
        else:
            yield _cancelled(state, order, at_utc, "group")


def _child_sent(state: State, order: Order, series: Series, at_utc: float) -> book.OrderEvent:
    is_open = matching.is_open(order, traded(order.symbol), series, state.rules, at_utc)
    return book.OrderSent(order.order_id, at_utc, "ACK" if is_open else "DON")


def _cancelled(state: State, order: Order, at_utc: float, why: str) -> Step:
    return _step(TIES, at_utc, book.OrderCancelled(order.order_id, at_utc, why, state.rules.group_cancel_status))


def _step(rank: int, at_utc: float, event: book.OrderEvent) -> Step:
    return Step(at_utc, rank, event.order_id, event)
