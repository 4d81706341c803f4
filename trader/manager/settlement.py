"""Instructions of unknown fate, settled by reads: today's orders, then history. Acts inside a journal's transaction.

Correct whichever way the venue is. One that surely refuses a repeated key is sent the same stop or exit again; at any
other, a request of which no read shows anything is given up once it can be on its way no longer, and what is still
wanted is planned anew under a new key. An order that a replace of unknown fate made under another id is recognised by
what was asked. What shows up later all the same is ours and *late*: it is cancelled at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from brokers.model import ZERO, Order
from trader.manager.account import Account, Now
from trader.manager.brackets import give_up_legs, has_vanished, legs_searched
from trader.manager.execution import DUPLICATE, may_go_again, overdue, renamed, settled, settling_since
from trader.manager.likeness import explains_nothing, legs_like, likely, may_go_on, moved, named_by_another, proven
from trader.manager.order_frames import ended_by_other, frames, take_legs
from trader.manager.refusals import reject
from trader.manager.turns import AMBIGUOUS, UNEXPLAINED
from trader.manager.unsettled import HISTORY_S, held_when_overdue, hold, missed, vanished
from trader.orders.intents import (
    AGAIN,
    SETTLING_READS,
    Intent,
    IntentState,
    Kind,
    Purpose,
    Settling,
    Verdict,
    matches,
    settle,
    settle_replace,
    succeeds,
)
from trader.orders.legs import parent_of
from trader.orders.own_order import placed
from trader.orders.position import clamped
from trader.orders.terms import terms_of

BEFORE_ALL_S = -1.0
"""The age of what history tells: it proves what happened, and never that nothing did."""
replace = msgspec.structs.replace


def settle_intents(account: Account, orders: tuple[Order, ...], requested_s: float, now: Now) -> None:
    """One read of the account's orders: placings of unknown fate, those given up lately, our orders, their replaces."""
    take_legs(account, orders, now)
    for intent in _unknown(account, Kind.PLACE):
        _settle_placing(account, intent, orders, requested_s, now)
    _look_for_late_ones(account, orders, now)
    take_legs(account, orders, now)
    _give_up_legs(account, orders, requested_s, now)
    frames(account, [o for o in orders if o.order_id in account.journal.orders], now, requested_s)
    for intent in _unknown(account, Kind.REPLACE):
        _settle_replace(account, intent, orders, requested_s, now)
    missed(account, {order.order_id for order in orders}, requested_s, now)
    held_when_overdue(account, now)


def settle_by_history(account: Account, orders: tuple[Order, ...], since_utc: float, now: Now) -> None:
    """Orders that closed before the venue's today: what an intent became may have left today's with the day."""
    account.search_since_utc = None
    before = {symbol: account.journal.holding(symbol).quantity for symbol in account.session.symbols}
    take_legs(account, orders, now)
    account.told_by_history = {order.order_id: order for order in orders if _may_have_closed(account, order)}
    for intent in _unknown(account, Kind.PLACE):
        if _searched(account, intent, since_utc, now):
            found = _candidates(account, intent, orders)
            if len(found) == 1:
                _found(account, intent, found[0], now)
            elif found:
                _ambiguous(account, intent, now)
            elif account.settling[intent.number].searched:
                _taken_as_moved(account, intent, orders, now)
    take_legs(account, orders, now)
    frames(account, orders, now)
    for intent in _unknown(account, Kind.REPLACE):
        if _settle_replace(account, intent, orders, BEFORE_ALL_S, now) is not Verdict.AMBIGUOUS:
            _searched(account, intent, since_utc, now)
    closed = {order.order_id for order in orders}
    for order_id, missed_since_utc in list(account.missing.items()):
        if missed_since_utc is None or missed_since_utc < since_utc or order_id in closed:
            continue
        if now.utc >= missed_since_utc + (HISTORY_S + account.timing.on_its_way_s) * now.rate:
            vanished(account, order_id, now)  # not before: a venue's lists may lag behind its book
    legs_searched(account, since_utc)
    _unsure_until_read(account, before)
    account.want_read = True


def _may_have_closed(account: Account, order: Order) -> bool:
    """Of a position that has vanished unexplained, and done after we last knew of it. (Ours are told by their frames,
    and left out where other people's are looked at.)"""
    after = order.closed_utc is not None and order.closed_utc >= account.journal.holding(order.symbol).as_of_utc
    return after and UNEXPLAINED in account.journal.holds_of(order.symbol)


