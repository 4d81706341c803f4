"""The gates of an entry: what must be true before exposure may grow (DESIGN, law 3). PURE.

Exits and stop moves pass none of these. Each refusal names gate, limit and value. Absent in this version, and so
checked by nobody: money limits (loss, open risk, margin), limits per minute and day, the account's
status, account-wide limits at the books. An entry without a stop is always refused: no session can allow it yet.
"""

from __future__ import annotations

from decimal import Decimal

from brokers.model import Instrument, Value


class Limits(Value, frozen=True):
    """Limits of one session."""

    max_order_quantity: Decimal = Decimal(1000)
    """Units (shares, contracts) in one order: far above what the examples trade, far below a typing error."""


class EntryGates(Value, frozen=True):
    """What the gates look at. ``agreed_age_s``: machine seconds since a read last agreed with our position of the
    symbol; None if none ever did. ``late``: the declaration was made on a late bar."""

    trading_done: bool
    holds: tuple[str, ...]
    agreed_age_s: float | None
    differs: bool
    late: bool
    stop_given: bool
    quantity: Decimal
    instrument: Instrument | None
    market: str = ""
    """Why the market's hours forbid an entry; "" where they do not."""


def entry_refusal(gates: EntryGates, limits: Limits, agreed_max_age_s: float) -> tuple[str, str] | None:
    """The first gate that forbids the entry, with its reason; None when it may go."""
    if gates.trading_done:
        return "done", "trading of this session is done: positions are only looked after"
    if gates.holds:
        return "hold", f"entries are held: {', '.join(gates.holds)}; released by a person"
    if gates.differs:
        return "diverged", "the last read of the broker differs from our position; a confirming read is under way"
    if gates.agreed_age_s is None:
        return "agreed", "the position was never agreed with the broker yet"
    if gates.agreed_age_s > agreed_max_age_s:
        return "agreed", f"the position was agreed {gates.agreed_age_s:.0f} s ago, limit {agreed_max_age_s:.0f} s"
    if gates.late:
        return "late", "the bar came late: no entry comes of a late bar"
    if gates.market:
        return "market", gates.market
    return _size_refusal(gates, limits)


def _size_refusal(gates: EntryGates, limits: Limits) -> tuple[str, str] | None:
    if not gates.stop_given:
        return "stop", "an entry needs a protective stop: target(symbol, quantity, stop=price)"
    if gates.instrument is None:
        return "instrument", "the venue was not asked yet for the symbol's tick size"
    if gates.quantity % gates.instrument.quantity_step:
        return "step", f"quantity {gates.quantity} is no multiple of {gates.instrument.quantity_step}"
    if gates.quantity > limits.max_order_quantity:
        return "max_order_quantity", f"quantity {gates.quantity}, limit {limits.max_order_quantity}"
    return None
