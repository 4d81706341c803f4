"""When and at what price the market executes an order. PURE.

The moment of a fill is a fact of the bars and the order, not of who looks when. A market order fills at the last
print, if that is not older than 15 market minutes, else at the next. A stop fills at its own price where the market
went through it inside a minute, and at the open where a bar opened beyond it; a limit order likewise, so at its price
or better.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.market import Print, Series
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.rules import Rules
from brokers.tradestation.emulator.trailing import Walk

# A price older than this (market time) fills nothing: the order waits for the next print.
FRESH_S = 15 * 60
PROOF_S = 60  # a print so recent proves that a market trades, whatever the table of hours says
_JUST_BEFORE_S = 0.001
_AUCTION_S = 60


class Execution(msgspec.Struct, frozen=True):
    """``hit``: not a fill yet, but the stop of a StopLimit."""

    at_utc: float
    price: Decimal
    hit: bool = False


def execution(order: Order, series: Series, about: Instrument, rules: Rules, until_utc: float) -> Execution | None:
    """What the market next does with this open order; None: nothing, within the bars there are."""
    floor = _Floor(order, series, about, rules)
    if order.duration == "OPG":
        return _of(floor.opening())
    if order.duration == "CLO":
        return _of(floor.closing())
    stage = _stage(order)
    if stage == "market":
        return _of(floor.market())
    if stage == "limit":
        return _of(floor.limit())
    if stage == "trail":
        return _of(floor.trail(until_utc))
    reached = floor.stop()
    return Execution(reached.at_utc, reached.price, order.order_type == "StopLimit") if reached else None


def is_open(order: Order, about: Instrument, series: Series, rules: Rules, at_utc: float) -> bool:
    """Whether an order that comes at this moment goes to the market, or is held for the next session."""
    if not rules.session_hours or hours.is_open(about, at_utc, extended=order.is_extended):
        return True
    last = series.last_print(at_utc) if about.is_future else None
    return last is not None and at_utc - last.at_utc < PROOF_S


def _of(found: Print | None) -> Execution | None:
    return Execution(found.at_utc, found.price) if found else None


def _stage(order: Order) -> str:
    if order.order_type == "Market" or (order.order_type == "StopMarket" and order.filled):
        return "market"
    if order.order_type == "Limit" or order.hit_utc is not None or (order.filled and order.order_type == "StopLimit"):
        return "limit"
    return "trail" if order.trail is not None else "stop"


class _Floor:
    """One order before the prints of its symbol."""

    def __init__(self, order: Order, series: Series, about: Instrument, rules: Rules) -> None:
        self._order = order
        self._series = series
        self._about = about
        self._rules = rules
        self._bound = rules.session_hours and not about.is_future  # to its hours: a future trades where a price prints
        self._extended = order.is_extended and (rules.extended_stops or order.order_type != "StopMarket")
        self.start_utc, self.first = self._begin()

    def _begin(self) -> tuple[float, Print | None]:
        """From when on prints count, and the price that counts at that moment already."""
        order = self._order
        if order.last_fill_utc is not None and order.last_fill_utc >= order.armed_utc:
            return order.last_fill_utc, None
        if order.hit_utc is not None and order.hit_price is not None and order.hit_utc >= order.armed_utc:
            return order.hit_utc, Print(order.hit_utc, order.hit_price)
        last = self._series.last_print(order.armed_utc)
        if last is None or order.armed_utc - last.at_utc > FRESH_S or not self._trades(last.at_utc):
            return order.armed_utc, None
        if not is_open(order, self._about, self._series, self._rules, order.armed_utc):
            return order.armed_utc, None
        return order.armed_utc, Print(order.armed_utc, last.price)

    def market(self) -> Print | None:
        return self.first or self._search(self._series.next_print)

    def limit(self) -> Print | None:
        """At its price or better: the first print counts as it is, later ones are it unless a bar opens beyond."""
        limit, upward = self._order.limit_price or Decimal(0), not self._order.is_buy
        level = limit
        if self._rules.limit_needs_through:
            level += self._about.tick if upward else -self._about.tick
        if self.first is not None and _beyond(self.first.price, level, upward):
            return self.first
        found = self._search(lambda after_utc: self._series.next_through(after_utc, level, upward=upward))
        return Print(found.at_utc, limit) if found and found.price == level else found

    def stop(self) -> Print | None:
        stop, upward = self._order.stop_price or Decimal(0), self._order.is_buy
        if self.first is not None and _beyond(self.first.price, stop, upward):
            return self.first
        return self._search(lambda after_utc: self._series.next_through(after_utc, stop, upward=upward))

    def trail(self, until_utc: float) -> Print | None:
        trail = self._order.trail
        if trail is None:
            return None
        walk = Walk(self._series, trail, self._about.tick, selling=not self._order.is_buy)
        best = self.first.price if self.first else None
        return walk.reached(self.start_utc, best, until_utc, self._trades)

    def opening(self) -> Print | None:
        """The first print of the session; only in its first minute."""
        opens_utc = hours.session_at(self._about, self.start_utc).opens_utc
        found = self._series.next_print(opens_utc - _JUST_BEFORE_S)
        if found is None or found.at_utc >= opens_utc + _AUCTION_S or self.start_utc > opens_utc:
            return None
        return found if self._takes(found.price) else None

    def closing(self) -> Print | None:
        """The last print of the session, at its end."""
        closes_utc = hours.session_at(self._about, self.start_utc).closes_utc
        last = self._series.last_print(closes_utc - _JUST_BEFORE_S)
        if last is None or closes_utc - last.at_utc > FRESH_S or self._order.filled:
            return None
        return Print(closes_utc, last.price) if self._takes(last.price) else None

    def _takes(self, price: Decimal) -> bool:
        limit = self._order.limit_price
        return limit is None or _beyond(price, limit, not self._order.is_buy)

    def _trades(self, at_utc: float) -> bool:
        return not self._bound or hours.is_open(self._about, at_utc, extended=self._extended)

    def _search(self, find: Callable[[float], Print | None]) -> Print | None:
        """The first that lies in the hours of this order."""
        after_utc = self.start_utc
        while (found := find(after_utc)) is not None and not self._trades(found.at_utc):
            session = hours.session_at(self._about, found.at_utc, extended=self._extended)
            after_utc = max(found.at_utc, session.opens_utc - _JUST_BEFORE_S)
        return found


def _beyond(price: Decimal, level: Decimal, upward: bool) -> bool:
    return price >= level if upward else price <= level
