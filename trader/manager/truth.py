"""A whole read of the account put before the pure parts: settled, it is reconciled and adopted. And coverage.

Acts inside a transaction of the journal. Adopting writes down what the broker says; it never makes an order, and an
adopted position is never an invented fill (order-safety 1.8).
"""

from __future__ import annotations

import msgspec

from brokers.model import ZERO, Order
from feeds.messages import Snapshot
from supervisor.messages import Level
from trader.accounting.money import Adoption
from trader.manager.account import DIVERGENCE, Account, Now
from trader.manager.image import Uncovered
from trader.manager.lagging import remember_ahead
from trader.manager.likeness import may_be_ours, may_be_unsettled
from trader.manager.settlement import settle_intents
from trader.manager.turns import UNEXPLAINED
from trader.manager.unsettled import HISTORY_S, hold
from trader.messages import SyncRow
from trader.orders.declaration import voided
from trader.orders.intents import Purpose
from trader.orders.own_order import protects
from trader.orders.position import Holding, same_side
from trader.orders.reconcile import Finding, Ours, foreign_fills, reconcile
from trader.orders.reconcile import Verdict as Truth
from trader.orders.target import stop_gates
from trader.risk.gates import stop_refusal

NOTIFY_AFTER_S = 60.0
PAGE_AFTER_S = 300.0
"""Machine seconds after which a difference that stays is told, and pages: two cycles of the books, and ten."""
UNCOVERED_PAGE_S = 5.0
"""Machine seconds an open position may be without its stop before it pages: a stop is placed after the entry's fill."""
HISTORY_EVERY_S = 300.0
"""Machine seconds between two searches of history for what closed a position that vanished: it may be hours late, and a
venue counts such reads."""
replace = msgspec.structs.replace


def read(account: Account, snapshot: Snapshot, now: Now) -> None:
    """One good snapshot of the account. ``account.want_read`` says afterwards whether it must be confirmed soon."""
    orders = snapshot.content.orders
    settle_intents(account, orders, snapshot.requested_s, now)
    theirs = [o for o in (*orders, *_of_history(account, orders)) if not account.journal.knows_order(o.order_id)]
    foreign = tuple([order for order in theirs if order.working])
    if foreign != account.foreign_working:
        account.foreign_working = foreign
        account.stir()  # they count in coverage
    deltas = foreign_fills(theirs, (), account.journal.foreign)
    ours = [_ours(account, symbol, theirs, orders) for symbol in account.session.symbols]
    for finding in reconcile(ours, snapshot.content.positions, deltas, snapshot.requested_s):
        _found(account, finding, snapshot, theirs, now)


def _of_history(account: Account, orders: tuple[Order, ...]) -> list[Order]:
    """Other people's orders that history told when a position had vanished, and that today's do not show."""
    shown = {order.order_id for order in orders}
    return [order for order in account.told_by_history.values() if order.order_id not in shown]


def _ours(account: Account, symbol: str, theirs: list[Order], orders: tuple[Order, ...]) -> Ours:
    foreign = account.journal.foreign
    filled = [o for o in theirs if o.symbol == symbol and o.filled_quantity != foreign.get(o.order_id, ZERO)]
    return Ours(
        symbol=symbol,
        known=symbol in account.journal.holdings,
        quantity=account.journal.holding(symbol).quantity,
        changed_s=account.changed_s.get(symbol, 0.0),
        unsettled=account.unsettled_quantities(symbol),
        differed=account.differed.get(symbol),
        looked=symbol in account.looked,
        working=tuple([order.side.sign * order.remaining_at_most for order in account.working_of(symbol)]),
        since_s=account.differs_since[symbol][0] if symbol in account.differs_since else None,
        told_apart=not any(may_be_unsettled(account, order, orders) for order in filled),
    )


# -- reconcile ---------------------------------------------------------------------------------------------------------