def _unsure_until_read(account: Account, before: Mapping[str, Decimal]) -> None:
    """What filled long ago may have been closed since by what no history shows yet. Where the newest read says
    otherwise, the next has the last word; until then nothing closes more than either says is there."""
    for symbol, quantity in before.items():
        held, shown = account.journal.holding(symbol).quantity, account.shown.get(symbol, ZERO)
        if held not in (quantity, shown):
            account.differed.setdefault(symbol, shown)


def _searched(account: Account, intent: Intent, since_utc: float, now: Now) -> bool:
    """Whether history was asked about this intent, once today's orders had not shown it. That it is not there counts
    only when it can be on its way no longer: it could arrive, fill, and leave today's orders with the day."""
    so_far, timing = account.settling.get(intent.number), account.timing
    if so_far is None or so_far.reads < SETTLING_READS or intent.written_utc < since_utc:
        return False
    wait_s = timing.on_its_way_s if intent.kind is Kind.PLACE else timing.settle_s
    account.settling[intent.number] = replace(so_far, searched=now.s >= so_far.began_s + wait_s)
    return True


def _search(account: Account, intent: Intent) -> None:
    account.search_since_utc = min(intent.written_utc, account.search_since_utc or intent.written_utc)


def _unknown(account: Account, kind: Kind) -> list[Intent]:
    opened = account.journal.open_intents.values()
    return [intent for intent in opened if intent.kind is kind and intent.state is IntentState.UNKNOWN]


# -- placings ----------------------------------------------------------------------------------------------------------


def _settle_placing(account: Account, intent: Intent, orders: tuple[Order, ...], requested_s: float, now: Now) -> None:
    timing = account.timing
    again = may_go_again(account, intent, now) and intent.reason != DUPLICATE
    wait_s = timing.settle_s if again else timing.on_its_way_s
    so_far = account.settling.setdefault(intent.number, settling_since(intent, now))
    last_utc = _last_utc(account, so_far, now)
    candidates = [o for o in _candidates(account, intent, orders) if o.opened_utc <= last_utc]
    if any(may_go_on(account, order, orders) for order in candidates):
        return  # its replace is settled first, and whichever is left is this placing's
    if requested_s < so_far.began_s + timing.on_its_way_s:
        shown, candidates = candidates, proven(intent, candidates, orders)  # bare only when nothing else can come
        if not candidates and so_far.reads >= SETTLING_READS:
            _page_the_bare(account, intent, shown, now)
    matters = candidates and _may_be_tied(account, intent, orders)
    if matters and _not_told_apart(account, intent, candidates, requested_s, now):
        return
    twins = _twins(intent, _given_up_lately(account, now)) + legs_like(account, intent, orders, alone=True)
    verdict, order, so_far = settle(intent, so_far, candidates, (), requested_s, wait_s, twins)
    account.settling[intent.number] = so_far
    if order is not None:
        _found(account, intent, order, now)
    elif verdict is Verdict.AMBIGUOUS:
        _ambiguous(account, intent, now)
    elif verdict is Verdict.NOT_YET:
        return
    elif not (so_far.searched or again):
        _search(account, intent)
    elif not _taken_as_moved(account, intent, orders, now):
        _absent(account, intent, now)


def _may_be_tied(account: Account, intent: Intent, orders: tuple[Order, ...], *, closed: bool = False) -> bool:
    """A leg that no frame has shown asks for the very same, and a take is tied to it."""
    legs, alone = (legs_like(account, intent, orders, alone=alone, closed=closed) for alone in (False, True))
    return legs > alone


def _not_told_apart(
    account: Account, intent: Intent, candidates: list[Order], requested_s: float, now: Now, *, tied: bool = False
) -> bool:
    """Which of them a take is tied to decides about what both may close, so of several none is taken. One alone is
    taken for this intent's when the other can come no longer, unless this one is ``tied``: what they may close is
    overrated then, and never underrated."""
    if len(candidates) > 1:
        _ambiguous(account, intent, now)
        return True
    return tied or requested_s < account.settling[intent.number].began_s + account.timing.on_its_way_s


def _last_utc(account: Account, so_far: Settling, now: Now) -> float:
    """What opens later is no request of ours that is without answer."""
    return now.utc + (so_far.began_s + account.timing.on_its_way_s - now.s) * now.rate


def _taken_as_moved(account: Account, intent: Intent, orders: tuple[Order, ...], now: Now) -> bool:
    """The last look before it is given up. A bracket that differs from it in a price of its legs is it, moved by a
    person before we had heard of it: given up, its stop would be nobody's, and work on beside our exit."""
    last_utc = _last_utc(account, account.settling[intent.number], now)
    strangers = [o for o in _strangers(account, intent, orders) if o.opened_utc <= last_utc]
    found = moved(intent, strangers, orders)
    if len(found) == 1:
        _found(account, intent, found[0], now)
    elif found:
        _ambiguous(account, intent, now)
    return bool(found)


