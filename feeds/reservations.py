"""What an account can still bear: its newest whole read, and what was promised since and is not over. PURE.

Two sessions must not pass the same last dollar. So an entry reserves its part before it is written, and the part counts
until a read shows what came of it: too much may be counted for a moment, too little never.

    asked -> given -> released (nothing filled)   its part is free at once
                   -> released (filled)           ... when a read requested later shows the position and its stop
                   -> expired (nobody said)       ... when such a read shows no order of it that still works

Market time judges orders by the minute and the day, machine time the age of reads and promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from brokers.broker import AccountSnapshot
from brokers.model import ZERO, Order, OrderType, Position, Side
from feeds.config import AccountLimits
from feeds.messages import AccountSeen, Reserve
from feeds.trading_day import began_utc

MINUTE_S = 60.0
GIVEN_MAX = 1000
"""Promises at a time: more is a loop."""
BRACKET = "BRK"
"""The relation of a stop and a take that the venue ties."""
STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)

replace = msgspec.structs.replace


class Given(msgspec.Struct, frozen=True):
    """A promise. ``until_s``: past it, a read decides whether anything is left of it. ``over_s``: since when it is
    known to have filled."""

    asked: Reserve
    until_s: float
    over_s: float | None = None


class AccountRead(msgspec.Struct, frozen=True):
    requested_s: float
    content: AccountSnapshot


class Standing(msgspec.Struct, frozen=True):
    """``not_before_s``: reads requested earlier tell too little, since an entry that an older keeper has let pass
    may still be on its way then. ``given`` by order key."""

    limits: AccountLimits
    read_max_age_s: float
    given_for_s: float
    not_before_s: float
    read: AccountRead | None = None
    seen: AccountSeen | None = None
    given: dict[str, Given] = {}

    # -- what happens ----------------------------------------------------------------------------------------

    def taken(self, asked: Reserve, now_s: float) -> Standing:
        """It is promised. Under the same key the new word replaces the old one."""
        return replace(self, given={**self.given, asked.key: Given(asked, now_s + self.given_for_s)})

    def released(self, key: str, now_s: float, *, filled: bool) -> Standing:
        if key not in self.given:
            return self
        others = {name: each for name, each in self.given.items() if name != key}
        if filled:
            others[key] = replace(self.given[key], over_s=now_s)
        return replace(self, given=others)

    def read_again(self, requested_s: float, content: AccountSnapshot) -> Standing:
        """A whole read. One that was requested earlier than the last, or too early, changes nothing."""
        if requested_s < self.not_before_s or (self.read is not None and requested_s < self.read.requested_s):
            return self
        left = {key: each for key, each in self.given.items() if not _shown(each, requested_s, content)}
        return replace(self, read=AccountRead(requested_s, content), given=left)

    # -- what it comes to ------------------------------------------------------------------------------------

    def refusal(self, asked: Reserve, now_s: float, now_utc: float) -> str | None:
        """Why the account cannot bear this entry too; None when it can."""
        if self.read is None or self.seen is None:
            return "the account was not read as a whole since the keeper of its limits came up"
        age_s = now_s - self.read.requested_s
        if age_s > self.read_max_age_s:
            return f"the account was read {age_s:.0f} s ago, limit {self.read_max_age_s:.0f} s"
        before = replace(self, given={key: each for key, each in self.given.items() if key != asked.key})
        if len(before.given) >= GIVEN_MAX:
            return f"{len(before.given)} entries are on their way already, limit {GIVEN_MAX}"
        refusals = (
            before._size(asked),
            before._position(asked),
            before._orders(now_utc),
            before._loss(),
            before._risk(asked),
        )
        return next((text for text in refusals if text is not None), None)

    def _size(self, asked: Reserve) -> str | None:
        limit = self.limits.max_order_quantity
        return _beyond("max_order_quantity", "quantity", asked.quantity, limit)

    def _position(self, asked: Reserve) -> str | None:
        limit = self.limits.max_position_quantity
        if limit is None:
            return None
        worst = self.worst_position(asked.symbol, asked.side) + asked.quantity
        return _beyond("max_position_quantity", f"{asked.symbol} at worst, with this entry", worst, limit)

    def worst_position(self, symbol: str, side: Side) -> Decimal:
        """How much of one side is held if all that works and all that is promised fills."""
        assert self.read is not None
        content = self.read.content
        held = sum((each.quantity for each in content.positions if each.symbol == symbol), ZERO) * side.sign
        works = _at_most(order for order in content.orders if (order.symbol, order.side) == (symbol, side))
        promised = [each.asked for each in self.given.values()]
        taken = sum((each.quantity for each in promised if (each.symbol, each.side) == (symbol, side)), ZERO)
        return max(ZERO, held + works) + taken

    def _orders(self, now_utc: float) -> str | None:
        """Those that a read shows, by whomever, and one for each promise: its order may not be among them yet."""
        assert self.read is not None
        assert self.seen is not None
        began = began_utc(now_utc, self.seen.account.kind)
        opened = [order.opened_utc for order in self.read.content.orders]
        today = sum(at_utc >= began for at_utc in opened) + len(self.given)
        minute = sum(at_utc > now_utc - MINUTE_S for at_utc in opened) + len(self.given)
        return _used_up("max_orders_per_day", "new orders this trading day", today, self.limits.max_orders_per_day) or (
            _used_up("max_orders_per_minute", "new orders in a minute", minute, self.limits.max_orders_per_minute)
        )

    def _loss(self) -> str | None:
        assert self.read is not None
        assert self.seen is not None
        limit, start_usd = self.limits.max_daily_loss_usd, self.seen.day_start_usd
        equity_usd = self.read.content.balance.equity_usd
        if limit is None or start_usd - equity_usd < limit:
            return None
        return (
            f"max_daily_loss_usd of the account: {start_usd - equity_usd} lost today ({start_usd} to {equity_usd}), "
            f"limit {limit}; no entry before the next trading day"
        )

    def _risk(self, asked: Reserve) -> str | None:
        limit = self.limits.max_open_risk_usd
        if limit is None:
            return None
        if asked.risk_usd is None:
            return "max_open_risk_usd of the account: the entry's risk is not known; it needs a stop and a price"
        risk = self.open_risk_usd()
        if isinstance(risk, str):
            return f"max_open_risk_usd of the account: {risk}"
        return _beyond("max_open_risk_usd", "open risk with this entry", risk + asked.risk_usd, limit)

    def open_risk_usd(self) -> Decimal | str:
        """Of all positions, of other people's opening orders and of what is promised; or what it is not known of."""
        total = ZERO
        for each in self.given.values():
            if each.asked.risk_usd is None:
                return f"the risk of an entry of {each.asked.symbol} by {each.asked.holder} is not known"
            total += each.asked.risk_usd
        for symbol, units in self._at_risk():
            point_value_usd = self.seen.point_values_usd.get(symbol) if self.seen is not None else None
            if units is None:
                return f"an order of {symbol} that opens has no price"
            if units and point_value_usd is None:
                return f"the point value of {symbol} was not read yet"
            total += units * (point_value_usd or ZERO)
        return total

    def _at_risk(self) -> Iterator[tuple[str, Decimal | None]]:
        """By symbol: distance x quantity, in points. What has no working stop is at risk with its whole price."""
        assert self.read is not None
        content = self.read.content
        promised = {each.asked.symbol for each in self.given.values()}
        held = {position.symbol: position for position in content.positions}
        for position in held.values():
            side = Side.BUY if position.quantity > 0 else Side.SELL
            closing = position.symbol, side.opposite
            stops = [order for order in content.orders if (order.symbol, order.side) == closing]
            yield position.symbol, _to_stops(position, side, stops)
        for order in content.orders:
            position_of = held.get(order.symbol)
            closes = position_of is not None and position_of.quantity * order.side.sign < 0
            if order.working and not closes and order.symbol not in promised:
                price = order.limit_price if order.limit_price is not None else order.stop_price
                yield order.symbol, None if price is None else abs(price) * order.remaining


