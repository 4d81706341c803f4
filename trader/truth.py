"""A whole read of the account put before the pure parts: settle, take fills, reconcile, adopt. And coverage.

Acts inside a transaction of the journal. Adopting writes down what the broker says; it never makes an order, and an
adopted position is never an invented fill (order-safety 1.8).
"""

from __future__ import annotations

import msgspec

from brokers.model import ZERO, Order
from feeds.messages import Snapshot
from trader.account import Account, Now
from trader.execution import DUPLICATE, frames, settled
from trader.intents import Intent, IntentState, Kind, Purpose, Settling, Verdict, matches, settle
from trader.journal import Uncovered
from trader.messages import SyncRow
from trader.money import Adoption
from trader.orders import placed
from trader.position import Holding
from trader.reconcile import Finding, Ours, foreign_fills, reconcile
from trader.reconcile import Verdict as Truth
from trader.risk import stop_refusal
from trader.target import clamped, same_side, stop_gates
from trader.turns import DIVERGENCE

UNCOVERED_PAGE_S = 5.0
"""Machine seconds an open position may be without its stop before it pages: a stop is placed after the entry's fill."""
ON_ITS_WAY_S = 60.0
"""Machine seconds after its intent was given up in which an order may still reach the venue: six times our own limit
of a request. What opens later is somebody else's, however alike it looks."""

replace = msgspec.structs.replace


def read(account: Account, snapshot: Snapshot, now: Now) -> None:
    """One good snapshot of the account. ``account.want_read`` says afterwards whether it must be confirmed soon."""
    orders = snapshot.content.orders
    settle_intents(account, orders, snapshot.requested_s, now)
    frames(account, [o for o in orders if o.order_id in account.journal.orders], now, snapshot.requested_s)
    theirs = [o for o in orders if not account.journal.knows_order(o.order_id)]
    account.foreign_working = sum(order.working for order in theirs)
    deltas = foreign_fills(theirs, (), account.journal.foreign)
    ours = [_ours(account, symbol) for symbol in account.session.symbols]
    for finding in reconcile(ours, snapshot.content.positions, deltas, snapshot.requested_s):
        _found(account, finding, snapshot, theirs, now)


def _ours(account: Account, symbol: str) -> Ours:
    return Ours(
        symbol=symbol,
        known=symbol in account.journal.holdings,
        quantity=account.journal.holding(symbol).quantity,
        changed_s=account.changed_s.get(symbol, 0.0),
        unsettled=account.unsettled(symbol),
        differed=account.differed.get(symbol),
    )


# -- settlement --------------------------------------------------------------------------------------------------------


def settle_intents(account: Account, orders: tuple[Order, ...], requested_s: float, now: Now) -> None:
    """Placings of unknown fate against one read; then those given up, whose orders may still show up."""
    journal = account.journal
    for intent in list(journal.open_intents.values()):
        if intent.kind is Kind.PLACE and intent.state is IntentState.UNKNOWN:
            so_far = account.settling.setdefault(intent.number, Settling(now.s))
            verdict, order, so_far = settle(
                intent, so_far, orders, journal.orders, requested_s, account.timing.settle_s
            )
            account.settling[intent.number] = so_far
            _settle(account, intent, verdict, order, now)
    for intent in list(journal.given_up.values()):
        found = [order for order in orders if _late_order_of(account, intent, order, now)]
        if len(found) == 1 and not journal.knows_order(found[0].order_id):
            _showed_up_late(account, intent, found[0], now)


def _late_order_of(account: Account, intent: Intent, order: Order, now: Now) -> bool:
    """Not one that somebody placed long after, nor one that has explained an agreed position as somebody else's."""
    given_up_utc = intent.settled_utc or now.utc
    in_time = order.opened_utc <= given_up_utc + ON_ITS_WAY_S * now.rate
    return in_time and order.order_id not in account.journal.foreign and matches(intent, order, account.journal.orders)


def _settle(account: Account, intent: Intent, verdict: Verdict, order: Order | None, now: Now) -> None:
    if order is not None:
        done = settled(account, intent, IntentState.ACCEPTED, "found by a read", now, order.order_id)
        account.journal.write_order(placed(done, order.order_id))
        account.event(now, "intent.settled", "NOTIFY", f"{intent.symbol}: {intent.key} is order {order.order_id}")
    elif verdict is Verdict.AMBIGUOUS:
        _hold(account, intent.symbol, "ambiguous", f"several orders could be of intent {intent.key}", now)
    elif verdict is Verdict.ABSENT:
        _absent(account, intent, now)
    else:
        account.want_read = True


