"""Accounts and positions: what a fill does to them, exact to the cent and beyond. PURE."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.tradestation.emulator import hours
from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.order import Fill

_EVENING_S = 6 * 3_600  # from 18:00 to midnight
# A share of a total cost is cut here, so that money stays finite decimals and adds up exactly at flat.
_CENT_FRACTION = Decimal("0.00000001")


class Position(msgspec.Struct, frozen=True):
    """``cost_usd`` is signed like ``quantity``: what the open quantity was bought (sold) for, point value included."""

    position_id: str
    symbol: str
    quantity: int
    cost_usd: Decimal
    at_utc: float


class Account(msgspec.Struct):
    """``cash_usd``: of a futures account changed by gains and commissions, of the others by what was paid and got."""

    account: str
    kind: str
    cash_usd: Decimal
    positions: dict[str, Position] = {}
    realized_usd: Decimal = Decimal(0)
    commission_usd: Decimal = Decimal(0)
    # Of the trading day of the last fill:
    day: int = 0
    day_realized_usd: Decimal = Decimal(0)
    day_commission_usd: Decimal = Decimal(0)

    def quantity(self, symbol: str) -> int:
        position = self.positions.get(symbol)
        return position.quantity if position else 0


def trading_day(kind: str, at_utc: float) -> int:
    """The day "today's" figures belong to, in days since 1970: New York's date, of a futures account the one that
    begins with the session, at 18:00 of the evening before [infer]."""
    return hours.new_york_day(at_utc + _evening_s(kind))


def day_begins_utc(kind: str, at_utc: float) -> float:
    return at_utc - hours.new_york_second(at_utc + _evening_s(kind))


def _evening_s(kind: str) -> int:
    return _EVENING_S if kind == "Futures" else 0


def settle(account: Account, fill: Fill, about: Instrument, new_position_id: str) -> bool:
    """Book one fill: position, cash, realized gain, commission. True where it opened a position, with that id."""
    held = account.positions.get(fill.symbol)
    quantity, cost_usd = (held.quantity, held.cost_usd) if held else (0, Decimal(0))
    closing = _closing(quantity, fill.quantity)
    closed_cost_usd = _share(cost_usd, closing, quantity)
    realized_usd = closing * fill.price * about.point_usd - closed_cost_usd
    opening = fill.quantity + closing
    cost_usd += opening * fill.price * about.point_usd - closed_cost_usd

    if quantity + fill.quantity == 0:
        account.positions.pop(fill.symbol)
    else:
        position_id = held.position_id if held else new_position_id
        account.positions[fill.symbol] = Position(
            position_id, fill.symbol, quantity + fill.quantity, cost_usd, fill.at_utc
        )
    paid_usd = -realized_usd if about.is_future else fill.quantity * fill.price * about.point_usd
    account.cash_usd -= paid_usd + fill.commission_usd
    _count(account, realized_usd, fill)
    return held is None


def _closing(held: int, traded_quantity: int) -> int:
    """How much of the position (signed like it) this trade ends."""
    if held * traded_quantity >= 0:
        return 0
    return held if abs(traded_quantity) >= abs(held) else -traded_quantity


def _share(cost_usd: Decimal, part: int, whole: int) -> Decimal:
    if part == whole:
        return cost_usd
    return (cost_usd * part / whole).quantize(_CENT_FRACTION)


def _count(account: Account, realized_usd: Decimal, fill: Fill) -> None:
    day = trading_day(account.kind, fill.at_utc)
    if day != account.day:
        account.day, account.day_realized_usd, account.day_commission_usd = day, Decimal(0), Decimal(0)
    account.realized_usd += realized_usd
    account.commission_usd += fill.commission_usd
    account.day_realized_usd += realized_usd
    account.day_commission_usd += fill.commission_usd