def _at_most(orders: Iterable[Order]) -> Decimal:
    """What they may fill together: what fills of a bracket's leg the venue takes from the other."""
    largest: dict[str, Decimal] = {}
    for order in orders:
        tied = [link.order_id for link in order.links if link.relation == BRACKET]
        group = min((order.order_id, *tied))
        largest[group] = max(largest.get(group, ZERO), order.remaining)
    return sum(largest.values(), ZERO)


def _to_stops(position: Position, held: Side, orders: list[Order]) -> Decimal:
    """The farthest stops are taken first, which is the worst; what no stop covers may lose its whole price."""
    average, left = position.average_price, abs(position.quantity)
    stops = [(o.stop_price, o.remaining) for o in orders if o.working and o.type in STOPS and o.stop_price is not None]
    points = ZERO
    for price, remaining in sorted(stops, key=lambda stop: stop[0] * held.sign):
        quantity = min(left, remaining)
        points += max(ZERO, (average - price) * held.sign) * quantity
        left -= quantity
    return points + abs(average) * left


def _shown(given: Given, requested_s: float, content: AccountSnapshot) -> bool:
    """The read shows what came of it: it had filled before, or it is so old that only a working order is left of it."""
    if given.over_s is not None:
        return requested_s >= given.over_s
    if requested_s < given.until_s:
        return False
    asked = given.asked
    return not any(o.working and (o.symbol, o.side) == (asked.symbol, asked.side) for o in content.orders)


def _beyond(key: str, what: str, value: Decimal, limit: Decimal | None) -> str | None:
    return None if limit is None or value <= limit else f"{key} of the account: {what} {value}, limit {limit}"


def _used_up(key: str, what: str, count: int, limit: int | None) -> str | None:
    return None if limit is None or count < limit else f"{key} of the account: {what}: {count}, limit {limit}"
