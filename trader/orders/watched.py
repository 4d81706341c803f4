"""What the desk itself holds of a position's protection: trails and takes that no order at the venue stands for. PURE.

It goes by closed bars. A trail moves the declared stop, and only to the tighter side; the stop's order follows by
replace. A take that is reached ends the declaration: the stops are turned into exits at the market, so that never a
stop and a take both work for the same units (order-safety 3.9).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from brokers.model import ZERO, Trail
from trader.messages import Declared
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.position import same_side, side_of
from trader.orders.prices import behind, tighter

Keeper = Literal["", "venue", "desk"]
replace = msgspec.structs.replace


def with_protection(before: Declaration, declared: Declared, *, native: bool) -> Declaration:
    """``before`` with the stop, take and trail now declared. What is left out stays while the side does; ``off`` ends
    it. ``native``: a trail without a price to begin at is left to the venue."""
    stays = same_side(declared.quantity, before.quantity)
    take = before.take if stays and declared.take is None and "take" not in declared.off else declared.take
    trail = before.trail if stays and declared.trail is None and "trail" not in declared.off else declared.trail
    stop = before.stop if stays and declared.stop is None else declared.stop
    leaves = trail is not None and declared.stop is None
    if trail is not None and declared.quantity:
        stop = _trailed(before if stays else None, declared, trail)
    kept = before.trail_native if stays and declared.trail is None and declared.stop is None else leaves and native
    return replace(
        before,
        stop=stop,
        take=take,
        trail=trail,
        trail_native=trail is not None and kept,
        take_by_person=before.take_by_person if stays else "",
    )


def _trailed(before: Declaration | None, declared: Declared, trail: Trail) -> Decimal | None:
    """Where the stop begins, or is by now: never farther than it was."""
    side, stop = side_of(declared.quantity), declared.stop
    if stop is None and declared.intended_price is not None:
        stop = behind(declared.intended_price, trail, side)
    held = before.stop if before is not None else None
    return held if stop is None else tighter(held, stop, side)


def after_bar(d: Declaration, held: Decimal, close: Decimal, take: Keeper) -> Declaration:
    """The declaration once a bar has closed here; ``take``: who sees to its take. Flat, where the desk has to take."""
    if not held or not same_side(d.quantity, held):
        return d
    side = side_of(held)
    if d.trail is not None and d.stop is not None and not d.stop_by_person:
        d = replace(d, stop=tighter(d.stop, behind(close, d.trail, side), side))
    reached = d.take is not None and take == "desk" and (close - d.take) * side.sign >= 0
    return replace(d, quantity=ZERO) if reached else d


def take_keeper(d: Declaration, held: Decimal, working: Iterable[OwnOrder]) -> Keeper:
    """Who sees to the take of what is held: the venue, where orders of it stand for all; nobody, where a person has
    removed it."""
    at_venue = sum((order.remaining for order in working if order.purpose is Purpose.TAKE), ZERO)
    if held and at_venue >= abs(held):
        return "venue"
    return "desk" if held and d.take is not None and not d.take_by_person else ""


def trail_keeper(d: Declaration, working: Iterable[OwnOrder]) -> Keeper:
    stops = [order for order in working if order.protecting]
    if d.trail is None or not stops:
        return ""
    return "venue" if all(order.trail is not None for order in stops) else "desk"
