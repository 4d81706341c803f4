"""From a declared exposure to the smallest next set of order changes. PURE and level-triggered.

``plan`` is asked again after each turn, fill, outcome and read; it looks only at what is, so that a crash between any
two of its answers changes nothing. Under all of its answers one rule holds (order-safety 3.9): whatever subset of our
working orders fills, in whatever sequence, the position never crosses zero and never exceeds the larger of from and
to. Hence an exit is made of the working stops, a reduction first shrinks them, and a reversal goes through flat.

An entry takes its stop (and take) along as a bracket where the venue can hold one: they wait there for its fill. Each
addition brings its own, so a position may have several stops, whose sum it is (``PAIRS_MAX``).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from brokers.model import ZERO, Instrument, OrderType, Side, Trail, Value
from trader.orders.declaration import Declaration
from trader.orders.intents import Purpose
from trader.orders.legs import Leg, LegPurpose
from trader.orders.own_order import OwnOrder
from trader.orders.pairs import Pair, closes_at_most, pairs, promised, waits
from trader.orders.position import clamped, same_side, side_of
from trader.orders.prices import safe_stop, safe_take, safe_trail
from trader.risk.gates import PART_FILLED, ExitGates, StopGates, exit_refusal, part_fill_refusal, stop_refusal

PAIRS_MAX = 4
"""Stops of one position. Each is moved by a request of its own; what is added beyond comes without one, and a stop that
is there grows after the fill."""


class Situation(Value, frozen=True):
    """All that is known of one symbol. ``orders``: ours that work. ``position`` is signed. ``seen``: what the last read
    says instead, until the next confirms or denies it; no closing order is larger than either. ``unsettled``: a placing
    of this symbol has no outcome yet, so nothing new is placed. ``entry_refusal``: the gate and reason that forbid an
    entry now, if any. ``children``: the venue holds an entry's protective orders until it fills; ``takes_native``: a
    take among them, tied to the stop; ``early_children``: it sends them at the entry's first part-fill, of its whole
    size. ``uncovered_s``: for so long a part of the position has had no working stop.
    ``renew``: a stop that is to be replaced also where nothing of it changes.
    ``unpriced``: whether the market has passed the stop is not known yet, and by the session's word (``page``) one that
    it has passed is not sent."""

    declaration: Declaration
    position: Decimal
    orders: tuple[OwnOrder, ...]
    instrument: Instrument | None
    now_utc: float
    seen: Decimal | None = None
    unsettled: bool = False
    entry_refusal: tuple[str, str] | None = None
    entry_waits: bool = False
    replace_to_market: bool = True
    children: bool = False
    takes_native: bool = False
    early_children: bool = False
    uncovered_s: float = 0.0
    renew: str = ""
    unpriced: bool = False


class Place(Value, frozen=True):
    """``legs`` go with an entry, as one intent."""

    purpose: Purpose
    side: Side
    quantity: Decimal
    type: OrderType
    stop_price: Decimal | None = None
    trail: Trail | None = None
    legs: tuple[Leg, ...] = ()


class ReplaceStop(Value, frozen=True):
    """``quantity`` is the order's new total, filled part included. ``stop_price`` None: the order trails by itself."""

    order: OwnOrder
    quantity: Decimal
    stop_price: Decimal | None
    trail: Trail | None = None


class ReplaceTake(Value, frozen=True):
    """``quantity`` is the order's new total, filled part included."""

    order: OwnOrder
    quantity: Decimal
    limit_price: Decimal


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


Action = Place | ReplaceStop | ReplaceTake | StopToMarket | Cancel | RefuseEntry


def plan(s: Situation) -> tuple[Action, ...]:
    """The next changes; none when all is as declared, or when an answer must come first."""
    if not s.orders and s.position == s.declaration.quantity == 0:
        return ()
    o = _sorted_out(s)
    actions: list[Action] = []
    if o.promised and o.room and (waits := part_fill_refusal(s.uncovered_s)) is not None:
        return (RefuseEntry(PART_FILLED, waits, s.position),)
    if o.entries or o.astray or any(order.late for order in o.exits):
        actions += _withdraw(s, o)
    if o.closing:
        actions += _close(s, o)
    if s.position:
        actions += _protect(s, o)
    if o.room:
        actions += _open(s, o)
    return tuple(actions)


