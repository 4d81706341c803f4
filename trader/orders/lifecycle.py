"""Our orders at the broker: a table (state, event) -> state, and each fill once. PURE.

A frame of an order is whole and cumulative: the total filled so far is assigned, never added; the difference to what
we knew is the fill. So the same frame may come by stream, snapshot and restart. Odd rows of the table are annotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from brokers.model import ZERO, Order, OrderStatus, Value
from trader.orders.intents import Purpose
from trader.orders.own_order import OwnOrder
from trader.orders.terms import Terms, terms, terms_of

PRICE_NOISE = Decimal("0.00005")
"""Share of a price by which two tellings of one average may differ: less than a tick of what we trade."""

R, W, C = OrderStatus.RECEIVED, OrderStatus.WORKING, OrderStatus.CANCELLING
F, X, E, J, U = (
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.EXPIRED,
    OrderStatus.REJECTED,
    OrderStatus.UNKNOWN,
)

ODD: Mapping[tuple[OrderStatus, OrderStatus], tuple[OrderStatus, str]] = {
    (W, R): (W, ""),  # an older frame: the stream's snapshot repeats
    (C, R): (C, ""),
    (C, W): (W, "a cancel that did not take"),
    (F, R): (F, ""),
    (F, W): (F, ""),
    (F, C): (F, ""),
    (F, X): (F, "out after it was filled"),
    (F, E): (F, "expired after it was filled"),
    (F, J): (F, "rejected after it was filled"),
    (X, R): (X, ""),
    (X, W): (X, ""),
    (X, C): (X, ""),
    (X, F): (F, "a fill after the cancel"),
    (X, E): (X, ""),
    (X, J): (X, ""),
    (E, R): (E, ""),
    (E, W): (E, ""),
    (E, C): (E, ""),
    (E, F): (F, "a fill after it expired"),
    (E, X): (E, ""),
    (E, J): (E, ""),
    (J, R): (J, ""),
    (J, W): (J, "works after it was rejected"),
    (J, C): (J, ""),
    (J, F): (F, "a fill after the rejection"),
    (J, X): (J, ""),
    (J, E): (J, ""),
}
"""What is not plainly "take what the broker says"; the text is for the record."""


def next_status(status: OrderStatus, seen: OrderStatus) -> tuple[OrderStatus, str]:
    """The table: each (state, event) has its row."""
    if seen is U:
        return status, "a status code that we do not know"
    if status is U:
        return seen, ""
    return ODD.get((status, seen), (seen, ""))


class What(StrEnum):
    FILLED = "filled"
    CHARGED = "charged"
    REJECTED = "rejected"
    CANCELLED_BY_OTHER = "cancelled by somebody else"
    CHANGED_BY_OTHER = "changed by somebody else"
    ENDED = "ended"
    CONFIRMED = "confirmed"
    ODD = "odd"
    OUT = "ended, and reads decide as what"
    BACK = "works after all, when it was taken for ended"
    TAKEN_BACK = "fills taken back or changed, in one read"
    CORRECTED = "fills taken back or changed, in two reads"


class Happening(Value, frozen=True):
    """What a frame told us. ``quantity`` and ``price`` are of the fill, for FILLED; ``quantity`` is how much the order
    grew, for CHANGED_BY_OTHER; ``fee_usd`` is for CHARGED: below 0 the venue has taken back so much."""

    what: What
    text: str = ""
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    fee_usd: Decimal = ZERO


class Asked(Value, frozen=True):
    """What we asked of an order and do not know the fate of, or gave up so lately that it can still take.
    ``replaces``: what those replaces would make of it. ``cancel``: one of them was a cancel."""

    replaces: tuple[Terms, ...] = ()
    cancel: bool = False


NOTHING_ASKED = Asked()


def seen(
    own: OwnOrder,
    frame: Order,
    *,
    current: bool,
    read: bool = False,
    asked: Asked = NOTHING_ASKED,
    by_venue: bool = False,
    revives: bool = False,
) -> tuple[OwnOrder, tuple[Happening, ...]]:
    """A frame of one of our orders. ``current`` False: requested before our last word on it, so that only what can
    never be undone counts (fills, ends), and no price or quantity. ``read``: it comes of a read and not of a stream,
    whose replays can be older than what we know. ``by_venue``: an end or a smaller size in it is what the order's group
    or parent brings about, nobody's doing. ``revives``: it was asked for so long after our last word that an order
    which had ended, and works in it, does work: what we were told of its end was wrong."""
    own, frame, told = _at_most(own, frame)
    own, back = _alive(own, frame, current=current, read=read, revives=revives)
    told += back
    status, odd = next_status(own.status, frame.status)
    if odd and odd != own.odd:
        told.append(Happening(What.ODD, f"{own.status} -> {frame.status} ({frame.venue_status}): {odd}"))
    if not current and not status.terminal:
        status = own.status
    after, fill = _filled(own, frame)
    told += fill
    after, fee = _charged(after, frame, last_word=current and read)
    told += fee
    if current and own.purpose is Purpose.STOP:
        after = _dated(after, frame)
    if current and read:
        after, taken_back = _taken_back(after, frame)
        told += taken_back
    replaced = status is OrderStatus.CANCELLED and bool(asked.replaces) and not (own.cancelling or by_venue)
    if replaced and not own.status.terminal:
        status = own.status
        if not own.out:
            after, told = _replaced(after, out=True), [*told, Happening(What.OUT)]
    elif current and not status.terminal and not own.out:
        after, changes = _terms(_reduced(after, frame) if by_venue else after, frame, asked)
        told += changes
    if status.terminal and not own.status.terminal:
        told += [Happening(What.ENDED, str(status))] if by_venue else _ended(own, status, frame, asked)
        after = given_up(after, quantity=frame.quantity, type=frame.type, out=False)
    if status is not after.status or (odd and odd != after.odd):
        after = _replaced(after, status=status, odd=odd or own.odd)
    return after, tuple(told)


def _at_most(own: OwnOrder, frame: Order) -> tuple[OwnOrder, Order, list[Happening]]:
    """More than its quantity cannot be filled: what the position has of it, reads of the position tell."""
    most = max(own.quantity, frame.quantity)
    if frame.filled_quantity <= most:
        return own, frame, []
    beyond = f"filled {frame.filled_quantity} of {most}"
    told = [] if beyond == own.odd else [Happening(What.ODD, beyond)]
    return _replaced(own, odd=beyond), msgspec.structs.replace(frame, filled_quantity=most), told


def _alive(
    own: OwnOrder, frame: Order, *, current: bool, read: bool, revives: bool
) -> tuple[OwnOrder, list[Happening]]:
    """What we took for ended works: a person's release had presumed its end, or its end was told wrongly. It is ours
    and late: others may have taken its place. Or it lives on under its id, after one version of it had ended."""
    told: list[Happening] = []
    lives = not (frame.status.terminal or frame.status is U)
    if own.presumed and current and read:
        if lives:
            own, told = _replaced(own, presumed=False, late=True, status=frame.status), [Happening(What.BACK)]
    elif revives and own.status in (X, E, J) and frame.status in (R, W, C):
        told = [Happening(What.BACK, f"{own.status} -> {frame.status} ({frame.venue_status})")]
        own = _replaced(own, status=frame.status, late=True, odd="")
    if own.out and current and lives:
        own = _replaced(own, out=False)
    return own, told


def _filled(own: OwnOrder, frame: Order) -> tuple[OwnOrder, list[Happening]]:
    """The difference of the cumulative totals is the fill; its price makes both averages true."""
    quantity = frame.filled_quantity - own.filled_quantity
    average = frame.average_fill_price
    if quantity <= 0 or average is None:
        return own, []
    paid_before = own.filled_quantity * (own.average_fill_price or ZERO)
    price = average if own.filled_quantity == 0 else (frame.filled_quantity * average - paid_before) / quantity
    after = _replaced(own, filled_quantity=frame.filled_quantity, average_fill_price=average, doubted=None)
    return after, [Happening(What.FILLED, quantity=quantity, price=price)]


def _dated(own: OwnOrder, frame: Order) -> OwnOrder:
    """Since when it is there and when it ends by itself, as far as the frame says so."""
    dates = (frame.opened_utc or own.opened_utc, frame.good_till_utc or own.good_till_utc)
    if dates == (own.opened_utc, own.good_till_utc):
        return own
    return _replaced(own, opened_utc=dates[0], good_till_utc=dates[1])


def _charged(own: OwnOrder, frame: Order, *, last_word: bool) -> tuple[OwnOrder, list[Happening]]:
    """The commission is cumulative too, and may be told after the fill. Of a stream an older frame shows less; a read
    that is newer than all we know is the venue's last word, also where it takes back what was charged."""
    if frame.commission_usd is None:
        return own, []
    fee_usd = frame.commission_usd - own.commission_usd
    believed = last_word if fee_usd < 0 else own.filled_quantity or own.corrections
    if not (fee_usd and believed):
        return own, []
    return _replaced(own, commission_usd=frame.commission_usd), [Happening(What.CHARGED, fee_usd=fee_usd)]