def _found(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    symbol = finding.symbol
    account.shown[symbol] = finding.theirs
    _stays(account, finding, now)
    if finding.verdict is Truth.AGREES:
        _agrees(account, finding, snapshot, theirs, now)
    elif finding.verdict is Truth.NOT_OURS:
        _not_ours(account, finding, snapshot, theirs, now)
    elif finding.verdict is Truth.OLDER:
        account.want_read = True
    elif finding.verdict is Truth.UNSETTLED:
        return  # what has no outcome is read for in its own rhythm
    else:
        before, account.differed[symbol] = account.differed.get(symbol), finding.theirs
        if finding.verdict is Truth.DIFFERS:
            account.want_read = True
            if before != finding.theirs:
                text = f"{symbol}: we have {finding.ours}, the broker says {finding.theirs}; entries closed"
                account.event(now, "divergence.seen", "LOG", f"{text}, reading again", read=snapshot.read)
        elif finding.verdict is Truth.UNEXPLAINED:
            text = f"position {finding.ours} vanished without a closing fill; it is not believed, its stop stays"
            hold(account, symbol, UNEXPLAINED, f"{text}; {_cross_check(account, symbol, snapshot)}", now)
            _search_history(account, symbol, now)
        else:
            _adopt(account, finding, snapshot, theirs, now)


def _stays(account: Account, finding: Finding, now: Now) -> None:
    """A difference that stays raises its level, and is never dropped (order-safety 1.10)."""
    symbol = finding.symbol
    if finding.verdict in (Truth.AGREES, Truth.ADOPT, Truth.NOT_OURS) or finding.ours == finding.theirs:
        account.differs_since.pop(symbol, None)
        return
    since_s, told = account.differs_since.setdefault(symbol, (now.s, "LOG"))
    lasts_s = now.s - since_s
    level: Level = "PAGE" if lasts_s >= PAGE_AFTER_S else "NOTIFY" if lasts_s >= NOTIFY_AFTER_S else "LOG"
    if level != told:
        account.differs_since[symbol] = (since_s, level)
        text = f"{symbol}: for {lasts_s:.0f} s we have {finding.ours} and reads say otherwise, now {finding.theirs}"
        account.event(now, "divergence.stays", level, f"{text}: {finding.verdict}")


def _cross_check(account: Account, symbol: str, snapshot: Snapshot) -> str:
    """What stream and balances say to a position that vanished: the person who looks needs it."""
    told = account.streamed.get(symbol)
    stream = "says nothing" if told is None else f"says {told}"
    balance = snapshot.content.balance
    margin_usd = balance.overnight_margin_usd
    margin = "" if margin_usd is None else f", and {margin_usd} USD needed over night for all that is held"
    return f"the stream {stream}, the balances say cash {balance.cash_usd} and equity {balance.equity_usd} USD{margin}"


def _search_history(account: Account, symbol: str, now: Now) -> None:
    """What closed the position may have left today's orders with the day, or come late: history is asked again and
    again, as long as nothing explains it."""
    if now.s >= account.history_next_s:
        account.history_next_s = now.s + HISTORY_EVERY_S
        since_utc = max(account.journal.holding(symbol).as_of_utc, now.utc - HISTORY_S * now.rate)
        account.search_since_utc = min(since_utc, account.search_since_utc or since_utc)


def _explained(account: Account, symbol: str, text: str, now: Now) -> None:
    if account.journal.drop_holds(symbol, UNEXPLAINED):
        incident = f"{UNEXPLAINED}:{symbol}"
        account.event(now, "unexplained.over", "NOTIFY", text, incident=incident, state="resolved")
    if not any(why == UNEXPLAINED for _, why in account.journal.holds):
        account.told_by_history.clear()


def _agrees(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    journal, symbol = account.journal, finding.symbol
    account.agreed_s[symbol] = snapshot.requested_s
    account.differed.pop(symbol, None)
    account.not_ours.discard(symbol)
    account.looked.discard(symbol)
    account.unconfirmed.pop(symbol, None)
    if symbol not in journal.holdings:
        journal.hold_position(symbol, Holding(as_of_utc=now.utc))
    doubtful = may_be_ours(account, theirs)
    journal.account_foreign((o for o in theirs if o.symbol == symbol and o.order_id not in doubtful), now.utc)
    again = f"{symbol}: the broker shows the position {finding.theirs} again"
    _explained(account, symbol, again if finding.theirs else f"{symbol}: what closed the position is known now", now)
    _found_is_over(account, symbol, f"{symbol}: what was found there is gone", now)


def _not_ours(account: Account, finding: Finding, snapshot: Snapshot, theirs: list[Order], now: Now) -> None:
    """A new journal finds a position: another's, unless the session was told to take it over (order-safety 3.7)."""
    symbol, journal = finding.symbol, account.journal
    if not account.session.take_over:
        account.not_ours.add(symbol)
        text = f"a new journal finds a position of {finding.theirs}: not adopted; flat it, or start with take-over"
        hold(account, symbol, "found", text, now)
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
    held = same_side(finding.adopted, finding.ours)
    journal.hold_position(symbol, Holding(finding.adopted, finding.average_price if finding.adopted else None, now.utc))
    journal.declare(
        replace(
            voided(before, finding.adopted),
            stop=before.stop if held else None,
            take=before.take if held else None,
            trail=before.trail if held else None,
            trail_native=before.trail_native and held,
            stop_by_person=before.stop_by_person if held else "",
            stop_less=ZERO,
            take_by_person=before.take_by_person if held else "",
        )
    )
    remember_ahead(account, symbol, finding.ahead, now)
    journal.add_hold(symbol, DIVERGENCE, now.utc)
    journal.add_row(
        SyncRow(
            symbol=symbol,
            before=finding.ours,
            after=finding.adopted,
            average_price=finding.average_price,
            adopted_utc=now.utc,
        )
    )
    account.agreed_s[symbol] = snapshot.requested_s
    account.differed.pop(symbol, None)
    account.looked.discard(symbol)
    account.unconfirmed.pop(symbol, None)
    _record_adoption(account, finding, snapshot, now)
    journal.account_foreign((o for o in theirs if o.symbol == symbol), now.utc)
    if finding.explained:
        fills = ", ".join(o.order_id for o in theirs if o.symbol == symbol and o.order_id in account.told_by_history)
        by = f" (of {fills}, by history)" if fills else ""
        _explained(account, symbol, f"{symbol}: fills of other people's orders closed the position{by}", now)
    whole = finding.adopted == finding.theirs
    part = "" if whole else f" as {finding.adopted} (the rest may be of an order without outcome)"
    account.event(
        now,
        "divergence.adopted",
        "NOTIFY",
        f"{symbol}: we had {finding.ours}, the broker said {finding.theirs} twice: adopted{part}, entries held",
        incident=f"divergence:{finding.symbol}",
        state="opened",
        ours=finding.ours,
        theirs=finding.theirs,
        read=snapshot.read,
        age_s=now.s - snapshot.requested_s,
        explained=finding.explained,
        profit="unknown",
    )


def _record_adoption(
    account: Account, finding: Finding, snapshot: Snapshot, now: Now, *, taken_over: bool = False
) -> None:
    """What we had, what the broker said, which read, how old, what was adopted (order-safety 1.7). What was won or lost
    over the gap is not known (1.8): no fill of ours tells it."""
    account.journal.write_adoption(
        Adoption(finding.symbol, finding.ours, finding.adopted, finding.average_price, now.utc, taken_over=taken_over),
        read=snapshot.read,
        age_s=now.s - snapshot.requested_s,
        explained=finding.explained,
    )


# -- coverage ----------------------------------------------------------------------------------------------------------


def uncovered(account: Account, symbol: str) -> bool:
    """An open position of which a part has neither a working stop nor a working exit of ours, nor a stop that somebody
    else keeps there (order-safety 3.10). What no read shows protects nothing."""
    held = account.journal.holding(symbol).quantity
    if not held:
        return False
    closing = ZERO
    for order in account.journal.working.values():
        closes = order.symbol == symbol and order.side.sign * held < 0 and order.order_id not in account.missing
        if closes and (order.protecting or order.exiting):
            closing += order.remaining
    for other in account.foreign_working:
        if other.symbol == symbol and other.side.sign * held < 0 and protects(other):
            closing += other.remaining
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


def recount_uncovered(account: Account, now: Now) -> None:
    """A gap of cover that an earlier life has begun. Machine time begins anew with the machine, market time goes on."""
    for symbol, since in account.journal.uncovered.items():
        lasts_s = max(now.s - since.since_s, (now.utc - since.since_utc) / now.rate, 0.0)
        if since.since_s > now.s - lasts_s:
            account.journal.set_uncovered(symbol, replace(since, since_s=now.s - lasts_s))


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
    by_person = declaration.stop_by_person == "removed" or declaration.stop_less > 0
    blocked = by_person or Purpose.STOP in declaration.refused
    return declaration.stop is not None and not blocked


def _why(account: Account, symbol: str) -> str:
    journal, less = account.journal, account.journal.declaration(symbol).stop_less
    if less:
        return f"somebody else has made it smaller by {less}, and it does not grow again before a release"
    shut = stop_refusal(stop_gates(journal.declaration(symbol), journal.instruments.get(symbol), works=False))
    return shut[1] if shut is not None else "it does not work yet"
