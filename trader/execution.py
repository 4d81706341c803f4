"""From plans to intents, and from outcomes and order frames back into the journal. Acts inside a transaction.

Sends nothing: the account manager sends what ``write_plans`` has written, after the commit (law 2), and brings the
outcome back. Knows no HTTP, no process, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from brokers.model import ZERO, Accepted, Order, OrderStatus, OrderType, Outcome, RefusedByVenue, Unknown
from trader.account import Account, Now, Reserve
from trader.intents import AGAIN, Intent, IntentState, Kind, Purpose, Settling, remembered
from trader.messages import FillRow
from trader.orders import NOTHING_ASKED, Asked, Happening, OwnOrder, What, given_up, placed, seen
from trader.position import Holding, after_fill
from trader.target import Action, Cancel, Declaration, Place, RefuseEntry, ReplaceStop, clamped, plan, same_side

CLOCK_BACK_S = 1.0
"""A clock that is kept right by NTP is slewed, or steps back by less than this; more is somebody who sets it."""
DUPLICATE = "the venue has an order of this key"
replace = msgspec.structs.replace


def pending_plans(account: Account, now: Now) -> bool:
    """Whether there is anything to write: plans are pure, so asking costs no transaction."""
    return any(plan(account.situation(symbol, now)) for symbol in account.session.symbols)


def write_plans(account: Account, now: Now) -> list[Intent]:
    """The next changes of all symbols, as durable intents, in the sequence in which they are to be sent."""
    written: list[Intent] = []
    for symbol in account.session.symbols:
        for action in plan(account.situation(symbol, now)):
            written += _write(account, symbol, action, now)
    return written


def _write(account: Account, symbol: str, action: Action, now: Now) -> list[Intent]:
    if isinstance(action, Place) and action.purpose is Purpose.ENTRY and account.reserve is not None:
        action = _reserved(account, symbol, action, account.reserve)
    if isinstance(action, RefuseEntry):
        declaration = account.journal.declaration(symbol)
        account.reject(now, symbol, action.gate, action.text, declaration.quantity)
        account.journal.declare(replace(declaration, quantity=action.left))
        return []
    intent = _place(account, symbol, action, now) if isinstance(action, Place) else _change(account, action, now)
    account.journal.write_intent(intent)
    return [intent]


def _reserved(account: Account, symbol: str, entry: Place, reserve: Reserve) -> Place | RefuseEntry:
    """An entry asks for its part of the account's limits before it is written; exits and stops never ask."""
    refusal = reserve(symbol, entry)
    if refusal is None:
        return entry
    return RefuseEntry(*refusal, account.journal.declaration(symbol).quantity - entry.side.sign * entry.quantity)


def _place(account: Account, symbol: str, action: Place, now: Now) -> Intent:
    number, key = account.journal.next_key()
    entry = action.purpose is Purpose.ENTRY
    return Intent(
        number=number,
        key=key,
        kind=Kind.PLACE,
        purpose=action.purpose,
        symbol=symbol,
        side=action.side,
        quantity=action.quantity,
        type=action.type,
        stop_price=action.stop_price,
        written_utc=now.utc,
        valid_until_utc=account.journal.declaration(symbol).valid_until_utc if entry else None,
        known=tuple(account.journal.foreign_of(symbol)),
        intended_price=action.stop_price or account.journal.declaration(symbol).intended_price,
    )


def _change(account: Account, action: Action, now: Now) -> Intent:
    """A replace or cancel of an order of ours, which is marked as pending with what was asked."""
    assert not isinstance(action, Place | RefuseEntry)
    number, key = account.journal.next_key()
    order, cancel = action.order, isinstance(action, Cancel)
    quantity = order.quantity if isinstance(action, Cancel) else action.quantity
    price = action.stop_price if isinstance(action, ReplaceStop) else order.stop_price if cancel else None
    kind = order.type if cancel or isinstance(action, ReplaceStop) else OrderType.MARKET
    asked = {} if cancel else {"asked_quantity": quantity, "asked_stop_price": price, "asked_type": kind}
    pending = "cancel" if cancel else "replace"
    account.journal.write_order(replace(order, pending=pending, pending_since_s=now.s, unsure=False, **asked))
    return Intent(
        number=number,
        key=key,
        kind=Kind.CANCEL if cancel else Kind.REPLACE,
        purpose=Purpose.EXIT if kind is OrderType.MARKET and not cancel else order.purpose,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        type=kind,
        stop_price=price,
        written_utc=now.utc,
        order_id=order.order_id,
        intended_price=None if cancel else price or account.journal.declaration(order.symbol).intended_price,
    )


# -- outcomes ----------------------------------------------------------------------------------------------------------


