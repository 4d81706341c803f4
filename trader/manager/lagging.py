"""Fills of our own that a venue's positions know before its orders do, and that were adopted before they were told.

A difference that our working orders can explain waits for them (``reconcile.LAG_S``). Where they lag longer it is
adopted, as the broker is right: then such a fill is told late, of what is in the position already. It is recorded like
any other and counts once. Acts inside a transaction of the journal.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.model import ZERO
from trader.accounting.money import Adoption
from trader.manager.account import Account, Now
from trader.orders.own_order import OwnOrder

replace = msgspec.structs.replace


def remember_ahead(account: Account, symbol: str, change: Decimal, now: Now) -> None:
    """At an adoption: so much of it may be fills of the orders that work now."""
    minded, fills = account.journal.minded(symbol), change
    ids = tuple([o.order_id for o in account.working_of(symbol) if o.side.sign * change > 0])
    if any(order_id in account.journal.working for order_id in minded.ahead_of):
        fills, ids = fills + minded.ahead, tuple(dict.fromkeys((*minded.ahead_of, *ids)))
    if (fills, ids) != (minded.ahead, minded.ahead_of):
        account.journal.mind(symbol, replace(minded, ahead=fills, ahead_of=ids if fills else (), ahead_utc=now.utc))


def not_counted_yet(account: Account, order: OwnOrder, quantity: Decimal, now: Now) -> Decimal:
    """How much of a fill is not in the position by an adoption. What is was adopted too early: a row says so, as of any
    adoption, so that sums of rows agree with the position."""
    journal, symbol = account.journal, order.symbol
    minded = journal.minded(symbol)
    if not {order.order_id, order.renews} & set(minded.ahead_of):
        return quantity
    known = min(quantity, max(ZERO, order.side.sign * minded.ahead))
    if known:
        journal.mind(symbol, replace(minded, ahead=minded.ahead - order.side.sign * known))
        held = journal.holding(symbol)
        twice = Adoption(symbol, held.quantity + order.side.sign * known, held.quantity, held.average_price, now.utc)
        journal.write_adoption(twice, read=0, age_s=0.0, explained=True)
        text = f"{symbol}: {known} of order {order.order_id} were adopted before they were told: they count once"
        account.event(now, "fill.adopted_before", "NOTIFY", text, order_id=order.order_id, quantity=known)
    return quantity - known


def may_lag(account: Account, symbol: str, now: Now) -> bool:
    """What those orders seem to have left may be filled, and what waits for them be out: as long as their word may come
    nothing is placed beside them."""
    minded = account.journal.minded(symbol)
    recent = now.utc < minded.ahead_utc + account.timing.on_its_way_s * now.rate
    return bool(minded.ahead) and recent and any(each in account.journal.working for each in minded.ahead_of)
