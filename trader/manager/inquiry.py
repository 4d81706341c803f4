"""What is asked of the books beside the snapshot, and when: orders overdue, by id; what is gone from today, in history.
PURE.

A stream can omit a fill for ever (order-safety 2), so each order in flight is asked for by its id when its answer is
overdue. Cheap: one request at a time for all that are overdue, at a distance that grows, and so often at most; after
that the 30 s snapshot tells.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from brokers.model import OrderStatus, OrderType
from trader.manager.account import Account, Now
from trader.orders.own_order import OwnOrder

OVERDUE_S = 5.0
"""Machine seconds after our last word with the venue about the symbol: an acknowledgement, a fill at the market, the
end of a cancel take a second."""
ASK_EVERY_S = 5.0
"""The first distance of two asks; it doubles."""
ASKS_MAX = 5
"""An order in flight is asked for so often (for two and a half minutes): one that waits for the market to open is no
trouble."""
IDS_MAX = 50
"""The most ids in one request: the venue's limit. The others are asked for next time."""

IN_FLIGHT = (OrderStatus.RECEIVED, OrderStatus.CANCELLING, OrderStatus.UNKNOWN)


class Ask(NamedTuple):
    """``since_utc``: history is searched from there on."""

    order_ids: tuple[str, ...] = ()
    since_utc: float | None = None


NOTHING = Ask()


class Inquiry:
    """When what was asked. Lives as long as its process: a successor asks anew."""

    def __init__(self) -> None:
        self._asks: dict[str, int] = {}
        self._ids_s = self._history_s = 0.0

    def due(self, account: Account, now: Now) -> Ask:
        """What is to be asked now, which counts as asked."""
        ids = self._overdue(account, now) if now.s >= self._ids_s else ()
        if ids:
            tries = min(self._asks[order_id] for order_id in ids)
            self._ids_s = now.s + ASK_EVERY_S * 2 ** (tries - 1)
        since_utc = _since(account)
        if since_utc is not None and now.s >= self._history_s:
            self._history_s = now.s + 2 * ASK_EVERY_S
            return Ask(ids, since_utc)
        return Ask(ids) if ids else NOTHING

    def _overdue(self, account: Account, now: Now) -> tuple[str, ...]:
        """What no read shows is looked for in history: asked for by id, it would spoil the answer of the others."""
        working, unseen = account.journal.working, _unseen(account)
        awaited = {order_id: o.symbol for order_id, o in working.items() if in_flight(o, working)} | unseen
        self._asks = {each: asks for each, asks in self._asks.items() if each in working or each in unseen}
        overdue = [order_id for order_id, symbol in awaited.items() if _silent(account, symbol, now)]
        ids = [each for each in overdue if each not in account.missing and self._asks.get(each, 0) < ASKS_MAX][:IDS_MAX]
        for order_id in ids:
            self._asks[order_id] = self._asks.get(order_id, 0) + 1
        return tuple(ids)


def in_flight(order: OwnOrder, working: Container[str]) -> bool:
    """Something is to come of it by itself: an acknowledgement, a fill, the end of a replace or cancel. (Nothing yet of
    a leg whose entry is among ``working``.)"""
    if order.pending or OrderType.MARKET in (order.type, order.asked_type):
        return True
    return order.status in IN_FLIGHT and order.parent not in working


def _unseen(account: Account) -> dict[str, str]:
    """Ids, with their symbol, that answers to brackets have named, and of which no frame has come."""
    journal = account.journal
    told = [(i.result_order_id.split(), i.symbol) for i in journal.open_intents.values() if i.legs]
    told += [(list(entry.told), entry.symbol) for entry in journal.awaiting.values()]
    return {order_id: symbol for ids, symbol in told for order_id in ids if not journal.knows_order(order_id)}


def _silent(account: Account, symbol: str, now: Now) -> bool:
    return now.s - account.changed_s.get(symbol, 0.0) >= OVERDUE_S


def _since(account: Account) -> float | None:
    """From when on history may have what today's orders do not show."""
    known = [account.search_since_utc] if account.search_since_utc is not None else []
    known += [since_utc for since_utc in account.missing.values() if since_utc is not None]
    return min(known) if known else None