def overdue(intent: Intent, now: Now) -> bool:
    """Past its validity an entry is never sent (order-safety 3.3). Nor when the clock has gone back behind the moment
    at which it was written: then nobody knows how old it is."""
    if intent.valid_until_utc is None:
        return False
    return now.utc > intent.valid_until_utc or now.utc < intent.written_utc - CLOCK_BACK_S * now.rate


def expire(account: Account, intent: Intent, now: Now) -> None:
    """An entry that was surely never sent, and may be no longer."""
    _not_sent(account, intent, "validity", "its validity ended before it could be sent", now)


def hold_back(account: Account, intent: Intent, now: Now) -> None:
    """An entry that was written before its symbol was held, and never sent."""
    _not_sent(account, intent, "hold", f"held before it was sent: {', '.join(account.holds_of(intent.symbol))}", now)


def _not_sent(account: Account, intent: Intent, gate: str, why: str, now: Now) -> None:
    settled(account, intent, IntentState.REFUSED, why, now)
    _refused_by(account, intent, gate, why, now)


def outcome(account: Account, intent: Intent, result: Outcome, now: Now) -> None:
    """What came of sending an intent: accepted, refused, or unknown; unknown is never treated as refused."""
    account.changed_s[intent.symbol] = now.s
    if isinstance(result, Accepted):
        _accepted(account, intent, result.order_id, now)
    elif isinstance(result, Unknown):
        _unknown(account, intent, result, now)
    elif intent.kind is Kind.PLACE and result.duplicate:
        doubt(account, intent, DUPLICATE, now)
    else:
        _refused(account, intent, result, now)


def _accepted(account: Account, intent: Intent, order_id: str, now: Now) -> None:
    journal = account.journal
    done = settled(account, intent, IntentState.ACCEPTED, "", now, order_id)
    if intent.kind is Kind.PLACE:
        if not journal.knows_order(order_id):
            journal.write_order(placed(done, order_id))
    elif intent.kind is Kind.REPLACE and order_id and order_id != intent.order_id:
        renamed(account, intent, order_id)


def renamed(account: Account, intent: Intent, order_id: str) -> None:
    """A venue that answers a replace with another id: the id in the reply is used (tradestation-v3, 7.3). The old order
    has ended; what of its fills we have not heard yet, its frames will tell, and the new one's first frame agrees."""
    old = account.journal.orders[intent.order_id]
    new = replace(placed(intent, order_id), purpose=old.purpose, renews=old.order_id, late=old.late)
    account.journal.write_order(given_up(replace(old, status=OrderStatus.CANCELLED, out=False)))
    account.journal.write_order(replace(new, quantity=intent.quantity - old.filled_quantity))


def _refused(account: Account, intent: Intent, result: RefusedByVenue, now: Now) -> None:
    settled(account, intent, IntentState.REFUSED, result.reason, now)
    order = account.journal.orders.get(intent.order_id)
    if order is not None and (result.dead or intent.kind is Kind.CANCEL):
        account.journal.write_order(replace(order, unsure=True, pending_since_s=now.s))
        account.want_read = True
        return
    if order is not None:
        account.journal.write_order(given_up(order))
    _refused_by(account, intent, "venue", result.reason, now)


def _refused_by(account: Account, refused: Intent | OwnOrder, gate: str, why: str, now: Now) -> None:
    """Told to the strategy, and not tried again before it declares anew. A stop or exit that cannot be had pages."""
    journal, symbol = account.journal, refused.symbol
    account.reject(now, symbol, gate, f"{refused.purpose} refused: {why}", refused.quantity)
    declaration = journal.declaration(symbol)
    if refused.purpose is Purpose.ENTRY:
        left = clamped(declaration.quantity, journal.holding(symbol).quantity)
        journal.declare(replace(declaration, quantity=left))
        return
    journal.declare(replace(declaration, refused=(*declaration.refused, refused.purpose)))
    account.event(now, f"{refused.purpose}.refused", "PAGE", f"{symbol}: {refused.purpose} refused: {why}")


def _unknown(account: Account, intent: Intent, result: Unknown, now: Now) -> None:
    if result.sent:
        doubt(account, intent, result.reason, now)
    elif intent.kind is Kind.PLACE:
        why = AGAIN if intent.reason == AGAIN else result.reason
        account.journal.write_intent(replace(intent, state=IntentState.UNSENT, reason=why))
    else:
        settled(account, intent, IntentState.REFUSED, f"not sent: {result.reason}", now)
        account.journal.write_order(given_up(account.journal.orders[intent.order_id]))


