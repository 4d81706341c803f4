"""Orders that the venue ties to each other: whose leg an order is, and what of it is the venue's own doing.

Acts inside a transaction of the journal, as ``execution`` does. The venue's frames of tied orders come in any sequence,
and some never: what a frame can only mean together with another one is left for that one, or for a read of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from brokers.model import ZERO, Grouped, Order, OrderStatus, Outcome, RefusedByVenue, Unknown, Value
from trader.manager.account import Account, Now
from trader.manager.likeness import explains_nothing, may_go_on, priced_as
from trader.orders.intents import OPENED_SKEW_S, SETTLING_READS, Intent, Kind, Purpose, Settling, matches
from trader.orders.legs import Leg, leg_of, parent_of
from trader.orders.own_order import OwnOrder, placed
from trader.orders.terms import terms_of

ANSWERED = "the answer names its orders; which is which their frames tell"
replace = msgspec.structs.replace


class Answered(Value, frozen=True):
    """All legs of a bracket are accounted for, and these were accepted. The entry is among them or was refused."""

    order_ids: tuple[str, ...]


def answered(result: Grouped) -> Answered | Outcome:
    """An answer for several orders as one outcome (order-safety 3.1): refused only where all were, and unknown where it
    leaves one out."""
    for refusal in result.refusals:
        if refusal.duplicate or not result.order_ids:
            return _refusal(result, refusal)
    if result.missing:
        return Unknown(f"the answer tells of {result.legs - result.missing} of {result.legs} orders")
    return Answered(result.order_ids)


def _refusal(result: Grouped, first: RefusedByVenue) -> RefusedByVenue:
    return next((each for each in result.refusals if each.duplicate), first)


# -- whose it is -------------------------------------------------------------------------------------------------------


class Claimed(NamedTuple):
    """An order of ours that was not in the journal. ``intent``: the bracket whose entry it is, if that. ``refused``:
    legs that were, since all accepted orders of the answer are there now."""

    order: OwnOrder
    intent: Intent | None = None
    refused: tuple[Leg, ...] = ()


def in_sequence(frames: Iterable[Order]) -> list[Order]:
    """Entries before what waits for them, fills before what follows of them, ends last."""

    def place(frame: Order) -> tuple[bool, bool, bool]:
        return bool(parent_of(frame)), not frame.filled_quantity, frame.status is OrderStatus.CANCELLED

    return sorted(frames, key=place)


def claim(account: Account, frame: Order, now: Now) -> Claimed | None:
    """This order as one of a bracket of ours: told by the answer to it, or the child of its entry."""
    journal = account.journal
    parent = journal.orders.get(parent_of(frame))
    if parent is not None and parent.purpose is Purpose.ENTRY:
        return None if _may_go_on(account, parent, frame, now) else _child(account, parent, frame, now)
    for entry in journal.awaiting.values():
        if frame.order_id in entry.told:
            return _child(account, entry, frame, now)
    for intent in journal.open_intents.values():
        if intent.legs and frame.order_id in intent.result_order_id.split():
            return _of_answer(intent, frame)
    return None


def _may_go_on(account: Account, entry: OwnOrder, frame: Order, now: Now) -> bool:
    """Whether it can be a leg that we know, gone on under another id by a replace of unknown fate: that is for
    ``settlement`` to tell."""
    legs, asked = _children(account, entry), terms_of(frame)[1:]
    replaces = [i for i in account.lately(now) if i.kind is Kind.REPLACE and i.order_id in legs]
    return any(terms_of(intent)[1:] == asked for intent in replaces)


def _of_answer(intent: Intent, frame: Order) -> Claimed | None:
    """An entry is known by its side and type. A leg whose entry is not known yet waits for its frame."""
    if (frame.side, frame.type) != (intent.side, intent.type):
        return None
    told = tuple(intent.result_order_id.split())
    entry, refused = _unless_all_are_there(replace(placed(intent, frame.order_id), told=told), ())
    return Claimed(entry, intent, refused)


def _child(account: Account, entry: OwnOrder, frame: Order, now: Now) -> Claimed | None:
    """A leg as we asked for it; its frame then tells what it is by now. One that was given up meanwhile is as told.
    (A child of our entry is ours, whoever may have changed it.) What the other of its group has filled before we heard
    of this one, the venue takes from it."""
    asked = leg_of(frame, entry.side, entry.awaits)
    if frame.side is not entry.side.opposite:
        return None
    purpose = Purpose.TAKE if frame.limit_price is not None else Purpose.STOP
    tied = len(entry.awaits) > 1 or entry.group > 0
    others = [account.journal.orders[order_id] for order_id in _children(account, entry)]
    own = OwnOrder(
        order_id=frame.order_id,
        intent=entry.intent,
        purpose=purpose,
        symbol=frame.symbol,
        side=frame.side,
        type=frame.type,
        quantity=entry.quantity,
        stop_price=asked.stop_price if asked else frame.stop_price,
        limit_price=asked.limit_price if asked else frame.limit_price,
        trail=asked.trail if asked else frame.trail,
        parent=entry.order_id,
        group=entry.intent if tied else 0,
        owed=sum((other.filled_quantity for other in others), ZERO) if tied else ZERO,
        owed_since_s=now.s,
    )
    left = tuple(leg for leg in entry.awaits if leg is not asked)
    seen = (*_children(account, entry), frame.order_id)
    entry, refused = _unless_all_are_there(replace(entry, awaits=left, group=own.group), seen)
    account.journal.write_order(entry)
    return Claimed(own, refused=refused)


def _children(account: Account, entry: OwnOrder) -> tuple[str, ...]:
    return tuple(each.order_id for each in account.journal.orders.values() if each.parent == entry.order_id)


def _unless_all_are_there(entry: OwnOrder, seen: tuple[str, ...]) -> tuple[OwnOrder, tuple[Leg, ...]]:
    """Of a whole answer, the legs that none of its ids is left for were refused."""
    if entry.told and not set(entry.told) - {entry.order_id, *seen}:
        return replace(entry, awaits=()), entry.awaits
    return entry, ()


# -- legs of unknown fate ----------------------------------------------------------------------------------------------


def claim_by_looks(account: Account, order: Order, orders: Iterable[Order], now: Now) -> Claimed | None:
    """Of a venue that names no parents: a leg is known by its terms in a read, and by the id that an answer named. One
    to which a take is tied is claimed only where nothing else can be it, and it nothing else."""
    orders = tuple(orders)
    if may_go_on(account, order, orders):
        return None
    fitting = [entry for entry in account.journal.awaiting.values() if _fits(account, entry, order, orders)]
    for entry in fitting:
        tied = len(entry.awaits) > 1 or entry.group > 0
        if not (tied and (len(fitting) > 1 or _has_rivals(account, entry, order, orders))):
            return _child(account, entry, order, now)
    return None


def _fits(account: Account, entry: OwnOrder, order: Order, orders: tuple[Order, ...]) -> bool:
    stranger = not (order.links or account.journal.knows_order(order.order_id)) and explains_nothing(account, order)
    return stranger and _may_be_leg(entry, order) and _as_large(account, entry, order, orders)


def _has_rivals(account: Account, entry: OwnOrder, order: Order, orders: tuple[Order, ...]) -> bool:
    """Another order can be this leg, or this order a stop of ours whose answer was lost."""
    if order.order_id in entry.told:
        return False
    placings = [i for i in account.journal.open_intents.values() if i.kind is Kind.PLACE and not i.legs]
    others = [o for o in orders if o.type is order.type and o.order_id != order.order_id]
    return any(matches(i, order, ()) for i in placings) or any(_fits(account, entry, o, orders) for o in others)


def _may_be_leg(entry: OwnOrder, order: Order) -> bool:
    if entry.told and order.order_id not in entry.told:
        return False
    leg = leg_of(order, entry.side, entry.awaits) if order.symbol == entry.symbol else None
    return leg is not None and order.opened_utc >= entry.written_utc - OPENED_SKEW_S and priced_as(leg, order)


def _as_large(account: Account, entry: OwnOrder, order: Order, orders: Iterable[Order]) -> bool:
    """Of its entry's size, or smaller by what the other of the pair has filled: so the venue has made it."""
    if order.quantity == entry.quantity or not (len(entry.awaits) > 1 or entry.group):
        return order.quantity == entry.quantity
    known = _children(account, entry)
    others = [o for o in orders if o.order_id in known or _may_be_leg(entry, o)]
    taken = sum((o.filled_quantity for o in others if o.order_id != order.order_id), ZERO)
    return order.quantity == entry.quantity - taken