class _Orders(NamedTuple):
    """The working orders, by what they would do to the position. ``pairs``: protective ones on the closing side, also
    those being cancelled (they may still fill). ``waiting``: legs whose entry has not filled: the venue has not sent
    them yet. ``astray``: made to close, and there is nothing for them to close."""

    entries: list[OwnOrder]
    exits: list[OwnOrder]
    pairs: list[Pair]
    waiting: list[OwnOrder]
    astray: list[OwnOrder]
    exiting: Decimal
    """What the exits may close at most."""
    occupied: Decimal
    """What all closing orders may close at most, and entries that work on after the position has turned."""
    promised: Decimal
    """What is held of entries whose stop waits for the rest of them: it is that stop's to protect."""
    closing: Decimal
    """How much of the position must go before anything else."""
    room: Decimal
    """How much may still be added: to the declared exposure, from what is held on its side."""


def _sorted_out(s: Situation) -> _Orders:
    entries = [order for order in s.orders if order.purpose is Purpose.ENTRY and order.working]
    parents = {order.order_id for order in entries}
    exits: list[OwnOrder] = []
    closing: list[OwnOrder] = []
    waiting: list[OwnOrder] = []
    astray: list[OwnOrder] = []
    for order in s.orders:
        if not order.working or order.dying or order.purpose is Purpose.ENTRY:
            continue
        if waits(order, parents):
            waiting.append(order)
        elif s.position * order.side.sign >= 0:
            astray.append(order)
        else:
            closing.append(order)
            if order.exiting:
                exits.append(order)
    over = [order for order in entries if s.position * order.side.sign < 0]
    declared, held = s.declaration.quantity, abs(s.position)
    kept = abs(declared) if same_side(s.position, declared) else ZERO
    return _Orders(
        entries,
        exits,
        pairs(closing),
        waiting,
        astray,
        exiting=closes_at_most(exits),
        occupied=closes_at_most([*closing, *over]),
        promised=promised(s.orders),
        closing=max(ZERO, held - kept),
        room=max(ZERO, kept - held) if kept else abs(declared),
    )


# -- the four parts of a plan -----------------------------------------------------------------------------------------


def _withdraw(s: Situation, o: _Orders) -> list[Action]:
    """Cancel what must not fill any more: entries beyond the declaration, orders that close nothing, and entries and
    exits that showed up late. (A late stop stays where there is nothing else to protect what is held.)"""
    cancels: list[OwnOrder] = []
    room = o.room
    for order in o.entries:
        wanted = same_side(Decimal(order.side.sign), s.declaration.quantity) and not order.late
        if wanted and order.remaining <= room:
            room -= order.remaining
        else:
            cancels.append(order)
    cancels += [order for order in o.exits if order.late]
    return _cancels([*cancels, *o.astray])


def _close(s: Situation, o: _Orders) -> list[Action]:
    """Get rid of what is held beyond the declaration, without two orders that could both fill."""
    need = o.closing - o.exiting
    if need <= 0 or exit_refusal(ExitGates(Purpose.EXIT in s.declaration.refused, o.closing, _sure(s))):
        return []
    if o.closing == abs(s.position) and o.pairs:
        return _stops_become_exits(s, o, need)
    if _free(s, o) < need:  # a stop that is too large is shrunk first (_protect)
        return []
    return [Place(Purpose.EXIT, _against(s.position), need, OrderType.MARKET)]


def _stops_become_exits(s: Situation, o: _Orders, need: Decimal) -> list[Action]:
    """The take of a pair may stay: the venue takes from it what its exit fills. One that stands alone goes first."""
    if not s.replace_to_market:
        return _cancels([order for pair in o.pairs for order in pair if order is not None and not order.exiting])
    alone = [pair.take for pair in o.pairs if pair.stop is None and pair.take is not None and not pair.take.exiting]
    actions: list[Action] = _cancels(alone)
    spare, growing = _free(s, o), False
    for stop, take in o.pairs:
        if stop is None or stop.exiting:
            continue
        growing |= take is None
        if stop.pending:
            need -= min(need, stop.remaining)
            continue
        quantity = min(need, stop.remaining + (ZERO if take is not None else spare))
        if take is not None and quantity != stop.remaining:  # see _pair_as_declared
            actions += _cancels([take])
            continue
        spare -= max(ZERO, quantity - stop.remaining)
        need -= quantity
        if quantity == 0:
            actions += _cancels([stop])
        else:
            actions.append(StopToMarket(stop, stop.filled_quantity + stop.owed + quantity))
    if not growing and not alone and 0 < need <= spare:
        actions.append(Place(Purpose.EXIT, _against(s.position), need, OrderType.MARKET))
    return actions