def send_again(account: Account, now: Now) -> list[Intent]:
    """Placings that were not sent, as far as they are still what is wanted now: what has been decided since (a hold,
    another declaration, a position that went) counts. And those that no read shows, as long as the venue surely
    remembers their key. Like the first time, it is on disk that they may have been sent before they are."""
    again: list[Intent] = []
    for intent in [i for i in account.journal.open_intents.values() if i.state is IntentState.UNSENT]:
        if intent.reason == AGAIN:
            if may_go_again(account, intent, now):
                again.append(_written_anew(account, intent))
            else:
                doubt(account, intent, "no read shows it, and its key may be forgotten", now)
        elif overdue(intent, now):
            expire(account, intent, now)
        elif intent.purpose is Purpose.ENTRY and account.holds_of(intent.symbol):
            hold_back(account, intent, now)
        elif _still_wanted(account, intent, now):
            again.append(_written_anew(account, intent))
        else:
            settled(account, intent, IntentState.REFUSED, "not sent, and not wanted any more", now)
    return again


def _written_anew(account: Account, intent: Intent) -> Intent:
    """What may be on its way from now on counts from now."""
    written = replace(intent, state=IntentState.WRITTEN, reason="", doubted_utc=None)
    account.journal.write_intent(written)
    return written


def may_go_again(account: Account, intent: Intent, now: Now) -> bool:
    """Never an entry: what was sent of it is only settled (order-safety 3.3)."""
    can = account.capabilities
    closes = intent.purpose is not Purpose.ENTRY and account.journal.holding(intent.symbol).quantity != 0
    return closes and remembered(intent, can.id_dedupe, can.id_dedupe_window_s, now.utc, now.rate)


def _still_wanted(account: Account, intent: Intent, now: Now) -> bool:
    terms = (intent.purpose, intent.side, intent.quantity, intent.type, intent.stop_price)
    actions = plan(account.situation(intent.symbol, now, without=intent))
    placings = [action for action in actions if isinstance(action, Place)]
    return any(terms == (a.purpose, a.side, a.quantity, a.type, a.stop_price) for a in placings)


def doubt(account: Account, intent: Intent, why: str, now: Now) -> None:
    """Its fate is unknown: reads of the account settle it (``truth``)."""
    doubted_utc = now.utc if intent.doubted_utc is None else min(intent.doubted_utc, now.utc)
    unknown = replace(intent, state=IntentState.UNKNOWN, reason=why, doubted_utc=doubted_utc)
    account.journal.write_intent(unknown)
    account.settling[intent.number] = settling_since(unknown, now)
    account.want_read = True
    order = account.journal.orders.get(intent.order_id)
    if order is not None:
        account.journal.write_order(replace(order, unsure=True, pending_since_s=now.s))
    account.event(now, "intent.unknown", "NOTIFY", f"{intent.symbol}: {intent.kind} {intent.key}: {why}")


def settling_since(intent: Intent, now: Now) -> Settling:
    """Nothing was read yet; since when it is in doubt our own death does not change."""
    doubted_s = 0.0 if intent.doubted_utc is None else max(0.0, now.utc - intent.doubted_utc) / now.rate
    return Settling(now.s, doubted_s=doubted_s)


def doubt_after_restart(account: Account, now: Now) -> None:
    """Our own death leaves every written intent without outcome; what was pending is asked of the next reads."""
    for intent in list(account.journal.open_intents.values()):
        if intent.state is not IntentState.UNSENT:
            doubt(account, intent, intent.reason or "our own death", now)
    for order in list(account.journal.working.values()):
        if order.pending:
            account.journal.write_order(replace(order, unsure=True, pending_since_s=now.s))


def settled(account: Account, intent: Intent, state: IntentState, why: str, now: Now, order_id: str = "") -> Intent:
    done = replace(intent, state=state, reason=why, settled_utc=now.utc, result_order_id=order_id)
    account.journal.write_intent(done)
    account.settling.pop(intent.number, None)
    return done


# -- what the broker tells of our orders -------------------------------------------------------------------------------


def frames(account: Account, orders: Iterable[Order], now: Now, requested_s: float | None = None) -> None:
    """Frames of a stream (``requested_s`` None), or of a read: there, what is older than our own last word on the
    symbol counts only in what can never be undone."""
    for frame in orders:
        own = account.journal.orders.get(frame.order_id)
        if own is None:
            account.want_read |= account.doubtful(frame.symbol)
            continue
        current = requested_s is None or requested_s >= account.changed_s.get(own.symbol, 0.0)
        asked = _asked(account, own, now)
        after, told = seen(own, frame, current=current, read=requested_s is not None, asked=asked)
        if current and requested_s is not None and after.pending:
            after = _given_up_when_overdue(account, after, requested_s, now)
        if after.on_its_way is not None and now.utc > after.on_its_way_until_utc:
            after = replace(after, on_its_way=None)
        if after != own:
            account.journal.write_order(after)
            if replace(after, odd=own.odd, doubted=own.doubted) != own:
                account.changed_s[own.symbol] = max(account.changed_s.get(own.symbol, 0.0), requested_s or now.s)
        for happening in told:
            _happened(account, after, happening, now)
        _settle_changes(account, after, now)


