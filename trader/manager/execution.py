"""From plans to intents, and from their outcomes back into the journal. Acts inside a transaction.

Sends nothing: the account manager sends what ``write_plans`` has written, after the commit (law 2), and brings the
outcome back. Knows no HTTP, no process, no clock.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.model import (
    Accepted,
    Duration,
    Grouped,
    GroupOutcome,
    OrderStatus,
    OrderType,
    Outcome,
    RefusedByVenue,
    Unknown,
)
from trader.manager.account import Account, Now, Reserve
from trader.manager.brackets import ANSWERED, Answered, answered
from trader.manager.protection import protective
from trader.manager.refusals import reject
from trader.manager.situation import situation
from trader.minding import renewal
from trader.orders.intents import AGAIN, Intent, IntentState, Kind, Purpose, Settling, remembered
from trader.orders.lifecycle import given_up
from trader.orders.own_order import OwnOrder, placed
from trader.orders.position import clamped
from trader.orders.target import Action, Cancel, Place, RefuseEntry, ReplaceStop, StopToMarket, plan
from trader.orders.terms import Terms, terms, terms_of
from trader.orders.watched import after_bar, take_keeper

CLOCK_BACK_S = 1.0
"""A clock that is kept right by NTP is slewed, or steps back by less than this; more is somebody who sets it."""
DUPLICATE = "the venue has an order of this key"
replace = msgspec.structs.replace


def pending_plans(account: Account, now: Now) -> bool:
    """Whether there is anything to write: plans are pure, so asking costs no transaction."""
    return any(plan(situation(account, symbol, now)) for symbol in account.session.symbols)


def write_plans(account: Account, now: Now) -> list[Intent]:
    """The next changes of all symbols, as durable intents, in the sequence in which they are to be sent."""
    written: list[Intent] = []
    for symbol in account.session.symbols:
        for action in plan(situation(account, symbol, now)):
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
    if isinstance(action, Place) and action.purpose is Purpose.ENTRY and account.reserve is not None:
        action = _reserved(account, symbol, action, account.reserve)
    if isinstance(action, RefuseEntry):
        declaration = account.journal.declaration(symbol)
        reject(account, now, symbol, action.gate, action.text, declaration.quantity)
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
        minded = account.journal.minded(order.symbol)
        account.journal.mind(order.symbol, renewal.asked(minded, order.order_id, now.utc))
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
    refused_by(account, intent, gate, why, now)


def outcome(account: Account, intent: Intent, told: Outcome | GroupOutcome, now: Now) -> None:
    """What came of sending an intent: accepted, refused, or unknown; unknown is never treated as refused."""
    account.changed_s[intent.symbol] = now.s
    result = answered(told) if isinstance(told, Grouped) else told
    if isinstance(result, Answered):
        ids = " ".join(result.order_ids)
        unknown = replace(intent, state=IntentState.UNKNOWN, reason=ANSWERED, result_order_id=ids, doubted_utc=now.utc)
        account.journal.write_intent(unknown)
        account.settling[intent.number] = settling_since(unknown, now)
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
        renamed(account, intent, order_id)


def renamed(account: Account, intent: Intent, order_id: str) -> None:
    """A venue that answers a replace with another id: the id in the reply is used. The old order
    has ended; what of its fills we have not heard yet, its frames will tell, and the new one's first frame agrees."""
    old = account.journal.orders[intent.order_id]
    new = replace(placed(intent, order_id), purpose=old.purpose, renews=old.order_id, late=old.late)
    new = replace(new, duration=old.duration, parent=old.parent, group=old.group, withdrawn=old.withdrawn)
    new = replace(new, owed=old.owed, owed_since_s=old.owed_since_s)
    account.journal.write_order(given_up(replace(old, status=OrderStatus.CANCELLED, out=False)))
    account.journal.write_order(replace(new, quantity=intent.quantity - old.filled_quantity))


def _refused(account: Account, intent: Intent, result: RefusedByVenue, now: Now) -> None:
    settled(account, intent, IntentState.REFUSED, result.reason, now)
    order = account.journal.orders.get(intent.order_id)
    if order is not None and (result.dead or intent.kind is Kind.CANCEL):
        account.journal.write_order(replace(order, unsure=True, pending_since_s=now.s, denied=result.reason))
        account.want_read = True
        return
    if order is not None:
        order = given_up(order)
        account.journal.write_order(order)
        if _only_renews(account, intent, order):
            _not_renewed(account, intent, result.reason, now)
            return
    refused_by(account, intent, "venue", result.reason, now)


def _only_renews(account: Account, intent: Intent, order: OwnOrder) -> bool:
    """It would have changed nothing of a stop but its end."""
    under_way = renewal.under_way(account.journal.minded(intent.symbol), intent.order_id)
    return under_way and terms_of(intent) == terms_of(order)


def _not_renewed(account: Account, intent: Intent, why: str, now: Now) -> None:
    """The stop works on as it was: nothing is wrong with it that a person, or the strategy, should hear of now."""
    act = renewal.refused(account.journal.minded(intent.symbol), intent.symbol, why)
    account.journal.mind(intent.symbol, act.minded)
    if act.told is not None:
        account.event(now, act.told.kind, act.told.level, act.told.text, order_id=intent.order_id)


