"""Our book against the broker's: a difference with a verdict for each symbol (order-safety, section 1). PURE.

The broker is right, but a failed, partial, empty or older read looks like "flat". So: only whole reads come here, the
union of symbols is compared, a read requested before our own newest change changes nothing, the first difference only
closes entries, two agreeing reads are adopted, and a position that vanished without a fill to show for it is not
believed. No verdict ever leads to an order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

from brokers.model import ZERO, Order, Position, Value

LAG_S = 30.0
"""Machine seconds for which what a venue tells of orders may lag behind what it tells of positions: so long a
difference that fills of our own orders would make is not taken for somebody else's doing. With the moments in which it
is noticed and read again it stays within the 40 s of order-safety 1.5."""


class Verdict(StrEnum):
    AGREES = "agrees"
    OLDER = "older than our newest fill or acknowledgement"
    UNSETTLED = "an instruction without outcome may explain it"
    DIFFERS = "differs"
    ADOPT = "differs in two reads"
    UNEXPLAINED = "vanished without a closing fill"
    NOT_OURS = "found by a new journal"


class Ours(Value, frozen=True):
    """What we hold to be true of one symbol. ``known``: False before a journal's first good read. ``changed_s``:
    machine time of our newest fill, acknowledgement or instruction. ``unsettled``: signed quantities of the placings
    without outcome. ``working``: the same of our orders that work; ``differed``: what the last read said, if so, and
    ``since_s``: when the first of them was noticed. ``looked``: a person has released the symbol since it vanished
    unexplained, and so has looked. ``told_apart``: what other people's orders have filled can be of no placing without
    outcome."""

    symbol: str
    known: bool
    quantity: Decimal
    changed_s: float
    unsettled: tuple[Decimal, ...]
    differed: Decimal | None
    looked: bool = False
    working: tuple[Decimal, ...] = ()
    since_s: float | None = None
    told_apart: bool = False


class Finding(Value, frozen=True):
    """The verdict on one symbol. ``explained``: fills of other people's orders account for the whole difference.
    ``adopted``: what ADOPT makes of our position; ``theirs``, or less the part that a placing without outcome may have
    filled: told later, that would count twice. ``ahead``: so much of the change may be fills of our own orders that
    lag, and are told yet."""

    symbol: str
    verdict: Verdict
    ours: Decimal
    theirs: Decimal
    average_price: Decimal | None
    explained: bool
    adopted: Decimal
    ahead: Decimal = ZERO


def reconcile(
    ours: Iterable[Ours], positions: Iterable[Position], foreign_delta: Mapping[str, Decimal], requested_s: float
) -> tuple[Finding, ...]:
    """One whole read against our book. Fills of our own orders in this read are in ``ours`` already.

    ``foreign_delta``: signed fills, by symbol, of orders that are not ours since the last read that agreed.
    """
    theirs = {position.symbol: position for position in positions}
    return tuple(
        _finding(own, theirs.get(own.symbol), foreign_delta.get(own.symbol, ZERO), requested_s) for own in ours
    )


def _finding(own: Ours, position: Position | None, delta: Decimal, requested_s: float) -> Finding:
    there = position.quantity if position is not None else ZERO
    price = position.average_price if position is not None else None
    explained = own.quantity + delta == there
    by_others = own.quantity + delta if own.told_apart else own.quantity
    waits = _may_explain(own.unsettled, there - by_others)
    adopted = by_others if waits else there
    verdict = _verdict(own, there, adopted, explained or waits, requested_s)
    change = ZERO if explained else adopted - own.quantity
    ahead = change if _may_explain(own.working, change) else ZERO
    return Finding(own.symbol, verdict, own.quantity, there, price, explained, adopted, ahead)


def _verdict(own: Ours, there: Decimal, adopted: Decimal, explained: bool, requested_s: float) -> Verdict:
    if requested_s < own.changed_s:
        return Verdict.OLDER
    if not own.known:
        return Verdict.AGREES if there == 0 and not own.unsettled else Verdict.NOT_OURS
    if there == own.quantity:
        return Verdict.AGREES
    if adopted == own.quantity:
        return Verdict.UNSETTLED
    if own.differed != there:
        return Verdict.DIFFERS
    if there == 0 and not explained and not own.looked:
        return Verdict.UNEXPLAINED
    return Verdict.DIFFERS if _may_be_late(own, there, explained, requested_s) else Verdict.ADOPT


def _may_be_late(own: Ours, there: Decimal, explained: bool, requested_s: float) -> bool:
    """Whether a fill of our own may account for it that the orders of the read do not show yet: what was adopted for
    it would be counted a second time when it is told."""
    lasts = own.since_s is not None and requested_s >= own.since_s + LAG_S
    return not (explained or lasts or own.looked) and _may_explain(own.working, there - own.quantity)


def _may_explain(unsettled: tuple[Decimal, ...], difference: Decimal) -> bool:
    """Whether fills of these placings, whole or in part, could make this difference. Another one is somebody else's: it
    does not wait until they are settled."""
    least = sum((quantity for quantity in unsettled if quantity < 0), ZERO)
    most = sum((quantity for quantity in unsettled if quantity > 0), ZERO)
    return least <= difference <= most and difference != 0


def foreign_fills(orders: Iterable[Order], ours: Iterable[str], accounted: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Signed fills by symbol of orders that are not ours, beyond those already accounted for (by order id)."""
    mine = frozenset(ours)
    deltas: dict[str, Decimal] = {}
    for order in orders:
        if order.order_id not in mine:
            new = order.filled_quantity - accounted.get(order.order_id, ZERO)
            deltas[order.symbol] = deltas.get(order.symbol, ZERO) + order.side.sign * new
    return deltas