def _protect(s: Situation, o: _Orders) -> list[Action]:
    """The protective orders: at the declared prices, together as large as what is held and is not being closed."""
    wanted = abs(s.position) - o.promised - max(o.exiting, o.closing) - s.declaration.stop_less
    if o.exiting >= abs(s.position):
        return _cancels([pair.stop for pair in o.pairs if pair.stop is not None and _too_late(pair.stop)])
    if wanted <= 0 or stop_refusal(stop_gates(s.declaration, s.instrument, works=bool(o.pairs))):
        return []
    actions: list[Action] = []
    missing = max(ZERO, wanted - sum((pair.stops for pair in o.pairs), ZERO))
    grown = min(missing, _free(s, o))
    for pair in o.pairs:
        stop = pair.stop
        share = min(pair.stops, wanted)
        wanted -= share
        if pair.tied:
            actions += _pair_as_declared(s, pair, share)
        elif stop is not None and not stop.exiting:
            if grown and not (stop.pending or stop.cancelling):
                share, grown, missing = share + grown, ZERO, missing - grown
            actions += _stop_as_declared(s, stop, share)
        elif pair.take is not None and stop is None and not pair.take.exiting:
            wanted, taken = _take_alone(s, pair.take, wanted)
            actions += taken
    if not any(pair.stop is not None and not pair.stop.exiting and not pair.tied for pair in o.pairs):
        actions += _place_stop(s, o, missing)
    return actions


def _pair_as_declared(s: Situation, pair: Pair, share: Decimal) -> list[Action]:
    """Prices only. The venue changes the size of either when the other fills, and a size of ours that crosses it on the
    way would undo that: so where another size is wanted the take goes first, and the desk holds it from then on."""
    stop, take = pair.stop, pair.take
    assert stop is not None
    assert take is not None
    if share == 0:
        return [] if stop.cancelling or stop.owed else _cancels([stop, take])
    if share != stop.remaining:
        return _cancels([take])
    return _stop_as_declared(s, stop, share) + _take_as_declared(s, take, take.remaining)


def _stop_as_declared(s: Situation, stop: OwnOrder, share: Decimal) -> list[Action]:
    """While its group owes it a smaller size, a size of ours could undo that."""
    if stop.pending or stop.owed:
        return []
    if share == 0:
        return _cancels([stop])
    d, instrument = s.declaration, s.instrument
    assert instrument is not None
    total, price, trail = stop.filled_quantity + share, stop.stop_price, stop.trail
    if trail is not None:
        if d.trail is not None and not d.stop_by_person and _kind(d.trail) == _kind(trail):
            trail = safe_trail(d.trail, instrument.tick_size)
        changed = (total, trail) != (stop.quantity, stop.trail)
        return [ReplaceStop(stop, total, None, trail)] if changed else []
    if d.stop is not None and not d.stop_by_person:
        price = safe_stop(d.stop, stop.side.opposite, instrument.tick_size)
    changed = (total, price) != (stop.quantity, stop.stop_price)
    return [ReplaceStop(stop, total, price)] if changed or stop.order_id == s.renew else []


def _take_as_declared(s: Situation, take: OwnOrder, share: Decimal) -> list[Action]:
    """Never larger than its stop; gone where none is wanted."""
    d, instrument = s.declaration, s.instrument
    if take.pending or take.cancelling or take.owed:
        return []
    if share == 0 or (d.take is None and not d.take_by_person):
        return _cancels([take])
    assert instrument is not None
    assert take.limit_price is not None
    price = take.limit_price
    if d.take is not None and not d.take_by_person:
        price = safe_take(d.take, take.side.opposite, instrument.tick_size)
    total = take.filled_quantity + min(take.remaining, share)
    return [ReplaceTake(take, total, price)] if (total, price) != (take.quantity, take.limit_price) else []


def _take_alone(s: Situation, take: OwnOrder, left: Decimal) -> tuple[Decimal, list[Action]]:
    """A take whose stop is gone: no second order may close what it closes, so it makes way for a stop that is wanted,
    but not for one that is only not shown yet. Also what of the position is left to the next."""
    d = s.declaration
    if d.stop is not None and d.stop_by_person != "removed":
        return left, [] if s.unsettled else _cancels([take])
    return left - min(left, take.remaining), _take_as_declared(s, take, min(left, take.remaining))


