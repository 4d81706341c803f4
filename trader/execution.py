"""From plans to intents, and from outcomes and order frames back into the journal. Acts inside a transaction.

Sends nothing: the account manager sends what ``write_plans`` has written, after the commit (law 2), and brings the
outcome back. Knows no HTTP, no process, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from brokers.model import Accepted, Grouped, GroupOutcome, Order, OrderType, Outcome, RefusedByVenue, Unknown
from trader.account import Account, Now
from trader.brackets import (
    ANSWERED,
    Answered,
    Claimed,
    answered,
    claim,
    claim_by_looks,
    in_sequence,
    judged,
    not_taken,
    owe,
)
from trader.intents import Intent, IntentState, Kind, Purpose, Settling
from trader.legs import Leg
from trader.messages import FillRow
from trader.orders import Happening, OwnOrder, What, given_up, placed, seen
from trader.position import Holding, after_fill
from trader.target import Action, Cancel, Declaration, Place, RefuseEntry, ReplaceStop, StopToMarket, clamped, plan
from trader.watched import after_bar, take_keeper

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


def follow_bar(account: Account, symbol: str, close: Decimal, now: Now) -> None:
    """A bar has closed: what of the protection the desk holds by itself is looked at."""
    journal, held = account.journal, account.journal.holding(symbol).quantity
    before = journal.declaration(symbol)
    if before.take is None and before.trail is None:
        return
    after = after_bar(before, held, close, take_keeper(before, held, account.working_of(symbol)))
    journal.declare(after)
    if after.quantity != before.quantity:
        text = f"{symbol}: a bar closed at {close}, the take is {before.take}: the desk closes {held} at the market"
        account.event(now, "take.reached", "DIGEST", text)


def _write(account: Account, symbol: str, action: Action, now: Now) -> list[Intent]:
    if isinstance(action, RefuseEntry):
        declaration = account.journal.declaration(symbol)
        account.reject(now, symbol, action.gate, action.text, declaration.quantity)
        account.journal.declare(replace(declaration, quantity=action.left))
        return []
    intent = _place(account, symbol, action, now) if isinstance(action, Place) else _change(account, action, now)
    account.journal.write_intent(intent)
    return [intent]


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
        legs=action.legs,
        trail=action.trail,
    )


def _change(account: Account, action: Action, now: Now) -> Intent:
    """A replace or cancel of an order of ours, which is marked as pending with what was asked."""
    assert not isinstance(action, Place | RefuseEntry)
    order = action.order
    if isinstance(action, Cancel):
        account.journal.write_order(
            replace(order, pending="cancel", pending_since_s=now.s, unsure=False, withdrawn=True)
        )
        return _change_intent(account, order, Kind.CANCEL, now)
    asked = {"asked_quantity": action.quantity, "asked_type": order.type}
    if isinstance(action, StopToMarket):
        asked["asked_type"] = OrderType.MARKET
    elif isinstance(action, ReplaceStop):
        asked |= {"asked_stop_price": action.stop_price, "asked_trail": action.trail}
    else:
        asked["asked_limit_price"] = action.limit_price
    order = replace(order, pending="replace", pending_since_s=now.s, unsure=False, **asked)
    account.journal.write_order(order)
    return _change_intent(account, order, Kind.REPLACE, now)


def _change_intent(account: Account, order: OwnOrder, kind: Kind, now: Now) -> Intent:
    """``order`` has what is asked of it."""
    number, key = account.journal.next_key()
    cancel = kind is Kind.CANCEL
    market = order.asked_type is OrderType.MARKET
    price = None if market else order.asked_stop_price or order.asked_limit_price
    return Intent(
        number=number,
        key=key,
        kind=kind,
        purpose=Purpose.EXIT if market else order.purpose,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity if cancel else order.asked_quantity or order.quantity,
        type=order.type if cancel else order.asked_type or order.type,
        stop_price=order.stop_price if cancel and order.trail is None else order.asked_stop_price,
        written_utc=now.utc,
        order_id=order.order_id,
        limit_price=order.limit_price if cancel else order.asked_limit_price,
        trail=order.trail if cancel else order.asked_trail,
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


def outcome(account: Account, intent: Intent, told: Outcome | GroupOutcome, now: Now) -> None:
    """What came of sending an intent: accepted, refused, or unknown; unknown is never treated as refused."""
    account.changed_s[intent.symbol] = now.s
    result = answered(told) if isinstance(told, Grouped) else told
    if isinstance(result, Answered):
        ids = " ".join(result.order_ids)
        account.journal.write_intent(replace(intent, state=IntentState.UNKNOWN, reason=ANSWERED, result_order_id=ids))
        account.settling[intent.number] = Settling(now.s)
    elif isinstance(result, Accepted):
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
        _renamed(account, intent, order_id)


def _renamed(account: Account, intent: Intent, order_id: str) -> None:
    """A venue that answers a replace with another id: the id in the reply is used (tradestation-v3, 7.3)."""
    old = account.journal.orders[intent.order_id]
    account.journal.write_order(given_up(replace(old, pending="cancel")))
    new = replace(placed(intent, order_id), purpose=old.purpose, parent=old.parent, group=old.group)
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
    if not (isinstance(refused, OwnOrder) and refused.parent):  # a leg: its stop is placed once more, by itself
        journal.declare(replace(declaration, refused=(*declaration.refused, refused.purpose)))
    account.event(now, f"{refused.purpose}.refused", "PAGE", f"{symbol}: {refused.purpose} refused: {why}")


def _unknown(account: Account, intent: Intent, result: Unknown, now: Now) -> None:
    if result.sent:
        doubt(account, intent, result.reason, now)
    elif intent.kind is Kind.PLACE:
        account.journal.write_intent(replace(intent, state=IntentState.UNSENT, reason=result.reason))
    else:
        settled(account, intent, IntentState.GIVEN_UP, f"not sent: {result.reason}", now)
        account.journal.write_order(given_up(account.journal.orders[intent.order_id]))


def doubt(account: Account, intent: Intent, why: str, now: Now) -> None:
    """Its fate is unknown: reads of the account settle it (``truth``)."""
    account.journal.write_intent(replace(intent, state=IntentState.UNKNOWN, reason=why))
    account.settling[intent.number] = Settling(now.s)
    account.want_read = True
    order = account.journal.orders.get(intent.order_id)
    if order is not None:
        account.journal.write_order(replace(order, unsure=True, pending_since_s=now.s))
    account.event(now, "intent.unknown", "NOTIFY", f"{intent.symbol}: {intent.kind} {intent.key}: {why}")


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


def take_legs(account: Account, orders: Iterable[Order], now: Now) -> None:
    """Orders of a read that are of a bracket of ours, and are not in the journal yet."""
    journal = account.journal
    for order in in_sequence([each for each in orders if not journal.knows_order(each.order_id)]):
        found = claim(account, order) or claim_by_looks(account, order)
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
    account.reject(now, symbol, "venue", f"{leg.purpose} refused, the entry was taken", quantity)
    account.event(now, f"{leg.purpose}.refused", "PAGE", text)


def frames(account: Account, orders: Iterable[Order], now: Now, requested_s: float | None = None) -> None:
    """Frames of a stream (``requested_s`` None), or of a read: there, what is older than our own last word on the
    symbol counts only in what can never be undone."""
    for frame in in_sequence(orders):
        own = account.journal.orders.get(frame.order_id)
        if own is None and (found := claim(account, frame)) is not None:
            own = _take(account, found, now)
        if own is None:
            account.want_read |= account.unsettled(frame.symbol)
            continue
        verdict = judged(account, own, frame, read=requested_s is not None)
        if verdict.wait:
            continue
        current = requested_s is None or requested_s >= account.changed_s.get(own.symbol, 0.0)
        after, told = seen(own, frame, current=current, by_venue=verdict.by_venue)
        if current and requested_s is not None:
            after = _given_up_when_overdue(account, not_taken(account, after, requested_s), requested_s)
        if after != own:
            account.journal.write_order(after)
            account.changed_s[own.symbol] = max(account.changed_s.get(own.symbol, 0.0), requested_s or now.s)
        for happening in told:
            _happened(account, after, happening, now)
        _settle_changes(account, after, now)


def _given_up_when_overdue(account: Account, order: OwnOrder, requested_s: float) -> OwnOrder:
    """A replace or cancel that a read does not show so long after it was sent did not take."""
    overdue_at_s = order.pending_since_s + account.timing.settle_s
    return given_up(order) if order.pending and order.working and requested_s >= overdue_at_s else order


def _settle_changes(account: Account, order: OwnOrder, now: Now) -> None:
    """Replaces and cancels of unknown fate are settled by what the order is now."""
    if order.pending and order.working:
        return
    for intent in list(account.journal.open_intents.values()):
        if intent.order_id == order.order_id:
            took = not order.working or (order.quantity, order.type) == (intent.quantity, intent.type)
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
    elif told.what is What.ODD:
        account.event(now, "order.odd", "DIGEST", f"{order.symbol} order {order.order_id}: {told.text}")


def _filled(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    journal, symbol = account.journal, order.symbol
    journal.write_fill(order, told.quantity, told.price, now.utc)
    before = journal.holding(symbol)
    held = after_fill(before, order.side, told.quantity, told.price, now.utc)
    journal.hold_position(symbol, held)
    declaration = journal.declaration(symbol)
    if order.late or _filled_over_a_halt(account, order, declaration, before):
        declaration = replace(declaration, quantity=held.quantity)
    elif order.purpose in (Purpose.STOP, Purpose.TAKE) and not order.exiting:
        declaration = replace(declaration, quantity=clamped(declaration.quantity, held.quantity))
    if held.quantity == 0:
        declaration = replace(declaration, stop_by_person="", take_by_person="")
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


def _filled_over_a_halt(account: Account, order: OwnOrder, declaration: Declaration, before: Holding) -> bool:
    """An entry that filled while a halt was cancelling it is kept and protected: a halt closes nothing."""
    kept = account.in_force.halted and not account.flattening and declaration.quantity == before.quantity
    return kept and order.purpose is Purpose.ENTRY


def _cancelled_by_other(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """Adopted and not put back (order-safety 3.10)."""
    journal, symbol = account.journal, order.symbol
    declaration, held = journal.declaration(symbol), journal.holding(symbol).quantity
    if order.purpose is Purpose.STOP and held:
        journal.declare(replace(declaration, stop_by_person="removed"))
    elif order.purpose is Purpose.TAKE and held:
        journal.declare(replace(declaration, take_by_person="removed"))
    elif order.purpose in (Purpose.ENTRY, Purpose.EXIT):
        journal.declare(replace(declaration, quantity=held))
    text = f"{symbol}: our {order.purpose} {order.order_id} was cancelled by somebody else; it is not put back"
    account.event(now, "order.cancelled_by_other", "NOTIFY", text, venue=told.text)


def _changed_by_other(account: Account, order: OwnOrder, told: Happening, now: Now) -> None:
    """Adopted: a stop that a person moved stays where it is until the position is flat or released."""
    declaration = account.journal.declaration(order.symbol)
    if order.purpose is Purpose.STOP:
        stop = order.stop_price if order.stop_price is not None else declaration.stop
        account.journal.declare(replace(declaration, stop_by_person="changed", stop=stop))
    elif order.purpose is Purpose.TAKE:
        account.journal.declare(replace(declaration, take_by_person="changed", take=order.limit_price))
    text = f"{order.symbol}: our {order.purpose} {order.order_id} was changed by somebody else: {told.text}"
    account.event(now, "order.changed_by_other", "NOTIFY", text)
