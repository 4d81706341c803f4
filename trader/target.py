"""From a declared exposure to the smallest next set of order changes. PURE and level-triggered.

``plan`` is asked again after each turn, fill, outcome and read; it looks only at what is, so that a crash between any
two of its answers changes nothing. Under all of its answers one rule holds (order-safety 3.9): whatever subset of our
working orders fills, in whatever sequence, the position never crosses zero and never exceeds the larger of from and
to. Hence an exit is made of the working stop, a reduction first shrinks it, and a reversal goes through flat.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

from brokers.model import ZERO, Instrument, OrderType, Side, Value
from trader.intents import Purpose
from trader.orders import OwnOrder
from trader.risk import ExitGates, StopGates, exit_refusal, stop_refusal


class Declaration(Value, frozen=True):
    """What the strategy wants of one symbol, as it stands now: fills and refusals bring ``quantity`` to what is true.

    ``voided``: a divergence was adopted; ``voided_quantity`` and ``voided_stop`` are what had been declared then.
    ``stop_by_person``: our stop was removed or changed by somebody else and is left so until the position is flat or
    released (order-safety 3.10). ``refused``: not tried again before the strategy declares anew. ``intended_price``:
    the newest close that the strategy had seen when it declared this quantity.
    """

    symbol: str
    quantity: Decimal
    stop: Decimal | None = None
    valid_until_utc: float = 0.0
    voided: bool = False
    voided_quantity: Decimal = ZERO
    voided_stop: Decimal | None = None
    stop_by_person: Literal["", "removed", "changed"] = ""
    refused: tuple[Purpose, ...] = ()
    intended_price: Decimal | None = None


class Situation(Value, frozen=True):
    """All that is known of one symbol. ``orders``: ours that work. ``position`` is signed. ``seen``: what the last read
    says instead, until the next confirms or denies it; no closing order is larger than either. ``unsettled``: a placing
    of this symbol has no outcome yet, so nothing new is placed. ``entry_refusal``: the gate and reason that forbid an
    entry now, if any."""

    declaration: Declaration
    position: Decimal
    orders: tuple[OwnOrder, ...]
    instrument: Instrument | None
    now_utc: float
    seen: Decimal | None = None
    unsettled: bool = False
    entry_refusal: tuple[str, str] | None = None
    replace_to_market: bool = True


class Place(Value, frozen=True):
    purpose: Purpose
    side: Side
    quantity: Decimal
    type: OrderType
    stop_price: Decimal | None = None


class ReplaceStop(Value, frozen=True):
    """``quantity`` is the order's new total, filled part included."""

    order: OwnOrder
    quantity: Decimal
    stop_price: Decimal


class StopToMarket(Value, frozen=True):
    order: OwnOrder
    quantity: Decimal


class Cancel(Value, frozen=True):
    order: OwnOrder


class RefuseEntry(Value, frozen=True):
    """No (more) entry comes of this declaration: the gate that says so, why, and the exposure that is left of it."""

    gate: str
    text: str
    left: Decimal


Action = Place | ReplaceStop | StopToMarket | Cancel | RefuseEntry


def plan(s: Situation) -> tuple[Action, ...]:
    """The next changes; none when all is as declared, or when an answer must come first."""
    if not s.orders and s.position == s.declaration.quantity == 0:
        return ()
    o = _sorted_out(s)
    actions: list[Action] = []
    if o.entries or o.astray or len(o.stops) > 1 or any(order.late for order in o.exits):
        actions += _withdraw(s, o)
    if o.closing:
        actions += _close(s, o)
    if s.position:
        actions += _protect(s, o)
    if o.room:
        actions += _open(s, o)
    return tuple(actions)


class _Orders(NamedTuple):
    """The working orders, by what they would do to the position. ``stops``: protective ones on the closing side, also
    those being cancelled (they may still fill). ``astray``: made to close, and there is nothing for them to close."""

    entries: list[OwnOrder]
    exits: list[OwnOrder]
    stops: list[OwnOrder]
    astray: list[OwnOrder]
    exiting: Decimal
    """What the exits may close at most."""
    closing: Decimal
    """How much of the position must go before anything else."""
    room: Decimal
    """How much may still be added: to the declared exposure, from what is held on its side."""


def _sorted_out(s: Situation) -> _Orders:
    entries: list[OwnOrder] = []
    exits: list[OwnOrder] = []
    stops: list[OwnOrder] = []
    astray: list[OwnOrder] = []
    for order in s.orders:
        if not order.working:
            continue
        if order.purpose is Purpose.ENTRY:
            entries.append(order)
        elif s.position * order.side.sign >= 0:
            astray.append(order)
        else:
            (exits if order.exiting else stops).append(order)
    stops.sort(key=_late)
    exiting = _at_most(exits) if exits else ZERO
    declared, held = s.declaration.quantity, abs(s.position)
    if same_side(s.position, declared):
        wanted = abs(declared)
        return _Orders(entries, exits, stops, astray, exiting, max(ZERO, held - wanted), max(ZERO, wanted - held))
    return _Orders(entries, exits, stops, astray, exiting, held, abs(declared))


def safe_stop(price: Decimal, protects: Side, tick_size: Decimal) -> Decimal:
    """Rounded to the tick on the safe side: the stop of a long position upwards, of a short one downwards."""
    rounding = ROUND_CEILING if protects is Side.BUY else ROUND_FLOOR
    return (price / tick_size).to_integral_value(rounding) * tick_size