def stop_gates(d: Declaration, instrument: Instrument | None, *, works: bool) -> StopGates:
    return StopGates(instrument, Purpose.STOP in d.refused, works, d.stop is not None, d.stop_by_person == "removed")


def _place_stop(s: Situation, o: _Orders, wanted: Decimal) -> list[Action]:
    d = s.declaration
    if wanted <= 0 or d.stop is None or d.stop_by_person == "removed" or s.unpriced or _free(s, o) < wanted:
        return []
    leg = _stop_leg(s, side_of(s.position))
    return [
        Place(Purpose.STOP, _against(s.position), wanted, OrderType.STOP_MARKET, stop_price=leg.price, trail=leg.trail)
    ]


def _open(s: Situation, o: _Orders) -> list[Action]:
    """What is missing to the declared exposure, once nothing is left that closes the other way."""
    d, side = s.declaration, side_of(s.declaration.quantity)
    missing = o.room - sum((each.remaining for each in o.entries if each.side is side), ZERO)
    if missing <= 0 or s.unsettled:
        return []
    left = d.quantity - side.sign * missing
    if s.now_utc > d.valid_until_utc:
        late_s = s.now_utc - d.valid_until_utc
        return [RefuseEntry("validity", f"the entry's validity ended {late_s:.0f} market seconds ago", left)]
    if s.entry_waits:
        return []
    if s.entry_refusal is not None:
        return [RefuseEntry(*s.entry_refusal, left)]
    closing = bool(o.exits) or any(each.exiting or s.position == 0 for each in o.astray)
    leaving = any(each.cancelling or each.side is not side for each in o.entries)
    if closing or leaving or s.position * side.sign < 0:
        return []
    return [Place(Purpose.ENTRY, side, missing, OrderType.MARKET, legs=_legs(s, o, side, missing))]


def _legs(s: Situation, o: _Orders, side: Side, quantity: Decimal) -> tuple[Leg, ...]:
    """What the venue is to hold for this entry. A person's doing counts for what is added, too. Legs that go out for
    the whole at its first part would close more than there is, and open the other side."""
    d = s.declaration
    stops = len(o.pairs) + sum(order.purpose is Purpose.STOP for order in o.waiting)
    if not s.children or s.instrument is None or d.stop is None or d.stop_by_person or stops >= PAIRS_MAX:
        return ()
    if s.early_children and quantity > s.instrument.quantity_step:
        return ()
    stop = _stop_leg(s, side)
    if d.take is None or d.take_by_person or not s.takes_native:
        return (stop,)
    return (stop, Leg(LegPurpose.TAKE, price=safe_take(d.take, side, s.instrument.tick_size)))


def _stop_leg(s: Situation, side: Side) -> Leg:
    d, instrument = s.declaration, s.instrument
    assert instrument is not None
    assert d.stop is not None
    if d.trail is not None and d.trail_native:
        return Leg(LegPurpose.STOP, trail=safe_trail(d.trail, instrument.tick_size))
    return Leg(LegPurpose.STOP, price=safe_stop(d.stop, side, instrument.tick_size))


# -- what they look at ------------------------------------------------------------------------------------------------


def _cancels(orders: Iterable[OwnOrder]) -> list[Action]:
    return [Cancel(order) for order in orders if not order.cancelling and not order.pending]


def _sure(s: Situation) -> Decimal:
    """How much of the position is there by all that is known: less, while a read says so and is not confirmed yet."""
    return abs(s.position if s.seen is None else clamped(s.position, s.seen))


def _free(s: Situation, o: _Orders) -> Decimal:
    """How much of the position no order would close: the most that a further closing order, or more of one, may have.
    A placing without outcome may be closing it just now."""
    if s.unsettled:
        return ZERO
    return max(ZERO, _sure(s) - o.occupied - o.promised)


def _against(position: Decimal) -> Side:
    return side_of(position).opposite


def _too_late(stop: OwnOrder) -> bool:
    return stop.late and not stop.exiting


def _kind(trail: Trail) -> str:
    """A venue changes the amount or the percentage of a trailing stop, not the one into the other."""
    return "amount" if trail.amount is not None else "percent"