def _asked(account: Account, own: OwnOrder, now: Now) -> Asked:
    """Changes of this order whose fate is unknown, or which were given up so lately that they may still be on their
    way."""
    intents = [i for i in account.lately(now) if i.order_id == own.order_id]
    if not intents:
        return NOTHING_ASKED
    replaces = tuple([(i.quantity, i.stop_price, i.type) for i in intents if i.kind is Kind.REPLACE])
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


def _settle_changes(account: Account, order: OwnOrder, now: Now) -> None:
    """Replaces and cancels of unknown fate are settled by what the order is now."""
    if (order.pending or order.out) and order.working:
        return
    for intent in list(account.journal.open_intents.values()):
        if intent.order_id == order.order_id:
            ended = order.status is OrderStatus.CANCELLED if intent.kind is Kind.CANCEL else False
            terms = (order.quantity, order.stop_price, order.type)
            took = ended or (order.working and terms == (intent.quantity, intent.stop_price, intent.type))
            state = IntentState.ACCEPTED if took else IntentState.GIVEN_UP
            settled(account, intent, state, f"settled by a read: {order.status}", now, order.order_id)


def _happened(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    if told.what is What.FILLED:
        _filled(account, order, told, now)
    elif told.what is What.CHARGED:
        account.journal.write_fee(order, told.fee_usd, now.utc)
    elif told.what is What.REJECTED:
        _refused_by(account, order, "venue", told.text, now)
    elif told.what is What.CANCELLED_BY_OTHER:
        _cancelled_by_other(account, order, told, now)
    elif told.what is What.CHANGED_BY_OTHER:
        _changed_by_other(account, order, told, now)
    elif told.what is What.OUT:
        _out(account, order, now)
    elif told.what is What.CORRECTED:
        _corrected(account, order, told, now)
    elif told.what in (What.ODD, What.TAKEN_BACK):
        account.want_read |= told.what is What.TAKEN_BACK
        account.event(now, "order.odd", "DIGEST", f"{order.symbol} order {order.order_id}: {told.text}")


def _filled(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    journal, symbol = account.journal, order.symbol
    journal.write_fill(order, told.quantity, told.price, now.utc)
    before = journal.holding(symbol)
    held = after_fill(before, order.side, told.quantity, told.price, now.utc)
    journal.hold_position(symbol, held)
    declaration = journal.declaration(symbol)
    late = order.late and (order.purpose is Purpose.ENTRY or not same_side(held.quantity, declaration.quantity))
    if late or _filled_over_a_halt(account, order, declaration, before):
        declaration = replace(declaration, quantity=held.quantity)
    elif order.purpose is Purpose.STOP and not order.exiting:
        declaration = replace(declaration, quantity=clamped(declaration.quantity, held.quantity))
    if held.quantity == 0:
        declaration = replace(declaration, stop_by_person="")
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


def _filled_over_a_halt(account: Account, order: OwnOrder, declaration: Declaration, before: Holding) -> bool:
    """An entry that filled while a halt was cancelling it is kept and protected: a halt closes nothing."""
    kept = account.in_force.halted and not account.flattening and declaration.quantity == before.quantity
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
            asked = {"asked_quantity": intent.quantity, "asked_stop_price": intent.stop_price}
            pending = replace(order, pending="replace", unsure=True, asked_type=intent.type, **asked)
            journal.write_order(replace(pending, pending_since_s=now.s))
    account.want_read = True


def ended_by_other(account: Account, order_id: str, now: Now) -> None:
    """It did not go on under another id: somebody else has cancelled it."""
    order = account.journal.orders.get(order_id)
    if order is not None and order.out:
        ended = given_up(replace(order, status=OrderStatus.CANCELLED, out=False))
        account.journal.write_order(ended)
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
    if order.purpose is Purpose.STOP and held:
        journal.declare(replace(declaration, stop_by_person="removed"))
    elif order.purpose is not Purpose.STOP:
        journal.declare(replace(declaration, quantity=held))
    text = f"{symbol}: our {order.purpose} {order.order_id} was cancelled by somebody else; it is not put back"
    account.event(now, "order.cancelled_by_other", "NOTIFY", text, venue=told.text)


def _changed_by_other(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """Adopted: a stop that a person moved stays where it is until the position is flat or released."""
    declaration = account.journal.declaration(order.symbol)
    if order.purpose is Purpose.STOP:
        account.journal.declare(replace(declaration, stop_by_person="changed", stop=order.stop_price))
    text = f"{order.symbol}: our {order.purpose} {order.order_id} was changed by somebody else: {told.text}"
    account.event(now, "order.changed_by_other", "NOTIFY", text)