def refused_by(account: Account, refused: Intent | OwnOrder, gate: str, why: str, now: Now) -> None:
    """Told to the strategy, and not tried again before it declares anew. A stop or exit that cannot be had pages."""
    journal, symbol = account.journal, refused.symbol
    placed_stop = refused.purpose is Purpose.STOP and (isinstance(refused, OwnOrder) or refused.kind is Kind.PLACE)
    if placed_stop and extended_form_refused(account, symbol, why, now):
        return
    reject(account, now, symbol, gate, f"{refused.purpose} refused: {why}", refused.quantity)
    declaration = journal.declaration(symbol)
    if refused.purpose is Purpose.ENTRY:
        left = clamped(declaration.quantity, journal.holding(symbol).quantity)
        journal.declare(replace(declaration, quantity=left))
        return
    if not (isinstance(refused, OwnOrder) and refused.parent):  # a leg: its stop is placed once more, by itself
        journal.declare(replace(declaration, refused=(*declaration.refused, refused.purpose)))
    account.event(now, f"{refused.purpose}.refused", "PAGE", f"{symbol}: {refused.purpose} refused: {why}")


def extended_form_refused(account: Account, symbol: str, why: str, now: Now) -> bool:
    """A stop that was placed in the form for extended hours may have been refused for that form: once, the other one is
    tried at once. Where that is refused as well, the form was not why."""
    in_form = protective(account, symbol) is Duration.GTC_EXTENDED
    account.journal.mind(symbol, replace(account.journal.minded(symbol), regular_stops=in_form))
    if not in_form:
        return False
    text = f"{symbol}: the venue refused a stop for extended hours ({why}); stops are for regular hours from now on"
    account.event(now, "stop.regular_form", "NOTIFY", text)
    return True


def _unknown(account: Account, intent: Intent, result: Unknown, now: Now) -> None:
    if result.sent:
        doubt(account, intent, result.reason, now)
    elif intent.kind is Kind.PLACE:
        why = AGAIN if intent.reason == AGAIN else result.reason
        account.journal.write_intent(replace(intent, state=IntentState.UNSENT, reason=why))
    else:
        settled(account, intent, IntentState.REFUSED, f"not sent: {result.reason}", now)
        account.journal.write_order(given_up(account.journal.orders[intent.order_id]))
        minded = account.journal.minded(intent.symbol)
        account.journal.mind(intent.symbol, renewal.not_sent(minded, intent.order_id))


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
    """What may be on its way from now on counts from now. That it went before stays known: should it not be sent this
    time, the venue may have it all the same."""
    why = AGAIN if intent.reason == AGAIN else ""
    written = replace(intent, state=IntentState.WRITTEN, reason=why, doubted_utc=None)
    account.journal.write_intent(written)
    return written


def may_go_again(account: Account, intent: Intent, now: Now) -> bool:
    """Never an entry: what was sent of it is only settled (order-safety 3.3)."""
    can = account.capabilities
    closes = intent.purpose is not Purpose.ENTRY and account.journal.holding(intent.symbol).quantity != 0
    return closes and remembered(
        intent, can.id_dedupe, can.id_dedupe_window_s, account.timing.on_its_way_s, now.utc, now.rate
    )


def _still_wanted(account: Account, intent: Intent, now: Now) -> bool:
    asked = (intent.purpose, intent.side, intent.legs, terms_of(intent))
    actions = plan(situation(account, intent.symbol, now, without=intent))
    placings = [action for action in actions if isinstance(action, Place)]
    return any(asked == (a.purpose, a.side, a.legs, _terms(a)) for a in placings)


def _terms(a: Place) -> Terms:
    return terms(a.quantity, a.type, a.stop_price, None, a.trail)


def doubt(account: Account, intent: Intent, why: str, now: Now) -> None:
    """Its fate is unknown: reads of the account settle it (``truth``)."""
    doubted_utc = now.utc if intent.doubted_utc is None else min(intent.doubted_utc, now.utc)
    unknown = replace(intent, state=IntentState.UNKNOWN, reason=why, doubted_utc=doubted_utc)
    account.journal.write_intent(unknown)
    account.settling[intent.number] = settling_since(unknown, now)
    account.want_read = True
    order = account.journal.orders.get(intent.order_id)
    if order is not None:
        since_s = now.s if intent.doubted_utc is None else min(order.pending_since_s, now.s)
        account.journal.write_order(replace(order, unsure=True, pending_since_s=since_s))
    account.event(now, "intent.unknown", "NOTIFY", f"{intent.symbol}: {intent.kind} {intent.key}: {why}")


def settling_since(intent: Intent, now: Now) -> Settling:
    """Nothing was read yet; since when it is in doubt our own death does not change."""
    doubted_s = 0.0 if intent.doubted_utc is None else max(0.0, now.utc - intent.doubted_utc) / now.rate
    return Settling(now.s, doubted_s=doubted_s)


def doubt_after_restart(account: Account, now: Now) -> None:
    """Our own death leaves every written intent without outcome; what was pending is asked of the next reads. One that
    was requested in our former life may be older than what we did in it.

    Since when a change waits for its end is kept, or deaths that come one after the other would put off the next try
    for ever. What was written and has no answer may have left as late as we died: it waits from now on. (Machine time
    of before a reboot cannot make a wait shorter than it was: this boot alone has lasted longer than we count.)"""
    for symbol in account.session.symbols:
        account.changed_s[symbol] = now.s
    for order in list(account.journal.working.values()):
        since = {"pending_since_s": min(order.pending_since_s, now.s), "owed_since_s": min(order.owed_since_s, now.s)}
        kept = replace(order, unsure=order.unsure or bool(order.pending), **since)
        if kept != order:
            account.journal.write_order(kept)
    for intent in list(account.journal.open_intents.values()):
        if intent.state is not IntentState.UNSENT:
            why = intent.reason if intent.state is IntentState.UNKNOWN else "our own death"
            doubt(account, intent, why, now)


def settled(account: Account, intent: Intent, state: IntentState, why: str, now: Now, order_id: str = "") -> Intent:
    done = replace(intent, state=state, reason=why, settled_utc=now.utc, result_order_id=order_id)
    account.journal.write_intent(done)
    account.settling.pop(intent.number, None)
    return done
