"""Where a stream and the books of the same account disagree: has the stream left something out? PURE.

A stream can beat, deliver other orders and omit one fill or end. The books' read is the
truth. It may be quicker than the stream, so a disagreement counts when the stream has still not told what a read knew
that began at least ``grace_s`` before another one. Each is told once. A stream that is ahead of a read is right: the
read is older.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from brokers.model import Order, Position


class Omission(msgspec.Struct, frozen=True):
    """``what``: for people."""

    subject: str
    what: str


class Told(msgspec.Struct, frozen=True, gc=False):
    """All that is kept of an order, so that a day of many orders stays small."""

    filled: Decimal
    ended: bool


class OrdersTold:
    """What one life of an orders stream has said, held against reads."""

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self._told: dict[str, Told] = {}
        self._before: frozenset[str] | None = None
        self._suspected: dict[str, tuple[Order, float]] = {}
        self._known: set[str] = set()

    def heard(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._told[order.order_id] = Told(order.filled_quantity, order.status.terminal)

    def judge(self, orders: Iterable[Order], requested_s: float) -> list[Omission]:
        """A read, begun at ``requested_s``. Orders of the first one that the stream does not name are not held against
        it: whether its replay names what was over before is not established."""
        read = {order.order_id: order for order in orders}
        if self._before is None:
            self._before = frozenset(read)
        suspected: dict[str, tuple[Order, float]] = {}
        for order_id, order in read.items():
            before = self._suspected.get(order_id)
            if before is not None and self._lacks(before[0]):
                suspected[order_id] = before
            elif self._lacks(order):
                suspected[order_id] = (order, requested_s)
        self._suspected = suspected
        sure = [
            order_id
            for order_id, (_, since_s) in suspected.items()
            if requested_s - since_s >= self.grace_s and order_id not in self._known
        ]
        self._known = (self._known & read.keys()).union(sure)
        # What is over and in no read any more is forgotten; what is not over may be booked later than it was told.
        self._told = {order_id: told for order_id, told in self._told.items() if order_id in read or not told.ended}
        return [Omission(order_id, self._lacks(suspected[order_id][0])) for order_id in sure]

    def _lacks(self, order: Order) -> str:
        told = self._told.get(order.order_id)
        if told is None:
            return "" if order.order_id in (self._before or ()) else f"order {order.order_id} altogether"
        if told.filled < order.filled_quantity:
            return f"a fill of order {order.order_id}: it told {told.filled}, the books say {order.filled_quantity}"
        if order.status.terminal and not told.ended:
            return f"the end of order {order.order_id}: it is {order.status} ({order.venue_status})"
        return ""


class PositionsTold:
    """The same for positions: the stream's map against the books'. Quantities only: prices move."""

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self._suspected: dict[str, tuple[Decimal, Decimal, float]] = {}
        self._known: set[tuple[str, Decimal, Decimal]] = set()

    def judge(self, told: Iterable[Position], read: Iterable[Position], requested_s: float) -> list[Omission]:
        """A suspicion holds while neither side has moved."""
        streamed, books = quantities(told), quantities(read)
        suspected: dict[str, tuple[Decimal, Decimal, float]] = {}
        for symbol in sorted(streamed.keys() | books.keys()):
            ours, theirs = streamed.get(symbol, Decimal(0)), books.get(symbol, Decimal(0))
            if ours != theirs:
                before = self._suspected.get(symbol)
                same = before is not None and before[:2] == (ours, theirs)
                suspected[symbol] = before if before and same else (ours, theirs, requested_s)
        self._suspected = suspected
        differs = {(symbol, ours, theirs) for symbol, (ours, theirs, _) in suspected.items()}
        sure = [
            (symbol, ours, theirs)
            for symbol, (ours, theirs, since_s) in suspected.items()
            if requested_s - since_s >= self.grace_s and (symbol, ours, theirs) not in self._known
        ]
        self._known = (self._known & differs).union(sure)
        return [
            Omission(symbol, f"a change of {symbol}: it told {ours}, the books say {theirs}")
            for symbol, ours, theirs in sure
        ]


def quantities(positions: Iterable[Position]) -> dict[str, Decimal]:
    return {position.symbol: position.quantity for position in positions}