def clamped(quantity: Decimal, limit: Decimal) -> Decimal:
    """The part of an exposure that lies between flat and ``limit``: nothing of it is new."""
    if not same_side(quantity, limit):
        return ZERO
    return quantity if abs(quantity) <= abs(limit) else limit


# -- the four parts of a plan -----------------------------------------------------------------------------------------


def _withdraw(s: Situation, o: _Orders) -> list[Action]:
    """Cancel what must not fill any more: entries beyond the declaration, stops that protect nothing, second stops, and
    what showed up late (a late stop that is the only one may stay)."""
    cancels: list[OwnOrder] = []
    room = o.room
    for order in o.entries:
        wanted = same_side(order.side.sign * Decimal(1), s.declaration.quantity) and not order.late
        if wanted and order.remaining <= room:
            room -= order.remaining
        else:
            cancels.append(order)
    cancels += o.astray
    cancels += o.stops[1:]
    cancels += [order for order in o.exits if order.late]
    return [Cancel(order) for order in cancels if not order.cancelling and not order.pending]


def _close(s: Situation, o: _Orders) -> list[Action]:
    """Get rid of what is held beyond the declaration, without two orders that could both fill."""
    need = o.closing - o.exiting
    if need <= 0 or exit_refusal(ExitGates(Purpose.EXIT in s.declaration.refused, o.closing, _sure(s))):
        return []
    keep = abs(s.position) - o.closing
    if o.stops and keep == 0:
        return _stop_becomes_exit(s, o, need)
    if _free(s, o) < need:  # a stop that is too large is shrunk first (_protect)
        return []
    return [Place(Purpose.EXIT, _against(s.position), need, OrderType.MARKET)]


def _stop_becomes_exit(s: Situation, o: _Orders, need: Decimal) -> list[Action]:
    stop = o.stops[0]
    if stop.pending or len(o.stops) > 1:
        return []
    if s.replace_to_market:
        return [StopToMarket(stop, stop.filled_quantity + min(need, stop.remaining + _free(s, o)))]
    return [Cancel(stop)]


def _protect(s: Situation, o: _Orders) -> list[Action]:
    """The one protective stop: there, at the declared price, as large as what is held and is not being closed."""
    wanted = abs(s.position) - max(o.exiting, o.closing)
    if wanted <= 0 or stop_refusal(stop_gates(s.declaration, s.instrument, works=bool(o.stops))):
        return []
    assert s.instrument is not None
    if not o.stops:
        return _place_stop(s, o, wanted, s.instrument)
    stop = o.stops[0]
    assert stop.stop_price is not None
    price = stop.stop_price
    if s.declaration.stop is not None and not s.declaration.stop_by_person:
        price = safe_stop(s.declaration.stop, stop.side.opposite, s.instrument.tick_size)
    total = stop.filled_quantity + min(wanted, stop.remaining + _free(s, o))
    if stop.pending or (total, price) == (stop.quantity, stop.stop_price):
        return []
    return [ReplaceStop(stop, total, price)]


def stop_gates(d: Declaration, instrument: Instrument | None, *, works: bool) -> StopGates:
    return StopGates(instrument, Purpose.STOP in d.refused, works, d.stop is not None, d.stop_by_person == "removed")


def _place_stop(s: Situation, o: _Orders, wanted: Decimal, instrument: Instrument) -> list[Action]:
    d = s.declaration
    if d.stop is None or _free(s, o) < wanted:
        return []
    side = _against(s.position)
    price = safe_stop(d.stop, side.opposite, instrument.tick_size)
    return [Place(Purpose.STOP, side, wanted, OrderType.STOP_MARKET, price)]


def _open(s: Situation, o: _Orders) -> list[Action]:
    """What is missing to the declared exposure, once nothing is left that closes the other way."""
    d, side = s.declaration, Side.BUY if s.declaration.quantity > 0 else Side.SELL
    missing = o.room - sum((each.remaining for each in o.entries if each.side is side), ZERO)
    if missing <= 0 or s.unsettled:
        return []
    left = d.quantity - side.sign * missing
    if s.now_utc > d.valid_until_utc:
        late_s = s.now_utc - d.valid_until_utc
        return [RefuseEntry("validity", f"the entry's validity ended {late_s:.0f} market seconds ago", left)]
    if s.entry_refusal is not None:
        return [RefuseEntry(*s.entry_refusal, left)]
    closing = bool(o.exits) or any(each.exiting or s.position == 0 for each in o.astray)
    leaving = any(each.cancelling or each.side is not side for each in o.entries)
    if closing or leaving or s.position * side.sign < 0:
        return []
    return [Place(Purpose.ENTRY, side, missing, OrderType.MARKET)]


# -- what they look at ------------------------------------------------------------------------------------------------


def _at_most(orders: Iterable[OwnOrder]) -> Decimal:
    """What these may fill at most."""
    total = ZERO
    for order in orders:
        total += order.remaining_at_most
    return total


def _sure(s: Situation) -> Decimal:
    """How much of the position is there by all that is known: less, while a read says so and is not confirmed yet."""
    return abs(s.position if s.seen is None else clamped(s.position, s.seen))


def _free(s: Situation, o: _Orders) -> Decimal:
    """How much of the position no order would close: the most that a further closing order, or more of one, may have.
    A placing without outcome may be closing it just now."""
    if s.unsettled:
        return ZERO
    return max(ZERO, _sure(s) - o.exiting - _at_most(o.stops))


def _against(position: Decimal) -> Side:
    return Side.SELL if position > 0 else Side.BUY


def _late(order: OwnOrder) -> bool:
    return order.late


def same_side(a: Decimal, b: Decimal) -> bool:
    return a * b > 0