def _absent(account: Account, intent: Intent, now: Now) -> None:
    """No read shows it. An entry is given up; a stop or exit that is still wanted goes again, with the same key."""
    symbol = intent.symbol
    if intent.reason == DUPLICATE or (intent.purpose is not Purpose.ENTRY and account.capabilities.id_dedupe == "none"):
        _hold(account, symbol, "unsettled", f"{intent.purpose} {intent.key} cannot be settled by reads", now)
    elif intent.purpose is Purpose.ENTRY:
        settled(account, intent, IntentState.GIVEN_UP, "no read shows it", now)
        declaration = account.journal.declaration(symbol)
        left = clamped(declaration.quantity, account.journal.holding(symbol).quantity)
        account.journal.declare(replace(declaration, quantity=left))
        account.reject(now, symbol, "settle", f"entry {intent.key} was not placed", intent.quantity)
    elif account.journal.holding(symbol).quantity == 0:
        settled(account, intent, IntentState.GIVEN_UP, "no read shows it, and nothing is held", now)
    else:
        account.journal.write_intent(replace(intent, state=IntentState.UNSENT, reason="no read shows it"))
        account.settling.pop(intent.number, None)


def _showed_up_late(account: Account, intent: Intent, order: Order, now: Now) -> None:
    """What it has filled is kept and protected; the rest is cancelled, since nothing declares it any more."""
    done = settled(account, intent, IntentState.ACCEPTED, "showed up after it was given up", now, order.order_id)
    account.journal.write_order(replace(placed(done, order.order_id), late=True))
    text = f"{intent.symbol}: order {order.order_id} of {intent.key} showed up after it had been given up"
    account.event(now, "order.late", "PAGE", text)


# -- reconcile ---------------------------------------------------------------------------------------------------------