def _reduced(own: OwnOrder, frame: Order) -> OwnOrder:
    """Smaller by what the other of its group has filled. What is on its way to it has no size of its own."""
    less = own.quantity - frame.quantity
    if less <= 0:
        return own
    asked = None if own.asked_quantity is None else own.asked_quantity - less
    coming = None if own.on_its_way is None else own.on_its_way - less
    return _replaced(own, quantity=frame.quantity, asked_quantity=asked, on_its_way=coming, owed=own.owed - less)


def _taken_back(own: OwnOrder, frame: Order) -> tuple[OwnOrder, list[Happening]]:
    """A trade that was broken or corrected: the total goes down, or its price changes. Two reads must say so. Never a
    fill the other way: what it does to the position, the reads of the position tell."""
    told = (frame.filled_quantity, frame.average_fill_price)
    had = (own.filled_quantity, own.average_fill_price)
    if told[0] > had[0] or (told[0] == had[0] and _same_price(told[1], had[1])):
        return (own if own.doubted is None else _replaced(own, doubted=None)), []
    text = f"filled {had[0]} at {had[1]} -> {told[0]} at {told[1]} ({frame.venue_status})"
    if own.doubted != told:
        return _replaced(own, doubted=told), [Happening(What.TAKEN_BACK, text)]
    price = told[1] if told[0] else None
    after = _replaced(
        own, filled_quantity=told[0], average_fill_price=price, doubted=None, corrections=own.corrections + 1
    )
    return after, [Happening(What.CORRECTED, text, quantity=told[0] - had[0])]