def _page_the_bare(account: Account, intent: Intent, shown: Iterable[Order], now: Now) -> None:
    """An order that may be this bracket's entry has filled and shows none of its legs. Whether it is ours is not known
    yet, so it is not protected yet; somebody must know that before we do."""
    for order in shown:
        if order.filled_quantity:
            text = f"order {order.order_id} looks like {intent.purpose} {intent.key} and has filled, without its stop"
            hold(account, intent.symbol, "unsettled", f"{text}; settled when nothing else can come, or by you", now)


def _candidates(account: Account, intent: Intent, orders: tuple[Order, ...]) -> list[Order]:
    """Not one that is ours already, nor one that has explained an agreed position as somebody else's. (One that a read
    has shown before anything of it had filled has explained nothing.) What waits for another order is a leg."""
    return likely(intent, _strangers(account, intent, orders), orders)


def _strangers(account: Account, intent: Intent, orders: Iterable[Order]) -> list[Order]:
    found = [order for order in orders if matches(intent, order, ()) and explains_nothing(account, order)]
    named = named_by_another(account, intent)
    found = [order for order in found if not (parent_of(order) or order.order_id in named)]
    return [order for order in found if not account.journal.knows_order(order.order_id)]


def _twins(intent: Intent, given_up: Iterable[Intent]) -> int:
    """Of intents given up, those that ask for the very same: an order that shows up now can be of any of them."""
    return sum(_asks(each) == _asks(intent) for each in given_up)


def _asks(intent: Intent) -> tuple[object, ...]:
    return intent.symbol, intent.side, terms_of(intent), intent.legs


def _given_up_lately(account: Account, now: Now) -> list[Intent]:
    return [i for i in account.lately(now) if i.kind is Kind.PLACE and i.state is IntentState.GIVEN_UP]


def _found(account: Account, intent: Intent, order: Order, now: Now) -> None:
    """An entry that works past its validity is late: nothing wants it any more (order-safety 3.3)."""
    done = settled(account, intent, IntentState.ACCEPTED, "found by a read", now, order.order_id)
    late = overdue(intent, now) and order.working
    account.journal.write_order(replace(placed(done, order.order_id), late=late))
    text = f"{intent.symbol}: {intent.key} is order {order.order_id}"
    text += "; its validity is over, so it is cancelled" if late else ""
    account.event(now, "intent.settled", "NOTIFY", text)


def _ambiguous(account: Account, intent: Intent, now: Now) -> None:
    """Nothing is given up of which several are shown, also where that is history, and reads show none any more."""
    account.settling[intent.number] = replace(account.settling[intent.number], searched=False)
    hold(account, intent.symbol, AMBIGUOUS, f"several orders could be of intent {intent.key}", now)


def _absent(account: Account, intent: Intent, now: Now) -> None:
    """Neither reads nor history show it. A stop or exit whose key is surely remembered goes again with it; else the
    intent is given up, and what is wanted then is another intent. An entry is never sent twice."""
    symbol, held = intent.symbol, account.journal.holding(intent.symbol).quantity
    if intent.reason == DUPLICATE:
        hold(account, symbol, "unsettled", f"{intent.purpose} {intent.key} cannot be settled by reads", now)
    elif may_go_again(account, intent, now):
        account.journal.write_intent(replace(intent, state=IntentState.UNSENT, reason=AGAIN, doubted_utc=None))
        account.settling.pop(intent.number, None)
    else:
        settled(account, intent, IntentState.GIVEN_UP, "no read shows it", now)
        account.event(now, "intent.given_up", "NOTIFY", f"{symbol}: {intent.purpose} {intent.key} was not placed")
        if intent.purpose is Purpose.ENTRY:
            declaration = account.journal.declaration(symbol)
            account.journal.declare(replace(declaration, quantity=clamped(declaration.quantity, held)))
            reject(account, now, symbol, "settle", f"entry {intent.key} was not placed", intent.quantity)


def _look_for_late_ones(account: Account, orders: tuple[Order, ...], now: Now) -> None:
    """What opens later than a request can be on its way is somebody else's, however alike it looks."""
    given_up = _given_up_lately(account, now)
    for intent in given_up:
        found = proven(intent, _candidates(account, intent, orders), orders)
        if found and len(found) <= _twins(intent, given_up):
            _showed_up_late(account, intent, found[0], now)


