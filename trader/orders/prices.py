"""Prices of stops and takes: on the tick, on the safe side, and how a trailing one follows the market. PURE."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from brokers.model import ZERO, Side, Trail


def safe_stop(price: Decimal, protects: Side, tick_size: Decimal) -> Decimal:
    """Rounded to the tick on the safe side: the stop of a long position upwards, of a short one downwards."""
    rounding = ROUND_CEILING if protects is Side.BUY else ROUND_FLOOR
    return (price / tick_size).to_integral_value(rounding) * tick_size


def safe_take(price: Decimal, protects: Side, tick_size: Decimal) -> Decimal:
    """Rounded away from the market, so that it never gives less than was asked for: filled later, not worse."""
    return safe_stop(price, protects, tick_size)


def safe_trail(trail: Trail, tick_size: Decimal) -> Trail:
    """An amount in whole ticks, nearer to the market rather than farther; one tick at least. A percentage is the
    venue's to round."""
    if trail.amount is None:
        return trail
    whole = (trail.amount / tick_size).to_integral_value(ROUND_FLOOR) * tick_size
    return msgspec.structs.replace(trail, amount=max(whole, tick_size))


def behind(price: Decimal, trail: Trail, side: Side) -> Decimal:
    """Where the stop of a position of this side lies, so far behind this price."""
    distance = trail.amount if trail.amount is not None else price * (trail.percent or ZERO) / 100
    return price - side.sign * distance


def tighter(one: Decimal | None, other: Decimal, side: Side) -> Decimal:
    """The nearer to the market of two stops of a position of this side."""
    if one is None:
        return other
    return max(one, other) if side is Side.BUY else min(one, other)