def _same_price(told: Decimal | None, had: Decimal | None) -> bool:
    """Where nothing is told nothing is changed; averages come rounded, each time in another way."""
    if told is None or had is None:
        return True
    return abs(told - had) <= abs(had) * PRICE_NOISE


def _terms(own: OwnOrder, frame: Order, asked: Asked) -> tuple[OwnOrder, list[Happening]]:
    """Quantity, prices and type of an open order: ours as asked, as before, or somebody else's doing."""
    now, had = terms_of(frame), terms_of(own)
    shown = {
        "quantity": frame.quantity,
        "stop_price": frame.stop_price,
        "type": frame.type,
        "limit_price": frame.limit_price,
        "trail": frame.trail,
        "duration": frame.duration,
    }
    if own.pending == "replace" and now == asked_terms(own):
        return given_up(own, **shown), [Happening(What.CONFIRMED)]
    if now == had:
        same = (frame.stop_price, frame.duration) == (own.stop_price, own.duration)
        return own if same else _replaced(own, stop_price=frame.stop_price, duration=frame.duration), []
    taken = _replaced(own, **shown)
    if any(as_asked(own, now, each) for each in asked.replaces) or _goes_on_with_less(own, now, had):
        return taken, [Happening(What.CONFIRMED)]
    sizes = {each.quantity for each in asked.replaces} | {own.asked_quantity}
    by_other = ZERO if now.quantity in sizes else now.quantity - had.quantity  # a size of ours with their price
    return taken, [Happening(What.CHANGED_BY_OTHER, f"{had} -> {now}", quantity=by_other)]


def as_asked(own: OwnOrder, now: Terms, asked: Terms) -> bool:
    """Whether these are the terms that a replace would bring. (The size of what is tied is the venue's.)"""
    size = own.quantity if own.group else asked.quantity
    return now[1:] == asked[1:] and now.quantity in (size, asked.quantity)


def _goes_on_with_less(own: OwnOrder, now: Terms, had: Terms) -> bool:
    """The first frame of an order that goes on for another one, of which more was filled than we had heard."""
    first = bool(own.renews) and own.status is OrderStatus.RECEIVED
    return first and now[1:] == had[1:] and now.quantity < had.quantity


def asking(own: OwnOrder, asked: Terms) -> OwnOrder:
    return _replaced(
        own,
        asked_quantity=asked.quantity,
        asked_type=asked.type,
        asked_stop_price=asked.stop_price,
        asked_limit_price=asked.limit_price,
        asked_trail=asked.trail,
    )


def asked_terms(own: OwnOrder) -> Terms:
    """What the order is when the pending replace has taken."""
    return terms(
        own.asked_quantity or own.quantity,
        own.asked_type or own.type,
        own.asked_stop_price or own.stop_price,
        own.asked_limit_price or own.limit_price,
        own.asked_trail or own.trail,
    )


def _ended(own: OwnOrder, status: OrderStatus, frame: Order, asked: Asked) -> list[Happening]:
    if status is OrderStatus.REJECTED:
        return [Happening(What.REJECTED, frame.reject_reason or "rejected by the venue")]
    if status is OrderStatus.CANCELLED and own.pending != "cancel" and not asked.cancel:  # it may have said CANCELLING
        return [Happening(What.CANCELLED_BY_OTHER, frame.reject_reason)]
    return [Happening(What.ENDED, str(status))]


def given_up(own: OwnOrder, **shown: object) -> OwnOrder:
    """The pending request is settled as not done: the order is what the broker shows."""
    asked = {"asked_quantity": None, "asked_stop_price": None, "asked_type": None}
    asked |= {"asked_limit_price": None, "asked_trail": None}
    return _replaced(own, pending="", unsure=False, denied="", **asked, **shown)


def _replaced(own: OwnOrder, **changes: object) -> OwnOrder:
    return msgspec.structs.replace(own, **changes)