def _showed_up_late(account: Account, intent: Intent, order: Order, now: Now) -> None:
    """What it has filled is kept and protected; the rest is cancelled, since nothing declares it any more."""
    done = settled(account, intent, IntentState.ACCEPTED, "showed up after it was given up", now, order.order_id)
    account.journal.write_order(replace(placed(done, order.order_id), late=True))
    text = f"{intent.symbol}: order {order.order_id} of {intent.key} showed up after it had been given up"
    account.event(now, "order.late", "PAGE", text)


def _give_up_legs(account: Account, orders: tuple[Order, ...], requested_s: float, now: Now) -> None:
    """What no read shows for so long was refused or is gone: what is held gets a stop of its own. Not while an order
    works that may be it: somebody has to say which it is."""
    for entry in give_up_legs(account, orders, requested_s, now):
        legs = ", ".join(leg.purpose for leg in entry.awaits)
        if entry.order_id in account.journal.awaiting:
            hold(account, entry.symbol, AMBIGUOUS, f"several orders could be the {legs} of {entry.order_id}", now)
            continue
        text = f"{entry.symbol}: no read shows the {legs} of order {entry.order_id}"
        account.event(now, "bracket.incomplete", "NOTIFY", text)


# -- replaces ----------------------------------------------------------------------------------------------------------


def _settle_replace(
    account: Account, intent: Intent, orders: tuple[Order, ...], requested_s: float, now: Now
) -> Verdict | None:
    """While the old order works its own frame tells (``execution``). Where it has ended, or is gone from today's, it
    goes on as exactly one new order of what was asked, or somebody has cancelled it. What has vanished may work on:
    it ends by a person's word (``not old.working``), and before that nothing takes its place."""
    journal, old = account.journal, account.journal.orders.get(intent.order_id)
    if old is None or not (old.out or all(order.order_id != old.order_id for order in orders)):
        return None
    so_far = account.settling.setdefault(intent.number, settling_since(intent, now))
    strangers = [each for each in orders if not journal.knows_order(each.order_id) and explains_nothing(account, each)]
    named = named_by_another(account, intent)
    strangers = [o for o in strangers if parent_of(o) in ("", old.parent) and o.order_id not in named]  # else a leg
    if not (old.out or so_far.searched):
        strangers = []  # gone with the day: whether it filled, or ended, history tells
    others = [each for kind in (Kind.PLACE, Kind.REPLACE) for each in _unknown(account, kind) if each is not intent]
    wanted = _for_the_rest(account, intent)
    twins = sum(_asks(_for_the_rest(account, each)) == _asks(wanted) for each in others)
    closed = requested_s == BEFORE_ALL_S
    legs = legs_like(account, wanted, orders, closed=closed)
    twins += legs
    matters = bool(legs) and (old.group > 0 or _may_be_tied(account, wanted, orders, closed=closed))
    rivals = [each for each in strangers if succeeds(intent, each, old.filled_quantity, (), tied=old.group > 0)]
    if rivals and matters and _not_told_apart(account, intent, rivals, requested_s, now, tied=old.group > 0):
        return Verdict.AMBIGUOUS
    verdict, order, so_far = settle_replace(
        intent,
        so_far,
        strangers,
        old.filled_quantity,
        (),
        requested_s,
        account.timing.settle_s,
        tied=old.group > 0,
        twins=twins,
    )
    account.settling[intent.number] = so_far
    if order is not None:
        settled(account, intent, IntentState.ACCEPTED, "found by a read under a new id", now, order.order_id)
        renamed(account, intent, order.order_id)
        text = f"{intent.symbol}: order {old.order_id} goes on as {order.order_id}"
        account.event(now, "intent.settled", "NOTIFY", text)
        frames(account, [order], now, requested_s)
    elif verdict is Verdict.AMBIGUOUS:
        _ambiguous(account, intent, now)
    elif verdict is Verdict.ABSENT and not so_far.searched:
        _search(account, intent)
    elif verdict is Verdict.ABSENT and (not old.working or (old.out and not has_vanished(account, old.order_id))):
        settled(account, intent, IntentState.GIVEN_UP, "its order has ended, and did not go on", now)
        if not any(other.order_id == old.order_id for other in _unknown(account, Kind.REPLACE)):
            ended_by_other(account, old.order_id, now, orders)
    return verdict


def _for_the_rest(account: Account, intent: Intent) -> Intent:
    """What goes on for a replaced order is smaller by what that one had filled."""
    old = account.journal.orders.get(intent.order_id)
    return intent if old is None else replace(intent, quantity=intent.quantity - old.filled_quantity)