def _found(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    symbol = finding.symbol
    if finding.verdict is Truth.AGREES:
        _agrees(account, finding, snapshot, theirs, now)
    elif finding.verdict is Truth.NOT_OURS:
        _not_ours(account, finding, snapshot, theirs, now)
    elif finding.verdict in (Truth.OLDER, Truth.UNSETTLED):
        account.want_read = True
    else:
        account.differed[symbol] = finding.theirs
        if finding.verdict is Truth.DIFFERS:
            text = f"{symbol}: we have {finding.ours}, the broker says {finding.theirs}; entries closed, reading again"
            account.event(now, "divergence.seen", "LOG", text, read=snapshot.read)
            account.want_read = True
        elif finding.verdict is Truth.UNEXPLAINED:
            text = f"position {finding.ours} vanished without a closing fill; it is not believed, its stop stays"
            _hold(account, symbol, "unexplained", text, now)
        else:
            _adopt(account, finding, snapshot, theirs, now)


def _agrees(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    journal, symbol = account.journal, finding.symbol
    account.agreed_s[symbol] = snapshot.requested_s
    account.differed.pop(symbol, None)
    account.not_ours.discard(symbol)
    if symbol not in journal.holdings:
        journal.hold_position(symbol, Holding(as_of_utc=now.utc))
    journal.account_foreign((o for o in theirs if o.symbol == symbol), now.utc)
    if journal.drop_holds(symbol, "unexplained"):
        text = f"{symbol}: the broker shows the position {finding.theirs} again"
        account.event(now, "unexplained.over", "NOTIFY", text, incident=f"unexplained:{symbol}", state="resolved")
    _found_is_over(account, symbol, f"{symbol}: what was found there is gone", now)


def _not_ours(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    """A new journal finds a position: another's, unless the session was told to take it over (order-safety 3.7)."""
    symbol, journal = finding.symbol, account.journal
    if not account.session.take_over:
        account.not_ours.add(symbol)
        text = f"a new journal finds a position of {finding.theirs}: not adopted; flat it, or start with take-over"
        _hold(account, symbol, "found", text, now)
        return
    journal.hold_position(symbol, Holding(finding.theirs, finding.average_price, now.utc))
    journal.declare(replace(journal.declaration(symbol), quantity=finding.theirs))
    account.agreed_s[symbol] = snapshot.requested_s
    _record_adoption(account, finding, snapshot, now, taken_over=True)
    journal.account_foreign((o for o in theirs if o.symbol == symbol), now.utc)
    account.event(now, "position.taken_over", "NOTIFY", f"{symbol}: took over {finding.theirs}")
    _found_is_over(account, symbol, f"{symbol}: what was found there is ours now", now)


def _found_is_over(account: Account, symbol: str, text: str, now: Now) -> None:
    if account.journal.drop_holds(symbol, "found"):
        account.event(now, "found.over", "NOTIFY", text, incident=f"found:{symbol}", state="resolved")


def _adopt(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    """Two reads agree: the broker is right. What was declared is void, and entries are held (order-safety 1.9)."""
    journal, symbol = account.journal, finding.symbol
    before = journal.declaration(symbol)
    held = same_side(finding.theirs, finding.ours)
    journal.hold_position(symbol, Holding(finding.theirs, finding.average_price, now.utc))
    journal.declare(
        replace(
            before,
            quantity=finding.theirs,
            stop=before.stop if held else None,
            stop_by_person=before.stop_by_person if held else "",
            voided=True,
            voided_quantity=before.voided_quantity if before.voided else before.quantity,
            voided_stop=before.voided_stop if before.voided else before.stop,
        )
    )
    journal.add_hold(symbol, DIVERGENCE, now.utc)
    journal.add_row(
        SyncRow(
            symbol=symbol,
            before=finding.ours,
            after=finding.theirs,
            average_price=finding.average_price,
            adopted_utc=now.utc,
        )
    )
    account.agreed_s[symbol] = snapshot.requested_s
    account.differed.pop(symbol, None)
    _record_adoption(account, finding, snapshot, now)
    journal.account_foreign((o for o in theirs if o.symbol == symbol), now.utc)
    account.event(
        now,
        "divergence.adopted",
        "NOTIFY",
        f"{finding.symbol}: we had {finding.ours}, the broker said {finding.theirs} twice: adopted, entries held",
        incident=f"divergence:{finding.symbol}",
        state="opened",
        ours=finding.ours,
        theirs=finding.theirs,
        read=snapshot.read,
        age_s=now.s - snapshot.requested_s,
        explained=finding.explained,
    )


def _record_adoption(
    account: Account, finding: Finding, snapshot: Snapshot, now: Now, *, taken_over: bool = False
) -> None:
    """What we had, what the broker said, which read, how old, what was adopted (order-safety 1.7)."""
    account.journal.write_adoption(
        Adoption(finding.symbol, finding.ours, finding.theirs, finding.average_price, now.utc, taken_over=taken_over),
        read=snapshot.read,
        age_s=now.s - snapshot.requested_s,
        explained=finding.explained,
    )


def _hold(account: Account, symbol: str, why: str, text: str, now: Now) -> None:
    """Entries of the symbol are held, stored, and somebody is told, once."""
    if account.journal.add_hold(symbol, why, now.utc):
        incident = f"{why}:{symbol}"
        account.event(now, f"hold.{why}", "PAGE", f"{symbol}: {text}", incident=incident, state="opened")


# -- coverage ----------------------------------------------------------------------------------------------------------


def uncovered(account: Account, symbol: str) -> bool:
    """An open position of which a part has neither a working stop nor a working exit of ours."""
    held = account.journal.holding(symbol).quantity
    if not held:
        return False
    closing = ZERO
    for order in account.journal.working.values():
        if order.symbol == symbol and order.side.sign * held < 0 and (order.protecting or order.exiting):
            closing += order.remaining
    return abs(held) > closing


def coverage(account: Account, now: Now) -> None:
    """Record where cover ends and begins again, with the exact length; page when it does not come (law 4)."""
    for symbol in account.session.symbols:
        since, bare = account.journal.uncovered.get(symbol), uncovered(account, symbol)
        if bare and since is None:
            since = Uncovered(now.utc, now.s, False)
            account.journal.set_uncovered(symbol, since)
        if since is not None and not bare:
            _covered_again(account, symbol, since, now)
        elif since is not None and not since.paged and page_due(account, symbol, since, now):
            account.journal.set_uncovered(symbol, replace(since, paged=True))
            held = account.journal.holding(symbol).quantity
            text = f"{symbol}: position {held} has no working stop: {_why(account, symbol)}"
            account.event(now, "uncovered", "PAGE", text, incident=f"uncovered:{symbol}", state="opened")


def page_due(account: Account, symbol: str, since: Uncovered, now: Now) -> bool:
    return now.s - since.since_s > UNCOVERED_PAGE_S or not _stop_is_coming(account, symbol)


def _covered_again(account: Account, symbol: str, since: Uncovered, now: Now) -> None:
    account.journal.set_uncovered(symbol, None)
    account.event(
        now,
        "uncovered.over",
        "NOTIFY" if since.paged else "LOG",
        f"{symbol}: was without a working stop for {now.s - since.since_s:.3f} s",
        incident=f"uncovered:{symbol}" if since.paged else "",
        state="resolved" if since.paged else "",
        machine_s=now.s - since.since_s,
        market_s=now.utc - since.since_utc,
    )


def _stop_is_coming(account: Account, symbol: str) -> bool:
    declaration = account.journal.declaration(symbol)
    blocked = declaration.stop_by_person == "removed" or Purpose.STOP in declaration.refused
    return declaration.stop is not None and not blocked


def _why(account: Account, symbol: str) -> str:
    journal = account.journal
    shut = stop_refusal(stop_gates(journal.declaration(symbol), journal.instruments.get(symbol), works=False))
    return shut[1] if shut is not None else "it does not work yet"
