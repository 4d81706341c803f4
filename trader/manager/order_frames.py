"""What the broker tells of our orders, into the journal: fills, ends, changes, and legs that show up.

Acts inside a transaction, as ``execution`` does. What a frame says of one order is ``lifecycle``'s to tell,
what it means together with others ``brackets``'; here follows what it does to position, declaration and open changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from brokers.model import ZERO, Order, OrderStatus
from trader.manager.account import DIVERGENCE, Account, Now
from trader.manager.brackets import (
    Claimed,
    claim,
    claim_by_looks,
    ends_with_its_group,
    in_sequence,
    judged,
    learn_of_early,
    not_taken,
    outlived,
    owe,
    sent_early,
)
from trader.manager.execution import extended_form_refused, refused_by, settled
from trader.manager.lagging import not_counted_yet
from trader.manager.refusals import refuse_again, reject
from trader.messages import FillRow
from trader.orders.declaration import Declaration, voided
from trader.orders.intents import IntentState, Kind, Purpose, Settling
from trader.orders.legs import Leg, LegPurpose
from trader.orders.lifecycle import NOTHING_ASKED, Asked, Happening, What, as_asked, asking, given_up, seen
from trader.orders.own_order import OwnOrder
from trader.orders.position import Holding, after_fill, clamped, same_side
from trader.orders.terms import terms_of

replace = msgspec.structs.replace


def take_legs(account: Account, orders: Iterable[Order], now: Now) -> None:
    """Orders of a read that are of a bracket of ours, and are not in the journal yet."""
    journal = account.journal
    orders = tuple(orders)
    for order in in_sequence([each for each in orders if not journal.knows_order(each.order_id)]):
        found = claim(account, order, now) or claim_by_looks(account, order, orders, now)
        if found is not None:
            _take(account, found, now)


def _take(account: Account, found: Claimed, now: Now) -> OwnOrder:
    order, symbol = found.order, found.order.symbol
    if found.intent is not None:
        settled(account, found.intent, IntentState.ACCEPTED, "", now, order.order_id)
    account.journal.write_order(order)
    for leg in found.refused:
        _leg_refused(account, symbol, leg, order.quantity, now)
    return order


def _leg_refused(account: Account, symbol: str, leg: Leg, quantity: Decimal, now: Now) -> None:
    """The entry was taken and this was not. A stop is placed by itself once there is something to protect."""
    text = f"{symbol}: the venue took the entry and refused its {leg.purpose}"
    if leg.purpose is LegPurpose.STOP and extended_form_refused(account, symbol, "in a bracket", now):
        return
    reject(account, now, symbol, "venue", f"{leg.purpose} refused, the entry was taken", quantity)
    account.event(now, f"{leg.purpose}.refused", "PAGE", text)


def frames(account: Account, orders: Iterable[Order], now: Now, requested_s: float | None = None) -> None:
    """Frames of a stream (``requested_s`` None), or of a read: there, what is older than our own last word on the
    symbol counts only in what can never be undone."""
    shown = {frame.order_id: frame for frame in orders}
    told_of = sorted(in_sequence(shown.values()), key=lambda frame: not _is_entry(account, frame))
    for frame in told_of:
        own = account.journal.orders.get(frame.order_id)
        new = own is None and not account.journal.knows_order(frame.order_id)
        if new and (found := claim(account, frame, now)) is not None:
            own = _take(account, found, now)
        if own is None:
            account.want_read |= account.doubtful(frame.symbol)
            continue
        read, asked = requested_s is not None, _asked(account, own, now)
        verdict = judged(account, own, frame, read=read, shown=shown, replacing=bool(asked.replaces))
        if verdict.wait:
            continue
        current = requested_s is None or requested_s >= account.changed_s.get(own.symbol, 0.0)
        quiet_s = account.changed_s.get(own.symbol, 0.0) + account.timing.settle_s
        revives = requested_s is not None and requested_s >= quiet_s
        ended = own.status.terminal and own.status is not OrderStatus.FILLED
        account.want_read |= ended and frame.working and requested_s is None
        after, told = seen(
            own, frame, current=current, read=read, asked=asked, by_venue=verdict.by_venue, revives=revives
        )
        if current and requested_s is not None:
            outlived(account, own, frame)
            after = not_taken(account, after, requested_s)
            if sent_early(account, after, frame, shown):
                after = replace(after, early=True)
                learn_of_early(account, after, now)
            if after.pending:
                waits, after = after, _given_up_when_overdue(account, after, requested_s, now)
                if waits.pending and not after.pending:
                    _not_carried_out(account, waits, now)
        if after.on_its_way is not None and now.utc > after.on_its_way_until_utc:
            after = replace(after, on_its_way=None)
        if after != own:
            account.journal.write_order(after)
            if replace(after, odd=own.odd, doubted=own.doubted) != own:
                account.changed_s[own.symbol] = max(account.changed_s.get(own.symbol, 0.0), requested_s or now.s)
        for happening in told:
            _happened(account, after, happening, now)
        _settle_changes(account, after, now)


def _is_entry(account: Account, frame: Order) -> bool:
    """Where the venue names no parents, only we know."""
    own = account.journal.orders.get(frame.order_id)
    return own is not None and own.purpose is Purpose.ENTRY


def _asked(account: Account, own: OwnOrder, now: Now) -> Asked:
    """Changes of this order whose fate is unknown, or which were given up so lately that they may still be on their
    way."""
    intents = [i for i in account.lately(now) if i.order_id == own.order_id]
    if not intents:
        return NOTHING_ASKED
    replaces = tuple([terms_of(i) for i in intents if i.kind is Kind.REPLACE])
    return Asked(replaces, any(i.kind is Kind.CANCEL for i in intents))


def _given_up_when_overdue(account: Account, order: OwnOrder, requested_s: float, now: Now) -> OwnOrder:
    """A replace or cancel that a read does not show so long after it was sent did not take. A replace may arrive yet:
    what it would make of the order counts among what that may fill, else a late enlargement could turn the position."""
    timing = account.timing
    if not order.working or order.out or requested_s < order.pending_since_s + timing.settle_s:
        return order
    if order.pending == "cancel" and order.status is OrderStatus.CANCELLING:
        return order  # under way: while the market is closed that lasts
    if order.pending != "replace":
        return given_up(order)
    largest = max(order.asked_quantity or order.quantity, order.on_its_way or ZERO)
    until_utc = now.utc + timing.on_its_way_s * now.rate
    return given_up(order, on_its_way=largest, on_its_way_until_utc=until_utc)


def _not_carried_out(account: Account, order: OwnOrder, now: Now) -> None:
    """Refused as if it had ended, and reads show that it has not; or accepted, and reads show nothing of it: a refusal
    like any other, so that a loop of them is held and somebody looks. What is wanted of it is tried again. (Of one
    whose answer was lost nobody knows that it arrived.)"""
    if order.denied:
        why = f"refused, and it works: {order.denied}"
    elif any(intent.order_id == order.order_id for intent in account.journal.open_intents.values()):
        return
    else:
        why = f"accepted, and not carried out within {account.timing.settle_s:g} s"
    text = f"{order.pending} of {order.purpose} {order.order_id} {why}"
    refuse_again(account, now, order.symbol, "venue", text, order.quantity, row=True)


def _settle_changes(account: Account, order: OwnOrder, now: Now) -> None:
    """Replaces and cancels of unknown fate are settled by what the order is now."""
    if (order.pending or order.out) and order.working:
        return
    for intent in list(account.journal.open_intents.values()):
        if intent.order_id == order.order_id:
            lived = order.working or order.status is OrderStatus.FILLED  # as the stop that became the exit, and filled
            took = lived and as_asked(order, terms_of(order), terms_of(intent))
            if intent.kind is Kind.CANCEL:
                took = order.status is OrderStatus.CANCELLED
            state = IntentState.ACCEPTED if took else IntentState.GIVEN_UP
            settled(account, intent, state, f"settled by a read: {order.status}", now, order.order_id)


def _happened(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    if told.what is What.FILLED:
        _filled(account, order, told, now)
    elif told.what is What.CHARGED:
        account.journal.write_fee(order, told.fee_usd, now.utc)
    elif told.what is What.REJECTED:
        refused_by(account, order, "venue", told.text, now)
    elif told.what is What.CANCELLED_BY_OTHER:
        _cancelled_by_other(account, order, told, now)
    elif told.what is What.CHANGED_BY_OTHER:
        _changed_by_other(account, order, told, now)
    elif told.what is What.OUT:
        _out(account, order, now)
    elif told.what is What.BACK:
        _back(account, order, told, now)
    elif told.what is What.CORRECTED:
        _corrected(account, order, told, now)
    elif told.what in (What.ODD, What.TAKEN_BACK):
        account.want_read |= told.what is What.TAKEN_BACK
        account.event(now, "order.odd", "DIGEST", f"{order.symbol} order {order.order_id}: {told.text}")


def _filled(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    journal, symbol = account.journal, order.symbol
    journal.write_fill(order, told.quantity, told.price, now.utc)
    before = journal.holding(symbol)
    new = not_counted_yet(account, order, told.quantity, now)
    held = after_fill(before, order.side, new, told.price, now.utc) if new else before
    journal.hold_position(symbol, held)
    declaration = journal.declaration(symbol)
    late = order.late and (order.purpose is Purpose.ENTRY or not same_side(held.quantity, declaration.quantity))
    if late or _filled_over_a_stop(account, order, declaration, before):
        declaration = replace(declaration, quantity=held.quantity)
    elif order.purpose in (Purpose.STOP, Purpose.TAKE) and not order.exiting:
        declaration = replace(declaration, quantity=clamped(declaration.quantity, held.quantity))
    if held.quantity == 0:
        declaration = replace(declaration, stop_by_person="", stop_less=ZERO, take_by_person="")
    if declaration.voided:
        account.unconfirmed.setdefault(symbol, now.s)
        account.want_read = True
    if order.group and order.purpose is not Purpose.ENTRY:
        owe(account, order, told.quantity, now)
    journal.declare(declaration)
    journal.add_row(
        FillRow(
            symbol=symbol,
            side=order.side,
            quantity=told.quantity,
            price=told.price,
            order_id=order.order_id,
            purpose="exit" if order.exiting else order.purpose,
            position=held.quantity,
            filled_utc=now.utc,
        )
    )
    account.want_read |= account.flattening
    text = f"{symbol}: {order.purpose} {order.side} {told.quantity} at {told.price}, position {held.quantity}"
    account.event(now, "order.filled", "DIGEST", text, order_id=order.order_id)


def _filled_over_a_stop(account: Account, order: OwnOrder, declaration: Declaration, before: Holding) -> bool:
    """An entry that filled while a halt or a divergence was cancelling it is kept and protected: a halt closes nothing,
    and no exit follows from a divergence."""
    stopped = account.in_force.halted or declaration.voided
    kept = stopped and not account.flattening and declaration.quantity == before.quantity
    return kept and order.purpose is Purpose.ENTRY


def _out(account: Account, order: OwnOrder, now: Now) -> None:
    """It has ended while a replace of it may have taken under another id. A replace that was given up is in doubt
    again; reads settle it (``settlement``)."""
    journal = account.journal
    for intent in list(account.lately(now)):
        if intent.order_id == order.order_id and intent.kind is Kind.REPLACE:
            if intent.state is IntentState.GIVEN_UP:
                journal.write_intent(replace(intent, state=IntentState.UNKNOWN, settled_utc=None, doubted_utc=now.utc))
            account.settling[intent.number] = Settling(now.s)
            pending = replace(order, pending="replace", unsure=True, pending_since_s=now.s)
            journal.write_order(asking(pending, terms_of(intent)))
    account.want_read = True


def _back(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """Left alone it would work beside what was placed in its stead, and both could fill. It goes like one that shows up
    late; a stop stays where there is no other, and nobody has removed or refused it."""
    declaration = account.journal.declaration(order.symbol)
    if order.purpose is Purpose.STOP:
        by_person = "" if declaration.stop_by_person == "removed" else declaration.stop_by_person
        refused = tuple(each for each in declaration.refused if each is not Purpose.STOP)
        account.journal.declare(replace(declaration, stop_by_person=by_person, refused=refused))
    text = f"{order.symbol}: our {order.purpose} {order.order_id}, which was taken for ended, works"
    account.event(now, "order.late", "PAGE", f"{text}: {told.text}" if told.text else text, order_id=order.order_id)


def ended_by_other(
    account: Account, order_id: str, now: Now, orders: Iterable[Order] = (), *, presumed: bool = False
) -> None:
    """It did not go on under another id: its group has ended it, or somebody else has cancelled it. ``orders``: of the
    read that tells so. ``presumed``: so a person supposes."""
    order = account.journal.orders.get(order_id)
    if order is not None and order.out:
        ended = given_up(replace(order, status=OrderStatus.CANCELLED, out=False, presumed=presumed))
        account.journal.write_order(ended)
        if not ends_with_its_group(account, order, {each.order_id: each for each in orders}):
            _happened(account, ended, Happening(What.CANCELLED_BY_OTHER), now)


def _corrected(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """A broken or corrected trade. No fill is invented for it: what is held now, two reads of the position say."""
    account.want_read = True
    text = f"{order.symbol}: the broker took back or changed fills of our {order.purpose} {order.order_id}: {told.text}"
    account.event(now, "fill.corrected", "PAGE", text, order_id=order.order_id, quantity=told.quantity)


def _cancelled_by_other(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """Adopted and not put back (order-safety 3.10)."""
    journal, symbol = account.journal, order.symbol
    declaration, held = journal.declaration(symbol), journal.holding(symbol).quantity
    if order.purpose is Purpose.ENTRY or order.exiting:
        _void(account, declaration, held, now)
    elif order.purpose is Purpose.STOP and held:
        journal.declare(replace(declaration, stop_by_person="removed"))
    elif order.purpose is Purpose.TAKE and held:
        journal.declare(replace(declaration, take_by_person="removed"))
    text = f"{symbol}: our {order.purpose} {order.order_id} was cancelled by somebody else; it is not put back"
    account.event(now, "order.cancelled_by_other", "NOTIFY", text, venue=told.text)


def _void(account: Account, declaration: Declaration, quantity: Decimal, now: Now) -> None:
    """An order that opens or closes is somebody's decision about the exposure: what was declared does not take it back
    on the next bar, and entries are held (order-safety 1.9, 3.10)."""
    symbol = declaration.symbol
    account.journal.declare(voided(declaration, quantity))
    if account.journal.add_hold(symbol, DIVERGENCE, now.utc):
        void = f"{declaration.quantity} is void, entries are held"
        text = f"{symbol}: somebody else has decided about an order of ours: {void}"
        account.event(now, "divergence.order", "NOTIFY", text, incident=f"divergence:{symbol}", state="opened")


def _changed_by_other(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """Adopted: a stop that a person moved stays where it is until the position is flat or released."""
    declaration, held = account.journal.declaration(order.symbol), account.journal.holding(order.symbol).quantity
    if order.exiting:
        _void(account, declaration, clamped(declaration.quantity, held + order.side.sign * order.remaining), now)
    elif order.purpose is Purpose.STOP:
        stop = order.stop_price if order.stop_price is not None else declaration.stop
        less = max(ZERO, declaration.stop_less - told.quantity)
        account.journal.declare(replace(declaration, stop_by_person="changed", stop=stop, stop_less=less))
    elif order.purpose is Purpose.TAKE:
        account.journal.declare(replace(declaration, take_by_person="changed", take=order.limit_price))
    text = f"{order.symbol}: our {order.purpose} {order.order_id} was changed by somebody else: {told.text}"
    account.event(now, "order.changed_by_other", "NOTIFY", text)