def give_up_legs(account: Account, orders: tuple[Order, ...], requested_s: float, now: Now) -> list[OwnOrder]:
    """Entries whose legs no read shows for so long that they are not there: what is held gets a stop of its own.
    History is asked first, since one may have filled and left with the day; where that is not to be had, not for ever.
    Those of which an order may be a leg, and may be another, go on awaiting it.
    """
    over = []
    waited = {-entry.intent for entry in account.journal.awaiting.values()}
    for number in [each for each in account.settling if each < 0 and each not in waited]:
        del account.settling[number]  # their frames came
    for entry in list(account.journal.awaiting.values()):
        so_far = account.settling.setdefault(-entry.intent, Settling(now.s))
        if requested_s < so_far.since_s:
            continue
        so_far = replace(so_far, reads=so_far.reads + 1)
        account.settling[-entry.intent] = so_far
        waited_s, timing = requested_s - so_far.since_s, account.timing
        unseen = so_far.reads >= SETTLING_READS and waited_s >= timing.settle_s
        if unseen and not (so_far.searched or waited_s >= timing.on_its_way_s):
            account.search_since_utc = min(entry.written_utc, account.search_since_utc or entry.written_utc)
        elif unseen and any(_fits(account, entry, order, orders) for order in orders):
            if waited_s > timing.on_its_way_s:
                over.append(entry)
        elif unseen:
            account.settling.pop(-entry.intent)
            account.journal.write_order(replace(entry, awaits=()))
            over.append(entry)
        else:
            account.want_read = True
    return over


def legs_searched(account: Account, since_utc: float) -> None:
    """History was asked for what reads had not shown of these legs."""
    for entry in account.journal.awaiting.values():
        so_far = account.settling.get(-entry.intent)
        if so_far is not None and so_far.reads >= SETTLING_READS and entry.written_utc >= since_utc:
            account.settling[-entry.intent] = replace(so_far, searched=True)


# -- what the venue does by itself -------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """What may be taken of a frame. ``wait``: nothing, before another frame or a read has told the rest. ``by_venue``:
    the end or the smaller size that it shows follows of a tie."""

    wait: bool = False
    by_venue: bool = False


TAKEN = Judged()


def judged(
    account: Account, own: OwnOrder, frame: Order, *, read: bool, shown: Mapping[str, Order], replacing: bool
) -> Judged:
    """A frame of an order that is tied to others. ``shown``: all orders of its read, or of its message. ``replacing``:
    a replace of it may have taken, so that it may go on under another id."""
    if own.purpose is Purpose.ENTRY or not (own.parent or own.group):
        return TAKEN
    entry = account.journal.orders.get(own.parent)
    filling = entry is not None and entry.working and not (read and entry.order_id in shown)
    filling = filling and not (read and has_vanished(account, own.parent))
    if filling and frame.filled_quantity > own.filled_quantity:
        account.want_read = True  # its entry has filled, or it would not work: that is to be known first
        return Judged(wait=True)
    if filling and frame.status is OrderStatus.WORKING:
        account.want_read = True
    ends = frame.status is OrderStatus.CANCELLED and own.working and not own.cancelling
    less = own.quantity - frame.quantity if own.group and frame.working else 0
    if not ends and less <= 0:
        return TAKEN
    if ends and replacing and not own.dying:
        return TAKEN
    others = _others(account, own)
    awaited = entry is not None and own.group > 0 and entry.awaits
    owed = own.owed if filling or awaited else own.owed + _filling_now(others, shown)
    if ends_with_its_group(account, own, shown) if ends else 0 < less <= owed:
        return Judged(by_venue=True)
    asked = own.pending == "replace" and frame.quantity == own.asked_quantity
    untold = [each for each in others if not read or _fate_is_open(account, each, shown)]
    if not asked and (filling or untold or awaited):
        account.want_read |= not read
        return Judged(wait=True)
    return TAKEN


def _filling_now(others: Iterable[OwnOrder], shown: Mapping[str, Order]) -> Decimal:
    """What these have filled by what is told together, and is owed when their own frames are taken: of two that have
    both filled in part, each has made the other smaller."""
    told = [(each, shown[each.order_id]) for each in others if each.order_id in shown]
    return sum((max(ZERO, frame.filled_quantity - each.filled_quantity) for each, frame in told), ZERO)


def ends_with_its_group(account: Account, own: OwnOrder, shown: Mapping[str, Order]) -> bool:
    """Whether the end of it follows of what its entry or its group has done, or we have. ``shown``: what is told with
    it."""
    entry = account.journal.orders.get(own.parent)
    return own.owed > 0 or _ended_without_it(entry, own) or _group_withdrawn(account, own, shown)


def _ended_without_it(entry: OwnOrder | None, own: OwnOrder) -> bool:
    return entry is not None and not entry.working and entry.filled_quantity < entry.quantity


def _group_withdrawn(account: Account, own: OwnOrder, shown: Mapping[str, Order]) -> bool:
    """Some venues may end a group with one of it that we have cancelled. That one has ended by then, or is ending:
    while it works on, our cancel was lost, or is still on its way."""
    tied = [each for each in account.journal.orders.values() if own.group and each.group == own.group]
    return any(each.withdrawn and not _works_on(account, each, shown) for each in tied)


def _works_on(account: Account, withdrawn: OwnOrder, shown: Mapping[str, Order]) -> bool:
    frame = shown.get(withdrawn.order_id)
    if frame is None or not withdrawn.working:
        return withdrawn.working and not has_vanished(account, withdrawn.order_id)
    return frame.status in (OrderStatus.RECEIVED, OrderStatus.WORKING)


def outlived(account: Account, own: OwnOrder, frame: Order) -> None:
    """A current read shows it at work after one of its group that we have cancelled has ended: that did not end the
    group, and whoever ends this one later is somebody else."""
    if own.group and frame.working:
        for each in list(account.journal.orders.values()):
            if each.group == own.group and each.withdrawn and not each.working:
                account.journal.write_order(replace(each, withdrawn=False))


def has_vanished(account: Account, order_id: str) -> bool:
    """Neither reads nor history have it: nothing more will be told of it."""
    return account.missing.get(order_id, 0.0) is None


def sent_early(account: Account, own: OwnOrder, frame: Order, shown: Mapping[str, Order]) -> bool:
    """A read shows it at work, or filled, beside an entry that has filled in part and works on. (A stream may tell of
    the leg first, and of the rest of its entry then.)"""
    entry = account.journal.orders.get(own.parent)
    if entry is None or own.early or entry.order_id not in shown:
        return False
    in_part = entry.working and ZERO < entry.filled_quantity < entry.quantity
    return in_part and (frame.status is OrderStatus.WORKING or frame.filled_quantity > 0)


def learn_of_early(account: Account, own: OwnOrder, now: Now) -> None:
    """A habit of the venue, of which we are told once: entries that could fill in part go without legs from now on."""
    journal = account.journal
    if journal.minded(own.symbol).early_children:
        return
    for symbol in account.session.symbols:
        journal.mind(symbol, replace(journal.minded(symbol), early_children=True))
    text = f"{own.symbol}: the venue has sent the {own.purpose} {own.order_id}, of {own.quantity}, at the first part of"
    text += f" its entry {own.parent}: it is made as large as what is held, and entries of more than the smallest"
    text += " quantity go without stop and take from now on; the desk places them after each fill"
    account.event(now, "bracket.early", "NOTIFY", text, order_id=own.order_id)


def _fate_is_open(account: Account, other: OwnOrder, shown: Mapping[str, Order]) -> bool:
    """Whether a whole read leaves open what has become of it, so that it, or what it goes on as, may have filled:
    history or the settling of its replace tells."""
    frame = shown.get(other.order_id)
    if frame is None:
        return not has_vanished(account, other.order_id)
    return frame.status is OrderStatus.CANCELLED and other.pending == "replace"


def _others(account: Account, own: OwnOrder) -> list[OwnOrder]:
    """What it is tied to and still works, as far as we know."""
    tied = [each for each in account.journal.working.values() if own.group and each.group == own.group]
    return [each for each in tied if each.purpose is not Purpose.ENTRY and each.order_id != own.order_id]


def owe(account: Account, own: OwnOrder, filled: Decimal, now: Now) -> None:
    """One of a group has filled: the venue takes as much from the others, whose frames may come later."""
    for other in _others(account, own):
        account.journal.write_order(replace(other, owed=other.owed + filled, owed_since_s=now.s))


def not_taken(account: Account, own: OwnOrder, requested_s: float) -> OwnOrder:
    """A read so long after the other's fill that still shows the old size: the venue has not taken it, so we shall."""
    overdue = own.owed > 0 and own.working and requested_s >= own.owed_since_s + account.timing.settle_s
    return replace(own, owed=ZERO) if overdue else own
